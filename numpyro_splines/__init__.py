"""Spline regression for NumPyro, with inputs that may be random variables of the model."""

from numpyro_splines import extrapolation as extrapolation
from numpyro_splines import fitting as fitting
from numpyro_splines import knots as knots
from numpyro_splines import marginal as marginal
from numpyro_splines.additive import AdditivePredictor as AdditivePredictor
from numpyro_splines.bases import AbstractBasis as AbstractBasis
from numpyro_splines.bases import BSplineBasis as BSplineBasis
from numpyro_splines.bases import CSplineBasis as CSplineBasis
from numpyro_splines.bases import CubicRegressionBasis as CubicRegressionBasis
from numpyro_splines.bases import CyclicBasis as CyclicBasis
from numpyro_splines.bases import CyclicCubicRegressionBasis as CyclicCubicRegressionBasis
from numpyro_splines.bases import ISplineBasis as ISplineBasis
from numpyro_splines.bases import MSplineBasis as MSplineBasis
from numpyro_splines.curve import Curve as Curve
from numpyro_splines.effects import SplineEffect as SplineEffect
from numpyro_splines.ops.bspline import bspline as bspline
from numpyro_splines.ops.bspline import bspline_basis as bspline_basis
from numpyro_splines.ops.callback import scipy_bspline_basis as scipy_bspline_basis
from numpyro_splines.priors import AbstractPrior as AbstractPrior
from numpyro_splines.priors import RandomWalkPrior as RandomWalkPrior
from numpyro_splines.priors import SmoothnessPrior as SmoothnessPrior

__version__ = "0.1.0"
