"""Curves evaluated, differentiated and integrated exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from numpyro_splines.functions.pieces import AnyPieces, Pieces, flat
from numpyro_splines.ops import piecewise
from numpyro_splines.ops.arrays import one_program
from numpyro_splines.validation import (
    float_dtype,
    is_traced,
    order_at_least,
    real_array,
)


def evaluate(curve: Pieces, x: ArrayLike) -> Float[Array, "..."]:
    """Value of every curve at every x."""
    x = real_array(x, "x")
    if curve.breakpoints.ndim == 1:
        return _evaluate(curve, x)
    values = jax.vmap(lambda one: _evaluate(one, x))(flat(curve))
    return values.reshape(*curve.batch_shape, *x.shape)


def pick(curve: Pieces, index: ArrayLike) -> Callable[[ArrayLike], Float[Array, "..."]]:
    """The function that takes x[i] to the value of curve `index[i]` of the last batch axis."""
    index = _check_index(index, curve.batch_shape)

    def picked(x: ArrayLike) -> Float[Array, "..."]:
        point = real_array(x, "x")
        if curve.breakpoints.ndim == 1:
            return _evaluate(curve, point, index)
        point, which = jnp.broadcast_arrays(point, index)
        # Curves with their own breakpoints share no intervals: all of them, then the choice.
        axis = len(curve.batch_shape) - 1
        which = jnp.expand_dims(which, tuple(range(axis + 1)))
        return jnp.take_along_axis(evaluate(curve, point), which, axis=axis).squeeze(axis)

    return picked


def each(curve: Pieces, x: ArrayLike) -> Float[Array, "..."]:
    """Value of each curve at its own points."""
    x = real_array(x, "x")
    shape = curve.batch_shape
    if x.shape[: len(shape)] != shape:
        raise ValueError(f"`x` must have the leading axes {shape}, one per curve; got {x.shape}.")
    own = flat(curve)
    points = x.reshape(math.prod(shape), math.prod(x.shape[len(shape) :]))
    if own.breakpoints.ndim > 1:
        return jax.vmap(evaluate)(own, points).reshape(x.shape)
    return pick(own, np.arange(len(points))[:, None])(points).reshape(x.shape)


def differentiate(curve: AnyPieces, order: int) -> AnyPieces:
    """The derivative of that order."""
    order = order_at_least(order, 0, "order")
    table = piecewise.differentiate(curve.table, curve.breakpoints, order)
    # The slope of a curve that gains a constant per period is periodic.
    return replace(curve, table=table, increment=curve.increment if order == 0 else None)


def antidifferentiate(curve: AnyPieces) -> AnyPieces:
    """The integral from the left end of the domain."""
    if curve.increment is not None:
        raise ValueError(
            "`antiderivative` needs a curve that is periodic or continued by a polynomial; got "
            "the antiderivative of a periodic curve, which gains a constant per period. "
            "Integrate it over the periods one by one, or use another extrapolation."
        )
    table = piecewise.antidifferentiate(curve.table, curve.breakpoints)
    increment = table[..., -2, :].sum(-1) if curve.periodic else None
    return replace(curve, table=table, increment=increment)


def integrate(curve: Pieces, lower: ArrayLike, upper: ArrayLike) -> Float[Array, "..."]:
    """The integral of every curve between each pair of bounds."""
    lower, upper = real_array(lower, "lower"), real_array(upper, "upper")
    antiderivative = antidifferentiate(curve)
    if curve.breakpoints.ndim == 1:
        return _difference(antiderivative, lower, upper)
    values = jax.vmap(lambda one: _difference(one, lower, upper))(flat(antiderivative))
    return values.reshape(*curve.batch_shape, *values.shape[1:])


def _check_index(index: ArrayLike, batch_shape: tuple[int, ...]) -> np.ndarray | Int[Array, "..."]:
    # On the host unless it is traced, so that it is looked at also while a model is traced.
    if not is_traced(index):
        try:
            index = np.asarray(index)
        except (ValueError, TypeError, OverflowError) as error:
            raise TypeError(f"`index` must hold integers: {error}.") from error
    # To NumPy durations are integers.
    if index.size and np.dtype(index.dtype).kind not in "iu":
        raise TypeError(
            f"`index` must hold integers, the position of each curve along the last batch "
            f"axis; got dtype {index.dtype}. pandas.factorize makes them from labels."
        )
    if not batch_shape:
        raise ValueError(
            "`pick` needs a batch of curves to pick from; got a single curve. Draw several by "
            "calling effect.sample() inside a plate over groups."
        )
    size = batch_shape[-1]
    if not is_traced(index) and index.size:
        low, high = int(index.min()), int(index.max())
        if low < 0 or high >= size:
            raise ValueError(
                f"`index` must lie in [0, {size}), the last batch axis; got {low} to {high}."
            )
    # An empty list is one of floats.
    return index if index.size else index.astype(np.int32)


def _placed(curve: Pieces, x: Any) -> tuple[Any, Any, piecewise.Grid]:
    """Points inside the domain if periodic, by how many periods they were moved, the grid."""
    dtype = jnp.promote_types(float_dtype(x), float_dtype(curve.table))
    return piecewise.place(x, curve.breakpoints, dtype, periodic=curve.periodic)


def _evaluate(curve: Pieces, x: Any, index: Any = None) -> Float[Array, "..."]:
    """Values at x of all curves, or at x[i] of curve index[i]; breakpoints are shared."""
    x, turns, grid = _placed(curve, x)
    value = _values(x, grid, curve.table, index)
    return value if curve.increment is None else _gained(value, turns, curve.increment, index)


def _difference(curve: Pieces, lower: Any, upper: Any) -> Float[Array, "..."]:
    """f(upper) - f(lower); whole periods are counted, not subtracted from each other."""
    start, turns_before, grid = _placed(curve, lower)
    end, turns_after, _ = _placed(curve, upper)
    table = jnp.asarray(curve.table, jnp.promote_types(start.dtype, end.dtype))
    change = _change(start, end, grid, table)
    if curve.increment is None:
        return change
    return _gained(change, turns_after - turns_before, curve.increment, None)


@one_program(rounded=True)
def _values(x: Any, grid: Any, table: Any, index: Any, *, rounded: bool = False) -> Array:
    """Values of all curves, or at x[i] of curve index[i]."""
    x = jnp.asarray(x)
    table = jnp.asarray(table, x.dtype)
    if index is None:
        return piecewise.evaluate(x, grid, table, rounded=rounded)
    x, index = jnp.broadcast_arrays(x, index)
    return piecewise.evaluate_selected(x, index, grid, table, rounded=rounded)


@one_program(rounded=True)
def _change(lower: Any, upper: Any, grid: Any, table: Any, *, rounded: bool = False) -> Array:
    lower, upper = jnp.broadcast_arrays(lower, upper)
    table = jnp.asarray(table, lower.dtype)
    before, after = (piecewise.evaluate(x, grid, table, rounded=rounded) for x in (lower, upper))
    return after - before


@one_program(rounded=True)
def _gained(value: Any, turns: Any, increment: Any, index: Any, *, rounded: bool = False) -> Array:
    """Values of curves that gain a constant per period, after that many periods."""
    gain = jnp.asarray(increment, value.dtype)
    if index is None:
        gain = jnp.expand_dims(gain, tuple(range(-jnp.ndim(turns), 0)))
    else:
        gain = gain[..., index]
    added = turns * gain
    return value + (piecewise.whole(added, gain) if rounded else added)
