"""Likelihoods of one data set as penalized fits need them; float64, host."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from numpyro_splines.regression.families import AbstractFamily, Derivatives, Gaussian
from numpyro_splines.regression.predictor import AdditivePredictor

_MAX_NEWTON = 100
_NO_MAXIMUM = (
    "`penalized_fit` did not converge: the likelihood may have no maximum, as when outcomes are "
    "separated by a term with a flat prior. Give it a Normal prior."
)


class Mode(NamedTuple):
    """The penalized estimate at given scales.

    Attributes:
        coefficients: c, shape (p,).
        loss: -log p(y | c).
        information: L, shape (p, p).
        inverse: H^-1.
        log_determinant: log|H|.
        derivatives: of each observation there, where these are needed.
    """

    coefficients: np.ndarray
    loss: float
    information: np.ndarray
    inverse: np.ndarray
    log_determinant: float
    derivatives: Derivatives | None = None


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

    def __init__(self, predictor: AdditivePredictor, family: Gaussian, y: np.ndarray):
        self.weights = predictor.observation_weights(family.weights)
        self.gram, self.site = predictor.gram(self.weights), family.site
        center = (self.weights * y).sum() / self.weights.sum()
        spread = float((self.weights * (y - center) ** 2).sum()) / y.size
        if not spread > 0.0:
            raise ValueError("`y` must vary for sigma to be estimated; got a constant.")
        # Half of the variance for the noise, and as much for each effect.
        self.signal = float(np.log(0.5 * spread))
        self.start = np.array([self.signal])
        design, matrix = predictor.design(), predictor.local_matrix
        inverse = np.linalg.pinv(self.gram, rcond=1e-14, hermitian=True)
        y = y - predictor.offset
        estimate = inverse @ (matrix.T @ (design.T @ (self.weights * y)))
        residual = y - design @ (matrix @ estimate)
        estimate = estimate + inverse @ (matrix.T @ (design.T @ (self.weights * residual)))
        residual = y - design @ (matrix @ estimate)
        self.estimate, self.residual = estimate, float((self.weights * residual**2).sum())
        self.num, self.log_weights = y.size, float(np.log(self.weights).sum())

    def _squares(self, coefficients: np.ndarray) -> float:
        deviation = coefficients - self.estimate
        return self.residual + float(deviation @ self.gram @ deviation)

    def mode(self, precision: np.ndarray, mean: np.ndarray, free: np.ndarray) -> Mode:
        """See `AbstractLikelihood.mode`."""
        information = np.exp(-free[0]) * self.gram
        inverse, log_determinant = invert(information + np.diag(precision))
        coefficients = inverse @ (information @ self.estimate + precision * mean)
        loss = np.exp(-free[0]) * self._squares(coefficients) - self.log_weights
        loss = 0.5 * (loss + self.num * (np.log(2 * np.pi) + free[0]))
        return Mode(coefficients, float(loss), information, inverse, log_determinant)

    def slopes(
        self, mode: Mode, changes: np.ndarray, free: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractLikelihood.slopes`: W does not depend on eta."""
        squares = np.exp(-free[0]) * self._squares(mode.coefficients)
        own = 0.5 * (self.num - squares - float((mode.inverse * mode.information).sum()))
        return np.zeros(changes.shape[1]), np.array([own])

    def parameters(self, free: np.ndarray) -> dict[str, np.ndarray]:
        """See `AbstractLikelihood.parameters`."""
        return {self.site: np.asarray(np.exp(0.5 * free[0]))}

    def log_variances(self, variances: np.ndarray) -> dict[str, np.ndarray]:
        """See `AbstractLikelihood.log_variances`: log sigma is half of u."""
        return {self.site: np.asarray(variances[0] / 4.0)}


class NewtonLikelihood(AbstractLikelihood):
    """By iterations of weighted least squares (Newton's method), started at the last estimate."""

    def __init__(self, predictor: AdditivePredictor, family: AbstractFamily, y: np.ndarray):
        self.predictor, self.family, self.y = predictor, family, y
        self.design, self.matrix = predictor.design(), predictor.local_matrix
        self.start = family.free(family.start_parameters(y))
        self.signal = 0.0  # on the link scale a signal of one is large
        self.last: Mode | None = None

    def mode(self, precision: np.ndarray, mean: np.ndarray, free: np.ndarray) -> Mode:
        """See `AbstractLikelihood.mode`."""

        def penalized(c: np.ndarray) -> float:
            penalty = 0.5 * float((precision * (c - mean) ** 2).sum())
            return penalty - self.family.log_likelihood(self.y, self._eta(c), free)

        coefficients, value, last = None, np.inf, np.inf
        with np.errstate(over="ignore", invalid="ignore"):
            if self.last is not None:
                coefficients, value = self._moved(penalized, self.last, precision, mean)
            if coefficients is None or not np.isfinite(value):
                coefficients = self._first(precision, mean, free)
                value = penalized(coefficients)
        if not np.isfinite(value):
            raise FloatingPointError("The likelihood is not finite at these parameters.")
        for _ in range(_MAX_NEWTON):
            derivatives = self.family.derivatives(self.y, self._eta(coefficients), free)
            information = self.predictor.gram(-derivatives.second)
            inverse, log_determinant = self._invert(information, precision, derivatives)
            gradient = self._transpose(derivatives.first) - precision * (coefficients - mean)
            step = inverse @ gradient
            decrement = float(gradient @ step)
            # On to where rounding stops the quadratic convergence: the error of the estimate
            # enters the gradient of the criterion linearly.
            small = decrement < 1e-9 * (1.0 + abs(value))
            if small and not 1e-20 < decrement < 0.25 * last:
                if decrement > 1e-14 * (1.0 + abs(value)):
                    # Steady slow progress: the maximum lies at infinity.
                    raise ValueError(_NO_MAXIMUM)
                break
            last = decrement
            coefficients, value = _line_search(penalized, coefficients, step, value)
        else:
            raise ValueError(_NO_MAXIMUM)
        loss = -float(derivatives.value.sum())
        self.last = Mode(coefficients, loss, information, inverse, log_determinant, derivatives)
        return self.last

    def slopes(
        self, mode: Mode, changes: np.ndarray, free: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractLikelihood.slopes`; one pass over the rows."""
        assert mode.derivatives is not None
        own, leverage = mode.derivatives, self.predictor.sparse.leverage(mode.inverse)
        through = -self._transpose(leverage * own.third)
        result = -own.value_slopes.sum(axis=1) - 0.5 * own.second_slopes @ leverage
        for k, first in enumerate(own.first_slopes):
            result[k] += 0.5 * through @ (mode.inverse @ self._transpose(first))
        return through @ changes, result

    def parameters(self, free: np.ndarray) -> dict[str, np.ndarray]:
        """See `AbstractLikelihood.parameters`."""
        if not free.size:
            return {}
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            return {k: np.asarray(v) for k, v in self.family.constrained(free).items()}

    def log_variances(self, variances: np.ndarray) -> dict[str, np.ndarray]:
        """See `AbstractLikelihood.log_variances`."""
        result, start = {}, 0
        for name, value in self.family.start_parameters(self.y).items():
            size = np.size(value)
            result[name] = variances[start : start + size].reshape(np.shape(value))
            start += size
        return result

    def _invert(
        self, information: np.ndarray, precision: np.ndarray, derivatives: Derivatives
    ) -> tuple[np.ndarray, float]:
        """H^-1 and log|H|; far from the mode of what is not log-concave, with |W| for W."""
        try:
            return invert(information + np.diag(precision))
        except ValueError:
            if np.all(derivatives.second <= 0.0):
                raise
        size = np.abs(derivatives.second)
        concave = self.predictor.gram(np.maximum(size, 1e-3 * size.max()))
        return invert(concave + np.diag(precision))

    def _moved(
        self,
        penalized: Callable[[np.ndarray], float],
        last: Mode,
        precision: np.ndarray,
        mean: np.ndarray,
    ) -> tuple[np.ndarray, float]:
        """From the last estimate to this prior, the log-likelihood taken as quadratic there."""
        assert last.derivatives is not None
        value = penalized(last.coefficients)
        inverse, _ = self._invert(last.information, precision, last.derivatives)
        pull = self._transpose(last.derivatives.first) - precision * (last.coefficients - mean)
        return _line_search(penalized, last.coefficients, inverse @ pull, value)

    def _eta(self, coefficients: np.ndarray) -> np.ndarray:
        return self.predictor.offset + self.design @ (self.matrix @ coefficients)

    def _transpose(self, residual: np.ndarray) -> np.ndarray:
        return self.matrix.T @ (self.design.T @ residual)

    def _first(self, precision: np.ndarray, mean: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Penalized least squares on the transformed observations."""
        eta = self.family.start(self.y)
        weights = -self.family.derivatives(self.y, eta, free).second
        weights = np.where(np.isfinite(weights) & (weights > 1e-3), weights, 1e-3)
        inverse, _ = invert(self.predictor.gram(weights) + np.diag(precision))
        centered = eta - self.predictor.offset
        return inverse @ (self._transpose(weights * centered) + precision * mean)


def freedom_of(inverse: np.ndarray, information: np.ndarray) -> np.ndarray:
    """Effective degrees of freedom of each coefficient, the diagonal of H^-1 L.

    Args:
        inverse: H^-1, shape (p, p).
        information: L, shape (p, p).

    Returns:
        Shape (p,).
    """
    return (inverse * information).sum(axis=1)


def _line_search(
    penalized: Callable[[np.ndarray], float],
    coefficients: np.ndarray,
    step: np.ndarray,
    value: float,
) -> tuple[np.ndarray, float]:
    """The first of the step, its half, ... that does not increase the penalized loss."""
    for _ in range(30):
        trial = coefficients + step
        with np.errstate(over="ignore", invalid="ignore"):
            trial_value = penalized(trial)
        # At the minimum rounding decides; a full step is harmless there.
        if trial_value <= value + 1e-12 * (1.0 + abs(value)):
            return trial, trial_value
        step = step / 2
    return coefficients, value


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
