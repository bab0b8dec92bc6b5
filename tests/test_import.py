"""Importing the package changes nothing: no JAX setting, no device initialized."""

import subprocess
import sys

SCRIPT = """
import jax, numpy as np
before = jax.config.values.copy()
import numpyro_splines, numpyro
assert jax.config.values == before
numpyro.set_host_device_count(2)  # takes effect only before the first array
assert jax.local_device_count() == 2
assert "matplotlib" not in __import__("sys").modules
"""


def test_importing_has_no_side_effects():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
