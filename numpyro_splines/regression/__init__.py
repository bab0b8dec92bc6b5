"""Additive regression: predictors, families, coefficients integrated out, penalized fits."""

from numpyro_splines.regression import importance as importance
from numpyro_splines.regression import links as links
from numpyro_splines.regression.contrasts import SumToZero as SumToZero
from numpyro_splines.regression.contrasts import Treatment as Treatment
from numpyro_splines.regression.distributional import Distributional as Distributional
from numpyro_splines.regression.families import Beta as Beta
from numpyro_splines.regression.families import Binomial as Binomial
from numpyro_splines.regression.families import Elementwise as Elementwise
from numpyro_splines.regression.families import Gamma as Gamma
from numpyro_splines.regression.families import Gaussian as Gaussian
from numpyro_splines.regression.families import NegativeBinomial as NegativeBinomial
from numpyro_splines.regression.families import OrderedCategorical as OrderedCategorical
from numpyro_splines.regression.families import Poisson as Poisson
from numpyro_splines.regression.families import StudentT as StudentT
from numpyro_splines.regression.fit import PenalizedFit as PenalizedFit
from numpyro_splines.regression.fit import penalized_fit as penalized_fit
from numpyro_splines.regression.integrated import IntegratedGaussian as IntegratedGaussian
from numpyro_splines.regression.integrated import MarginalGaussian as MarginalGaussian
from numpyro_splines.regression.laplace import IntegratedLaplace as IntegratedLaplace
from numpyro_splines.regression.laplace import MarginalLaplace as MarginalLaplace
from numpyro_splines.regression.predictor import AdditivePredictor as AdditivePredictor
