"""What priors say, and what data changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from numpyro_splines.plotting.curves import effect, single
from numpyro_splines.plotting.draws import bands
from numpyro_splines.plotting.style import BLUE, GRAY, ORANGE, canvas, canvases, legend, name_axes
from numpyro_splines.posterior.kinds import AbstractBand, EqualTailed
from numpyro_splines.posterior.labeled import LabeledCurve
from numpyro_splines.prior_checks import PriorCheck
from numpyro_splines.validation import integer_at_least


def prior(
    check: PriorCheck,
    *,
    num_curves: int = 30,
    degrees_of_freedom: tuple[Any, Any] | None = None,
    input_name: str = "x",
    axes: Any = None,
) -> np.ndarray:
    """What a prior says before data: draws of f, their root mean square, their turning points.

    Args:
        check: what `prior_checks.check_prior` returned.
        num_curves: how many of the draws to show as lines, over bands of all of them.
        degrees_of_freedom: a pair (scales, values) for one panel more, the effective degrees of
            freedom as a function of the scale.
        input_name: of the horizontal axis of the curves, with units.
        axes: three, or four with degrees of freedom; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if `check` or `axes` are something else.
        ValueError: if there are not as many axes.

    Example:
        >>> import jax, matplotlib.figure, numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)))
        >>> check = ns.prior_checks.check_prior(f, jax.random.key(0), num_draws=100)
        >>> axes = prior(check, axes=matplotlib.figure.Figure().subplots(1, 3))
        >>> [panel.get_title() for panel in axes]
        ['draws of f', 'size (lower 99 %)', 'wiggliness']
    """
    _check(check)
    num_curves = integer_at_least(num_curves, 0, "num_curves")
    extra = degrees_of_freedom is not None
    ratios = [1.6, 1.0, 1.0, 1.0][: 3 + extra]
    panels = canvases(
        axes, len(ratios), columns=len(ratios), width=3.4, height=3.4, width_ratios=ratios
    )
    curves, rms, turns = panels[:3]
    bands(check.curves, check.grid, label="prior mean", axes=curves)
    curves.plot(check.grid, check.curves[:num_curves].T, color=GRAY, linewidth=0.6, alpha=0.6)
    curves.set(xlabel=input_name, ylabel="f", title="draws of f")
    legend(curves)
    # The tail of a scale's prior would squeeze all the rest into one bar.
    shown = check.rms[check.rms <= np.quantile(check.rms, 0.99)]
    rms.hist(shown, bins=30, color=BLUE, alpha=0.7)
    rms.axvline(np.median(check.rms), color=ORANGE, label=f"median {np.median(check.rms):.2g}")
    rms.set(xlabel="root mean square of f", ylabel="draws", title="size (lower 99 %)")
    legend(rms)
    counted = np.unique(check.turning_points, return_counts=True)
    turns.bar(*counted, color=BLUE, alpha=0.7)
    turns.set(xlabel="turning points of f", ylabel="draws", title="wiggliness")
    if degrees_of_freedom is not None:
        panels[3].plot(*degrees_of_freedom, color=BLUE)
        panels[3].set(xscale="log", xlabel="scale", title="effective degrees of freedom")
    return panels


def prior_posterior(
    check: PriorCheck,
    curve: LabeledCurve,
    at: Any = None,
    *,
    probability: float | Sequence[float] = (0.5, 0.95),
    kind: AbstractBand = EqualTailed(),
    axes: Axes | None = None,
) -> Axes:
    """A curve before data (gray) and after: how much of the answer is the prior's.

    Args:
        check: what `prior_checks.check_prior` returned for the effect.
        curve: the same effect after inference, `posterior.curve(effect, draws)`.
        at: grid of the posterior, shape (g,); an even one over the domain if omitted.
        probability: of the bands of both.
        kind: of bands, as in `effect`.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if `check`, `curve` or `axes` are something else.
        ValueError: if the curve has more axes than chain and draw.

    Example:
        >>> import jax, matplotlib.figure, numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)))
        >>> check = ns.prior_checks.check_prior(f, jax.random.key(0), num_draws=100)
        >>> fitted = LabeledCurve(f.basis.curve(np.ones((4, 100, 12))))
        >>> axes = matplotlib.figure.Figure().add_subplot()
        >>> prior_posterior(check, fitted, axes=axes).get_legend_handles_labels()[1]
        ['prior', 'posterior']
    """
    _check(check)
    fitted = single(curve)
    axes = canvas(axes)
    options: dict[str, Any] = {"probability": probability, "kind": kind, "label": None}
    bands(check.curves, check.grid, color=GRAY, linestyle="--", axes=axes, **options)
    axes.lines[-1].set_label("prior")
    effect(fitted, at, axes=axes, **options)
    axes.lines[-1].set_label("posterior")
    name_axes(axes, "x", "f")
    legend(axes)
    return axes


def _check(check: Any) -> None:
    if not isinstance(check, PriorCheck):
        raise TypeError(
            "`check` must be what prior_checks.check_prior(effect, key) returns; got "
            f"{type(check).__name__}."
        )
