"""Coordinates in which samplers and quadratures see an input: near zero, of size about one."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions.transforms import AffineTransform, ComposeTransform, biject_to

from numpyro_splines.arguments import instance_of
from numpyro_splines.functions import Curve
from numpyro_splines.latent.stacking import AbstractStackable
from numpyro_splines.transforms import SplineTransform
from numpyro_splines.validation import check_resolution, is_traced


class Rows(AbstractStackable):
    """Some of the rows of a population that has one distribution for each row.

    Args:
        population: batch shape (n,).
        rows: which, shape (m,).
    """

    pytree_data_fields = ("population",)
    pytree_aux_fields = ("rows",)

    def __init__(self, population: dist.Distribution, rows: np.ndarray):
        self.population, self.rows = population, tuple(int(row) for row in rows)
        super().__init__((len(self.rows),), ())
        self._remember()

    @dist.constraints.dependent_property(is_discrete=False, event_dim=0)  # pyright: ignore
    def support(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """That of the population."""
        return self.population.support

    @property
    def mean(self) -> Array:
        """Means of the chosen rows."""
        return jnp.asarray(self.population.mean)[..., list(self.rows)]

    @property
    def variance(self) -> Array:
        """Variances of the chosen rows."""
        return jnp.asarray(self.population.variance)[..., list(self.rows)]

    def cdf(self, value: Any) -> Array:
        """Distribution function of each row's own distribution."""
        return self._of_rows(self.population.cdf, value)

    def icdf(self, q: Any) -> Array:
        """Quantiles of each row's own distribution."""
        return self._of_rows(self.population.icdf, q)

    def _log_prob_of_one(self, value: Array) -> Array:
        return self._of_rows(self.population.log_prob, value)

    def _sample_of_one(self, key: Array, sample_shape: tuple[int, ...]) -> Array:
        return jnp.asarray(self.population.sample(key, sample_shape))[..., list(self.rows)]

    def _of_rows(self, function: Any, value: Any) -> Array:
        # The other rows get the value of the first: any point of the support will do.
        position = np.zeros(self.population.batch_shape[0], int)
        position[list(self.rows)] = np.arange(len(self.rows))
        value = jnp.asarray(value)
        value = jnp.broadcast_to(value, (*value.shape[:-1], len(self.rows)))
        return jnp.asarray(function(value[..., position]))[..., list(self.rows)]


def check_population(population: Any, num_rows: int) -> None:
    """Refuse what is neither one univariate distribution nor one for each row.

    Raises:
        TypeError: if it is no distribution of real numbers.
        ValueError: if its shape is neither () nor (num_rows,).
    """
    if not isinstance(population, dist.Distribution) or population.event_shape != ():
        raise TypeError(
            "`population` must be a univariate distribution, such as dist.Normal(mean, sd); got "
            f"{population!r}."
        )
    if population.is_discrete:
        raise TypeError(
            "`population` must be continuous; got the discrete distribution "
            f"{type(population).__name__}. Enumerate its values instead."
        )
    if population.batch_shape not in ((), (num_rows,)):
        raise ValueError(
            f"`population` must be one distribution or one for each of the {num_rows} rows; got "
            f"batch shape {population.batch_shape}."
        )


def support_ends(population: dist.Distribution) -> tuple[Any, Any]:
    """Where x starts and stops: -inf and inf where a population is unbounded.

    Args:
        population: of x.
    """
    support: Any = population.support
    return getattr(support, "lower_bound", -np.inf), getattr(support, "upper_bound", np.inf)


def check_support(values: np.ndarray, rows: np.ndarray, population: dist.Distribution) -> None:
    """Refuse known values outside the support of the population, where that has concrete ends.

    Args:
        values: of inputs.
        rows: their numbers, for the message.
        population: of all rows.
    """
    ends = support_ends(population)
    if any(is_traced(end) or np.ndim(end) > 0 for end in ends):
        return
    least, most = (float(end) for end in ends)
    if np.any(bad := (values < least) | (values > most)):
        i = int(np.argmax(bad))
        raise ValueError(
            f"`observed` must lie in the support of the population, [{least:.6g}, {most:.6g}], "
            f"where it is known exactly; got {values[i]} in row {rows[i]}."
        )


def check_spread(values: Any, population: dist.Distribution) -> None:
    """Refuse inputs so far from zero that their population is lost in rounding.

    Args:
        values: what is known of the inputs, any shape; NaN where nothing is.
        population: of all rows; traced parameters, and moments that are unknown or infinite, pass.

    Raises:
        ValueError: if the population's standard deviation is not resolved.
    """
    # Concrete numbers also while a model is traced.
    with jax.ensure_compile_time_eval():
        try:
            parts = population.mean, jnp.sqrt(population.variance)
        except (NotImplementedError, ZeroDivisionError):
            return
    if any(map(is_traced, parts)):
        return
    mean, spread = (np.asarray(part, np.float64) for part in parts)
    known = np.isfinite(mean) & np.isfinite(spread)
    spread = np.where(known, spread, 0.0)
    check_resolution(np.where(known, mean, 0.0), spread, "population")
    if spread.ndim == 0:
        check_resolution(values, spread, "observed")


def rows_of(population: dist.Distribution, rows: np.ndarray) -> dist.Distribution:
    """The population of some rows; the population itself where it is the same for all.

    Args:
        population: batch shape () or (n,).
        rows: increasing indices.
    """
    if population.batch_shape in ((), (len(rows),)):
        return population
    return Rows(population, rows)


def normal_of(population: dist.Distribution) -> tuple[Any, Any] | None:
    """Mean and standard deviation of a normal population, by row if it is; None for others.

    Args:
        population: of x; expanded, or some of its rows.
    """
    if isinstance(population, dist.Normal):
        return population.loc, population.scale
    if isinstance(population, dist.ExpandedDistribution):
        return normal_of(population.base_dist)
    if isinstance(population, Rows) and normal_of(population.population) is not None:
        return population.mean, jnp.sqrt(population.variance)
    return None


def coordinates(population: dist.Distribution, center: Any, spread: Any) -> ComposeTransform:
    r"""The map u -> x = T(c + s u) of the real line onto the support of a population.

    T is the identity on the real line, and NumPyro's bijection otherwise (exp for positive inputs).
    c and s are such that u = 0 is at the center and a step of one in u is about the spread in x.

    Args:
        population: of x.
        center: where u = 0 lies, one per row; moved into the support where it is outside.
        spread: the size of x - center.
    """
    dtype = jnp.result_type(float)
    support: Any = population.support
    center, spread = jnp.asarray(center, dtype), jnp.asarray(spread, dtype)
    if support is dist.constraints.real:
        return ComposeTransform([AffineTransform(center, spread)])
    lower, upper = support_ends(population)
    margin = jnp.minimum(spread, upper - lower) / 4.0
    bijection: Any = biject_to(support)
    inside = jnp.clip(center, lower + margin, upper - margin)
    unbounded = bijection.inv(inside)
    # Where the spread is larger than the distance to an end, a unit on the scale of the logarithm
    # (or logit) is as far as x can sensibly go.
    step = spread / jnp.exp(bijection.log_abs_det_jacobian(unbounded, inside))
    return ComposeTransform([AffineTransform(unbounded, jnp.minimum(step, 1.0)), bijection])


def standardized(population: dist.Distribution, transform: ComposeTransform) -> Any:
    """The distribution of u when x = transform(u) follows the population."""
    return dist.TransformedDistribution(population, transform.inv)


def spline_density(curve: Curve) -> dist.Distribution:
    r"""The distribution on [a, b] whose density is a curve: a flexible population of inputs.

    log p(x) = log curve(x). Draws by the exact inverse of its antiderivative.

    Args:
        curve: one curve, positive and of integral one over its domain [a, b], such as an effect
            with `SimplexPrior` on an `MSplineBasis` draws.

    Returns:
        A univariate NumPyro distribution with support [a, b].

    Example:
        >>> import numpyro_splines as ns
        >>> curve = ns.MSplineBasis([0.0, 1.0, 3.0], degree=1).curve([0.2, 0.5, 0.3])
        >>> print(spline_density(curve).log_prob(1.0).round(4))
        -1.0986
    """
    instance_of(curve, Curve, "curve")
    cumulative = SplineTransform(curve.antiderivative(), bounded=True)
    return dist.TransformedDistribution(dist.Uniform(0.0, 1.0), cumulative.inv)
