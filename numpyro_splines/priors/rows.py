"""What observations say of products of functions of several margins."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from numpyro_splines.margins import AbstractMargin

_ROWS = 4096  # of the design matrix that are formed at once
_DENSE = 3000  # products whose information is kept as a matrix


def information(margins: Sequence[AbstractMargin]) -> np.ndarray | None:
    """Sum over the observations of products of functions times themselves.

    Where all margins tell their observations one by one, and equally many, these are rows of one
    data set; else inputs are taken for independent.

    Args:
        margins: of the effect.

    Returns:
        Shape (p, p) with p the number of all products, or (p,) for its diagonal where these are
        very many; None if no margin has any observations.
    """
    num = max(margin.num_observations for margin in margins)
    if num == 0.0:
        return None
    size = int(np.prod([margin.num_functions for margin in margins]))
    rows = [margin.rows for margin in margins]
    lengths = {len(own[0]) if own is not None else None for own in rows}
    if size <= _DENSE and len(lengths) == 1 and None not in lengths:
        return _of_rows(margins, [own for own in rows if own is not None], size)
    grams = [
        np.asarray(m.functions).T @ np.asarray(m.observed) @ np.asarray(m.functions)
        for m in margins
    ]
    if size > _DENSE:
        return num * reduce(np.kron, [np.diag(gram) for gram in grams])
    return num * reduce(np.kron, grams)


def _of_rows(
    margins: Sequence[AbstractMargin], rows: list[tuple[np.ndarray, ...]], size: int
) -> np.ndarray:
    complete = np.ones(len(rows[0][0]), bool)
    for own in rows:
        for column in own:
            complete &= ~np.isnan(column)
    total = np.zeros((size, size))
    where = np.flatnonzero(complete)
    for start in range(0, where.size, _ROWS):
        chosen = where[start : start + _ROWS]
        design = products_at(margins, [tuple(c[chosen] for c in own) for own in rows])
        total += design.T @ design
    return total


def products_at(
    margins: Sequence[AbstractMargin], rows: Sequence[tuple[np.ndarray, ...]]
) -> np.ndarray:
    """Products of functions of all margins at complete rows.

    Args:
        margins: of the effect.
        rows: inputs of each margin, of shape (n,).

    Returns:
        Shape (n, p).
    """
    design = np.ones((len(rows[0][0]), 1))
    for margin, own in zip(margins, rows, strict=True):
        columns = margin.design(*own) @ np.asarray(margin.functions)
        design = (design[:, :, None] * columns[:, None, :]).reshape(len(design), -1)
    return design
