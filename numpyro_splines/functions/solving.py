"""Equations of curves solved exactly: inverse, roots, extrema, inflections."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.functions.pieces import Pieces, flat
from numpyro_splines.ops import piecewise
from numpyro_splines.ops import roots as solver
from numpyro_splines.validation import float_input, integer_at_least, is_traced


class Extrema(NamedTuple):
    """Local extrema of a curve.

    Attributes:
        x: positions, increasing.
        value: f(x).
        maximum: whether each is a maximum, else a minimum. (False in padding.)
    """

    x: Any
    value: Any
    maximum: Any


def invert(curve: Pieces, y: ArrayLike) -> Float[Array, "..."]:
    """The x with f(x) = y of every curve, which must be monotone."""
    y = float_input(y, "y")
    if curve.periodic or not _may_be_monotone(curve):
        raise ValueError(
            "`inverse` needs a curve that increases or decreases over its whole domain; got "
            f"one that {'is periodic' if curve.periodic else 'does not'}. Use roots(level) for "
            "all x of a value, or restrict(lower, upper) to a monotone stretch."
        )
    table, breakpoints, values = _flat_arrays(curve, y)
    x = _positions(curve, solver.invert(breakpoints, table, values.ravel()), values.dtype)
    return _kept(x.reshape((*curve.batch_shape, *y.shape)))


def is_monotone(curve: Pieces) -> Any:
    """Whether each curve increases, or decreases, over its whole domain."""
    # Known curves are looked at on the host, also while a model is traced.
    table, breakpoints = _arrays(curve)
    xp = piecewise.array_module(table, breakpoints)
    breakpoints = xp.broadcast_to(breakpoints, (*curve.batch_shape, breakpoints.shape[-1]))
    num = math.prod(curve.batch_shape)
    table = table.reshape(num, *table.shape[-2:])
    breakpoints = breakpoints.reshape(num, breakpoints.shape[-1])
    low, high = solver.extreme_values(piecewise.differentiate(table, breakpoints, 1))
    rows, width = table[:, 1:-1], xp.diff(breakpoints).astype(table.dtype)
    unit = 64 * float(np.finfo(table.dtype).eps)
    # Slopes are differences of table entries, over the width of the interval: a level added to
    # the curve does not round them. Of jumps it does.
    scale = solver.scale_without_level(table, breakpoints)
    slack = unit * scale * piecewise.safe_reciprocal(width)
    # Empty intervals, of knots that coalesce, say nothing.
    low, high = (xp.where(width > 0, v, 0) for v in (low, high))
    jump = rows[:, 1:, 0] - rows[:, :-1].sum(-1)
    jump = xp.where((width[:, 1:] > 0) & (width[:, :-1] > 0), jump, 0)
    level = unit * abs(rows).max(-1)
    level = xp.maximum(level[:, 1:], level[:, :-1])
    up = xp.all(low >= -slack, axis=-1) & xp.all(jump >= -level, axis=-1)
    down = xp.all(high <= slack, axis=-1) & xp.all(jump <= level, axis=-1)
    steep = xp.any(xp.maximum(abs(low), abs(high)) > slack, axis=-1)
    return ((up | down) & steep).reshape(curve.batch_shape)


def roots(curve: Pieces, level: ArrayLike, size: int | None) -> Any:
    """All x in the domain with f(x) = level; padded where a size is given."""
    level = float_input(level, "level")
    if level.shape != ():
        raise ValueError(f"`level` must be one number; got shape {level.shape}.")
    table, breakpoints, height = _flat_arrays(curve, level)
    x = _positions(curve, solver.roots(breakpoints, table, height), height.dtype)
    return _padded([x], curve.batch_shape, size)[0]


def extrema(curve: Pieces, size: int | None) -> Extrema:
    """Where the slope changes sign; padded where a size is given."""
    x, value, sign = _sign_changes(curve, 1)
    return Extrema(*_padded([x, value, sign < 0], curve.batch_shape, size))


def inflections(curve: Pieces, size: int | None) -> Any:
    """Where the curvature changes sign; padded where a size is given."""
    x, _, _ = _sign_changes(curve, 2)
    return _padded([x], curve.batch_shape, size)[0]


def _may_be_monotone(curve: Pieces) -> bool:
    """Whether all curves are monotone, or traced, so that nothing can be said."""
    traced = is_traced(curve.table) or is_traced(curve.breakpoints)
    return traced or bool(np.all(is_monotone(curve)))


def _sign_changes(curve: Pieces, order: int) -> tuple[Any, Any, Any]:
    table, breakpoints = _flat_arrays(curve)
    x, value, sign = solver.sign_changes(breakpoints, table, order, curve.periodic)
    return _positions(curve, x, table.dtype), value, sign


def _positions(curve: Pieces, x: Any, dtype: Any) -> Any:
    """Positions where they belong: known ones far from zero in float64, which resolves them."""
    start = _origin(curve)
    return start + x if start and isinstance(x, np.ndarray) else (start + x).astype(dtype)


def _kept(array: Any) -> Any:
    """The array on the device, if it loses nothing there."""
    narrowed = array.dtype == np.float64 and jnp.result_type(float) != np.float64
    return array if narrowed else jnp.asarray(array)


def _origin(curve: Pieces) -> float:
    """What the breakpoints are relative to here, as where the curve is evaluated."""
    known = curve.breakpoints.ndim == 1 and not is_traced(curve.breakpoints)
    return piecewise.origin(np.asarray(curve.breakpoints, np.float64)) if known else 0.0


def _arrays(curve: Pieces, *others: Any) -> tuple[Any, ...]:
    """Table, breakpoints and others in one dtype: NumPy's if all are concrete, else JAX's.

    Breakpoints are those that `piecewise.place` makes, relative to the origin and rounded. On the
    host they are float64 all the same, so that positions are rounded once, when found.
    """
    dtype = jnp.result_type(curve.table.dtype, *[a.dtype for a in others])
    points = curve.breakpoints
    if not is_traced(points):
        points = (np.asarray(points, np.float64) - _origin(curve)).astype(dtype)
    arrays = (curve.table, points, *others)
    xp: Any = jnp if any(is_traced(a) for a in arrays) else np
    table, points, *rest = (xp.asarray(a, dtype=dtype) for a in arrays)
    return table, points.astype(np.float64) if xp is np else points, *rest


def _flat_arrays(curve: Pieces, *others: Any) -> tuple[Any, ...]:
    """The same with the batch as one axis, and an axis in front of shared breakpoints."""
    table, breakpoints, *rest = _arrays(flat(curve), *others)
    breakpoints = breakpoints if breakpoints.ndim > 1 else breakpoints[None]
    return table, breakpoints, *rest


def _padded(found: list[Any], shape: tuple[int, ...], size: int | None) -> list[Any]:
    """Padded results cut or padded to `size`, or lists of them without their padding."""
    if size is None and isinstance(found[0], np.ndarray):
        kept = ~np.isnan(found[0])
        return [
            _nested([_kept(row[k]) for row, k in zip(f, kept, strict=True)], shape) for f in found
        ]
    num = found[0].shape[-1] if size is None else integer_at_least(size, 1, "size")
    return [_kept(_resized(f, num)).reshape((*shape, num)) for f in found]


def _resized(values: Any, size: int) -> Any:
    xp = piecewise.array_module(values)
    missing = max(size - values.shape[-1], 0)
    padding = False if values.dtype == bool else np.nan
    pad = [(0, 0)] * (values.ndim - 1) + [(0, missing)]
    return xp.pad(values, pad, constant_values=padding)[..., :size]


def _nested(items: list[Any], shape: tuple[int, ...]) -> Any:
    """A flat list as nested lists of the given shape."""
    if not shape:
        return items[0]
    step = math.prod(shape[1:])
    return [_nested(items[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]
