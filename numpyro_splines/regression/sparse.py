"""The design of a predictor: sparse rows in local functions, times one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np
import scipy.sparse

# Local functions whose products are kept as a full matrix.
_DENSE = 2000

# Rows whose products with all directions are formed at once.
_ROWS = 8192


class SparseDesign(eqx.Module):
    """Phi = rows @ matrix: few entries for each observation, one matrix for all of them.

    Attributes:
        index: of the local functions that each observation sees, shape (n, entries).
        value: of these there, shape (n, entries).
        matrix: each local function in terms of all coefficients, shape (local functions, p).
        parts: pairs of rows and columns outside of which the matrix is zero.
    """

    index: np.ndarray
    value: np.ndarray
    matrix: np.ndarray
    parts: tuple[tuple[np.ndarray, np.ndarray], ...]

    def rows(self, weights: np.ndarray | None = None) -> scipy.sparse.csr_array:
        """The rows, each times a weight if any are given; float64 on the host."""
        n, entries = self.index.shape
        value = self.value if weights is None else self.value * weights[:, None]
        pointer = np.arange(n + 1) * entries
        shape = (n, self.matrix.shape[0])
        return scipy.sparse.csr_array((value.ravel(), self.index.ravel(), pointer), shape=shape)

    def gram(self, weights: np.ndarray) -> np.ndarray:
        """Phi' diag(weights) Phi in one pass over the data, shape (p, p)."""
        local: Any = self.rows().T @ self.rows(weights)
        # Cells of surfaces are many, and each meets few others.
        sparse = local.shape[0] > _DENSE
        local = local.tocsr() if sparse else local.toarray()
        # The matrix is one block for each effect: products of blocks are a fraction of the work,
        # and mostly below the size at which BLAS pays for handing out parts to threads.
        num = self.matrix.shape[1]
        result = np.zeros((num, num))
        for rows, columns in self.parts:
            left = self.matrix[np.ix_(rows, columns)].T
            for others, further in self.parts:
                right = self.matrix[np.ix_(others, further)]
                own = local[np.ix_(rows, others)]
                product = left @ (own @ right) if sparse else left @ own @ right
                result[np.ix_(columns, further)] = product
        return result

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
    return SparseDesign(every, np.concatenate(value, axis=1), whole, tuple(parts))
