"""Knots for a random input: where it can plausibly be, and whether given knots cover that."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from numpyro_splines import knots
from numpyro_splines.latent.coordinates import support_ends
from numpyro_splines.latent.measurements import Measurements, row_list
from numpyro_splines.latent.quantiles import finite_moments

# How far the input of a measurement may be from it, in standard deviations of its error: 6e-5 of
# normal errors are larger.
_MARGIN = 4.0


def plausible_knots(data: Measurements, num: int, population: Any) -> np.ndarray:
    """Evenly spaced breakpoints where inputs can be, see `AbstractInput.knots`.

    Args:
        data: what says where.
        num: how many.
        population: of concrete parameters, or None.
    """
    lower, upper = _plausible_range(data)
    if population is not None:
        try:
            ends = knots.from_distribution(population, 2, coverage=0.999)
        except TypeError as error:
            raise TypeError(f"`population` is a distribution of x: {error}") from None
        least, most = support_ends(population)
        lower = max(min(lower, ends[0]), float(least))
        upper = min(max(upper, ends[-1]), float(most))
    return knots.uniform(lower, upper, num)


def calibration(data: Measurements, population: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of inputs given their measurements, in a normal population.

    Args:
        data: what was measured.
        population: of concrete parameters, or None.
    """
    means, seen = data.means(), data.num_measured > 0
    weight = np.divide(1.0, data.error**2, out=np.zeros_like(data.error), where=data.error > 0.0)
    precision = np.bincount(data.row, weight, data.num_rows)
    known = seen & (precision == 0.0)
    weighted = np.bincount(data.row, weight * data.value, data.num_rows)
    measured = np.where(known, means, weighted / np.where(precision > 0.0, precision, 1.0))
    variance = np.where(seen & ~known, 1.0 / np.where(precision > 0.0, precision, 1.0), 0.0)
    mean, total = population_moments(data, population)
    total = total**2
    share = np.where(known, 1.0, total / np.where(total + variance > 0.0, total + variance, 1.0))
    share = np.where(seen, share, 0.0)
    center = mean + share * (np.where(seen, measured, mean) - mean)
    spread = np.sqrt(np.where(known, 0.0, np.where(seen, share * variance, total)))
    return center, spread


def population_moments(data: Measurements, population: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a population, as measured where it does not tell, shape (n,).

    Args:
        data: what was measured.
        population: of concrete parameters, or None.
    """
    means, seen = data.means(), data.num_measured > 0
    error = data.mean_variances()[seen]
    # What is left of the spread without the errors, and at least a twentieth of it.
    total = float(means[seen].var())
    own = float(means[seen].mean()), max(total - float(error.mean()), 0.05 * total) ** 0.5 or 1.0
    mean, sd = np.full(data.num_rows, own[0]), np.full(data.num_rows, own[1])
    if population is None:
        return mean, sd
    center, spread, known = (np.asarray(part) for part in finite_moments(population))
    return np.where(known, center, mean), np.where(known, spread, sd)


def check_covered(data: Measurements, domain: tuple[float, float]) -> float:
    """The share of rows whose mean is outside of a domain, with a warning if there are any.

    Args:
        data: what says where inputs can be.
        domain: its ends.
    """
    mean = data.means()
    lower, upper = (float(end) for end in domain)
    rows = np.flatnonzero((mean < lower) | (mean > upper))
    if rows.size:
        wanted = _plausible_range(data)
        warnings.warn(
            f"The domain [{lower:.4g}, {upper:.4g}] does not cover what was measured in "
            f"{rows.size} rows ({row_list(rows)}): there the curve is only continued. Inputs may "
            f"plausibly lie in [{wanted[0]:.4g}, {wanted[1]:.4g}]; the method `knots` covers it.",
            UserWarning,
            stacklevel=3,
        )
    return rows.size / data.num_rows


def _plausible_range(data: Measurements) -> tuple[float, float]:
    seen = data.num_measured > 0
    mean = data.means()[seen]
    reach = _MARGIN * np.sqrt(data.mean_variances()[seen])
    # A row much less certain than the others does not set the range alone.
    most = max(_MARGIN * float(np.std(mean)), float(np.median(reach)))
    lower = max(float((mean - reach).min()), float(mean.min()) - most)
    upper = min(float((mean + reach).max()), float(mean.max()) + most)
    if not lower < upper:
        raise ValueError(
            f"Inputs must vary, or have an error; got {lower:.17g} throughout. Use "
            "numpyro_splines.knots.uniform(lower, upper, num) to choose the domain by hand."
        )
    return lower, upper
