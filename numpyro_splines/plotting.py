"""Pictures of curves and latent inputs: axes in, axes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# From the palette of Okabe and Ito, which people with any color vision can tell apart.
BLUE, ORANGE, GRAY = "#0072B2", "#D55E00", "#555555"


def bands(
    axes: Axes,
    x: Any,
    draws: Any,
    *,
    probabilities: Sequence[float] = (0.5, 0.9),
    color: str = BLUE,
    label: str = "posterior mean",
) -> Axes:
    """Posterior mean of a curve with pointwise equal-tailed bands.

    Args:
        axes: where to draw.
        x: grid, shape (g,).
        draws: values of the curve on the grid, shape (..., g); all leading axes are draws.
        probabilities: of the bands; the narrower, the darker.
        color: of the mean and the bands.
        label: of the mean, for the legend.

    Returns:
        The axes.

    Raises:
        ValueError: if the last axis of the draws does not match the grid, or a probability lies
            outside (0, 1).

    Example:
        >>> import matplotlib.figure
        >>> axes = matplotlib.figure.Figure().add_subplot()
        >>> len(bands(axes, [0.0, 1.0], [[0.0, 1.0], [1.0, 2.0]]).collections)
        2
    """
    x, draws = np.asarray(x), np.asarray(draws)
    if x.ndim != 1 or draws.shape[-1] != x.size:
        raise ValueError(
            f"`draws` must have shape (..., {x.size}), one value for each point of the grid; "
            f"got {draws.shape}."
        )
    draws = draws.reshape(-1, x.size)
    for rank, probability in enumerate(sorted(probabilities, reverse=True)):
        if not 0.0 < probability < 1.0:
            raise ValueError(f"`probabilities` must lie in (0, 1); got {probability}.")
        lower, upper = np.quantile(draws, [0.5 - probability / 2, 0.5 + probability / 2], axis=0)
        name = f"{100 * probability:.0f} % band"
        axes.fill_between(x, lower, upper, color=color, alpha=0.2 + 0.2 * rank, lw=0, label=name)
    axes.plot(x, draws.mean(axis=0), color=color, linewidth=1.8, label=label)
    return axes


def latent_inputs(
    axes: Axes,
    draws: Any,
    response: Any,
    *,
    probability: float = 0.9,
    color: str = ORANGE,
    label: str = "latent input",
) -> Axes:
    """Latent inputs as horizontal intervals at the height of their responses.

    Args:
        axes: where to draw.
        draws: draws of the inputs, shape (..., n); all leading axes are draws.
        response: shape (n,).
        probability: of the equal-tailed intervals.
        color: of medians and intervals.
        label: for the legend.

    Returns:
        The axes.
    """
    response = np.asarray(response)
    draws = np.asarray(draws).reshape(-1, response.size)
    tail = (1.0 - probability) / 2.0
    lower, middle, upper = np.quantile(draws, [tail, 0.5, 1.0 - tail], axis=0)
    name = f"{label}, {100 * probability:.0f} % interval"
    axes.hlines(response, lower, upper, color=color, alpha=0.35, linewidth=1.0)
    axes.plot(middle, response, ".", color=color, markersize=4, label=name)
    return axes


def curve_and_slope(
    grid: Any, curve: Any, slope: Any, *, input_label: str, response_label: str, slope_label: str
) -> tuple[Figure, Axes, Axes]:
    """A curve with its bands above and its derivative below, on a common horizontal axis.

    Args:
        grid: shape (g,).
        curve: draws of the curve on the grid, shape (..., g).
        slope: draws of its derivative, shape (..., g).
        input_label: of the horizontal axis, with units.
        response_label: of the upper vertical axis, with units.
        slope_label: of the lower vertical axis, with units.

    Returns:
        The figure and its two axes, the upper one ready for data and `latent_inputs`.
    """
    # Not through pyplot's state: works headless and leaves no open figure behind.
    figure = Figure(figsize=(7.0, 6.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.4, 1.0])
    bands(upper, grid, curve)
    bands(lower, grid, slope)
    lower.axhline(0.0, color=GRAY, linewidth=0.8, linestyle=":")
    upper.set_ylabel(response_label)
    lower.set(xlabel=input_label, ylabel=slope_label)
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    return figure, upper, lower


def prior(
    check: Any,
    *,
    num_curves: int = 30,
    degrees_of_freedom: tuple[Any, Any] | None = None,
    input_label: str = "x",
) -> Figure:
    """What a prior says before data: draws of f, their root mean square, their turning points.

    Args:
        check: what `numpyro_splines.prior_checks.check_prior` returned.
        num_curves: how many of the draws to show as lines, over bands of all of them.
        degrees_of_freedom: a pair (scales, values) for one panel more, the effective degrees of
            freedom as a function of the scale.
        input_label: of the horizontal axis of the curves, with units.

    Returns:
        The figure, its axes in the order of the panels.

    Example:
        >>> import jax, numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)))
        >>> check = ns.prior_checks.check_prior(f, jax.random.key(0), num_draws=100)
        >>> len(prior(check).axes)
        3
    """
    extra = degrees_of_freedom is not None
    figure = Figure(figsize=(13.0 if extra else 10.5, 3.4), layout="constrained")
    panels = figure.subplots(1, 4 if extra else 3, width_ratios=[1.6, 1.0, 1.0, 1.0][: 3 + extra])
    curves, rms, turns = panels[:3]
    bands(curves, check.grid, check.curves, label="prior mean")
    curves.plot(check.grid, check.curves[:num_curves].T, color=GRAY, linewidth=0.6, alpha=0.6)
    curves.set(xlabel=input_label, ylabel="f", title="draws of f")
    curves.legend(fontsize="small")
    # The tail of a scale's prior would squeeze all the rest into one bar.
    shown = check.rms[check.rms <= np.quantile(check.rms, 0.99)]
    rms.hist(shown, bins=30, color=BLUE, alpha=0.7)
    rms.axvline(np.median(check.rms), color=ORANGE, label=f"median {np.median(check.rms):.2g}")
    rms.set(xlabel="root mean square of f", ylabel="draws", title="size (lower 99 %)")
    rms.legend(fontsize="small")
    values, counts = np.unique(check.turning_points, return_counts=True)
    turns.bar(values, counts, color=BLUE, alpha=0.7)
    turns.set(xlabel="turning points of f", ylabel="draws", title="wiggliness")
    if degrees_of_freedom is not None:
        panels[3].plot(*degrees_of_freedom, color=BLUE)
        panels[3].set(xscale="log", xlabel="scale", title="effective degrees of freedom")
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure
