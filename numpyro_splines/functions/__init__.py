"""A function of one variable as an object: sample it once, then ask it anything."""

from numpyro_splines.functions.axes import BasisAxis as BasisAxis
from numpyro_splines.functions.axes import IndexAxis as IndexAxis
from numpyro_splines.functions.axes import PolynomialAxis as PolynomialAxis
from numpyro_splines.functions.axes import cell_means as cell_means
from numpyro_splines.functions.combination import Combination as Combination
from numpyro_splines.functions.curve import Curve as Curve
from numpyro_splines.functions.solving import Extrema as Extrema
from numpyro_splines.functions.surface import Surface as Surface
from numpyro_splines.functions.surface_points import SurfacePoints as SurfacePoints
from numpyro_splines.functions.surface_points import local_table as local_table
from numpyro_splines.functions.surface_points import located as located
