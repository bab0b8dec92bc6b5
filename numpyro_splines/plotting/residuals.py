"""Residuals, that ought to be standard normal and to depend on nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special
from matplotlib.axes import Axes

from numpyro_splines.plotting.style import BLUE, GRAY, canvas, name_axes
from numpyro_splines.validation import float64_array


def residuals(
    values: Any,
    x: Any = None,
    *,
    probability: float = 0.95,
    color: str = BLUE,
    axes: Axes | None = None,
) -> Axes:
    """Quantile residuals against those of a standard normal distribution, or against an input.

    Against normal quantiles the band is where each ordered residual lies with this probability if
    the model is true; against an input, where each residual does.

    Args:
        values: standard normal where a model is true, such as `posterior.residuals(...)`, shape
            (n,).
        x: of an input, the fitted values, time, ..., n numbers; normal quantiles if omitted.
        probability: of the band.
        color: of the dots.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if `axes` are none, or the residuals no real numbers.
        ValueError: if residuals and inputs do not fit, or the probability is outside (0, 1).

    Example:
        >>> import matplotlib.figure
        >>> axes = matplotlib.figure.Figure().add_subplot()
        >>> residuals([0.3, -1.2, 0.8], axes=axes).get_xlabel()
        'normal quantile'
    """
    heights = float64_array(values, "values", ndim=1)
    if not 0.0 < probability < 1.0:
        raise ValueError(f"`probability` must lie in (0, 1); got {probability}.")
    tails = np.array([0.5 - 0.5 * probability, 0.5 + 0.5 * probability])[:, None]
    if x is None:
        heights, rank = np.sort(heights), np.arange(1.0, heights.size + 1.0)
        places = scipy.special.ndtri((rank - 0.5) / heights.size)
        middle, name = places, "normal quantile"
        # Ordered uniform numbers have beta distributions.
        band = scipy.special.betaincinv(rank, heights.size + 1.0 - rank, tails)
    else:
        places, name = float64_array(x, "x", ndim=1), getattr(x, "name", None)
        if places.shape != heights.shape:
            raise ValueError(
                f"`x` must hold {heights.size} numbers, one for each residual; got {places.size}."
            )
        middle, band = np.zeros(heights.size), np.broadcast_to(tails, (2, heights.size))
    order = np.argsort(places, kind="stable")
    lower, upper = scipy.special.ndtri(band[:, order])
    axes = canvas(axes)
    axes.fill_between(places[order], lower, upper, color=GRAY, alpha=0.15, linewidth=0)
    axes.plot(places[order], middle[order], color=GRAY, linewidth=1.0)
    axes.plot(places, heights, ".", color=color, markersize=4)
    name_axes(axes, None if name is None else str(name), "residual")
    return axes
