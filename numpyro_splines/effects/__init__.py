"""Effects: named smooth functions inside NumPyro models."""

from numpyro_splines.effects.base import AbstractEffect as AbstractEffect
from numpyro_splines.effects.spline import SplineEffect as SplineEffect
from numpyro_splines.effects.tensor import TensorEffect as TensorEffect
