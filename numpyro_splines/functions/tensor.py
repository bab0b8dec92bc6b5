"""Tensor products evaluated: sums of products of functions of one input each.

    f(x_1, ..., x_D) = sum_{i_1 ... i_D} C[..., i_1, ..., i_D] b_{i_1}(x_1) ... b_{i_D}(x_D)

Two ways. The *table* has the polynomial of every cell of the grid of breakpoints,

    T[..., r_1, r_2, a, b] = sum_pq C[..., p, q] F_1[p, r_1, a] F_2[q, r_2, b],

so that a point takes one row of (degree + 1)^D numbers and sums by Horner's rule in each
coordinate. The *rows* of functions, b_i(x) of each input, are contracted with C one after another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from numpyro_splines.ops import piecewise
from numpyro_splines.ops.arrays import array_module, one_program, take

# The table pays from as many products of points and functions on, for each of its numbers. Value
# and gradient in (C, x, z), float32, cubic, time of the rows as a multiple of that of the table:
#
#     K x K        n = 100   1e3   1e4   1e5         K x K x K    n = 100   1e3   1e4   1e5
#     10               0.9   1.3   2.3   4.0         6                1.0   1.1   1.6   1.1
#     20               0.9   3.5   3.4   5.8         10               0.7   1.4   2.7   2.1
#     30               0.9   3.1   4.7   8.4         20               0.3   1.3   9.7
#
# that is, products per number: 7 to 8 at n = 100 in two dimensions, 2 to 3 in three (20 at 1e3).
_PRODUCTS = 8

# Batches share the rows, which become matrix products: n = 1e4, batch of 4, 16, 64:
#
#     10 x 10   1.5   0.3   0.1         30 x 30   2.0   3.6   0.6
#     20 x 20   2.1   2.0   0.3         10 x 10 x 10   0.8   0.2   0.4
#
# The table pays while the batch times its powers is less than the functions, K_1 ... K_D.


class Located(NamedTuple):
    """Points among the breakpoints of piecewise polynomials.

    Attributes:
        x: points, as `piecewise.place` gives them.
        grid: the breakpoints.
        functions: local tables without NaN, shape (K, R, degree + 1).
        gaps: which of the R rows are NaN; None for none.
    """

    x: Any
    grid: Any
    functions: Any
    gaps: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the points."""
        return np.shape(self.x)


class Chosen(NamedTuple):
    """Groups: the index selects a coefficient.

    Attributes:
        index: integers of any shape.
    """

    index: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the points."""
        return np.shape(self.index)


class Rows(NamedTuple):
    """Numbers that the functions are replaced by: values, integrals, means.

    Attributes:
        rows: shape (*points, K).
    """

    rows: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the points."""
        return np.shape(self.rows)[:-1]


Place = Located | Chosen | Rows


@one_program("dtype")
def evaluate(coefficients: Any, places: Sequence[Place], *, dtype: Any) -> Array:
    """Values at points, in one program.

    Args:
        coefficients: shape (*batch, K_1, ..., K_D).
        places: one per axis, their points broadcast against each other.
        dtype: a float dtype.

    Returns:
        Shape (*batch, *points) in that dtype.
    """
    coefficients = jnp.asarray(coefficients, dtype)
    located = [_locate(place) for place in places]
    shape = jnp.broadcast_shapes(*(place.shape for place in places))
    batch = coefficients.shape[: coefficients.ndim - len(places)]
    # Inputs that are the same for all points first: what is left has fewer inputs.
    many = [d for d, place in enumerate(places) if math.prod(place.shape) != 1]
    if 0 < len(many) < len(places):
        once = [None if d in many else place for d, place in enumerate(places)]
        rest = _from_rows(coefficients, once, located)
        coefficients = rest.reshape(*batch, *rest.shape[rest.ndim - len(many) :])
        inner, at = [places[d] for d in many], [located[d] for d in many]
    else:
        inner, at = places, located
    way = _from_table if _by_table(coefficients, inner) else _from_rows
    value = way(coefficients, inner, at)
    return _without_gaps(value.reshape(*batch, *shape), places, located, 0)


@one_program("dtype")
def contract(coefficients: Any, places: Sequence[Place | None], *, dtype: Any) -> Array:
    """Some axes replaced by values of their functions, as `evaluate` does all of them.

    Args:
        coefficients: shape (*batch, K_1, ..., K_D).
        places: one per axis, None for those that remain.
        dtype: a float dtype.

    Returns:
        Shape (*batch, *points, remaining K).
    """
    coefficients = jnp.asarray(coefficients, dtype)
    located = [None if place is None else _locate(place) for place in places]
    value = _from_rows(coefficients, places, located)
    return _without_gaps(value, places, located, places.count(None))


def contract_known(coefficients: np.ndarray, rows: Sequence[np.ndarray | None]) -> np.ndarray:
    """What `contract` does, on the host, with one row for each axis that goes, shape (K_d,)."""
    first = coefficients.ndim - len(rows)
    for d in range(len(rows) - 1, -1, -1):
        if (row := rows[d]) is not None:
            # The mean of float32 numbers is one.
            coefficients = np.tensordot(coefficients, row, axes=(first + d, 0)).astype(
                coefficients.dtype
            )
    return coefficients


def cells(coefficients: Any, functions: Sequence[Any]) -> Any:
    """The polynomials of all cells; NumPy or JAX.

    Args:
        coefficients: shape (*batch, K_1, ..., K_D).
        functions: local tables of each axis, shape (K_d, R_d, degree_d + 1); None for groups.

    Returns:
        Shape (*batch, cells, powers), both in row-major order of the axes.
    """
    num, batch = len(functions), coefficients.ndim - len(functions)
    axes = list(range(batch + num))
    operands: list[Any] = [coefficients, axes]
    rows, powers, columns = axes[batch:], [], 1
    for d, table in enumerate(functions):
        if table is not None:
            rows[d], power = batch + num + d, batch + 2 * num + d
            powers.append(power)
            columns *= table.shape[-1]
            operands += [table, [batch + d, rows[d], power]]
    result = _einsum(operands, [*axes[:batch], *rows, *powers])
    return result.reshape(*coefficients.shape[:batch], -1, columns)


def flat_cell(rows: Sequence[Any], sizes: Sequence[int]) -> Any:
    """The row-major number of the cell with those rows, which broadcast."""
    # Groups times cells may not fit in the smallest integers that hold each.
    wide = np.int64 if math.prod(sizes) > np.iinfo(np.int32).max else np.int32
    wide_rows = [row.astype(wide) for row in rows]
    return reduce(lambda cell, d: cell * sizes[d] + wide_rows[d], range(len(rows)), wide(0))


def nested_horner(polynomials: Any, coordinates: Sequence[Any], columns: Sequence[int]) -> Any:
    """Polynomials in several coordinates.

    Args:
        polynomials: coefficients of products of powers in row-major order, (*batch, *points,
            powers).
        coordinates: one per polynomial axis, broadcast against the points.
        columns: degree + 1 of each.

    Returns:
        Shape (*batch, *points).
    """
    if not columns:
        return polynomials[..., 0]
    value = polynomials.reshape(*polynomials.shape[:-1], *columns)
    for d in range(len(columns) - 1, -1, -1):
        u = coordinates[d]
        value = piecewise.horner(value, u.reshape(*u.shape, *(1,) * d))
    return value


def _locate(place: Place) -> tuple[Any, Any]:
    """Row and coordinate among breakpoints, group and None, or None twice."""
    if isinstance(place, Located):
        return piecewise.locate(jnp.asarray(place.x), place.grid)
    return (jnp.asarray(place.index) if isinstance(place, Chosen) else None), None


def _by_table(coefficients: Any, places: Sequence[Place]) -> bool:
    """Whether to make the table, from shapes alone."""
    shapes = [place.shape for place in places]
    points = math.prod(jnp.broadcast_shapes(*shapes))
    if any(isinstance(place, Rows) for place in places):
        return False
    if len(places) > 1 and math.prod(map(math.prod, shapes)) == points:
        return False  # A grid: as many rows as it has lines.
    first = coefficients.ndim - len(places)
    functions, numbers, powers = 1, 1, 1
    for place, size in zip(places, coefficients.shape[first:], strict=True):
        if isinstance(place, Located):
            functions *= size
            numbers *= math.prod(place.functions.shape[1:])
            powers *= place.functions.shape[2]
        else:
            numbers *= size
    if points * functions < _PRODUCTS * numbers:
        return False
    # Points of groups have coefficients of their own: there rows are no matrix products.
    grouped = any(isinstance(place, Chosen) for place in places)
    return grouped or math.prod(coefficients.shape[:first]) * powers <= functions


def _from_table(coefficients: Any, places: Sequence[Any], located: Sequence[Any]) -> Array:
    dtype = coefficients.dtype
    inner = [isinstance(place, Located) for place in places]
    functions = [
        jnp.asarray(place.functions, dtype) if is_inner else None
        for place, is_inner in zip(places, inner, strict=True)
    ]
    first = coefficients.ndim - len(places)
    sizes = [
        coefficients.shape[first + d] if table is None else table.shape[1]
        for d, table in enumerate(functions)
    ]
    table = cells(coefficients, functions)
    polynomials = take(table, flat_cell([row for row, _ in located], sizes), axis=-2)
    coordinates = [u for _, u in located if u is not None]
    return nested_horner(
        polynomials, coordinates, [t.shape[-1] for t in functions if t is not None]
    )


def _from_rows(coefficients: Any, places: Sequence[Place | None], located: Sequence[Any]) -> Array:
    """Values of shape (*batch, *points, remaining K).

    Axes of points are numbered, and an input has only those along which it varies: the values on a
    grid of m x n points are two matrix products.
    """
    num = len(places)
    batch = coefficients.ndim - num
    shape = jnp.broadcast_shapes(*(p.shape for p in places if p is not None))
    points = [batch + num + j for j in range(len(shape))]
    own = list(range(batch, batch + num))
    coefficients, axes = _choose(coefficients, places, located, list(range(batch)), own, points)
    operands: list[Any] = [coefficients, axes]
    for d, place in enumerate(places):
        if place is None or isinstance(place, Chosen):
            continue
        rows = _rows(place, located[d], coefficients.dtype)
        rows, along = _varying(rows, place.shape, points)
        operands += [rows, [*along, own[d]]]
    remaining = [own[d] for d, place in enumerate(places) if place is None]
    varying = [a for a, size in zip(points, shape, strict=True) if size != 1]
    value = _einsum(operands, [*range(batch), *varying, *remaining])
    kept = value.shape[value.ndim - len(remaining) :]
    return value.reshape(*value.shape[:batch], *shape, *kept)


def _choose(
    coefficients: Any,
    places: Sequence[Any],
    located: Sequence[Any],
    batch: list[int],
    own: list[int],
    points: list[int],
) -> tuple[Any, list[int]]:
    """Coefficients of the chosen groups, and the numbers of their axes."""
    groups = [d for d, place in enumerate(places) if isinstance(place, Chosen)]
    if not groups:
        return coefficients, [*batch, *own]
    rest = [a for d, a in enumerate(own) if d not in groups]
    order = [*batch, *(own[d] for d in groups), *rest]
    ordered = coefficients.transpose(order)
    sizes = ordered.shape[len(batch) : len(batch) + len(groups)]
    inner = ordered.shape[len(batch) + len(groups) :]
    flat = ordered.reshape(*ordered.shape[: len(batch)], math.prod(sizes), math.prod(inner))
    index = flat_cell([located[d][0] for d in groups], sizes)
    shape = index.shape
    index, along = _varying(index, shape, points)
    chosen = take(flat, index, axis=-2)
    return chosen.reshape(*chosen.shape[:-1], *inner), [*batch, *along, *rest]


def _varying(values: Any, shape: tuple[int, ...], points: list[int]) -> tuple[Any, list[int]]:
    """Without the axes of points that have one entry, and the numbers of the others."""
    own = points[len(points) - len(shape) :]
    kept = [(size, a) for size, a in zip(shape, own, strict=True) if size != 1]
    values = values.reshape(*(size for size, _ in kept), *values.shape[len(shape) :])
    return values, [a for _, a in kept]


def _rows(place: Located | Rows, located: Any, dtype: Any) -> Array:
    """The functions at the points, shape (*points, K)."""
    if isinstance(place, Rows):
        return jnp.asarray(place.rows, dtype)
    row, u = located
    num, rows, columns = place.functions.shape
    table = jnp.asarray(place.functions, dtype).swapaxes(0, 1).reshape(rows, num * columns)
    chosen = take(table, row, axis=-2)
    return piecewise.horner(chosen.reshape(*row.shape, num, columns), u[..., None])


def _without_gaps(value: Any, places: Sequence[Any], located: Sequence[Any], after: int) -> Array:
    """NaN where a function has no value; apart from the sums, so that gradients stay finite."""
    for place, where in zip(places, located, strict=True):
        if isinstance(place, Located) and place.gaps is not None:
            gap = take(jnp.asarray(place.gaps), where[0])
            gap = gap.reshape(*gap.shape, *(1,) * after)
            value = jnp.where(gap, jnp.asarray(np.nan, value.dtype), value)
    return value


def _einsum(operands: list[Any], result: list[int]) -> Any:
    """Sum of products by numbered axes; in full precision on every device."""
    if array_module(*operands[::2]) is np:
        return np.einsum(*operands, result, optimize=True)
    return jnp.einsum(*operands, result, precision=jax.lax.Precision.HIGHEST)
