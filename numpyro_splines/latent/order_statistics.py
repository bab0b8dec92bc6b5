"""The distribution of draws in increasing order, and the map from the line to increasing values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions.transforms import Transform

from numpyro_splines.arguments import instance_of
from numpyro_splines.latent.stacking import AbstractStackable
from numpyro_splines.validation import integer_at_least


class OrderStatistics(AbstractStackable):
    r"""n draws of a population in increasing order: p(x) = n! prod_i p(x_i) for x_1 < ... < x_n.

    Args:
        population: a univariate distribution.
        size: n.
        validate_args: as in every NumPyro distribution.

    Raises:
        TypeError: if `size` is no integer.
        ValueError: if the population is not one univariate distribution, or `size` not positive.

    Example:
        >>> import numpyro.distributions as dist
        >>> print(OrderStatistics(dist.Normal(), 2).log_prob(jnp.array([0.0, 1.0])).round(4))
        -1.6447
    """

    support: Any = dist.constraints.ordered_vector  # pyright: ignore
    pytree_data_fields = ("population",)

    def __init__(
        self, population: dist.Distribution, size: int, *, validate_args: bool | None = None
    ):
        instance_of(population, dist.Distribution, "population")
        if population.batch_shape != () or population.event_shape != ():
            raise ValueError(
                "`population` must be one univariate distribution; got batch shape "
                f"{population.batch_shape} and event shape {population.event_shape}."
            )
        self.population = population
        size = integer_at_least(size, 1, "size")
        super().__init__((), (size,), validate_args=validate_args)
        self._remember()

    def _log_prob_of_one(self, value: Array) -> Array:
        density = jnp.asarray(self.population.log_prob(value))
        return math.lgamma(self.event_shape[0] + 1) + density.sum(axis=-1)

    def _sample_of_one(self, key: Array, sample_shape: tuple[int, ...]) -> Array:
        return jnp.sort(self.population.sample(key, (*sample_shape, *self.event_shape)), axis=-1)


class Nested(Transform):
    r"""The line to increasing values, by halves: the ends first, then what lies between.

    x_1 = v_1, x_n = x_1 + exp(v_n), and each other x_i = x_l + (x_r - x_l) / (1 + exp(-v_i)) with l
    and r the nearest ones placed before: the middle one first, then those in the middle of both
    halves, and so on. No v_i moves what is outside (x_l, x_r), unlike in a chain of steps, where
    each moves all that follow.

    Args:
        size: n.
    """

    domain: Any = dist.constraints.real_vector  # pyright: ignore
    codomain: Any = dist.constraints.ordered_vector  # pyright: ignore

    def __init__(self, size: int):
        self.size = size

    def __call__(self, x: Any) -> Array:
        """Increasing values."""
        v = jnp.asarray(x)
        values = v.at[..., -1].set(v[..., 0] + jnp.exp(v[..., -1])) if self.size > 1 else v
        for middle, left, right in _levels(self.size):
            low, high = values[..., left], values[..., right]
            share = jax.nn.sigmoid(v[..., middle])
            values = values.at[..., middle].set(low + (high - low) * share)
        return values

    def _inverse(self, y: Any) -> Array:
        y = jnp.asarray(y)
        v = y.at[..., -1].set(jnp.log(y[..., -1] - y[..., 0])) if self.size > 1 else y
        for middle, left, right in _levels(self.size):
            below = y[..., middle] - y[..., left]
            above = y[..., right] - y[..., middle]
            v = v.at[..., middle].set(jnp.log(below) - jnp.log(above))
        return v

    def log_slopes(self, x: Any, y: Any) -> Array:
        """log dx_i / dv_i given what was placed before; their sum is the log determinant."""
        slopes = jnp.asarray(x).at[..., 0].set(0.0)
        for middle, left, right in _levels(self.size):
            v = x[..., middle]
            width = jnp.log(y[..., right] - y[..., left])
            inner = jax.nn.log_sigmoid(v) + jax.nn.log_sigmoid(-v)
            slopes = slopes.at[..., middle].set(width + inner)
        return slopes

    def log_abs_det_jacobian(self, x: Any, y: Any, intermediates: Any = None) -> Array:
        """Sum of `log_slopes`."""
        del intermediates
        return self.log_slopes(x, y).sum(axis=-1)

    def tree_flatten(self) -> Any:
        """No data; the size is static."""
        return (), ((), {"size": self.size})

    def eq(self, other: object, static: bool = False) -> bool:
        """Whether the other transform is the same function."""
        del static
        return isinstance(other, Nested) and self.size == other.size


def _levels(size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Indices to be placed next, and of their neighbors placed before, level by level."""
    open_pairs = [(0, size - 1)]
    while open_pairs := [(a, b) for a, b in open_pairs if b - a > 1]:
        left, right = np.array(open_pairs).T
        middle = (left + right) // 2
        yield middle, left, right
        between = [*zip(left, middle, strict=True), *zip(middle, right, strict=True)]
        open_pairs = [(int(a), int(b)) for a, b in between]
