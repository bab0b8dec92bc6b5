"""Points of several inputs that are known in advance: located once, then `at(surface)`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.designs import known
from numpyro_splines.functions import tensor
from numpyro_splines.functions.axes import AbstractAxis, IndexAxis, PolynomialAxis, without_nan
from numpyro_splines.ops import piecewise
from numpyro_splines.ops.arrays import one_program, take
from numpyro_splines.validation import is_traced


def local_table(axes: Sequence[AbstractAxis]) -> list[np.ndarray]:
    """Functions of each axis by their local polynomials.

    The value of product j of functions at a point of row r_d and coordinate u_d on each axis is the
    product over axes of sum_a u_d^a L_d[r_d, a, j_d]. A group has one row per index and one power.

    Args:
        axes: polynomial axes and groups.

    Returns:
        One array per axis, shape (R_d, degree_d + 1, K_d), float64.

    Example:
        >>> import numpyro_splines as ns
        >>> points, tables, _ = ns.BSplineBasis([0.0, 1.0], degree=1).pieces()
        >>> print(local_table([PolynomialAxis("x", points, tables)])[0][1])
        [[ 1.  0.]
         [-1.  1.]]
    """
    return [
        np.moveaxis(axis.functions, 0, -1)
        if isinstance(axis, PolynomialAxis)
        else np.eye(axis.num_functions)[:, None, :]
        for axis in axes
    ]


class SurfacePoints(eqx.Module):
    """Known points at which surfaces of the same axes are evaluated: at(surface) == surface(x, z).

    Where they lie among breakpoints and groups is worked out once, on the host in float64.

    Attributes:
        cell: row-major number of the cell of each point, among rows of tables and groups of all
            axes, shape (n,).
        coordinates: u on each polynomial axis, each of shape (n,).
        breakpoints: of each axis; None for groups.
        num_rows: rows of the table of each axis, or groups.
        columns: degree + 1 of each polynomial axis.
        shape: of the points.

    Example:
        >>> import numpyro_splines as ns
        >>> line = ns.BSplineBasis([0.0, 1.0], degree=1).pieces()
        >>> axes = PolynomialAxis("x", *line), IndexAxis("g", 2)
        >>> at = SurfacePoints.of(axes, [0.5, 0.5], [0, 1])
        >>> print(at(ns.functions.Surface([[0.0, 1.0], [2.0, 7.0]], axes)))
        [1. 4.]
    """

    cell: np.ndarray | Array
    coordinates: tuple[np.ndarray | Array, ...]
    breakpoints: tuple[np.ndarray | None, ...]
    num_rows: tuple[int, ...] = eqx.field(static=True)
    columns: tuple[int, ...] = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def of(cls, axes: Sequence[AbstractAxis], *inputs: ArrayLike) -> SurfacePoints:
        """Locate points.

        Args:
            axes: of the surfaces, piecewise polynomials and groups.
            *inputs: known values of each, of shapes that broadcast; NaN gives NaN.
        """
        if len(axes) != len(inputs):
            raise TypeError(
                f"`inputs` must be one for each of the {len(axes)} axes; got {len(inputs)}."
            )
        rows, coordinates, breakpoints, num_rows, columns = [], [], [], [], []
        for axis, value in zip(axes, inputs, strict=True):
            row, u = located(axis, value)
            rows.append(row)
            if u is None:
                num_rows.append(axis.num_functions)
                breakpoints.append(None)
                continue
            assert isinstance(axis, PolynomialAxis)  # as `located` sees to
            cells = np.asarray(axis.breakpoints, dtype=np.float64)
            coordinates.append(u)
            breakpoints.append(cells)
            num_rows.append(cells.size + 1)
            columns.append(axis.functions.shape[-1])
        shape = np.broadcast_shapes(*(row.shape for row in rows))
        cell = tensor.flat_cell([np.asarray(row) for row in rows], num_rows)
        return cls(
            np.broadcast_to(cell, shape).ravel(),
            tuple(np.broadcast_to(u, shape).ravel() for u in coordinates),
            tuple(breakpoints),
            tuple(num_rows),
            tuple(columns),
            shape,
        )

    def rows(self, index: Any) -> SurfacePoints:
        """Some of the points; see `AbstractPoints.rows`."""
        index = jnp.asarray(index)
        flat = index.ravel()
        return SurfacePoints(
            jnp.asarray(self.cell)[flat],
            tuple(jnp.asarray(u)[flat] for u in self.coordinates),
            self.breakpoints,
            self.num_rows,
            self.columns,
            index.shape,
        )

    @property
    def num_cells(self) -> int:
        """The number of cells, outer rows included."""
        return math.prod(self.num_rows)

    def powers(self) -> np.ndarray:
        """Products of powers of the coordinates, in the layout of a cell of the table.

        A value is the sum of these times the numbers of the point's cell.

        Returns:
            Shape (n, product of degree + 1), row-major in the axes, float64.
        """
        result = np.ones((self.cell.size, 1))
        for u, num in zip(self.coordinates, self.columns, strict=True):
            powers = u[:, None] ** np.arange(num)
            # Also where a coordinate is NaN: NaN to the power zero is one.
            powers = np.where(np.isnan(u)[:, None], np.nan, powers)
            result = (result[:, :, None] * powers[:, None, :]).reshape(len(result), -1)
        return result

    def __call__(self, surface: Any) -> Float[Array, "..."]:
        """Values of a surface at the points.

        Args:
            surface: of the same breakpoints and groups, of any batch shape and degree: derivatives
                too.

        Returns:
            Shape (*batch_shape, *points), in the units of f, dtype of the coefficients.

        Raises:
            ValueError: if breakpoints or groups are others.
        """
        if not self._fits(surface):
            raise ValueError(
                "`surface` must have the breakpoints and groups that the points were prepared for; "
                f"got others, for {surface.names}. Prepare the points with the axes of this "
                "surface."
            )
        tables = [
            without_nan(axis.functions) if isinstance(axis, PolynomialAxis) else (None, None)
            for axis in surface.axes
        ]
        values = _evaluate(self, surface.coefficients, tuple(tables))
        return values.reshape(*surface.batch_shape, *self.shape)

    def _fits(self, surface: Any) -> bool:
        if len(surface.axes) != len(self.breakpoints):
            return False
        for axis, own, num in zip(surface.axes, self.breakpoints, self.num_rows, strict=True):
            if own is None:
                if not isinstance(axis, IndexAxis) or axis.size != num:
                    return False
                continue
            its = axis.breakpoints if isinstance(axis, PolynomialAxis) else None
            if its is None or its.shape != own.shape:
                return False
            # Points that came through jit are traced: there the number of breakpoints must do.
            if not (is_traced(its) or is_traced(own)):
                its = np.asarray(its)
                if not np.array_equal(its, np.asarray(own).astype(its.dtype)):
                    return False
        return True


def located(axis: AbstractAxis, value: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Where inputs that are known in advance lie, on the host in float64.

    Args:
        axis: piecewise polynomials, or a group.
        value: inputs, of any shape.

    Returns:
        The row of the axis' table, or the group, and the coordinate there, None for a group.

    Raises:
        TypeError: if the axis is neither, or inputs are traced.
    """
    if isinstance(axis, IndexAxis):
        return known_index(axis, value), None
    if not isinstance(axis, PolynomialAxis):
        raise TypeError(
            "`axes` must be piecewise polynomials or groups; got "
            f"{type(axis).__name__} for `{axis.name}`. Call the surface instead."
        )
    points = known(value)
    cells = np.asarray(axis.breakpoints, dtype=np.float64)
    start = piecewise.origin(cells)
    points, offset = np.asarray(points - start), cells - start
    if axis.periodic:
        points, _ = piecewise.wrap(points, offset)
    return piecewise.locate(points, offset)


def known_index(axis: IndexAxis, value: Any) -> np.ndarray:
    """An index that is known in advance."""
    index = axis.checked(value)
    if is_traced(index):
        raise TypeError(
            f"`{axis.name}` must be known to be prepared; got a traced array. Call the surface "
            "instead."
        )
    return index


@one_program()
def _evaluate(points: SurfacePoints, coefficients: Any, tables: Sequence[Any]) -> Array:
    coefficients = jnp.asarray(coefficients)
    dtype = coefficients.dtype
    functions = [None if table is None else jnp.asarray(table, dtype) for table, _ in tables]
    cell = jnp.asarray(points.cell)
    polynomials = take(tensor.cells(coefficients, functions), cell, axis=-2)
    coordinates = [jnp.asarray(u, dtype) for u in points.coordinates]
    columns = [table.shape[-1] for table in functions if table is not None]
    value = tensor.nested_horner(polynomials, coordinates, columns)
    rows = jnp.unravel_index(cell, points.num_rows)
    for row, (_, gaps) in zip(rows, tables, strict=True):
        if gaps is not None:
            nothing = jnp.asarray(np.nan, dtype)
            value = jnp.where(take(jnp.asarray(gaps), row), nothing, value)
    return value
