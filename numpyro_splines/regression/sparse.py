"""The design of a predictor: sparse rows in local functions, times one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
import scipy.sparse

# Pairs of cells whose moments are kept in full; beyond, few of them are visited.
_PAIRS = 1 << 20

# Rows whose products are formed at once.
_ROWS = 8192


class Cells(NamedTuple):
    """A part of the design: local functions of the cell of each observation.

    Attributes:
        cell: of each observation, shape (n,).
        value: of the local functions there, shape (n, width).
        num: number of cells.
    """

    cell: np.ndarray
    value: np.ndarray
    num: int


class SparseDesign(eqx.Module):
    """Phi = rows @ matrix: few entries for each observation, one matrix for all of them.

    Attributes:
        index: of the local functions that each observation sees, shape (n, entries).
        value: of these there, shape (n, entries).
        matrix: each local function in terms of all coefficients, shape (local functions, p).
        parts: pairs of rows and columns outside of which the matrix is zero.
        widths: number of entries of each part.
    """

    index: np.ndarray
    value: np.ndarray
    matrix: np.ndarray
    parts: tuple[tuple[np.ndarray, np.ndarray], ...]
    widths: tuple[int, ...] = eqx.field(static=True)

    def rows(self, weights: np.ndarray | None = None) -> scipy.sparse.csr_array:
        """The rows, each times a weight if any are given; float64 on the host."""
        n, entries = self.index.shape
        value = self.value if weights is None else self.value * weights[:, None]
        pointer = np.arange(n + 1) * entries
        shape = (n, self.matrix.shape[0])
        return scipy.sparse.csr_array((value.ravel(), self.index.ravel(), pointer), shape=shape)

    def dense(self, dtype: Any) -> np.ndarray:
        """Phi itself, shape (n, p), without one of another dtype on the way."""
        rows, n = self.rows(), len(self.index)
        result = np.empty((n, self.matrix.shape[1]), dtype)
        for start in range(0, n, _ROWS):
            result[start : start + _ROWS] = rows[start : start + _ROWS] @ self.matrix
        return result

    def values(self, coefficients: np.ndarray) -> np.ndarray:
        """Phi c, shape (n,), for c of shape (p,)."""
        return self.rows() @ (self.matrix @ coefficients)

    def transposed(self, residual: np.ndarray) -> np.ndarray:
        """Phi' v, shape (p,), for v of shape (n,)."""
        return self.matrix.T @ (self.rows().T @ residual)

    def gram(self, weights: np.ndarray) -> np.ndarray:
        """Phi' diag(weights) Phi in one pass over the data, shape (p, p).

        The matrix is one block for each effect: moments of the local functions by pair of cells,
        then products of blocks, a fraction of the work and mostly below the size at which BLAS
        pays for handing out parts to threads.
        """
        num, cells = self.matrix.shape[1], [self._cells(i) for i in range(len(self.parts))]
        result = np.zeros((num, num))
        for i, (rows, columns) in enumerate(self.parts):
            left = self.matrix[np.ix_(rows, columns)]
            for j, (others, further) in enumerate(self.parts[: i + 1]):
                right = self.matrix[np.ix_(others, further)]
                pairs = cells[i].num * (1 if i == j else cells[j].num)
                if pairs <= _PAIRS:
                    moments = _moments(cells[i], cells[j], i == j, weights)
                else:
                    every, weighted = self.rows(), self.rows(weights)
                    moments = every[:, rows].T @ weighted[:, others]
                product = left.T @ (moments @ right)
                result[np.ix_(columns, further)] = product
                result[np.ix_(further, columns)] = product.T
        return result

    def leverage(self, covariance: np.ndarray) -> np.ndarray:
        """phi_i' covariance phi_i of each row phi_i of Phi, shape (n,).

        Args:
            covariance: symmetric, shape (p, p).
        """
        result, cells = np.zeros(len(self.index)), [self._cells(i) for i in range(len(self.parts))]
        for i, (rows, columns) in enumerate(self.parts):
            left = self.matrix[np.ix_(rows, columns)]
            for j, (others, further) in enumerate(self.parts[: i + 1]):
                right, times = self.matrix[np.ix_(others, further)], 1.0 if i == j else 2.0
                inner = times * covariance[np.ix_(columns, further)]
                if cells[i].num * cells[j].num <= _PAIRS:
                    result += _quadratic(cells[i], cells[j], left @ inner @ right.T)
                else:
                    every = self.rows()
                    own, other = every[:, rows] @ (left @ inner), every[:, others] @ right
                    result += (own * other).sum(axis=1)
        return result

    def _cells(self, part: int) -> Cells:
        """One effect, or the linear terms, at the observations."""
        start, width = sum(self.widths[:part]), self.widths[part]
        first, num = (self.parts[part][0][0], len(self.parts[part][0])) if width else (0, 0)
        cell = np.zeros(len(self.index), np.intp)
        if num > width:  # not the linear terms: more than one cell
            cell = ((self.index[:, start] - first) // width).astype(np.intp)
        return Cells(cell, self.value[:, start : start + width], max(num // max(width, 1), 1))

    def inner(self, directions: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """D' Phi' W Phi D and D' Phi' W Phi, from the columns of Phi D themselves.

        Args:
            directions: D, shape (p, r).
            weights: W, shape (n,).
        """
        columns = self.matrix @ directions
        own, cross = np.zeros((directions.shape[1],) * 2), np.zeros(columns.shape)
        every = self.rows(np.sqrt(weights))
        for start in range(0, len(weights), _ROWS):
            rows = every[start : start + _ROWS]
            values = rows @ columns
            own += values.T @ values
            cross += rows.T @ values
        return own, cross.T @ self.matrix


def _moments(one: Cells, other: Cells, same: bool, weights: np.ndarray) -> Any:
    """Weighted sums of products of local functions, by pair of cells; one matrix."""
    width, height = one.value.shape[1], other.value.shape[1]
    pairs = one.num if same else one.num * other.num
    sums = np.zeros((width, height, pairs))
    for start in range(0, len(weights), _ROWS):
        own = slice(start, start + _ROWS)
        right = other.value[own].T.copy()
        left = right if same else one.value[own].T.copy()
        weighted = left * weights[own]
        if pairs == 1:
            sums[:, :, 0] += weighted @ right.T
            continue
        key = one.cell[own] if same else one.cell[own] * other.num + other.cell[own]
        for i in range(width):
            for j in range(i + 1 if same else height):
                sums[i, j] += np.bincount(key, weighted[i] * right[j], minlength=pairs)
    if not same:
        sums = sums.reshape(width, height, one.num, other.num).transpose(2, 0, 3, 1)
        return sums.reshape(one.num * width, other.num * height)
    if width == 0:
        return np.zeros((0, 0))
    for i in range(width):
        sums[:i, i] = sums[i, :i]
    blocks = (sums.transpose(2, 0, 1), np.arange(pairs), np.arange(pairs + 1))
    return scipy.sparse.bsr_array(blocks, shape=(pairs * width, pairs * width))


def _quadratic(one: Cells, other: Cells, table: np.ndarray) -> np.ndarray:
    """v_i' table v_i of the local functions v of two parts at each observation."""
    width, height = one.value.shape[1], other.value.shape[1]
    table = table.reshape(one.num, width, other.num, height).transpose(0, 2, 1, 3)
    table = table.reshape(one.num * other.num, width, height)
    result = np.zeros(len(one.cell))
    for start in range(0, len(result), _ROWS):
        own = slice(start, start + _ROWS)
        local = table[one.cell[own] * other.num + other.cell[own]]
        product = (one.value[own, None] @ local)[:, 0]
        result[own] = (product * other.value[own]).sum(axis=1)
    return result


def sparse_design(
    columns: np.ndarray, blocks: Sequence[tuple[Any, np.ndarray, np.ndarray, np.ndarray | None]]
) -> SparseDesign:
    """The design of linear terms and effects.

    Args:
        columns: of the linear terms, which come first, shape (n, k).
        blocks: for each effect its `LocalRows`, T of its coefficients (local functions, number of
            them), their places among all coefficients, and what multiplies it, or None.
    """
    n, num = columns.shape
    index: list[Any] = [np.broadcast_to(np.arange(num, dtype=np.int32), (n, num))]
    value, start = [columns], num
    parts: list[tuple[np.ndarray, np.ndarray]] = [(np.arange(num), np.arange(num))]
    for rows, matrix, places, factor in blocks:
        width = rows.values.shape[1]
        index.append(start + rows.cell[:, None] * width + np.arange(width))
        value.append(rows.values if factor is None else rows.values * factor[:, None])
        parts.append((np.arange(start, start + len(matrix)), places))
        start += len(matrix)
    total = num + sum(places.size for _, _, places, _ in blocks)
    whole = np.zeros((start, total))
    whole[:num, :num] = np.eye(num)
    for (rows, places), (_, matrix, _, _) in zip(parts[1:], blocks, strict=True):
        whole[np.ix_(rows, places)] = matrix
    every = np.concatenate(index, axis=1).astype(np.int32)
    widths = tuple(own.shape[1] for own in value)
    return SparseDesign(every, np.concatenate(value, axis=1), whole, tuple(parts), widths)
