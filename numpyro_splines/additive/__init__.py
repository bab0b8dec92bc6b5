"""Additive predictors: an intercept, linear terms and smooth effects at known inputs."""

from numpyro_splines.additive.predictor import AdditivePredictor as AdditivePredictor
