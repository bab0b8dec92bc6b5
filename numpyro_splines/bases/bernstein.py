"""Bernstein polynomials."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Array, Float

from numpyro_splines import knots as knot_rules
from numpyro_splines.bases.base import AbstractCombinedBasis
from numpyro_splines.bases.bspline import BSplineBasis
from numpyro_splines.extrapolation import Linear


class BernsteinBasis(AbstractCombinedBasis):
    """Bernstein polynomials, the B-splines of a single interval.

    b_j(x) = binomial(degree, j) u^j (1 - u)^(degree - j) with u = (x - lower) / (upper - lower).
    Non-negative, they sum to one, and increasing (convex) coefficients give increasing (convex)
    polynomials. Accurate to degree 30 in float32 as well.

    Args:
        lower: left end of the domain.
        upper: right end.
        degree: polynomial degree, at least 0; degree + 1 functions.
        extrapolation: as in `BSplineBasis`.

    Attributes:
        spline: the B-splines on the single interval.
        matrix: the identity.

    Raises:
        TypeError: as `BSplineBasis`.
        ValueError: as `BSplineBasis`, or if the ends are not increasing.

    Example:
        >>> import numpyro_splines as ns
        >>> print(ns.BernsteinBasis(0.0, 2.0, degree=2)(1.0))
        [0.25 0.5  0.25]
    """

    spline: BSplineBasis
    matrix: Float[Array, "..."] | np.ndarray

    def __init__(
        self, lower: float, upper: float, *, degree: int = 3, extrapolation: Any = Linear()
    ):
        ends = knot_rules.uniform(lower, upper, 2)
        self.spline = BSplineBasis(ends, degree=degree, extrapolation=extrapolation)
        self.matrix = np.eye(self.spline.num_coefficients)
