"""Constraints, each with the numbers that must be zero, computed from the curve in another way.

The other way is given f(x, m), the derivative of order m at x, on the domain [-1, 3] with knots at
`UNEVEN`. A constraint may be a function of the basis.
"""

import numpy as np

from cases.bases import UNEVEN
from numpyro_splines import constraints as cs

X = np.random.default_rng(0).normal(0.5, 1.5, 50)  # some outside the domain
WEIGHTS = np.random.default_rng(1).uniform(size=50)
ENDS, TWO = np.array([-1.0, 3.0]), np.array([0.4, 2.3])


def integral(f):
    """Over the domain, by 20 Gauss points between any two knots."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half = np.diff(UNEVEN)[:, None] / 2
    return np.sum(half * weights * f(UNEVEN[:-1, None] + half * (nodes + 1)))


def _measured(f):
    clipped = np.clip(X, *ENDS)
    return np.average(f(clipped), weights=WEIGHTS)


def _periodic(f):
    return [np.diff(f(ENDS, m)) for m in range(3)]


CONSTRAINTS = {
    "linear": (lambda basis: cs.Linear(basis.collocation(TWO)), lambda f: f(TWO)),
    "integral": (cs.ZeroIntegral(), integral),
    "measure": (cs.ZeroIntegral((np.clip(X, *ENDS), WEIGHTS)), _measured),
    "mean": (cs.ZeroMean(X), lambda f: np.mean(f(X))),
    "points": (cs.ZeroAt([0.1, 2.0]), lambda f: f(np.array([0.1, 2.0]))),
    "slope_at": (cs.ZeroAt(0.2, 1), lambda f: f(np.array([0.2]), 1)),
    "start": (cs.ZeroStart(), lambda f: f(ENDS[:1])),
    "start_flat": (cs.ZeroStart(1), lambda f: f(ENDS[:1], 1)),
    "finish_flat": (cs.ZeroEnd(1), lambda f: f(ENDS[1:], 1)),
    "clamped": (cs.Clamped(), lambda f: f(ENDS, 1)),
    "periodic": (cs.Periodic(2), _periodic),
    "functional": (
        cs.Functional(lambda f: f(0.0) - 2 * f(1.0)),
        lambda f: f(np.array([0.0, 1.0])) @ np.array([1.0, -2.0]),
    ),
}
