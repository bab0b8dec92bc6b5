"""Inputs known up to an interval: rounded, in classes, censored, missing."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scipy.stats

from numpyro_splines.latent.coordinates import (
    check_population,
    check_spread,
    rows_of,
    support_ends,
)
from numpyro_splines.latent.domain import population_moments
from numpyro_splines.latent.input import AbstractInput, Unknown
from numpyro_splines.latent.measurements import Measurements
from numpyro_splines.latent.quadrature import IntegratedInput, Piece, Quadrature, is_end
from numpyro_splines.latent.sites import sample_rows
from numpyro_splines.latent.unmeasured import unmeasured_piece
from numpyro_splines.latent.within import Within
from numpyro_splines.validation import check_resolution, float64_rows, is_traced


class Coarse(AbstractInput):
    """Inputs known up to an interval: lower_i <= x_i <= upper_i, x_i ~ population.

    Rounded values (x - 0.5, x + 0.5), classes, censored values (an infinite end), missing ones
    (both ends infinite, or NaN), and known ones (equal ends), in one vector. How often each
    interval was observed informs the population.

    Sites: `<name>.within` for rows between two finite ends, `<name>.above`, `<name>.below` and
    `<name>.missing` for the others, all on the real line (x is a function of them that starts
    samplers inside the interval); `<name>.known`, and the deterministic `<name>`. Integrated out
    only `<name>.inside` (the events that inputs lie in their intervals) and `<name>.known`.

    Args:
        lower: left ends, shape (n,).
        upper: right ends, shape (n,). Intervals are cut to the support of the population.

    Raises:
        TypeError: if ends are no real numbers.
        ValueError: if a lower end is above its upper one, shapes differ, or no end is finite; in
            the model if no part of an interval is in the support of the population, or x is so far
            from zero that floats do not resolve the intervals.

    Example:
        >>> import numpyro
        >>> data = Coarse([0.5, 2.0, 1.0], [1.5, np.inf, 1.0])
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     x = data.sample("x", dist.Normal(1.0, 1.0))
        >>> print(x[2])
        1.0

    References:
        Heitjan and Rubin, Ignorability and coarse data (1991).
    """

    def __init__(self, lower: Any, upper: Any):
        self.lower, self.upper = _intervals(lower, upper)
        self.known = np.where(self.lower == self.upper, self.lower, np.nan)

    def _finite_ends(self) -> np.ndarray:
        """All ends, NaN where infinite, shape (2 n,)."""
        ends = np.concatenate([self.lower, self.upper])
        return np.where(np.isfinite(ends), ends, np.nan)

    def measurements(self) -> Measurements:
        # As if measured in the middle, four standard deviations of the error from both ends.
        both = np.isfinite(self.lower) & np.isfinite(self.upper)
        end = np.where(np.isfinite(self.lower), self.lower, self.upper)
        middle = np.where(both, (self.lower + self.upper) / 2.0, end)
        seen = np.flatnonzero(np.isfinite(middle))
        error = np.where(both, (self.upper - self.lower) / 8.0, 0.0)
        return Measurements(seen, middle[seen], error[seen], self.num_rows)

    def check(self, population: Any) -> None:
        check_population(population, self.num_rows)
        ends, width = self._finite_ends(), self.upper - self.lower
        width = np.where(np.isfinite(width), width, 0.0)
        check_resolution(ends, np.tile(width, 2), "lower and upper")
        check_spread(ends, population)

    def _place(self) -> tuple[float, float]:
        """Center and spread of all finite ends."""
        ends = self._finite_ends()
        return float(np.nanmean(ends)), float(np.nanstd(ends)) or 1.0

    def _calibration(self, population: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of a normal population cut to each interval."""
        mean, sd = population_moments(self.measurements(), population)
        rows = self.unknown_rows
        mean, sd = mean[rows], sd[rows]
        low, high = (self.lower[rows] - mean) / sd, (self.upper[rows] - mean) / sd
        law = scipy.stats.truncnorm(low, high, mean, sd)
        center, spread = self.known.copy(), np.zeros(self.num_rows)
        center[rows], spread[rows] = law.mean(), law.std()
        return center, spread

    def _kinds_of_rows(self, population: Any) -> dict[str, np.ndarray]:
        ends = (-np.inf, np.inf) if population is None else support_ends(population)
        left, right = (
            np.isfinite(own) | is_end(end)
            for own, end in zip((self.lower, self.upper), ends, strict=True)
        )
        unknown = np.isnan(self.known)
        kinds = {
            "within": left & right,
            "above": left & ~right,
            "below": ~left & right,
            "missing": ~left & ~right,
        }
        kinds = {kind: np.flatnonzero(chosen & unknown) for kind, chosen in kinds.items()}
        return {kind: rows for kind, rows in kinds.items() if rows.size}

    def _unknown(self, population: Any) -> list[Unknown]:
        low, high = _within_support(self.lower, self.upper, population)
        center, spread = self._place()
        parts = []
        for kind, rows in self._kinds_of_rows(population).items():
            law: Any = rows_of(population, rows)
            if kind != "missing":
                law = Within(law, low[rows], high[rows])
            parts.append(Unknown(kind, rows, law, np.full(rows.size, center), spread))
        return parts

    def _pieces(self, name: str, population: Any, quadrature: Quadrature) -> list[Piece]:
        pieces = self._known_pieces(name, population, quadrature)
        low, high = _within_support(self.lower, self.upper, population)
        kinds = self._kinds_of_rows(population)
        for rows in kinds.values():
            law, ends = rows_of(population, rows), (low[rows], high[rows])
            pieces.append(unmeasured_piece(rows, law, ends, self._place(), quadrature))
        inputs = IntegratedInput(name, self.num_rows, pieces, quadrature.chunk)
        inside = [rows for kind, rows in kinds.items() if kind != "missing"]
        if inside:
            _observe_intervals(name, inputs, np.sort(np.concatenate(inside)))
        return pieces


def _observe_intervals(name: str, inputs: IntegratedInput, rows: np.ndarray) -> None:
    """The site of the events that inputs lie in their intervals."""
    # Rounding must not make a probability of one or more.
    log_probability = jnp.minimum(inputs.log_integrals(None)[0][rows], -1e-6)
    logits = log_probability - jnp.log(-jnp.expm1(log_probability))
    law = dist.Bernoulli(logits=logits)
    sample_rows(f"{name}.inside", f"{name}.interval_rows", law, np.ones(rows.size))


def _intervals(lower: Any, upper: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both ends, checked, with NaN replaced by infinite ones."""
    low, high = _ends(lower, "lower", -np.inf), _ends(upper, "upper", np.inf)
    if low.shape != high.shape:
        raise ValueError(
            f"`lower` and `upper` must have one shape; got {low.shape} and {high.shape}."
        )
    if np.any(low > high):
        row = int(np.argmax(low > high))
        raise ValueError(
            f"`lower` must not be above `upper`; got {low[row]} and {high[row]} in row {row}."
        )
    if np.any(wrong := (low == np.inf) | (high == -np.inf)):
        row = int(np.argmax(wrong))
        raise ValueError(
            "`lower` must be less than infinity and `upper` more than minus infinity; got "
            f"{low[row]} and {high[row]} in row {row}."
        )
    if not (np.isfinite(low) | np.isfinite(high)).any():
        raise ValueError("`lower` and `upper` must hold at least one finite end; got none.")
    return low, high


def _within_support(low: Any, high: Any, population: dist.Distribution) -> tuple[Any, Any]:
    """Intervals cut to the support of the population, whose ends may be traced."""
    least, most = support_ends(population)
    if not (is_traced(least) or is_traced(most)):
        bad = np.where(low < high, (high <= least) | (low >= most), (high < least) | (low > most))
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                "`lower` and `upper` must leave room for x in the support of the population, "
                f"[{least}, {most}]; got {low[row]} and {high[row]} in row {row}."
            )
    low = jnp.maximum(low, least) if is_traced(least) else np.maximum(low, np.asarray(least))
    high = jnp.minimum(high, most) if is_traced(most) else np.minimum(high, np.asarray(most))
    return low, high


def _ends(values: Any, name: str, missing: float) -> np.ndarray:
    """Float64 of shape (n,) with NaN replaced by the infinite end."""
    ends = float64_rows(values, name)
    return np.where(np.isnan(ends), missing, ends)
