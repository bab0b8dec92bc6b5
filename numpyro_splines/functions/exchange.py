"""Curves to and from SciPy."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.interpolate import BPoly, BSpline, PPoly

from numpyro_splines.extrapolation import NaN, Periodic, Polynomial, extend
from numpyro_splines.functions.pieces import Pieces
from numpyro_splines.ops.algebra import on_breakpoints
from numpyro_splines.ops.bspline import local_basis, spline_table
from numpyro_splines.validation import (
    check_knots,
    float64_array,
    increasing,
    real_array,
)


def from_scipy(spline: Any) -> tuple[np.ndarray, Any, bool]:
    """Breakpoints and table of a spline, and whether it is periodic."""
    if isinstance(spline, BSpline):
        points, table = _bspline_rows(spline)
    elif isinstance(spline, PPoly):
        points, table = _ppoly_rows(spline)
    else:
        raise TypeError(
            "`spline` must be a scipy.interpolate.BSpline or PPoly (CubicSpline, "
            f"PchipInterpolator, ...); got {type(spline).__name__}."
        )
    periodic = spline.extrapolate == "periodic"
    rule = Periodic() if periodic else Polynomial() if spline.extrapolate else NaN()
    table = extend(table, (rule, rule)).astype(jnp.result_type(float))
    return points, jnp.asarray(table), periodic


def to_scipy(curve: Pieces, kind: type) -> Any:
    """The curve as a spline of that class."""
    if kind not in (PPoly, BSpline):
        raise TypeError(
            f"`kind` must be scipy.interpolate.PPoly or BSpline; got {kind!r}. Other classes "
            "are made from these."
        )
    if curve.increment is not None or curve.breakpoints.ndim > 1:
        raise ValueError(
            "`to_scipy` needs common breakpoints and no gain per period; got the "
            "antiderivative of a periodic curve, or curves with breakpoints of their own. "
            "Convert the curve before, or one by one."
        )
    points = float64_array(curve.breakpoints, "breakpoints")
    # NaN rows are allowed: they are the continuation.
    table = np.asarray(curve.table, dtype=np.float64)
    extrapolate: Any = "periodic" if curve.periodic else True
    if not curve.periodic:
        margin = (points[-1] - points[0]) * 0.5
        wider = np.concatenate([[points[0] - margin], points, [points[-1] + margin]])
        table, points = on_breakpoints(points, table, wider), wider
    rows = table[..., 1:-1, :] / np.diff(points)[:, None] ** np.arange(table.shape[-1])
    powers = np.moveaxis(rows, (-1, -2), (0, 1))[::-1]
    piecewise = PPoly(powers, points, extrapolate=extrapolate)
    return piecewise if kind is PPoly else _bspline(piecewise)


def _ppoly_rows(spline: PPoly) -> tuple[np.ndarray, np.ndarray]:
    """Breakpoints and interval rows; SciPy's are highest power first, axes (power, interval)."""
    points = increasing(float64_array(spline.x, "spline.x"), "spline.x", strict=False)
    # NaN coefficients are allowed: they say that there is no value.
    powers = np.asarray(real_array(spline.c, "spline.c"), dtype=np.float64)
    kept = np.diff(points) > 0
    rows = np.moveaxis(powers[::-1, kept], (0, 1), (-1, -2))
    rows = rows * np.diff(points)[kept, None] ** np.arange(rows.shape[-1])
    return np.append(points[:-1][kept], points[-1]), rows


def _bspline_rows(spline: BSpline) -> tuple[np.ndarray, np.ndarray]:
    """Breakpoints and interval rows of B-splines; SciPy's coefficients come first."""
    knots = check_knots(float64_array(spline.t, "spline.t"), spline.k)
    local = local_basis(knots, spline.k)
    num = len(knots) - spline.k - 1
    coefficients = np.moveaxis(float64_array(spline.c, "spline.c")[:num], 0, -1)
    return local.breakpoints, spline_table(local, coefficients)


def _bspline(piecewise: Any) -> BSpline:
    """B-splines with knots of full multiplicity: the Bernstein coefficients of each piece."""
    bernstein = BPoly.from_power_basis(piecewise)
    degree = bernstein.c.shape[0] - 1
    knots = np.repeat(bernstein.x, degree + 1)
    coefficients = np.moveaxis(bernstein.c, 1, 0).reshape(-1, *bernstein.c.shape[2:])
    extrapolate: Any = piecewise.extrapolate
    return BSpline(knots, coefficients, degree, extrapolate=extrapolate)
