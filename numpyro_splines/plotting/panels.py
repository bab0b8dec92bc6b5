"""Several panels that belong together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np

from numpyro_splines.plotting.curves import derivative, effect, grid, members
from numpyro_splines.plotting.draws import bands, rug
from numpyro_splines.plotting.style import BLUE, GRAY, canvases
from numpyro_splines.posterior import values
from numpyro_splines.posterior.kinds import AbstractBand, EqualTailed
from numpyro_splines.posterior.labeled import SAMPLE, LabeledCurve
from numpyro_splines.posterior.surfaces import LabeledSurface
from numpyro_splines.validation import float64_rows, integer_at_least

_WIDEST = 26  # characters that fit over a small panel


def effects(
    curves: Sequence[LabeledCurve] | Mapping[str, LabeledCurve],
    *,
    observed: Mapping[str, Any] | None = None,
    residuals: Any = None,
    columns: int = 3,
    axes: Any = None,
    **options: Any,
) -> np.ndarray:
    """Several effects side by side, with one vertical axis for all, so that sizes compare.

    Args:
        curves: the effects; a mapping gives the panels titles, else they are the curves' names.
        observed: inputs of the data by the names of the inputs, such as a data frame, for the rugs
            of the curves whose input is among them.
        residuals: of the model, shape (n,), as in `effect`: needs `observed`.
        columns: of a new figure.
        axes: as many as there are curves; a new figure if omitted.
        **options: further arguments of `effect`, the same for all.

    Returns:
        The axes, shape (number of curves,).

    Raises:
        TypeError: if a curve is no `LabeledCurve`.
        ValueError: if there is no curve, or axes or residuals do not fit.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> f = LabeledCurve(ns.BSplineBasis([0.0, 1.0]).curve(np.ones((4, 100, 4))), name="f")
        >>> axes = matplotlib.figure.Figure().subplots(1, 2, sharey=True)
        >>> [panel.get_title() for panel in effects([f, 2 * f], axes=axes)]
        ['f', 'f']
    """
    named = list(curves.values() if isinstance(curves, Mapping) else curves)
    if not named:
        raise ValueError("`curves` must hold at least one curve; got none.")
    if observed is not None and not hasattr(observed, "keys"):
        raise TypeError(
            "`observed` must be inputs by name, such as a data frame or {'x': x}; got "
            f"{type(observed).__name__}."
        )
    given = set() if observed is None else set(observed)
    inputs: list[Any] = [getattr(curve, "input_name", None) for curve in named]
    if residuals is not None and given.isdisjoint(inputs):
        raise ValueError(
            "`residuals` must come with `observed`, which holds the inputs of the curves by name; "
            f"got {sorted(given)} for {inputs}."
        )
    columns = integer_at_least(columns, 1, "columns")
    panels = canvases(axes, len(named), columns=columns, width=3.4, height=2.9, sharey=True)
    titles = list(curves) if isinstance(curves, Mapping) else [None] * len(named)
    for panel, curve, name, title in zip(panels, named, inputs, titles, strict=True):
        data: dict[str, Any] = {}
        if observed is not None and name in given:
            data = {"observed": observed[name], "residuals": residuals}
        effect(curve, axes=panel, **data, **options)
        panel.set(title=curve.name if title is None else title, ylabel="")
    same_scale(panels)
    return panels


def groups(
    curve: LabeledCurve | LabeledSurface,
    at: Any = None,
    *,
    inverse_link: Callable[[Any], Any] | None = None,
    observed: Any = None,
    response: Any = None,
    group: Any = None,
    probability: float | Sequence[float] = (0.5, 0.95),
    kind: AbstractBand = EqualTailed(),
    color: str = BLUE,
    columns: int | None = None,
    axes: Any = None,
) -> np.ndarray:
    """A curve by group, one panel for each on common axes, beside the mean of all (dashed).

    Args:
        curve: f, with one more axis than chain and draw; or a surface of a numeric input and a
            group.
        at: grid, shape (g,); an even one over the domain if omitted.
        inverse_link: from the predictor to the response, as in `posterior.values`.
        observed: inputs of the data, shape (n,), drawn as a rug; NaN where missing.
        response: what was observed at each of them, in the units of the curves: dots in place of
            the rug.
        group: the label of each of them, shape (n,), so that each panel shows its own.
        probability: of the bands; the narrower, the darker.
        kind: of bands, as in `effect`.
        color: of means and bands.
        columns: of a new figure; about as many as rows if omitted.
        axes: as many as there are groups; a new figure if omitted.

    Returns:
        The axes, shape (number of groups,).

    Raises:
        TypeError: if `curve` is no `LabeledCurve`.
        ValueError: if it has no axis of groups, or several, if axes do not fit, or labels of the
            inputs are missing or unknown.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> lines = ns.BSplineBasis([0.0, 1.0], degree=1).curve(np.ones((4, 100, 2, 2)))
        >>> f = LabeledCurve(lines, dims=("chain", "draw", "boy"), name="height")
        >>> axes = matplotlib.figure.Figure().subplots(1, 2, sharey=True)
        >>> [panel.get_title() for panel in groups(f, axes=axes)]
        ['boy 0', 'boy 1']
    """
    curve = _by_level(curve)
    labels = members(curve)
    if not labels:
        raise ValueError(
            f"`curve` must have an axis of groups besides {SAMPLE}; got {curve.dims}. Use "
            "plotting.effect(curve) for a single curve."
        )
    data = _by_group(observed, response, group, labels)
    draws = values(curve, grid(at), inverse_link=inverse_link)
    axis, points = curve.dims[-1], draws[curve.input_name].values
    everyone = draws.mean((*SAMPLE, axis)).values
    num = len(labels)
    columns = math.ceil(math.sqrt(1.2 * num)) if columns is None else columns
    columns = min(integer_at_least(columns, 1, "columns"), num)
    size = (2.8, 2.2) if num <= 12 else (2.0, 1.7)
    panels = canvases(
        axes, num, columns=columns, width=size[0], height=size[1], sharex=True, sharey=True
    )
    options: dict[str, Any] = {"probability": probability, "kind": kind, "color": color}
    titles = [f"{axis} {label}" for label in labels]
    if max(map(len, titles)) > _WIDEST:
        titles = list(map(str, labels))
    for index, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        panel.plot(points, everyone, "--", color=GRAY, linewidth=1.0, label="mean of all")
        bands(draws.isel({axis: index}), points, axes=panel, **options)
        if data is not None:
            _draw_data(panel, *data[index])
        panel.set_title("\n".join(wrap(title, _WIDEST)), fontsize="small")
        if axes is None:
            _outer(panel, left=index % columns == 0, bottom=index + columns >= num)
    same_scale(panels)
    return panels


def _by_level(curve: Any) -> LabeledCurve:
    """The curves of each level of a surface of a numeric input and a group; others as they are."""
    if not isinstance(curve, LabeledSurface):
        return curve
    if len(curve.levels) != 1 or len(curve.inputs) != 2:
        raise ValueError(
            f"`curve` must be of one numeric input and one group; got {curve.inputs} with groups "
            f"{list(curve.levels)}. Fix others by curve.slice(...)."
        )
    curves: LabeledCurve = curve.slice(**curve.levels)
    return curves


def effect_and_derivative(
    curve: LabeledCurve,
    at: Any = None,
    *,
    inverse_link: Callable[[Any], Any] | None = None,
    observed: Any = None,
    residuals: Any = None,
    probability: float | Sequence[float] = (0.5, 0.95),
    kind: AbstractBand = EqualTailed(),
    axes: Any = None,
) -> np.ndarray:
    """A curve above its slope, which is thick where its band excludes zero.

    Args:
        curve: f; `f + level` with an intercept.
        at: grid, shape (g,); an even one over the domain if omitted.
        inverse_link: as in `effect`; the slope is that of the response.
        observed: as in `effect`.
        residuals: as in `effect`.
        probability: of the bands of the curve; the largest is that of the slope.
        kind: of bands, as in `effect`.
        axes: two, above and below; a new figure if omitted.

    Returns:
        The two axes.

    Raises:
        TypeError: as `effect`.
        ValueError: as `effect` and `derivative`.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> f = LabeledCurve(ns.BSplineBasis([0.0, 1.0]).curve(np.ones((4, 100, 4))), name="f")
        >>> axes = matplotlib.figure.Figure().subplots(2, 1)
        >>> [panel.get_ylabel() for panel in effect_and_derivative(f, axes=axes)]
        ['f', "f'"]
    """
    panels = canvases(
        axes, 2, columns=1, width=7.0, height=3.2, sharex=True, height_ratios=[2.2, 1.0]
    )
    upper, lower = panels
    options: dict[str, Any] = {"inverse_link": inverse_link, "kind": kind}
    data = {"observed": observed, "residuals": residuals}
    effect(curve, at, probability=probability, axes=upper, **data, **options)
    derivative(curve, at, probability=float(np.max(probability)), axes=lower, **options)
    upper.set_xlabel("")
    return panels


def _by_group(
    observed: Any, response: Any, group: Any, labels: Sequence[Any]
) -> list[tuple[np.ndarray, np.ndarray | None]] | None:
    """Inputs of each group, and responses."""
    if observed is None and group is None and response is None:
        return None
    if observed is None or group is None:
        raise ValueError(
            "`observed` and `group` must be given together, also for `response`: the inputs of the "
            "data and the label of each."
        )
    points, names = float64_rows(observed, "observed"), np.asarray(group)
    if names.shape != points.shape:
        raise ValueError(
            f"`group` must hold a label for each of the {points.size} observed inputs; got shape "
            f"{names.shape}."
        )
    heights = None if response is None else float64_rows(response, "response")
    if heights is not None and heights.shape != points.shape:
        raise ValueError(
            f"`response` must hold a number for each of the {points.size} observed inputs; got "
            f"{heights.size}."
        )
    if unknown := sorted({str(name) for name in names} - {str(label) for label in labels}):
        raise ValueError(
            f"`group` must hold labels of the curves, {[str(label) for label in labels]}; got "
            f"{unknown}."
        )
    chosen = [names.astype(str) == str(label) for label in labels]
    return [(points[own], None if heights is None else heights[own]) for own in chosen]


def _draw_data(panel: Any, points: np.ndarray, heights: np.ndarray | None) -> None:
    """A rug of the inputs, or dots."""
    if heights is None:
        rug(points, panel)
    else:
        panel.plot(points, heights, "o", color=GRAY, markersize=3.5, alpha=0.7, mec="none")


def _outer(panel: Any, *, left: bool, bottom: bool) -> None:
    """Names and numbers of axes at the edges of the grid only, below the last of each column."""
    panel.tick_params(labelsize="small", labelleft=left, labelbottom=bottom)
    x, y = panel.get_xlabel(), panel.get_ylabel()
    panel.set_xlabel("\n".join(wrap(x, _WIDEST)) if bottom else "", fontsize="small")
    panel.set_ylabel("\n".join(wrap(y, _WIDEST - 6)) if left else "", fontsize="small")


def same_scale(panels: Any) -> None:
    """One vertical scale: axes that were given may not be shared.

    Args:
        panels: the axes; nothing is done if there are none.
    """
    if not len(panels):
        return
    lowest, highest = zip(*(panel.get_ylim() for panel in panels), strict=True)
    for panel in panels:
        panel.set_ylim(min(lowest), max(highest))
