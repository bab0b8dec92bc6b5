"""Equations of piecewise polynomials: all roots, sign changes, and the inverse of monotone ones.

One formula serves NumPy arrays, which need no compilation, and JAX arrays, traced ones included.
Curves come as a flat batch: breakpoints (B or 1, M + 1), tables (B, M + 2, degree + 1).
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numpyro_splines.ops.piecewise import (
    array_module,
    differentiate,
    horner,
    interval_of_row,
    safe_reciprocal,
)
from numpyro_splines.ops.polynomials import (
    attach_derivatives,
    derivative,
    loop,
    rounding,
    size_of,
    solve,
    unit_roots,
)

# How often the bracket of a continuation is doubled in search of a change of sign.
_DOUBLINGS = 30


def roots(breakpoints: Any, table: Any, level: Any) -> Any:
    """All x in the domain with f(x) = level, increasing, the rest NaN.

    Args:
        breakpoints: shape (B or 1, M + 1).
        table: shape (B, M + 2, degree + 1).
        level: shape ().

    Returns:
        Shape (B, M max(degree, 1)).
    """
    xp = array_module(table, level)
    rows = _lowered(table[:, 1:-1], level)
    fixed = _constant(rows)
    scale = abs(_constant(level)) + abs(_constant(table[:, 1:-1, 0]))
    found = unit_roots(fixed, scale, _shared_ends(fixed, scale))
    # Of a stretch of intervals at the level, only the two ends.
    one = xp.ones_like(scale)
    level_throughout = size_of(fixed, one) <= rounding(size_of(fixed, one) + scale)
    inner = xp.concatenate([one[:, :1] < 0, level_throughout[:, :-1]], -1) & level_throughout
    found = xp.where(inner[..., None], np.nan, found)
    u = _attached(rows[:, :, None, :], found)
    x = breakpoints[:, :-1, None] + u * xp.diff(breakpoints)[..., None]
    end = xp.where(level_throughout[:, -1:], breakpoints[:, -1:], np.nan)
    x = xp.sort(xp.concatenate([_by_curve(x), end], -1), axis=-1)[:, :-1]
    # The root at a breakpoint belongs to two intervals.
    width = abs(xp.diff(_constant(breakpoints))).max(-1, keepdims=True).astype(table.dtype)
    reach = rounding(abs(_constant(breakpoints)).max(-1, keepdims=True)) + rounding(width)
    again = xp.diff(x, axis=-1) <= 2 * reach
    again = xp.concatenate([xp.isnan(x[:, :1]), again], axis=-1)
    return xp.sort(xp.where(again, np.nan, x), axis=-1)


def _shared_ends(rows: Any, scale: Any) -> Any:
    """Values at both ends of each interval, equal where neighbors agree up to rounding."""
    xp = array_module(rows, scale)
    tiny = rounding(size_of(rows, xp.ones_like(scale)) + scale)
    none = tiny[:, :1] * 0
    tiny = xp.maximum(xp.concatenate([tiny, none], -1), xp.concatenate([none, tiny], -1))
    sums = rows.sum(-1)
    start = xp.concatenate([rows[..., 0], sums[:, -1:]], -1)
    end = xp.concatenate([rows[:, :1, 0], sums], -1)
    end = xp.where(abs(start - end) <= tiny, start, end)
    start, end = (xp.where(abs(v) <= tiny, 0, v) for v in (start, end))
    return xp.stack([start[:, :-1], end[:, 1:]], axis=-1)


def sign_changes(breakpoints: Any, table: Any, order: int, periodic: bool) -> tuple[Any, Any, Any]:
    """Where a derivative of a piecewise polynomial changes sign inside the domain.

    Values of the derivative that rounding of the table may have made count as zero. Also across
    breakpoints where it jumps. A stretch of zeros between different signs counts once, at its right
    end.

    Args:
        breakpoints: shape (B or 1, M + 1).
        table: shape (B, M + 2, degree + 1).
        order: of the derivative.
        periodic: whether the right end is followed by the left one.

    Returns:
        Positions, values of the polynomial itself, and the sign after, the rest NaN; each of shape
        (B, M (degree of the derivative + 1)), positions increasing.
    """
    xp = array_module(table)
    # Signs do not depend on the units of x, in which a slope may be too large for a float.
    span = _constant(breakpoints[:, -1:] - breakpoints[:, :1])
    rows = differentiate(table, breakpoints / span, order)[:, 1:-1]
    width = xp.diff(breakpoints).astype(table.dtype)
    fixed = _constant(rows)
    # What rounding of the table becomes in the derivative: each order multiplies by up to
    # degree / width.
    share = _constant(xp.diff(breakpoints) / span).astype(table.dtype)
    growth = safe_reciprocal(share) * (table.shape[-1] - 1)
    scale = scale_without_level(_constant(table), _constant(breakpoints)) * growth**order
    found = unit_roots(fixed, scale)[..., : rows.shape[-1] - 1]
    u = _attached(rows[:, :, None, :], found)
    u = xp.concatenate([xp.zeros_like(rows[..., :1]), u], axis=-1)
    start = _constant(u)
    end = xp.concatenate([start[..., 1:], xp.full_like(start[..., :1], np.nan)], axis=-1)
    end = xp.where(xp.isnan(end), 1, end)
    value = horner(fixed[:, :, None, :], (start + end) / 2)
    tiny = rounding(size_of(fixed, xp.ones_like(scale)) + scale)[..., None]
    silent = xp.isnan(start) | (end <= start) | (abs(value) <= tiny)
    sign = _by_curve(xp.where(silent, 0, xp.sign(value)))
    x = breakpoints[:, :-1, None] + u * width[..., None]
    changes = (sign != 0) & (_last_sign_before(sign, periodic) == -sign)
    inside = xp.where(changes.reshape(u.shape), u, 0)
    other = horner(table[:, 1:-1, None, :], inside).reshape(sign.shape)
    result = [xp.where(changes, v, np.nan) for v in (x.reshape(sign.shape), other, sign)]
    order = xp.argsort(_constant(result[0]), axis=-1)
    x, other, sign = (xp.take_along_axis(v, order, axis=-1) for v in result)
    return x, other, sign


def scale_without_level(table: Any, breakpoints: Any) -> Any:
    """Size of what rounding in the powers above the constant scales with, shape (B, M).

    A level that is added to a curve rounds the constants alone, however large it is. Where the
    coefficients of a basis carried it, it did round the others too, and shows: as jumps in the
    derivatives that the curve would have without rounding. The smoothest of them is looked at, so
    that kinks are not taken for rounding, and the size of everything is the most that it can be.
    """
    xp = array_module(table, breakpoints)
    own = table[:, 1:-1]
    degree, num = own.shape[-1] - 1, own.shape[1]
    whole = size_of(own, xp.ones_like(own[..., 0]))
    varying = whole - abs(own[..., 0])
    if degree < 2:
        # Differences of neighbors, exact where the level is all but common.
        return varying
    if num == 1:
        return whole
    width = xp.diff(breakpoints).astype(table.dtype)
    narrow, inverse = xp.minimum(width[:, 1:], width[:, :-1]), safe_reciprocal(width)
    before, after = narrow * inverse[:, :-1], narrow * inverse[:, 1:]
    found = []
    for k in range(1, degree):
        # In shares of the widths and of degree! / (degree - k)!, which overflow.
        own = derivative(own) / (degree + 1 - k)
        jump = abs(own[:, 1:, 0] * after**k - own[:, :-1].sum(-1) * before**k)
        found.append(jump.max(-1, keepdims=True))
    noise = xp.stack(found).min(0)
    # `rounding` multiplies by 16 eps: eight times the largest jump.
    return xp.minimum(whole, varying + noise / (2 * float(np.finfo(table.dtype).eps)))


def _last_sign_before(sign: Any, periodic: bool) -> Any:
    """The last sign that is not zero before each entry, 0 where there is none."""
    xp = array_module(sign)
    index = xp.where(sign != 0, np.arange(sign.shape[-1]), -1)
    latest = np.maximum.accumulate(index, -1) if xp is np else jax.lax.cummax(index, axis=1)
    wrapped = latest[:, -1:] if periodic else xp.full_like(latest[:, :1], -1)
    before = xp.concatenate([wrapped, latest[:, :-1]], axis=-1)
    before = xp.where(before < 0, wrapped, before)
    found = xp.take_along_axis(sign, xp.maximum(before, 0), axis=-1)
    return xp.where(before < 0, 0, found)


def invert(breakpoints: Any, table: Any, y: Any) -> Any:
    """x with f(x) = y for monotone curves, NaN where y is not attained.

    Args:
        breakpoints: shape (B or 1, M + 1).
        table: shape (B, M + 2, degree + 1).
        y: shape (n,).

    Returns:
        Shape (B, n).
    """
    xp = array_module(table, y)
    fixed, target = _constant(table), _constant(y)
    num = fixed.shape[1] - 2
    value, sign = _breakpoint_values(fixed, _constant(breakpoints))
    row = _count_below(value, sign * target)
    # The value at the left end belongs to the first interval, not to the continuation.
    row = xp.where(sign * target == value[:, :1], 1, row)
    shifted = _lowered(xp.take_along_axis(table, row[..., None], axis=1), y)
    polynomial = _constant(shifted)
    tail = (row == 0) | (row == num + 1)
    outward = xp.where(row == 0, -1, 1).astype(value.dtype)
    inner = xp.where(row == 0, 0, 1).astype(value.dtype)
    lower = xp.where(tail, inner, 0)
    upper = xp.where(tail, _reach(polynomial, inner, outward), 1)
    scale = abs(target) + abs(_constant(shifted)[..., 0] + target)
    u = solve(polynomial, lower, upper, scale)
    # A flat continuation attains no value but that of the end, which is in the domain.
    flat = xp.all(polynomial[..., 1:] == 0, axis=-1)
    u = xp.where(tail & flat, np.nan, u)
    # After a jump the value at the breakpoint is that from the right.
    after = xp.take_along_axis(value, xp.minimum(row, num), axis=1)
    u = xp.where(xp.isnan(u) & ~tail & (after == sign * target), 1, u)
    u = _attached(shifted, u)
    breakpoints = xp.broadcast_to(breakpoints, (len(table), num + 1))
    interval = xp.asarray(interval_of_row(num))[row]
    left = xp.take_along_axis(breakpoints, interval, axis=1)
    right = xp.take_along_axis(breakpoints, interval + 1, axis=1)
    return left + u * (right - left)


def _breakpoint_values(table: Any, breakpoints: Any) -> tuple[Any, Any]:
    """Values at the breakpoints times the direction, increasing; and the direction, 1 or -1.

    Empty intervals, of knots that coalesce, have no values: they get that of the next one.
    """
    xp = array_module(table, breakpoints)
    rows = table[:, 1:-1]
    filled = xp.broadcast_to(xp.diff(breakpoints) > 0, rows.shape[:2])
    number = np.arange(rows.shape[1])
    last = xp.where(filled, number, 0).max(-1, keepdims=True)
    first = xp.where(filled, number, rows.shape[1] - 1).min(-1, keepdims=True)
    end = xp.take_along_axis(rows.sum(-1), last, axis=1)
    start = xp.take_along_axis(rows[..., 0], first, axis=1)
    sign = xp.where(end >= start, 1, -1).astype(table.dtype)
    value = xp.where(filled, sign * rows[..., 0], np.inf)
    value = xp.concatenate([value, sign * end], axis=-1)
    # Rounding must not make them decrease either.
    if xp is np:
        return np.minimum.accumulate(value[:, ::-1], axis=1)[:, ::-1], sign
    return jax.lax.cummin(value, axis=1, reverse=True), sign


def _count_below(value: Any, target: Any) -> Any:
    """How many values of each row are below each target."""
    if isinstance(value, np.ndarray):
        found = [np.searchsorted(v, t) for v, t in zip(value, target, strict=True)]
        return np.reshape(found, target.shape).astype(np.intp)
    return jax.vmap(jnp.searchsorted)(value, target)


def _reach(polynomial: Any, inner: Any, outward: Any) -> Any:
    """A point beyond the end of the domain by which the tail has changed sign, if it ever does."""
    xp = array_module(polynomial, inner)
    start = horner(polynomial, inner)
    # A straight tail is solved at once; one interval more leaves room for rounding.
    slope = horner(derivative(polynomial), inner)
    distance = abs(start / xp.where(slope == 0, 1, slope)) + 1

    def doubled(state: tuple[Any, Any]) -> tuple[Any, Any]:
        step, distance = state
        crossed = horner(polynomial, inner + outward * distance) * start <= 0
        return step + 1, xp.where(crossed, distance, 2 * distance)

    state = xp.zeros((), np.int32), distance
    return inner + outward * loop(xp, lambda s: s[0] < _DOUBLINGS, doubled, state)[1]


def extreme_values(table: Any) -> tuple[Any, Any]:
    """Smallest and largest value of each interval's polynomial, over [0, 1]; shapes (..., M)."""
    xp = array_module(table)
    rows = table[..., 1:-1, :]
    inner = unit_roots(derivative(rows))
    none = xp.zeros_like(inner[..., :1])
    edges = xp.concatenate([xp.where(xp.isnan(inner), 0, inner), none, none + 1], -1)
    value = horner(rows[..., None, :], edges)
    return value.min(-1), value.max(-1)


def _by_curve(x: Any) -> Any:
    """One axis for what each curve has, also where there is no curve."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def _constant(x: Any) -> Any:
    return x if isinstance(x, np.ndarray) else jax.lax.stop_gradient(x)


def _attached(polynomial: Any, root: Any) -> Any:
    return root if isinstance(root, np.ndarray) else attach_derivatives(polynomial, root)


def _lowered(polynomial: Any, level: Any) -> Any:
    """Coefficients of p(u) - level."""
    xp = array_module(polynomial, level)
    constant = polynomial[..., :1] - (level[..., None] if np.ndim(level) else level)
    return xp.concatenate([constant, polynomial[..., 1:]], axis=-1)
