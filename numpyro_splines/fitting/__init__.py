"""Penalized least squares and IRLS with scales chosen by restricted maximum likelihood."""

from numpyro_splines.fitting.families import Binomial as Binomial
from numpyro_splines.fitting.families import Gaussian as Gaussian
from numpyro_splines.fitting.families import Poisson as Poisson
from numpyro_splines.fitting.fit import PenalizedFit as PenalizedFit
from numpyro_splines.fitting.fit import penalized_fit as penalized_fit
