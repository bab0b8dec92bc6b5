"""The registry: bases, extrapolation rules, constraints, priors, distributions and transforms.

Laws are checked on all of it. Everything is made when it is first asked for, so that collecting
the tests costs nothing. A new class is one more line; `test_registry.py` finds those missing.
"""

from cases.bases import BASES as BASES
from cases.bases import CASES as CASES
from cases.bases import UNEVEN as UNEVEN
from cases.bases import Case as Case
from cases.bases import Fourier as Fourier
from cases.bases import compiled as compiled
from cases.constraints import CONSTRAINTS as CONSTRAINTS
from cases.distributions import DISTRIBUTIONS as DISTRIBUTIONS
from cases.distributions import MEMBERS as MEMBERS
from cases.distributions import TRANSFORMS as TRANSFORMS
from cases.distributions import distribution_case as distribution_case
from cases.distributions import integrated_response as integrated_response
from cases.distributions import measured_together as measured_together
from cases.distributions import transform_case as transform_case
from cases.extrapolations import EXTRAPOLATIONS as EXTRAPOLATIONS
from cases.noise import affine_map as affine_map
from cases.priors import GAUSSIAN_PRIORS as GAUSSIAN_PRIORS
from cases.priors import POINTS as POINTS
from cases.priors import PRIORS as PRIORS
from cases.priors import ROWS as ROWS
from cases.priors import SKEWED as SKEWED
from cases.priors import dense_covariance as dense_covariance
from cases.priors import prior_case as prior_case
