"""Several panels that belong together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numpyro_splines.plotting.curves import derivative, effect
from numpyro_splines.plotting.style import canvases
from numpyro_splines.posterior.kinds import AbstractBand, EqualTailed
from numpyro_splines.posterior.labeled import LabeledCurve
from numpyro_splines.validation import integer_at_least


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
    lowest, highest = zip(*(panel.get_ylim() for panel in panels), strict=True)
    for panel in panels:  # axes that were given may not be shared
        panel.set_ylim(min(lowest), max(highest))
    return panels


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
