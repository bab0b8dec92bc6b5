"""Curves combined exactly: sums, multiples, other breakpoints, other domains."""

from __future__ import annotations

from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from numpyro_splines.extrapolation import Linear, Periodic, as_pair, extend
from numpyro_splines.functions.solving import AbstractSolvable
from numpyro_splines.ops.algebra import elevated, on_breakpoints
from numpyro_splines.validation import (
    breakpoint_array,
    float64_array,
    float_input,
    integer_at_least,
    is_traced,
)


class AbstractCombinable(AbstractSolvable):
    """Curves that add, scale, refine, restrict and elevate; see `Curve`."""

    # So that NumPy arrays leave `array * curve` to the curve.
    __array_ufunc__ = None

    def __add__(self, other: Any) -> Self:
        """The sum with another curve, or with a number for each curve of the batch.

        Curves on different breakpoints are first written on those of both, which must then be
        concrete; the domain of the sum spans both, and each continues as it does. A curve that
        jumps at the right end b of its domain keeps its value there: the sum's breakpoint is the
        next float after b.
        """
        if isinstance(other, AbstractCombinable):
            return self._plus(other)
        shift = self._factor(other)
        table = jnp.asarray(self.table, jnp.promote_types(self.table.dtype, shift.dtype))
        table = jnp.broadcast_to(
            table, (*jnp.broadcast_shapes(self.batch_shape, shift.shape), *table.shape[-2:])
        )
        return self._with(table.at[..., 0].add(shift[..., None]), self.increment)

    def __mul__(self, other: Any) -> Self:
        """The product with a number, or with one for each curve of the batch."""
        if isinstance(other, AbstractCombinable):
            raise TypeError(
                "a curve is multiplied by numbers only; got two curves. Multiply their values, "
                "f(x) * g(x)."
            )
        factor = self._factor(other)
        gain = None if self.increment is None else self.increment * factor
        return self._with(self.table * factor[..., None, None], gain)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Self:
        """The curve -f."""
        return self * np.asarray(-1, self.table.dtype)

    def __sub__(self, other: Any) -> Self:
        """The difference f - g; see `__add__`."""
        return self + (-other if isinstance(other, AbstractCombinable) else -self._factor(other))

    def __rsub__(self, other: Any) -> Self:
        """The difference of a number and the curve."""
        return -self + other

    def __truediv__(self, other: Any) -> Self:
        """The quotient by a number, or by one for each curve of the batch."""
        return self * (1 / self._factor(other))

    def elevate(self, degree: int) -> Self:
        """The same curve with pieces of a higher degree.

        Args:
            degree: at least the curve's own.

        Returns:
            A curve of that degree with the same values.

        Raises:
            ValueError: if the degree is lower.

        Example:
            >>> import numpyro_splines as ns
            >>> ns.BSplineBasis([0.0, 1.0], degree=1).curve([0.0, 1.0]).elevate(3).degree
            3
        """
        degree = integer_at_least(degree, self.degree, "degree")
        return self._with(elevated(self.table, degree), self.increment)

    def refine(self, points: ArrayLike) -> Self:
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
        old = self._common("refine")
        more = np.union1d(old, float64_array(points, "points"))
        if more[0] < old[0] or more[-1] > old[-1]:
            raise ValueError(
                f"`points` must lie in the domain [{old[0]}, {old[-1]}]; got {more[0]} to "
                f"{more[-1]}."
            )
        return type(self)(
            more, on_breakpoints(old, self.table, more), self.increment, self.periodic
        )

    def restrict(self, lower: float, upper: float, *, extrapolation: Any = Linear()) -> Self:
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
        old, pair = self._common("restrict"), as_pair(extrapolation)
        ends = breakpoint_array([lower, upper], "lower, upper")
        if ends[0] < old[0] or ends[1] > old[-1]:
            raise ValueError(
                f"`lower` and `upper` must lie in the domain [{old[0]}, {old[-1]}]; got {ends[0]} "
                f"and {ends[1]}."
            )
        points = np.union1d(old[(old > ends[0]) & (old < ends[1])], ends)
        rows = on_breakpoints(old, self.table, points)[..., 1:-1, :]
        return type(self)(points, extend(rows, pair), None, isinstance(pair[0], Periodic))

    def _with(self, table: Any, increment: Any) -> Self:
        return type(self)(self.breakpoints, table, increment, self.periodic)

    def _factor(self, other: Any) -> Any:
        # A Python number takes the dtype of the table, as in JAX.
        if isinstance(other, int | float) and not isinstance(other, bool):
            return jnp.asarray(other, self.table.dtype)
        return float_input(other, "other")

    def _common(self, name: str) -> np.ndarray:
        if self.breakpoints.ndim > 1 or is_traced(self.breakpoints):
            raise TypeError(
                f"`{name}` needs concrete breakpoints common to all curves; got breakpoints that "
                "are traced, or differ from curve to curve."
            )
        return np.asarray(self.breakpoints, dtype=np.float64)

    def _plus(self, other: AbstractCombinable) -> Self:
        first, second = self._aligned(other)
        degree = max(self.degree, other.degree)
        table = elevated(first.table, degree) + elevated(second.table, degree)
        gains = [g for g in (self.increment, other.increment) if g is not None]
        gain = None
        if gains:
            gain = jnp.broadcast_to(sum(gains[1:], gains[0]), table.shape[:-2])
        return type(self)(first.breakpoints, table, gain, self.periodic)

    def _aligned(self, other: AbstractCombinable) -> tuple[Any, Any]:
        """Both curves on the same breakpoints."""
        if self.periodic != other.periodic:
            raise ValueError(
                "curves can be added if both or neither are periodic; got one of each. Restrict "
                "the periodic one to an interval first."
            )
        if self.breakpoints is other.breakpoints:
            return self, other
        old = self._common("+"), other._common("+")
        if np.array_equal(*old):
            return self, other
        if self.periodic and (old[0][0], old[0][-1]) != (old[1][0], old[1][-1]):
            raise ValueError(
                f"periodic curves can be added on one period; got domains from {old[0][0]} to "
                f"{old[0][-1]} and from {old[1][0]} to {old[1][-1]}."
            )
        old = self._own_end(old[0], other, old[1]), other._own_end(old[1], self, old[0])
        both = np.union1d(*old)
        first, second = (
            type(self)(both, on_breakpoints(points, f.table, both), f.increment, f.periodic)
            for f, points in zip((self, other), old, strict=True)
        )
        return first, second

    def _own_end(
        self, points: np.ndarray, other: AbstractCombinable, others: np.ndarray
    ) -> np.ndarray:
        """Breakpoints with the right end inside the last interval, if a sum goes on with a jump.

        Inside its domain a sum is right-continuous, but at the end of its own domain a curve has
        the value from the left. The next float of the dtype that the sum has begins what follows.
        """
        dtype = jnp.promote_types(self.table.dtype, other.table.dtype)
        after = float(np.nextafter(points[-1].astype(dtype), np.asarray(np.inf, dtype)))
        if not points[-1] < after <= others[-1] or not self._may_jump_at_end():
            return points
        return np.append(points[:-1], after)

    def _may_jump_at_end(self) -> bool:
        """Whether the continuation on the right starts elsewhere; traced curves may."""
        if is_traced(self.table):
            return True
        last, beyond = (np.asarray(self.table)[..., row, :] for row in (-2, -1))
        size = 64 * float(np.finfo(last.dtype).eps) * abs(last).sum(-1)
        return not np.all(abs(last.sum(-1) - beyond.sum(-1)) <= size)
