"""Equations of curves solved for every draw: inverse values, crossings, extrema, inflections."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from numpyro_splines.functions import Curve
from numpyro_splines.posterior.labeled import LabeledCurve
from numpyro_splines.validation import float64_array


def inverse(curve: LabeledCurve, y: Any) -> xr.DataArray:
    """The x with f(x) = y for every curve, such as the dose for a target; f must be monotone.

    Args:
        curve: f.
        y: a number, or several targets, in the units of f.

    Returns:
        x in its units, with axes chain, draw, those of the groups; and "target" with the targets as
        coordinate, if there are several. NaN where a curve never has this value, or is NaN itself.

    Raises:
        ValueError: if a curve is not monotone: see `crossings`.

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> line = ns.BSplineBasis([0.0, 2.0], degree=1)
        >>> f = LabeledCurve(line.curve(np.broadcast_to([0.0, 1.0], (4, 100, 2))))
        >>> print(inverse(f, [0.1, 0.5]).values[0, 0])
        [0.2 1. ]
    """
    target = float64_array(y, "y")
    if target.ndim > 1:
        raise ValueError(f"`y` must be a number or a list of numbers; got shape {target.shape}.")
    dims = ("target",) if target.ndim else ()
    exact = curve.exact("inverse")
    defined = _defined(exact)
    if defined.all():
        x = np.asarray(exact.inverse(target))
    else:  # a draw that is no number is not monotone: without it the others are solved
        x = np.full((*defined.shape, *target.shape), np.nan, exact.table.dtype)
        if defined.any():
            solved = np.asarray(_those(exact, defined).inverse(target))
            x = x.astype(solved.dtype)
            x[defined] = solved
    return curve.array(x, dims, target=(dims, target)).rename(curve.input_name)


def crossings(curve: LabeledCurve, level: float = 0.0) -> xr.Dataset:
    """All x in the domain where f(x) = level, for every curve.

    Args:
        curve: f.
        level: in the units of f.

    Returns:
        `x` (under the name of the input), increasing along the axis "crossing" and padded by NaN;
        `count`, how many each curve has (NaN for a curve that is).

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> line = ns.BSplineBasis([0.0, 2.0], degree=1)
        >>> f = LabeledCurve(line.curve(np.broadcast_to([-1.0, 1.0], (4, 100, 2))))
        >>> print(crossings(f)["x"].values[0, 0])
        [1.]
    """
    exact = curve.exact("crossings")
    x = exact.roots(level, size=_most(curve))
    return _padded(curve, "crossing", {curve.input_name: x})


def extrema(curve: LabeledCurve) -> xr.Dataset:
    """Local maxima and minima inside the domain, for every curve; see `Curve.extrema`.

    Args:
        curve: f.

    Returns:
        `x` (under the name of the input) and `value`, increasing in x along the axis "extremum" and
        padded by NaN; `maximum`, whether it is one; `count`, how many each curve has (NaN for a
        curve that is).

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> hill = ns.BSplineBasis([0.0, 2.0], degree=2)
        >>> f = LabeledCurve(hill.curve(np.broadcast_to([0.0, 2.0, 0.0], (4, 100, 3))))
        >>> print(extrema(f)["x"].values[0, 0], extrema(f)["maximum"].values[0, 0])
        [1.] [ True]
    """
    exact = curve.exact("extrema")
    found = exact.extrema(size=_most(curve))
    arrays = {
        curve.input_name: found.x,
        "value": found.value,
        "maximum": found.maximum,
    }
    return _padded(curve, "extremum", arrays)


def inflections(curve: LabeledCurve) -> xr.Dataset:
    """Where the curvature changes sign, for every curve; see `Curve.inflections`.

    Args:
        curve: f.

    Returns:
        `x` (under the name of the input), increasing along the axis "inflection" and padded by NaN;
        `count`, how many each curve has (NaN for a curve that is).

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> basis = ns.BSplineBasis([0.0, 1.0])
        >>> f = LabeledCurve(basis.curve(np.broadcast_to([0.0, 1.0, -1.0, 0.0], (4, 100, 4))))
        >>> print(inflections(f)["x"].values[0, 0])
        [0.5]
    """
    exact = curve.exact("inflections")
    x = exact.inflections(size=_most(curve))
    return _padded(curve, "inflection", {curve.input_name: x})


def peak(curve: LabeledCurve, *, lowest: bool = False) -> xr.Dataset:
    """Where every curve is highest over its domain, ends included, and its value there.

    Args:
        curve: f; restrict it for another interval.
        lowest: where it is lowest instead.

    Returns:
        `x` (under the name of the input) and `value`, axes chain, draw and those of the groups. Of
        several equal ones the left-most; NaN for a curve that is.

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> hill = ns.BSplineBasis([0.0, 2.0], degree=2)
        >>> f = LabeledCurve(hill.curve(np.broadcast_to([0.0, 2.0, 0.0], (4, 100, 3))))
        >>> print(peak(f)["x"].values[0, 0], peak(f, lowest=True)["x"].values[0, 0])
        1.0 0.0
    """
    exact = curve.exact("peak")
    inner = exact.extrema(size=_most(curve))
    # Where f jumps, or is flat, the highest point may be at a breakpoint.
    ends = np.asarray(exact.breakpoints)
    ends = np.broadcast_to(ends, (*exact.batch_shape, ends.shape[-1]))
    x = np.concatenate([ends, np.asarray(inner.x)], axis=-1)
    value = np.concatenate([np.asarray(exact.each(ends)), inner.value], axis=-1)
    order = np.argsort(x, axis=-1, kind="stable")
    x, value = (np.take_along_axis(a, order, axis=-1) for a in (x, value))
    heights = np.where(np.isnan(value), -np.inf, -value if lowest else value)
    at = np.argmax(heights, axis=-1)[..., None]
    taken = [np.take_along_axis(a, at, axis=-1)[..., 0] for a in (x, value)]
    x, value = (np.where(_defined(exact), a, np.nan) for a in taken)
    return xr.Dataset({curve.input_name: curve.array(x), "value": curve.array(value)})


def _defined(exact: Curve) -> np.ndarray:
    """Whether each curve is a number throughout its domain; single draws may have failed."""
    inner = np.isfinite(np.asarray(exact.table)[..., 1:-1, :]).all(axis=(-2, -1))
    return np.asarray(inner & np.isfinite(np.asarray(exact.breakpoints)).all(axis=-1))


def _those(exact: Curve, kept: np.ndarray) -> Curve:
    """Some of a batch of curves, along one axis."""
    breakpoints = exact.breakpoints if exact.breakpoints.ndim == 1 else exact.breakpoints[kept]
    increment = None if exact.increment is None else exact.increment[kept]
    return Curve(breakpoints, exact.table[kept], increment, exact.periodic)


def _most(curve: LabeledCurve) -> int:
    """At least as many solutions as any equation of the curves can have."""
    exact = curve.exact("equations")
    return (exact.breakpoints.shape[-1] - 1) * max(exact.degree, 1) + 1


def _padded(curve: LabeledCurve, dim: str, arrays: dict[str, Any]) -> xr.Dataset:
    """Padded solutions, cut to what the curve with the most of them needs, and their counts."""
    defined = _defined(curve.exact(dim))
    # What is found where a curve is a number in parts of its domain does not count.
    rows = {
        name: np.where(defined[..., None], a, False if a.dtype == bool else np.nan)
        for name, a in ((name, np.asarray(a)) for name, a in arrays.items())
    }
    count = np.isfinite(rows[curve.input_name]).sum(-1)
    num = int(count.max(initial=0))
    found = {
        name: curve.array(a[..., :num], [dim], **{dim: np.arange(num)}) for name, a in rows.items()
    }
    counted = count if defined.all() else np.where(defined, count, np.nan)
    return xr.Dataset({**found, "count": curve.array(counted)})
