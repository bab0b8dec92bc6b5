"""Curves evaluated, differentiated and integrated exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from numpyro_splines.ops import piecewise
from numpyro_splines.ops.arrays import one_program
from numpyro_splines.validation import (
    float_dtype,
    integer_at_least,
    is_traced,
    real_array,
)


class AbstractEvaluable(eqx.Module):
    """Piecewise polynomials that evaluate, differentiate and integrate; see `Curve`."""

    breakpoints: Float[Array, "..."] | np.ndarray
    table: Float[Array, "..."] | np.ndarray
    increment: Float[Array, "..."] | np.ndarray | None = None
    periodic: bool = eqx.field(static=True, default=False)

    @property
    def degree(self) -> int:
        """Polynomial degree of the pieces."""
        return self.table.shape[-1] - 1

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of curves, () for one."""
        return self.table.shape[:-2]

    @property
    def domain(self) -> tuple[Any, Any]:
        """Left and right end of the domain."""
        return self.breakpoints[..., 0], self.breakpoints[..., -1]

    def __call__(self, x: ArrayLike) -> Float[Array, "..."]:
        """Value of every curve at every x.

        Args:
            x: points of any shape, in the units of the breakpoints.

        Returns:
            Shape (*batch_shape, *x.shape), in the units of f, dtype promoted from x and table.
        """
        x = real_array(x, "x")
        if self.breakpoints.ndim == 1:
            return self._evaluate(x)
        values = jax.vmap(lambda curve: curve._evaluate(x))(self._flat())
        return values.reshape(*self.batch_shape, *x.shape)

    def pick(self, index: ArrayLike) -> Callable[[ArrayLike], Float[Array, "..."]]:
        """The curve that takes observation i to curve `index[i]` of the last batch axis.

        For group effects: `curve.pick(group)(x)` is one gather of n rows, whatever the number of
        groups; the (groups, n) matrix is never formed.

        Args:
            index: integers in [0, batch_shape[-1]), broadcast against the x to come. Not checked
                where traced.

        Returns:
            A function of x with values of shape (*batch_shape[:-1], *x.shape).

        Raises:
            TypeError: if the index is not of integers.
            ValueError: if there is no batch axis, or a concrete index is out of bounds.

        Example:
            >>> import numpyro_splines as ns
            >>> lines = ns.BSplineBasis([0.0, 1.0], degree=1).curve([[0.0, 1.0], [5.0, 5.0]])
            >>> print(lines.pick([0, 1, 0])([0.0, 0.5, 1.0]))
            [0. 5. 1.]
        """
        index = self._check_index(index)

        def picked(x: ArrayLike) -> Float[Array, "..."]:
            point = real_array(x, "x")
            if self.breakpoints.ndim == 1:
                return self._evaluate(point, index)
            point, which = jnp.broadcast_arrays(point, index)
            # Curves with their own breakpoints share no intervals: all of them, then the choice.
            axis = len(self.batch_shape) - 1
            which = jnp.expand_dims(which, tuple(range(axis + 1)))
            return jnp.take_along_axis(self(point), which, axis=axis).squeeze(axis)

        return picked

    def each(self, x: ArrayLike) -> Float[Array, "..."]:
        """Value of each curve at its own points: curve b at x[b], for every index b of the batch.

        The way to evaluate posterior curves at the posterior draws of a latent input.

        Args:
            x: shape (*batch_shape, *points).

        Returns:
            The shape of x.

        Raises:
            ValueError: if the leading axes of x are not the batch shape.
        """
        x = real_array(x, "x")
        shape = self.batch_shape
        if x.shape[: len(shape)] != shape:
            raise ValueError(
                f"`x` must have the leading axes {shape}, one per curve; got {x.shape}."
            )
        flat, points = self._flat(), x.reshape(math.prod(shape), -1)
        if flat.breakpoints.ndim > 1:
            return jax.vmap(type(self).__call__)(flat, points).reshape(x.shape)
        return flat.pick(np.arange(len(points))[:, None])(points).reshape(x.shape)

    def derivative(self, order: int = 1) -> Self:
        """The exact derivative d^order f / dx^order as another curve.

        One-sided at breakpoints (from the right; from the left at the right end); that of the
        extrapolation outside. Above the degree it is zero.

        Args:
            order: at least 0.

        Returns:
            Curve in units of f over units of x to the power `order`.
        """
        order = integer_at_least(order, 0, "order")
        table = piecewise.differentiate(self.table, self.breakpoints, order)
        # The slope of a curve that gains a constant per period is periodic.
        increment = self.increment if order == 0 else None
        return type(self)(self.breakpoints, table, increment, self.periodic)

    def antiderivative(self) -> Self:
        """The exact integral from the left end of the domain, F(x) = int_a^x f(t) dt, as a curve.

        Continuous everywhere, outside the domain too, unless f is discontinuous by NaN.

        Returns:
            Curve in units of f times units of x.

        Raises:
            ValueError: for the antiderivative of a periodically continued curve's antiderivative,
                which is no longer a polynomial plus a constant per period.
        """
        if self.increment is not None:
            raise ValueError(
                "`antiderivative` needs a curve that is periodic or continued by a polynomial; got "
                "the antiderivative of a periodic curve, which gains a constant per period. "
                "Integrate it over the periods one by one, or use another extrapolation."
            )
        table = piecewise.antidifferentiate(self.table, self.breakpoints)
        increment = table[..., -2, :].sum(-1) if self.periodic else None
        return type(self)(self.breakpoints, table, increment, self.periodic)

    def integrate(self, lower: ArrayLike, upper: ArrayLike) -> Float[Array, "..."]:
        """Exact integral of f from `lower` to `upper`, vectorized over the bounds.

        Args:
            lower: lower bounds, any shape; may lie outside the domain, and above `upper` (the sign
                then changes).
            upper: upper bounds, broadcast against `lower`.

        Returns:
            Shape (*batch_shape, *bounds.shape), in units of f times units of x.
        """
        lower, upper = real_array(lower, "lower"), real_array(upper, "upper")
        antiderivative = self.antiderivative()
        if self.breakpoints.ndim == 1:
            return antiderivative._difference(lower, upper)
        each = jax.vmap(lambda curve: curve._difference(lower, upper))(antiderivative._flat())
        return each.reshape(*self.batch_shape, *each.shape[1:])

    def __hash__(self) -> int:
        # By identity: arrays have no hash, and `jax.jit(curve)` needs one of the function.
        return object.__hash__(self)

    def _check_index(self, index: ArrayLike) -> np.ndarray | Int[Array, "..."]:
        # On the host unless it is traced, so that it is looked at also while a model is traced.
        index = index if is_traced(index) else np.asarray(index)
        if index.size and not jnp.issubdtype(index.dtype, jnp.integer):
            raise TypeError(
                f"`index` must hold integers, the position of each curve along the last batch "
                f"axis; got dtype {index.dtype}. pandas.factorize makes them from labels."
            )
        if not self.batch_shape:
            raise ValueError(
                "`pick` needs a batch of curves to pick from; got a single curve. Draw several by "
                "calling effect.sample() inside a plate over groups."
            )
        size = self.batch_shape[-1]
        if not is_traced(index) and index.size:
            low, high = int(index.min()), int(index.max())
            if low < 0 or high >= size:
                raise ValueError(
                    f"`index` must lie in [0, {size}), the last batch axis; got {low} to {high}."
                )
        # An empty list is one of floats.
        return index if index.size else index.astype(np.int32)

    def _placed(self, x: Any) -> tuple[Any, Any, piecewise.Grid]:
        """Points inside the domain if periodic, by how many periods they were moved, the grid."""
        dtype = jnp.promote_types(float_dtype(x), self.table.dtype)
        return piecewise.place(x, self.breakpoints, dtype, periodic=self.periodic)

    def _evaluate(self, x: Any, index: Any = None) -> Float[Array, "..."]:
        """Values at x of all curves, or at x[i] of curve index[i]; breakpoints are shared."""
        x, turns, grid = self._placed(x)
        value = _values(x, grid, self.table, index)
        return value if self.increment is None else _gained(value, turns, self.increment, index)

    def _difference(self, lower: Any, upper: Any) -> Float[Array, "..."]:
        """f(upper) - f(lower); whole periods are counted, not subtracted from each other."""
        (start, turns_before, grid), (end, turns_after, _) = (
            self._placed(lower),
            self._placed(upper),
        )
        table = jnp.asarray(self.table, jnp.promote_types(start.dtype, end.dtype))
        change = _change(start, end, grid, table)
        if self.increment is None:
            return change
        return _gained(change, turns_after - turns_before, self.increment, None)

    def _flat(self) -> Self:
        """The same curves with one batch axis."""
        size, shape = math.prod(self.batch_shape), self.batch_shape
        breakpoints, increment = self.breakpoints, self.increment
        if breakpoints.ndim > 1:
            breakpoints = jnp.broadcast_to(breakpoints, (*shape, breakpoints.shape[-1]))
            breakpoints = breakpoints.reshape(size, -1)
        if increment is not None:
            increment = jnp.broadcast_to(increment, shape).reshape(size)
        table = self.table.reshape(size, *self.table.shape[-2:])
        return type(self)(breakpoints, table, increment, self.periodic)


@one_program(rounded=True)
def _values(x: Any, grid: Any, table: Any, index: Any, *, rounded: bool = False) -> Array:
    """Values of all curves, or at x[i] of curve index[i]."""
    x = jnp.asarray(x)
    table = jnp.asarray(table, x.dtype)
    if index is None:
        return piecewise.evaluate(x, grid, table, rounded=rounded)
    x, index = jnp.broadcast_arrays(x, index)
    return piecewise.evaluate_selected(x, index, grid, table, rounded=rounded)


@one_program(rounded=True)
def _change(lower: Any, upper: Any, grid: Any, table: Any, *, rounded: bool = False) -> Array:
    lower, upper = jnp.broadcast_arrays(lower, upper)
    table = jnp.asarray(table, lower.dtype)
    before, after = (piecewise.evaluate(x, grid, table, rounded=rounded) for x in (lower, upper))
    return after - before


@one_program(rounded=True)
def _gained(value: Any, turns: Any, increment: Any, index: Any, *, rounded: bool = False) -> Array:
    """Values of curves that gain a constant per period, after that many periods."""
    gain = jnp.asarray(increment, value.dtype)
    if index is None:
        gain = jnp.expand_dims(gain, tuple(range(-jnp.ndim(turns), 0)))
    else:
        gain = gain[..., index]
    added = turns * gain
    return value + (piecewise.whole(added, gain) if rounded else added)
