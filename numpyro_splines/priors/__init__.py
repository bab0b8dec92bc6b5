"""Priors for the coefficients of a smooth, one family per file."""

from numpyro_splines.priors.base import AbstractPrior as AbstractPrior
from numpyro_splines.priors.smoothness import RandomWalkPrior as RandomWalkPrior
from numpyro_splines.priors.smoothness import SmoothnessPrior as SmoothnessPrior
