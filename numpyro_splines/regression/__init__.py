"""Additive regression: predictors, families, coefficients integrated out, penalized fits."""

from numpyro_splines.regression.contrasts import SumToZero as SumToZero
from numpyro_splines.regression.contrasts import Treatment as Treatment
from numpyro_splines.regression.families import Binomial as Binomial
from numpyro_splines.regression.families import Gaussian as Gaussian
from numpyro_splines.regression.families import Poisson as Poisson
from numpyro_splines.regression.fit import PenalizedFit as PenalizedFit
from numpyro_splines.regression.fit import penalized_fit as penalized_fit
from numpyro_splines.regression.integrated import IntegratedGaussian as IntegratedGaussian
from numpyro_splines.regression.integrated import MarginalGaussian as MarginalGaussian
from numpyro_splines.regression.predictor import AdditivePredictor as AdditivePredictor
