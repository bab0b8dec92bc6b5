"""Likelihoods of one data set as penalized fits need them; float64, host."""

from __future__ import annotations

import abc
from typing import NamedTuple

import numpy as np

from numpyro_splines.regression.families import Derivatives, Gaussian
from numpyro_splines.regression.sums import LeastSquares


class Mode(NamedTuple):
    """The penalized estimate at given scales.

    Attributes:
        coefficients: c, shape (p,).
        loss: -log p(y | c).
        information: L, shape (p, p).
        inverse: H^-1.
        log_determinant: log|H|.
        derivatives: of the observations of each part there, where these are kept.
    """

    coefficients: np.ndarray
    loss: float
    information: np.ndarray
    inverse: np.ndarray
    log_determinant: float
    derivatives: tuple[Derivatives, ...] | None = None


class AbstractLikelihood(abc.ABC):
    """log p(y | eta, u) of one data set.

    Attributes:
        start: parameters u of the family from which to start, free of constraints, shape (q,).
        signal: a guess of log tau^2.
    """

    start: np.ndarray
    signal: float

    @abc.abstractmethod
    def mode(self, precision: np.ndarray, mean: np.ndarray, free: np.ndarray) -> Mode:
        """The penalized estimate for a diagonal prior precision at u."""

    @abc.abstractmethod
    def slopes(
        self, mode: Mode, changes: np.ndarray, free: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """How the criterion moves beyond what is explicit in the precision.

        Args:
            mode: the estimate.
            changes: of c, shape (p, k).
            free: u.

        Returns:
            Derivatives of log|H| through W for these changes, shape (k,); and those of
            -log p(y | c) + log|H| / 2 in u, shape (q,).
        """

    @abc.abstractmethod
    def parameters(self, free: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters of the family by site name."""

    @abc.abstractmethod
    def log_variances(self, variances: np.ndarray) -> dict[str, np.ndarray]:
        """Approximate variances of the parameters as NumPyro frees them, from those of u."""


class GaussianLikelihood(AbstractLikelihood):
    """Known by the least-squares fit: no pass over the data per evaluation; u = log sigma^2."""

    def __init__(self, sums: LeastSquares, family: Gaussian):
        self.sums, self.site = sums, family.site
        spread = float(sums.spread) / sums.num
        if not spread > 0.0:
            raise ValueError("`y` must vary for sigma to be estimated; got a constant.")
        # Half of the variance for the noise, and as much for each effect.
        self.signal = float(np.log(0.5 * spread))
        self.start = np.array([self.signal])

    def mode(self, precision: np.ndarray, mean: np.ndarray, free: np.ndarray) -> Mode:
        """See `AbstractLikelihood.mode`."""
        sums, certainty = self.sums, np.exp(-free[0])
        information = certainty * sums.gram
        inverse, log_determinant = invert(information + np.diag(precision))
        pull = certainty * sums.pull - precision * (sums.about - mean)
        coefficients = sums.about + inverse @ pull
        loss = certainty * sums.moved(coefficients)[1] - sums.log_weights
        loss = 0.5 * (loss + sums.num * (np.log(2 * np.pi) + free[0]))
        return Mode(coefficients, float(loss), information, inverse, log_determinant)

    def slopes(
        self, mode: Mode, changes: np.ndarray, free: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractLikelihood.slopes`: W does not depend on eta."""
        squares = np.exp(-free[0]) * self.sums.moved(mode.coefficients)[1]
        own = 0.5 * (self.sums.num - squares - float((mode.inverse * mode.information).sum()))
        return np.zeros(changes.shape[1]), np.array([own])

    def parameters(self, free: np.ndarray) -> dict[str, np.ndarray]:
        """See `AbstractLikelihood.parameters`."""
        return {self.site: np.asarray(np.exp(0.5 * free[0]))}

    def log_variances(self, variances: np.ndarray) -> dict[str, np.ndarray]:
        """See `AbstractLikelihood.log_variances`: log sigma is half of u."""
        return {self.site: np.asarray(variances[0] / 4.0)}


def freedom_of(inverse: np.ndarray, information: np.ndarray) -> np.ndarray:
    """Effective degrees of freedom of each coefficient, the diagonal of H^-1 L.

    Args:
        inverse: H^-1, shape (p, p).
        information: L, shape (p, p).

    Returns:
        Shape (p,).
    """
    return (inverse * information).sum(axis=1)


def invert(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Inverse and log determinant of a positive definite matrix, after scaling it."""
    # Negative entries are left to Cholesky's method, which refuses them.
    size = np.sqrt(np.abs(np.diag(matrix)))
    if np.any(size == 0.0) or not np.all(np.isfinite(size)):
        raise ValueError(
            "Coefficients with flat priors must be identified by the data; a column of the design "
            "is zero. Give it a Normal prior."
        )
    try:
        factor = np.linalg.cholesky(matrix / np.outer(size, size))
    except np.linalg.LinAlgError:
        raise ValueError(
            "Coefficients with flat priors must be identified by the data; columns of the design "
            "are linearly dependent. Give them Normal priors."
        ) from None
    # NumPy throughout: SciPy brings a BLAS with threads of its own, and the two sets wait for each
    # other's processors. The inverse of the factor is a direct solution, never split into threads
    # at these sizes; LAPACK's potrs and potri are, at a hundred times the cost.
    root = np.linalg.solve(factor, np.eye(size.size))
    inverse = (root.T @ root) / np.outer(size, size)
    return inverse, 2.0 * float((np.log(np.diag(factor)) + np.log(size)).sum())
