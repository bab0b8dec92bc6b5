"""Priors for the coefficients of a smooth, one family per file."""

from numpyro_splines.priors.adaptive import AdaptivePrior as AdaptivePrior
from numpyro_splines.priors.adaptive import HorseshoePrior as HorseshoePrior
from numpyro_splines.priors.base import AbstractPrior as AbstractPrior
from numpyro_splines.priors.base import AbstractSmooth as AbstractSmooth
from numpyro_splines.priors.positive import PositivePrior as PositivePrior
from numpyro_splines.priors.positive import SimplexPrior as SimplexPrior
from numpyro_splines.priors.shape import ConvexPrior as ConvexPrior
from numpyro_splines.priors.shape import MonotonePrior as MonotonePrior
from numpyro_splines.priors.smoothness import RandomWalkPrior as RandomWalkPrior
from numpyro_splines.priors.smoothness import SmoothnessPrior as SmoothnessPrior
