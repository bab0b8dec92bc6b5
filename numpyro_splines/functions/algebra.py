"""Curves combined exactly: sums, multiples, other breakpoints, other domains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from numpyro_splines.extrapolation import Periodic, as_pair, extend
from numpyro_splines.functions.pieces import AnyPieces, Pieces
from numpyro_splines.ops.algebra import elevated, on_breakpoints
from numpyro_splines.validation import (
    breakpoint_array,
    float64_array,
    float_input,
    is_traced,
    order_at_least,
)


def add(curve: AnyPieces, other: AnyPieces) -> AnyPieces:
    """The sum of two curves."""
    first, second = aligned(curve, other)
    degree = max(first.degree, second.degree)
    table = elevated(first.table, degree) + elevated(second.table, degree)
    gains = [g for g in (first.increment, second.increment) if g is not None]
    gain = jnp.broadcast_to(sum(gains[1:], gains[0]), table.shape[:-2]) if gains else None
    return replace(first, table=table, increment=gain)


def shift(curve: AnyPieces, amount: Any) -> AnyPieces:
    """The curve and a number, or one for each curve of the batch."""
    amount = numbers(amount, curve.table.dtype)
    table = jnp.asarray(curve.table, jnp.promote_types(curve.table.dtype, amount.dtype))
    table = jnp.broadcast_to(
        table, (*jnp.broadcast_shapes(curve.batch_shape, amount.shape), *table.shape[-2:])
    )
    return replace(curve, table=table.at[..., 0].add(amount[..., None]))


def multiply(curve: AnyPieces, factor: Any) -> AnyPieces:
    """The curve times a number, or one for each curve of the batch."""
    factor = numbers(factor, curve.table.dtype)
    gain = None if curve.increment is None else curve.increment * factor
    return replace(curve, table=curve.table * factor[..., None, None], increment=gain)


def numbers(value: Any, dtype: Any) -> Any:
    """What a function of that dtype is combined with, if not another function, as an array."""
    # A Python number takes the dtype of the function, as in JAX.
    if isinstance(value, int | float) and not isinstance(value, bool):
        return jnp.asarray(value, dtype)
    return float_input(value, "other")


def elevate(curve: AnyPieces, degree: int) -> AnyPieces:
    """The same curve with pieces of a higher degree."""
    degree = order_at_least(degree, curve.degree, "degree")
    return replace(curve, table=elevated(curve.table, degree))


def refine(curve: AnyPieces, points: ArrayLike) -> AnyPieces:
    """The same curve with further breakpoints."""
    old = _common_breakpoints(curve, "refine")
    more = np.union1d(old, float64_array(points, "points"))
    if more[0] < old[0] or more[-1] > old[-1]:
        raise ValueError(
            f"`points` must lie in the domain [{old[0]}, {old[-1]}]; got {more[0]} to {more[-1]}."
        )
    return replace(curve, breakpoints=more, table=on_breakpoints(old, curve.table, more))


def restrict(curve: AnyPieces, lower: float, upper: float, extrapolation: Any) -> AnyPieces:
    """The curve on a sub-interval, continued beyond it by the extrapolation."""
    old, pair = _common_breakpoints(curve, "restrict"), as_pair(extrapolation)
    ends = breakpoint_array([lower, upper], "lower, upper")
    if ends[0] < old[0] or ends[1] > old[-1]:
        raise ValueError(
            f"`lower` and `upper` must lie in the domain [{old[0]}, {old[-1]}]; got {ends[0]} "
            f"and {ends[1]}."
        )
    points = np.union1d(old[(old > ends[0]) & (old < ends[1])], ends)
    table = extend(on_breakpoints(old, curve.table, points)[..., 1:-1, :], pair)
    periodic = isinstance(pair[0], Periodic)
    return replace(curve, breakpoints=points, table=table, increment=None, periodic=periodic)


def _common_breakpoints(curve: Pieces, name: str) -> np.ndarray:
    if curve.breakpoints.ndim > 1 or is_traced(curve.breakpoints):
        raise TypeError(
            f"`{name}` needs concrete breakpoints common to all curves; got breakpoints that "
            "are traced, or differ from curve to curve."
        )
    return np.asarray(curve.breakpoints, dtype=np.float64)


def aligned(curve: AnyPieces, other: AnyPieces, dtype: Any = None) -> tuple[AnyPieces, AnyPieces]:
    """Both curves on the same breakpoints, told apart in the dtype (default: of the tables)."""
    if curve.periodic != other.periodic:
        raise ValueError(
            "curves can be added if both or neither are periodic; got one of each. Restrict "
            "the periodic one to an interval first."
        )
    if curve.breakpoints is other.breakpoints:
        return curve, other
    own, others = (_common_breakpoints(f, "+") for f in (curve, other))
    if np.array_equal(own, others):
        return curve, other
    if curve.periodic and (own[0], own[-1]) != (others[0], others[-1]):
        raise ValueError(
            f"periodic curves can be added on one period; got domains from {own[0]} to "
            f"{own[-1]} and from {others[0]} to {others[-1]}."
        )
    dtype = jnp.promote_types(curve.table.dtype, other.table.dtype) if dtype is None else dtype
    own, others = _own_end(curve, own, others, dtype), _own_end(other, others, own, dtype)
    both = np.union1d(own, others)
    first, second = (
        replace(f, breakpoints=both, table=on_breakpoints(points, f.table, both))
        for f, points in ((curve, own), (other, others))
    )
    return first, second


def _own_end(curve: Pieces, points: np.ndarray, others: np.ndarray, dtype: Any) -> np.ndarray:
    """Breakpoints with the right end inside the last interval, if a sum goes on with a jump.

    Inside its domain a sum is right-continuous, but at the end of its own domain a curve has the
    value from the left. The next float of the dtype that the sum has begins what follows.
    """
    after = float(np.nextafter(points[-1].astype(dtype), np.asarray(np.inf, dtype)))
    if not points[-1] < after <= others[-1] or not _may_jump_at_end(curve):
        return points
    return np.append(points[:-1], after)


def _may_jump_at_end(curve: Pieces) -> bool:
    """Whether the continuation on the right starts elsewhere; traced curves may."""
    if is_traced(curve.table):
        return True
    last, beyond = (np.asarray(curve.table)[..., row, :] for row in (-2, -1))
    size = 64 * float(np.finfo(last.dtype).eps) * abs(last).sum(-1)
    return not np.all(abs(last.sum(-1) - beyond.sum(-1)) <= size)
