"""The curve: one or many piecewise polynomials as an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, ArrayLike, Float
from scipy.interpolate import PPoly

from numpyro_splines.extrapolation import Linear
from numpyro_splines.functions import algebra, evaluation, exchange, solving


class Curve(eqx.Module):
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

    breakpoints: Float[Array, "..."] | np.ndarray
    table: Float[Array, "..."] | np.ndarray
    increment: Float[Array, "..."] | np.ndarray | None = None
    periodic: bool = eqx.field(static=True, default=False)

    # So that NumPy arrays leave `array * curve` to the curve.
    __array_ufunc__ = None

    def __hash__(self) -> int:
        # By identity: arrays have no hash, and `jax.jit(curve)` needs one of the function.
        return object.__hash__(self)

    @property
    def degree(self) -> int:
        """Polynomial degree of the pieces."""
        return self.table.shape[-1] - 1

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of curves, () for one."""
        return self.table.shape[:-2]

    @property
    def domain(self) -> tuple[Any, Any]:
        """Left and right end of the domain."""
        return self.breakpoints[..., 0], self.breakpoints[..., -1]

    def __call__(self, x: ArrayLike) -> Float[Array, "..."]:
        """Value of every curve at every x.

        Args:
            x: points of any shape, in the units of the breakpoints.

        Returns:
            Shape (*batch_shape, *x.shape), in the units of f, dtype promoted from x and table.
        """
        return evaluation.evaluate(self, x)

    def pick(self, index: ArrayLike) -> Callable[[ArrayLike], Float[Array, "..."]]:
        """The curve that takes observation i to curve `index[i]` of the last batch axis.

        For group effects: `curve.pick(group)(x)` is one gather of n rows, whatever the number of
        groups; the (groups, n) matrix is never formed.

        Args:
            index: integers in [0, batch_shape[-1]), broadcast against the x to come. Not checked
                where traced.

        Returns:
            A function of x with values of shape (*batch_shape[:-1], *x.shape).

        Raises:
            TypeError: if the index is not of integers.
            ValueError: if there is no batch axis, or a concrete index is out of bounds.

        Example:
            >>> import numpyro_splines as ns
            >>> lines = ns.BSplineBasis([0.0, 1.0], degree=1).curve([[0.0, 1.0], [5.0, 5.0]])
            >>> print(lines.pick([0, 1, 0])([0.0, 0.5, 1.0]))
            [0. 5. 1.]
        """
        return evaluation.pick(self, index)

    def each(self, x: ArrayLike) -> Float[Array, "..."]:
        """Value of each curve at its own points: curve b at x[b], for every index b of the batch.

        The way to evaluate posterior curves at the posterior draws of a latent input.

        Args:
            x: shape (*batch_shape, *points).

        Returns:
            The shape of x.

        Raises:
            ValueError: if the leading axes of x are not the batch shape.
        """
        return evaluation.each(self, x)

    def derivative(self, order: int = 1) -> Curve:
        """The exact derivative d^order f / dx^order as another curve.

        One-sided at breakpoints (from the right; from the left at the right end); that of the
        extrapolation outside. Above the degree it is zero.

        Args:
            order: at least 0.

        Returns:
            Curve in units of f over units of x to the power `order`.
        """
        return evaluation.differentiate(self, order)

    def antiderivative(self) -> Curve:
        """The exact integral from the left end of the domain, F(x) = int_a^x f(t) dt, as a curve.

        Continuous everywhere, outside the domain too, unless f is discontinuous by NaN.

        Returns:
            Curve in units of f times units of x.

        Raises:
            ValueError: for the antiderivative of a periodically continued curve's antiderivative,
                which is no longer a polynomial plus a constant per period.
        """
        return evaluation.antidifferentiate(self)

    def integrate(self, lower: ArrayLike, upper: ArrayLike) -> Float[Array, "..."]:
        """Exact integral of f from `lower` to `upper`, vectorized over the bounds.

        Args:
            lower: lower bounds, any shape; may lie outside the domain, and above `upper` (the sign
                then changes).
            upper: upper bounds, broadcast against `lower`.

        Returns:
            Shape (*batch_shape, *bounds.shape), in units of f times units of x.
        """
        return evaluation.integrate(self, lower, upper)

    def inverse(self, y: ArrayLike) -> Float[Array, "..."]:
        """The x with f(x) = y, for a curve that increases or decreases over its domain.

        Newton's method inside a bracket; the continuations outside the domain count, straight ones
        exactly. Differentiable in y and in the curve (coefficients, breakpoints) by the implicit
        function theorem, dx = (dy - df(x)) / f'(x), forward and reverse, at any order; zero where
        f'(x) = 0. Where f is flat at y, the left-most x of the domain.

        Args:
            y: values of any shape, in the units of f.

        Returns:
            Shape (*batch_shape, *y.shape), in the units of x; NaN where no x has this value. Far
            from zero (Julian days, Unix seconds) a known curve gives NumPy float64, so that the
            curve can be asked there; a traced one what its dtype resolves.

        Raises:
            ValueError: if a concrete curve is not monotone over its domain, or is periodic. A
                traced one cannot be checked: there the result is some x, or NaN.

        Example:
            >>> import numpyro_splines as ns
            >>> curve = ns.ISplineBasis([0.0, 1.0, 2.0], degree=1).curve([1.0, 2.0, 1.0])
            >>> print(curve.inverse(curve([0.3, 1.5])))
            [0.3 1.5]
        """
        return solving.invert(self, y)

    def is_monotone(self) -> Any:
        """Whether f increases, or decreases, over its whole domain; shape (*batch_shape,).

        Exact, by the smallest and largest slope of every piece; up to rounding, flat stretches are
        allowed, but not everywhere.
        """
        return solving.is_monotone(self)

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
            of shape (*batch_shape, size). Far from zero NumPy float64, as for `inverse`.

        Raises:
            ValueError: if the level is not a single number.

        Example:
            >>> import numpyro_splines as ns
            >>> curve = ns.BSplineBasis([0.0, 2.0], degree=2).curve([0.0, 2.0, 0.0])
            >>> print(curve.roots(0.5).round(4), curve.roots(0.5, size=3).round(4))
            [0.2929 1.7071] [0.2929 1.7071    nan]
        """
        return solving.roots(self, level, size)

    def extrema(self, *, size: int | None = None) -> solving.Extrema:
        """Local maxima and minima in the interior of the domain: where f' changes sign.

        Also at breakpoints where f' jumps. A flat top or bottom counts once, at its right end.
        Differentiable in the curve. A periodic curve has its ends joined.

        Args:
            size: as in `roots`; the default is the number of intervals times max(degree, 1).

        Returns:
            Positions, values, and which are maxima, each as `roots` returns them.
        """
        return solving.extrema(self, size)

    def inflections(self, *, size: int | None = None) -> Any:
        """Where the curvature f'' changes sign in the interior of the domain.

        As `extrema` for the slope, kinks apart: f'' jumps at the breakpoints of a quadratic curve,
        and is zero throughout for lines.

        Args:
            size: as in `roots`; the default is the number of intervals times max(degree - 1, 1).

        Returns:
            Positions, as `roots` returns them.
        """
        return solving.inflections(self, size)

    def __add__(self, other: Any) -> Curve:
        """The sum with another curve, or with a number for each curve of the batch.

        Curves on different breakpoints are first written on those of both, which must then be
        concrete; the domain of the sum spans both, and each continues as it does. A curve that
        jumps at the right end b of its domain keeps its value there: the sum's breakpoint is the
        next float after b.
        """
        if isinstance(other, Curve):
            return algebra.add(self, other)
        return algebra.shift(self, other)

    def __mul__(self, other: Any) -> Curve:
        """The product with a number, or with one for each curve of the batch."""
        if isinstance(other, Curve):
            raise TypeError(
                "a curve is multiplied by numbers only; got two curves. Multiply their values, "
                "f(x) * g(x)."
            )
        return algebra.multiply(self, other)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Curve:
        """The curve -f."""
        return self * np.asarray(-1, self.table.dtype)

    def __sub__(self, other: Any) -> Curve:
        """The difference f - g; see `__add__`."""
        return self + (
            -other if isinstance(other, Curve) else -algebra.numbers(other, self.table.dtype)
        )

    def __rsub__(self, other: Any) -> Curve:
        """The difference of a number and the curve."""
        return -self + other

    def __truediv__(self, other: Any) -> Curve:
        """The quotient by a number, or by one for each curve of the batch."""
        return self * (1 / self._numbers(other))

    def _numbers(self, value: Any) -> Any:
        return algebra.numbers(value, self.table.dtype)

    def elevate(self, degree: int) -> Curve:
        """The same curve with pieces of a higher degree.

        Args:
            degree: at least the curve's own.

        Returns:
            A curve of that degree with the same values.

        Raises:
            ValueError: if the degree is lower.
        """
        return algebra.elevate(self, degree)

    def refine(self, points: ArrayLike) -> Curve:
        """The same curve with more breakpoints: knot insertion.

        Args:
            points: further breakpoints, in the domain and the units of x; those that are there
                already are ignored.

        Returns:
            A curve with the same values on the breakpoints of both.

        Raises:
            TypeError: if the points or the breakpoints are traced.
            ValueError: if a point lies outside the domain.

        Example:
            >>> import numpyro_splines as ns
            >>> curve = ns.BSplineBasis([0.0, 1.0], degree=1).curve([0.0, 1.0])
            >>> print(curve.refine([0.5]).breakpoints)
            [0.  0.5 1. ]
        """
        return algebra.refine(self, points)

    def restrict(self, lower: float, upper: float, *, extrapolation: Any = Linear()) -> Curve:
        """The curve on a sub-interval, which becomes the domain.

        Args:
            lower: left end of the new domain, in the old one.
            upper: right end.
            extrapolation: how it continues beyond the new ends, as in `BSplineBasis`.

        Returns:
            A curve with the same values in the interval; at its right end the limit from the left.

        Raises:
            TypeError: if the breakpoints are traced, or the extrapolation is no such object.
            ValueError: if the interval is empty or not inside the domain.

        Example:
            >>> import numpyro_splines as ns
            >>> curve = ns.BSplineBasis([0.0, 1.0], degree=2).curve([0.0, 0.0, 1.0])
            >>> print(curve.restrict(0.0, 0.5)([0.5, 1.0]))
            [0.25 0.75]
        """
        return algebra.restrict(self, lower, upper, extrapolation)

    @classmethod
    def from_scipy(cls, spline: Any) -> Curve:
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
        points, table, periodic = exchange.from_scipy(spline)
        return cls(points, table, periodic=periodic)

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
        return exchange.to_scipy(self, kind)
