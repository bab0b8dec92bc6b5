"""Roots of piecewise polynomials: every root, sign changes, and the inverse of monotone curves.

No eigenvalues, which accelerators lack: the roots of each derivative cut [0, 1] into pieces on
which the derivative below is monotone, from the highest derivative down, and each piece is solved
by Newton's method inside a shrinking bracket. Results are positions without derivatives;
`attach_derivatives` gives them those of the implicit function theorem, at any order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from numpyro_splines.ops.piecewise import horner, interval_of_row

# A value this many rounding errors from zero, relative to the terms of its sum, is zero.
_SLACK = 16
# Bisection alone needs as many steps as there are bits, and the brackets of tails are doubled.
_MOST_STEPS = 120


class _Bracket(NamedTuple):
    """One safeguarded Newton step: polynomial, bracket with f(lower) <= 0 <= f(upper), position."""

    step: Any
    polynomial: Any
    lower: Any
    upper: Any
    position: Any
    change: Any


def derivative(polynomial: Any) -> Any:
    """Coefficients of p'(u), with at least one column."""
    if polynomial.shape[-1] == 1:
        return jnp.zeros_like(polynomial)
    return polynomial[..., 1:] * np.arange(1, polynomial.shape[-1]).astype(polynomial.dtype)


def solve(polynomial: Array, lower: Array, upper: Array, scale: Any = 0.0) -> Array:
    """The root of a monotone polynomial between `lower` and `upper`, NaN where there is no root.

    Newton's method, and bisection whenever it would leave the bracket or converges slowly. An end
    where the value is zero up to rounding is a root.

    Args:
        polynomial: coefficients, shape (..., degree + 1).
        lower: shape (...).
        upper: shape (...), in any order with `lower`.
        scale: size of what was subtracted to get the coefficients, for their rounding.
    """
    start, end = horner(polynomial, lower), horner(polynomial, upper)
    rising = start <= end
    sign = jnp.where(rising, 1, -1).astype(polynomial.dtype)[..., None]
    middle = (lower + upper) / 2
    state = _Bracket(
        jnp.zeros((), jnp.int32), polynomial * sign, lower, upper, middle, upper - lower
    )
    root = jax.lax.while_loop(_unfinished, _newton, state).position
    size = _size(polynomial, jnp.maximum(jnp.abs(lower), jnp.abs(upper)))
    tiny = _rounding(size + scale)
    root = jnp.where((start <= 0) != (end <= 0), root, jnp.nan)
    root = jnp.where(jnp.isnan(root) & (jnp.abs(end) <= tiny), upper, root)
    at_start = (jnp.abs(start) <= tiny) & (jnp.abs(start) <= jnp.abs(end))
    return jnp.where(at_start & ~((start < 0) != (end < 0)) | (start == 0), lower, root)


def _unfinished(state: _Bracket) -> Array:
    eps = jnp.finfo(state.position.dtype).eps
    moving = jnp.abs(state.change) > eps * jnp.maximum(jnp.abs(state.position), eps)
    return (state.step < _MOST_STEPS) & jnp.any(moving)


def _newton(state: _Bracket) -> _Bracket:
    value = horner(state.polynomial, state.position)
    lower = jnp.where(value <= 0, state.position, state.lower)
    upper = jnp.where(value >= 0, state.position, state.upper)
    slope = horner(derivative(state.polynomial), state.position)
    newton = state.position - value / jnp.where(slope == 0, 1, slope)
    low, high = jnp.minimum(lower, upper), jnp.maximum(lower, upper)
    slow = 2 * jnp.abs(newton - state.position) > jnp.abs(state.change)
    bisect = (slope == 0) | (newton < low) | (newton > high) | slow | jnp.isnan(newton)
    position = jnp.where(bisect, (lower + upper) / 2, newton)
    return _Bracket(
        state.step + 1, state.polynomial, lower, upper, position, position - state.position
    )


def _size(polynomial: Array, reach: Any) -> Array:
    """Sum of the sizes of the terms at |u| = reach: what rounding scales with."""
    return horner(jnp.abs(polynomial), jnp.asarray(reach, polynomial.dtype))


def _rounding(size: Any) -> Array:
    """Values below this are zero up to rounding, for sums of terms of this size."""
    return _SLACK * jnp.finfo(size.dtype).eps * size


def unit_roots(polynomial: Array, scale: Any = 0.0, ends: Any = None) -> Array:
    """All distinct roots in [0, 1], increasing, the rest NaN; shape (..., max(degree, 1)).

    Touching roots count once; where the polynomial is zero throughout, 0 is the one root.

    Args:
        polynomial: coefficients, shape (..., degree + 1).
        scale: size of what was subtracted to get the coefficients, for their rounding, shape (...).
        ends: values at 0 and 1, shape (..., 2), with zero for what is zero up to rounding; taken
            from the polynomial if omitted. Given for intervals that share their ends.
    """
    degree = polynomial.shape[-1] - 1
    if degree <= 1:
        inner = jnp.zeros((*polynomial.shape[:-1], 0), polynomial.dtype)
    else:
        inner = unit_roots(derivative(polynomial))
        inner = jnp.sort(jnp.where(jnp.isnan(inner), 1, inner), axis=-1)
    none = jnp.zeros_like(polynomial[..., :1])
    edges = jnp.concatenate([none, inner, none + 1], axis=-1)
    pieces = polynomial[..., None, :]
    value = horner(pieces, edges)
    tiny = _rounding(_size(polynomial, 1.0) + scale)[..., None]
    value = jnp.where(jnp.abs(value) <= tiny, 0, value)
    if ends is not None:
        # Padding repeats the edge at 1.
        value = jnp.where(edges == 1, ends[..., 1:], value.at[..., 0].set(ends[..., 0]))
    between = solve(pieces, edges[..., :-1], edges[..., 1:], jnp.asarray(scale)[..., None])
    between = jnp.where(value[..., :-1] * value[..., 1:] < 0, between, jnp.nan)
    # Of equal edges the last one counts; of a stretch of zeros the first.
    last = jnp.concatenate([edges[..., 1:] > edges[..., :-1], jnp.ones(none.shape, bool)], axis=-1)
    at_edge = jnp.where((value == 0) & last, edges, jnp.nan)
    zero = jnp.all(value == 0, axis=-1, keepdims=True)
    at_edge = jnp.where(zero & (edges > 0), jnp.nan, at_edge)
    at_edge = at_edge.at[..., 0].set(jnp.where(zero[..., 0], 0, at_edge[..., 0]))
    found = jnp.sort(jnp.concatenate([between, at_edge], axis=-1), axis=-1)
    return found[..., : max(degree, 1)]


@jax.custom_jvp
def attach_derivatives(polynomial: Array, root: Array) -> Array:
    """`root` as the function of the coefficients that it is: p(root) = 0.

    The implicit function theorem: d root = -(sum_k d c_k root^k) / p'(root). The rule below calls
    this function, so derivatives of any order follow. Zero where p' is zero or there is no root.

    Args:
        polynomial: coefficients, shape (..., degree + 1).
        root: shape (...), NaN where there is none.
    """
    del polynomial
    return root


@attach_derivatives.defjvp
def _attach_derivatives_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    polynomial, root = primals
    root = attach_derivatives(polynomial, root)
    exists = ~jnp.isnan(root)
    at = jnp.where(exists, root, 0)
    slope = horner(derivative(polynomial), at)
    valid = exists & (slope != 0)
    change = -horner(tangents[0], at) / jnp.where(valid, slope, 1)
    return root, jnp.where(valid, change, 0)


def roots(breakpoints: Array, table: Array, level: Array) -> Array:
    """All x in the domain with f(x) = level, increasing, the rest NaN; for one curve.

    Args:
        breakpoints: shape (M + 1,).
        table: shape (M + 2, degree + 1).
        level: shape ().

    Returns:
        Shape (M max(degree, 1),).
    """
    rows = table[1:-1].at[:, 0].add(-level)
    fixed = jax.lax.stop_gradient(rows)
    scale = jnp.abs(jax.lax.stop_gradient(level)) + jnp.abs(jax.lax.stop_gradient(table[1:-1, 0]))
    found = unit_roots(fixed, scale, _shared_ends(fixed, scale))
    u = attach_derivatives(rows[:, None, :], found)
    width = jnp.diff(breakpoints)[:, None]
    x = jnp.sort((breakpoints[:-1, None] + u * width).ravel())
    # The root at a breakpoint belongs to two intervals.
    reach = jnp.max(jnp.abs(breakpoints)) * jnp.finfo(x.dtype).eps
    again = jnp.concatenate([jnp.zeros(1, bool), jnp.diff(x) <= 2 * _SLACK * reach])
    return jnp.sort(jnp.where(again, jnp.nan, x))


def _shared_ends(rows: Array, scale: Array) -> Array:
    """Values at both ends of each interval, equal where neighbors agree up to rounding; (M, 2)."""
    tiny = _rounding(_size(rows, 1.0) + scale)
    tiny = jnp.maximum(jnp.append(tiny, 0), jnp.append(jnp.zeros_like(tiny[:1]), tiny))
    start, end = jnp.append(rows[:, 0], rows[-1].sum()), jnp.append(rows[0, 0], rows.sum(-1))
    end = jnp.where(jnp.abs(start - end) <= tiny, start, end)
    start, end = (jnp.where(jnp.abs(v) <= tiny, 0, v) for v in (start, end))
    return jnp.stack([start[:-1], end[1:]], axis=-1)


def sign_changes(breakpoints: Array, table: Array, periodic: bool) -> tuple[Array, Array]:
    """Where a piecewise polynomial changes sign in the domain, and the sign after; for one curve.

    Also across breakpoints where it jumps. A stretch of zeros between different signs counts once,
    at its right end.

    Returns:
        Positions, increasing, the rest NaN, and signs, both of shape (M (degree + 1),).
    """
    rows = table[1:-1]
    fixed = jax.lax.stop_gradient(rows)
    u = attach_derivatives(rows[:, None, :], unit_roots(fixed))[:, : max(rows.shape[-1] - 1, 0)]
    u = jnp.concatenate([jnp.zeros_like(rows[:, :1]), u], axis=1)
    end = jnp.concatenate([u[:, 1:], jnp.full_like(u[:, :1], jnp.nan)], axis=1)
    end = jnp.where(jnp.isnan(end), 1, end)
    value = horner(fixed[:, None, :], jax.lax.stop_gradient((u + end) / 2))
    tiny = _SLACK * jnp.finfo(table.dtype).eps * jnp.max(_size(fixed, 1.0))
    empty = jnp.isnan(u) | (end <= u)
    sign = jnp.where(empty | (jnp.abs(value) <= tiny), 0, jnp.sign(value)).ravel()
    x = (breakpoints[:-1, None] + u * jnp.diff(breakpoints)[:, None]).ravel()
    index = jnp.where(sign != 0, jnp.arange(sign.size), -1)
    latest = jax.lax.cummax(index)
    before = jnp.concatenate([latest[-1:] if periodic else jnp.full(1, -1), latest[:-1]])
    before = jnp.where(before < 0, latest[-1] if periodic else -1, before)
    previous = jnp.where(before >= 0, sign[before], 0)
    changes = (sign != 0) & (previous == -sign)
    x = jnp.where(changes, x, jnp.nan)
    order = jnp.argsort(jax.lax.stop_gradient(x))
    return x[order], jnp.where(changes, sign, jnp.nan)[order]


def invert(breakpoints: Array, table: Array, y: Array) -> Array:
    """x with f(x) = y for one monotone curve, NaN where y is not attained.

    Args:
        breakpoints: shape (M + 1,).
        table: shape (M + 2, degree + 1).
        y: any shape.
    """
    fixed, target = jax.lax.stop_gradient((table, y))
    num = fixed.shape[0] - 2
    value = jnp.append(fixed[1:-1, 0], fixed[-2].sum())
    sign = jnp.where(value[-1] >= value[0], 1, -1).astype(value.dtype)
    # Rounding must not make the values at breakpoints decrease.
    value = jax.lax.cummax(sign * value)
    row = jnp.searchsorted(value, sign * target)
    shifted = table[row].at[..., 0].add(-y)
    polynomial = jax.lax.stop_gradient(shifted)
    inner = jnp.where(row == 0, 0, 1).astype(value.dtype)
    outward = jnp.where(row == 0, -1, 1).astype(value.dtype)
    outer = _reach(polynomial, inner, outward)
    tail = (row == 0) | (row == num + 1)
    lower, upper = jnp.where(tail, inner, 0), jnp.where(tail, outer, 1)
    scale = jnp.abs(target) + jnp.abs(fixed[row, 0])
    u = attach_derivatives(shifted, solve(polynomial, lower, upper, scale))
    interval = jnp.asarray(interval_of_row(num))[row]
    return breakpoints[interval] + u * (breakpoints[interval + 1] - breakpoints[interval])


def _reach(polynomial: Array, inner: Array, outward: Array) -> Array:
    """A point beyond the end of the domain by which the tail has changed sign, if it ever does."""
    start = horner(polynomial, inner)
    # A straight tail is solved in one step; one interval more leaves room for rounding.
    slope = polynomial[..., 1] if polynomial.shape[-1] > 1 else jnp.zeros_like(start)
    distance = jnp.abs(start / jnp.where(slope == 0, 1, slope)) + 1

    def step(i: int, distance: Array) -> Array:
        crossed = horner(polynomial, inner + outward * distance) * start <= 0
        return jnp.where(crossed, distance, 2 * distance)

    return inner + outward * jax.lax.fori_loop(0, 30, step, distance)


def extreme_values(table: Array) -> tuple[Array, Array]:
    """Smallest and largest value of each interval's polynomial, over [0, 1]; shapes (..., M)."""
    rows = table[..., 1:-1, :]
    inner = unit_roots(derivative(rows))
    inner = jnp.where(jnp.isnan(inner), 0, inner)
    edges = jnp.concatenate(
        [inner, jnp.zeros_like(inner[..., :1]), jnp.ones_like(inner[..., :1])], -1
    )
    value = horner(rows[..., None, :], edges)
    return value.min(-1), value.max(-1)
