"""Natural splines: straight beyond the ends."""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.bases.base import AbstractCombinedBasis
from numpyro_splines.bases.bspline import BSplineBasis
from numpyro_splines.validation import breakpoint_array, order_at_least


class NaturalBasis(AbstractCombinedBasis):
    r"""Splines of odd degree that continue as straight lines with all their derivatives.

    f'' = f''' = ... = f^(degree - 1) = 0 at both ends, so that the linear continuation joins with
    degree - 1 continuous derivatives, as at every other breakpoint. Cubic: the usual natural
    spline. (The quintic spline that minimizes the integral of f'''^2 is another one: it has
    f''' = f'''' = 0 at the ends and continues as a parabola.)

    The functions are non-negative on the domain. At each end two of them, whose first (last)
    `degree` B-spline coefficients are proportional to 1 and to the distance of the Greville
    abscissae from the end; between them plain B-splines. Each has coefficients with sum one: for
    cubics these are the functions of splines2's `naturalSpline(intercept = TRUE)`. They span the
    constant but sum to it only with weights. The same curves with values at the knots as
    coefficients are `CubicRegressionBasis`.

    Args:
        breakpoints: strictly increasing, both ends of the domain included, in the units of x. M
            intervals give M - degree + 4 functions (M + 1 for cubics and lines), and at least the
            2 straight lines (M + 1 at degree 1).
        degree: polynomial degree, odd.

    Attributes:
        spline: B-splines of that degree, linear beyond the ends.
        matrix: their coefficients.

    Raises:
        TypeError: if the breakpoints are not real numbers or are traced.
        ValueError: if they are not strictly increasing and finite, or the degree is even or
            negative.

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.NaturalBasis([0.0, 1.0, 2.0, 4.0])
        >>> curve = basis.curve([1.0, -2.0, 0.0, 3.0])
        >>> print(abs(curve.derivative(2)([0.0, 4.0, 9.0]).round(5)))
        [0. 0. 0.]

    References:
        Wang and Yan, Shape-restricted regression splines with R package splines2 (2021), section 2;
        de Boor, A Practical Guide to Splines (2001), chapter XIII.
    """

    spline: BSplineBasis
    matrix: Float[Array, "..."] | np.ndarray

    def __init__(self, breakpoints: ArrayLike, *, degree: int = 3):
        degree = order_at_least(degree, 1, "degree")
        if degree % 2 == 0:
            raise ValueError(
                f"`degree` of a natural spline must be odd, 3 for cubic; got {degree}."
            )
        self.spline = BSplineBasis(breakpoint_array(breakpoints), degree=degree)
        self.matrix = _natural(self.spline.polynomials(2)[:, 1], degree)


def _natural(greville: np.ndarray, degree: int) -> np.ndarray:
    """B-spline coefficients of the functions: runs of `degree` at both ends lie on lines.

    f and its first degree - 1 derivatives at an end determine the first `degree` coefficients, and
    for a straight line these are linear in the Greville abscissae.
    """
    num = greville.size
    if degree == 1:
        return np.eye(num)
    if num < 2 * degree - 1:  # The runs share two coefficients or more: one line.
        functions = np.stack([greville[-1] - greville, greville - greville[0]], axis=1)
    elif num == 2 * degree - 1:  # They share one: lines with a kink there.
        nodes = greville[[0, degree - 1, -1]]
        functions = np.stack([np.interp(greville, nodes, e) for e in np.eye(3)], axis=1)
    else:
        functions = np.eye(num)[:, degree - 2 : num - degree + 2]
        functions[:degree, :2] = np.stack(
            [np.ones(degree), greville[:degree] - greville[0]], axis=1
        )
        functions[-degree:, -1] = 1.0
        functions[-degree:, -2] = greville[-1] - greville[-degree:]
    return functions / functions.sum(axis=0)
