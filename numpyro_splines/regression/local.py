"""Sparse rows of effects at known inputs: local polynomials of the cell of each observation."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial.legendre import legvander, poly2leg
from numpy.polynomial.polynomial import polypow

from numpyro_splines.arguments import kinds_of
from numpyro_splines.effects import AbstractEffect, SplineEffect, TensorEffect
from numpyro_splines.functions import BasisAxis, PolynomialAxis, local_table, located
from numpyro_splines.functions.axes import AbstractAxis
from numpyro_splines.margins.labels import positions
from numpyro_splines.margins.levels import AbstractLevelMargin
from numpyro_splines.validation import float64_array

_COLUMNS = 128  # of the local matrix that are worked out at once
_COUNTED = 16  # cells for each row up to which counting is quicker than sorting


class Axis(NamedTuple):
    """One input of an effect at the observations: which cell, and the local functions there.

    Attributes:
        cell: of each observation, shape (n,).
        values: of the w local functions, Legendre polynomials of the coordinate, shape (n, w).
        table: each function of the basis in terms of those of each cell, shape (K, cells, w).
    """

    cell: np.ndarray
    values: np.ndarray
    table: np.ndarray


class LocalRows(NamedTuple):
    """f at the observations: f_i = sum_k values[i, k] T[cell[i], k], T linear in coefficients.

    Attributes:
        cell: of each observation among those visited, shape (n,).
        values: of the local functions, shape (n, w).
        axes: the inputs, one by one.
        cells: of each input, for each visited cell, shape (number of cells, inputs).
    """

    cell: np.ndarray
    values: np.ndarray
    axes: tuple[Axis, ...]
    cells: np.ndarray

    def matrix(self, columns: np.ndarray) -> np.ndarray:
        """T for several sets of coefficients.

        Args:
            columns: shape (p, K_1, K_2, ...).

        Returns:
            Shape (number of cells * w, p).
        """
        num, width = len(self.cells), self.values.shape[1]
        result = np.empty((num * width, len(columns)))
        for start in range(0, len(columns), _COLUMNS):
            chosen = slice(start, start + _COLUMNS)
            # Cells, local functions of the axes done, axes to do, sets.
            part = np.moveaxis(columns[chosen], 0, -1)[None, None]
            for axis, own in zip(self.axes, self.cells.T, strict=True):
                table = axis.table[:, own].transpose(1, 2, 0)[:, None]
                shape = part.shape
                flat = part.reshape(shape[0], shape[1], shape[2], -1)
                part = table @ flat
                part = part.reshape(num, -1, *shape[3:])
            result[:, chosen] = part.reshape(num * width, -1)
        return result

    def values_of(self, coefficients: np.ndarray) -> np.ndarray:
        """f at the observations for one set of coefficients, shape (K_1, K_2, ...)."""
        local = self.matrix(coefficients[None]).reshape(len(self.cells), -1)
        return (self.values * local[self.cell]).sum(axis=1)


def local_rows(
    effect: AbstractEffect, inputs: Sequence[np.ndarray], *, defined: bool = True
) -> LocalRows:
    """The sparse rows of an effect.

    Args:
        effect: the effect.
        inputs: as `known_inputs` returns them.
        defined: whether f must be defined at all inputs; else it is NaN where it is not.

    Raises:
        ValueError: if f must be, and is not defined at an input.
    """
    own = axes_of(effect)
    axes = tuple(_axis(axis, x, effect.name, defined) for axis, x in zip(own, inputs, strict=True))
    sizes = tuple(axis.table.shape[1] for axis in axes)
    flat = np.ravel_multi_index(tuple(axis.cell for axis in axes), sizes)
    visited, index = _distinct(flat, int(np.prod(sizes)))
    values = np.ones((flat.size, 1))
    for axis in axes:
        values = (values[:, :, None] * axis.values[:, None, :]).reshape(flat.size, -1)
    cells = np.stack(np.unravel_index(visited, sizes), axis=1)
    return LocalRows(index, values, axes, cells)


def _distinct(cells: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Those of num cells that occur, and which of them each one is."""
    if num > _COUNTED * max(cells.size, 1):
        visited, index = np.unique(cells, return_inverse=True)
        return visited, index.reshape(-1)
    seen = np.bincount(cells, minlength=num) > 0
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[cells]


def axes_of(effect: AbstractEffect) -> Sequence[AbstractAxis]:
    """The inputs of an effect."""
    if not isinstance(effect, SplineEffect):
        assert isinstance(effect, TensorEffect)
        return effect.axes
    basis = effect.basis
    pieces = getattr(basis, "pieces", None)
    return (BasisAxis("x", basis) if pieces is None else PolynomialAxis("x", *pieces()),)


def _axis(axis: AbstractAxis, x: np.ndarray, effect: str, defined: bool) -> Axis:
    if isinstance(axis, BasisAxis):
        # Functions of a basis of the user's own are their own local functions, in one cell.
        basis: Any = axis.basis
        values = basis.collocation(x)
        return Axis(np.zeros(x.size, int), values, np.eye(values.shape[1])[:, None])
    cell, u = located(axis, x)
    (table,) = local_table([axis])
    table = np.moveaxis(table, -1, 0)
    if u is None:
        return Axis(cell, np.ones((x.size, 1)), table)
    broken = np.flatnonzero(~np.all(np.isfinite(table), axis=(0, 2))[cell])
    if defined and broken.size:
        lower, upper = axis.domain
        raise ValueError(
            f"`{axis.name} of {effect}` must lie where the curve is defined; got "
            f"{x[broken[0]]:.17g} at index {broken[0]}, outside the domain ({lower}, {upper}). Use "
            "another extrapolation or a wider domain."
        )
    # Sums of products of powers of u would lose digits when they are combined: those of Legendre
    # polynomials of 2 u - 1 are nearly diagonal.
    degree = table.shape[-1] - 1
    return Axis(cell, legvander(2.0 * u - 1.0, degree), table @ _powers(degree))


@functools.cache
def _powers(degree: int) -> np.ndarray:
    """u^0, ..., u^degree, one each row, in Legendre polynomials of 2 u - 1."""
    result = np.zeros((degree + 1, degree + 1))
    for k in range(degree + 1):
        result[k, : k + 1] = poly2leg(polypow([0.5, 0.5], k))
    return result


def known_inputs(effect: AbstractEffect, values: Sequence[Any]) -> tuple[np.ndarray, ...]:
    """The inputs of an effect on the host: numbers, and positions of levels.

    Args:
        effect: the effect.
        values: one array for each input; labels of levels, or, where these are no integers
            themselves, integers for their positions.

    Raises:
        TypeError: if inputs are traced or no numbers.
        ValueError: if their number is wrong, or a label is none of the levels.
    """
    if isinstance(effect, SplineEffect):
        margins: list[tuple[str, Any]] = [("x", None)]
    else:
        assert isinstance(effect, TensorEffect)
        margins = [(n, m) for n, m in effect.margins.items() for _ in range(m.num_inputs)]
    if len(values) != len(margins):
        raise ValueError(
            f"`smooths` must have {len(margins)} input(s) for {effect.name!r}, "
            f"{[name for name, _ in margins]}; got {len(values)}."
        )
    result = []
    for (name, margin), own in zip(margins, values, strict=True):
        if isinstance(margin, AbstractLevelMargin):
            result.append(_positions(margin, own, f"{name} of {effect.name}"))
        else:
            result.append(float64_array(own, f"{name} of {effect.name}", ndim=1))
    return tuple(result)


def _positions(margin: AbstractLevelMargin, labels: Any, name: str) -> np.ndarray:
    dtype = getattr(labels, "dtype", None)
    array = np.asarray(labels)
    named = all(isinstance(level, int) for level in margin.levels)
    if hasattr(dtype, "categories") or array.dtype.kind not in "iu" or named:
        return positions(labels, margin.levels, name)
    num = len(margin.levels)
    if array.ndim != 1 or (array.size and not 0 <= array.min() <= array.max() < num):
        raise ValueError(
            f"`{name}` must hold positions in [0, {num}), one for each observation; got shape "
            f"{array.shape}, {kinds_of(labels)}. margin.index(labels) makes them from labels."
        )
    return array.astype(np.int32)
