"""Equations of curves solved exactly: inverse, roots, extrema, inflections."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.functions.evaluation import AbstractEvaluable
from numpyro_splines.ops import piecewise
from numpyro_splines.ops import roots as solver
from numpyro_splines.validation import float_input, integer_at_least, is_traced


class Extrema(NamedTuple):
    """Local extrema of a curve.

    Attributes:
        x: positions, increasing.
        value: f(x).
        maximum: whether each is a maximum, else a minimum. (False in padding.)
    """

    x: Any
    value: Any
    maximum: Any


class AbstractSolvable(AbstractEvaluable):
    """Curves whose equations are solved; see `Curve`."""

    def inverse(self, y: ArrayLike) -> Float[Array, "..."]:
        """The x with f(x) = y, for a curve that increases or decreases over its domain.

        Newton's method inside a bracket; the continuations outside the domain count, straight ones
        exactly. Differentiable in y and in the curve (coefficients, breakpoints) by the implicit
        function theorem, dx = (dy - df(x)) / f'(x), forward and reverse, at any order; zero where
        f'(x) = 0. Where f is flat at y, the left-most x of the domain.

        Args:
            y: values of any shape, in the units of f.

        Returns:
            Shape (*batch_shape, *y.shape), in the units of x; NaN where no x has this value.

        Raises:
            ValueError: if a concrete curve is not monotone over its domain, or is periodic. A
                traced one cannot be checked: there the result is some x, or NaN.

        Example:
            >>> import numpyro_splines as ns
            >>> curve = ns.ISplineBasis([0.0, 1.0, 2.0], degree=1).curve([1.0, 2.0, 1.0])
            >>> print(curve.inverse(curve([0.3, 1.5])))
            [0.3 1.5]
        """
        y = float_input(y, "y")
        if self.periodic or not self._may_be_monotone():
            raise ValueError(
                "`inverse` needs a curve that increases or decreases over its whole domain; got "
                f"one that {'is periodic' if self.periodic else 'does not'}. Use roots(level) for "
                "all x of a value, or restrict(lower, upper) to a monotone stretch."
            )
        table, breakpoints, values = self._flat_arrays(y)
        x = self._origin + solver.invert(breakpoints, table, values.ravel())
        return jnp.asarray(x.reshape((*self.batch_shape, *y.shape)), values.dtype)

    def is_monotone(self) -> Any:
        """Whether f increases, or decreases, over its whole domain; shape (*batch_shape,).

        Exact, by the smallest and largest slope of every piece; up to rounding, flat stretches are
        allowed, but not everywhere.
        """
        # Known curves are looked at on the host, also while a model is traced.
        table, breakpoints = self._arrays()
        xp = piecewise.array_module(table, breakpoints)
        breakpoints = xp.broadcast_to(breakpoints, (*self.batch_shape, breakpoints.shape[-1]))
        table = table.reshape(-1, *table.shape[-2:])
        breakpoints = breakpoints.reshape(len(table), -1)
        low, high = solver.extreme_values(piecewise.differentiate(table, breakpoints, 1))
        rows, width = table[:, 1:-1], xp.diff(breakpoints).astype(table.dtype)
        unit = 64 * float(np.finfo(table.dtype).eps)
        # Slopes are differences of table entries, over the width of the interval: a level added to
        # the curve does not round them. Of jumps it does.
        scale = solver.scale_without_level(table, breakpoints)
        slack = unit * scale * piecewise.safe_reciprocal(width)
        # Empty intervals, of knots that coalesce, say nothing.
        low, high = (xp.where(width > 0, v, 0) for v in (low, high))
        jump = rows[:, 1:, 0] - rows[:, :-1].sum(-1)
        jump = xp.where((width[:, 1:] > 0) & (width[:, :-1] > 0), jump, 0)
        level = unit * abs(rows).max(-1)
        level = xp.maximum(level[:, 1:], level[:, :-1])
        up = xp.all(low >= -slack, axis=-1) & xp.all(jump >= -level, axis=-1)
        down = xp.all(high <= slack, axis=-1) & xp.all(jump <= level, axis=-1)
        steep = xp.any(xp.maximum(abs(low), abs(high)) > slack, axis=-1)
        return ((up | down) & steep).reshape(self.batch_shape)

    def _may_be_monotone(self) -> bool:
        """Whether all curves are monotone, or traced, so that nothing can be said."""
        traced = is_traced(self.table) or is_traced(self.breakpoints)
        return traced or bool(np.all(self.is_monotone()))

    def roots(self, level: ArrayLike = 0.0, *, size: int | None = None) -> Any:
        """All x in the domain (ends included) with f(x) = level, increasing.

        A touching root counts once. Where f equals the level throughout an interval, both ends of
        the stretch are given. Jumps across the level are not roots. Differentiable in the curve
        and the level wherever f crosses it at an angle.

        Args:
            level: a number, in the units of f.
            size: give a padded array of this many entries, the rest NaN; implied where anything is
                traced, with the number of intervals times max(degree, 1) by default.

        Returns:
            Array of the roots; for a batch of curves a (nested) list of arrays. Padded: one array
            of shape (*batch_shape, size).

        Raises:
            ValueError: if the level is not a single number.

        Example:
            >>> import numpyro_splines as ns
            >>> curve = ns.BSplineBasis([0.0, 2.0], degree=2).curve([0.0, 2.0, 0.0])
            >>> print(curve.roots(0.5).round(4), curve.roots(0.5, size=3).round(4))
            [0.2929 1.7071] [0.2929 1.7071    nan]
        """
        level = float_input(level, "level")
        if level.shape != ():
            raise ValueError(f"`level` must be one number; got shape {level.shape}.")
        table, breakpoints, height = self._flat_arrays(level)
        x = self._origin + solver.roots(breakpoints, table, height)
        return self._padded([x.astype(height.dtype)], size)[0]

    def extrema(self, *, size: int | None = None) -> Extrema:
        """Local maxima and minima in the interior of the domain: where f' changes sign.

        Also at breakpoints where f' jumps. A flat top or bottom counts once, at its right end.
        Differentiable in the curve. A periodic curve has its ends joined.

        Args:
            size: as in `roots`; the default is the number of intervals times max(degree, 1).

        Returns:
            Positions, values, and which are maxima, each as `roots` returns them.

        Example:
            >>> import numpyro_splines as ns
            >>> curve = ns.BSplineBasis([0.0, 2.0], degree=2).curve([0.0, 2.0, 0.0])
            >>> x, value, maximum = curve.extrema()
            >>> print(x, value, maximum)
            [1.] [1.] [ True]
        """
        x, value, sign = self._sign_changes(1)
        return Extrema(*self._padded([x, value, sign < 0], size))

    def inflections(self, *, size: int | None = None) -> Any:
        """Where the curvature f'' changes sign in the interior of the domain.

        As `extrema` for the slope, kinks apart: f'' jumps at the breakpoints of a quadratic curve,
        and is zero throughout for lines.

        Args:
            size: as in `roots`; the default is the number of intervals times max(degree - 1, 1).

        Returns:
            Positions, as `roots` returns them.

        Example:
            >>> import numpyro_splines as ns
            >>> curve = ns.BSplineBasis([0.0, 1.0]).curve([0.0, 1.0, -1.0, 0.0])
            >>> print(curve.inflections().round(4))
            [0.5]
        """
        (x,) = self._padded([self._sign_changes(2)[0]], size)
        return x

    def _sign_changes(self, order: int) -> tuple[Any, Any, Any]:
        table, breakpoints = self._flat_arrays()
        x, value, sign = solver.sign_changes(breakpoints, table, order, self.periodic)
        return (self._origin + x).astype(table.dtype), value, sign

    @property
    def _origin(self) -> float:
        """What the breakpoints are relative to here, as where the curve is evaluated."""
        known = self.breakpoints.ndim == 1 and not is_traced(self.breakpoints)
        return piecewise.origin(np.asarray(self.breakpoints, np.float64)) if known else 0.0

    def _arrays(self, *others: Any) -> tuple[Any, ...]:
        """Table, breakpoints and others in one dtype: NumPy's if all are concrete, else JAX's.

        Breakpoints are those that `piecewise.place` makes, relative to the origin and rounded. On
        the host they are float64 all the same, so that positions are rounded once, when found.
        """
        dtype = jnp.result_type(self.table.dtype, *[a.dtype for a in others])
        points: Any = self.breakpoints
        if not is_traced(points):
            points = (np.asarray(points, np.float64) - self._origin).astype(dtype)
        arrays = (self.table, points, *others)
        xp: Any = jnp if any(is_traced(a) for a in arrays) else np
        table, points, *rest = (xp.asarray(a, dtype=dtype) for a in arrays)
        return table, points.astype(np.float64) if xp is np else points, *rest

    def _flat_arrays(self, *others: Any) -> tuple[Any, ...]:
        """The same with the batch as one axis, and an axis in front of shared breakpoints."""
        table, breakpoints, *rest = self._flat()._arrays(*others)
        breakpoints = breakpoints if breakpoints.ndim > 1 else breakpoints[None]
        return table, breakpoints, *rest

    def _padded(self, found: list[Any], size: int | None) -> list[Any]:
        """Padded results cut or padded to `size`, or lists of them without their padding."""
        shape = self.batch_shape
        if size is None and isinstance(found[0], np.ndarray):
            kept = ~np.isnan(found[0])
            return [
                _nested([jnp.asarray(row[k]) for row, k in zip(f, kept, strict=True)], shape)
                for f in found
            ]
        num = found[0].shape[-1] if size is None else integer_at_least(size, 1, "size")
        return [_resized(jnp.asarray(f), num).reshape((*shape, num)) for f in found]


def _resized(values: Array, size: int) -> Array:
    missing = max(size - values.shape[-1], 0)
    padding = False if values.dtype == bool else jnp.nan
    pad = [(0, 0)] * (values.ndim - 1) + [(0, missing)]
    return jnp.pad(values, pad, constant_values=padding)[..., :size]


def _nested(items: list[Any], shape: tuple[int, ...]) -> Any:
    """A flat list as nested lists of the given shape."""
    if not shape:
        return items[0]
    step = math.prod(shape[1:])
    return [_nested(items[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]
