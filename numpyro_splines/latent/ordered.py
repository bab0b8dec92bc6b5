"""Inputs whose order is known: ages along a core, times along a series."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions.transforms import (
    AffineTransform,
    ComposeTransform,
    Transform,
    biject_to,
)
from scipy.optimize import isotonic_regression

from numpyro_splines.latent.coordinates import check_population, check_spread, support_ends
from numpyro_splines.latent.measurements import Measurements, measurements
from numpyro_splines.latent.stacking import AbstractStackable
from numpyro_splines.validation import check_resolution, integer_at_least


class Ordered(AbstractStackable):
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
        >>> print(Ordered(dist.Normal(), 2).log_prob(jnp.array([0.0, 1.0])).round(4))
        -1.6447
    """

    support: Any = dist.constraints.ordered_vector  # pyright: ignore
    pytree_data_fields = ("population",)

    def __init__(
        self, population: dist.Distribution, size: int, *, validate_args: bool | None = None
    ):
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


def ordered(
    name: str,
    observed: Any,
    error_sd: Any,
    population: dist.Distribution,
    *,
    group: Any = None,
) -> Float[Array, " n"]:
    r"""Inputs measured with error whose order is known: x_1 < x_2 < ... < x_n.

    x is n draws of the population in increasing order (see `Ordered`), and measured as `measured`
    says: observed_ij ~ Normal(x_i, error_sd). Measurements need not be in order. Samplers see u
    with x = T(o(c + s u)): T takes the line to the support, o halves it again and again (see
    `Nested`), and c and s are the place and the uncertainty of the measurements put in order.

    Sites: `<name>.standardized` (u), `<name>.observed`, and the deterministic `<name>`.

    Args:
        name: prefix of the sites.
        observed: measurements in the order of their inputs: shape (n,), or (n, r) for replicates;
            NaN where nothing was measured; or, with `group`, shape (m,).
        error_sd: standard deviation of the error of one measurement: a number, one per row, or one
            per measurement; may be random. Not zero.
        population: a univariate distribution, the same for all rows.
        group: which row each measurement belongs to, see `measured`.

    Returns:
        x, shape (n,), increasing.

    Raises:
        TypeError: if `population` is no univariate distribution.
        ValueError: as `measured`; if an error is zero; or if the population has one distribution
            per row or a support that is bounded above only.

    Example:
        >>> import numpyro, numpyro.distributions as dist
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     x = ordered("age", [1.0, 3.0, 2.5], 0.5, dist.Uniform(0.0, 10.0))
        >>> print(bool((jnp.diff(x) > 0).all()))
        True
    """
    data = measurements(observed, error_sd, group)
    check_population(population, data.num_rows)
    check_resolution(data.value, data.error, "observed")
    check_spread(data.value, population)
    if population.batch_shape != ():
        raise ValueError(
            "`population` of ordered inputs must be one distribution for all rows; got batch shape "
            f"{population.batch_shape}."
        )
    if data.exact.any():
        raise ValueError(
            "`error_sd` of ordered inputs must be positive; got 0. Give what is known exactly a "
            "small one."
        )
    transform = _coordinates(population, data)
    law = Ordered(population, data.num_rows)
    base = dist.TransformedDistribution(law, transform.inv)
    x = jnp.asarray(transform(jnp.asarray(numpyro.sample(f"{name}.standardized", base))))
    dtype = x.dtype
    with numpyro.plate(f"{name}.measurements", data.row.size):
        given = dist.Normal(x[data.row], jnp.asarray(data.error, dtype))
        numpyro.sample(f"{name}.observed", given, obs=jnp.asarray(data.value, dtype))
    return jnp.asarray(numpyro.deterministic(name, x))


def _coordinates(population: dist.Distribution, data: Measurements) -> ComposeTransform:
    """The map from u to increasing x in the support of the population."""
    support: Any = population.support
    lower, upper = support_ends(population)
    if hasattr(support, "upper_bound") and not hasattr(support, "lower_bound"):
        raise ValueError(
            f"`population` of ordered inputs must not be bounded above only; got {population!r}. "
            "Change the sign of x."
        )
    # Concrete numbers also while a model is traced.
    with jax.ensure_compile_time_eval():
        center, spread = (np.asarray(part, float) for part in data.placement(data.guess))
    bijection: Any = biject_to(support)
    placed = _inside(jnp.asarray(_in_order(center, spread)), 0.3 * spread.min(), lower, upper)
    free = bijection.inv(placed)
    own = spread / jnp.exp(bijection.log_abs_det_jacobian(free, placed))
    nested = Nested(data.num_rows)
    location = nested.inv(free)
    # A step of one in u: the uncertainty of x, but no more than a unit of a logarithm or logit.
    sizes = jnp.minimum(jnp.exp(jnp.log(own) - nested.log_slopes(location, free)), 1.0)
    sizes = sizes.at[0].set(own[0])
    return ComposeTransform([AffineTransform(location, sizes), nested, bijection])


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


def _in_order(center: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Increasing values near the centers, no two nearer than a share of their spreads."""
    fitted = np.asarray(isotonic_regression(center, weights=spread**-2).x)
    steps = np.maximum(np.diff(fitted), 0.3 * np.minimum(spread[1:], spread[:-1]))
    placed = np.cumsum(np.concatenate([[0.0], steps]))
    return placed + (fitted - placed).mean()


def _inside(x: Array, margin: float, lower: Any, upper: Any) -> Array:
    """Increasing values squeezed into an interval where they are outside."""
    least, most = jnp.maximum(x[0], lower + margin), jnp.minimum(x[-1], upper - margin)
    share = jnp.linspace(0.0, 1.0, x.size) if x.size == 1 else (x - x[0]) / (x[-1] - x[0])
    return least + share * (most - least)
