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
    each moves all that follow. Within bounds 0 and 1 are the first ends, and all x_i lie between.

    Args:
        size: n.
        bounded: whether values are between 0 and 1.
    """

    domain: Any = dist.constraints.real_vector  # pyright: ignore
    codomain: Any = dist.constraints.ordered_vector  # pyright: ignore

    def __init__(self, size: int, bounded: bool = False):
        self.size, self.bounded = size, bounded

    def __call__(self, x: Any) -> Array:
        """Increasing values."""
        v = values = self._framed(x)
        if not self.bounded and self.size > 1:
            values = v.at[..., -1].set(v[..., 0] + jnp.exp(v[..., -1]))
        for middle, left, right in self._levels():
            low, high = values[..., left], values[..., right]
            share = jax.nn.sigmoid(v[..., middle])
            values = values.at[..., middle].set(low + (high - low) * share)
        return self._own(values)

    def _inverse(self, y: Any) -> Array:
        v = y = self._framed(y)
        if not self.bounded and self.size > 1:
            v = y.at[..., -1].set(jnp.log(y[..., -1] - y[..., 0]))
        for middle, left, right in self._levels():
            below = y[..., middle] - y[..., left]
            above = y[..., right] - y[..., middle]
            v = v.at[..., middle].set(jnp.log(below) - jnp.log(above))
        return self._own(v)

    def prior(self, x: Any) -> tuple[Array, Array]:
        """What the order alone says of v, uniform inputs: slope and curvature of the log density.

        The share of x_i between its neighbors, with a - 1 and b - 1 values on its sides, is
        Beta(a, b): log p(v) = a log s + b log(1 - s), s = 1 / (1 + exp(-v)). Of unbounded ends
        nothing is said but a curvature of the logarithm of their distance.
        """
        v = self._framed(x)
        slope = jnp.zeros_like(v)
        curvature = slope.at[..., -1].set(1.0)
        for middle, left, right in self._levels():
            share = jax.nn.sigmoid(v[..., middle])
            slope = slope.at[..., middle].set(middle - left - (right - left) * share)
            own = (right - left) * share * (1.0 - share)
            curvature = curvature.at[..., middle].set(own)
        return self._own(slope), self._own(curvature)

    def log_abs_det_jacobian(self, x: Any, y: Any, intermediates: Any = None) -> Array:
        """Sum of the log slopes of each value given what was placed before."""
        del intermediates
        v, y = self._framed(x), self._framed(y)
        total = jnp.zeros_like(v[..., 0])
        if not self.bounded and self.size > 1:
            total += v[..., -1]
        for middle, left, right in self._levels():
            inner = jax.nn.log_sigmoid(v[..., middle]) + jax.nn.log_sigmoid(-v[..., middle])
            total += (jnp.log(y[..., right] - y[..., left]) + inner).sum(axis=-1)
        return total

    def tree_flatten(self) -> Any:
        """No data; all is static."""
        return (), ((), {"size": self.size, "bounded": self.bounded})

    def eq(self, other: object, static: bool = False) -> bool:
        """Whether the other transform is the same function."""
        del static
        return isinstance(other, Nested) and vars(self) == vars(other)

    def _levels(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        return _levels(self.size + 2 * self.bounded)

    def _framed(self, x: Any) -> Array:
        """With both bounds, where there are any."""
        x = jnp.asarray(x)
        if not self.bounded:
            return x
        pad = [(0, 0)] * (x.ndim - 1)
        return jnp.pad(jnp.pad(x, [*pad, (1, 0)]), [*pad, (0, 1)], constant_values=1.0)

    def _own(self, framed: Array) -> Array:
        return framed[..., 1:-1] if self.bounded else framed


def _levels(size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Indices to be placed next, and of their neighbors placed before, level by level."""
    open_pairs = [(0, size - 1)]
    while open_pairs := [(a, b) for a, b in open_pairs if b - a > 1]:
        left, right = np.array(open_pairs).T
        middle = (left + right) // 2
        yield middle, left, right
        between = [*zip(left, middle, strict=True), *zip(middle, right, strict=True)]
        open_pairs = [(int(a), int(b)) for a, b in between]
