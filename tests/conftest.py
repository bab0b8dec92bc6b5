"""Fixtures: the two floating-point settings that users have."""

from typing import NamedTuple

import jax
import numpy as np
import pytest

# For the type checker: nothing in it is to run.
collect_ignore = ["typed_user_program.py"]


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
