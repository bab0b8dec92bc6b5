"""Surfaces as heat maps, and as slices with bands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm, Normalize
from scipy.spatial import KDTree

from numpyro_splines.plotting.curves import compare
from numpyro_splines.plotting.draws import rug
from numpyro_splines.plotting.style import canvas, name_axes
from numpyro_splines.posterior import values
from numpyro_splines.posterior.kinds import AbstractBand, EqualTailed, moments
from numpyro_splines.posterior.surfaces import LabeledSurface
from numpyro_splines.validation import float64_array, float64_rows

_SIGNED, _PLAIN, _SPREAD = "RdBu_r", "viridis", "cividis_r"


def surface(
    surface: LabeledSurface,
    at: Mapping[str, Any] | None = None,
    *,
    sd: bool = False,
    inverse_link: Callable[[Any], Any] | None = None,
    observed: Any = None,
    too_far: float = 0.1,
    num_contours: int = 6,
    num_points: int = 50,
    signed: bool = True,
    label: str | None = None,
    axes: Axes | None = None,
) -> Axes:
    """A heat map with contours of the posterior mean of a surface, or of its standard deviation.

    Red is above zero and blue below it, where the mean has both signs and zero means something.

    Args:
        surface: f, of two numeric inputs; `f + level` with an intercept.
        at: grids by the names of the inputs, the first for the horizontal axis; even ones over the
            domain if omitted.
        sd: show the standard deviation in place of the mean.
        inverse_link: from the predictor to the response, as in `posterior.values`.
        observed: pair of the two inputs of the data, each of shape (n,), drawn as dots; NaN where
            missing. What is far from all of them is left gray.
        too_far: how far, as a share of the grid along each axis; mgcv's `too.far`.
        num_contours: about how many; 0 for none.
        num_points: of each even grid.
        signed: False where zero is a height like others, as of temperatures: one ramp of colors.
        label: of the color bar; the name of the surface if omitted.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes; the heat map is the first of its `collections`.

    Raises:
        TypeError: if `surface` is no `LabeledSurface`, or `axes` are none.
        ValueError: if the surface has other inputs or further axes, or inputs of the data are not
            of one length.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> margin = ns.CurveMargin(ns.BSplineBasis([0.0, 1.0]))
        >>> f = ns.TensorEffect("f", dose=margin, age=margin).function(np.ones((4, 100, 4, 4)))
        >>> axes = matplotlib.figure.Figure().add_subplot()
        >>> axes = surface(LabeledSurface(f), axes=axes)
        >>> axes.get_xlabel(), axes.get_ylabel()
        ('dose', 'age')

    References:
        Wood, Generalized Additive Models (2017), on `vis.gam` and `exclude.too.far`.
    """
    first, second = two_inputs(surface, at)
    draws = values(
        surface, num_points=num_points, inverse_link=inverse_link, **dict(at or {})
    ).transpose("chain", "draw", second, first)
    center, spread = moments(draws)
    shown = spread if sd else center
    x, z = (float64_array(shown[name].values, name, ndim=1) for name in (first, second))
    heights = shown.values
    points = None if observed is None else _pair(observed)
    if points is not None:
        far = _far(x, z, points, too_far)
        heights = np.where(far, np.nan, heights)
    name = bar_name(label, draws.name, sd=sd)
    axes = canvas(axes, width=5.6, height=4.4)
    colors = scale_of(heights, sd=sd, signed=signed)
    heat_map(axes, x, z, heights, name, colors=colors, num_contours=num_contours)
    if points is not None:
        inside = (points[0] >= x.min()) & (points[0] <= x.max())
        inside &= (points[1] >= z.min()) & (points[1] <= z.max())
        _dots(axes, *points[:, inside])
    name_axes(axes, first, second)
    return axes


def heat_map(
    axes: Axes,
    x: np.ndarray,
    z: np.ndarray,
    heights: np.ndarray,
    name: str,
    *,
    colors: tuple[Normalize, str],
    num_contours: int,
) -> None:
    """Cells with a color bar, and contours with their heights.

    Args:
        axes: where to draw.
        x: grid, shape (g,).
        z: grid, shape (h,).
        heights: shape (h, g), NaN where nothing is shown.
        name: of the heights.
        colors: what `scale_of` returns.
        num_contours: about how many; 0 for none.
    """
    norm, ramp = colors
    mesh = axes.pcolormesh(
        x, z, heights, cmap=ramp, norm=norm, shading="gouraud" if _whole(heights) else "nearest",
        rasterized=True,
    )  # fmt: skip
    color_bar(axes, mesh, name)
    # White is a color of the map: cells that are left out are gray.
    axes.set(xlim=(x.min(), x.max()), ylim=(z.min(), z.max()), facecolor="0.9")
    drawn = heights[np.isfinite(heights)]
    if num_contours and drawn.size and np.ptp(drawn) > 1e-9 * np.abs(drawn).max():
        lines = axes.contour(x, z, heights, num_contours, colors="black", linewidths=0.7)
        labels = axes.clabel(lines, fontsize=7, inline=True, inline_spacing=3, fmt=_short)
        for text in labels or ():
            text.set_path_effects([effects.withStroke(linewidth=1.6, foreground="white")])


def scale_of(
    heights: np.ndarray, *, sd: bool = False, signed: bool = True
) -> tuple[Normalize, str]:
    """How heights become colors: around zero where they have both signs.

    Args:
        heights: any shape, NaN where nothing is shown.
        sd: whether they are standard deviations.
        signed: whether they have a zero that means something.
    """
    drawn = heights[np.isfinite(heights)]
    low, high = (float(drawn.min()), float(drawn.max())) if drawn.size else (0.0, 1.0)
    if signed and low < 0.0 < high:
        return CenteredNorm(0.0, max(-low, high)), _SIGNED
    return Normalize(low, high if high > low else low + 1.0), _SPREAD if sd else _PLAIN


def bar_name(label: str | None, name: Any, *, sd: bool) -> str:
    """What colors stand for.

    Args:
        label: what a user calls it, or None.
        name: of the function, or None.
        sd: whether its standard deviation is shown.
    """
    name = "f" if name is None else str(name)
    return (f"sd of {name}" if sd else name) if label is None else label


def color_bar(axes: Axes, drawn: Any, name: str) -> None:
    """A bar of the colors beside the axes, as high as these.

    Args:
        axes: the axes.
        drawn: what has the colors.
        name: what they stand for.
    """
    figure: Any = axes.figure
    # Within the axes' own box, which follows where the units of both directions are equal.
    bar = figure.colorbar(drawn, cax=axes.inset_axes((1.03, 0.0, 0.045, 1.0)))
    bar.set_label(name)
    bar.outline.set_visible(False)


def slices(
    surface: LabeledSurface,
    along: str | None = None,
    *,
    at: Sequence[float] | None = None,
    grid: Any = None,
    inverse_link: Callable[[Any], Any] | None = None,
    observed: Any = None,
    probability: float = 0.95,
    kind: AbstractBand = EqualTailed(),
    axes: Axes | None = None,
) -> Axes:
    """Curves through a surface at a few values of its other input, with bands and a legend.

    Args:
        surface: f, of two inputs, one of which may be a group.
        along: the input of the curves; the first numeric one if omitted.
        at: values of the other input, or labels; if omitted a sixth, a half and five sixths of its
            domain, or all levels of a group.
        grid: of the curves, shape (g,); an even one over the domain if omitted.
        inverse_link: from the predictor to the response, as in `posterior.values`.
        observed: inputs of the data along the curves, shape (n,), drawn as a rug.
        probability: of the bands.
        kind: of bands, as in `effect`.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if `surface` is no `LabeledSurface`, or `axes` are none.
        ValueError: if the surface has other inputs or further axes, or there are too many curves.

    Example:
        >>> import matplotlib.figure, numpyro_splines as ns
        >>> margin = ns.CurveMargin(ns.BSplineBasis([0.0, 6.0]))
        >>> f = ns.TensorEffect("f", dose=margin, age=margin).function(np.ones((4, 100, 4, 4)))
        >>> axes = matplotlib.figure.Figure().add_subplot()
        >>> axes = slices(LabeledSurface(f), "dose", axes=axes)
        >>> [text.get_text() for text in axes.get_legend().texts]
        ['age = 1', 'age = 3', 'age = 5']
    """
    along, other = _along(surface, along)
    group = other in surface.levels
    if at is None and group:
        at = surface.levels[other]
    elif at is None:
        lower, upper = surface.surface.domain[other]
        at = [float(lower + share * (upper - lower)) for share in (1 / 6, 1 / 2, 5 / 6)]
    curves = {
        f"{other} {value}" if group else f"{other} = {value:.3g}": surface.slice(**{other: value})
        for value in at
    }
    axes = canvas(axes)
    name_axes(axes, y=surface.name if inverse_link is None else f"h({surface.name})")
    axes = compare(
        curves, grid, inverse_link=inverse_link, probability=probability, kind=kind, axes=axes
    )
    name_axes(axes, along)
    if observed is not None:
        rug(float64_rows(observed, "observed"), axes)
    return axes


def two_inputs(surface: Any, order: Any = None) -> tuple[str, str]:
    """Names of the two numeric inputs of a surface, in the order of the axes of a picture.

    Args:
        surface: what a user gave.
        order: names in the order that was asked for, or None.

    Raises:
        TypeError: if it is no `LabeledSurface`.
        ValueError: if it has other inputs, or more axes than chain and draw.
    """
    check_surface(surface)
    if len(surface.inputs) != 2 or len(surface.numeric) != 2:
        raise ValueError(
            f"`surface` must have two numeric inputs; got {surface.inputs} with groups "
            f"{list(surface.levels)}. Fix others by surface.slice(...), or take surface.mean(...)."
        )
    names = [name for name in order or () if name in surface.inputs]
    first, second = dict.fromkeys((*names, *surface.inputs))
    return first, second


def check_surface(surface: Any) -> None:
    """Refuse what is not one surface for each draw.

    Raises:
        TypeError: if it is no `LabeledSurface`.
        ValueError: if it has more axes than chain and draw.
    """
    if not isinstance(surface, LabeledSurface):
        raise TypeError(
            "`surface` must be a LabeledSurface, as posterior.surface(effect, draws) gives; got "
            f"{type(surface).__name__}."
        )
    if surface.dims[2:]:
        raise ValueError(
            f"`surface` must be one for each draw; got further axes {surface.dims[2:]}. Take one "
            "with surface.sel(...)."
        )


def _along(surface: Any, along: str | None) -> tuple[str, str]:
    check_surface(surface)
    chosen = surface.numeric[:1] if along is None else (along,)
    others = [name for name in surface.inputs if name not in chosen]
    if len(others) != 1 or not set(chosen) <= set(surface.numeric):
        raise ValueError(
            f"`along` must be a numeric input of a surface of two; got {along!r} of "
            f"{surface.inputs}."
        )
    return chosen[0], others[0]


def _pair(observed: Any) -> np.ndarray:
    """Observed inputs without rows that are not complete, shape (2, n)."""
    if not isinstance(observed, tuple | list | np.ndarray) or len(observed) != 2:
        raise ValueError("`observed` must be a pair of the two inputs of the data, (x, z).")
    x, z = (float64_rows(own, "observed") for own in observed)
    if x.shape != z.shape:
        raise ValueError(f"`observed` must be of one length; got {x.size} and {z.size}.")
    points = np.stack([x, z])
    return points[:, np.isfinite(points).all(axis=0)]


def _far(x: np.ndarray, z: np.ndarray, points: np.ndarray, too_far: float) -> np.ndarray:
    """Which points of a grid are far from all data, in units of the grid; shape (h, g)."""
    low, size = np.array([[x.min()], [z.min()]]), np.array([[np.ptp(x)], [np.ptp(z)]])
    size = np.where(size > 0.0, size, 1.0)
    cells = np.stack(np.meshgrid(x, z)).reshape(2, -1)
    tree = KDTree(((points - low) / size).T)
    distance, _ = tree.query(((cells - low) / size).T)
    return (distance > too_far).reshape(z.size, x.size)


def _whole(heights: np.ndarray) -> bool:
    return bool(np.isfinite(heights).all())


def _short(height: float) -> str:
    return f"{height:.3g}"


def _dots(axes: Axes, x: np.ndarray, z: np.ndarray) -> None:
    """Where the data lie, to be seen on light and dark colors."""
    axes.plot(x, z, "o", color="black", markersize=2.4, mec="white", mew=0.4, alpha=0.6, zorder=1.5)
