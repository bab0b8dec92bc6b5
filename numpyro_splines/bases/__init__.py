"""Bases: one kind per file, final classes over `AbstractBasis`."""

from numpyro_splines.bases.base import AbstractBasis as AbstractBasis
from numpyro_splines.bases.base import AbstractCombinedBasis as AbstractCombinedBasis
from numpyro_splines.bases.base import ConstrainedBasis as ConstrainedBasis
from numpyro_splines.bases.bernstein import BernsteinBasis as BernsteinBasis
from numpyro_splines.bases.bspline import BSplineBasis as BSplineBasis
from numpyro_splines.bases.cyclic import CyclicBasis as CyclicBasis
from numpyro_splines.bases.natural import NaturalBasis as NaturalBasis
from numpyro_splines.bases.regression import CubicRegressionBasis as CubicRegressionBasis
from numpyro_splines.bases.regression import (
    CyclicCubicRegressionBasis as CyclicCubicRegressionBasis,
)
from numpyro_splines.bases.shape import CSplineBasis as CSplineBasis
from numpyro_splines.bases.shape import CyclicMSplineBasis as CyclicMSplineBasis
from numpyro_splines.bases.shape import ISplineBasis as ISplineBasis
from numpyro_splines.bases.shape import MSplineBasis as MSplineBasis
