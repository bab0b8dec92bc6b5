"""Inputs that are not known exactly: made from the data, then sampled or integrated out."""

from numpyro_splines.latent.berkson import Berkson as Berkson
from numpyro_splines.latent.coarse import Coarse as Coarse
from numpyro_splines.latent.coordinates import spline_density as spline_density
from numpyro_splines.latent.directions import direction as direction
from numpyro_splines.latent.input import AbstractInput as AbstractInput
from numpyro_splines.latent.measured import Measured as Measured
from numpyro_splines.latent.misclassified import Misclassified as Misclassified
from numpyro_splines.latent.missing import Missing as Missing
from numpyro_splines.latent.order_statistics import OrderStatistics as OrderStatistics
from numpyro_splines.latent.ordered import Ordered as Ordered
from numpyro_splines.latent.quadrature import Quadrature as Quadrature
from numpyro_splines.latent.response import IntegratedResponse as IntegratedResponse
from numpyro_splines.latent.response import draw_inputs as draw_inputs
from numpyro_splines.latent.warm_starts import warm_start as warm_start
from numpyro_splines.latent.within import Within as Within
