"""Measured inputs integrated out: the joint density of all measurements, and nodes of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array

from numpyro_splines.latent.coordinates import normal_of
from numpyro_splines.latent.error_models import AbstractErrorModel, NormalErrors
from numpyro_splines.latent.quadrature import (
    IntegratedInput,
    Piece,
    Quadrature,
    affine_piece,
    is_end,
)
from numpyro_splines.latent.quantiles import finite_moments
from numpyro_splines.latent.stacking import AbstractWithFunction

# Each looks 4 times nearer than the one before where a density is narrow.
_ZOOMS = 5


class MeasuredTogether(AbstractWithFunction):
    """The measurements of all rows with their inputs integrated out.

    Args:
        known: x where it is known, NaN elsewhere, shape (n,).
        population: of the rows' inputs.
        errors: the law of the measurements.
        piece: values of the measurements -> the rows to be integrated over, None if there are none.
        chunk: see `Quadrature`.
    """

    support: Any = dist.constraints.real_vector  # pyright: ignore
    function_fields = ("known", "population", "errors", "piece", "chunk")

    def __init__(
        self,
        known: np.ndarray,
        population: Any,
        errors: AbstractErrorModel,
        piece: Callable[[Any], Piece] | None,
        chunk: int | None,
    ):
        self.known, self.population, self.errors, self.piece = known, population, errors, piece
        self.chunk = chunk
        super().__init__((), errors.value.shape)

    def log_prob(self, value: Any, intermediates: Any = None) -> Array:  # pyright: ignore
        """Sum over the rows of log int p(measurements | x) p(x) dx, or of log p(. | known x)."""
        del intermediates
        known = np.flatnonzero(~np.isnan(self.known))
        total = jnp.zeros((), jnp.result_type(float))
        if known.size:
            x = jnp.asarray(self.known[known], total.dtype)
            total += self.errors.log_density(x, known, value).sum()
        if self.piece is None:
            return total
        piece = self.piece(value)
        piece = piece._replace(rows=np.arange(piece.rows.size))
        inputs = IntegratedInput("", piece.rows.size, [piece], self.chunk)
        return total + inputs.log_integrals(None)[0].sum()

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:  # pyright: ignore
        """x of the population where it is not known, then its measurements."""
        population: Any = self.population
        if population.batch_shape == ():
            population = population.expand((self.known.size,))
        input_key, key = jax.random.split(key)
        x = population.sample(input_key, sample_shape)
        known = jnp.asarray(self.known, x.dtype)
        x = jnp.where(jnp.isnan(known), x, known)
        flat = x.reshape(-1, x.shape[-1])
        drawn = jax.vmap(lambda key, x: jnp.asarray(self.errors.given(x).sample(key)))(
            jax.random.split(key, len(flat)), flat
        )
        return drawn.reshape(*sample_shape, *self.event_shape)


def measured_piece(
    rows: np.ndarray,
    population: Any,
    ends: tuple[Any, Any],
    errors: AbstractErrorModel,
    value: Any,
    quadrature: Quadrature,
) -> Piece:
    """Rows with measurements of these values.

    Args:
        rows: indices.
        population: of x in these rows.
        ends: of its support.
        errors: the law of the measurements.
        value: the measurements, as `AbstractErrorModel.value`.
        quadrature: the rule.
    """
    normal = normal_of(population)
    if normal is not None and isinstance(errors, NormalErrors):
        log_evidence, center, spread = errors.posterior(rows, value, *normal)
        return _conjugate_piece(rows, log_evidence, center, spread, quadrature)
    mean, sd, known = finite_moments(population)
    # Where there is no variance a population says little of where x is beside its measurement.
    wide = 1e3 * errors.largest
    mean, sd = jnp.where(known, mean, errors.data.overall()[0]), jnp.where(known, sd, wide)

    def log_density(x: Array) -> Array:
        return population.log_prob(x) + errors.log_density(x, rows, value)

    if isinstance(errors, NormalErrors):
        _, center, spread = errors.posterior(rows, value, mean, sd)
    else:
        center, spread = _found(log_density, mean, sd, rows.size, ends)
    if not any(map(is_end, ends)):
        return affine_piece(rows, center, spread, log_density, quadrature.even())
    least, most = ends
    reach = quadrature.half_width * spread
    lower = jnp.maximum(center - reach, least)
    upper = jnp.minimum(center + reach, most)
    # Measurements may lie outside the support.
    lower, upper = jnp.minimum(lower, most - spread), jnp.maximum(upper, least + spread)
    return affine_piece(rows, lower, upper - lower, log_density, quadrature.legendre())


def _conjugate_piece(
    rows: np.ndarray, log_evidence: Array, center: Array, spread: Array, quadrature: Quadrature
) -> Piece:
    """Rows of a normal population and normal errors: nodes in units of x given the measurements.

    p(x, measurements) dx/du is then p(measurements) times the standard normal density of u: nothing
    is evaluated at a node.
    """

    def locate(u: Array) -> tuple[Array, Array]:
        return center + spread * u, log_evidence + jnp.asarray(dist.Normal().log_prob(u))

    return Piece(rows, locate, quadrature.even())


def _found(
    log_density: Callable[[Array], Array], mean: Any, sd: Any, num_rows: int, ends: tuple[Any, Any]
) -> tuple[Array, Array]:
    """Mean and standard deviation of each x under a density that is no matter of formulas.

    On points out to 27 standard deviations of the population, ever farther apart, then nearer ones
    around the mean so far. Without derivatives: an integral does not depend on where its nodes are.
    """
    out = np.sinh(np.linspace(-4.0, 4.0, 129))[:, None]
    center, spread = (jnp.broadcast_to(part, (num_rows,)) for part in (mean, sd))
    shape = out
    for _ in range(_ZOOMS):
        x = jax.lax.stop_gradient(jnp.clip(center + spread * shape, *ends))
        width: Any = jnp.gradient(x, axis=0)
        height = jax.lax.stop_gradient(log_density(x)) + jnp.log(width)
        weight = jax.nn.softmax(jnp.where(jnp.isfinite(height), height, -jnp.inf), axis=0)
        center = (weight * x).sum(axis=0)
        variance = (weight * (x - center) ** 2).sum(axis=0)
        # Of a density between two points all is at one of them.
        spread = jnp.sqrt(variance + 0.25 * (weight * width).sum(axis=0) ** 2)
        shape = np.linspace(-6.0, 6.0, 49)[:, None]
    return center, spread
