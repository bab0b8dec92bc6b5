"""Fixtures: the two floating-point settings that users have; programs compiled by earlier runs."""

import os
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest

# Nearly all of the suite's time is compilation: what an earlier run has compiled is read again.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
jax.config.update("jax_compilation_cache_dir", str(_CACHE / "numpyro_splines" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


class Precision(NamedTuple):
    """A float dtype, and how much larger its rounding errors are than those of float64."""

    dtype: type
    factor: float


@pytest.fixture(params=["float32", "float64"])
def precision(request):
    """float32 with x64 off and float64 with x64 on, under strict promotion of dtypes."""
    wide = request.param == "float64"
    with jax.enable_x64(wide), jax.numpy_dtype_promotion("strict"):
        yield Precision(np.float64, 1.0) if wide else Precision(np.float32, 2.0**29)


@pytest.fixture
def x64():
    """float64 available."""
    with jax.enable_x64(True):
        yield
