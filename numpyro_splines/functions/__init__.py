"""A function of one variable as an object: sample it once, then ask it anything."""

from numpyro_splines.functions.combination import Combination as Combination
from numpyro_splines.functions.curve import Curve as Curve
from numpyro_splines.functions.solving import Extrema as Extrema
