"""What a function of several inputs is the sum of."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from numpyro_splines.plotting.curves import effect
from numpyro_splines.plotting.maps import levels
from numpyro_splines.plotting.panels import same_scale
from numpyro_splines.plotting.style import GRAY, canvases, name_axes, strokes
from numpyro_splines.plotting.surfaces import check_surface, color_bar, scale_of, surface
from numpyro_splines.posterior import values
from numpyro_splines.posterior.kinds import AbstractBand, EqualTailed, moments
from numpyro_splines.posterior.labeled import LabeledCurve
from numpyro_splines.posterior.surfaces import LabeledSurface
from numpyro_splines.validation import integer_at_least

_FEW = 4  # curves by group that have a color each
_READABLE = 12  # labels of levels along one side of a small panel


def anova(
    surface: LabeledSurface,
    *,
    observed: Mapping[str, Any] | None = None,
    probability: float = 0.95,
    kind: AbstractBand = EqualTailed(),
    too_far: float = 0.1,
    columns: int = 3,
    axes: Any = None,
) -> np.ndarray:
    """Main effects and interactions of two inputs, a panel for each component of a surface.

    Main effects of numbers are curves with bands, all on one scale; those of groups are dots with
    intervals. Interactions are heat maps of the mean, or curves of each group. The mean of the
    surface, and interactions of three inputs and more, are not shown.

    Args:
        surface: f, whose inputs have measures.
        observed: inputs of the data by name, such as a data frame, for rugs and for the dots of
            heat maps; groups are not looked at.
        probability: of bands and intervals.
        kind: of bands, as in `effect`.
        too_far: of heat maps, as in `plotting.surface`: cells far from the data are left gray.
        columns: of a new figure.
        axes: as many as there are components; a new figure if omitted.

    Returns:
        The axes, main effects first, in the order of the inputs.

    Raises:
        TypeError: if `surface` is no `LabeledSurface`.
        ValueError: if it has further axes, or axes do not fit.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> margin = ns.CurveMargin(ns.BSplineBasis([0.0, 1.0]))
        >>> f = ns.TensorEffect("f", dose=margin, age=margin).function(np.ones((4, 100, 4, 4)))
        >>> panels = matplotlib.figure.Figure().subplots(1, 3)
        >>> [panel.get_title() for panel in anova(LabeledSurface(f), axes=panels)]
        ['dose', 'age', 'dose:age']
    """
    check_surface(surface)
    mains = [(name,) for name in surface.inputs]
    names = [*mains, *combinations(surface.inputs, 2)]
    columns = integer_at_least(columns, 1, "columns")
    panels = canvases(axes, len(names), columns=columns, width=4.0, height=3.2)
    options: dict[str, Any] = {"probability": probability, "kind": kind}
    for panel, own in zip(panels, names, strict=True):
        part = surface.component(":".join(own)) if len(surface.inputs) > 1 else surface
        part.name = surface.name  # The title tells of which inputs.
        data = [observed[name] for name in own if observed is not None and name in observed]
        _panel(part, own, data, panel, options, too_far)
        panel.set_title(":".join(own), fontsize="medium")
    same_scale([p for p, own in zip(panels, mains, strict=False) if own[0] in surface.numeric])
    return panels


def _panel(
    part: Any, own: tuple[str, ...], data: list[Any], axes: Any, options: Any, too_far: float
) -> None:
    """One component: a curve, dots, a heat map, or curves by group."""
    if isinstance(part, LabeledCurve):
        effect(part, observed=data[0] if data else None, label=None, axes=axes, **options)
    elif len(own) == 1:
        levels(part, axes=axes, **options)
    elif len(part.numeric) == 2:
        observed = data if len(data) == 2 else None
        surface(part, observed=observed, too_far=too_far, axes=axes)
    elif part.numeric:
        _by_group(part, axes)
    else:
        _table(part, axes)


def _by_group(part: LabeledSurface, axes: Any) -> None:
    """The mean of the curve of each group."""
    (along,), (group,) = part.numeric, part.levels
    mean = moments(values(part))[0].transpose(along, group)
    few = len(mean[group]) <= _FEW
    for label, (color, dash) in zip(mean[group].values, strokes(len(mean[group])), strict=True):
        own: dict[str, Any] = {"color": GRAY, "alpha": 0.5, "linewidth": 0.8}
        if few:
            own = {"color": color, "linestyle": dash, "linewidth": 1.4, "label": str(label)}
        axes.plot(mean[along], mean.sel({group: label}), **own)
    name_axes(axes, along, part.name)
    if few:
        axes.legend(frameon=False, fontsize="x-small", title=group, ncols=2)


def _table(part: LabeledSurface, axes: Any) -> None:
    """The mean for each pair of levels of two groups."""
    first, second = part.inputs
    mean = moments(values(part))[0].transpose(second, first)
    norm, colors = scale_of(mean.values)
    color_bar(axes, axes.pcolormesh(mean.values, cmap=colors, norm=norm), part.name)
    for name, axis in ((first, axes.xaxis), (second, axes.yaxis)):
        labels = list(map(str, part.levels[name]))
        every = -(-len(labels) // _READABLE)
        axis.set_ticks(np.arange(len(labels))[::every] + 0.5, labels[::every], fontsize="x-small")
    name_axes(axes, first, second)
