"""B-splines: knots to local polynomials, coefficients to tables, and the public operations."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.ops import piecewise
from numpyro_splines.ops.piecewise import array_module, safe_reciprocal
from numpyro_splines.ops.sums import weighted_sum
from numpyro_splines.validation import check_knots, float_input, integer_at_least


class LocalBasis(NamedTuple):
    """The B-splines that are not zero, as polynomials on each knot interval.

    Attributes:
        breakpoints: ends of the intervals, shape (M + 1,).
        pieces: shape (M, degree + 1, degree + 1); pieces[i, j, k] multiplies u**k in B-spline
            first[i] + j on interval i, u in [0, 1].
        first: index of the first non-zero B-spline on each interval, shape (M,), static.
    """

    breakpoints: Any
    pieces: Any
    first: np.ndarray


def local_basis(knots: Any, degree: int) -> LocalBasis:
    """Local polynomials of the B-splines over the base interval [t[degree], t[-degree-1]].

    The Cox-de Boor recursion in the normalized coordinate x = t_i + h u, on coefficients of powers
    of u instead of numbers:

        B_{m,k} = (x - t_m) / (t_{m+k} - t_m) B_{m,k-1} + (t_{m+k+1} - x) / (t_{m+k+1} - t_{m+1})
                  B_{m+1,k-1}

    Both terms are non-negative on the interval, so nothing cancels. Concrete knots are processed in
    float64 NumPy and empty intervals dropped; traced knots keep all intervals, with division by
    empty supports guarded, so that gradients stay finite when knots coalesce.

    Args:
        knots: full knot vector, non-decreasing.
        degree: polynomial degree.

    References:
        de Boor, A Practical Guide to Splines (2001), chapter X, equation (14).
    """
    xp = array_module(knots)
    interval = np.arange(degree, knots.shape[0] - degree - 1)
    if xp is np:
        interval = interval[np.diff(knots)[interval] > 0]
        breakpoints = np.append(knots[interval], knots[interval[-1] + 1])
    else:
        breakpoints = knots[degree : knots.shape[0] - degree]
    left = knots[interval]
    width = knots[interval + 1] - left
    pieces = xp.ones((interval.size, 1, 1), dtype=knots.dtype)
    for k in range(1, degree + 1):
        lower = knots[interval[:, None] + np.arange(1 - k, 1)]
        upper = knots[interval[:, None] + np.arange(1, k + 1)]
        weight = safe_reciprocal(upper - lower)[:, :, None] * pieces
        slope = width[:, None, None] * weight
        rising = _times_line((left[:, None] - lower)[:, :, None] * weight, slope, xp)
        falling = _times_line((upper - left[:, None])[:, :, None] * weight, -slope, xp)
        none = xp.zeros_like(rising[:, :1])
        pieces = xp.concatenate([none, rising], axis=1) + xp.concatenate([falling, none], axis=1)
    return LocalBasis(breakpoints, pieces, interval - degree)


def _times_line(constant: Any, slope: Any, xp: Any) -> Any:
    """constant(u) + u slope(u), as coefficients of powers of u."""
    none = xp.zeros_like(constant[..., :1])
    return xp.concatenate([constant, none], axis=-1) + xp.concatenate([none, slope], axis=-1)


def spline_table(basis: LocalBasis, coefficients: Any) -> Any:
    """Interval rows of the table of sum_j coefficients[..., j] B_j, shape (*batch, M, degree + 1).

    The caller adds the rows outside the domain.
    """
    window = coefficients[..., basis.first[:, None] + np.arange(basis.pieces.shape[1])]
    return weighted_sum(window, jnp.asarray(basis.pieces, coefficients.dtype))


def zero_outside(rows: Any) -> Any:
    """Interval rows with a zero row on both sides."""
    xp = array_module(rows)
    none = xp.zeros_like(rows[..., :1, :])
    return xp.concatenate([none, rows, none], axis=-2)


def design_matrix(
    x: Float[Array, "*points"],
    basis: LocalBasis,
    table: Any,
    num_coefficients: int,
    closed: Any = None,
) -> Float[Array, "*points num_coefficients"]:
    """All B-splines at x, from the table of the few that are not zero in each row.

    Args:
        x: points of any shape.
        basis: the local basis; only its breakpoints and `first` are read.
        table: shape (degree + 1, M + 2, columns): polynomial j of each row.
        num_coefficients: number of columns to fill.
        closed: as in `piecewise.evaluate`.
    """
    row, u = piecewise.locate(x, basis.breakpoints, closed)
    first = jnp.asarray(basis.first[piecewise.interval_of_row(basis.first.size)])[row]
    column = np.arange(num_coefficients)
    design = jnp.zeros((*x.shape, num_coefficients), dtype=x.dtype)
    for j in range(table.shape[0]):
        value = piecewise.horner(jnp.asarray(table[j], x.dtype)[row], u)
        design = design + jnp.where(
            (first + j)[..., None] == column, value[..., None], jnp.zeros((), x.dtype)
        )
    return design


def bspline_basis(
    x: ArrayLike, knots: ArrayLike, degree: int = 3, derivative: int = 0
) -> Float[Array, "*points num_coefficients"]:
    """B-spline basis functions or their derivatives, (d/dx)^derivative B_{j,degree}(x).

    Column j is the B-spline with support [t_j, t_{j + degree + 1}], t the full knot vector, and is
    zero outside that support: nothing is extrapolated. Values are right-continuous at knots and the
    left limit at the end t[-degree-1] of the base interval [t[degree], t[-degree-1]], where the
    columns sum to one. Differentiable in x and knots, forward and reverse, at any order.

    Args:
        x: points of any shape, in the units of the knots.
        knots: full knot vector t as SciPy's, non-decreasing, shape (K + degree + 1,). Repeated
            knots lower the smoothness there. May be traced (free knots).
        degree: polynomial degree, at least 0; 3 is cubic.
        derivative: order of the derivative, at least 0; above `degree` it is zero.

    Returns:
        Design matrix of shape (*x.shape, K), dtype of x.

    Raises:
        TypeError: if `x` or `knots` are not real numbers, or the integers are not integers.
        ValueError: if the knots decrease, are not finite or too few, or an integer is negative.

    Example:
        >>> knots = [0.0, 0.0, 0.0, 0.0, 0.25, 1.0, 1.0, 1.0, 1.0]
        >>> print(bspline_basis(0.5, knots).round(4))
        [0.     0.1667 0.4444 0.3519 0.037 ]
        >>> print(bspline_basis(0.5, knots, derivative=1).round(4))
        [ 0.     -1.     -0.6667  1.2222  0.4444]
    """
    x = float_input(x, "x")
    t, degree, derivative = _check(knots, degree, derivative)
    basis = _full_support_basis(t, degree)
    # One function per local index: (M, j, k) -> (j, M + 2, k).
    xp = array_module(basis.pieces)
    table = zero_outside(xp.moveaxis(basis.pieces, 1, 0))
    table = piecewise.differentiate(table, basis.breakpoints, derivative)
    num = t.shape[0] - degree - 1
    return design_matrix(x, basis, table, num + 2 * degree, t[num])[..., degree : degree + num]


def bspline(
    x: ArrayLike, knots: ArrayLike, coefficients: ArrayLike, degree: int = 3, derivative: int = 0
) -> Float[Array, "..."]:
    """Spline f(x) = sum_j coefficients[j] B_j(x), or its derivative, without the design matrix.

    The same functions as `bspline_basis`, hence zero outside [t[0], t[-1]]; cost O(n degree)
    whatever the number of coefficients. Differentiable in x, knots and coefficients, forward and
    reverse, at any order.

    Args:
        x: points of any shape, in the units of the knots.
        knots: full knot vector, shape (K + degree + 1,), as in `bspline_basis`.
        coefficients: shape (*batch, K) with K = len(knots) - degree - 1, in the units of f.
        degree: polynomial degree, at least 0.
        derivative: order of the derivative, at least 0.

    Returns:
        Values of shape (*batch, *x.shape), dtype promoted from x and coefficients.

    Raises:
        TypeError: as in `bspline_basis`.
        ValueError: as in `bspline_basis`, or if the number of coefficients does not fit.

    Example:
        >>> knots = [0.0, 0.0, 0.5, 1.0, 1.0]
        >>> print(bspline([0.25, 0.5, 1.0], knots, [0.0, 1.0, 4.0], degree=1))
        [0.5 1.  4. ]
    """
    x, coefficients = float_input(x, "x"), float_input(coefficients, "coefficients")
    t, degree, derivative = _check(knots, degree, derivative)
    num = t.shape[0] - degree - 1
    check_coefficients(coefficients, num)
    dtype = jnp.promote_types(x.dtype, coefficients.dtype)
    basis = _full_support_basis(t, degree)
    pad = [(0, 0)] * (coefficients.ndim - 1) + [(degree, degree)]
    table = zero_outside(spline_table(basis, jnp.pad(coefficients.astype(dtype), pad)))
    table = piecewise.differentiate(table, basis.breakpoints, derivative)
    return piecewise.evaluate(x.astype(dtype), basis.breakpoints, table, t[num])


def check_coefficients(coefficients: jax.Array, num: int) -> None:
    """Raise a `ValueError` unless the last axis of `coefficients` has `num` entries."""
    if coefficients.ndim < 1 or coefficients.shape[-1] != num:
        raise ValueError(
            f"`coefficients` must have shape (*batch, {num}), one per basis function; "
            f"got {coefficients.shape}."
        )


def _check(knots: Any, degree: int, derivative: int) -> tuple[Any, int, int]:
    degree = integer_at_least(degree, 0, "degree")
    derivative = integer_at_least(derivative, 0, "derivative")
    return check_knots(knots, degree), degree, derivative


def _full_support_basis(knots: Any, degree: int) -> LocalBasis:
    """Local basis over [t[0], t[-1]]; B-spline j of the knots has index j + degree here.

    Repeating the end knots adds `degree` functions on either side, which the callers give the
    coefficient zero (or drop), and makes the base interval the whole knot range.
    """
    xp = array_module(knots)
    ends = [xp.repeat(knots[:1], degree), knots, xp.repeat(knots[-1:], degree)]
    return local_basis(xp.concatenate(ends), degree)
