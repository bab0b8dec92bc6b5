"""Importing the package changes nothing: no JAX setting, no device initialized."""

import subprocess
import sys

import pytest

import numpyro_splines as ns

SCRIPT = """
import jax, numpy as np
before = jax.config.values.copy()
import numpyro_splines, numpyro
assert jax.config.values == before
numpyro.set_host_device_count(2)  # takes effect only before the first array
assert jax.local_device_count() == 2
assert "matplotlib" not in __import__("sys").modules
"""

PLOTTING = """
import sys, numpyro_splines as ns
assert "plotting" in dir(ns) and "BSplineBasis" in dir(ns) and "TYPE_CHECKING" not in dir(ns)
assert not hasattr(ns, "plots") and "matplotlib" not in sys.modules
assert ns.plotting.effect is sys.modules["numpyro_splines.plotting"].effect
assert "matplotlib" in sys.modules and "plotting" in vars(ns)
from numpyro_splines import plotting
assert plotting is ns.plotting
"""


@pytest.mark.parametrize("script", [SCRIPT, PLOTTING], ids=["import", "plotting"])
def test_importing_has_no_side_effects(script):
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_error_as_of_any_module():
    with pytest.raises(AttributeError, match="module 'numpyro_splines' has no attribute 'plots'"):
        ns.plots  # noqa: B018
