"""Families of continuous responses."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.scipy.special
import numpy as np
import numpyro.distributions as dist
import scipy.special
from jaxtyping import ArrayLike

from numpyro_splines.regression.families.base import (
    AbstractFamily,
    chances,
    checked_link,
    given,
    known,
    observations,
    one_each,
    possible,
    unknown,
)
from numpyro_splines.regression.links import AbstractChanceLink
from numpyro_splines.validation import float64_array


class Gaussian(AbstractFamily):
    """y_i ~ Normal(eta_i, sigma^2 / weights_i), sigma estimated.

    Args:
        weights: known and positive, shape (n,); None for ones.
        site: name of sigma in a model.

    Raises:
        ValueError: by `penalized_fit`, if the weights are not n positive numbers.

    Example:
        >>> Gaussian(weights=[1.0, 2.0]).check([0.5, 0.7], 2)
        array([0.5, 0.7])
    """

    weights: np.ndarray | None
    site: str = eqx.field(static=True)

    def __init__(self, weights: ArrayLike | None = None, *, site: str = "sigma"):
        self.weights = None if weights is None else float64_array(weights, "weights", ndim=1)
        self.site = site

    @property
    def supports(self) -> dict[str, Any]:
        """See `AbstractFamily.supports`."""
        return unknown(None, self.site)

    def distribution(self, eta: Any, **parameters: Any) -> dist.Distribution:
        """See `AbstractFamily.distribution`."""
        sigma = given(None, self.site, parameters)
        if self.weights is not None:
            sigma = sigma / jnp.sqrt(jnp.asarray(self.weights, jnp.result_type(float)))
        return dist.Normal(eta, sigma)

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, **parameters: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractFamily.cumulative`."""
        sigma = given(None, self.site, parameters, np)
        root = 1.0 if self.weights is None else np.sqrt(self.weights)
        below = scipy.special.ndtr((y - eta) / sigma * root)
        return below, below

    def inverse_link(self, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.inverse_link`."""
        return jnp.asarray(eta)

    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """See `AbstractFamily.check`."""
        one_each(self.weights, "weights", "positive numbers", num_observations)
        return observations(y, num_observations)

    def start(self, y: np.ndarray) -> np.ndarray:
        """See `AbstractFamily.start`."""
        return y

    def start_parameters(self, y: np.ndarray) -> dict[str, Any]:
        """See `AbstractFamily.start_parameters`."""
        return {self.site: np.asarray(_spread(y))}


class StudentT(AbstractFamily):
    """y_i = eta_i + sigma t_i, t_i of Student's t distribution: robust against outliers.

    Args:
        df: degrees of freedom, a known number; or None for a parameter.
        site: name of sigma in a model.
        df_site: name of the degrees of freedom there.

    Raises:
        ValueError: if `df` is not positive.

    Example:
        >>> print(StudentT(4.0).distribution(jnp.zeros(1), sigma=1.0).variance)
        [2.]
    """

    df: np.ndarray | None
    site: str = eqx.field(static=True)
    df_site: str = eqx.field(static=True)

    def __init__(self, df: ArrayLike | None = None, *, site: str = "sigma", df_site: str = "df"):
        self.df, self.site, self.df_site = known(df, "df"), site, df_site

    @property
    def supports(self) -> dict[str, Any]:
        """See `AbstractFamily.supports`."""
        return unknown(None, self.site) | unknown(self.df, self.df_site)

    def distribution(self, eta: Any, **parameters: Any) -> dist.Distribution:
        """See `AbstractFamily.distribution`."""
        df = given(self.df, self.df_site, parameters)
        return dist.StudentT(df, eta, given(None, self.site, parameters))

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, **parameters: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractFamily.cumulative`."""
        df = given(self.df, self.df_site, parameters, np)
        below = scipy.special.stdtr(df, (y - eta) / given(None, self.site, parameters, np))
        return below, below

    def inverse_link(self, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.inverse_link`: the center, also where there is no mean."""
        return jnp.asarray(eta)

    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """See `AbstractFamily.check`."""
        return observations(y, num_observations)

    def start(self, y: np.ndarray) -> np.ndarray:
        """See `AbstractFamily.start`."""
        return y

    def start_parameters(self, y: np.ndarray) -> dict[str, Any]:
        """See `AbstractFamily.start_parameters`."""
        values = {self.site: np.asarray(_spread(y)), self.df_site: np.asarray(5.0)}
        return {name: values[name] for name in self.supports}


class Gamma(AbstractFamily):
    """Positive y_i of mean m_i = exp(eta_i) and variance m_i^2 / concentration.

    Args:
        concentration: the shape, a known number (1 for exponential y); or None for a parameter.
        site: name of the concentration in a model.

    Raises:
        ValueError: if the concentration is not positive.

    Example:
        >>> y = Gamma(4.0).distribution(jnp.log(jnp.full(1, 3.0)))
        >>> print(y.mean.round(3), y.variance.round(3))
        [3.] [2.25]
    """

    concentration: np.ndarray | None
    site: str = eqx.field(static=True)

    def __init__(self, concentration: ArrayLike | None = None, *, site: str = "concentration"):
        self.concentration, self.site = known(concentration, "concentration"), site

    @property
    def supports(self) -> dict[str, Any]:
        """See `AbstractFamily.supports`."""
        return unknown(self.concentration, self.site)

    def distribution(self, eta: Any, **parameters: Any) -> dist.Distribution:
        """See `AbstractFamily.distribution`."""
        shape = given(self.concentration, self.site, parameters)
        return dist.Gamma(shape, shape * jnp.exp(-jnp.asarray(eta)))

    def log_prob(self, y: Any, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.log_prob`; no rate underflows."""
        shape = given(self.concentration, self.site, parameters)
        log_y = jnp.log(y)
        deviation = log_y - eta
        constant = shape * jnp.log(shape) - jax.scipy.special.gammaln(shape)
        return constant + shape * (deviation - jnp.exp(deviation)) - log_y

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, **parameters: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractFamily.cumulative`."""
        shape = given(self.concentration, self.site, parameters, np)
        below = scipy.special.gammainc(shape, shape * y * np.exp(-eta))
        return below, below

    def inverse_link(self, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.inverse_link`."""
        return jnp.exp(eta)

    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """See `AbstractFamily.check`."""
        y = observations(y, num_observations)
        return possible(y, y > 0.0, "positive numbers")

    def start(self, y: np.ndarray) -> np.ndarray:
        """See `AbstractFamily.start`."""
        return np.log(y)


class Beta(AbstractFamily):
    """y_i in (0, 1) of mean m_i = p(eta_i) and variance m_i (1 - m_i) / (1 + concentration).

    Args:
        concentration: the sum of both shapes, a known number; or None for a parameter.
        link: m as a function of eta; see `Binomial`.
        site: name of the concentration in a model.

    Raises:
        ValueError: if the concentration is not positive.

    Example:
        >>> y = Beta(3.0).distribution(jnp.zeros(1))
        >>> print(y.mean, y.variance)
        [0.5] [0.0625]
    """

    concentration: np.ndarray | None
    link: AbstractChanceLink
    site: str = eqx.field(static=True)

    def __init__(
        self,
        concentration: ArrayLike | None = None,
        *,
        link: AbstractChanceLink | None = None,
        site: str = "concentration",
    ):
        self.concentration, self.site = known(concentration, "concentration"), site
        self.link = checked_link(link)

    @property
    def supports(self) -> dict[str, Any]:
        """See `AbstractFamily.supports`."""
        return unknown(self.concentration, self.site)

    def distribution(self, eta: Any, **parameters: Any) -> dist.Distribution:
        """See `AbstractFamily.distribution`."""
        total = given(self.concentration, self.site, parameters)
        logits = self.link.logits(jnp.asarray(eta))
        return dist.Beta(total * jax.nn.sigmoid(logits), total * jax.nn.sigmoid(-logits))

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, **parameters: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractFamily.cumulative`."""
        total = given(self.concentration, self.site, parameters, np)
        chance, other = chances(self.link, eta)
        below = scipy.special.betainc(total * chance, total * other, y)
        return below, below

    def inverse_link(self, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.inverse_link`."""
        return self.link.inverse(eta)

    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """See `AbstractFamily.check`."""
        y = observations(y, num_observations)
        return possible(y, (y > 0.0) & (y < 1.0), "numbers between 0 and 1, these excluded")

    def start(self, y: np.ndarray) -> np.ndarray:
        """See `AbstractFamily.start`."""
        return scipy.special.logit(np.clip(y, 0.01, 0.99))

    def start_parameters(self, y: np.ndarray) -> dict[str, Any]:
        """See `AbstractFamily.start_parameters`."""
        return {name: np.asarray(5.0) for name in self.supports}


def _spread(y: np.ndarray) -> float:
    """Half of the standard deviation, robustly; of what is left of a signal."""
    if not y.size:
        return 1.0
    quartiles = np.quantile(y, [0.25, 0.75])
    spread = 0.5 * float(np.diff(quartiles)[0]) / 1.349
    return spread if spread > 0.0 else float(np.std(y)) or 1.0
