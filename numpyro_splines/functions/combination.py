"""Curves of a basis that is not piecewise polynomial: evaluated through the design matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.validation import float_input, order_at_least


class Combination(eqx.Module):
    """f(x) = sum_j coefficients[..., j] b_j(x) for a basis of the user's own.

    What `AbstractBasis.curve` returns unless a basis gives a `Curve`. It evaluates and
    differentiates (by automatic differentiation); the exact calculus of `Curve` (integrals,
    inverses, roots) needs pieces that are polynomials.

    Attributes:
        basis: the functions: takes x to shape (*x.shape, K).
        coefficients: shape (*batch, K).
        order: how many times the functions are differentiated.

    Example:
        >>> import jax.numpy as jnp
        >>> waves = Combination(lambda x: jnp.stack([jnp.sin(x), x], -1), jnp.array([1.0, 2.0]))
        >>> print(waves(0.0), waves.derivative()(0.0))
        0.0 3.0
    """

    basis: Callable[[Any], Any]
    coefficients: Float[Array, "..."]
    order: int = eqx.field(static=True, default=0)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of curves, () for one."""
        return self.coefficients.shape[:-1]

    @property
    def domain(self) -> tuple[Any, Any]:
        """Left and right end of the domain of the basis."""
        basis: Any = self.basis
        return basis.domain

    def __call__(self, x: ArrayLike) -> Float[Array, "..."]:
        """Value of every curve at every x, shape (*batch_shape, *x.shape)."""
        design = self._design(x)
        return jnp.tensordot(self.coefficients.astype(design.dtype), design, axes=(-1, -1))

    def pick(self, index: ArrayLike) -> Callable[[ArrayLike], Float[Array, "..."]]:
        """The curve that takes observation i to curve `index[i]` of the last batch axis."""
        index = jnp.asarray(index)

        def picked(x: ArrayLike) -> Float[Array, "..."]:
            chosen = self.coefficients[..., index, :]
            return jnp.einsum("...k,...k->...", chosen, self._design(x))

        return picked

    def each(self, x: ArrayLike) -> Float[Array, "..."]:
        """Value of each curve at its own points, x of shape (*batch_shape, *points)."""
        design = self._design(x)
        extra = design.ndim - self.coefficients.ndim
        shape = (*self.batch_shape, *(1,) * extra, self.coefficients.shape[-1])
        return jnp.einsum("...k,...k->...", design, self.coefficients.reshape(shape))

    def derivative(self, order: int = 1) -> Combination:
        """The derivative d^order f / dx^order, by automatic differentiation."""
        order = order_at_least(order, 0, "order")
        return Combination(self.basis, self.coefficients, self.order + order)

    def _design(self, x: ArrayLike) -> Float[Array, "..."]:
        return design_matrix(self.basis, float_input(x, "x"), self.order)


def design_matrix(functions: Callable[[Any], Any], x: Any, order: int) -> Float[Array, "..."]:
    """Functions of x, or their derivatives of that order, shape (*x.shape, K)."""
    for _ in range(order):
        functions = _slope(functions)
    return functions(x)


def _slope(functions: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Elementwise derivative in x: one pass of forward mode."""
    return lambda x: jax.jvp(functions, (x,), (jnp.ones_like(x),))[1]
