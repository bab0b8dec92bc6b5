"""Families of counts and of chances."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scipy.special
from jaxtyping import ArrayLike

from numpyro_splines.ops.arrays import array_module
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
from numpyro_splines.regression.links import AbstractChanceLink, Logit
from numpyro_splines.validation import float64_array


class AbstractCounts(AbstractFamily):
    """Counts of mean exposure_i exp(eta_i)."""

    exposure: eqx.AbstractVar[np.ndarray | None]

    def inverse_link(self, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.inverse_link`."""
        return jnp.exp(eta)

    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """See `AbstractFamily.check`."""
        one_each(self.exposure, "exposure", "positive numbers", num_observations)
        return counts(observations(y, num_observations))

    def start(self, y: np.ndarray) -> np.ndarray:
        """See `AbstractFamily.start`."""
        return np.log(y + 0.5) - log_mean(np.zeros(y.size), self.exposure)


class Poisson(AbstractCounts):
    """y_i ~ Poisson(exposure_i exp(eta_i)).

    Args:
        exposure: known and positive, shape (n,); None for ones.

    Raises:
        ValueError: if an exposure is not positive; by `penalized_fit`, if they are not n.

    Example:
        >>> mean, variance, _ = Poisson(exposure=[1.0, 10.0]).cumulants(np.zeros(2))
        >>> print(mean, variance)
        [ 1. 10.] [ 1. 10.]
    """

    exposure: np.ndarray | None

    def __init__(self, exposure: ArrayLike | None = None):
        self.exposure = checked_exposure(exposure)

    def distribution(self, eta: Any, **parameters: Any) -> dist.Distribution:
        """See `AbstractFamily.distribution`."""
        return dist.Poisson(jnp.exp(log_mean(eta, self.exposure)), **parameters)

    def log_prob(self, y: Any, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.log_prob`."""
        xp, special = modules(eta)
        log_rate = log_mean(eta, self.exposure)
        return y * log_rate - xp.exp(log_rate) - special.gammaln(y + 1.0)

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, **parameters: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractFamily.cumulative`."""
        mean = np.exp(log_mean(eta, self.exposure))
        # P(Y < 0) is none, also where the mean is zero in floating point.
        below = np.where(y > 0.0, scipy.special.gammaincc(np.maximum(y, 1.0), mean), 0.0)
        return below, scipy.special.gammaincc(y + 1.0, mean)

    @property
    def canonical(self) -> bool:
        """See `AbstractFamily.canonical`."""
        return True

    def cumulants(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `AbstractFamily.cumulants`."""
        mean = np.exp(log_mean(eta, self.exposure))
        return mean, mean, mean


class NegativeBinomial(AbstractCounts):
    """Counts of mean m_i = exposure_i exp(eta_i) and variance m_i + m_i^2 / concentration.

    Args:
        concentration: a known number (theta in mgcv's `nb`), or None for a parameter.
        exposure: known and positive, shape (n,); None for ones.
        site: name of the concentration in a model.

    Raises:
        ValueError: if numbers are not positive; by `penalized_fit`, if exposures are not n.

    Example:
        >>> y = NegativeBinomial(2.0).distribution(jnp.log(3.0))
        >>> print(y.mean.round(3), y.variance.round(3))
        3.0 7.5
    """

    concentration: np.ndarray | None
    exposure: np.ndarray | None
    site: str = eqx.field(static=True)

    def __init__(
        self,
        concentration: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        *,
        site: str = "concentration",
    ):
        self.concentration = known(concentration, "concentration")
        self.exposure, self.site = checked_exposure(exposure), site

    @property
    def supports(self) -> dict[str, Any]:
        """See `AbstractFamily.supports`."""
        return unknown(self.concentration, self.site)

    def distribution(self, eta: Any, **parameters: Any) -> dist.Distribution:
        """See `AbstractFamily.distribution`."""
        size = given(self.concentration, self.site, parameters)
        return dist.NegativeBinomial2(jnp.exp(log_mean(eta, self.exposure)), size)

    def log_prob(self, y: Any, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.log_prob`; no mean underflows or overflows."""
        size = given(self.concentration, self.site, parameters)
        odds = log_mean(eta, self.exposure) - jnp.log(size)
        # Beta functions, not differences of large gamma functions.
        choose = -jax.scipy.special.betaln(size, y + 1.0) - jnp.log(size + y)
        return choose - size * jax.nn.softplus(odds) - y * jax.nn.softplus(-odds)

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, **parameters: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractFamily.cumulative`."""
        size = given(self.concentration, self.site, parameters, np)
        chance = scipy.special.expit(np.log(size) - log_mean(eta, self.exposure))
        below = np.where(y > 0.0, scipy.special.betainc(size, np.maximum(y, 1.0), chance), 0.0)
        return below, scipy.special.betainc(size, y + 1.0, chance)


class Binomial(AbstractFamily):
    """y_i ~ Binomial(trials_i, p_i), p_i = 1 / (1 + exp(-eta_i)); Bernoulli without `trials`.

    Args:
        trials: known, shape (n,); None for ones.
        link: p as a function of eta, `links.Logit()` if omitted, `links.Probit()` or
            `links.ComplementaryLogLog()`.

    Raises:
        ValueError: if a number of trials is negative; by `penalized_fit`, if they are not n.

    Example:
        >>> print(Binomial(trials=[1.0, 10.0]).distribution(jnp.zeros(2)).mean)
        [0.5 5. ]
    """

    trials: np.ndarray | None
    link: AbstractChanceLink

    def __init__(self, trials: ArrayLike | None = None, *, link: AbstractChanceLink | None = None):
        self.trials = None if trials is None else float64_array(trials, "trials", ndim=1)
        if self.trials is not None and np.any(self.trials < 0.0):
            raise ValueError(f"`trials` must not be negative; got {self.trials.min():.17g}.")
        self.link = checked_link(link)

    @property
    def canonical(self) -> bool:
        """See `AbstractFamily.canonical`."""
        return isinstance(self.link, Logit)

    def distribution(self, eta: Any, **parameters: Any) -> dist.Distribution:
        """See `AbstractFamily.distribution`."""
        logits = self.link.logits(jnp.asarray(eta))
        if self.trials is None:
            return dist.BinomialLogits(logits, 1, **parameters)
        # Known trials stay NumPy's: NumPyro compares them with a known y, which is no tracer.
        trials = array_module(self.trials).asarray(self.trials, dtype=jnp.result_type(int))
        return dist.BinomialLogits(logits, trials, **parameters)

    def log_prob(self, y: Any, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.log_prob`."""
        xp, special = modules(eta)
        logits = eta if self.canonical else self.link.logits(eta)
        trials = xp.asarray(1.0 if self.trials is None else self.trials, dtype=eta.dtype)
        choose = -special.betaln(trials - y + 1.0, y + 1.0) - xp.log1p(trials)
        return choose + y * logits - trials * xp.logaddexp(0.0, logits)

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, **parameters: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractFamily.cumulative`."""
        trials = 1.0 if self.trials is None else self.trials
        _, failure = chances(self.link, eta)

        def upto(k: np.ndarray) -> np.ndarray:
            inside = (k >= 0.0) & (k < trials)
            left, passed = np.where(inside, trials - k, 1.0), np.where(inside, k, 0.0)
            return np.where(inside, scipy.special.betainc(left, passed + 1.0, failure), k >= trials)

        return upto(y - 1.0), upto(y)

    def inverse_link(self, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.inverse_link`: the chance p."""
        return self.link.inverse(eta)

    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """See `AbstractFamily.check`."""
        one_each(self.trials, "trials", "whole numbers", num_observations)
        y = observations(y, num_observations)
        most = 1.0 if self.trials is None else self.trials
        valid = (y >= 0.0) & (y <= most) & (y == np.round(y))
        return possible(y, valid, "numbers of successes")

    def start(self, y: np.ndarray) -> np.ndarray:
        """See `AbstractFamily.start`."""
        trials = 1.0 if self.trials is None else self.trials
        return scipy.special.logit((y + 0.5) / (trials + 1.0))

    def cumulants(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `AbstractFamily.cumulants`."""
        chance, other = scipy.special.expit(eta), scipy.special.expit(-eta)
        mean = (1.0 if self.trials is None else self.trials) * chance
        return mean, mean * other, mean * other * (other - chance)


class OrderedCategorical(AbstractFamily):
    """y_i in 0, ..., K - 1 with p(y_i <= k) = 1 / (1 + exp(eta_i - cutpoint_k)).

    Larger eta, higher categories. The K - 1 cutpoints stand for an intercept: the predictor should
    have none, or one with a Normal prior.

    Args:
        num_categories: K, at least 2.
        site: name of the increasing cutpoints in a model, shape (..., K - 1).

    Raises:
        ValueError: if there are fewer than two categories.

    Example:
        >>> family = OrderedCategorical(3)
        >>> print(family.inverse_link(jnp.zeros(1), cutpoints=jnp.array([-1.0, 1.0])).round(3))
        [[0.269 0.462 0.269]]
    """

    num_categories: int = eqx.field(static=True)
    site: str = eqx.field(static=True)

    def __init__(self, num_categories: int, *, site: str = "cutpoints"):
        if not isinstance(num_categories, (int, np.integer)) or num_categories < 2:
            raise ValueError(
                f"`num_categories` must be a whole number of at least 2; got {num_categories}."
            )
        self.num_categories, self.site = int(num_categories), site

    @property
    def supports(self) -> dict[str, Any]:
        """See `AbstractFamily.supports`."""
        return {self.site: dist.constraints.ordered_vector}

    def distribution(self, eta: Any, **parameters: Any) -> dist.Distribution:
        """See `AbstractFamily.distribution`."""
        return dist.OrderedLogistic(eta, jnp.asarray(parameters[self.site])[..., None, :])

    def log_prob(self, y: Any, eta: Any, **parameters: Any) -> Any:
        """See `AbstractFamily.log_prob`: without differences of chances near one."""
        cutpoints = jnp.asarray(parameters[self.site])
        index = jnp.asarray(y).astype(int)
        last = self.num_categories - 1
        upper = jnp.take(cutpoints, jnp.minimum(index, last - 1), axis=-1) - eta
        lower = jnp.take(cutpoints, jnp.maximum(index - 1, 0), axis=-1) - eta
        gap = jnp.where((index > 0) & (index < last), upper - lower, 1.0)
        below = jnp.where(index < last, jax.nn.log_sigmoid(upper), 0.0)
        above = jnp.where(index > 0, jax.nn.log_sigmoid(-lower), 0.0)
        # F(b) - F(a) = F(b) (1 - F(a)) (1 - exp(a - b)) for the logistic F.
        between = jnp.where((index > 0) & (index < last), jnp.log(-jnp.expm1(-gap)), 0.0)
        return below + above + between

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, **parameters: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractFamily.cumulative`."""
        cutpoints = np.asarray(parameters[self.site])
        ends = np.full((*eta.shape[:-1], self.num_categories + 1), np.inf)
        ends[..., 0], ends[..., 1:-1] = -np.inf, cutpoints
        index = np.broadcast_to(y, eta.shape).astype(int)
        below, upto = (
            scipy.special.expit(np.take_along_axis(ends, own, axis=-1) - eta)
            for own in (index, index + 1)
        )
        return below, upto

    def inverse_link(self, eta: Any, **parameters: Any) -> Any:
        """Chances of the categories, shape (..., n, K)."""
        eta = jnp.asarray(eta)[..., None]
        below = jax.nn.sigmoid(jnp.asarray(parameters[self.site])[..., None, :] - eta)
        ends = jnp.zeros((*below.shape[:-1], 1), below.dtype)
        return jnp.diff(jnp.concatenate([ends, below, ends + 1.0], axis=-1), axis=-1)

    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """See `AbstractFamily.check`."""
        y = observations(y, num_observations)
        valid = (y >= 0.0) & (y < self.num_categories) & (y == np.round(y))
        possible(y, valid, f"categories 0, ..., {self.num_categories - 1}")
        return y

    def start(self, y: np.ndarray) -> np.ndarray:
        """See `AbstractFamily.start`."""
        return np.zeros(y.size)

    def start_parameters(self, y: np.ndarray) -> dict[str, Any]:
        """See `AbstractFamily.start_parameters`: those of the shares of the categories."""
        last = self.num_categories - 1
        if not y.size:
            return {self.site: np.arange(float(last))}
        empty = sorted(set(range(self.num_categories)) - set(y.astype(int).tolist()))
        if empty:  # to estimate cutpoints takes them all
            raise ValueError(
                f"`y` must hold each of the {self.num_categories} categories; got none of {empty}. "
                "Number the observed categories from 0 without gaps."
            )
        shares = np.cumsum(np.bincount(y.astype(int), minlength=last + 1) / y.size)
        return {self.site: scipy.special.logit(shares[:-1])}


def modules(array: Any) -> tuple[Any, Any]:
    """NumPy and SciPy's special functions, or JAX's."""
    if isinstance(array, np.ndarray):
        return np, scipy.special
    return jnp, jax.scipy.special


def log_mean(eta: Any, exposure: np.ndarray | None) -> Any:
    """eta + log(exposure), NumPy or JAX."""
    if exposure is None:
        return eta
    xp = array_module(eta, exposure)
    return eta + xp.log(xp.asarray(exposure, dtype=eta.dtype))


def counts(y: np.ndarray) -> np.ndarray:
    """y, if it holds counts."""
    return possible(y, (y >= 0.0) & (y == np.round(y)), "numbers of counts")


def checked_exposure(exposure: Any) -> np.ndarray | None:
    """Positive numbers, shape (n,), or None."""
    result = None if exposure is None else float64_array(exposure, "exposure", ndim=1)
    if result is not None and np.any(result <= 0.0):
        raise ValueError(f"`exposure` must be positive; got {result.min():.17g}.")
    return result
