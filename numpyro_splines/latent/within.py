"""The distribution of an input of which an interval is known."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike

from numpyro_splines.arguments import instance_of
from numpyro_splines.latent.stacking import AbstractStackable
from numpyro_splines.validation import is_traced, real_array

# Draws of the population before a draw in an interval is given up, for `Within.sample`.
_TRIES = 10_000


class Within(AbstractStackable):
    """x of a population, and the event that it lies in an interval: what coarse data are.

    `log_prob(x)` is log p(x), the joint density of x and the event that x lies between `lower` and
    `upper`, for x there. It is not divided by the probability of the interval, because that the
    interval was observed is information about the population. `sample` draws x given the event.

    Args:
        population: a univariate distribution.
        lower: left ends, any shape, all finite or all minus infinity; traced ones are finite.
        upper: right ends, broadcast against them, all finite or all infinity; traced ones are
            finite.
        validate_args: as in every NumPyro distribution.

    Raises:
        TypeError: if ends are not real numbers.
        ValueError: if some ends of one side are finite and others not, or the population is not
            univariate.

    Example:
        >>> import numpyro.distributions as dist
        >>> within = Within(dist.Normal(), [0.0, 1.0], [1.0, 2.0])
        >>> print(within.log_prob(jnp.array([0.5, 1.5])).round(3))
        [-1.044 -2.044]
    """

    pytree_data_fields = ("population", "lower", "upper")
    pytree_aux_fields = ("bounded",)

    def __init__(
        self,
        population: dist.Distribution,
        lower: ArrayLike,
        upper: ArrayLike,
        *,
        validate_args: bool | None = None,
    ):
        # Known on the host, as the support depends on it, also while a model is traced.
        self.bounded = (_is_finite(lower, "lower"), _is_finite(upper, "upper"))
        instance_of(population, dist.Distribution, "population")
        if population.event_shape != ():
            raise ValueError(
                f"`population` must be univariate; got event shape {population.event_shape}."
            )
        dtype = jnp.result_type(float)
        lower, upper = jnp.asarray(lower, dtype), jnp.asarray(upper, dtype)
        shape = jnp.broadcast_shapes(lower.shape, upper.shape, population.batch_shape)
        self.lower, self.upper = jnp.broadcast_to(lower, shape), jnp.broadcast_to(upper, shape)
        self.population = population.expand(shape)
        super().__init__(shape, (), validate_args=validate_args)
        self._remember()

    @dist.constraints.dependent_property(is_discrete=False, event_dim=0)  # pyright: ignore
    def support(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The intervals."""
        if all(self.bounded):
            return dist.constraints.interval(self.lower, self.upper)
        if self.bounded[0]:
            return dist.constraints.greater_than(self.lower)
        return dist.constraints.less_than(self.upper) if self.bounded[1] else dist.constraints.real

    def _log_prob_of_one(self, value: Array) -> Array:
        shape = jnp.broadcast_shapes(self.lower.shape, value.shape)
        return jnp.broadcast_to(self.population.log_prob(value), shape)

    def _sample_of_one(self, key: Array, sample_shape: tuple[int, ...]) -> Array:
        """Draws of the population until they lie in the interval; an end after 10 000 tries."""
        shape = (*sample_shape, *self.lower.shape)
        fallback = jnp.clip(jnp.zeros(shape, self.lower.dtype), self.lower, self.upper)

        def missing(state: tuple[Any, ...]) -> Any:
            return (state[0] < _TRIES) & ~jnp.all(state[2])

        def attempt(state: tuple[Any, ...]) -> tuple[Any, ...]:
            step, value, done = state
            new = self.population.sample(jax.random.fold_in(key, step), sample_shape)
            inside = (new >= self.lower) & (new <= self.upper)
            return step + 1, jnp.where(done, value, new), done | inside

        start = (0, fallback, jnp.zeros(shape, bool))
        _, value, done = jax.lax.while_loop(missing, attempt, start)
        return jnp.where(done, value, jnp.clip(value, self.lower, self.upper))


def _is_finite(ends: Any, name: str) -> bool:
    if is_traced(ends):
        return True
    finite = np.isfinite(np.asarray(real_array(ends, name)))
    if finite.any() and not finite.all():
        raise ValueError(
            f"`{name}` must be finite everywhere or infinite everywhere; got a mixture. `Coarse` "
            "sorts the rows."
        )
    return bool(finite.all())
