"""Roots of single polynomials in the normalized coordinate, for NumPy and JAX arrays alike.

No eigenvalues, which accelerators lack: the roots of each derivative cut [0, 1] into pieces on
which the derivative below is monotone, from the highest derivative down, and each piece is solved
by Newton's method inside a shrinking bracket. Results are positions without derivatives;
`attach_derivatives` gives them those of the implicit function theorem, at any order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from numpyro_splines.ops.piecewise import array_module, horner

# A value this many rounding errors from zero, relative to the terms of its sum, is zero.
_SLACK = 16
# Bisection alone needs as many steps as there are bits.
_MOST_STEPS = 120


class _Bracket(NamedTuple):
    """State of Newton's method: p(lower) <= 0 <= p(upper), the position, and its last change."""

    step: Any
    polynomial: Any
    lower: Any
    upper: Any
    position: Any
    change: Any


def derivative(polynomial: Any) -> Any:
    """Coefficients of p'(u), with at least one column."""
    if polynomial.shape[-1] == 1:
        return polynomial * 0
    return polynomial[..., 1:] * np.arange(1, polynomial.shape[-1]).astype(polynomial.dtype)


def solve(polynomial: Any, lower: Any, upper: Any, scale: Any = 0) -> Any:
    """The root of a monotone polynomial between `lower` and `upper`, NaN where there is no root.

    Newton's method, and bisection whenever it would leave the bracket or converges slowly. An end
    where the value is zero up to rounding is a root.

    Args:
        polynomial: coefficients, shape (..., degree + 1).
        lower: shape (...).
        upper: shape (...), in any order with `lower`.
        scale: size of what was subtracted to get the coefficients, for their rounding.
    """
    xp = array_module(polynomial, lower, upper)
    start, end = horner(polynomial, lower), horner(polynomial, upper)
    sign = xp.where(start <= end, 1, -1).astype(polynomial.dtype)[..., None]
    step = xp.zeros((), np.int32)
    middle = (lower + upper) / 2
    state = _Bracket(step, polynomial * sign, lower, upper, middle, upper - lower)
    root = loop(xp, _unfinished, _newton, state).position
    reach = xp.maximum(abs(lower), abs(upper))
    tiny = rounding(size_of(polynomial, reach) + scale)
    root = xp.where((start <= 0) != (end <= 0), root, np.nan)
    root = xp.where(xp.isnan(root) & (abs(end) <= tiny), upper, root)
    at_start = (abs(start) <= tiny) & (abs(start) <= abs(end)) & ((start < 0) == (end < 0))
    return xp.where(at_start | (start == 0), lower, root)


def _unfinished(state: _Bracket) -> Any:
    xp = array_module(state.position)
    eps = float(np.finfo(state.position.dtype).eps)
    moving = abs(state.change) > eps * xp.maximum(abs(state.position), eps)
    return (state.step < _MOST_STEPS) & xp.any(moving)


def _newton(state: _Bracket) -> _Bracket:
    xp = array_module(state.position)
    value = horner(state.polynomial, state.position)
    lower = xp.where(value <= 0, state.position, state.lower)
    upper = xp.where(value >= 0, state.position, state.upper)
    slope = horner(derivative(state.polynomial), state.position)
    newton = state.position - value / xp.where(slope == 0, 1, slope)
    low, high = xp.minimum(lower, upper), xp.maximum(lower, upper)
    slow = 2 * abs(newton - state.position) > abs(state.change)
    inside = (newton >= low) & (newton <= high)
    position = xp.where((slope != 0) & inside & ~slow, newton, (lower + upper) / 2)
    change = position - state.position
    return _Bracket(state.step + 1, state.polynomial, lower, upper, position, change)


def size_of(polynomial: Any, reach: Any) -> Any:
    """Sum of the sizes of the terms at |u| = reach: what rounding scales with."""
    return horner(abs(polynomial), reach)


def rounding(size: Any) -> Any:
    """Values below this are zero up to rounding, for sums of terms of this size."""
    return _SLACK * float(np.finfo(size.dtype).eps) * size


def unit_roots(polynomial: Any, scale: Any = 0, ends: Any = None) -> Any:
    """All distinct roots in [0, 1], increasing, the rest NaN; shape (..., max(degree, 1)).

    Touching roots count once; where the polynomial is zero throughout, 0 is the one root.

    Args:
        polynomial: coefficients, shape (..., degree + 1).
        scale: size of what was subtracted to get the coefficients, for their rounding, shape (...).
        ends: values at 0 and 1, shape (..., 2), with zero for what is zero up to rounding; taken
            from the polynomial if omitted. Given for intervals that share their ends.
    """
    xp = array_module(polynomial)
    degree = polynomial.shape[-1] - 1
    inner = polynomial[..., :0]
    if degree > 1:
        inner = unit_roots(derivative(polynomial))
        inner = xp.sort(xp.where(xp.isnan(inner), 1, inner), axis=-1)
    none = xp.zeros_like(polynomial[..., :1])
    edges = xp.concatenate([none, inner, none + 1], axis=-1)
    pieces = polynomial[..., None, :]
    size = size_of(polynomial, none[..., 0] + 1) + scale
    value = horner(pieces, edges)
    value = xp.where(abs(value) <= rounding(size)[..., None], 0, value)
    if ends is not None:
        first = np.arange(edges.shape[-1]) == 0
        # Padding repeats the edge at 1.
        value = xp.where(first, ends[..., :1], xp.where(edges == 1, ends[..., 1:], value))
    between = solve(pieces, edges[..., :-1], edges[..., 1:], size[..., None])
    # The product of the values would leave the range of a float.
    sign = xp.sign(value)
    between = xp.where(sign[..., :-1] * sign[..., 1:] < 0, between, np.nan)
    # Of equal edges the last one counts; of a polynomial that is zero throughout the first.
    last = xp.concatenate([edges[..., 1:] > edges[..., :-1], none == 0], axis=-1)
    at_edge = xp.where((value == 0) & last, edges, np.nan)
    throughout = xp.all(value == 0, axis=-1, keepdims=True)
    only_first = xp.where(np.arange(edges.shape[-1]) == 0, edges, np.nan)
    at_edge = xp.where(throughout, only_first, at_edge)
    found = xp.sort(xp.concatenate([between, at_edge], axis=-1), axis=-1)
    return found[..., : max(degree, 1)]


@jax.custom_jvp
def attach_derivatives(polynomial: Any, root: Any) -> Any:
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
def _attach_derivatives_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    polynomial, root = primals
    root = attach_derivatives(polynomial, root)
    exists = ~jnp.isnan(root)
    at = jnp.where(exists, root, 0)
    slope = horner(derivative(polynomial), at)
    valid = exists & (slope != 0)
    change = -horner(tangents[0], at) / jnp.where(valid, slope, 1)
    return root, jnp.where(valid, change, 0)


def loop(xp: Any, unfinished: Callable[[Any], Any], step: Callable[[Any], Any], state: Any) -> Any:
    """`jax.lax.while_loop`, or its like for NumPy."""
    if xp is not np:
        return jax.lax.while_loop(unfinished, step, state)
    # As in JAX: positions far outside overflow without a word, and are not taken.
    with np.errstate(over="ignore", invalid="ignore"):
        while unfinished(state):
            state = step(state)
    return state
