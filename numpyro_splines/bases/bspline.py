"""B-splines on breakpoints, with a choice of extrapolation."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines import knots as knot_rules
from numpyro_splines.arguments import flag
from numpyro_splines.bases.base import AbstractBasis
from numpyro_splines.designs import LocatedPoints
from numpyro_splines.extrapolation import (
    AbstractExtrapolation,
    Linear,
    Periodic,
    as_pair,
    extend,
)
from numpyro_splines.functions import Curve
from numpyro_splines.ops import bspline, penalties, piecewise
from numpyro_splines.ops.arrays import one_program
from numpyro_splines.validation import (
    check_knots,
    float64_array,
    float_dtype,
    is_traced,
    order_at_least,
    real_array,
)


class BSplineBasis(AbstractBasis):
    """B-splines B_1, ..., B_K of one degree over a domain, continued outside it.

    f(x) = sum_j c_j B_j(x), piecewise polynomial of the given degree between the breakpoints, with
    degree - 1 continuous derivatives; the B_j are non-negative, sum to one on the domain and
    reproduce polynomials up to the degree. Right-continuous at breakpoints in every derivative, the
    left limit at the right end of the domain.

    Any degree and any place of the knots are accurate in float32 too. Above the fifth degree a knot
    interval has several rows of the table. Where knots are far from zero for their distance, such
    as Julian days or Unix seconds, x and the knots are taken relative to the first knot, in float64
    for what is known (NumPy, pandas). A float32 array of such x has lost its digits before it comes
    and is refused; a traced one cannot be looked at: subtract the offset from x and from the knots.

    Args:
        breakpoints: strictly increasing, both ends of the domain included (`numpyro_splines.knots`
            makes them), in the units of x.
        degree: polynomial degree, at least 0; 3 is cubic.
        knots: a full knot vector, instead of `breakpoints`, shape (K + degree + 1,): repeated
            interior knots, or the even knots beyond the ends of P-splines
            (`numpyro_splines.knots.extended`). Without it the
            knots are clamped: the ends have multiplicity degree + 1.
        extrapolation: what curves do outside the domain, an object of
            `numpyro_splines.extrapolation` or a pair (left, right).

    Attributes:
        knots: full knot vector.
        degree: polynomial degree.
        extrapolation: the pair (left, right).

    Raises:
        TypeError: if the breakpoints are not real numbers, or the extrapolation is no such object.
        ValueError: if the breakpoints are not strictly increasing and finite, fewer than two, or
            the degree is negative.

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.BSplineBasis(ns.knots.uniform(0.0, 2.0, 3), degree=2)
        >>> basis.num_coefficients
        4
        >>> print(basis([0.0, 0.5, 2.0]))
        [[1.    0.    0.    0.   ]
         [0.25  0.625 0.125 0.   ]
         [0.    0.    0.    1.   ]]

        Julian days, whose numbers are 0.25 apart in float32:

        >>> days = ns.BSplineBasis([2460000.0, 2460001.0, 2460002.0], degree=1)
        >>> print(days.curve([0.0, 1.0, 4.0])([2460000.1, 2460001.5]))
        [0.1 2.5]

    References:
        de Boor, A Practical Guide to Splines (2001), chapter IX.
    """

    knots: Float[Array, "..."] | np.ndarray
    extrapolation: tuple[AbstractExtrapolation, AbstractExtrapolation]
    degree: int = eqx.field(static=True)

    def __init__(
        self,
        breakpoints: ArrayLike | None = None,
        *,
        degree: int = 3,
        knots: ArrayLike | None = None,
        extrapolation: Any = Linear(),
    ):
        if (breakpoints is None) == (knots is None):
            raise TypeError(
                "`breakpoints` or the keyword `knots` (a full knot vector) must be given, and not "
                f"both; got {'neither' if knots is None else 'both'}."
            )
        self.degree = order_at_least(degree, 0, "degree")
        if knots is None:
            knots = knot_rules.clamped(breakpoints, self.degree)
        self.knots = check_knots(knots, self.degree)
        self.extrapolation = as_pair(extrapolation)

    @property
    def num_coefficients(self) -> int:
        """The number K = len(knots) - degree - 1 of B-splines."""
        return self.knots.shape[0] - self.degree - 1

    @property
    def domain(self) -> tuple[Any, Any]:
        """The base interval (knots[degree], knots[-degree-1])."""
        return self.knots[self.degree], self.knots[self.num_coefficients]

    @property
    def _periodic(self) -> bool:
        return isinstance(self.extrapolation[0], Periodic)

    def __call__(self, x: ArrayLike) -> Float[Array, "*points num_coefficients"]:
        """See `AbstractBasis.__call__`."""
        x, local = real_array(x, "x"), self._local()
        table = extend(bspline.function_table(local), self.extrapolation)
        x, _, cells = piecewise.place(x, local.breakpoints, float_dtype(x), periodic=self._periodic)
        x, num = jnp.asarray(x), self.num_coefficients
        return bspline.design_matrix(x, cells, local.first, table, num, non_negative=True)

    def curve(self, coefficients: ArrayLike) -> Curve:
        """See `AbstractBasis.curve`."""
        coefficients = real_array(coefficients, "coefficients")
        bspline.check_coefficients(coefficients, self.num_coefficients)
        local = self._local()
        # Known coefficients make a table on the host, in the dtype that JAX has for them.
        coefficients = coefficients.astype(float_dtype(coefficients))
        known = not (is_traced(coefficients) or is_traced(self.knots))
        table = (_table if known else _table_at_once)(coefficients, local, self.extrapolation)
        return Curve(local.breakpoints, jnp.asarray(table), periodic=self._periodic)

    def at(self, x: ArrayLike) -> LocatedPoints:
        """See `AbstractBasis.at`."""
        local = bspline.local_basis(self._concrete_knots(), self.degree)
        return LocatedPoints.of(x, local.breakpoints, periodic=self._periodic)

    def collocation(self, x: Any, derivative: int = 0) -> np.ndarray:
        """See `AbstractBasis.collocation`."""
        points = np.asarray(real_array(x, "x"), dtype=np.float64)
        local = bspline.local_basis(self._concrete_knots(), self.degree)
        table = extend(bspline.function_table(local), self.extrapolation)
        order = order_at_least(derivative, 0, "derivative")
        table = piecewise.differentiate(table, local.breakpoints, order)
        if self._periodic:
            points, _ = piecewise.wrap(points, local.breakpoints)
        first, num, cells = local.first, self.num_coefficients, local.breakpoints
        return bspline.design_matrix(points, cells, first, table, num, non_negative=order == 0)

    def pieces(self) -> tuple[np.ndarray, np.ndarray, bool]:
        """The functions as piecewise polynomials on the host, float64.

        Returns:
            Breakpoints, shape (M + 1,), tables of all functions, shape (K, M + 2, degree + 1), and
            whether they are periodic.
        """
        local = bspline.local_basis(self._concrete_knots(), self.degree)
        rows = bspline.spline_table(local, np.eye(self.num_coefficients))
        return local.breakpoints, extend(rows, self.extrapolation), self._periodic

    @property
    def panels(self) -> tuple[np.ndarray, int]:
        """See `AbstractBasis.panels`: the breakpoints, exact for products of two functions."""
        inner = self._concrete_knots()[self.degree : self.num_coefficients + 1]
        return np.unique(inner), 2 * self.degree

    def gram(self, measure: Any = None) -> np.ndarray:
        """See `AbstractBasis.gram`."""
        mu = self.measure(measure)
        return penalties.gram_matrix(self._concrete_knots(), self.degree, mu.points, mu.weights)

    def _penalty(self, order: int, edges: np.ndarray) -> np.ndarray:
        order = self._check_order(order, self.degree, "degree")
        return penalties.derivative_penalty(self._concrete_knots(), self.degree, order, edges)

    def difference_penalty(self, order: int, *, plain: bool = False) -> np.ndarray:
        """See `AbstractBasis.difference_penalty` and `ops.penalties.difference_penalty`.

        Unless they are plain, the order is at most degree + 1, so that the null space is polynomial
        on any knots. Plain differences have polynomials in the index of the coefficient there:
        polynomials in x on even (extended) knots only.
        """
        if flag(plain, "plain"):
            return penalties.plain_difference_penalty(self.num_coefficients, order)
        order = self._check_order(order, self.degree + 1, "degree + 1")
        return penalties.difference_penalty(self._concrete_knots(), self.degree, order)

    def difference_null_space(self, order: int, *, plain: bool = False) -> np.ndarray:
        """See `AbstractBasis.difference_null_space`; polynomials in the index if plain."""
        if not flag(plain, "plain"):
            return self.null_space(order)
        return np.vander(np.linspace(-1.0, 1.0, self.num_coefficients), order, increasing=True)

    def polynomials(self, order: int) -> np.ndarray:
        """See `AbstractBasis.polynomials`; those of degree above the basis' are not contained."""
        order = min(order_at_least(order, 0, "order"), self.degree + 1)
        return penalties.monomial_coefficients(self._concrete_knots(), self.degree, order)

    def _local(self) -> bspline.LocalBasis:
        return bspline.local_basis(self.knots, self.degree)

    def _concrete_knots(self) -> np.ndarray:
        return float64_array(self.knots, "knots")

    def _check_order(self, order: int, largest: int, meaning: str) -> int:
        order = order_at_least(order, 0, "order")
        if order > largest:
            raise ValueError(
                f"`order` must be at most {meaning} = {largest}; got {order}. "
                "Use a basis of higher degree or a lower order."
            )
        if order >= self.num_coefficients:
            raise ValueError(
                f"`order` must be less than the number of basis functions, "
                f"{self.num_coefficients}; got {order}. Use more breakpoints."
            )
        return order


def _table(
    coefficients: Any,
    local: bspline.LocalBasis,
    extrapolation: tuple[AbstractExtrapolation, AbstractExtrapolation],
) -> Any:
    return extend(bspline.spline_table(local, coefficients), extrapolation)


_table_at_once = one_program()(_table)
