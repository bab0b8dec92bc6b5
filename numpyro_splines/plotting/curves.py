"""Curves with bands, data and draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from numpyro_splines.plotting.draws import bands, rug
from numpyro_splines.plotting.style import (
    BLUE,
    GRAY,
    GREEN,
    MOST_STROKES,
    ORANGE,
    canvas,
    legend,
    name_axes,
    strokes,
    width_with_legend,
)
from numpyro_splines.posterior import excludes, values
from numpyro_splines.posterior.kinds import AbstractBand, EqualTailed
from numpyro_splines.posterior.labeled import SAMPLE, LabeledCurve
from numpyro_splines.validation import float64_array, float64_rows, integer_at_least, order_at_least

_DOTS: dict[str, Any] = {"marker": "o", "markersize": 4.0, "markeredgewidth": 0.0}
MOST_GROUPS = 6  # whose curves still compare in one panel
# What the sign of a derivative says, by its order.
_SIGNS = {1: ("rising", "falling"), 2: ("bending up", "bending down")}


def effect(
    curve: LabeledCurve,
    at: Any = None,
    *,
    inverse_link: Callable[[Any], Any] | None = None,
    observed: Any = None,
    residuals: Any = None,
    probability: float | Sequence[float] = (0.5, 0.95),
    kind: AbstractBand = EqualTailed(),
    color: str = BLUE,
    label: str | None = "posterior mean",
    axes: Axes | None = None,
) -> Axes:
    """A fitted curve: mean, bands, where the data lie, and partial residuals.

    Of curves with one more axis than chain and draw, such as groups, each of up to six is drawn in
    a color and a line style of its own, with a legend; `groups` gives each a panel.

    Args:
        curve: f; `f + level` with an intercept.
        at: grid, shape (g,); an even one over the domain if omitted.
        inverse_link: from the predictor to the response, as in `posterior.values`.
        observed: inputs of the data, shape (n,), drawn as a rug; NaN where missing.
        residuals: of the model at the observed inputs, response minus fitted value on the scale of
            f, shape (n,): drawn as points at mean f(x) + residual, the partial residuals.
        probability: of the bands; the narrower, the darker. Of several curves only the largest.
        kind: of bands: `EqualTailed()`, `HighestDensity()` or `Simultaneous()`.
        color: of a single curve.
        label: of a single curve, for a legend.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if `curve` is no `LabeledCurve`, or `axes` are none.
        ValueError: if there are residuals without inputs, of another length, or of several curves;
            or more than six groups.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> lines = ns.BSplineBasis([0.0, 1.0], degree=1).curve(np.ones((4, 100, 2)))
        >>> f = LabeledCurve(lines, name="f", input_name="dose (mg)")
        >>> axes = effect(f, axes=matplotlib.figure.Figure().add_subplot())
        >>> axes.get_xlabel(), axes.get_ylabel()
        ('dose (mg)', 'f')
    """
    groups = _groups(curve)
    if len(groups) > MOST_GROUPS:
        raise ValueError(
            f"`curve` must have at most {MOST_GROUPS} groups to be told apart in one panel; got "
            f"{len(groups)} along {curve.dims[-1]!r}. Use plotting.groups(curve), which gives each "
            "a panel."
        )
    if observed is not None:
        observed = float64_rows(observed, "observed")
    if residuals is not None:
        points, heights = _partial_residuals(curve, observed, residuals, inverse_link)
        axes = canvas(axes)
        axes.plot(points, heights, ".", color=GRAY, markersize=4, alpha=0.6)
    if groups:
        axes = canvas(axes)
        name_axes(axes, y=curve.name if inverse_link is None else f"h({curve.name})")
        axes = compare(
            groups,
            at,
            inverse_link=inverse_link,
            probability=float(np.max(probability)),
            kind=kind,
            axes=axes,
        )
    else:
        draws = _draws(curve, at, inverse_link=inverse_link)
        options: dict[str, Any] = {"probability": probability, "kind": kind, "color": color}
        axes = bands(draws, label=label, axes=axes, **options)
    if observed is not None:
        rug(observed, axes)
    return axes


def compare(
    curves: Mapping[str, LabeledCurve],
    at: Any = None,
    *,
    inverse_link: Callable[[Any], Any] | None = None,
    probability: float = 0.95,
    kind: AbstractBand = EqualTailed(),
    axes: Axes | None = None,
) -> Axes:
    """Curves of several models or groups on the same axes, with a legend.

    Args:
        curves: by the names for the legend.
        at: grid, shape (g,), for all; an even one over the domain of each if omitted.
        inverse_link: from the predictor to the response, as in `posterior.values`.
        probability: of the bands.
        kind: of bands, as in `effect`.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if `curves` is no mapping to `LabeledCurve`, or `axes` are none.
        ValueError: if a curve has more axes than chain and draw, or there are more than twelve
            curves, which no legend can tell apart.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> line = ns.BSplineBasis([0.0, 1.0], degree=1).curve(np.ones((4, 100, 2)))
        >>> f = LabeledCurve(line)
        >>> axes = matplotlib.figure.Figure().add_subplot()
        >>> [text.get_text() for text in compare({"a": f, "b": f}, axes=axes).get_legend().texts]
        ['a', 'b']
    """
    if not isinstance(curves, Mapping) or not curves:
        raise TypeError(
            f"`curves` must be curves by name, such as {{'model 1': f, 'model 2': g}}; got "
            f"{curves!r}."
        )
    if len(curves) > MOST_STROKES:
        raise ValueError(
            f"`curves` must be at most {MOST_STROKES} to be told apart in one panel; got "
            f"{len(curves)}. Use plotting.effects(curves), which gives each a panel."
        )
    drawn = {name: _draws(f, at, inverse_link=inverse_link) for name, f in curves.items()}
    # Curves with different names have no name for all.
    named = len({draws.name for draws in drawn.values()}) == 1
    axes = canvas(axes, width=width_with_legend([str(name) for name in drawn]))
    options: dict[str, Any] = {"probability": probability, "kind": kind, "label": None}
    for (name, draws), (color, dash) in zip(drawn.items(), strokes(len(drawn)), strict=True):
        shown = draws if named else draws.rename(None)
        bands(shown, color=color, linestyle=dash, axes=axes, **options)
        axes.lines[-1].set_label(str(name))
    legend(axes)
    return axes


def spaghetti(
    curve: LabeledCurve,
    at: Any = None,
    *,
    num_draws: int = 50,
    inverse_link: Callable[[Any], Any] | None = None,
    color: str = BLUE,
    label: str | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Single draws of a curve as thin lines, evenly spaced among the draws of all chains.

    Args:
        curve: f.
        at: grid, shape (g,); an even one over the domain if omitted.
        num_draws: how many, or all if there are fewer.
        inverse_link: from the predictor to the response, as in `posterior.values`.
        color: of the lines.
        label: of the first of them, for a legend.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if `curve` is no `LabeledCurve`, or `axes` are none.
        ValueError: if the number is below one, or the curve has more axes than chain and draw.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> f = LabeledCurve(ns.BSplineBasis([0.0, 1.0]).curve(np.ones((4, 100, 4))))
        >>> axes = matplotlib.figure.Figure().add_subplot()
        >>> len(spaghetti(f, num_draws=20, axes=axes).lines)
        20
    """
    num_draws = integer_at_least(num_draws, 1, "num_draws")
    draws = _draws(curve, at, inverse_link=inverse_link)
    rows, points = draws.values.reshape(-1, draws.sizes[draws.dims[-1]]), draws[draws.dims[-1]]
    shown = np.linspace(0, len(rows) - 1, min(num_draws, len(rows))).round().astype(int)
    axes = canvas(axes)
    lines = axes.plot(points, rows[shown].T, color=color, linewidth=0.7, alpha=0.4)
    lines[0].set_label("" if label is None else label)
    name_axes(axes, str(draws.dims[-1]), str(draws.name))
    return axes


def derivative(
    curve: LabeledCurve,
    at: Any = None,
    *,
    order: int = 1,
    inverse_link: Callable[[Any], Any] | None = None,
    probability: float = 0.95,
    kind: AbstractBand = EqualTailed(),
    color: str = BLUE,
    axes: Axes | None = None,
) -> Axes:
    """A derivative with its band; thick where the band excludes zero.

    A pointwise band says "rising" at each point with the probability given, not at all of them at
    once: take `Simultaneous()` for statements about whole stretches.

    Args:
        curve: f.
        at: grid, shape (g,); an even one over the domain if omitted.
        order: of the derivative.
        inverse_link: from the predictor to the response, as in `posterior.values`.
        probability: of the band.
        kind: of band, as in `effect`.
        color: of mean and band.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if `curve` is no `LabeledCurve`, or `axes` are none.
        ValueError: if the order is below one, or the curve has more axes than chain and draw.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> rises = np.broadcast_to([0.0, 1.0], (4, 100, 2))
        >>> f = LabeledCurve(ns.BSplineBasis([0.0, 1.0], degree=1).curve(rises))
        >>> axes = derivative(f, axes=matplotlib.figure.Figure().add_subplot())
        >>> axes.get_legend_handles_labels()[1]
        ['rising']
    """
    order = order_at_least(order, 1, "order")
    draws = _draws(curve, at, derivative=order, inverse_link=inverse_link)
    flags = excludes(draws, probability=probability, kind=kind).values
    points, mean = draws[draws.dims[-1]].values, draws.mean(SAMPLE).values
    axes = bands(draws, probability=probability, kind=kind, color=color, label=None, axes=axes)
    axes.axhline(0.0, color=GRAY, linewidth=0.8, linestyle=":")
    words = _SIGNS.get(order, ("above zero", "below zero"))
    for sign, stretch, word in zip((1, -1), (ORANGE, GREEN), words, strict=True):
        if np.any(flags == sign):
            shown = np.where(flags == sign, mean, np.nan)
            # The dots, hidden in the line, show stretches of a single point.
            axes.plot(points, shown, color=stretch, linewidth=4.0, label=word, **_DOTS)
    legend(axes)
    return axes


def _draws(curve: Any, at: Any, **options: Any) -> Any:
    """Values of the one curve of each draw on a grid in increasing order."""
    return values(single(curve), grid(at), **options)


def grid(at: Any) -> np.ndarray | None:
    """A grid in increasing order, if there is one.

    Args:
        at: what a user gave, or None.

    Raises:
        ValueError: if it is no list of numbers, or an empty one.
    """
    if at is None:
        return None
    points = np.sort(float64_array(at, "at", ndim=1))
    if not points.size:
        raise ValueError("`at` must hold at least one point; got none.")
    return points


def single(curve: Any) -> LabeledCurve:
    """The curve, if it is one for each draw.

    Args:
        curve: what a user gave.

    Raises:
        TypeError: if it is no `LabeledCurve`.
        ValueError: if it has more axes than chain and draw.
    """
    if not isinstance(curve, LabeledCurve):
        raise TypeError(
            f"`curve` must be a LabeledCurve, as posterior.curve(effect, draws) gives; got "
            f"{type(curve).__name__}."
        )
    if groups := curve.dims[len(SAMPLE) :]:
        raise ValueError(
            f"`curve` must have one curve for each draw; got further axes {groups}. Take one with "
            "curve.sel(...); `effect` alone draws the members of a single further axis."
        )
    return curve


def members(curve: Any) -> list[Any]:
    """Labels along the one axis besides chain and draw; none of a single curve.

    Args:
        curve: what a user gave.

    Raises:
        TypeError: if it is no `LabeledCurve`.
        ValueError: if it has more axes, or a label twice.
    """
    if not (isinstance(curve, LabeledCurve) and len(curve.dims) == len(SAMPLE) + 1):
        single(curve)
        return []
    axis = curve.dims[-1]
    labels = list(curve.coords[axis])
    if len(set(map(str, labels))) < len(labels):
        raise ValueError(f"`curve` must have different labels along {axis!r}; got {labels}.")
    return labels


def _groups(curve: Any) -> dict[str, LabeledCurve]:
    """The members of the one axis besides chain and draw, by their labels."""
    axis = curve.dims[-1] if (labels := members(curve)) else ""
    return {f"{axis} {label}": curve.sel(**{axis: label}) for label in labels}


def _partial_residuals(
    curve: LabeledCurve, observed: Any, residuals: Any, inverse_link: Any
) -> tuple[np.ndarray, np.ndarray]:
    if observed is None or inverse_link is not None:
        raise ValueError(
            "`residuals` must come with `observed`, their inputs, and are on the scale of f, so "
            "that they do not go with `inverse_link`."
        )
    heights = float64_rows(residuals, "residuals")
    if observed.shape != heights.shape:
        raise ValueError(
            f"`residuals` must be one for each of the {observed.size} observed inputs; got "
            f"{heights.size}."
        )
    kept = ~np.isnan(observed + heights)  # rows of which a part is missing are left out
    points = observed[kept]
    return points, heights[kept] + values(single(curve), points, dim="row").mean(SAMPLE).values
