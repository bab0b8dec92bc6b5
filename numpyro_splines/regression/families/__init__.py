"""Families of responses: distributions of y given a linear predictor, on the host and in JAX."""

from numpyro_splines.regression.families.base import AbstractFamily as AbstractFamily
from numpyro_splines.regression.families.base import Derivatives as Derivatives
from numpyro_splines.regression.families.base import checked_family as checked_family
from numpyro_splines.regression.families.continuous import Beta as Beta
from numpyro_splines.regression.families.continuous import Gamma as Gamma
from numpyro_splines.regression.families.continuous import Gaussian as Gaussian
from numpyro_splines.regression.families.continuous import StudentT as StudentT
from numpyro_splines.regression.families.counts import Binomial as Binomial
from numpyro_splines.regression.families.counts import NegativeBinomial as NegativeBinomial
from numpyro_splines.regression.families.counts import OrderedCategorical as OrderedCategorical
from numpyro_splines.regression.families.counts import Poisson as Poisson
from numpyro_splines.regression.families.elementwise import Elementwise as Elementwise
