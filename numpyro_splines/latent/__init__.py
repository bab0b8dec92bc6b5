"""Priors for inputs that are not known exactly."""

from numpyro_splines.latent.coordinates import spline_density as spline_density
from numpyro_splines.latent.diagnostics import InputCheck as InputCheck
from numpyro_splines.latent.diagnostics import check_inputs as check_inputs
from numpyro_splines.latent.directions import direction as direction
from numpyro_splines.latent.domain import check_domain as check_domain
from numpyro_splines.latent.domain import plan_knots as plan_knots
from numpyro_splines.latent.errors import berkson as berkson
from numpyro_splines.latent.errors import measured as measured
from numpyro_splines.latent.errors import missing as missing
from numpyro_splines.latent.incomplete import Within as Within
from numpyro_splines.latent.incomplete import coarse as coarse
from numpyro_splines.latent.ordered import Ordered as Ordered
from numpyro_splines.latent.ordered import ordered as ordered
from numpyro_splines.latent.quadrature import IntegratedInput as IntegratedInput
from numpyro_splines.latent.quadrature import Quadrature as Quadrature
from numpyro_splines.latent.response import IntegratedResponse as IntegratedResponse
from numpyro_splines.latent.response import draw_inputs as draw_inputs
from numpyro_splines.latent.response import response as response
