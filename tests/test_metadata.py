"""README, pyproject.toml, CITATION.cff, CHANGELOG.md and the package tell the same story."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import numpyro_splines

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]

# Written in two halves, so that this file does not name what it forbids.
REGISTRY_HOSTS = ["pypi" + ".org", "python" + "hosted.org", "anaconda" + ".org", "npm" + "js.org"]
MACHINE_PATHS = [
    r"(?<![\w.])/(?:home|Users)/\w[\w.-]*/",
    r"(?<![\w.])/[r]oot/",
    r"\b[A-Z]:\\\\?Users\\",
    r"(?<![\w.])(?:/[\w.+-]+)+/(?:site|dist)-packages/",
]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def citation(key: str) -> str:
    found = re.search(rf'^{key}: *"?([^"\n]+)"?$', read("CITATION.cff"), flags=re.MULTILINE)
    assert found, f"CITATION.cff has no `{key}`."
    return found[1]


def minimum_python() -> str:
    return PROJECT["requires-python"].removeprefix(">=")


def project_files() -> list[Path]:
    """The files git tracks; where it tracks none (an unpacked archive), all but hidden ones."""
    command = ["git", "ls-files", "-z"]
    try:
        names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        names = ""
    paths = [ROOT / name for name in names.split("\0") if name]
    paths = paths or [p for p in ROOT.rglob("*") if p.relative_to(ROOT).parts[0][0] != "."]
    return [path for path in paths if path.is_file()]


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    """Every `file:line: match` of the pattern in the project's text files."""
    found = []
    for path in project_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:  # a picture
            continue
        for number, line in enumerate(lines, start=1):
            if match := pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")
    return found


def test_version_has_one_source():
    assert PROJECT["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "numpyro_splines/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|(a|b|rc)\d+)?", numpyro_splines.__version__)


def test_version_agrees():
    assert citation("version") == numpyro_splines.__version__
    released = re.findall(r"^## \[(\d[^\]]*)\]", read("CHANGELOG.md"), flags=re.MULTILINE)
    assert released, "CHANGELOG.md has no section for a version."
    assert released[0] == numpyro_splines.__version__


def test_name_agrees():
    assert PROJECT["name"].replace("-", "_") == numpyro_splines.__name__
    assert citation("title") == numpyro_splines.__name__
    assert read("README.md").startswith(f"# {numpyro_splines.__name__}\n")
    assert numpyro_splines.__name__ in read("CHANGELOG.md")


def test_license_agrees():
    assert PROJECT["license"] == citation("license") == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]
    assert "Apache License\n                           Version 2.0" in read("LICENSE")
    assert "Apache-2.0" in read("README.md")


def test_authors_agree():
    (author,) = PROJECT["authors"]
    assert f'- name: "{author["name"]}"' in read("CITATION.cff")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "Makefile"])
def test_minimum_python_agrees(name):
    assert f"Python {minimum_python()}" in read(name)


def test_minimum_python_is_what_tools_check():
    assert PYPROJECT["tool"]["pyright"]["pythonVersion"] == minimum_python()
    assert f"Programming Language :: Python :: {minimum_python()}" in PROJECT["classifiers"]
    assert f"({minimum_python().replace('.', ', ')})" in read("Makefile")


def test_package_is_marked_as_typed():
    assert (ROOT / "numpyro_splines" / "py.typed").is_file()


def test_readme_is_short():
    assert len(read("README.md").splitlines()) < 120


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_documented_make_targets_exist(name):
    targets = re.findall(r"^([a-z-]+):", read("Makefile"), flags=re.MULTILINE)
    documented = re.findall(r"(?:^ *|`)make ([a-z-]+)", read(name), flags=re.MULTILINE)
    assert {"demo", "test"} <= set(documented) <= set(targets)


def test_no_package_registry_is_named():
    hosts = "|".join(re.escape(host) for host in REGISTRY_HOSTS)
    found = lines_matching(re.compile(hosts))
    assert not found, "Leave the choice of a package registry to pip:\n" + "\n".join(found)


def test_no_path_of_one_machine_is_named():
    found = lines_matching(
        re.compile("|".join([*MACHINE_PATHS, rf"(?<![\w.]){re.escape(str(ROOT))}/"]))
    )
    assert not found, "These paths exist on one machine only:\n" + "\n".join(found)
