"""Spline regression for NumPyro, with inputs that may be random variables of the model."""

from typing import TYPE_CHECKING

from numpyro_splines import components as components
from numpyro_splines import constraints as constraints
from numpyro_splines import datasets as datasets
from numpyro_splines import distributions as distributions
from numpyro_splines import extrapolation as extrapolation
from numpyro_splines import knots as knots
from numpyro_splines import latent as latent
from numpyro_splines import mgcv as mgcv
from numpyro_splines import penalties as penalties
from numpyro_splines import posterior as posterior
from numpyro_splines import prior_checks as prior_checks
from numpyro_splines import regression as regression
from numpyro_splines import scales as scales
from numpyro_splines.bases import AbstractBasis as AbstractBasis
from numpyro_splines.bases import BernsteinBasis as BernsteinBasis
from numpyro_splines.bases import BSplineBasis as BSplineBasis
from numpyro_splines.bases import ConstrainedBasis as ConstrainedBasis
from numpyro_splines.bases import CSplineBasis as CSplineBasis
from numpyro_splines.bases import CubicRegressionBasis as CubicRegressionBasis
from numpyro_splines.bases import CyclicBasis as CyclicBasis
from numpyro_splines.bases import CyclicCubicRegressionBasis as CyclicCubicRegressionBasis
from numpyro_splines.bases import CyclicMSplineBasis as CyclicMSplineBasis
from numpyro_splines.bases import ISplineBasis as ISplineBasis
from numpyro_splines.bases import MSplineBasis as MSplineBasis
from numpyro_splines.bases import NaturalBasis as NaturalBasis
from numpyro_splines.effects import SplineEffect as SplineEffect
from numpyro_splines.effects import TensorEffect as TensorEffect
from numpyro_splines.functions import Curve as Curve
from numpyro_splines.functions import Surface as Surface
from numpyro_splines.margins import CurveMargin as CurveMargin
from numpyro_splines.margins import GraphMargin as GraphMargin
from numpyro_splines.margins import GroupMargin as GroupMargin
from numpyro_splines.margins import SurfaceMargin as SurfaceMargin
from numpyro_splines.ops.bspline import bspline as bspline
from numpyro_splines.ops.bspline import bspline_basis as bspline_basis
from numpyro_splines.ops.callback import scipy_bspline_basis as scipy_bspline_basis
from numpyro_splines.priors import AbstractPrior as AbstractPrior
from numpyro_splines.priors import AbstractSmooth as AbstractSmooth
from numpyro_splines.priors import AdaptivePrior as AdaptivePrior
from numpyro_splines.priors import ConvexPrior as ConvexPrior
from numpyro_splines.priors import HorseshoePrior as HorseshoePrior
from numpyro_splines.priors import MonotonePrior as MonotonePrior
from numpyro_splines.priors import PositivePrior as PositivePrior
from numpyro_splines.priors import RandomWalkPrior as RandomWalkPrior
from numpyro_splines.priors import SimplexPrior as SimplexPrior
from numpyro_splines.priors import SmoothnessPrior as SmoothnessPrior
from numpyro_splines.regression import AdditivePredictor as AdditivePredictor
from numpyro_splines.transforms import SplineTransform as SplineTransform

if TYPE_CHECKING:
    from numpyro_splines import plotting as plotting

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`plotting` on first use: matplotlib is loaded by those who draw only."""
    if name != "plotting":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module(f"{__name__}.plotting")


def __dir__() -> list[str]:
    return sorted({*globals(), "plotting"} - {"TYPE_CHECKING"})
