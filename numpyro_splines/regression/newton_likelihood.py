"""Likelihoods that are no sums of squares, by Newton's method; float64, host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from numpyro_splines.regression.families import AbstractFamily, Derivatives, Gaussian
from numpyro_splines.regression.layout import weights_of
from numpyro_splines.regression.likelihoods import (
    AbstractLikelihood,
    GaussianLikelihood,
    Mode,
    invert,
)
from numpyro_splines.regression.rows import Rows
from numpyro_splines.regression.sums import LeastSquares, least_squares

_MAX_NEWTON = 100
_NO_MAXIMUM = (
    "`penalized_fit` did not converge: the likelihood may have no maximum, as when outcomes are "
    "separated by a term with a flat prior. Give it a Normal prior."
)


class Part:
    """Rows of data that are visited together: all of them, or some of those of a batch.

    Args:
        rows: of a predictor.
        family: of the responses, with what it knows of each of these rows.
        y: the responses.
    """

    def __init__(self, rows: Rows, family: AbstractFamily, y: np.ndarray):
        self.rows, self.family, self.y = rows, family, y
        self.design, self.matrix = rows.sparse.rows(), rows.sparse.matrix

    def derivatives(self, coefficients: np.ndarray, free: np.ndarray) -> Derivatives:
        """Of the log likelihood of each row."""
        eta = self.rows.known + self.design @ (self.matrix @ coefficients)
        return self.family.derivatives(self.y, eta, free)

    def transposed(self, residual: np.ndarray) -> np.ndarray:
        """Phi' v, shape (p,)."""
        return self.matrix.T @ (self.design.T @ residual)


def start_of(part: Part) -> np.ndarray:
    """Parameters of the family, free of constraints, from which to start; Gaussian ones not."""
    family = part.family
    if isinstance(family, Gaussian):
        return np.zeros(0)
    return family.free(family.start_parameters(part.y))


def working(part: Part, free: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Responses of a Gaussian model that is near, the offset taken off, and their weights.

    Args:
        part: the rows; Gaussian ones are their own.
        free: parameters of the family.
    """
    family, y = part.family, part.y
    if isinstance(family, Gaussian):
        return y - part.rows.known, family.weights
    eta = family.start(y)
    weights = -family.derivatives(y, eta, free).second
    weights = np.where(np.isfinite(weights) & (weights > 1e-3), weights, 1e-3)
    return eta - part.rows.known, weights


class Expansion(NamedTuple):
    """The log likelihood to second order at coefficients, summed over the rows.

    Attributes:
        coefficients: c.
        value: of the penalized loss, infinite where the likelihood is not finite.
        loss: -log p(y | c).
        score: derivative of log p in c.
        information: L.
        concave: whether no observation has a positive second derivative.
        largest: largest size of these.
        derivatives: of each part, where they are kept.
    """

    coefficients: np.ndarray
    value: float
    loss: float
    score: np.ndarray
    information: np.ndarray
    concave: bool
    largest: float
    derivatives: tuple[Derivatives, ...] | None


def _line_search(
    expanded: Callable[[np.ndarray], Expansion], own: Expansion, step: np.ndarray
) -> Expansion:
    """The first of the step, its half, ... that does not increase the penalized loss."""
    for _ in range(30):
        with np.errstate(over="ignore", invalid="ignore"):
            trial = expanded(own.coefficients + step)
        # At the minimum rounding decides; a full step is harmless there.
        if trial.value <= own.value + 1e-12 * (1.0 + abs(own.value)):
            return trial
        step = step / 2
    return own


class NewtonLikelihood(AbstractLikelihood):
    """By iterations of weighted least squares (Newton's method), started at the last estimate.

    Args:
        parts: the rows; all of them are visited a few times for each estimate. Derivatives of rows
            in memory, a tuple of one part, are kept from one visit to the next.
        family: of the responses.
        y: the responses, or some of them, from which parameters start.
        near: the sums of working responses, from which coefficients start.
    """

    def __init__(
        self, parts: Iterable[Part], family: AbstractFamily, y: np.ndarray, near: LeastSquares
    ):
        self.parts, self.family, self.near = parts, family, near
        self.kept = isinstance(parts, tuple)
        self.started = family.start_parameters(y)
        self.start = family.free(self.started)
        self.signal = 0.0  # on the link scale a signal of one is large
        self.last: Expansion | None = None

    def mode(self, precision: np.ndarray, mean: np.ndarray, free: np.ndarray) -> Mode:
        """See `AbstractLikelihood.mode`."""

        def expanded(c: np.ndarray) -> Expansion:
            return self._expanded(c, free, 0.5 * float((precision * (c - mean) ** 2).sum()))

        own, last = None, np.inf
        with np.errstate(over="ignore", invalid="ignore"):
            if self.last is not None:
                own = self._moved(expanded, self.last, precision, mean, free)
            if own is None or not np.isfinite(own.value):
                own = expanded(self._first(precision, mean))
        if not np.isfinite(own.value):
            raise FloatingPointError("The likelihood is not finite at these parameters.")
        for _ in range(_MAX_NEWTON):
            inverse, log_determinant = self._invert(own, precision, free)
            gradient = own.score - precision * (own.coefficients - mean)
            step = inverse @ gradient
            decrement = float(gradient @ step)
            # On to where rounding stops the quadratic convergence: the error of the estimate
            # enters the gradient of the criterion linearly.
            small = decrement < 1e-9 * (1.0 + abs(own.value))
            if small and not 1e-20 < decrement < 0.25 * last:
                if decrement > 1e-14 * (1.0 + abs(own.value)):
                    # Steady slow progress: the maximum lies at infinity.
                    raise ValueError(_NO_MAXIMUM)
                break
            last = decrement
            own = _line_search(expanded, own, step)
        else:
            raise ValueError(_NO_MAXIMUM)
        self.last = own
        return Mode(
            own.coefficients, own.loss, own.information, inverse, log_determinant, own.derivatives
        )

    def slopes(
        self, mode: Mode, changes: np.ndarray, free: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractLikelihood.slopes`; one pass over the rows."""
        through, result = np.zeros(mode.coefficients.size), np.zeros(free.size)
        crossed = np.zeros((free.size, through.size))
        for part, own in self._visited(mode.coefficients, free, mode.derivatives):
            leverage = part.rows.sparse.leverage(mode.inverse)
            through -= part.transposed(leverage * own.third)
            result -= own.value_slopes.sum(axis=1) + 0.5 * own.second_slopes @ leverage
            for k, first in enumerate(own.first_slopes):
                crossed[k] += part.transposed(first)
        return through @ changes, result + 0.5 * crossed @ (mode.inverse @ through)

    def parameters(self, free: np.ndarray) -> dict[str, np.ndarray]:
        """See `AbstractLikelihood.parameters`."""
        if not free.size:
            return {}
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            return {k: np.asarray(v) for k, v in self.family.constrained(free).items()}

    def log_variances(self, variances: np.ndarray) -> dict[str, np.ndarray]:
        """See `AbstractLikelihood.log_variances`."""
        result, start = {}, 0
        for name, value in self.started.items():
            size = np.size(value)
            result[name] = variances[start : start + size].reshape(np.shape(value))
            start += size
        return result

    def _visited(
        self, coefficients: np.ndarray, free: np.ndarray, kept: tuple[Derivatives, ...] | None
    ) -> Iterator[tuple[Part, Derivatives]]:
        """The parts and their derivatives, where these were kept."""
        if kept is not None:
            yield from zip(self.parts, kept, strict=True)
            return
        for part in self.parts:
            yield part, part.derivatives(coefficients, free)

    def _expanded(self, coefficients: np.ndarray, free: np.ndarray, penalty: float) -> Expansion:
        """One pass over the rows, ended where the likelihood is not finite."""
        p = coefficients.size
        loss, score, information, concave, largest = 0.0, np.zeros(p), np.zeros((p, p)), True, 0.0
        kept: list[Derivatives] = []
        for part, own in self._visited(coefficients, free, None):
            loss -= float(own.value.sum())
            if not np.isfinite(loss):
                return Expansion(coefficients, np.inf, loss, score, information, True, 0.0, None)
            score += part.transposed(own.first)
            information += part.rows.weighted_gram(-own.second)
            concave = concave and bool(np.all(own.second <= 0.0))
            largest = max(largest, float(np.abs(own.second).max(initial=0.0)))
            if self.kept:
                kept.append(own)
        derivatives = tuple(kept) if self.kept else None
        value = loss + penalty
        return Expansion(
            coefficients, value, loss, score, information, concave, largest, derivatives
        )

    def _invert(
        self, own: Expansion, precision: np.ndarray, free: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """H^-1 and log|H|; far from the mode of what is not log-concave, with |W| for W."""
        try:
            return invert(own.information + np.diag(precision))
        except ValueError:
            if own.concave:
                raise
        least = 1e-3 * own.largest
        visited = self._visited(own.coefficients, free, own.derivatives)
        sizes = (part.rows.weighted_gram(np.maximum(abs(d.second), least)) for part, d in visited)
        return invert(np.sum(list(sizes), axis=0) + np.diag(precision))

    def _moved(
        self,
        expanded: Callable[[np.ndarray], Expansion],
        last: Expansion,
        precision: np.ndarray,
        mean: np.ndarray,
        free: np.ndarray,
    ) -> Expansion:
        """From the last estimate to this prior, the log likelihood taken as quadratic there."""
        here = expanded(last.coefficients)
        if not np.isfinite(here.value):
            return here
        inverse, _ = self._invert(here, precision, free)
        pull = here.score - precision * (here.coefficients - mean)
        return _line_search(expanded, here, inverse @ pull)

    def _first(self, precision: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Penalized least squares on the working responses."""
        inverse, _ = invert(self.near.gram + np.diag(precision))
        return inverse @ (self.near.gram @ self.near.about + self.near.pull + precision * mean)


def likelihood_of(predictor: Any, family: AbstractFamily, y: np.ndarray) -> AbstractLikelihood:
    """The likelihood of rows in memory.

    Args:
        predictor: an `AdditivePredictor`.
        family: of the responses.
        y: the responses, shape (n,), float64, possible ones.
    """
    rows: Rows = predictor.in_memory
    part = Part(rows, family, y)
    near, weights = working(part, start_of(part))
    weights = weights_of(weights, y.size)
    gram = rows.weighted_gram(weights)
    sums = least_squares(rows.sparse, near, weights, predictor.num_fixed, gram)
    if isinstance(family, Gaussian):
        return GaussianLikelihood(sums, family)
    return NewtonLikelihood((part,), family, y, sums)
