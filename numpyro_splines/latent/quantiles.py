"""Where a population lies by its quantiles: also where it has no mean or no variance."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions.transforms import biject_to

from numpyro_splines.validation import is_traced

_LEVELS = (0.25, 0.5, 0.75)
# Halvings of an interval of 160 units of a logarithm: to 1e-7 of them.
_STEPS = 30


def is_concrete(population: Any) -> bool:
    """Whether all parameters of a population are numbers."""
    return not any(map(is_traced, jax.tree.leaves(population)))


@contextmanager
def quiet_support() -> Iterator[None]:
    """Without NumPyro's warning of values at an end of the support: the outermost nodes are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Out-of-support values", UserWarning)
        yield


def place_of_quantiles(
    population: dist.Distribution, place: tuple[float, float]
) -> tuple[Array, Array] | None:
    """Median of a population, and half the distance of its quartiles, on an unbounded scale.

    On the line in x itself, else in NumPyro's bijection (log x for positive inputs). Without
    derivatives. None where the population has neither quantiles nor a distribution function.

    Args:
        population: of x.
        place: where on the line to look for quantiles: a center and a spread, roughly.
    """
    if isinstance(population, dist.ExpandedDistribution):
        population = population.base_dist
    population = jax.tree.map(jax.lax.stop_gradient, population)
    bijection: Any = biject_to(population.support)
    levels = jnp.array(_LEVELS).reshape(3, *(1,) * len(population.batch_shape))
    try:
        z = bijection.inv(population.icdf(levels))
    # NumPyro imports what the quantiles of some distributions need when they are asked for.
    except (NotImplementedError, ImportError):
        try:
            z = _by_halves(population, bijection, levels, place)
        except (NotImplementedError, ImportError):
            return None
    first, middle, last = z
    return middle, jnp.maximum(last - first, 1e-6 * abs(middle)) / 2.0


def _by_halves(population: Any, bijection: Any, levels: Array, place: tuple[float, float]) -> Array:
    """Quantiles from the distribution function, on the unbounded scale."""
    line = population.support is dist.constraints.real
    shape = jnp.broadcast_shapes(levels.shape, population.batch_shape)

    def unbounded(v: Any) -> Any:
        return place[0] + place[1] * jnp.sinh(v) if line else v

    def halve(_: Any, ends: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = ends
        middle = (low + high) / 2.0
        below = population.cdf(bijection(unbounded(middle))) < levels
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    ends = (
        jnp.full(shape, -80.0 if not line else -40.0),
        jnp.full(shape, 80.0 if not line else 40.0),
    )
    if is_concrete(population):
        # Operation by operation: these are compiled once, a loop for each trace of the model.
        for step in range(_STEPS):
            ends = halve(step, ends)
    else:
        ends = jax.lax.fori_loop(0, _STEPS, halve, ends)
    return unbounded((ends[0] + ends[1]) / 2.0)


def finite_moments(population: Any) -> tuple[Any, Any, Any]:
    """Mean, standard deviation, and whether there are such, elementwise; without derivatives.

    Args:
        population: of x.
    """
    try:
        own = population.mean, jnp.sqrt(population.variance)
    # Some distributions of NumPyro divide by what is zero where they have no moment.
    except (NotImplementedError, ZeroDivisionError):
        return np.zeros(()), np.ones(()), np.zeros((), bool)
    mean, spread = (jax.lax.stop_gradient(jnp.asarray(part, float)) for part in own)
    known = jnp.isfinite(mean) & jnp.isfinite(spread) & (spread > 0.0)
    return jnp.where(known, mean, 0.0), jnp.where(known, spread, 1.0), known
