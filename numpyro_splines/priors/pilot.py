"""What data say about one Gaussian smooth: a guess of the noise, or a fit of the smooth alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro.distributions as dist
import scipy.optimize

from numpyro_splines.bases import AbstractBasis
from numpyro_splines.measure import Measure
from numpyro_splines.priors.gaussian import GaussianSmooth
from numpyro_splines.validation import float64_array

_ROWS = 65536  # of the design matrix that are formed at once
_LOG_RATIOS = np.linspace(-18.0, 18.0, 61)  # of signal to noise, each mode at its share


def informed_by(
    smooth: GaussianSmooth, basis: AbstractBasis, measure: Any, noise: Any, response: Any
) -> GaussianSmooth:
    """The smooth in coordinates for what was observed.

    Args:
        smooth: the smooth.
        basis: its basis.
        measure: a `measure=` argument that is not None.
        noise: standard deviation of an observation, or None.
        response: y at the points of the measure, or None.

    Raises:
        ValueError: if the noise is not positive, or the responses are not those of the measure.
    """
    if response is not None:
        return _fitted(smooth, basis, *_observations(measure, response))
    unknown = isinstance(noise, float) and noise == np.inf
    size = np.asarray(noise) if unknown else float64_array(noise, "noise")
    if size.shape != () or not size > 0.0:
        raise ValueError(
            f"`noise` must be a positive number, the standard deviation of one observation of f; "
            f"got {size}. np.inf stands for not known."
        )
    mu = basis.measure(measure)
    return smooth.informed(mu.num_observations / float(size) ** 2 * basis.gram(mu.observations))


def _observations(measure: Any, response: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and weights of the rows that are complete."""
    x, weights = measure if isinstance(measure, tuple) else (measure, None)
    x = float64_array(x, "measure", missing="nan")
    y = float64_array(response, "response", missing="nan")
    if x.shape != y.shape:
        raise ValueError(
            "`response` must hold one y for each x of `measure`; got shapes "
            f"{y.shape} and {x.shape}."
        )
    weights = np.ones(x.shape) if weights is None else float64_array(weights, "measure weights")
    complete = ~(np.isnan(x) | np.isnan(y)) & (weights > 0.0)
    if complete.sum() < 3 or np.ptp(y[complete]) == 0.0:
        raise ValueError(
            "`response` must hold three observations or more that are not all the same; got "
            f"{int(complete.sum())} where neither x nor y is missing. Use `noise` instead."
        )
    return x[complete], y[complete], weights[complete]


def _fitted(
    smooth: GaussianSmooth, basis: AbstractBasis, x: np.ndarray, y: np.ndarray, weights: np.ndarray
) -> GaussianSmooth:
    """The smooth in coordinates of a fit by restricted maximum likelihood.

    y = constant + linear part + b_1 sd_1 psi_1 + ... + noise with the first two flat. With these
    projected out, a rotation of b makes the design orthogonal, and the criterion is one sum over
    modes, minimized over the ratio of the two variances (Wood, Generalized Additive Models (2017),
    section 6.2).
    """
    weights = weights * (weights.sum() / (weights**2).sum())
    points = np.clip(x, float(basis.domain[0]), float(basis.domain[1]))
    num = basis.num_coefficients
    cross, ones, center = np.zeros(num), np.zeros(num), smooth.center
    y = y - np.average(y, weights=weights)
    for start in range(0, x.size, _ROWS):
        rows = slice(start, start + _ROWS)
        design = basis.collocation(points[rows])
        y[rows] -= design @ center
        cross += (weights * y)[rows] @ design
        ones += weights[rows] @ design
    # The constant is projected out below; without it numbers stay small.
    level = np.average(y, weights=weights)
    y, cross = y - level, cross - level * ones
    gram = basis.gram(Measure(points, weights, 0.0, weights))
    flat = np.asarray(smooth.linear)
    inner = np.block(
        [
            [np.atleast_2d(weights.sum()), ones[None] @ flat],
            [flat.T @ ones[:, None], flat.T @ gram @ flat],
        ]
    )
    sides = np.concatenate([ones[None], flat.T @ gram])
    right = np.concatenate([[0.0], flat.T @ cross])
    # Without the flat functions: y' P y, b(x)' P y and b(x)' P b(x).
    solved = np.linalg.pinv(inner, rcond=1e-12, hermitian=True)
    score = cross - sides.T @ (solved @ right)
    information = gram - sides.T @ solved @ sides
    squares = float((weights * y**2).sum() - right @ solved @ right)
    modes = smooth.columns
    noise, estimate = _restricted_likelihood(
        modes.T @ information @ modes, modes.T @ score, squares, x.size - len(inner), smooth.scale
    )
    own_modes = smooth.informed(information / noise, score / noise).mode_coordinates
    # The linear part, given the modes.
    centered = gram - np.outer(ones, ones) / weights.sum()
    rest = cross - centered @ (modes @ estimate)
    own_linear = smooth.informed(centered / noise, rest / noise).linear_coordinates
    return smooth.in_coordinates(own_modes, own_linear)


def _restricted_likelihood(
    information: np.ndarray, score: np.ndarray, squares: float, num: int, scale: Any
) -> tuple[float, np.ndarray]:
    """Variance of the noise, and the estimate of b.

    Args:
        information: Z' P Z, with Z the modes at the observations and P the projection.
        score: Z' P y.
        squares: y' P y.
        num: of observations less that of flat coefficients.
        scale: a number where the scale is fixed.
    """
    values, vectors = np.linalg.eigh(information)
    values, turned = np.maximum(values, 0.0), vectors.T @ score
    fixed = None if isinstance(scale, dist.Distribution) else float(scale) ** 2

    def noise(ratio: float) -> tuple[float, float]:
        """The variance at a ratio of signal to noise, and the squares that are left there."""
        left = squares - (ratio * turned**2 / (1.0 + ratio * values)).sum()
        return max(left, 1e-12 * squares) / num if fixed is None else fixed / ratio, left

    def criterion(log_ratio: float) -> float:
        ratio = float(np.exp(log_ratio))
        variance, left = noise(ratio)
        return np.log1p(ratio * values).sum() + num * np.log(variance) + left / variance

    # A ratio in units in which the data know something of modes of about the prior's size.
    unit = np.log(values.size / max(values.sum(), np.finfo(float).tiny))
    grid = unit + _LOG_RATIOS
    best = int(np.argmin([criterion(point) for point in grid]))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)])
    found = scipy.optimize.minimize_scalar(criterion, bounds=bounds, method="bounded")
    ratio = float(np.exp(found.x))
    estimate = vectors @ (ratio * turned / (1.0 + ratio * values))
    return noise(ratio)[0], estimate
