"""Where points lie among breakpoints: table row and normalized coordinate, for NumPy and JAX."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from numpyro_splines.ops.arrays import array_module, safe_reciprocal, take
from numpyro_splines.validation import is_traced

# A bucket index of this many entries stays in the first-level cache.
_MAX_BUCKETS = 4096


def origin(breakpoints: np.ndarray) -> float:
    """What is subtracted from x and breakpoints before they are rounded, zero in nearly all cases.

    Breakpoints far from zero for their spacing (Unix time, Julian days) are taken relative to the
    first one, so that float32 resolves them: where the domain is further from zero than 16 times
    its width, and a gap is less than 4096 steps of float32 there.
    """
    start, end = float(breakpoints[0]), float(breakpoints[-1])
    nearest = min(abs(start), abs(end))
    if start * end <= 0.0 or nearest <= 16.0 * (end - start):
        return 0.0
    gap = np.diff(breakpoints)
    coarse = gap[gap > 0.0].min(initial=np.inf) < 4096.0 * np.spacing(np.float32(nearest))
    return start if coarse else 0.0


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["breakpoints", "closed", "inverse_width", "scale", "starts"],
    meta_fields=["most"],
)
@dataclass(frozen=True)
class Grid:
    """Breakpoints of one float dtype, ready for `locate`: made once, on the host if concrete.

    Concrete breakpoints get a bucket index: an even grid over the domain whose cells know how many
    breakpoints lie in earlier cells, so that only the breakpoints inside x's own cell are compared.
    The cell of x is a non-decreasing function of x also after rounding, hence the answer is exact.
    Traced breakpoints are bisected from scratch: one cell that holds all of them.

    Attributes:
        breakpoints: shape (M + 1,), followed by as much padding with infinity as is looked at.
        closed: the breakpoint at which the left limit is taken.
        inverse_width: of each interval, zero for empty ones, shape (M,).
        scale: cells per unit of x; None without an index.
        starts: number of breakpoints before each cell; None without an index.
        most: the most breakpoints in one cell, static.
    """

    breakpoints: Any
    closed: Any
    inverse_width: Any
    scale: Any
    starts: Any
    most: int

    @property
    def num(self) -> int:
        """The number M + 1 of breakpoints."""
        return self.inverse_width.shape[-1] + 1


def grid(breakpoints: Any, dtype: Any, closed: Any = None) -> Grid:
    """The breakpoints in a dtype, with what `locate` needs.

    Args:
        breakpoints: M + 1 non-decreasing values, concrete (NumPy) or traced.
        dtype: of the points to be located.
        closed: the breakpoint that belongs to the interval on its left (default: the last one).
    """
    closed = breakpoints[-1] if closed is None else closed
    xp = array_module(breakpoints, np.asarray(closed) if not is_traced(closed) else closed)
    points, closed = (xp.asarray(v).astype(dtype) for v in (breakpoints, closed))
    inverse_width = safe_reciprocal(points[1:] - points[:-1])
    scale = starts = None
    most = points.shape[0]
    if xp is np and points.dtype in (np.float32, np.float64):
        scale, starts, most = _bucket_index(points)
    padded = xp.concatenate([points, xp.full(most, np.inf, dtype)])
    return Grid(padded, closed, inverse_width, scale, starts, most)


def place(
    x: Any, breakpoints: Any, dtype: Any, *, periodic: bool = False, closed: Any = None
) -> tuple[Any, Any, Grid]:
    """Points and breakpoints in one dtype, and by how many whole periods the points were moved.

    Known points (NumPy) are moved into the domain, and taken relative to the `origin`, in float64
    before they are rounded: nothing is lost far from zero. Traced points and arrays on a device are
    what their dtype says.

    Args:
        x: points of any shape, NumPy of any real dtype or a JAX array of floats.
        breakpoints: as in `evaluate`.
        dtype: the float dtype to compute in.
        periodic: whether points outside the domain are moved into it by whole periods.
        closed: as in `evaluate`.

    Raises:
        ValueError: if x is concrete, but its dtype does not resolve the breakpoints.
    """
    known = isinstance(breakpoints, np.ndarray)
    start = origin(breakpoints) if known else 0.0
    if start:
        _check_resolution(x, breakpoints)
        closed = None if closed is None else closed - start
        breakpoints = breakpoints - start
    turns = None
    if isinstance(x, np.ndarray) and known:
        # Differences of arrays without axes are scalars.
        x = np.asarray(x.astype(np.float64) - start)
        if periodic:
            x, turns = wrap(x, breakpoints)
            turns = np.asarray(turns, dtype)
        x = np.asarray(x, dtype)
    else:
        x = jnp.asarray(x, dtype)
        x = x - jnp.asarray(start, dtype) if start else x
        if periodic:
            x, turns = wrap(x, breakpoints)
    return x, turns, grid(breakpoints, dtype, closed)


def _check_resolution(x: Any, breakpoints: np.ndarray) -> None:
    """Refuse concrete points that were rounded before they came: more than 1 % of a gap is lost."""
    if is_traced(x) or not jnp.issubdtype(x.dtype, jnp.floating):
        return
    gap = np.diff(breakpoints)
    gap = gap[gap > 0.0].min()
    step = float(jnp.finfo(x.dtype).eps) * abs(float(breakpoints[0]))
    if step > 0.01 * gap:
        raise ValueError(
            f"`x` must resolve the knots, which are {gap:.6g} apart near {breakpoints[0]:.10g}; "
            f"got {x.dtype}, whose numbers there are {step:.3g} apart. Give x as NumPy float64, or "
            f"subtract {breakpoints[0]:.10g} from x and from the knots."
        )


def locate(x: Any, breakpoints: Any, closed: Any = None) -> tuple[Any, Any]:
    """Table row and normalized coordinate of each x; NumPy or JAX.

    Args:
        x: points, a float dtype; everything is computed in that dtype.
        breakpoints: M + 1 non-decreasing values, concrete (NumPy) or traced; or their `Grid`.
        closed: the breakpoint that belongs to the interval on its left (default: the last one).

    Returns:
        Rows in 0, ..., M + 1 and coordinates u. Empty intervals are never chosen.
    """
    if isinstance(x, np.ndarray) and isinstance(breakpoints, np.ndarray):
        points = breakpoints.astype(x.dtype)
        closed = points[-1] if closed is None else np.asarray(closed).astype(x.dtype)
        row = np.where(
            x == closed,
            np.searchsorted(points, closed, side="left"),
            np.searchsorted(points, x, side="right"),
        )
        left, inverse_width = points[:-1], safe_reciprocal(np.diff(points))
    else:
        cells = breakpoints
        if not isinstance(cells, Grid):
            cells = grid(breakpoints, x.dtype, closed)
        point = jax.lax.stop_gradient(x)
        passed = (cells.breakpoints < cells.closed).sum(dtype=np.int32)
        row = jnp.where(point == cells.closed, passed, _count_passed(point, cells))
        left, inverse_width = (jnp.asarray(v) for v in (cells.breakpoints, cells.inverse_width))
    interval = array_module(row).clip(row - 1, 0, inverse_width.shape[-1] - 1)
    return row, (x - take(left, interval)) * take(inverse_width, interval)


def wrap(x: Any, breakpoints: Any) -> tuple[Any, Any]:
    """x moved into the domain by whole periods, and by how many; points inside are not moved."""
    xp = array_module(x)
    start, end = xp.asarray(breakpoints[0], x.dtype), xp.asarray(breakpoints[-1], x.dtype)
    turns = xp.where((x < start) | (x > end), xp.floor((x - start) / (end - start)), 0)
    turns = turns if xp is np else jax.lax.stop_gradient(turns)
    # Rounding may leave x a hair outside; the outer rows continue the polynomials there.
    return x - turns * (end - start), turns


def _count_passed(x: Any, cells: Grid) -> Int[Array, "*points"]:
    """How many breakpoints are <= x (the table row of x), in a few gathers."""
    padded = jax.lax.stop_gradient(jnp.asarray(cells.breakpoints))
    if cells.starts is None:
        row = jnp.zeros(x.shape, jnp.int32)
    else:
        position = (x - padded[0]) * cells.scale
        last = cells.starts.shape[-1] - 1
        # Comparisons with NaN are false, so NaN and -inf go to cell 0 and indices stay in bounds.
        cell = jnp.where(position > 0, jnp.minimum(position, last), 0).astype(jnp.int32)
        row = take(jnp.asarray(cells.starts), cell)
    for bit in reversed(range(cells.most.bit_length())):
        step = 1 << bit
        passed = x >= take(padded, jnp.minimum(row, cells.num) + step - 1)
        row = jnp.where(passed, row + step, row)
    # Padding is passed by x = +inf only.
    return jnp.minimum(row, cells.num)


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
