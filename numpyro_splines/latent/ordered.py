"""Inputs whose order is known: ages along a core, times along a series."""

from __future__ import annotations

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions.transforms import (
    AffineTransform,
    ComposeTransform,
    LowerCholeskyAffine,
    biject_to,
)
from scipy.optimize import isotonic_regression

from numpyro_splines.latent.coordinates import support_ends
from numpyro_splines.latent.input import AbstractInput
from numpyro_splines.latent.measured import Measured
from numpyro_splines.latent.measurements import Measurements
from numpyro_splines.latent.order_statistics import Nested, OrderStatistics
from numpyro_splines.latent.quadrature import Piece, Quadrature
from numpyro_splines.latent.sites import sample_together
from numpyro_splines.validation import is_traced

# Steps towards the most probable place; each takes logits and logarithms by one at most.
_STEPS = 12


class Ordered(AbstractInput):
    r"""Inputs measured with error whose order is known: x_1 < x_2 < ... < x_n.

    x is n draws of the population in increasing order (see `OrderStatistics`), and measured as
    `Measured` says: observed_ij ~ Normal(x_i, error_sd). Measurements need not be in order.
    Samplers see u with x = T(o(c + C u)): o halves the line, or an interval, again and again (see
    `Nested`), T takes that to the support, c is the most probable place given the measurements and
    the order, and C C' the inverse of the information that both give there, so that u is about
    uncorrelated. C has n^2 / 2 numbers; it is worked out once, unless the ends of the support are
    random, which takes n^3 / 3 operations for each density.

    Sites: `<name>.standardized` (u), `<name>.observed`, and the deterministic `<name>`. The inputs
    depend on one another, so they cannot be integrated out one by one.

    Args:
        observed: measurements in the order of their inputs: shape (n,), or (n, r) for replicates;
            NaN where nothing was measured; or, with `group`, shape (m,).
        error_sd: as in `Measured`, but not zero.
        group: which row each measurement belongs to, see `Measured`.

    Raises:
        TypeError: as `Measured`.
        ValueError: as `Measured`, or if an error is zero; and in the model if the population has
            one distribution per row or a support that is bounded above only.

    Example:
        >>> import numpyro
        >>> data = Ordered([1.0, 3.0, 2.5], 0.5)
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     x = data.sample("age", dist.Uniform(0.0, 10.0))
        >>> print(bool((jnp.diff(x) > 0).all()))
        True
    """

    def __init__(self, observed: Any, error_sd: Any = None, *, group: Any = None):
        self._measured = Measured(observed, error_sd, group=group)
        self.known = self._measured.known
        if not np.isnan(self.known).all():
            raise ValueError(
                "`error_sd` of ordered inputs must be positive; got 0. Give what is known exactly "
                "a small one."
            )

    def sample(self, name: str, population: Any, *, error_sd: Any = None) -> Array:
        """x as a random variable, increasing, see `AbstractInput.sample`.

        Args:
            name: prefix of the sites.
            population: a univariate distribution, the same for all rows.
            error_sd: as in `Measured.sample`.

        Returns:
            x, shape (n,), increasing.
        """
        self._measured.check(population)
        if population.batch_shape != ():
            raise ValueError(
                "`population` of ordered inputs must be one distribution for all rows; got batch "
                f"shape {population.batch_shape}."
            )
        transform = _coordinates(population, self.measurements())
        law = OrderStatistics(population, self.num_rows)
        base = dist.TransformedDistribution(law, transform.inv)
        x = jnp.asarray(transform(sample_together(f"{name}.standardized", base)))
        self._measured.errors(error_sd).observe(name, x)
        return jnp.asarray(numpyro.deterministic(name, x))

    def measurements(self) -> Measurements:
        return self._measured.measurements()

    def _pieces(self, name: str, population: Any, quadrature: Quadrature) -> list[Piece]:
        raise TypeError(
            "Ordered inputs depend on one another and cannot be integrated out row by row; use "
            "`sample`."
        )


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
        center, spread = (np.asarray(part, float) for part in data.placement())
    placed = _in_order(center, spread)
    random = is_traced(lower) or is_traced(upper)
    bounded = hasattr(support, "lower_bound") and hasattr(support, "upper_bound")
    nested = Nested(data.num_rows, bounded)
    between: Any = AffineTransform(lower, upper - lower, domain=dist.constraints.unit_interval)
    bijection: Any = between if bounded else biject_to(support)
    with contextlib.nullcontext() if random else jax.ensure_compile_time_eval():
        placed = _inside(jnp.asarray(placed), 0.3 * np.diff(placed).min(initial=1.0), lower, upper)
        location, root = _expansion(
            nested, bijection, placed, jnp.asarray(center), jnp.asarray(spread)
        )
    return ComposeTransform([LowerCholeskyAffine(location, root), nested, bijection])


@jax.jit
def _expansion(
    nested: Nested, bijection: Any, placed: Array, center: Array, spread: Array
) -> tuple[Array, Array]:
    """The most probable v, from `placed` on, and a lower triangular root of its covariance.

    Args:
        nested: the line to increasing values.
        bijection: of these to the support.
        placed: increasing values.
        center: where measurements put each input.
        spread: how exactly.
    """

    def information(v: Array) -> tuple[Array, Array]:
        """The slope of the log density, and its curvature as Gauss and Newton have it."""
        slopes = jax.jacfwd(lambda at: bijection(nested(at)))(v)
        slope, own = nested.prior(v)
        weighted = slopes / spread[:, None] ** 2
        slope += weighted.T @ (center - bijection(nested(v)))
        return slope, weighted.T @ slopes + jnp.diag(own)

    def step(_: Any, v: Array) -> Array:
        slope, precision = information(v)
        return v + jnp.clip(jnp.linalg.solve(precision, slope), -1.0, 1.0)

    location = jax.lax.fori_loop(0, _STEPS, step, nested.inv(bijection.inv(placed)))
    # Reversed, the inverse of the factor is lower triangular and its product the covariance.
    factor = jnp.linalg.cholesky(information(location)[1][::-1, ::-1])
    inverse = jax.scipy.linalg.solve_triangular(factor, jnp.eye(placed.size), lower=True)
    return location, inverse.T[::-1, ::-1]


def _in_order(center: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Increasing values near the centers, no two much nearer than they are on average."""
    fitted = np.asarray(isotonic_regression(center, weights=spread**-2).x)
    evenly = np.ptp(center) / max(center.size - 1, 1) or np.inf
    steps = np.maximum(
        np.diff(fitted), 0.3 * np.minimum(np.minimum(spread[1:], spread[:-1]), evenly)
    )
    placed = np.cumsum(np.concatenate([[0.0], steps]))
    return placed + (fitted - placed).mean()


def _inside(x: Array, margin: float, lower: Any, upper: Any) -> Array:
    """Increasing values squeezed into an interval where they are outside."""
    least, most = jnp.maximum(x[0], lower + margin), jnp.minimum(x[-1], upper - margin)
    share = jnp.linspace(0.0, 1.0, x.size) if x.size == 1 else (x - x[0]) / (x[-1] - x[0])
    return least + share * (most - least)
