"""Cubic regression splines: coefficients are the values of f at the knots."""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.bases.base import AbstractCombinedBasis
from numpyro_splines.bases.bspline import BSplineBasis
from numpyro_splines.bases.cyclic import CyclicBasis
from numpyro_splines.validation import breakpoint_array


class CubicRegressionBasis(AbstractCombinedBasis):
    """Natural cubic splines by their values at the knots: b_j(knot_i) = 1 if i = j, else 0.

    Linear beyond the ends, f'' = 0 there; mgcv's `bs="cr"`. The functions sum to one. With
    `penalty(2)` it has the minimal integral of f''^2 of all functions through the values.

    Args:
        knots: strictly increasing, both ends of the domain included, in the units of x, at least
            3; for mgcv's default `numpyro_splines.knots.quantile(numpy.unique(x), k)`.

    Attributes:
        spline: cubic B-splines on these breakpoints, linear beyond the ends.
        matrix: their coefficients, shape (k + 2, k).

    Raises:
        TypeError: if the knots are not real numbers or are traced.
        ValueError: if they are not strictly increasing and finite, or fewer than 3.

    Example:
        >>> import numpyro_splines as ns
        >>> curve = ns.CubicRegressionBasis([0.0, 1.0, 3.0]).curve([1.0, -2.0, 5.0])
        >>> print(curve([0.0, 1.0, 3.0]).round(5))
        [ 1. -2.  5.]

    References:
        Wood, Generalized Additive Models (2017), section 5.3.1.
    """

    spline: BSplineBasis
    matrix: Float[Array, "..."] | np.ndarray

    def __init__(self, knots: ArrayLike):
        points = _at_least(breakpoint_array(knots, "knots"), 3)
        self.spline = BSplineBasis(points)
        ends = points[[0, -1]]
        conditions = [self.spline.collocation(points), self.spline.collocation(ends, 2)]
        # The second derivatives scale with the knots; solve in units of order one.
        conditions[1] = conditions[1] / np.abs(conditions[1]).max(axis=1, keepdims=True)
        right = np.eye(points.size + 2, points.size)
        self.matrix = np.linalg.solve(np.concatenate(conditions), right)


class CyclicCubicRegressionBasis(AbstractCombinedBasis):
    """Periodic cubic splines by their values at the knots; mgcv's `bs="cc"`.

    The last knot is the first one a period later, so k knots give k - 1 coefficients, the values at
    all knots but the last. x outside the domain is moved into it by whole periods.

    Args:
        knots: strictly increasing over exactly one period, both ends included, in the units of x,
            at least 4.

    Attributes:
        spline: cubic B-splines on the periodically repeated knots.
        matrix: their coefficients, shape (k + 2, k - 1).

    Raises:
        TypeError: if the knots are not real numbers or are traced.
        ValueError: if they are not strictly increasing and finite, or fewer than 4.

    Example:
        >>> import numpyro_splines as ns
        >>> wave = ns.CyclicCubicRegressionBasis([0.0, 1.0, 2.0, 4.0]).curve([0.0, 1.0, 2.0])
        >>> print(wave([1.0, 2.0, 5.0, 6.0]).round(5))
        [1. 2. 1. 2.]

    References:
        Wood, Generalized Additive Models (2017), section 5.3.2.
    """

    spline: BSplineBasis
    matrix: Float[Array, "..."] | np.ndarray

    def __init__(self, knots: ArrayLike):
        points = _at_least(breakpoint_array(knots, "knots"), 4)
        cyclic = CyclicBasis(points)
        self.spline = cyclic.spline
        self.matrix = cyclic.matrix @ np.linalg.inv(cyclic.collocation(points[:-1]))


def _at_least(knots: np.ndarray, num: int) -> np.ndarray:
    if knots.size < num:
        raise ValueError(f"`knots` must hold at least {num} values; got {knots.size}.")
    return knots
