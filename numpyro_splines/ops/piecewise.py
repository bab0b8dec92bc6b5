"""Piecewise polynomials as tables: the one place that touches n observations.

A table has shape (*batch, M + 2, degree + 1) for M intervals between M + 1 breakpoints. Row 0
holds the polynomial left of the domain, rows 1 to M those of the intervals, row M + 1 the one right
of it; column k multiplies u**k with u = (x - left) / width, the *normalized* coordinate of the
interval. The two outer rows use the coordinate of the interval next to them. Coordinates of order
one keep float32 accurate whatever the units of x.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

# A bucket index of this many entries stays in the first-level cache.
_MAX_BUCKETS = 4096


def array_module(*arrays: Any) -> Any:
    """`numpy` where all arrays are NumPy's, else `jax.numpy`: one formula serves both."""
    return np if all(isinstance(a, np.ndarray) for a in arrays) else jnp


def safe_reciprocal(x: Any) -> Any:
    """1 / x where x > 0, else 0, with finite derivatives in both branches (double `where`).

    Denormal numbers count as zero, as they do in XLA: their reciprocals overflow.
    """
    xp = array_module(x)
    positive = x >= np.finfo(x.dtype).tiny
    return xp.where(positive, 1.0 / xp.where(positive, x, 1.0), 0.0).astype(x.dtype)


def interval_of_row(num_intervals: int) -> np.ndarray:
    """The interval whose coordinate each table row uses: 0, 0, 1, ..., M - 1, M - 1."""
    return np.clip(np.arange(num_intervals + 2) - 1, 0, num_intervals - 1)


def evaluate(
    x: Float[Array, "*points"],
    breakpoints: Any,
    table: Float[Array, "*batch rows columns"],
    closed: Any = None,
) -> Float[Array, "..."]:
    """Value of piecewise polynomials at x: locate, gather, Horner.

    Cost O(n degree) whatever the number of intervals; gradients in x, the table and the breakpoints
    come from ordinary autodiff of the Horner scheme, at any order, forward and reverse.

    Args:
        x: points of any shape, a float dtype.
        breakpoints: M + 1 non-decreasing values, concrete (NumPy) or traced.
        table: polynomials, M + 2 rows; its leading axes are a batch of functions.
        closed: the breakpoint at which the *left* limit is taken (default: the last one). At all
            others the value is right-continuous.

    Returns:
        Values of shape (*batch, *points), dtype of the table. NaN where x is NaN.
    """
    row, u = locate(x, breakpoints, closed)
    return horner(_take(table, row, axis=-2), u)


def evaluate_selected(
    x: Float[Array, "..."],
    index: Int[Array, "..."],
    breakpoints: Any,
    table: Float[Array, "*batch group rows columns"],
) -> Float[Array, "..."]:
    """Value of function `index[i]` of the last batch axis at `x[i]`, in one gather.

    Args:
        x: points.
        index: which function, broadcast against x; entries in [0, group).
        breakpoints: as in `evaluate`, shared by all functions.
        table: as in `evaluate`, with at least one batch axis.

    Returns:
        Values of shape (*batch, *points).
    """
    row, u = locate(x, breakpoints)
    *batch, group, rows, columns = table.shape
    flat = table.reshape(*batch, group * rows, columns)
    return horner(_take(flat, index * rows + row, axis=-2), u)


def horner(coefficients: Any, u: Any) -> Any:
    """sum_k coefficients[..., k] u**k, NaN where u is NaN; NumPy or JAX."""
    value = coefficients[..., -1]
    if coefficients.shape[-1] == 1:
        xp = array_module(coefficients, u)
        return xp.where(xp.isnan(u), xp.asarray(np.nan, dtype=value.dtype), value)
    for k in range(coefficients.shape[-1] - 2, -1, -1):
        value = value * u + coefficients[..., k]
    return value


def locate(
    x: Float[Array, "*points"], breakpoints: Any, closed: Any = None
) -> tuple[Int[Array, "*points"], Float[Array, "*points"]]:
    """Table row and normalized coordinate of each x.

    Args:
        x: points, a float dtype; everything is computed in that dtype.
        breakpoints: M + 1 non-decreasing values, concrete (NumPy) or traced.
        closed: the breakpoint that belongs to the interval on its left (default: the last one).

    Returns:
        Rows in 0, ..., M + 1 and coordinates u. Empty intervals are never chosen.
    """
    dtype = x.dtype
    closed = breakpoints[-1] if closed is None else closed
    if isinstance(breakpoints, np.ndarray):
        breakpoints, closed = breakpoints.astype(dtype), np.asarray(closed).astype(dtype)
    else:
        breakpoints, closed = jnp.asarray(breakpoints, dtype), jnp.asarray(closed, dtype)
    point = jax.lax.stop_gradient(x)
    row = _count_passed(point, breakpoints)
    row = jnp.where(point == closed, (breakpoints < closed).sum(dtype=np.int32), row)
    num_intervals = breakpoints.shape[-1] - 1
    interval = jnp.clip(row - 1, 0, num_intervals - 1)
    left = jnp.asarray(breakpoints[:-1])
    inverse_width = jnp.asarray(safe_reciprocal(breakpoints[1:] - breakpoints[:-1]))
    return row, (x - _take(left, interval)) * _take(inverse_width, interval)


def wrap(x: Float[Array, "*points"], breakpoints: Any) -> tuple[Array, Array]:
    """x moved into the domain by whole periods, and by how many; points inside are not moved."""
    start, end = jnp.asarray(breakpoints[0], x.dtype), jnp.asarray(breakpoints[-1], x.dtype)
    turns = jnp.where((x < start) | (x > end), jnp.floor((x - start) / (end - start)), 0)
    turns = jax.lax.stop_gradient(turns)
    # Rounding may leave x a hair outside; the outer rows continue the polynomials there.
    return x - turns * (end - start), turns


def _count_passed(x: Float[Array, "*points"], breakpoints: Any) -> Int[Array, "*points"]:
    """How many breakpoints are <= x (the table row of x), in a few gathers.

    Concrete breakpoints get a bucket index: an even grid over the domain whose cells know how many
    breakpoints lie in earlier cells, so that only the breakpoints inside x's own cell are compared.
    The cell of x is a non-decreasing function of x also after rounding, hence the answer is exact.
    Traced breakpoints are bisected from scratch: one cell that holds all of them.
    """
    num = breakpoints.shape[0]
    if isinstance(breakpoints, np.ndarray) and breakpoints.dtype in (np.float32, np.float64):
        scale, starts, most = _bucket_index(breakpoints)
        position = (x - breakpoints[0]) * scale
        # Comparisons with NaN are false, so NaN and -inf go to cell 0 and indices stay in bounds.
        cell = jnp.where(position > 0, jnp.minimum(position, len(starts) - 1), 0).astype(jnp.int32)
        row = _take(jnp.asarray(starts), cell)
    else:
        row, most = jnp.zeros(x.shape, jnp.int32), num
    padding = np.full(most, np.inf)
    padded = jnp.concatenate([jnp.asarray(breakpoints), jnp.asarray(padding, breakpoints.dtype)])
    padded = jax.lax.stop_gradient(padded)
    for bit in reversed(range(most.bit_length())):
        step = 1 << bit
        passed = x >= _take(padded, jnp.minimum(row, num) + step - 1)
        row = jnp.where(passed, row + step, row)
    # Padding is passed by x = +inf only.
    return jnp.minimum(row, num)


def _bucket_index(breakpoints: np.ndarray) -> tuple[np.generic, np.ndarray, int]:
    """Scale of the grid, breakpoints before each cell, and the most breakpoints in one cell."""
    num = breakpoints.shape[0]
    width = breakpoints[-1] - breakpoints[0]
    cells = 1 << math.ceil(math.log2(max(num - 1, 2)))
    while True:
        largest = np.finfo(breakpoints.dtype).max
        scale = breakpoints.dtype.type(min(cells / np.float64(width), largest))
        position = np.minimum((breakpoints - breakpoints[0]) * scale, cells - 1)
        counts = np.bincount(position.astype(np.int64), minlength=cells)
        most = int(counts.max())
        if most <= 1 or 2 * cells > max(_MAX_BUCKETS, 4 * num):
            return scale, (np.cumsum(counts) - counts).astype(np.int32), most
        cells *= 2


def _take(values: Array, index: Int[Array, "..."], axis: int = -1) -> Array:
    """`values` at `index` along `axis`; the caller guarantees that indices are in bounds."""
    selector = (..., index) if axis == -1 else (..., index, slice(None))
    return values.at[selector].get(mode="promise_in_bounds")


def differentiate(table: Any, breakpoints: Any, order: int) -> Any:
    """Table of the derivative of the given order, (d/dx)^order, with degree max(degree - order, 0).

    One-sided at breakpoints as `evaluate` is; NaN rows stay NaN.
    """
    xp = array_module(table, breakpoints)
    inverse_width = _row_widths(breakpoints, xp, table.dtype, inverse=True)
    for _ in range(order):
        if table.shape[-1] == 1:
            table = table * 0
        else:
            powers = np.arange(1, table.shape[-1]).astype(table.dtype)
            table = table[..., 1:] * powers * inverse_width
    return table


def antidifferentiate(table: Any, breakpoints: Any) -> Any:
    """Table of F(x) = integral of f from the first breakpoint to x, continuous everywhere."""
    xp = array_module(table, breakpoints)
    powers = np.arange(1, table.shape[-1] + 1).astype(table.dtype)
    integral = table / powers * _row_widths(breakpoints, xp, table.dtype)
    inner = xp.cumsum(integral[..., 1:-1, :].sum(-1), axis=-1)
    zero = xp.zeros_like(inner[..., :1])
    # The right row shares the coordinate of the last interval, so its own integral up to the end
    # of the domain (u = 1) is taken off.
    last = inner[..., -1:] - integral[..., -1:, :].sum(-1)
    constant = xp.concatenate([zero, zero, inner[..., :-1], last], axis=-1)
    return xp.concatenate([constant[..., None], integral], axis=-1)


def _row_widths(breakpoints: Any, xp: Any, dtype: Any, *, inverse: bool = False) -> Any:
    width = breakpoints[..., 1:] - breakpoints[..., :-1]
    width = safe_reciprocal(width) if inverse else width
    width = xp.asarray(width, dtype=dtype)
    return width[..., interval_of_row(width.shape[-1]), None]
