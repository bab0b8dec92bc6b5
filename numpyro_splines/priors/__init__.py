"""Priors for the coefficients of a smooth, one family per file."""

from numpyro_splines.priors.adaptive import AdaptivePrior as AdaptivePrior
from numpyro_splines.priors.adaptive import HorseshoePrior as HorseshoePrior
from numpyro_splines.priors.base import AbstractPrior as AbstractPrior
from numpyro_splines.priors.base import AbstractSmooth as AbstractSmooth
from numpyro_splines.priors.distributions import IntrinsicGaussian as IntrinsicGaussian
from numpyro_splines.priors.distributions import KroneckerGaussian as KroneckerGaussian
from numpyro_splines.priors.distributions import RandomWalk as RandomWalk
from numpyro_splines.priors.joint import regularized_horseshoe as regularized_horseshoe
from numpyro_splines.priors.joint import variance_partition as variance_partition
from numpyro_splines.priors.positive import PositivePrior as PositivePrior
from numpyro_splines.priors.positive import SimplexPrior as SimplexPrior
from numpyro_splines.priors.scales import gamma_precision as gamma_precision
from numpyro_splines.priors.scales import half_student_t as half_student_t
from numpyro_splines.priors.scales import inverse_gamma_variance as inverse_gamma_variance
from numpyro_splines.priors.scales import pc_scale as pc_scale
from numpyro_splines.priors.shape import ConvexPrior as ConvexPrior
from numpyro_splines.priors.shape import MonotonePrior as MonotonePrior
from numpyro_splines.priors.smoothness import RandomWalkPrior as RandomWalkPrior
from numpyro_splines.priors.smoothness import SmoothnessPrior as SmoothnessPrior
