"""B-splines: knots to local polynomials, coefficients to tables, and the public operations."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.ops import piecewise
from numpyro_splines.ops.arrays import array_module, one_program, safe_reciprocal, take
from numpyro_splines.ops.sums import weighted_sum
from numpyro_splines.validation import check_knots, float_dtype, order_at_least, real_array


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

    The Cox-de Boor recursion in the normalized coordinate x = left + h u, on coefficients of powers
    of u instead of numbers:

        B_{m,k} = (x - t_m) / (t_{m+k} - t_m) B_{m,k-1} + (t_{m+k+1} - x) / (t_{m+k+1} - t_{m+1})
                  B_{m+1,k-1}

    Both terms are non-negative on the interval, so nothing cancels. Concrete knots are processed in
    float64 NumPy, once, and empty intervals dropped; traced knots keep all intervals, with division
    by empty supports guarded, so that gradients stay finite when knots coalesce.

    Powers of u are a bad basis of polynomials of high degree: their coefficients are up to
    (1 + 2 / m)^degree times as large as the polynomial if a knot interval has m rows of the table.
    So it gets as many equal parts as keep that below 3^5, which is one up to the fifth degree.

    Args:
        knots: full knot vector, non-decreasing.
        degree: polynomial degree.

    References:
        de Boor, A Practical Guide to Splines (2001), chapter X, equation (14).
    """
    if isinstance(knots, np.ndarray):
        # JAX remembers what it made of an array, by the array itself: each precision gets its own.
        wide = jnp.result_type(float) == np.float64
        return _known_local_basis(knots.astype(np.float64).tobytes(), degree, wide)
    return _local_basis(knots, degree)


@lru_cache(maxsize=256)
def _known_local_basis(knots: bytes, degree: int, wide: bool) -> LocalBasis:
    del wide
    basis = _local_basis(np.frombuffer(knots), degree)
    for array in basis:
        array.flags.writeable = False  # It is shared by all who ask again.
    return basis


def _local_basis(knots: Any, degree: int) -> LocalBasis:
    xp = array_module(knots)
    interval = np.arange(degree, knots.shape[0] - degree - 1)
    if xp is np:
        interval = interval[np.diff(knots)[interval] > 0]
    interval, left, right = _parts(knots, interval, _num_parts(degree))
    width = right - left
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
    breakpoints = xp.concatenate([left, right[-1:]])
    return LocalBasis(breakpoints, pieces, interval - degree)


def _num_parts(degree: int) -> int:
    """How many rows of the table a knot interval gets; see `local_basis`."""
    return 1 if degree <= 5 else math.ceil(2.0 / (3.0 ** (5.0 / degree) - 1.0))


def _parts(knots: Any, interval: np.ndarray, num: int) -> tuple[np.ndarray, Any, Any]:
    """Knot intervals in `num` equal parts: the interval of each part, and its ends."""
    xp = array_module(knots)
    start, stop = knots[interval], knots[interval + 1]
    if num == 1:
        return interval, start, stop
    share = np.arange(num) / num
    inner = (start[:, None] + (stop - start)[:, None] * share.astype(knots.dtype)).reshape(-1)
    # Each part ends where the next one starts, also after rounding.
    end = xp.where(
        np.arange(1, inner.size + 1) % num == 0, xp.repeat(stop, num), xp.roll(inner, -1)
    )
    return np.repeat(interval, num), inner, end


def _times_line(constant: Any, slope: Any, xp: Any) -> Any:
    """constant(u) + u slope(u), as coefficients of powers of u."""
    none = xp.zeros_like(constant[..., :1])
    return xp.concatenate([constant, none], axis=-1) + xp.concatenate([none, slope], axis=-1)


def spline_table(basis: LocalBasis, coefficients: Any) -> Any:
    """Interval rows of the table of sum_j coefficients[..., j] B_j, shape (*batch, M, degree + 1).

    NumPy for NumPy coefficients and concrete knots. The caller adds the rows outside the domain.
    """
    window = coefficients[..., basis.first[:, None] + np.arange(basis.pieces.shape[1])]
    xp = array_module(coefficients, basis.pieces)
    return weighted_sum(window, xp.asarray(basis.pieces, dtype=coefficients.dtype))


def function_table(basis: LocalBasis) -> Any:
    """The B-splines that are not zero as functions: shape (degree + 1, M, degree + 1)."""
    return array_module(basis.pieces).moveaxis(basis.pieces, 1, 0)


def zero_outside(rows: Any) -> Any:
    """Interval rows with a zero row on both sides."""
    xp = array_module(rows)
    none = xp.zeros_like(rows[..., :1, :])
    return xp.concatenate([none, rows, none], axis=-2)


def local_values(
    x: Any,
    cells: Any,
    first: Any,
    table: Any,
    *,
    non_negative: bool = False,
    rounded: bool = False,
) -> tuple[Any, list[Any]]:
    """The B-splines that are not zero at x: index of the first one, and the value of each.

    Args:
        x: points of any shape.
        cells: breakpoints of the local basis, or their `Grid`.
        first: `LocalBasis.first`.
        table: shape (degree + 1, M + 2, columns): polynomial j of each row.
        non_negative: take off what rounding makes negative inside the domain, not its slope.
        rounded: as in `piecewise.horner`.
    """
    row, u = piecewise.locate(x, cells)
    at = take(first[piecewise.interval_of_row(first.shape[0])], row)
    values = []
    for part in table:
        chosen = take(array_module(x, part).asarray(part, dtype=x.dtype), row, axis=-2)
        value = piecewise.horner(chosen, u, rounded=rounded)
        if non_negative:
            xp = array_module(value)
            below = xp.where((value < 0) & (row > 0) & (row <= first.shape[0]), -value, 0)
            value = value + (below if xp is np else jax.lax.stop_gradient(below))
        values.append(value)
    return at, values


def design_matrix(
    x: Any,
    cells: Any,
    first: np.ndarray,
    table: Any,
    num_coefficients: int,
    *,
    non_negative: bool = False,
) -> Any:
    """All B-splines at x, from the few that are not zero; NumPy, or JAX as one program.

    Args:
        x: points of any shape.
        cells: as in `local_values`.
        first: as in `local_values`.
        table: as in `local_values`.
        num_coefficients: number of columns to fill.
        non_negative: as in `local_values`.

    Returns:
        Shape (*x.shape, num_coefficients).
    """
    if array_module(x, table) is not np:
        column = np.arange(num_coefficients)
        return _design_matrix(x, cells, first, table, column, non_negative=non_negative)
    at, values = local_values(x, cells, first, table, non_negative=non_negative)
    design = np.zeros((*x.shape, num_coefficients), dtype=x.dtype)
    for j, value in enumerate(values):
        np.put_along_axis(design, (at + j)[..., None], value[..., None], axis=-1)
    design[np.isnan(values[0])] = np.nan
    return design


@one_program("non_negative", rounded=True)
def _design_matrix(
    x: Any,
    cells: Any,
    first: Any,
    table: Any,
    column: Any,
    *,
    non_negative: bool,
    rounded: bool = False,
) -> Any:
    at, values = local_values(x, cells, first, table, non_negative=non_negative, rounded=rounded)
    design = jnp.zeros((*x.shape, column.shape[0]), dtype=x.dtype)
    for j, value in enumerate(values):
        design = design + jnp.where(
            (at + j)[..., None] == column, value[..., None], jnp.zeros((), x.dtype)
        )
    # Where there is no value, no function has one: not those that are zero nearby either.
    nowhere = jnp.asarray(np.nan, x.dtype)
    return jnp.where(jnp.isnan(values[0])[..., None], nowhere, design)


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
    x = real_array(x, "x")
    t, degree, derivative = _check(knots, degree, derivative)
    basis = _full_support_basis(t, degree)
    table = zero_outside(function_table(basis))
    table = piecewise.differentiate(table, basis.breakpoints, derivative)
    num = t.shape[0] - degree - 1
    x, _, cells = piecewise.place(x, basis.breakpoints, float_dtype(x), closed=t[num])
    design = design_matrix(
        jnp.asarray(x),
        cells,
        basis.first,
        table,
        num + 2 * degree,
        non_negative=derivative == 0,
    )
    return design[..., degree : degree + num]


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
    x, coefficients = real_array(x, "x"), real_array(coefficients, "coefficients")
    t, degree, derivative = _check(knots, degree, derivative)
    num = t.shape[0] - degree - 1
    check_coefficients(coefficients, num)
    dtype = jnp.promote_types(float_dtype(x), float_dtype(coefficients))
    basis = _full_support_basis(t, degree)
    pad = [(0, 0)] * (coefficients.ndim - 1) + [(degree, degree)]
    padded = array_module(coefficients).pad(coefficients.astype(dtype), pad)
    table = zero_outside(spline_table(basis, padded))
    table = piecewise.differentiate(table, basis.breakpoints, derivative)
    x, _, cells = piecewise.place(x, basis.breakpoints, dtype, closed=t[num])
    return _evaluate(x, cells, table)


@one_program(rounded=True)
def _evaluate(x: Any, cells: Any, table: Any, *, rounded: bool = False) -> Any:
    return piecewise.evaluate(jnp.asarray(x), cells, table, rounded=rounded)


def check_coefficients(coefficients: Any, num: int) -> None:
    """Raise a `ValueError` unless the last axis of `coefficients` has `num` entries."""
    if coefficients.ndim < 1 or coefficients.shape[-1] != num:
        raise ValueError(
            f"`coefficients` must have shape (*batch, {num}), one per basis function; "
            f"got {coefficients.shape}."
        )


def _check(knots: Any, degree: int, derivative: int) -> tuple[Any, int, int]:
    degree = order_at_least(degree, 0, "degree")
    derivative = order_at_least(derivative, 0, "derivative")
    return check_knots(knots, degree), degree, derivative


def _full_support_basis(knots: Any, degree: int) -> LocalBasis:
    """Local basis over [t[0], t[-1]]; B-spline j of the knots has index j + degree here.

    Repeating the end knots adds `degree` functions on either side, which the callers give the
    coefficient zero (or drop), and makes the base interval the whole knot range.
    """
    xp = array_module(knots)
    ends = [xp.repeat(knots[:1], degree), knots, xp.repeat(knots[-1:], degree)]
    return local_basis(xp.concatenate(ends), degree)
