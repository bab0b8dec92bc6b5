"""Priors for inputs that are not known exactly."""

from numpyro_splines.latent.errors import berkson as berkson
from numpyro_splines.latent.errors import measured as measured
from numpyro_splines.latent.incomplete import Within as Within
from numpyro_splines.latent.incomplete import coarse as coarse
