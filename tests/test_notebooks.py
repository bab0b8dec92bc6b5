"""The notebooks run, and are committed with pictures and without traces of a machine."""

import os
import re
import subprocess
import sys

import jax
import nbformat
import pytest
from test_metadata import MACHINE_PATHS, ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]


def pictures(path):
    return [out for out in outputs(path) if "image/png" in out.get("data", {})]


def complaints(path):
    """Errors, and warnings: whatever went to stderr."""
    return [
        out for out in outputs(path) if out.output_type == "error" or out.get("name") == "stderr"
    ]


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_as_executed(path):
    cells = nbformat.read(path, as_version=4).cells
    counts = [cell.execution_count for cell in cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert pictures(path)
    assert not complaints(path)
    assert path.stat().st_size < 1_000_000
    text = path.read_text(encoding="utf-8")
    assert not [match for pattern in MACHINE_PATHS for match in re.findall(pattern, text)]
    assert "/tmp/" not in text  # where kernels keep the code of their cells
    assert "it/s]" not in text  # a progress bar


@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    environment = os.environ | {
        "NUMPYRO_SPLINES_FAST": "1",
        # As in conftest.py, for the kernel: what tests and other notebooks compiled is read again.
        "JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        # As in the Makefile: tqdm asks for ipywidgets. ArviZ 0.23 announces 1.0 once a day.
        "PYTHONWARNINGS": "ignore:IProgress not found,ignore::FutureWarning:arviz",
    }
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute"]
    run = subprocess.run(
        [*command, "--output-dir", str(tmp_path), str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    executed = tmp_path / path.name
    assert not complaints(executed)
    assert len(pictures(executed)) == len(pictures(path))
