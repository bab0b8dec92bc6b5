"""Random inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from numpyro_splines.plotting.style import ORANGE, canvas
from numpyro_splines.posterior.labeled import SAMPLE
from numpyro_splines.validation import float64_array


def latent_inputs(
    draws: Any,
    response: Any,
    *,
    probability: float = 0.9,
    color: str = ORANGE,
    label: str | None = "latent input",
    axes: Axes | None = None,
) -> Axes:
    """Latent inputs as horizontal intervals at the height of their responses, to lie on a curve.

    Args:
        draws: of the inputs, shape (..., n); all leading axes are draws. Of a `DataArray` the axes
            chain and draw, wherever they are.
        response: shape (n,).
        probability: of the equal-tailed intervals.
        color: of medians and intervals.
        label: for a legend.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if `axes` are none, or the draws no real numbers.
        ValueError: if draws and response do not fit, or the probability is outside (0, 1).

    Example:
        >>> import matplotlib.figure
        >>> axes = matplotlib.figure.Figure().add_subplot()
        >>> draws = np.random.default_rng(0).normal(size=(4, 100, 2))
        >>> len(latent_inputs(draws, [1.0, 2.0], axes=axes).collections[0].get_segments())
        2
    """
    heights = float64_array(response, "response", ndim=1)
    if hasattr(draws, "dims"):
        draws = draws.transpose(*(dim for dim in draws.dims if dim in SAMPLE), ...)
    points = float64_array(draws, "draws")
    if points.shape[-1:] != heights.shape:
        raise ValueError(
            f"`draws` must have shape (..., {heights.size}), one input for each response; got "
            f"{points.shape}."
        )
    if not 0.0 < probability < 1.0:
        raise ValueError(f"`probability` must lie in (0, 1); got {probability}.")
    tail = (1.0 - probability) / 2.0
    shares = [tail, 0.5, 1.0 - tail]
    lower, middle, upper = np.quantile(points.reshape(-1, heights.size), shares, axis=0)
    name = None if label is None else f"{label}, {100 * probability:.3g} % interval"
    axes = canvas(axes)
    axes.hlines(heights, lower, upper, color=color, alpha=0.35, linewidth=1.0)
    axes.plot(middle, heights, ".", color=color, markersize=4, label=name)
    return axes
