"""The surface: one or many functions of several inputs as an object."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.functions import algebra, surface_algebra, surface_parts
from numpyro_splines.functions.axes import AbstractAxis
from numpyro_splines.validation import real_array


def _floats(value: Any) -> Any:
    """Coefficients as they are, or as floats."""
    array = real_array(value, "coefficients")
    return array.astype(float) if jnp.issubdtype(array.dtype, jnp.integer) else array


class Surface(eqx.Module):
    """One or many functions of several named inputs, as a pytree: a tensor product of splines.

        f(x_1, ..., x_D) = sum C[..., i_1, ..., i_D] b_{i_1}(x_1) ... b_{i_D}(x_D)

    summed over the functions b of each axis. Along every input it is what a `Curve` is:
    right-continuous at breakpoints, the left limit at the right end of the domain, outside what the
    extrapolation of that axis says (linear in both: bilinear beyond a corner).

    A function for `jax.jit`, `jax.grad` and `jax.vmap` as it is, and so are its methods. Called
    eagerly it is one compiled program.

    Attributes:
        coefficients: shape (*batch, K_1, ..., K_D), in the units of f.
        axes: the functions of each input, in this order.

    Raises:
        ValueError: if there is no axis, two have one name, or sizes differ.

    Example:
        >>> import numpyro_splines as ns
        >>> from numpyro_splines.functions import PolynomialAxis, Surface
        >>> line = ns.BSplineBasis([0.0, 1.0], degree=1).pieces()
        >>> f = Surface(
        ...     [[0.0, 1.0], [2.0, 7.0]], (PolynomialAxis("x", *line), PolynomialAxis("z", *line))
        ... )
        >>> print(f(0.5, 0.0), f(z=[0.0, 1.0], x=1.0))
        1.0 [2. 7.]
        >>> print(f.slice(z=1.0)(0.5), f.derivative(x=1, z=1)(0.1, 0.2))
        4.0 4.0
        >>> print(f.integrate(x=(0.0, 1.0), z=(0.0, 1.0)))
        2.5
    """

    coefficients: Float[Array, "..."] | np.ndarray = eqx.field(converter=_floats)
    axes: tuple[AbstractAxis, ...]

    # So that NumPy arrays leave `array * surface` to the surface.
    __array_ufunc__ = None

    def __check_init__(self) -> None:
        """Refuse axes that do not fit the coefficients."""
        if not self.axes or len(set(self.names)) < len(self.axes):
            raise ValueError(
                f"`axes` must be one or more axes with names of their own; got {self.names}."
            )
        sizes = tuple(axis.num_functions for axis in self.axes)
        if self.coefficients.ndim < len(sizes) or self.coefficients.shape[-len(sizes) :] != sizes:
            raise ValueError(
                f"`coefficients` must have the trailing axes {sizes}, the functions of "
                f"{self.names}; got shape {self.coefficients.shape}."
            )

    def __hash__(self) -> int:
        # By identity: arrays have no hash, and `jax.jit(surface)` needs one of the function.
        return object.__hash__(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of the axes."""
        return tuple(axis.name for axis in self.axes)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of surfaces, () for one."""
        return self.coefficients.shape[: self.coefficients.ndim - len(self.axes)]

    @property
    def domain(self) -> dict[str, tuple[Any, Any]]:
        """Left and right end of the domain of each input; the first and last index of groups."""
        return {axis.name: axis.domain for axis in self.axes}

    def __call__(self, /, *inputs: ArrayLike, **named: ArrayLike) -> Float[Array, "..."]:
        """Value of every surface at every point.

        Args:
            *inputs: in the order of the axes, in the units of each; integers in [0, size) for
                groups, not checked where traced. Their shapes broadcast against each other.
            **named: the others, by name.

        Returns:
            Shape (*batch_shape, *points), in the units of f, dtype promoted from inputs and
            coefficients.

        Raises:
            TypeError: if an input is missing, unknown or given twice.
        """
        return surface_parts.evaluate(self, surface_parts.bind(self, inputs, named))

    def each(self, /, *inputs: ArrayLike, **named: ArrayLike) -> Float[Array, "..."]:
        """Value of each surface at its own points: surface b at x[b], z[b], ...

        The way to evaluate posterior surfaces at the posterior draws of a latent input.

        Args:
            *inputs: as in a call; broadcast against each other they have shape (*batch_shape,
                *points).
            **named: the others, by name, of such shapes too.

        Returns:
            Shape (*batch_shape, *points).

        Raises:
            ValueError: if the leading axes are not the batch shape.
        """
        return surface_parts.each(self, surface_parts.bind(self, inputs, named))

    def derivative(self, /, **orders: int) -> Surface:
        """The exact partial derivative as another surface.

        One-sided at breakpoints (from the right; from the left at the right end); that of the
        extrapolation outside.

        Args:
            **orders: by name of the input, each at least 0: derivative(x=1, z=1) is d2f/dxdz.

        Returns:
            Surface in units of f over those of the inputs to these powers.

        Raises:
            TypeError: if an input is unknown.
            ValueError: if an order is negative, or an input is a group.
        """
        return surface_parts.differentiate(self, orders)

    def slice(self, /, **values: ArrayLike) -> Any:
        """The function of the other inputs, with some of them fixed.

        Args:
            **values: by name of the input; numbers, or arrays of shapes that broadcast.

        Returns:
            A `Curve` of one remaining input (a `Surface` if that is a group, or has a basis of
            your own), else a `Surface`; batch shape (*batch_shape, *shape of the values).

        Raises:
            TypeError: if an input is unknown.
            ValueError: if none remains.
        """
        return surface_parts.fix(self, values)

    def integrate(self, /, **bounds: tuple[ArrayLike, ArrayLike]) -> Any:
        """The function of the other inputs, with some of them integrated over exactly.

        Args:
            **bounds: by name of the input, pairs (lower, upper); as in `Curve.integrate`. Arrays
                of shapes that broadcast give one integral per entry.

        Returns:
            As for `slice`, in units of f times those of the inputs; an array of shape
            (*batch_shape, *shape of the bounds) where no input remains.

        Raises:
            TypeError: if an input is unknown, or something is no pair.
            ValueError: if an input is a group, or has a basis of your own.
        """
        return surface_parts.integrate(self, bounds)

    def mean(self, /, *names: str) -> Any:
        """The function of the other inputs, averaged over the measures of some.

        Args:
            *names: of the inputs to average over; all if none is given.

        Returns:
            As for `slice`, with the same batch shape; an array of that shape where no input
            remains.

        Raises:
            ValueError: if an input is unknown or has no measure.
        """
        return surface_parts.average(self, names)

    def component(self, name: str) -> Any:
        """The part of the functional analysis of variance that depends on these inputs alone.

        The mean over the other inputs, less all parts of fewer inputs: "x" of f(x, z) is
        E_z f - E f, and "x:z" is f - E_x f - E_z f + E f. Its mean over each of its inputs is zero.
        The parts of all sets of inputs and the mean E f sum to f.

        Args:
            name: of one input, or of several joined by colons, in any order: "x:z".

        Returns:
            As for `slice`, with the same batch shape.

        Raises:
            TypeError: if the name is no text.
            ValueError: if an input is unknown, named twice or has no measure.
        """
        return surface_parts.component(self, name)

    def __add__(self, other: Any) -> Surface:
        """The sum with another surface, or with a number for each surface of the batch.

        Axes that differ get the functions of both, on the breakpoints of both, which must then be
        concrete. The sum has a measure where that of both is known to be the same.
        """
        if isinstance(other, Surface):
            return surface_algebra.add(self, other)
        return surface_algebra.shift(self, other)

    def __mul__(self, other: Any) -> Surface:
        """The product with a number, or with one for each surface of the batch."""
        if isinstance(other, Surface):
            raise TypeError(
                "a surface is multiplied by numbers only; got two surfaces. Multiply their values, "
                "f(x, z) * g(x, z)."
            )
        return surface_algebra.multiply(self, other)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Surface:
        """The surface -f."""
        return self * -1.0

    def __sub__(self, other: Any) -> Surface:
        """The difference f - g; see `__add__`."""
        return self + (-other if isinstance(other, Surface) else -self._numbers(other))

    def __rsub__(self, other: Any) -> Surface:
        """The difference of a number and the surface."""
        return -self + other

    def __truediv__(self, other: Any) -> Surface:
        """The quotient by a number, or by one for each surface of the batch."""
        return self * (1 / self._numbers(other))

    def _numbers(self, value: Any) -> Any:
        return algebra.numbers(value, self.coefficients.dtype)
