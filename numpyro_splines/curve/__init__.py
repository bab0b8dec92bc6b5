"""A function of one variable as an object: sample it once, then ask it anything."""

from numpyro_splines.curve.curve import Curve as Curve
from numpyro_splines.curve.solving import Extrema as Extrema
