"""Points that are known in advance, prepared once: `at = basis.at(x)`, then `at(curve)`."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.ops.arrays import one_program, take
from numpyro_splines.ops.grid import locate, origin, wrap
from numpyro_splines.ops.piecewise import horner
from numpyro_splines.validation import float64_array, is_traced

# Points of one interval that are evaluated together. Blocks pay from as many points on as this, and
# where the intervals fill them: value and gradient, K = 20, four chains under `vmap` in a compiled
# loop, as a multiple of the plain engine, for x in any order and (increasing): n = 1e4 1.4 (2.3),
# 1e5 2.2 (3.6), 1e6 1.7 (2.0); a single chain 0.9 (1.1), 0.8 (2.6), 1.4 (4.3).
_BLOCK = 256
_FROM = {"increasing": 10_000, "any": 300_000}


class AbstractPoints(eqx.Module):
    """Known points x at which curves of a basis are evaluated: at(curve) == curve(x)."""

    @abc.abstractmethod
    def __call__(self, curve: Any) -> Float[Array, "..."]:
        """Values of a curve at the points.

        Args:
            curve: a curve of the basis, or of the same breakpoints (a derivative), of any batch
                shape.

        Returns:
            Shape (*batch_shape, *x.shape), in the units of f, dtype of the curve.
        """

    @abc.abstractmethod
    def rows(self, index: Any) -> AbstractPoints:
        """Some of the points, by their positions, such as those of a subsampled plate.

        Args:
            index: integers, any shape; may be traced. For points along one axis.

        Returns:
            Points of the shape of the index.
        """


class PlainPoints(AbstractPoints):
    """Points for curves that are not piecewise polynomials.

    Attributes:
        x: the points.
    """

    x: np.ndarray | Array

    def __call__(self, curve: Any) -> Float[Array, "..."]:
        """See `AbstractPoints.__call__`."""
        return curve(self.x)

    def rows(self, index: Any) -> PlainPoints:
        """See `AbstractPoints.rows`."""
        return PlainPoints(jnp.asarray(self.x)[index])


class LocatedPoints(AbstractPoints):
    r"""Points with their places among the breakpoints, in blocks of equal interval.

    The value of block b at its point p is sum_k table[row_b, k] u_bp^k. Large data are sorted into
    blocks of 256, the last one of each interval padded, so that only one row of the table is
    gathered for each block, and the gradient in the table is a sum over blocks in place of a
    scatter over points; a permutation, whose transpose is its inverse, brings values back to the
    order of x. Everything is differentiable in the curve at any order, forward and reverse, and
    maps under `vmap`. Memory O(n).

    Attributes:
        breakpoints: of the curves, shape (M + 1,).
        row: of the table, one per block, shape (B,).
        coordinate: u, shape (B, size).
        turns: by how many periods each point was moved; None without a period.
        order: position among all B size slots of each point, then of the padding, and the inverse
            permutation, shape (2, B size); None where blocks are in order.
        runs: for increasing x in blocks, (points, padding) of each interval with any; else None.
        shape: of x.

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.BSplineBasis([0.0, 1.0, 2.0], degree=1)
        >>> at = basis.at([0.5, 1.5, 3.0])
        >>> print(at(basis.curve([0.0, 1.0, 4.0])))
        [0.5 2.5 7. ]
    """

    breakpoints: np.ndarray
    row: np.ndarray | Array
    coordinate: np.ndarray | Array
    turns: np.ndarray | Array | None
    order: np.ndarray | None
    runs: tuple[tuple[int, int], ...] | None = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def of(cls, x: ArrayLike, breakpoints: Any, *, periodic: bool) -> LocatedPoints:
        """Locate points.

        Args:
            x: the points.
            breakpoints: of the curves.
            periodic: whether points are moved into the domain by whole periods.
        """
        points, breakpoints = known(x), float64_array(breakpoints, "breakpoints")
        shape, start = points.shape, origin(breakpoints)
        points, cells, turns = points.ravel() - start, breakpoints - start, None
        if periodic:
            points, turns = wrap(points, cells)
        row, u = locate(points, cells)
        increasing = bool(np.all(row[1:] >= row[:-1]))
        enough = _FROM["increasing" if increasing else "any"]
        row, coordinate, order, runs = row.astype(np.int32), u[:, None], None, None
        if row.size >= max(enough, _BLOCK * cells.size):
            row, coordinate, order, runs = _packed(row, u, cells.size + 1, increasing)
        return cls(breakpoints, row, coordinate, turns, order, runs, shape)

    def __call__(self, curve: Any) -> Float[Array, "..."]:
        """See `AbstractPoints.__call__`.

        Raises:
            TypeError: if the breakpoints of the curve are traced.
            ValueError: if they are not those of the points.
        """
        own = getattr(curve, "breakpoints", None)
        mine = self.breakpoints
        if own is None or (is_traced(own) and not is_traced(mine)):
            raise TypeError(
                "`curve` must be a curve with known breakpoints, those that the points were "
                f"prepared for; got {'traced ones' if own is not None else type(curve).__name__}. "
                "Evaluate curve(x) instead."
            )
        # Points that came through jit are traced: there the number of breakpoints must do.
        same = np.shape(own) == mine.shape
        # A curve that comes out of a compiled function has them in the precision of JAX.
        if not same or not (is_traced(mine) or np.array_equal(own, mine.astype(own.dtype))):
            raise ValueError(
                "`curve` must have the breakpoints that the points were prepared for; got "
                f"{np.size(own)} in place of {mine.size}, or others. Prepare x by the basis of "
                "this curve."
            )
        if curve.periodic != (self.turns is not None):
            raise ValueError(
                "`curve` must be periodic if the basis is that the points were prepared for, and "
                f"only then; got periodic={curve.periodic}. Prepare x by the basis of this curve."
            )
        return _evaluate(self, curve.table, curve.increment)

    def rows(self, index: Any) -> LocatedPoints:
        """See `AbstractPoints.rows`; each point by itself."""
        slot = jnp.asarray(index)
        turns = None if self.turns is None else jnp.asarray(self.turns)[slot.ravel()]
        shape, slot = slot.shape, slot.ravel()
        if self.order is not None:
            slot = jnp.asarray(self.order[0])[slot]
        elif self.runs is not None:
            points, padding = np.array(self.runs).T
            shift = jnp.asarray(np.cumsum(padding) - padding)
            slot = slot + shift[jnp.searchsorted(np.cumsum(points), slot, "right")]
        row = jnp.asarray(self.row)[slot // self.coordinate.shape[1]]
        coordinate = jnp.asarray(self.coordinate.ravel())[slot][:, None]
        return LocatedPoints(self.breakpoints, row, coordinate, turns, None, None, shape)


def _packed(row: np.ndarray, u: np.ndarray, num_rows: int, increasing: bool) -> tuple[Any, ...]:
    """Points sorted into padded blocks of one interval each: rows, coordinates, order, runs."""
    counts = np.bincount(row, minlength=num_rows)
    blocks = -(-counts // _BLOCK)
    padding = blocks * _BLOCK - counts
    by_row = np.argsort(row, kind="stable")
    # Slots that lie before those of the interval, less points that do.
    shift = np.cumsum(padding) - padding
    slot = np.empty(row.size, np.int32)
    slot[by_row] = np.arange(row.size) + np.repeat(shift, counts)
    coordinate = np.zeros(int(blocks.sum()) * _BLOCK)
    coordinate[slot] = u
    block_rows = np.repeat(np.arange(counts.size, dtype=np.int32), blocks)
    coordinate = coordinate.reshape(-1, _BLOCK)
    if increasing:
        pairs = zip(counts.tolist(), padding.tolist(), strict=True)
        return block_rows, coordinate, None, tuple(pair for pair in pairs if pair[0])
    used = np.zeros(coordinate.size, bool)
    used[slot] = True
    forward = np.concatenate([slot, np.flatnonzero(~used).astype(np.int32)])
    return block_rows, coordinate, np.stack([forward, np.argsort(forward).astype(np.int32)]), None


@one_program()
def _evaluate(points: LocatedPoints, table: Any, increment: Any) -> Array:
    coefficients = take(table, jnp.asarray(points.row), axis=-2)
    u = jnp.asarray(points.coordinate, table.dtype)
    values = horner(coefficients[..., None, :], u)
    values = values.reshape(*values.shape[:-2], u.size)
    num = int(np.prod(points.shape))
    if points.runs is not None:
        values = _permuted(values, *_by_runs(points.runs))
    elif points.order is not None:
        order = jnp.asarray(points.order)
        values = _permuted(values, lambda v: take(v, order[0]), lambda v: take(v, order[1]))
    values = values[..., :num]
    if points.turns is not None and increment is not None:
        values = values + increment[..., None] * jnp.asarray(points.turns, values.dtype)
    return values.reshape(*values.shape[:-1], *points.shape)


def _permuted(values: Array, forward: Any, backward: Any) -> Array:
    """Values in another order along the last axis, with the inverse order as transpose.

    JAX would transpose a gather to a scatter, which is slow. The solution of "backward(x) = values"
    is the same, and its transpose is what we say; it has derivatives of any order.
    """
    return jax.lax.custom_linear_solve(
        backward, values, lambda _, v: forward(v), lambda _, v: backward(v)
    )


def _by_runs(runs: tuple[tuple[int, int], ...]) -> tuple[Any, Any]:
    """From runs of points and padding in turn to all points, then all padding; and back."""
    points, padding = np.array(runs).T
    starts = np.cumsum(points + padding) - points - padding
    first, rest = np.cumsum(points) - points, points.sum() + np.cumsum(padding) - padding

    def pieces(v: Any, begins: np.ndarray, lengths: np.ndarray) -> list[Any]:
        return [v[..., b : b + k] for b, k in zip(begins.tolist(), lengths.tolist(), strict=True)]

    def forward(v: Any) -> Any:
        parts = pieces(v, starts, points) + pieces(v, starts + points, padding)
        return jnp.concatenate(parts, axis=-1)

    def backward(v: Any) -> Any:
        pairs = zip(pieces(v, first, points), pieces(v, rest, padding), strict=True)
        return jnp.concatenate([piece for pair in pairs for piece in pair], axis=-1)

    return forward, backward


def known(x: Any) -> np.ndarray:
    """Points in float64 for `basis.at`; NaN stands for itself."""
    if is_traced(x):
        raise TypeError(
            "`x` must be known to be prepared; got a traced array. For random inputs evaluate "
            "curve(x)."
        )
    return float64_array(x, "x", missing="nan")
