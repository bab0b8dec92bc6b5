"""The curve itself, and its exchange with SciPy."""

from __future__ import annotations

from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from scipy.interpolate import BPoly, BSpline, PPoly

from numpyro_splines.extrapolation import NaN, Periodic, Polynomial, extend
from numpyro_splines.functions.algebra import AbstractCombinable
from numpyro_splines.ops.algebra import on_breakpoints
from numpyro_splines.ops.bspline import local_basis, spline_table
from numpyro_splines.validation import (
    check_knots,
    float64_array,
    increasing,
    real_array,
)


class Curve(AbstractCombinable):
    """One or many piecewise polynomials on common breakpoints, as a pytree.

    Mirrors `scipy.interpolate.PPoly`, with a row of the table for each side of the domain, so
    derivatives and integrals are exact everywhere. Made by `basis.curve(coefficients)`,
    `effect.sample()`, `effect.curve(draws)` or `Curve.from_scipy` rather than by hand.

    Right-continuous at breakpoints, the left limit at the right end of the domain. Outside, what
    the basis' extrapolation says.

    A function for `jax.jit`, `jax.grad` and `jax.vmap` as it is, and so are its methods. Called
    eagerly it is one compiled program.

    Attributes:
        breakpoints: increasing, both ends of the domain included, shape (M + 1,); with leading
            batch axes where every curve has its own. Above the fifth degree knot intervals are
            divided by further ones; see `BSplineBasis`.
        table: coefficients of powers of the normalized coordinate of each interval, shape
            (*batch, M + 2, degree + 1); see `numpyro_splines.ops.piecewise`.
        increment: f(x + period) - f(x) where it is not zero, shape (*batch,): the antiderivative of
            a periodic curve gains its integral over one period. Else None.
        periodic: whether x outside the domain is moved into it by whole periods.

    Example:
        >>> import jax, numpyro_splines as ns
        >>> curve = ns.BSplineBasis([0.0, 1.0, 2.0], degree=1).curve([0.0, 1.0, 0.0])
        >>> print(curve([0.5, 1.0, 3.0]))
        [ 0.5  1.  -1. ]
        >>> print(curve.derivative()([0.5, 1.0]), curve.integrate(0.0, 2.0))
        [ 1. -1.] 1.0
        >>> print(curve.roots(0.25), curve.extrema().x)
        [0.25 1.75] [1.]
        >>> rising = ns.BSplineBasis([0.0, 1.0], degree=1).curve([1.0, 3.0])
        >>> print(jax.jit(rising)(0.25), jax.jit(rising.inverse)(1.5))
        1.5 0.25
    """

    @classmethod
    def from_scipy(cls, spline: Any) -> Self:
        """The curve of a `scipy.interpolate` spline.

        Args:
            spline: a `BSpline` (repeated knots included) or a `PPoly`, such as `CubicSpline`,
                `PchipInterpolator` or `Akima1DInterpolator`. Its `extrapolate` True, False or
                "periodic" becomes polynomial continuation, NaN, or periodicity. Trailing axes of
                its coefficients become the batch of curves.

        Returns:
            A curve with the same values, in JAX's default float dtype.

        Raises:
            TypeError: for anything else.
            ValueError: if breakpoints, knots or B-spline coefficients are not finite.

        Example:
            >>> from scipy.interpolate import CubicSpline
            >>> curve = Curve.from_scipy(CubicSpline([0.0, 1.0, 2.0], [0.0, 1.0, 0.0]))
            >>> print(curve([0.5, 1.0]).round(4))
            [0.75 1.  ]
        """
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
        return cls(points, jnp.asarray(table), periodic=periodic)

    def to_scipy(self, kind: type = PPoly) -> Any:
        """The same function as a `scipy.interpolate` spline, in float64.

        Args:
            kind: `PPoly` (an interval more on each side holds the continuation) or `BSpline` (the
                same; all knots have multiplicity degree + 1). Equal to the curve everywhere, but
                SciPy's value at the right end of the domain is that of the continuation.

        Returns:
            A spline whose values have the batch of curves as trailing axes, as SciPy has them.

        Raises:
            TypeError: if the curve is traced, or `kind` is another class.
            ValueError: for the antiderivative of a periodic curve, or curves with breakpoints of
                their own.

        Example:
            >>> import numpyro_splines as ns
            >>> curve = ns.BSplineBasis([0.0, 1.0], degree=1).curve([0.0, 2.0])
            >>> print(curve.to_scipy()([0.5, 2.0]))
            [1. 4.]
        """
        if kind not in (PPoly, BSpline):
            raise TypeError(
                f"`kind` must be scipy.interpolate.PPoly or BSpline; got {kind!r}. Other classes "
                "are made from these."
            )
        if self.increment is not None or self.breakpoints.ndim > 1:
            raise ValueError(
                "`to_scipy` needs common breakpoints and no gain per period; got the "
                "antiderivative of a periodic curve, or curves with breakpoints of their own. "
                "Convert the curve before, or one by one."
            )
        points = float64_array(self.breakpoints, "breakpoints")
        # NaN rows are allowed: they are the continuation.
        table = np.asarray(self.table, dtype=np.float64)
        extrapolate: Any = "periodic" if self.periodic else True
        if not self.periodic:
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
