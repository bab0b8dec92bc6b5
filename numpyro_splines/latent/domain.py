"""Knots for a random input: where it can plausibly be, and whether given knots cover that."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from numpyro_splines import knots
from numpyro_splines.latent.coordinates import support_ends
from numpyro_splines.latent.measurements import Measurements, measurements, row_list

# How far the input of a measurement may be from it, in standard deviations of its error: 6e-5 of
# normal errors are larger.
_MARGIN = 4.0


def plan_knots(
    observed: Any,
    error_sd: Any = 0.0,
    num: int = 20,
    *,
    population: Any = None,
    group: Any = None,
) -> np.ndarray:
    """Evenly spaced breakpoints over the plausible range of an input that is measured with error.

    From the smallest to the largest of mean_i -+ 4 error_i, where mean_i is the mean of the
    measurements of row i and error_i its standard error; not farther beyond the means than 4 of
    their standard deviations, or than the reach of the median row if that is more. A population
    widens the range to its central 99.9 % (for rows that are missing or censored), and its support
    bounds it.

    Beyond the knots the curve goes on straight (`extrapolation.Linear`, the default), so an input
    that strays is led back; the penalty covers the whole domain.

    Args:
        observed: as in `measured`; for coarse inputs all finite ends of their intervals.
        error_sd: as in `measured`, in numbers; for an error that is estimated its likely size.
        num: how many breakpoints.
        population: a univariate distribution with concrete parameters, or None.
        group: as in `measured`.

    Returns:
        Breakpoints, shape (num,).

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: as `measured`, or if the range is empty.

    Example:
        >>> print(plan_knots([1.0, 2.0, 4.0], 0.1, 5))
        [0.6  1.55 2.5  3.45 4.4 ]
    """
    lower, upper = _plausible_range(measurements(observed, error_sd, group))
    if population is not None:
        ends = knots.from_distribution(population, 2, coverage=0.999)
        least, most = support_ends(population)
        lower = max(min(lower, ends[0]), float(least))
        upper = min(max(upper, ends[-1]), float(most))
    return knots.uniform(lower, upper, num)


def check_domain(
    domain: tuple[float, float], observed: Any, error_sd: Any = 0.0, *, group: Any = None
) -> float:
    """Warn where an input could plausibly lie beyond the knots.

    Args:
        domain: of the basis, `basis.domain`.
        observed: as in `measured`.
        error_sd: as in `plan_knots`.
        group: as in `measured`.

    Returns:
        The share of rows whose mean lies outside the domain.

    Warns:
        UserWarning: if the mean of the measurements of some row lies outside.

    Example:
        >>> check_domain((0.0, 4.0), [1.0, 2.0, 3.5], 0.1)
        0.0
    """
    data = measurements(observed, error_sd, group)
    mean = data.means()
    lower, upper = (float(end) for end in domain)
    rows = np.flatnonzero((mean < lower) | (mean > upper))
    if rows.size:
        wanted = _plausible_range(data)
        warnings.warn(
            f"`domain` [{lower:.4g}, {upper:.4g}] does not cover what was measured in {rows.size} "
            f"rows ({row_list(rows)}): there the curve is only continued. Inputs may plausibly lie "
            f"in [{wanted[0]:.4g}, {wanted[1]:.4g}]; numpyro_splines.latent.plan_knots covers it.",
            UserWarning,
            stacklevel=2,
        )
    return rows.size / data.num_rows


def _plausible_range(data: Measurements) -> tuple[float, float]:
    count = data.num_measured
    seen = count > 0
    mean = data.means()[seen]
    variance = np.bincount(data.row, data.guess**2, data.num_rows)[seen] / count[seen] ** 2
    reach = _MARGIN * np.sqrt(variance)
    # A row much less certain than the others does not set the range alone.
    most = max(_MARGIN * float(np.std(mean)), float(np.median(reach)))
    lower = max(float((mean - reach).min()), float(mean.min()) - most)
    upper = min(float((mean + reach).max()), float(mean.max()) + most)
    if not lower < upper:
        raise ValueError(
            f"`observed` must vary, or have an error; got {lower:.17g} throughout. Use "
            "numpyro_splines.knots.uniform(lower, upper, num) to choose the domain by hand."
        )
    return lower, upper
