"""Colors, and what all pictures share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

# The palette of Okabe and Ito, which people with any color vision can tell apart, without the
# yellow that is hard to see on white.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
GRAY = "#555555"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, "#E69F00", "#56B4E9")
# Lines differ by more than their color, for print in black and white.
_DASHES = ("-", "--", "-.", ":")
# From here on a pair of color and line style comes again.
MOST_STROKES = math.lcm(len(PALETTE), len(_DASHES))
# Entries of a legend that leave room for curves inside the axes; the rows of one beside them.
_INSIDE, _ROWS = 6, 12


_WIDTH = 6.4


def canvas(axes: Axes | None, *, width: float = _WIDTH, height: float = 4.0) -> Axes:
    """The axes given, or those of a new figure.

    Args:
        axes: where to draw, or None.
        width: of the new figure, in inches.
        height: likewise.

    Raises:
        TypeError: if something else is given.
    """
    if axes is None:
        made: Axes = canvases(None, 1, columns=1, width=width, height=height)[0]
        return made
    if not isinstance(axes, Axes):
        raise TypeError(
            f"`axes` must be one Axes of matplotlib, or None for a new figure; got "
            f"{type(axes).__name__}."
        )
    return axes


def canvases(axes: Any, num: int, *, columns: int, width: float, height: float, **grid: Any) -> Any:
    """As `canvas`, for several panels: an array of shape (num,).

    Args:
        axes: as many axes, in any arrangement, or None.
        num: of panels.
        columns: of the new figure.
        width: of each of its panels, in inches.
        height: likewise.
        **grid: for `matplotlib.pyplot.subplots`.

    Raises:
        TypeError: if something else than axes is given.
        ValueError: if there are not as many.
    """
    if axes is not None:
        given = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        if given.size != num:
            raise ValueError(f"`axes` must hold {num} axes, one for each panel; got {given.size}.")
        return np.array([canvas(panel) for panel in given], dtype=object)
    columns = min(columns, num)
    rows = -(-num // columns)
    _, made = plt.subplots(
        rows,
        columns,
        figsize=(width * columns, height * rows),
        layout="constrained",
        squeeze=False,
        **grid,
    )
    panels = made.ravel()
    for unused in panels[num:]:
        unused.set_visible(False)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    return panels[:num]


def name_axes(axes: Axes, x: str | None = None, y: str | None = None) -> None:
    """Name axes that have no name yet.

    Args:
        axes: the axes.
        x: name of the horizontal one.
        y: name of the vertical one.
    """
    if x is not None and not axes.get_xlabel():
        axes.set_xlabel(x)
    if y is not None and not axes.get_ylabel():
        axes.set_ylabel(y)


def strokes(num: int) -> list[tuple[str, str]]:
    """Colors and line styles that tell several curves apart.

    Args:
        num: how many.
    """
    pairs = zip(cycle(PALETTE), cycle(_DASHES), strict=False)
    return list(islice(pairs, num))


def legend(axes: Axes) -> None:
    """A legend in the plain style of the pictures, if anything has a label; a long one is beside.

    Args:
        axes: the axes.
    """
    num = len(axes.get_legend_handles_labels()[1])
    if num > _INSIDE:
        legend_beside(axes)
    elif num:
        # The layout would shrink small axes to less than their legend.
        axes.legend(frameon=False, fontsize="small").set_in_layout(False)


def legend_beside(axes: Axes) -> None:
    """A legend to the right of the axes, in columns no higher than they are.

    Args:
        axes: the axes.
    """
    columns = _columns(len(axes.get_legend_handles_labels()[1]))
    axes.legend(
        frameon=False,
        fontsize="small",
        ncols=columns,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.0,
    )


def width_with_legend(labels: Sequence[str], *, beside: bool = False) -> float:
    """Width of a new figure, in inches, whose panel a legend leaves as wide as without one.

    Args:
        labels: of the legend.
        beside: the axes, also if there are few.
    """
    if len(labels) <= _INSIDE and not beside:
        return _WIDTH
    # Handle and gaps, and so much for a character of the small font.
    return _WIDTH + _columns(len(labels)) * (0.6 + 0.075 * max(map(len, labels)))


def _columns(num: int) -> int:
    return max(1, -(-num // _ROWS))
