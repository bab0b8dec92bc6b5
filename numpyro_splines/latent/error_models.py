"""What measurements tell of inputs: normal errors of a standard deviation, or any distribution."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from numpyro_splines.latent.measurements import Layout, Measurements
from numpyro_splines.latent.sites import sample_rows, sample_together
from numpyro_splines.ops.arrays import take_rows


class AbstractErrorModel(abc.ABC):
    """p(measurements | x) of all rows.

    Args:
        data: the measurements, rows of all inputs.
        layout: where they were in what the user gave.
    """

    def __init__(self, data: Measurements, layout: Layout):
        self.data, self.layout = data, layout

    @property
    @abc.abstractmethod
    def value(self) -> Array:
        """The measurements, as `log_density` and the distribution of `given` take them."""

    @abc.abstractmethod
    def given(self, x: Float[Array, " n"]) -> dist.Distribution:
        """The joint distribution of all measurements given inputs."""

    @abc.abstractmethod
    def observe(self, name: str, x: Float[Array, " n"]) -> None:
        """The site of the measurements given inputs."""

    @abc.abstractmethod
    def log_density(self, x: Float[Array, "... k"], rows: np.ndarray, value: Any) -> Array:
        """log p(measurements of a row | x), shape (..., k), of some of the rows."""

    @property
    @abc.abstractmethod
    def largest(self) -> Any:
        """The largest standard deviation of an error, or its likely size."""


class NormalErrors(AbstractErrorModel):
    """w_ij ~ Normal(x_i, sd_ij), through the means of the rows where they suffice.

    Args:
        data: as in `AbstractErrorModel`.
        layout: as in `AbstractErrorModel`.
        sd: one per measurement, may be traced.
    """

    def __init__(self, data: Measurements, layout: Layout, sd: Any):
        super().__init__(data, layout)
        self.sd = sd

    @property
    def value(self) -> Array:
        return jnp.asarray(self.data.value, jnp.result_type(float))

    def _each(self, x: Array) -> dist.Distribution:
        sd = jnp.asarray(self.sd, jnp.result_type(float))
        return dist.Normal(take_rows(x, self.data.row), sd)

    def given(self, x: Float[Array, " n"]) -> dist.Distribution:
        return self._each(x).to_event(1)

    def observe(self, name: str, x: Float[Array, " n"]) -> None:
        sample_rows(f"{name}.observed", f"{name}.measurements", self._each(x), self.value)

    def log_density(self, x: Float[Array, "... k"], rows: np.ndarray, value: Any) -> Array:
        part, kept = self.part(rows)
        return part.log_density(x, value[..., kept], self.sd[kept])

    @property
    def largest(self) -> Any:
        return jax.lax.stop_gradient(jnp.max(jnp.asarray(self.sd, jnp.result_type(float))))

    def posterior(
        self, rows: np.ndarray, value: Any, mean: Any, spread: Any
    ) -> tuple[Array, Array, Array]:
        """`Measurements.posterior` of some of the rows."""
        part, kept = self.part(rows)
        return part.posterior(value[..., kept], self.sd[kept], mean, spread)

    def part(self, rows: np.ndarray) -> tuple[Measurements, np.ndarray]:
        """The measurements of some rows, numbered anew, and which they are."""
        chosen = np.isin(np.arange(self.data.num_rows), rows)
        return self.data.only(chosen), self.data.of_rows(chosen)


class AnyErrors(AbstractErrorModel):
    """w_ij ~ a distribution that a function of the model makes of x.

    Args:
        data: as in `AbstractErrorModel`.
        layout: as in `AbstractErrorModel`.
        measurement: x, in the layout of what was observed, with leading axes -> a distribution
            whose batch broadcasts with it.

    Raises:
        TypeError: if the function returns no univariate distribution.
    """

    def __init__(
        self,
        data: Measurements,
        layout: Layout,
        measurement: Callable[[Array], dist.Distribution],
    ):
        super().__init__(data, layout)
        if not callable(measurement) or isinstance(measurement, dist.Distribution):
            raise TypeError(
                "`measurement` must be a function of x, such as lambda x: dist.Normal(x, 0.1 * x); "
                f"got {measurement!r}."
            )
        self.measurement = measurement

    @property
    def value(self) -> Array:
        # An entry that was not measured gets the value of one that was, which has a density.
        values = np.full(self.layout.row.size, self.data.value[0])
        values[self.layout.seen] = self.data.value
        return jnp.asarray(values.reshape(self.layout.shape), jnp.result_type(float))

    def _each(self, x: Array) -> dist.Distribution:
        lead = x.shape[:-1]
        shape = (*lead, *self.layout.shape)
        found: Any = self.measurement(take_rows(x, self.layout.row).reshape(shape))
        if not isinstance(found, dist.Distribution) or found.event_shape != ():
            raise TypeError(
                "`measurement` must turn x into a univariate distribution of what was observed, "
                f"such as dist.Normal(x, 0.1 * x); got {found!r}."
            )
        if np.broadcast_shapes(found.batch_shape, shape) != shape:
            raise ValueError(
                "`measurement` must return a distribution whose batch shape broadcasts with x, "
                f"{shape}; got {found.batch_shape}."
            )
        return found.expand(shape)

    def given(self, x: Float[Array, " n"]) -> dist.Distribution:
        seen = np.zeros(self.layout.row.size, bool)
        seen[self.layout.seen] = True
        seen = seen.reshape(self.layout.shape)
        return self._each(x).mask(jnp.asarray(seen)).to_event(len(self.layout.shape))

    def observe(self, name: str, x: Float[Array, " n"]) -> None:
        sample_together(f"{name}.observed", self.given(x), self.value)

    def log_density(self, x: Float[Array, "... k"], rows: np.ndarray, value: Any) -> Array:
        whole = jnp.broadcast_to(x[..., :1], (*x.shape[:-1], self.data.num_rows))
        each = jnp.asarray(self._each(whole.at[..., rows].set(x)).log_prob(value))
        flat = each.reshape(*x.shape[:-1], self.layout.row.size)
        return self.data.total(flat[..., self.layout.seen])[..., rows]

    @property
    def largest(self) -> Any:
        return self.data.error.max()
