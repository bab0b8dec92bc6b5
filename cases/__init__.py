"""The registry: every basis, extrapolation rule and constraint that the laws are checked on.

Everything is made when it is first asked for, so that collecting the tests costs nothing. A new
class is one more line; `test_registry.py` finds those that are missing.
"""

from cases.bases import BASES as BASES
from cases.bases import CASES as CASES
from cases.bases import UNEVEN as UNEVEN
from cases.bases import Case as Case
from cases.bases import Fourier as Fourier
from cases.bases import compiled as compiled
from cases.constraints import CONSTRAINTS as CONSTRAINTS
from cases.extrapolations import EXTRAPOLATIONS as EXTRAPOLATIONS
