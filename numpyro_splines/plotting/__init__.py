"""Pictures of curves, surfaces, what they are made of, and latent inputs: axes in, axes out.

Each function takes `axes=`, and makes a new figure without it. Names of axes come from the names
of curves and labeled arrays; whatever is drawn can be changed afterwards through the axes.

effect, effects, compare, spaghetti      curves with bands, data, draws
groups                                   a curve by group, one panel for each
surface, slices, anova                   functions of several inputs, and what they are sums of
levels, areas                            a number for each group, or on a map
derivative, effect_and_derivative        slopes, and where they are clearly not zero
bands                                    draws of anything on a grid
residuals                                what is left, against normal quantiles or an input
latent_inputs                            random inputs as intervals at their responses
prior, prior_posterior                   before data, and what data changed
basis, modes, penalty                    what an effect is made of
"""

from numpyro_splines.plotting.anova import anova as anova
from numpyro_splines.plotting.curves import compare as compare
from numpyro_splines.plotting.curves import derivative as derivative
from numpyro_splines.plotting.curves import effect as effect
from numpyro_splines.plotting.curves import spaghetti as spaghetti
from numpyro_splines.plotting.draws import bands as bands
from numpyro_splines.plotting.latent import latent_inputs as latent_inputs
from numpyro_splines.plotting.maps import areas as areas
from numpyro_splines.plotting.maps import levels as levels
from numpyro_splines.plotting.panels import effect_and_derivative as effect_and_derivative
from numpyro_splines.plotting.panels import effects as effects
from numpyro_splines.plotting.panels import groups as groups
from numpyro_splines.plotting.parts import basis as basis
from numpyro_splines.plotting.parts import modes as modes
from numpyro_splines.plotting.parts import penalty as penalty
from numpyro_splines.plotting.priors import prior as prior
from numpyro_splines.plotting.priors import prior_posterior as prior_posterior
from numpyro_splines.plotting.residuals import residuals as residuals
from numpyro_splines.plotting.style import BLUE as BLUE
from numpyro_splines.plotting.style import GRAY as GRAY
from numpyro_splines.plotting.style import GREEN as GREEN
from numpyro_splines.plotting.style import ORANGE as ORANGE
from numpyro_splines.plotting.style import PALETTE as PALETTE
from numpyro_splines.plotting.style import PURPLE as PURPLE
from numpyro_splines.plotting.surfaces import slices as slices
from numpyro_splines.plotting.surfaces import surface as surface
