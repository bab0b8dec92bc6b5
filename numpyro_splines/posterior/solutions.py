"""Equations of curves solved for every draw: inverse values, crossings, extrema, inflections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from numpyro_splines.functions import Curve
from numpyro_splines.posterior.labeled import LabeledCurve
from numpyro_splines.posterior.responses import linear_of
from numpyro_splines.validation import float64_array


def inverse(
    curve: LabeledCurve, y: Any, *, inverse_link: Callable[[Any], Any] | None = None
) -> xr.DataArray:
    """The x with h(f(x)) = y for every curve, such as the dose for a target; f must be monotone.

    Args:
        curve: f; `f + level` with an intercept.
        y: a number, or several targets, in the units of h(f). For targets that differ from draw to
            draw a `DataArray` with axes of the curves, and others for several: the relative ED50
            is at `values(f, [lowest, highest]).mean("x")`.
        inverse_link: h, as in `values`, and strictly monotone; the identity if omitted.

    Returns:
        x in its units, with axes chain, draw, those of the groups; and "target" with the targets as
        coordinate, if there are several, or the further axes of the `DataArray`. NaN where a curve
        never has this value, or is NaN itself. Continuations outside the domain count, as in
        `Curve.inverse`.

    Raises:
        TypeError: if h is no function.
        ValueError: if a curve is not monotone: see `crossings`; or h is not.

    Example:
        >>> import jax, numpy as np, numpyro_splines as ns
        >>> line = ns.BSplineBasis([0.0, 2.0], degree=1)
        >>> f = LabeledCurve(line.curve(np.broadcast_to([0.0, 1.0], (4, 100, 2))))
        >>> print(inverse(f, [0.1, 0.5]).values[0, 0])
        [0.2 1. ]
        >>> print(inverse(f, 0.6, inverse_link=jax.nn.sigmoid).values[0, 0].round(3))
        0.811
    """
    if isinstance(y, xr.DataArray):
        further = [dim for dim in y.dims if dim not in curve.dims]
        if further:
            dim = further[0]
            each = [inverse(curve, y.isel({dim: i}), inverse_link=inverse_link) for i in
                    range(y.sizes[dim])]  # fmt: skip
            along = y[dim] if dim in y.coords else str(dim)
            return xr.concat(each, along).transpose(..., dim)
        less, reached = _less(curve, y, inverse_link)
        return _inverse(less, np.zeros(()), np.zeros(())).where(reached)
    targets = float64_array(y, "y")
    if targets.ndim > 1:
        raise ValueError(
            "`y` must be a number, a list of numbers, or a DataArray with axes of the curves; got "
            f"shape {targets.shape}."
        )
    linear = targets if inverse_link is None else linear_of(inverse_link, targets)
    return _inverse(curve, linear, targets)


def _inverse(curve: LabeledCurve, linear: np.ndarray, targets: np.ndarray) -> xr.DataArray:
    """The x with f(x) = linear, labeled by the targets."""
    dims = ("target",) if targets.ndim else ()
    exact = curve.exact("inverse")
    defined = _defined(exact)
    if defined.all():
        x = np.asarray(exact.inverse(linear))
    else:  # a draw that is no number is not monotone: without it the others are solved
        x = np.full((*defined.shape, *linear.shape), np.nan, exact.table.dtype)
        if defined.any():
            solved = np.asarray(_those(exact, defined).inverse(linear))
            x = x.astype(solved.dtype)
            x[defined] = solved
    return curve.array(x, dims, target=(dims, targets)).rename(curve.input_name)


def _less(
    curve: LabeledCurve, y: xr.DataArray, inverse_link: Callable[[Any], Any] | None
) -> tuple[LabeledCurve, xr.DataArray]:
    """f less what it is to be, of each curve; and whether it ever is."""
    values = float64_array(y.values, "y", missing="nan")
    for dim in set(y.dims) & set(y.coords) & set(curve.dims):
        if not np.array_equal(y[dim].values, curve.coords[str(dim)]):
            raise ValueError(
                f"`y` must have the coordinates of the curves along {dim!r}; got "
                f"{y[dim].values[:5]}, where the curves have {curve.coords[str(dim)][:5]}."
            )
    linear = values if inverse_link is None else linear_of(inverse_link, values)
    reached = np.isfinite(linear)
    return curve - y.copy(data=np.where(reached, linear, 0.0)), y.copy(data=reached)


def crossings(
    curve: LabeledCurve, level: Any = 0.0, *, inverse_link: Callable[[Any], Any] | None = None
) -> xr.Dataset:
    """All x in the domain where h(f(x)) = level, for every curve.

    Args:
        curve: f; `f + level` with an intercept.
        level: a number in the units of h(f); or a `DataArray` with axes of the curves, such as
            chain and draw, for levels that differ from draw to draw.
        inverse_link: h, as in `inverse`.

    Returns:
        `x` (under the name of the input), increasing along the axis "crossing" and padded by NaN;
        `count`, how many each curve has (NaN for a curve that is).

    Raises:
        TypeError: if h is no function.
        ValueError: if h is not monotone.

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> line = ns.BSplineBasis([0.0, 2.0], degree=1)
        >>> f = LabeledCurve(line.curve(np.broadcast_to([-1.0, 1.0], (4, 100, 2))))
        >>> print(crossings(f)["x"].values[0, 0])
        [1.]
    """
    if isinstance(level, xr.DataArray):
        less, reached = _less(curve, level, inverse_link)
        solved = crossings(less)
        if reached.all():
            return solved
        found = solved.where(reached)
        # A level that no response has is crossed by no curve; of one that is no number who knows.
        found["count"] = found["count"].fillna(0.0 * solved["count"])
        return found.where(level.notnull())
    elif inverse_link is not None:
        level = linear_of(inverse_link, float64_array(level, "level"))
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
