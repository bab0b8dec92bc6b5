"""Families of responses for penalized fits, with their canonical links; float64 on the host."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import numpy as np
import scipy.special
from jaxtyping import ArrayLike

from numpyro_splines.validation import float64_array


class AbstractFamily(eqx.Module):
    """Distribution of y given the linear predictor eta."""

    @abc.abstractmethod
    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """The observations as float64, shape (n,), if they are possible ones.

        Args:
            y: what the user gave.
            num_observations: n.
        """


class Gaussian(AbstractFamily):
    """y_i ~ Normal(eta_i, sigma^2 / weights_i), sigma estimated.

    Args:
        weights: known and positive, shape (n,); None for ones.
        site: name of sigma in the model that the fit is to start.

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

    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """See `AbstractFamily.check`."""
        _one_each(self.weights, "weights", "positive numbers", num_observations)
        return _observations(y, num_observations)


class AbstractCanonicalFamily(AbstractFamily):
    """An exponential family with known dispersion, log p(y) = y' eta - sum of cumulants + const."""

    @abc.abstractmethod
    def start(self, y: np.ndarray) -> np.ndarray:
        """A linear predictor near the data, from which to start."""

    @abc.abstractmethod
    def log_likelihood(self, y: np.ndarray, eta: np.ndarray) -> float:
        """sum_i log p(y_i | eta_i), normalized."""

    @abc.abstractmethod
    def cumulants(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, variance and third central moment of each y_i: the derivatives in eta."""


class Poisson(AbstractCanonicalFamily):
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
        self.exposure = None if exposure is None else float64_array(exposure, "exposure", ndim=1)
        if self.exposure is not None and np.any(self.exposure <= 0.0):
            raise ValueError(f"`exposure` must be positive; got {self.exposure.min():.17g}.")

    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """See `AbstractFamily.check`."""
        _one_each(self.exposure, "exposure", "positive numbers", num_observations)
        return _within(_observations(y, num_observations), np.inf, "counts")

    def start(self, y: np.ndarray) -> np.ndarray:
        """See `AbstractCanonicalFamily.start`."""
        return np.log((y + 0.5) / self._exposure())

    def log_likelihood(self, y: np.ndarray, eta: np.ndarray) -> float:
        """See `AbstractCanonicalFamily.log_likelihood`."""
        rate = eta + np.log(self._exposure())
        return float((y * rate - np.exp(rate) - scipy.special.gammaln(y + 1.0)).sum())

    def cumulants(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `AbstractCanonicalFamily.cumulants`."""
        mean = self._exposure() * np.exp(eta)
        return mean, mean, mean

    def _exposure(self) -> Any:
        return 1.0 if self.exposure is None else self.exposure


class Binomial(AbstractCanonicalFamily):
    """y_i ~ Binomial(trials_i, 1 / (1 + exp(-eta_i))); Bernoulli without `trials`.

    Args:
        trials: known, shape (n,); None for ones.

    Raises:
        ValueError: if a number of trials is negative; by `penalized_fit`, if they are not n.

    Example:
        >>> mean, variance, _ = Binomial(trials=[1.0, 10.0]).cumulants(np.zeros(2))
        >>> print(mean, variance)
        [0.5 5. ] [0.25 2.5 ]
    """

    trials: np.ndarray | None

    def __init__(self, trials: ArrayLike | None = None):
        self.trials = None if trials is None else float64_array(trials, "trials", ndim=1)
        if self.trials is not None and np.any(self.trials < 0.0):
            raise ValueError(f"`trials` must not be negative; got {self.trials.min():.17g}.")

    def check(self, y: Any, num_observations: int) -> np.ndarray:
        """See `AbstractFamily.check`."""
        _one_each(self.trials, "trials", "whole numbers", num_observations)
        return _within(_observations(y, num_observations), self._trials(), "successes")

    def start(self, y: np.ndarray) -> np.ndarray:
        """See `AbstractCanonicalFamily.start`."""
        return scipy.special.logit((y + 0.5) / (self._trials() + 1.0))

    def log_likelihood(self, y: np.ndarray, eta: np.ndarray) -> float:
        """See `AbstractCanonicalFamily.log_likelihood`."""
        trials = self._trials() * np.ones_like(y)
        log_choose = -scipy.special.betaln(trials - y + 1.0, y + 1.0) - np.log1p(trials)
        return float((log_choose + y * eta - trials * np.logaddexp(0.0, eta)).sum())

    def cumulants(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `AbstractCanonicalFamily.cumulants`."""
        chance, other = scipy.special.expit(eta), scipy.special.expit(-eta)
        mean = self._trials() * chance
        return mean, mean * other, mean * other * (other - chance)

    def _trials(self) -> Any:
        return 1.0 if self.trials is None else self.trials


def _one_each(values: np.ndarray | None, name: str, what: str, num_observations: int) -> None:
    if values is not None and values.shape != (num_observations,):
        raise ValueError(
            f"`{name}` must be {num_observations} {what}, one for each observation of the "
            f"predictor; got shape {values.shape}. Take them from the same rows as its inputs and "
            "`y`, or leave them out for ones."
        )


def _observations(y: Any, num_observations: int) -> np.ndarray:
    y = float64_array(y, "y", ndim=1)
    if y.shape != (num_observations,):
        raise ValueError(f"`y` must hold {num_observations} observations; got {y.size}.")
    return y


def _within(y: np.ndarray, most: Any, what: str) -> np.ndarray:
    bad = (y < 0.0) | (y > most) | (y != np.round(y))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise ValueError(f"`y` must hold numbers of {what}; got {y[i]:.17g} at index {i}.")
    return y
