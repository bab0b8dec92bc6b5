"""Draws on a grid, and where the data lie."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from numpyro_splines.plotting.style import BLUE, GRAY, canvas, name_axes
from numpyro_splines.posterior import bands as band_ends
from numpyro_splines.posterior import dataset
from numpyro_splines.posterior.kinds import AbstractBand, EqualTailed
from numpyro_splines.posterior.labeled import SAMPLE
from numpyro_splines.validation import float64_array


def bands(
    draws: Any,
    x: Any = None,
    *,
    probability: float | Sequence[float] = (0.5, 0.95),
    kind: AbstractBand = EqualTailed(),
    color: str = BLUE,
    linestyle: str = "-",
    label: str | None = "posterior mean",
    axes: Axes | None = None,
) -> Axes:
    """Mean and bands of draws on a grid: of a curve, a prediction, or anything else.

    Args:
        draws: a `DataArray` with the axes chain, draw and one more, such as `values(f)`; or an
            array of shape (..., g), all of whose leading axes are draws.
        x: the grid, shape (g,), in any order; the coordinates of a `DataArray` if omitted.
        probability: of the bands; the narrower, the darker.
        kind: of bands: `EqualTailed()`, `HighestDensity()` or `Simultaneous()`.
        color: of mean and bands.
        linestyle: of the mean.
        label: of the mean, for a legend; None keeps mean and bands out of it.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if `axes` are none, or the draws are not real numbers.
        ValueError: if draws and grid do not fit, or a probability lies outside (0, 1).

    Warns:
        UserWarning: if a draw that is NaN leaves no point at which there is anything to show.

    Example:
        >>> import matplotlib.figure
        >>> axes = matplotlib.figure.Figure().add_subplot()
        >>> len(bands([[0.0, 1.0], [1.0, 2.0]], [0.0, 1.0], axes=axes).collections)
        2
    """
    data, points = _on_grid(draws, x)
    given = np.atleast_1d(float64_array(probability, "probability"))
    shares = sorted(map(float, given), reverse=True)
    summary = band_ends(data, shares, kind)
    if np.isnan(summary["mean"]).all():
        missing = np.isnan(data.values).any(axis=-1)
        warnings.warn(
            f"`draws` leave nothing to show: {missing.sum()} of {missing.size} have NaN, at every "
            "point at least one. Leave such draws out.",
            stacklevel=2,
        )
    order = np.argsort(points, kind="stable")
    axes = canvas(axes)
    for rank, share in enumerate(shares):
        lower, upper = (summary[side].isel(probability=rank).values for side in ("lower", "upper"))
        axes.fill_between(
            points[order],
            lower[order],
            upper[order],
            color=color,
            alpha=min(0.2 + 0.2 * rank, 0.8),
            linewidth=0,
            label=None if label is None else f"{100 * share:.3g} % band",
        )
    middle = summary["mean"].values[order]
    axes.plot(points[order], middle, linestyle, color=color, linewidth=1.8, label=label)
    if hasattr(draws, "dims"):
        name_axes(axes, str(data.dims[-1]), None if data.name is None else str(data.name))
    return axes


def rug(observed: np.ndarray, axes: Axes) -> None:
    """Inputs as short lines along the bottom.

    Args:
        observed: inputs, shape (n,), in float64; those that are NaN are missing.
        axes: where to draw.
    """
    bottom = axes.get_xaxis_transform()  # heights as shares of the axes
    axes.vlines(observed, 0.0, 0.03, color=GRAY, linewidth=0.6, alpha=0.6, transform=bottom)


def _on_grid(draws: Any, x: Any) -> tuple[Any, np.ndarray]:
    """Draws with the axes chain, draw and one more, and the points along it."""
    if hasattr(draws, "dims"):
        further = [dim for dim in draws.dims if dim not in SAMPLE]
        if len(further) != 1 or len(further) + 2 != draws.ndim:
            raise ValueError(
                f"`draws` must have the axes chain, draw and one more; got {draws.dims}. Take one "
                "of several groups with draws.sel(...)."
            )
        data = draws.transpose(*SAMPLE, further[0])
        points = data[further[0]].values if x is None else x
    else:
        rows = float64_array(draws, "draws")
        if x is None or rows.ndim == 0:
            raise ValueError("`x` must hold the grid of an array of draws, of its last axis.")
        data = dataset({"draws": rows.reshape(1, -1, rows.shape[-1])})["draws"]
        points = x
    points = float64_array(points, "x")
    if points.shape != data.shape[-1:]:
        raise ValueError(
            f"`x` must have shape {data.shape[-1:]}, one point for each of the last axis of the "
            f"draws; got {points.shape}."
        )
    return data, points
