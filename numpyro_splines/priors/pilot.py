"""What data say about one Gaussian smooth: a guess of the noise, or a fit of the smooth alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpyro.distributions as dist
import scipy.optimize

from numpyro_splines.bases import AbstractBasis
from numpyro_splines.priors.gaussian import GaussianSmooth
from numpyro_splines.priors.rows import products_at
from numpyro_splines.priors.sections import AbstractGaussianSmooth
from numpyro_splines.priors.tensor import TensorSmooth
from numpyro_splines.validation import float64_array

AnySmooth = TypeVar("AnySmooth", bound=AbstractGaussianSmooth)

_ROWS = 4096  # of the design matrix that are formed at once
_STARTS = (0.0, -4.0, 4.0, -10.0)  # log variances of the coefficients, against that of y
_REACH = 20.0  # scales may shrink to nothing or grow by e^10
_ROUNDING = 1e-12


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
        x, weights = measure if isinstance(measure, tuple) else (measure, None)
        x = float64_array(x, "measure", missing="nan")
        y, weights, complete = _observations((x,), response, weights)
        points = np.clip(x[complete], float(basis.domain[0]), float(basis.domain[1]))
        columns = np.concatenate([np.asarray(smooth.linear), smooth.columns], axis=1)
        if smooth.mean is not None:
            y = y - np.asarray(basis.collocation(points)) @ np.asarray(smooth.mean)
        return fitted(smooth, lambda rows: basis.collocation(points[rows]) @ columns, y, weights)
    mu = basis.measure(measure)
    size = noise_size(noise)
    return smooth.informed(mu.num_observations / size**2 * basis.gram(mu.observations))


# Squares of deviations beyond leave the range of floats.
_SMALLEST = 1e-100


def check_known(noise: Any, response: Any) -> None:
    """Refuse what says the size of the noise twice."""
    if noise is not None and response is not None:
        raise ValueError(
            "`noise` and `response` must not both be given: a fit to the responses says how large "
            "the noise is. Leave out `noise`."
        )


def noise_size(noise: Any) -> float:
    """A checked standard deviation; infinite where it is said to be unknown."""
    if isinstance(noise, float) and noise == np.inf:
        return noise
    size = float64_array(noise, "noise")
    if size.shape != () or not _SMALLEST < size < 1.0 / _SMALLEST:
        raise ValueError(
            f"`noise` must be a positive number, the standard deviation of one observation of f; "
            f"got {size}. np.inf stands for not known."
        )
    return float(size)


def fitted_to(smooth: TensorSmooth, response: Any) -> TensorSmooth:
    """The smooth in coordinates of a fit of it alone.

    Args:
        smooth: the smooth.
        response: y at the rows of its margins.

    Raises:
        ValueError: if margins have no rows, or not those of the responses.
    """
    rows = [margin.rows for margin in smooth.margins]
    if any(own is None for own in rows):
        raise ValueError(
            "`response` must come with margins that have their observations row by row, such as "
            "CurveMargin(basis, measure=x) and GroupMargin(labels); one has none."
        )
    columns = [np.asarray(column) for own in rows for column in own or ()]
    y, weights, complete = _observations(columns, response)
    sections = [smooth.block(section.site) for section in smooth.sections]
    entries = np.concatenate([block.entries for block in sections])
    sizes = np.concatenate([block.sizes for block in sections])
    own = [tuple(column[complete] for column in part or ()) for part in rows]

    def design(chosen: slice) -> np.ndarray:
        parts = [tuple(column[chosen] for column in part) for part in own]
        return products_at(smooth.margins, parts)[:, entries] * sizes

    return fitted(smooth, design, y, weights)


def _observations(
    inputs: Sequence[np.ndarray], response: Any, weights: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y and weights of the rows that are complete, and which these are."""
    y = float64_array(response, "response", missing="nan")
    if any(x.shape != y.shape for x in inputs):
        raise ValueError(
            "`response` must hold one y for each x of `measure`; got shapes "
            f"{y.shape} and {', '.join(str(x.shape) for x in inputs)}."
        )
    weights = np.ones(y.shape) if weights is None else float64_array(weights, "measure weights")
    complete = ~np.isnan(y) & (weights > 0.0)
    for x in inputs:
        complete &= ~np.isnan(x)
    if complete.sum() < 3 or np.ptp(y[complete]) == 0.0:
        raise ValueError(
            "`response` must hold three observations or more that are not all the same; got "
            f"{int(complete.sum())} where neither x nor y is missing. Use `noise` instead."
        )
    return y[complete], weights[complete], complete


def fitted(
    smooth: AnySmooth, design: Callable[[slice], np.ndarray], y: np.ndarray, weights: np.ndarray
) -> AnySmooth:
    """The smooth in coordinates of a fit by restricted maximum likelihood.

    y = constant + columns of all sections @ their coefficients + noise. The constant is flat, and
    priors of hyperparameters do not count: `regression.penalized_fit` of this effect alone.

    Args:
        smooth: the smooth.
        design: rows of the columns of all sections, in their order.
        y: responses, shape (n,).
        weights: of these.
    """
    weights = weights * (weights.sum() / (weights**2).sum())
    y = y - np.average(y, weights=weights)
    total, squares = weights.sum(), float((weights * y**2).sum())
    num = sum(section.size for section in smooth.sections)
    gram, cross, ones = np.zeros((num, num)), np.zeros(num), np.zeros(num)
    for start in range(0, y.size, _ROWS):
        chosen = slice(start, start + _ROWS)
        columns = design(chosen)
        weighted = weights[chosen, None] * columns
        gram = gram + columns.T @ weighted
        cross, ones = cross + y[chosen] @ weighted, ones + weighted.sum(axis=0)
    alone = _Alone(smooth, gram - np.outer(ones, ones) / total, cross, squares, y.size - 1)
    solved = alone.maximum()
    stops = np.cumsum([section.size for section in smooth.sections])
    parts = np.split(solved.coefficients, stops[:-1])
    estimates = {s.site: part for s, part in zip(smooth.sections, parts, strict=True)}
    return smooth.adapted(solved.covariance, estimates, solved.values)


class _Solved(NamedTuple):
    """The posterior of the coefficients at given hyperparameters, and the criterion there."""

    coefficients: np.ndarray
    covariance: np.ndarray
    values: dict[str, Any]
    criterion: float
    gradient: np.ndarray


class _Alone:
    """-log p(y | hyperparameters) of one smooth, the constant and the coefficients integrated out.

    A point holds the logarithms of the squares of free scales, anisotropies, and log sigma^2.
    """

    def __init__(
        self,
        smooth: AbstractGaussianSmooth,
        gram: np.ndarray,
        cross: np.ndarray,
        squares: float,
        num: int,
    ):
        self.smooth, self.gram, self.cross = smooth, gram, cross
        self.squares, self.num = squares, num
        priors = smooth.scale_priors.items()
        self.scales = [name for name, prior in priors if isinstance(prior, dist.Distribution)]
        self.fixed = {n: np.asarray(p, np.float64) for n, p in priors if n not in self.scales}
        self.ratios = [(name, count) for name, _, count in smooth.anisotropies]

    def values(self, point: np.ndarray) -> dict[str, Any]:
        """The hyperparameters; correlations at what is typical of them."""
        free = {name: np.exp(0.5 * point[i]) for i, name in enumerate(self.scales)}
        start = len(self.scales)
        for name, count in self.ratios:
            free[name] = point[start : start + count]
            start += count
        return {**self.smooth.typical(), **self.fixed, **free}

    def solve(self, point: np.ndarray) -> _Solved:
        """The posterior, the criterion and its gradient."""
        values, noise = self.values(point), np.exp(point[-1])
        mean, precision = _prior(self.smooth, values)
        information = self.gram / noise
        covariance, log_determinant = _inverse(information + np.diag(precision))
        coefficients = covariance @ (self.cross / noise + precision * mean)
        left = self.squares - 2.0 * self.cross @ coefficients
        left = max(left + coefficients @ self.gram @ coefficients, _ROUNDING * self.squares)
        deviation = coefficients - mean
        pull = precision * deviation
        total = self.num * point[-1] + left / noise + pull @ deviation + log_determinant
        total -= np.log(precision[precision > 0.0]).sum()
        own = 1.0 - pull * deviation - precision * np.diag(covariance)
        slopes = _slopes(self.smooth, values, [*self.scales, *(name for name, _ in self.ratios)])
        last = self.num - left / noise - (covariance * information).sum()
        gradient = 0.5 * np.append(slopes @ own, last)
        return _Solved(coefficients, covariance, values, 0.5 * total, gradient)

    def maximum(self) -> _Solved:
        """At the best hyperparameters, from the best of several starts."""
        variance = np.log(self.squares / self.num)
        size = len(self.scales)
        start = np.append(np.zeros(size + sum(count for _, count in self.ratios)), variance)
        starts = [
            start + np.where(np.arange(start.size) < size, variance + s, 0.0) for s in _STARTS
        ]
        best = min(starts, key=lambda point: self.solve(point).criterion)
        bounds = [(t - _REACH, t + _REACH) for t in best[:-1]]
        bounds.append((variance + np.log(_ROUNDING), variance + 1.0))

        def criterion(point: np.ndarray) -> tuple[float, np.ndarray]:
            solved = self.solve(point)
            return solved.criterion, solved.gradient

        options: dict[str, Any] = {"maxiter": 200, "ftol": 1e-12, "gtol": 1e-6}
        found = scipy.optimize.minimize(
            criterion, best, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        )
        return self.solve(found.x)


def _prior(smooth: AbstractGaussianSmooth, values: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Means and precisions of the coefficients of all sections, zero precision where flat."""
    spreads = smooth.spreads(values)
    means, precisions = [], []
    for section in smooth.sections:
        known: Any = section.prior
        variance = np.asarray(spreads.get(section.site, 1.0), np.float64) ** 2
        if isinstance(known, dist.ImproperUniform):
            variance = np.asarray(np.inf)
        elif known is not None:
            variance = np.asarray(known.variance, np.float64)
        precisions.append(np.broadcast_to(1.0 / variance, section.size))
        means.append(np.full(section.size, smooth.center_of(section.site)))
    return np.concatenate(means), np.concatenate(precisions)


def _slopes(
    smooth: AbstractGaussianSmooth, values: dict[str, Any], names: Sequence[str]
) -> np.ndarray:
    """Derivatives of the logarithms of the variances, shape (hyperparameters, coefficients)."""
    slopes = smooth.log_variance_slopes(values)
    rows = []
    for name in names:
        count = max(np.size(values[name]), 1)
        own = [
            np.broadcast_to(slopes.get(s.site, {}).get(name, 0.0), (count, s.size))
            for s in smooth.sections
        ]
        rows.append(np.concatenate(own, axis=1))
    size = sum(section.size for section in smooth.sections)
    return np.concatenate([*rows, np.zeros((0, size))])


def _inverse(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Inverse and log determinant of a positive definite matrix, but for rounding."""
    size = np.sqrt(np.diag(matrix))
    scaled = matrix / np.outer(size, size)
    try:
        factor = np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:
        factor = np.linalg.cholesky(scaled + _ROUNDING * np.eye(size.size))
    root = np.linalg.inv(factor)
    log_determinant = 2.0 * float((np.log(size) - np.log(np.diag(root))).sum())
    return (root.T @ root) / np.outer(size, size), log_determinant
