"""A number for each group, and for each area on a map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from numpyro_splines.plotting.style import BLUE, GRAY, canvas, name_axes
from numpyro_splines.plotting.surfaces import bar_name, check_surface, color_bar, scale_of
from numpyro_splines.posterior import bands, values
from numpyro_splines.posterior.kinds import AbstractBand, EqualTailed, moments
from numpyro_splines.posterior.labeled import SAMPLE
from numpyro_splines.posterior.surfaces import LabeledSurface
from numpyro_splines.validation import float64_array

_MOST_NAMES = 40  # labels of levels that can be read along one axis


def levels(
    draws: Any,
    *,
    probability: float = 0.95,
    kind: AbstractBand = EqualTailed(),
    color: str = BLUE,
    axes: Axes | None = None,
) -> Axes:
    """A number for each group: its mean as a dot, its interval as a line, one above the other.

    Args:
        draws: a `LabeledSurface` of one group, such as `f.component("school")`; or a `DataArray`
            with the axes chain, draw and one more.
        probability: of the intervals.
        kind: of intervals, as in `effect`.
        color: of dots and lines.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes.

    Raises:
        TypeError: if the draws or the axes are something else.
        ValueError: if there is no such axis, or several.

    Example:
        >>> import matplotlib.figure, xarray as xr
        >>> draws = xr.DataArray(np.ones((4, 100, 3)), dims=["chain", "draw", "school"])
        >>> axes = levels(draws, axes=matplotlib.figure.Figure().add_subplot())
        >>> axes.get_ylabel()
        'school'
    """
    data, axis = _by_level(draws)
    summary = bands(data, probability, kind)
    labels = [str(label) for label in data[axis].values]
    places = np.arange(len(labels))
    axes = canvas(axes, height=min(max(2.0, 1.0 + 0.22 * len(labels)), 9.0))
    axes.axvline(0.0, color=GRAY, linewidth=0.8, linestyle=":")
    axes.hlines(places, summary["lower"], summary["upper"], color=color, alpha=0.6, linewidth=1.6)
    axes.plot(summary["mean"], places, "o", color=color, markersize=4)
    shown = places[:: -(-len(labels) // _MOST_NAMES)]
    axes.set_yticks(shown, [labels[place] for place in shown], fontsize="small")
    axes.set_ylim(len(labels) - 0.5, -0.5)
    name_axes(axes, None if data.name is None else str(data.name), axis)
    return axes


def areas(
    draws: Any,
    places: Any,
    *,
    sd: bool = False,
    size: float = 60.0,
    label: str | None = None,
    axes: Axes | None = None,
) -> Axes:
    """A map of areas, colored by the posterior mean of a number for each, or by its deviation.

    Args:
        draws: as in `levels`.
        places: where the areas are: a mapping from their labels to centroids (x, y), drawn as dots;
            an array of centroids in the order of the areas, shape (n, 2); or a GeoDataFrame or a
            GeoSeries whose index holds the labels, drawn as polygons.
        sd: show the standard deviation in place of the mean.
        size: of the dots, in square points.
        label: of the color bar; the name of the draws if omitted.
        axes: where to draw; a new figure if omitted.

    Returns:
        The axes, of equal units in both directions; what is colored is the first of its
        `collections`.

    Raises:
        TypeError: if the draws or the axes are something else.
        ValueError: if areas have no place, or places are no centroids.

    Example:
        >>> import matplotlib.figure, xarray as xr
        >>> draws = xr.DataArray(np.ones((4, 100, 2)), dims=["chain", "draw", "county"])
        >>> draws = draws.assign_coords(county=["a", "b"])
        >>> where = {"a": (0.0, 1.0), "b": (1.0, 1.0)}
        >>> axes = areas(draws, where, axes=matplotlib.figure.Figure().add_subplot())
        >>> len(axes.collections)
        1
    """
    data, axis = _by_level(draws)
    labels = data[axis].values.tolist()
    center, spread = moments(data)
    heights = np.asarray((spread if sd else center).values)
    norm, colors = scale_of(heights, sd=sd)
    geometry = getattr(places, "geometry", None)
    colored: dict[str, Any] = {"cmap": colors, "norm": norm, "linewidth": 0.4}
    if geometry is None:
        points = _centroids(labels, places)
        axes = canvas(axes, width=5.8, height=4.8)
        drawn = axes.scatter(points[:, 0], points[:, 1], size, c=heights, edgecolor=GRAY, **colored)
    else:
        shapes = dict(zip(geometry.index.tolist(), geometry, strict=True))
        found = [list(_outlines(shape)) for shape in _each(labels, shapes)]
        patches = [PathPatch(path) for own in found for path in own]
        drawn = PatchCollection(patches, edgecolor="white", **colored)
        drawn.set_array(np.repeat(heights, [len(own) for own in found]))
        axes = canvas(axes, width=5.8, height=4.8)
        axes.add_collection(drawn)
        axes.autoscale_view()
    axes.set_aspect("equal")
    color_bar(axes, drawn, bar_name(label, data.name, sd=sd))
    name_axes(axes, "x", "y")
    return axes


def _by_level(draws: Any) -> tuple[Any, str]:
    """Draws of a number for each level, and the name of their axis."""
    if isinstance(draws, LabeledSurface):
        check_surface(draws)
        if len(draws.inputs) != 1 or not draws.levels:
            raise ValueError(
                f"`draws` must be of one group; got a surface of {draws.inputs}. Take a component, "
                "draws.component(...), or fix other inputs by draws.slice(...)."
            )
        draws = values(draws)
    if not hasattr(draws, "dims"):
        raise TypeError(
            "`draws` must be a LabeledSurface of one group, or a DataArray with the axes chain, "
            f"draw and one more; got {type(draws).__name__}."
        )
    further = [str(dim) for dim in draws.dims if dim not in SAMPLE]
    if len(further) != 1 or draws.ndim != len(SAMPLE) + 1:
        raise ValueError(f"`draws` must have chain, draw and one more axis; got {draws.dims}.")
    return draws.transpose(*SAMPLE, *further), further[0]


def _each(labels: list[Any], places: Mapping[Any, Any]) -> list[Any]:
    """The place of each label."""
    if missing := [label for label in labels if label not in places]:
        raise ValueError(
            f"`places` must hold a place for each area; got none for {missing[:5]}. The index of "
            "a GeoDataFrame must hold the labels: set_index(...)."
        )
    return [places[label] for label in labels]


def _centroids(labels: list[Any], places: Any) -> np.ndarray:
    found = _each(labels, places) if isinstance(places, Mapping) else places
    points = float64_array(found, "places")
    if points.shape != (len(labels), 2):
        raise ValueError(
            f"`places` must hold a pair (x, y) for each of the {len(labels)} areas; got shape "
            f"{points.shape}."
        )
    return points


def _outlines(shape: Any) -> Iterator[Path]:
    """Paths of a polygon, or of several, with their holes; by what shapely's objects offer."""
    for part in getattr(shape, "geoms", [shape]):
        rings = [_turned(part.exterior, 1.0), *(_turned(ring, -1.0) for ring in part.interiors)]
        codes = [[Path.MOVETO, *[Path.LINETO] * (len(r) - 2), Path.CLOSEPOLY] for r in rings]
        yield Path(np.concatenate(rings), np.concatenate(codes))


def _turned(ring: Any, sign: float) -> np.ndarray:
    """Corners of a ring, counterclockwise or clockwise: holes must turn against what is around."""
    corners = np.asarray(ring.coords, np.float64)[:, :2]
    x, y = (corners - corners[0]).T
    area = np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])
    return corners if area * sign >= 0.0 else corners[::-1]
