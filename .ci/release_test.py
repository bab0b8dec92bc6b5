"""Install the wheel as strangers do, in bare environments, and run what README.md promises.

For each interpreter once with the newest versions of all dependencies and once with the lowest that
pyproject.toml allows: the demo and the examples of README.md run in an empty folder, so that
nothing of this checkout is found. `make release-test` calls it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESOLUTIONS = {"newest": "highest", "lowest": "lowest-direct"}

# The package comes from the environment, with its data and its types.
INSTALLED = """
import re, sys
from importlib.metadata import requires, version
from importlib.resources import files
import numpyro_splines as ns
assert ns.__file__.startswith(sys.prefix), ns.__file__
assert files(ns).joinpath("py.typed").is_file()
for name in dir(ns.datasets):
    if name.startswith("load_"):
        assert len(getattr(ns.datasets, name)()), name
own = [line.split(";")[0] for line in requires("numpyro-splines")]
names = [re.match(r"[\\w-]+", line)[0] for line in own]
print("with", ", ".join(f"{name} {version(name)}" for name in names))
"""


def main() -> int:
    """Test the wheel; the exit code is 1 where a step has failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("interpreters", nargs="+", metavar="PYTHON")
    parser.add_argument("--versions", nargs="+", choices=RESOLUTIONS, default=list(RESOLUTIONS))
    parser.add_argument("--quick", action="store_true", help="newest versions, a tiny demo only")
    options = parser.parse_args()
    failed = []
    for interpreter in options.interpreters:
        for versions in ["newest"] if options.quick else options.versions:
            start = time.perf_counter()
            passed = try_wheel(options.wheel.resolve(), interpreter, versions, quick=options.quick)
            seconds = time.perf_counter() - start
            name = f"{interpreter}, {versions} versions"
            print(
                f"--- {name}: {'passed' if passed else 'FAILED'} after {seconds:.0f} s", flush=True
            )
            failed += [] if passed else [name]
    return 1 if failed else 0


def try_wheel(wheel: Path, interpreter: str, versions: str, *, quick: bool) -> bool:
    """Whether the wheel installs and works there; stops at the first step that fails."""
    with tempfile.TemporaryDirectory() as folder:
        environment, empty = Path(folder, "environment"), Path(folder, "empty")
        python = str(environment / "bin" / "python")
        uv = [sys.executable, "-m", "uv", "--quiet"]
        # Nothing is built from source: what has no wheel for this Python is no allowed version.
        install = [*uv, "pip", "install", "--python", python, "--only-binary", ":all:"]
        size = ["5", "--chains", "1", "--warmup", "5"] if quick else ["100", "--warmup", "100"]
        # "Lowest" is said of what is asked for by name: of the list in pyproject.toml, not of what
        # a wheel needs in turn.
        needed = [
            *install,
            "--resolution",
            RESOLUTIONS[versions],
            "-r",
            str(ROOT / "pyproject.toml"),
        ]
        steps = {
            "environment": [*uv, "venv", "--python", interpreter, str(environment)],
            "dependencies": [] if versions == "newest" else needed,
            "install": [*install, str(wheel)],
            "check": [*uv, "pip", "check", "--python", python],
            "import": [python, "-c", INSTALLED],
            "demo": [python, "-m", "numpyro_splines", "--draws", *size],
        }
        if not quick:
            options = ["-o", "NORMALIZE_WHITESPACE", "-o", "ELLIPSIS"]
            steps["README.md"] = [python, "-m", "doctest", *options, "README.md"]
        empty.mkdir()
        shutil.copy(ROOT / "README.md", empty)
        return all(step(name, command, empty) for name, command in steps.items() if command)


def step(name: str, command: list[str], folder: Path) -> bool:
    """Run one command, say how long it took and, where it has failed, what it said."""
    start = time.perf_counter()
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**variables, "MPLBACKEND": "Agg"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    passed = ended.returncode == 0
    print(
        f"    {name}: {'' if passed else 'FAILED, '}{time.perf_counter() - start:.1f} s", flush=True
    )
    if not passed or name == "import":
        print(ended.stdout)
    return passed


if __name__ == "__main__":
    sys.exit(main())
