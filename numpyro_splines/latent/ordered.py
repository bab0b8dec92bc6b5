"""Inputs whose order is known: ages along a core, times along a series."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions.transforms import AffineTransform, ComposeTransform, biject_to
from scipy.optimize import isotonic_regression

from numpyro_splines.latent.coordinates import support_ends
from numpyro_splines.latent.input import AbstractInput
from numpyro_splines.latent.measured import Measured
from numpyro_splines.latent.measurements import Measurements
from numpyro_splines.latent.order_statistics import Nested, OrderStatistics
from numpyro_splines.latent.quadrature import Piece, Quadrature
from numpyro_splines.latent.sites import sample_together


class Ordered(AbstractInput):
    r"""Inputs measured with error whose order is known: x_1 < x_2 < ... < x_n.

    x is n draws of the population in increasing order (see `OrderStatistics`), and measured as
    `Measured` says: observed_ij ~ Normal(x_i, error_sd). Measurements need not be in order.
    Samplers see u with x = T(o(c + s u)): T takes the line to the support, o halves it again and
    again (see `Nested`), and c and s are the place and the uncertainty of the measurements put in
    order.

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
