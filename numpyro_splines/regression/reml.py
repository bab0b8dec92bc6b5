r"""The Laplace approximation of log p(y | scales), its gradient and its maximum; float64, host.

With coefficients c ~ Normal(m, P^-1), P = 0 where flat, and eta = Phi c, let c be the penalized
estimate, L = Phi' W Phi the information of the data there and H = L + P. Then

    -log p(y | scales) ~ -log p(y | c) + (c - m)' P (c - m) / 2 - log|P|_+ / 2 + log|H| / 2 + const

which is exact for Gaussian responses and mgcv's `method="REML"` otherwise. With canonical links the
gradient in rho = log tau^2 is explicit too: dc / drho = H^-1 P_tau (c - m), and W moves with eta.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize

from numpyro_splines.regression.families import AbstractCanonicalFamily
from numpyro_splines.regression.predictor import AdditivePredictor
from numpyro_splines.regression.theta import Theta

# Rows of the dense design that are formed at once.
_ROWS = 8192
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
    """

    coefficients: np.ndarray
    loss: float
    information: np.ndarray
    inverse: np.ndarray
    log_determinant: float


class AbstractLikelihood(abc.ABC):
    """log p(y | eta) of one data set; `dispersion` is log sigma^2 where it is unknown."""

    has_dispersion: bool

    @abc.abstractmethod
    def mode(self, precision: np.ndarray, mean: np.ndarray, dispersion: float) -> Mode:
        """The penalized estimate for a diagonal prior precision."""

    @abc.abstractmethod
    def log_determinant_slopes(self, mode: Mode, changes: np.ndarray) -> np.ndarray:
        """Derivatives of log|H| through W for changes of c, shape (p, k): shape (k,)."""

    @abc.abstractmethod
    def dispersion_slope(self, mode: Mode, dispersion: float) -> float:
        """Derivative of -log p(y | c) + log|H| / 2 in the dispersion, c held fixed."""


class GaussianLikelihood(AbstractLikelihood):
    """Known by the least-squares fit: no pass over the data per evaluation."""

    has_dispersion = True

    def __init__(
        self, predictor: AdditivePredictor, gram: np.ndarray, y: np.ndarray, weights: np.ndarray
    ):
        design, matrix = predictor.design(), predictor.local_matrix
        self.gram = gram
        inverse = np.linalg.pinv(gram, rcond=1e-14, hermitian=True)
        y = y - predictor.offset
        estimate = inverse @ (matrix.T @ (design.T @ (weights * y)))
        residual = y - design @ (matrix @ estimate)
        estimate = estimate + inverse @ (matrix.T @ (design.T @ (weights * residual)))
        residual = y - design @ (matrix @ estimate)
        self.estimate, self.residual = estimate, float((weights * residual**2).sum())
        self.num, self.log_weights = y.size, float(np.log(weights).sum())

    def _squares(self, coefficients: np.ndarray) -> float:
        deviation = coefficients - self.estimate
        return self.residual + float(deviation @ self.gram @ deviation)

    def mode(self, precision: np.ndarray, mean: np.ndarray, dispersion: float) -> Mode:
        """See `AbstractLikelihood.mode`."""
        information = np.exp(-dispersion) * self.gram
        inverse, log_determinant = _invert(information + np.diag(precision))
        coefficients = inverse @ (information @ self.estimate + precision * mean)
        loss = np.exp(-dispersion) * self._squares(coefficients) - self.log_weights
        loss = 0.5 * (loss + self.num * (np.log(2 * np.pi) + dispersion))
        return Mode(coefficients, float(loss), information, inverse, log_determinant)

    def log_determinant_slopes(self, mode: Mode, changes: np.ndarray) -> np.ndarray:
        """See `AbstractLikelihood.log_determinant_slopes`: W does not depend on eta."""
        return np.zeros(changes.shape[1])

    def dispersion_slope(self, mode: Mode, dispersion: float) -> float:
        """See `AbstractLikelihood.dispersion_slope`."""
        squares = np.exp(-dispersion) * self._squares(mode.coefficients)
        return 0.5 * (self.num - squares - float((mode.inverse * mode.information).sum()))


class CanonicalLikelihood(AbstractLikelihood):
    """By iterations of weighted least squares (Newton's method), started at the last estimate."""

    has_dispersion = False

    def __init__(
        self, predictor: AdditivePredictor, family: AbstractCanonicalFamily, y: np.ndarray
    ):
        self.predictor, self.family, self.y = predictor, family, y
        self.design, self.matrix = predictor.design(), predictor.local_matrix
        self.last: np.ndarray | None = None

    def mode(self, precision: np.ndarray, mean: np.ndarray, dispersion: float) -> Mode:
        """See `AbstractLikelihood.mode`."""
        coefficients = self._start(precision, mean) if self.last is None else self.last
        value, last = self._penalized(coefficients, precision, mean), np.inf
        for _ in range(_MAX_NEWTON):
            eta = self._eta(coefficients)
            fitted, variance, _ = self.family.cumulants(eta)
            information = self.predictor.gram(variance)
            inverse, log_determinant = _invert(information + np.diag(precision))
            gradient = self._transpose(self.y - fitted) - precision * (coefficients - mean)
            step = inverse @ gradient
            decrement = float(gradient @ step)
            # On to where rounding stops the quadratic convergence: the error of the estimate
            # enters the gradient of the criterion linearly.
            small = decrement < 1e-9 * (1.0 + abs(value))
            if small and not 1e-22 < decrement < 0.25 * last:
                if decrement > 1e-14 * (1.0 + abs(value)):
                    # Steady slow progress: the maximum lies at infinity.
                    raise ValueError(_NO_MAXIMUM)
                break
            last = decrement
            coefficients, value = self._line_search(coefficients, step, value, precision, mean)
        else:
            raise ValueError(_NO_MAXIMUM)
        self.last = coefficients
        loss = -self.family.log_likelihood(self.y, self._eta(coefficients))
        return Mode(coefficients, loss, information, inverse, log_determinant)

    def log_determinant_slopes(self, mode: Mode, changes: np.ndarray) -> np.ndarray:
        """See `AbstractLikelihood.log_determinant_slopes`."""
        third = self.family.cumulants(self._eta(mode.coefficients))[2]
        slopes = np.zeros(changes.shape[1])
        for start in range(0, self.y.size, _ROWS):
            rows = self.design[start : start + _ROWS] @ self.matrix
            leverage = ((rows @ mode.inverse) * rows).sum(axis=1)
            slopes += (leverage * third[start : start + _ROWS]) @ (rows @ changes)
        return slopes

    def dispersion_slope(self, mode: Mode, dispersion: float) -> float:
        """See `AbstractLikelihood.dispersion_slope`: the dispersion is known."""
        return 0.0

    def _eta(self, coefficients: np.ndarray) -> np.ndarray:
        return self.predictor.offset + self.design @ (self.matrix @ coefficients)

    def _transpose(self, residual: np.ndarray) -> np.ndarray:
        return self.matrix.T @ (self.design.T @ residual)

    def _penalized(
        self, coefficients: np.ndarray, precision: np.ndarray, mean: np.ndarray
    ) -> float:
        penalty = 0.5 * float((precision * (coefficients - mean) ** 2).sum())
        return penalty - self.family.log_likelihood(self.y, self._eta(coefficients))

    def _start(self, precision: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Penalized least squares on the transformed observations."""
        eta = self.family.start(self.y)
        variance = self.family.cumulants(eta)[1]
        inverse, _ = _invert(self.predictor.gram(variance) + np.diag(precision))
        centered = eta - self.predictor.offset
        return inverse @ (self._transpose(variance * centered) + precision * mean)

    def _line_search(
        self,
        coefficients: np.ndarray,
        step: np.ndarray,
        value: float,
        precision: np.ndarray,
        mean: np.ndarray,
    ) -> tuple[np.ndarray, float]:
        for _ in range(30):
            trial = coefficients + step
            with np.errstate(over="ignore", invalid="ignore"):
                trial_value = self._penalized(trial, precision, mean)
            # At the minimum rounding decides; a full step is harmless there.
            if trial_value <= value + 1e-12 * (1.0 + abs(value)):
                return trial, trial_value
            step = step / 2
        return coefficients, value


class Criterion:
    """-log p(y | scales) and its gradient in (theta, log sigma^2).

    Args:
        likelihood: of the data.
        theta: the free hyperparameters.
    """

    def __init__(self, likelihood: AbstractLikelihood, theta: Theta):
        self.likelihood, self.theta = likelihood, theta
        predictor = theta.predictor
        self.num_fixed = predictor.num_fixed
        self.mean, self.precision = np.zeros((2, predictor.num_coefficients))
        self.mean[: self.num_fixed] = predictor.location
        self.precision[: self.num_fixed] = predictor.scale**-2.0

    def mode(self, point: np.ndarray) -> tuple[Mode, np.ndarray]:
        """The penalized estimate and the prior precision."""
        precision = self.precision.copy()
        precision[self.num_fixed :] = self.theta.precisions(point)
        dispersion = float(point[-1]) if self.likelihood.has_dispersion else 0.0
        return self.likelihood.mode(precision, self.mean, dispersion), precision

    def __call__(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient."""
        mode, precision = self.mode(point)
        deviation = mode.coefficients - self.mean
        pull = precision * deviation
        squares = float((pull * deviation).sum())
        positive = precision > 0
        value = mode.loss + 0.5 * (squares + mode.log_determinant)
        value -= 0.5 * (np.log(precision[positive]).sum() + np.log(2 * np.pi) * (~positive).sum())
        random, num = slice(self.num_fixed, None), self.theta.size
        slopes = self.theta.slopes(point)
        # d(-log p) / d log v_i, half of one minus what the data make of the coefficient.
        own = 1.0 - pull[random] * deviation[random]
        own = own - precision[random] * np.diag(mode.inverse)[random]
        gradient = np.zeros_like(point)
        gradient[:num] = 0.5 * slopes @ own
        changes = mode.inverse[:, random] @ (slopes * pull[random]).T
        gradient[:num] += 0.5 * self.likelihood.log_determinant_slopes(mode, changes)
        if self.likelihood.has_dispersion:
            gradient[-1] = self.likelihood.dispersion_slope(mode, float(point[-1]))
        return value, gradient


def maximize(
    criterion: Callable[[np.ndarray], tuple[float, np.ndarray]],
    starts: list[np.ndarray],
    reach: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimize the criterion from the best of several starts, within `reach` of the first.

    Returns:
        theta and the variances of its entries (inverse curvature, zero or negative curvature
        replaced by that of a variance of one: the data do not bound such a scale).
    """
    if not starts[0].size:
        return starts[0], np.zeros(0)
    best = min(starts, key=lambda theta: criterion(theta)[0])
    bounds = [(t - reach, t + reach) for t in starts[0]]
    options: dict[str, Any] = {"maxiter": 500, "ftol": 1e-15, "gtol": 1e-8}
    theta = scipy.optimize.minimize(
        criterion, best, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    ).x
    for _ in range(3):
        curvature = _curvature(criterion, theta)
        gradient = criterion(theta)[1]
        lower, upper = np.array(bounds).reshape(-1, 2).T
        values, vectors = np.linalg.eigh(curvature)
        inside = np.all((theta > lower + 1e-3) & (theta < upper - 1e-3))
        # Newton's method for the last digits, where the criterion is too flat to be compared.
        if not inside or values.min(initial=1.0) < 1e-4 or np.abs(gradient).max(initial=0) < 1e-9:
            break
        step = vectors @ ((vectors.T @ gradient) / values)
        if np.abs(step).max() > 0.1:
            break
        theta = theta - step
    curvature = _curvature(criterion, theta)
    values, vectors = np.linalg.eigh(curvature)
    inverse = vectors @ np.diag(1.0 / np.maximum(values, 0.25)) @ vectors.T
    return theta, np.diag(inverse)


def _curvature(
    criterion: Callable[[np.ndarray], tuple[float, np.ndarray]], theta: np.ndarray
) -> np.ndarray:
    """Hessian by central differences of the gradient."""
    step = 1e-4 * np.eye(theta.size)
    rows = [(criterion(theta + s)[1] - criterion(theta - s)[1]) / 2e-4 for s in step]
    curvature = np.array(rows).reshape(theta.size, theta.size)
    return 0.5 * (curvature + curvature.T)


def _invert(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Inverse and log determinant of a positive definite matrix, after scaling it."""
    size = np.sqrt(np.diag(matrix))
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
