"""Bases: one per file, final classes over `AbstractBasis`."""

from numpyro_splines.bases.base import AbstractBasis as AbstractBasis
from numpyro_splines.bases.bspline import BSplineBasis as BSplineBasis
