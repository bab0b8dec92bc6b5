"""Likelihoods with the coefficients integrated out."""

from numpyro_splines.marginal.gaussian import GaussianMarginal as GaussianMarginal
from numpyro_splines.marginal.gaussian import MarginalGaussian as MarginalGaussian
