"""After inference: functions of draws as labeled arrays, functionals, bands, tables and files.

curve(effect, draws)               the curves of all draws, with the names of their axes
surface(effect, draws)             the same of several inputs and of groups
values, integral, inverse, ...     what one asks of curves, as xarray with chain and draw
population, new_levels             levels of a group that were not seen
linear_predictor, partial, ...     a whole predictor at rows of data: in terms, as a response
summary, residuals, basis_size     what the terms do; is the model good
inputs, check_inputs               where latent inputs are, and how they were sampled
log_likelihood, inference_data     for leave-one-out and comparisons with ArviZ
bands, excludes                    what the draws say together
table                              any of it as a tidy pandas table
save, load                         effects and draws in one file
"""

from numpyro_splines.posterior.bands import bands as bands
from numpyro_splines.posterior.bands import excludes as excludes
from numpyro_splines.posterior.bands import table as table
from numpyro_splines.posterior.basis_size import basis_size as basis_size
from numpyro_splines.posterior.concurvity import concurvity as concurvity
from numpyro_splines.posterior.draws import curve as curve
from numpyro_splines.posterior.draws import dataset as dataset
from numpyro_splines.posterior.draws import surface as surface
from numpyro_splines.posterior.freedom import degrees_of_freedom as degrees_of_freedom
from numpyro_splines.posterior.input_checks import InputCheck as InputCheck
from numpyro_splines.posterior.input_checks import check_inputs as check_inputs
from numpyro_splines.posterior.input_checks import inputs as inputs
from numpyro_splines.posterior.keeping import Kept as Kept
from numpyro_splines.posterior.keeping import load as load
from numpyro_splines.posterior.keeping import save as save
from numpyro_splines.posterior.kinds import EqualTailed as EqualTailed
from numpyro_splines.posterior.kinds import HighestDensity as HighestDensity
from numpyro_splines.posterior.kinds import Simultaneous as Simultaneous
from numpyro_splines.posterior.labeled import LabeledCurve as LabeledCurve
from numpyro_splines.posterior.labels import labels as labels
from numpyro_splines.posterior.likelihoods import inference_data as inference_data
from numpyro_splines.posterior.likelihoods import log_likelihood as log_likelihood
from numpyro_splines.posterior.populations import new_levels as new_levels
from numpyro_splines.posterior.populations import population as population
from numpyro_splines.posterior.predictions import levels as levels
from numpyro_splines.posterior.predictions import linear_predictor as linear_predictor
from numpyro_splines.posterior.predictions import partial as partial
from numpyro_splines.posterior.predictions import predict as predict
from numpyro_splines.posterior.predictions import response as response
from numpyro_splines.posterior.residuals import residuals as residuals
from numpyro_splines.posterior.solutions import crossings as crossings
from numpyro_splines.posterior.solutions import extrema as extrema
from numpyro_splines.posterior.solutions import inflections as inflections
from numpyro_splines.posterior.solutions import inverse as inverse
from numpyro_splines.posterior.solutions import peak as peak
from numpyro_splines.posterior.summary import summary as summary
from numpyro_splines.posterior.surfaces import LabeledSurface as LabeledSurface
from numpyro_splines.posterior.values import integral as integral
from numpyro_splines.posterior.values import partial_sum as partial_sum
from numpyro_splines.posterior.values import values as values
