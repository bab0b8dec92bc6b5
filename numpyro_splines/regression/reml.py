r"""The Laplace approximation of log p(y | scales), its gradient and its maximum; float64, host.

With coefficients c ~ Normal(m, P^-1), P = 0 where flat, and eta = Phi c, let c be the penalized
estimate, L = Phi' W Phi the information of the data there and H = L + P. Then

    -log p(y | scales) ~ -log p(y | c) + (c - m)' P (c - m) / 2 - log|P|_+ / 2 + log|H| / 2 + const

which is exact for Gaussian responses and mgcv's `method="REML"` otherwise, W = -d^2 log p / deta^2.
The gradient in theta and in the family's parameters u is explicit too: c and, with it, W move,
dc / dtheta = -H^-1 dP / dtheta (c - m) and dc / du = H^-1 Phi' d^2 log p / deta du.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize

from numpyro_splines.regression.likelihoods import AbstractLikelihood, Mode
from numpyro_splines.regression.theta import Theta


class Criterion:
    """-log p(y | theta, u) and its gradient in both.

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
        return self.likelihood.mode(precision, self.mean, point[self.theta.size :]), precision

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
        through, gradient[num:] = self.likelihood.slopes(mode, changes, point[num:])
        gradient[:num] += 0.5 * through
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
    wall = np.inf

    def walled(theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The criterion; a high plateau, from which the search turns back, where there is none."""
        try:
            return criterion(theta)
        except (FloatingPointError, ValueError):
            return wall, np.zeros_like(theta)

    values = [walled(theta)[0] for theta in starts]
    best = starts[int(np.argmin(values))]
    # Where no start has a value the reason is in the data: say it.
    wall = 10.0 * (1.0 + abs(min(values) if np.isfinite(min(values)) else criterion(best)[0]))
    bounds = [(t - reach, t + reach) for t in starts[0]]

    def search(theta: np.ndarray, relative: float, slope: float) -> np.ndarray:
        options: dict[str, Any] = {"maxiter": 500, "ftol": relative, "gtol": slope}
        return scipy.optimize.minimize(
            walled, theta, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        ).x

    theta = search(best, 1e-10, 1e-5)
    curvature = _curvature(criterion, theta)
    polished = _polished(criterion, theta, curvature, bounds)
    if polished is None:
        theta = search(theta, 1e-15, 1e-8)
        curvature = _curvature(criterion, theta)
    else:
        far = np.abs(polished - theta).max() > 1e-3
        theta = polished
        curvature = _curvature(criterion, theta) if far else curvature
    values, vectors = np.linalg.eigh(curvature)
    inverse = vectors @ np.diag(1.0 / np.maximum(values, 0.25)) @ vectors.T
    return theta, np.diag(inverse)


def _polished(
    criterion: Callable[[np.ndarray], tuple[float, np.ndarray]],
    theta: np.ndarray,
    curvature: np.ndarray,
    bounds: list[tuple[float, float]],
) -> np.ndarray | None:
    """The last digits, by gradients alone where values are too flat to be compared.

    Newton's method with one curvature; None where that is not near a regular minimum.
    """
    lower, upper = np.array(bounds).reshape(-1, 2).T
    values, vectors = np.linalg.eigh(curvature)
    if values.min() < 1e-4:
        return None
    last = np.inf
    for _ in range(20):
        gradient = criterion(theta)[1]
        step = vectors @ ((vectors.T @ gradient) / values)
        size = np.abs(step).max()
        if size > min(0.1, last) or np.any((theta - step < lower) | (theta - step > upper)):
            # Rounding is all that is left, or no regular minimum is near.
            return theta if last < 1e-6 else None
        theta, last = theta - step, size
        if size < 1e-9:
            return theta
    return theta


def _curvature(
    criterion: Callable[[np.ndarray], tuple[float, np.ndarray]], theta: np.ndarray
) -> np.ndarray:
    """Hessian by central differences of the gradient."""
    step = 1e-4 * np.eye(theta.size)
    rows = [(criterion(theta + s)[1] - criterion(theta - s)[1]) / 2e-4 for s in step]
    curvature = np.array(rows).reshape(theta.size, theta.size)
    return 0.5 * (curvature + curvature.T)
