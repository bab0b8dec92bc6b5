"""Periodic B-splines."""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines import knots as knot_rules
from numpyro_splines.bases.base import AbstractCombinedBasis
from numpyro_splines.bases.bspline import BSplineBasis
from numpyro_splines.extrapolation import Periodic
from numpyro_splines.ops.penalties import plain_difference_penalty
from numpyro_splines.validation import breakpoint_array, order_at_least


class CyclicBasis(AbstractCombinedBasis):
    """B-splines on a circle: every combination has period b[-1] - b[0], with all its derivatives.

    Function i is the sum of the B-splines on the periodically repeated breakpoints whose support
    starts at breakpoint i - degree, modulo the number of intervals. Functions are non-negative,
    sum to one, and have degree - 1 continuous derivatives everywhere, across the ends too. Outside
    the domain x is moved into it by whole periods.

    Args:
        breakpoints: strictly increasing over exactly one period, both ends included, in the units
            of x; M + 1 of them give M functions.
        degree: polynomial degree, at least 0; 3 is cubic.

    Attributes:
        spline: the B-splines before they are joined.
        matrix: zeros and ones, shape (M + degree, M).

    Raises:
        TypeError: if the breakpoints are not real numbers or are traced.
        ValueError: if they are not strictly increasing and finite, or the degree is negative.

    Example:
        >>> import numpyro_splines as ns
        >>> month = ns.CyclicBasis(ns.knots.uniform(0.0, 12.0, 7))
        >>> month.num_coefficients
        6
        >>> january = month.curve([0.0, 0.0, 6.0, 0.0, 0.0, 0.0])
        >>> print(january([2.0, 14.0, -10.0]).round(4))
        [4. 4. 4.]

    References:
        Wood, Generalized Additive Models (2017), section 5.3.6; the functions are those of mgcv's
        `cSplineDes`.
    """

    spline: BSplineBasis
    matrix: Float[Array, "..."] | np.ndarray

    def __init__(self, breakpoints: ArrayLike, *, degree: int = 3):
        degree = order_at_least(degree, 0, "degree")
        points = breakpoint_array(breakpoints)
        knots = knot_rules.periodic(points, degree)
        self.spline = BSplineBasis(knots=knots, degree=degree, extrapolation=Periodic())
        num = points.size - 1
        self.matrix = np.eye(num)[np.arange(num + degree) % num]

    def difference_penalty(self, order: int, *, plain: bool = False) -> np.ndarray:
        """S = D' D with D the plain differences around the circle, as mgcv's `cp`.

        Its null space is the constant, on any breakpoints.

        Args:
            order: of the differences.
            plain: differences around the circle are always plain ones.

        Returns:
            Positive semi-definite matrix, shape (K, K), float64.
        """
        del plain
        return plain_difference_penalty(self.num_coefficients, order, cyclic=True)
