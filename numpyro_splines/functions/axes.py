"""The axes of a surface: the functions of one input, and a measure of that input."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from numpyro_splines.functions.combination import design_matrix
from numpyro_splines.functions.curve import Curve
from numpyro_splines.functions.tensor import Chosen, Located, Place, Rows
from numpyro_splines.ops import piecewise
from numpyro_splines.ops.arrays import array_module, one_program
from numpyro_splines.validation import float64_array, float_dtype, is_traced, real_array

# Functions add up to one if they do within this; theirs are sums of a few products.
_ROUNDING = 1e-12


def cell_means(
    points: Any, weights: Any, breakpoints: Any, degree: int, *, periodic: bool = False
) -> np.ndarray:
    """Means of local powers over a measure: E[1(row of x = r) u^k].

    With them the mean of a piecewise polynomial is the sum of its table times these.

    Args:
        points: concrete, shape (n,), in the units of the breakpoints.
        weights: of the points, shape (n,); they sum to one for a probability measure.
        breakpoints: shape (M + 1,).
        degree: the largest power.
        periodic: whether points outside are moved into the domain by whole periods.

    Returns:
        Shape (M + 2, degree + 1), float64.

    Example:
        >>> print(cell_means([0.5, 1.0], [0.5, 0.5], [0.0, 1.0], 1))
        [[0.   0.  ]
         [1.   0.75]
         [0.   0.  ]]
    """
    x = float64_array(points, "points", ndim=1)
    mass = float64_array(weights, "weights", ndim=1)
    cells = float64_array(breakpoints, "breakpoints", ndim=1)
    start = piecewise.origin(cells)
    x, cells = x - start, cells - start
    if periodic:
        x, _ = piecewise.wrap(x, cells)
    row, u = piecewise.locate(x, cells)
    powers = u[:, None] ** np.arange(degree + 1)
    columns = [np.bincount(row, mass * p, minlength=cells.size + 1) for p in powers.T]
    return np.stack(columns, axis=-1)


class AbstractAxis(eqx.Module):
    """K functions of one input, by whose products a `Surface` is a sum.

    Attributes:
        name: of the input.
    """

    name: eqx.AbstractVar[str]

    @property
    @abc.abstractmethod
    def num_functions(self) -> int:
        """The number K of functions."""

    @property
    @abc.abstractmethod
    def domain(self) -> tuple[Any, Any]:
        """Smallest and largest value of the input."""

    @abc.abstractmethod
    def checked(self, value: Any) -> Any:
        """A value of the input as an array, if it is one.

        Args:
            value: of any shape.
        """

    @abc.abstractmethod
    def place(self, value: Any, dtype: Any) -> Place:
        """Where a checked value lies.

        Args:
            value: of any shape.
            dtype: the float dtype to compute in.
        """

    @abc.abstractmethod
    def differentiated(self, order: int) -> AbstractAxis:
        """The axis of derivatives of the functions.

        Args:
            order: at least 1.
        """

    @abc.abstractmethod
    def means(self) -> Any:
        """Means of the functions over the measure, shape (K,)."""

    @abc.abstractmethod
    def with_constant(self) -> tuple[AbstractAxis, np.ndarray]:
        """An axis that contains the constant, and the coefficients of the constant one, (K',).

        Its first K functions are those of this axis.
        """

    def dtype(self, value: Any) -> Any:
        """The float dtype that a checked value asks for; None if it does not."""
        return float_dtype(value)

    def _measure(self, weights: Any) -> Any:
        if weights is None:
            raise ValueError(
                f"`{self.name}` must have a measure to be averaged over; got none, as for a sum of "
                "surfaces with different measures. Average before adding, or integrate."
            )
        return weights


class PolynomialAxis(AbstractAxis):
    """Piecewise polynomials of one input, as local tables.

    Made from `basis.pieces()`; see `numpyro_splines.ops.piecewise` for tables.

    Attributes:
        name: of the input.
        breakpoints: shape (M + 1,), in the units of x.
        functions: local tables, rows of the extrapolation included, shape (K, M + 2, degree + 1).
        periodic: whether x outside the domain is moved into it by whole periods.
        weights: of a probability measure on x, see `cell_means`, shape (M + 2, degree + 1); None
            for no measure.

    Example:
        >>> import numpyro_splines as ns
        >>> points, tables, _ = ns.BSplineBasis([0.0, 1.0], degree=1).pieces()
        >>> PolynomialAxis("x", points, tables).num_functions
        2
    """

    name: str = eqx.field(static=True)
    breakpoints: Any
    functions: Any
    periodic: bool = eqx.field(static=True, default=False)
    weights: Any = None

    @property
    def num_functions(self) -> int:
        """The number K of functions."""
        return self.functions.shape[0]

    @property
    def domain(self) -> tuple[Any, Any]:
        """Left and right end of the domain."""
        return self.breakpoints[0], self.breakpoints[-1]

    @property
    def curves(self) -> Curve:
        """The functions as a batch of K curves."""
        return Curve(self.breakpoints, self.functions, periodic=self.periodic)

    def checked(self, value: Any) -> Any:
        """Real numbers of any shape."""
        return real_array(value, self.name)

    def place(self, value: Any, dtype: Any) -> Located:
        """See `AbstractAxis.place`."""
        x, _, grid = piecewise.place(value, self.breakpoints, dtype, periodic=self.periodic)
        return Located(x, grid, *without_nan(self.functions))

    def differentiated(self, order: int) -> PolynomialAxis:
        """See `AbstractAxis.differentiated`."""
        table = piecewise.differentiate(self.functions, self.breakpoints, order)
        weights = None if self.weights is None else self.weights[:, : table.shape[-1]]
        return replace(self, functions=table, weights=weights)

    def means(self) -> Any:
        """See `AbstractAxis.means`."""
        weights = self._measure(self.weights)
        xp = array_module(self.functions, weights)
        # What has no value may have no mass.
        return xp.where(weights == 0, 0, self.functions * weights).sum((1, 2))

    def with_constant(self) -> tuple[PolynomialAxis, np.ndarray]:
        """See `AbstractAxis.with_constant`; B-splines contain it already."""
        table = self.functions
        if isinstance(table, np.ndarray):
            total = np.nan_to_num(table).sum(0) - _one(table)
            gaps = np.isnan(table).any((0, 2))
            if np.all(abs(total[~gaps]) <= _ROUNDING):
                return self, np.ones(len(table))
        table = array_module(table).concatenate([table, _one(table)[None]])
        return replace(self, functions=table), np.eye(len(table))[-1]

    def curve(self, coefficients: Any) -> Curve:
        """The combination of the functions as a curve.

        Args:
            coefficients: shape (*batch, K).
        """
        tables, gaps = without_nan(self.functions)
        known = array_module(coefficients, tables) is np
        table = (_combined if known else _combined_at_once)(coefficients, tables, gaps)
        return Curve(self.breakpoints, table, periodic=self.periodic)


class IndexAxis(AbstractAxis):
    """Groups: the input is an index, its functions are one for one group and zero for others.

    Attributes:
        name: of the input.
        size: the number of groups.
        weights: of a probability measure on the groups, shape (size,); None for no measure.

    Example:
        >>> IndexAxis("school", 3).domain
        (0, 2)
    """

    name: str = eqx.field(static=True)
    size: int = eqx.field(static=True)
    weights: Any = None

    @property
    def num_functions(self) -> int:
        """The number of groups."""
        return self.size

    @property
    def domain(self) -> tuple[Any, Any]:
        """The first and the last index."""
        return 0, self.size - 1

    def checked(self, value: Any) -> Any:
        """Integers in [0, size) of any shape; looked at unless they are traced.

        Raises:
            TypeError: if they are not integers.
            ValueError: if one is out of bounds.
        """
        # On the host unless it is traced, so that it is looked at also while a model is traced.
        index = value if is_traced(value) else np.asarray(value)
        if not index.size:
            return index.astype(np.int32)
        if not jnp.issubdtype(index.dtype, jnp.integer):
            raise TypeError(
                f"`{self.name}` must hold integers, the index of each group; got dtype "
                f"{index.dtype}. pandas.factorize makes them from labels."
            )
        if not is_traced(index):
            low, high = int(index.min()), int(index.max())
            if low < 0 or high >= self.size:
                raise ValueError(
                    f"`{self.name}` must lie in [0, {self.size}), the groups there are; got {low} "
                    f"to {high}."
                )
        return index

    def dtype(self, value: Any) -> None:
        """None: integers ask for no float dtype."""

    def place(self, value: Any, dtype: Any) -> Chosen:
        """See `AbstractAxis.place`."""
        del dtype
        return Chosen(value)

    def differentiated(self, order: int) -> IndexAxis:
        """See `AbstractAxis.differentiated`.

        Raises:
            ValueError: always; there is none.
        """
        raise ValueError(
            f"`{self.name}` must be a continuous input to be differentiated by; got groups, order "
            f"{order}. Subtract the values of two groups."
        )

    def means(self) -> Any:
        """See `AbstractAxis.means`."""
        return self._measure(self.weights)

    def with_constant(self) -> tuple[IndexAxis, np.ndarray]:
        """See `AbstractAxis.with_constant`."""
        return self, np.ones(self.size)


class BasisAxis(AbstractAxis):
    """Functions of a basis of the user's own, which need not be polynomials.

    Attributes:
        name: of the input.
        basis: takes x to shape (*x.shape, K); has `num_coefficients` and `domain`.
        order: how many times the functions are differentiated.
        points: of a probability measure on x, shape (n,); None for no measure.
        weights: of the points, shape (n,).
        constants: values of further functions, which are constant.

    Example:
        >>> import numpyro_splines as ns
        >>> BasisAxis("x", ns.BSplineBasis([0.0, 1.0])).num_functions
        4
    """

    name: str = eqx.field(static=True)
    basis: Callable[[Any], Any]
    order: int = eqx.field(static=True, default=0)
    points: Any = None
    weights: Any = None
    constants: tuple[float, ...] = eqx.field(static=True, default=())

    @property
    def num_functions(self) -> int:
        """The number K of functions."""
        basis: Any = self.basis
        return basis.num_coefficients + len(self.constants)

    @property
    def domain(self) -> tuple[Any, Any]:
        """The domain of the basis."""
        basis: Any = self.basis
        return basis.domain

    def checked(self, value: Any) -> Any:
        """Real numbers of any shape."""
        return real_array(value, self.name)

    def place(self, value: Any, dtype: Any) -> Rows:
        """See `AbstractAxis.place`."""
        return Rows(self._design(jnp.asarray(value, dtype)).astype(dtype))

    def differentiated(self, order: int) -> BasisAxis:
        """See `AbstractAxis.differentiated`."""
        constants = (0.0,) * len(self.constants)
        return replace(self, order=self.order + order, constants=constants)

    def means(self) -> Any:
        """See `AbstractAxis.means`."""
        weights = self._measure(self.weights)
        if is_traced(self.points) or is_traced(weights):
            return weights @ self._design(self.points)
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            design = self._design(jnp.asarray(self.points, jnp.float64))
            return np.asarray(weights) @ np.asarray(design)

    def with_constant(self) -> tuple[BasisAxis, np.ndarray]:
        """See `AbstractAxis.with_constant`."""
        axis = self if 1.0 in self.constants else replace(self, constants=(*self.constants, 1.0))
        at = axis.num_functions - len(axis.constants) + axis.constants.index(1.0)
        return axis, np.eye(axis.num_functions)[at]

    def _design(self, x: Any) -> Any:
        design = design_matrix(self.basis, x, self.order)
        further = [jnp.full((*x.shape, 1), value, design.dtype) for value in self.constants]
        return jnp.concatenate([design, *further], axis=-1)


def without_nan(table: Any) -> tuple[Any, Any]:
    """Local tables of functions with zeros for NaN, and which rows had any; None for none.

    Zero times NaN is NaN, so that sums of functions with gaps had NaN gradients.

    Args:
        table: shape (K, R, degree + 1).
    """
    xp = array_module(table)
    gaps = xp.isnan(table).any((0, 2))
    if xp is np and not gaps.any():
        return table, None
    return xp.where(gaps[:, None], 0, table), gaps


def _combined(coefficients: Any, tables: Any, gaps: Any) -> Any:
    """Tables of combinations of functions, in the dtype of the coefficients."""
    xp = array_module(coefficients, tables)
    tables = xp.asarray(tables, dtype=coefficients.dtype)
    table = xp.tensordot(coefficients, tables, axes=1)
    if gaps is None:
        return table
    return xp.where(gaps[:, None], xp.asarray(np.nan, dtype=table.dtype), table)


_combined_at_once = one_program()(_combined)


def _one(table: Any) -> Any:
    """The constant one as a table like those of the functions, shape (R, degree + 1)."""
    return np.broadcast_to(np.eye(table.shape[-1])[0], table.shape[1:]).astype(table.dtype)
