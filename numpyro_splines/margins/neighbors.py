"""Which areas are neighbors: from a table of neighbors, pairs, or a matrix to the Laplacian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from numpyro_splines.margins.labels import distinct, levels_of, positions
from numpyro_splines.validation import float64_array

_ADVICE = "Name all areas in `levels`, and their neighbours by the same names."


def adjacency(neighbours: Any, levels: Any = None) -> tuple[tuple[Any, ...], np.ndarray]:
    """The areas, and how strongly each two of them are tied.

    Args:
        neighbours: as in `GraphMargin`.
        levels: as in `GraphMargin`.

    Returns:
        Labels of the n areas, and a symmetric matrix with zeros on the diagonal, shape (n, n).

    Raises:
        TypeError: if `neighbours` is of none of these kinds.
        ValueError: if they are not symmetric, name unknown areas, or tie no areas.
    """
    given = None if levels is None else distinct(levels, "levels")
    if isinstance(neighbours, Mapping):
        areas, weights = _from_table(neighbours, given)
    elif scipy.sparse.issparse(neighbours) or isinstance(neighbours, np.ndarray):
        areas, weights = _from_matrix(neighbours, given)
    else:
        areas, weights = _from_pairs(neighbours, given)
    own = np.flatnonzero(np.diag(weights))
    if own.size:
        raise ValueError(
            f"`neighbours` must not make an area its own neighbor; got {areas[own[0]]!r}. Leave it "
            "out of its own neighbors."
        )
    if len(areas) < 2:
        raise ValueError(f"`neighbours` must be of two areas or more; got {areas}.")
    if not weights.any():
        raise ValueError(
            f"`neighbours` must tie some areas; got {len(areas)} areas without neighbors. For "
            "independent areas use a GroupMargin."
        )
    return areas, weights


def components_of(weights: np.ndarray) -> np.ndarray:
    """The connected component of each area, numbered in the order of their first areas."""
    _, labels = connected_components(scipy.sparse.csr_array(weights), directed=False)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _from_table(table: Mapping[Any, Any], given: tuple[Any, ...] | None):
    areas = levels_of(list(table), "neighbours") if given is None else given
    for area, ties in table.items():
        if isinstance(ties, str | bytes) or np.ndim(ties) != 1:
            raise TypeError(
                "`neighbours` must map each area to a list of its neighbors; got "
                f"{ties!r} for {area!r}."
            )
    rows = positions(list(table), areas, "neighbours", _ADVICE)
    ties = [other for others in table.values() for other in others]
    lengths = [len(others) for others in table.values()]
    weights = np.zeros((len(areas), len(areas)))
    if ties:
        weights[np.repeat(rows, lengths), positions(ties, areas, "neighbours", _ADVICE)] = 1.0
    one_sided = np.argwhere(weights > weights.T)
    if one_sided.size:
        area, other = (areas[i] for i in one_sided[0])
        raise ValueError(
            f"`neighbours` must be symmetric; got {other!r} among the neighbors of {area!r}, but "
            f"not {area!r} among those of {other!r}. Add what is missing, or give pairs."
        )
    return areas, weights


def _from_matrix(matrix: Any, given: tuple[Any, ...] | None):
    dense = matrix.toarray() if scipy.sparse.issparse(matrix) else matrix
    weights = float64_array(dense, "neighbours")
    num = len(weights) if weights.ndim else 0
    if weights.shape != (num, num):
        raise ValueError(
            f"`neighbours` must be a square matrix, areas x areas; got shape {weights.shape}. "
            "Pairs of areas go in a list: array.tolist()."
        )
    areas = tuple(range(num)) if given is None else given
    if len(areas) != num:
        raise ValueError(
            f"`levels` must name the {num} areas of the matrix in their order; got {len(areas)}."
        )
    if np.any(weights < 0):
        raise ValueError(
            f"`neighbours` must not have negative weights; got {weights.min():.6g}. Ties are "
            "positive, and zero where areas are no neighbors."
        )
    uneven = np.argwhere(weights != weights.T)
    if uneven.size:
        row, column = uneven[0]
        raise ValueError(
            f"`neighbours` must be symmetric; got {weights[row, column]:.6g} from "
            f"{areas[row]!r} to {areas[column]!r} and {weights[column, row]:.6g} back. Use "
            "(W + W.T) / 2."
        )
    return areas, weights


def _is_pair(value: Any) -> bool:
    try:
        return not isinstance(value, str) and len(value) == 2
    except TypeError:
        return False


def _from_pairs(pairs: Any, given: tuple[Any, ...] | None):
    if len(getattr(pairs, "columns", ())) == 2:  # a data frame
        first, second = (pairs.iloc[:, i].tolist() for i in range(2))
    else:
        listed = list(pairs) if np.iterable(pairs) and not hasattr(pairs, "columns") else None
        if listed is None or any(not _is_pair(p) for p in listed):
            raise TypeError(
                "`neighbours` must be a table (area -> list of its neighbors), a list of pairs of "
                f"areas, a data frame of two columns, or a square matrix; got {type(pairs)}."
            )
        first, second = [p[0] for p in listed], [p[1] for p in listed]
    areas = levels_of(first + second, "neighbours") if given is None else given
    weights = np.zeros((len(areas), len(areas)))
    if first:
        i, j = (positions(labels, areas, "neighbours", _ADVICE) for labels in (first, second))
        weights[i, j] = weights[j, i] = 1.0
    return areas, weights
