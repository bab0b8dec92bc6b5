"""M-, I- and C-splines: non-negative coefficients give densities, monotone and convex curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines import knots as knot_rules
from numpyro_splines.arguments import flag
from numpyro_splines.bases.base import AbstractCombinedBasis
from numpyro_splines.bases.bspline import BSplineBasis
from numpyro_splines.bases.cyclic import CyclicBasis
from numpyro_splines.extrapolation import Constant, Linear, Zero
from numpyro_splines.ops.penalties import bspline_integrals
from numpyro_splines.validation import breakpoint_array, order_at_least


class MSplineBasis(AbstractCombinedBasis):
    """M-splines: B-splines scaled to unit integral.

    M_j = B_j (degree + 1) / (t_{j+degree+1} - t_j), with t the clamped knots.
    Coefficients on the simplex give a probability density on the domain; non-negative ones a hazard
    or intensity. As splines2's `mSpline(intercept = TRUE)`.

    Args:
        breakpoints: strictly increasing, both ends of the domain included, in the units of x.
        degree: polynomial degree of the M-splines, at least 0.
        extrapolation: as in `BSplineBasis`, but zero outside by default: a density has no mass
            there, and a tangent would go below zero.

    Attributes:
        spline: the B-splines on the same knots.
        matrix: diagonal, the scale factors.

    Raises:
        TypeError: as `BSplineBasis`, or if the breakpoints are traced.
        ValueError: as `BSplineBasis`.

    Example:
        >>> import numpyro_splines as ns
        >>> density = ns.MSplineBasis([0.0, 1.0, 3.0]).curve([0.1, 0.2, 0.3, 0.2, 0.2])
        >>> print(density.integrate(-9.0, 9.0).round(5), density([-0.1, 3.1]))
        1.0 [0. 0.]

    References:
        Ramsay, Monotone regression splines in action (1988), equation (2).
    """

    spline: BSplineBasis
    matrix: Float[Array, "..."] | np.ndarray

    def __init__(self, breakpoints: ArrayLike, *, degree: int = 3, extrapolation: Any = Zero()):
        knots = _clamped(breakpoints, degree)
        self.spline = BSplineBasis(knots=knots, degree=degree, extrapolation=extrapolation)
        self.matrix = np.diag(1.0 / bspline_integrals(knots, degree))


class CyclicMSplineBasis(AbstractCombinedBasis):
    """Periodic M-splines: functions on a circle, each with unit integral over one period.

    Coefficients on the simplex give a density on the circle. As splines2's
    `mSpline(periodic = TRUE, intercept = TRUE)`: M intervals give M functions, and the support of
    function i starts at breakpoint i. x outside the domain is moved into it by whole periods.

    Args:
        breakpoints: strictly increasing over exactly one period, both ends included, in the units
            of x.
        degree: polynomial degree, at least 0.

    Attributes:
        spline: the B-splines before they are joined.
        matrix: which of them are joined, and the scale factors.

    Raises:
        TypeError: as `CyclicBasis`.
        ValueError: as `CyclicBasis`.

    Example:
        >>> import numpyro_splines as ns
        >>> density = ns.CyclicMSplineBasis([0.0, 1.0, 3.0, 4.0]).curve([0.2, 0.3, 0.5])
        >>> print(density.integrate(-1.0, 3.0).round(5))
        1.0

    References:
        Wang and Yan, Shape-restricted regression splines with R package splines2 (2021), section 2.
    """

    spline: BSplineBasis
    matrix: Float[Array, "..."] | np.ndarray

    def __init__(self, breakpoints: ArrayLike, *, degree: int = 3):
        cyclic = CyclicBasis(breakpoints, degree=degree)
        points = breakpoint_array(breakpoints)
        self.spline = cyclic.spline
        joined = np.asarray(cyclic.matrix)
        # The functions sum to one, so the Gram matrix sums to their integrals.
        scaled = joined / (cyclic.gram().sum(axis=0) * (points[-1] - points[0]))
        # Function i of the cyclic basis starts at breakpoint i - degree.
        self.matrix = np.roll(scaled, -degree, axis=1)


class ISplineBasis(AbstractCombinedBasis):
    """I-splines: integrals of M-splines from the left end, rising from 0 to 1.

    Non-negative coefficients give a non-decreasing curve that is zero at the left end. As
    `iSpline(intercept = TRUE)` of splines2: `degree` is that of the M-splines, the curves have
    degree + 1.

    Args:
        breakpoints: strictly increasing, both ends of the domain included, in the units of x.
        degree: polynomial degree of the M-splines, at least 0.
        extrapolation: as in `BSplineBasis`, but constant outside by default: zero on the left, and
            where coefficients sum to one a distribution function stays one on the right.
            `Linear()` leads a latent input back, and makes a curve with a slope at both ends
            invertible everywhere.

    Attributes:
        spline: B-splines of degree + 1.
        matrix: ones below the diagonal: I_j is the sum of the B-splines after the j-th.

    Raises:
        TypeError: as `MSplineBasis`.
        ValueError: as `MSplineBasis`.

    Example:
        >>> import numpyro_splines as ns
        >>> print(ns.ISplineBasis([0.0, 1.0], degree=1)([-0.5, 0.5, 1.5]))
        [[0.   0.  ]
         [0.75 0.25]
         [1.   1.  ]]

    References:
        Ramsay, Monotone regression splines in action (1988), equation (4).
    """

    spline: BSplineBasis
    matrix: Float[Array, "..."] | np.ndarray

    def __init__(self, breakpoints: ArrayLike, *, degree: int = 3, extrapolation: Any = Constant()):
        degree = order_at_least(degree, 0, "degree")
        knots = _clamped(breakpoints, degree + 1)
        self.spline = BSplineBasis(knots=knots, degree=degree + 1, extrapolation=extrapolation)
        num = len(knots) - degree - 2
        self.matrix = np.tri(num, num - 1, -1)


class CSplineBasis(AbstractCombinedBasis):
    """C-splines: integrals of I-splines from the left end, scaled to one at the right end.

    Non-negative coefficients give a convex non-decreasing curve; add an intercept and a linear term
    for any convex curve. As splines2's `cSpline(intercept = TRUE)`: `degree` is that of the
    M-splines, the curves have degree + 2.

    Args:
        breakpoints: strictly increasing, both ends of the domain included, in the units of x.
        degree: polynomial degree of the M-splines, at least 0.
        scaled: whether each function is divided by its value at the right end.
        extrapolation: as in `BSplineBasis`.

    Attributes:
        spline: B-splines of degree + 2.
        matrix: coefficients of the C-splines in them.

    Raises:
        TypeError: as `MSplineBasis`.
        ValueError: as `MSplineBasis`.

    Example:
        >>> import numpyro_splines as ns
        >>> print(ns.CSplineBasis([0.0, 1.0], degree=0)([0.0, 0.5, 1.0]).ravel())
        [0.   0.25 1.  ]

    References:
        Meyer, Inference using shape-restricted regression splines (2008), section 2.
    """

    spline: BSplineBasis
    matrix: Float[Array, "..."] | np.ndarray

    def __init__(
        self,
        breakpoints: ArrayLike,
        *,
        degree: int = 3,
        scaled: bool = True,
        extrapolation: Any = Linear(),
    ):
        degree, scaled = order_at_least(degree, 0, "degree"), flag(scaled, "scaled")
        rising = ISplineBasis(breakpoints, degree=degree)
        knots = _clamped(breakpoints, degree + 2)
        self.spline = BSplineBasis(knots=knots, degree=degree + 2, extrapolation=extrapolation)
        # The coefficients of an integral are cumulative sums of coefficients times integrals.
        integrals = bspline_integrals(_clamped(breakpoints, degree + 1), degree + 1)
        weights = integrals[:, None] * rising.matrix
        matrix = np.concatenate([np.zeros((1, weights.shape[1])), np.cumsum(weights, axis=0)])
        self.matrix = matrix / matrix[-1] if scaled else matrix


def _clamped(breakpoints: ArrayLike, degree: int) -> np.ndarray:
    degree = order_at_least(degree, 0, "degree")
    return knot_rules.clamped(breakpoint_array(breakpoints), degree)
