"""Linear constraints on the functions of a basis, as option objects for `basis.constrained(...)`.

Each object gives the rows C of conditions C c = 0 on the coefficients: the gradient of a linear
functional of the curve, in float64.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numpyro_splines.validation import float64_array, order_at_least

# Rows of unit length whose singular values are below this say the same thing twice.
_RANK_TOLERANCE = 1e-10
# A sum this small relative to its terms is rounding: of the terms, and of knots far from zero.
_ROUNDING = 1e-11


class AbstractConstraint(eqx.Module):
    """A linear condition on curves.

    A condition of your own defines `rows`; mostly a `Functional` will do.

    Example:
        >>> import numpyro_splines as ns
        >>> class EqualEnds(AbstractConstraint):
        ...     def rows(self, basis):
        ...         left, right = basis.domain
        ...         return basis.functional(lambda f: f(right) - f(left))
        >>> ns.BSplineBasis([0.0, 0.5, 1.0]).constrained(EqualEnds()).num_coefficients
        4
    """

    @abc.abstractmethod
    def rows(self, basis: Any) -> np.ndarray:
        """C with C c = 0 for the coefficients c of curves that satisfy the condition.

        Args:
            basis: an `AbstractBasis`.

        Returns:
            Shape (number of conditions, K), float64.
        """


class ZeroIntegral(AbstractConstraint):
    """The integral of f against a reference measure is zero: f is centered.

    Args:
        measure: as in `AbstractBasis.measure`; uniform on the domain if omitted.

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.BSplineBasis([0.0, 1.0], degree=1).constrained(ZeroIntegral())
        >>> print((basis([0.0, 0.5, 1.0]) / basis(1.0)).ravel())
        [-1.  0.  1.]
    """

    measure: Any = None

    def rows(self, basis: Any) -> np.ndarray:
        """See `AbstractConstraint.rows`."""
        mu = basis.measure(self.measure)
        return _rows(basis, mu.points, mu.observed[None])


class ZeroMean(AbstractConstraint):
    """The mean of f over given points is zero, mgcv's sum-to-zero constraint.

    Args:
        x: points, any shape; those outside the domain count with the extrapolated values.

    Raises:
        ValueError: if there are no points, or they are not finite.

    Example:
        >>> import numpyro_splines as ns
        >>> x = np.array([0.1, 0.2, 0.9])
        >>> basis = ns.BSplineBasis([0.0, 0.5, 1.0]).constrained(ZeroMean(x))
        >>> print(abs(basis(x).mean(axis=0)).round(6))
        [0. 0. 0. 0.]
    """

    x: Float[Array, "..."] | np.ndarray

    def __init__(self, x: Any):
        self.x = float64_array(x, "x").ravel()
        if self.x.size == 0:
            raise ValueError("`x` must hold at least one point; got none.")

    def rows(self, basis: Any) -> np.ndarray:
        """See `AbstractConstraint.rows`."""
        points = np.asarray(self.x)
        return _rows(basis, points, np.full((1, points.size), 1.0 / points.size))


class ZeroAt(AbstractConstraint):
    """f, or a derivative of f, is zero at one or several points.

    Args:
        point: a number or an array; outside the domain the extrapolation counts.
        derivative: which derivative, 0 for f itself. One-sided at breakpoints, as for curves.

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.BSplineBasis([0.0, 1.0, 2.0]).constrained(ZeroAt(1.0), ZeroAt(1.0, 1))
        >>> basis.num_coefficients
        3
    """

    point: Float[Array, "..."] | np.ndarray
    derivative: int = eqx.field(static=True)

    def __init__(self, point: Any, derivative: int = 0):
        self.point = float64_array(point, "point").ravel()
        self.derivative = order_at_least(derivative, 0, "derivative")

    def rows(self, basis: Any) -> np.ndarray:
        """See `AbstractConstraint.rows`."""
        points = np.asarray(self.point)
        return _rows(basis, points, np.eye(points.size), self.derivative)


class ZeroStart(AbstractConstraint):
    """f, or a derivative of f, is zero at the left end of the domain.

    Args:
        derivative: 0 to start at zero, 1 to start flat, 2 to start straight.

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.BSplineBasis([0.0, 0.5, 1.0]).constrained(ZeroStart())
        >>> print(basis(0.0))
        [0. 0. 0. 0.]
    """

    derivative: int = 0

    def rows(self, basis: Any) -> np.ndarray:
        """See `AbstractConstraint.rows`."""
        return ZeroAt(_end(basis, 0), self.derivative).rows(basis)


class ZeroEnd(AbstractConstraint):
    """f, or a derivative of f, is zero at the right end of the domain.

    Args:
        derivative: 0 to finish at zero, 1 to finish flat, 2 to finish straight.

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.BSplineBasis([0.0, 0.5, 1.0]).constrained(ZeroEnd())
        >>> print(basis(1.0))
        [0. 0. 0. 0.]
    """

    derivative: int = 0

    def rows(self, basis: Any) -> np.ndarray:
        """See `AbstractConstraint.rows`."""
        return ZeroAt(_end(basis, 1), self.derivative).rows(basis)


class Clamped(AbstractConstraint):
    """f is flat at both ends of the domain, f'(a) = f'(b) = 0.

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.BSplineBasis([0.0, 0.5, 1.0]).constrained(Clamped())
        >>> slopes = basis.curve(np.ones(3)).derivative()([0.0, 1.0])
        >>> print(abs(slopes).round(4))
        [0. 0.]
    """

    def rows(self, basis: Any) -> np.ndarray:
        """See `AbstractConstraint.rows`."""
        return np.concatenate([ZeroStart(1).rows(basis), ZeroEnd(1).rows(basis)])


class Periodic(AbstractConstraint):
    """f and its first derivatives agree at both ends of the domain.

    What curves do outside is still the extrapolation's business: give the basis
    `numpyro_splines.extrapolation.Periodic()`, or use `CyclicBasis`, which is both.

    Args:
        derivatives: up to which derivative; degree - 1 for a smooth periodic spline.

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6)).constrained(Periodic())
        >>> basis.num_coefficients  # 8 less values, slopes and curvatures at the ends
        5
    """

    derivatives: int = 2

    def rows(self, basis: Any) -> np.ndarray:
        """See `AbstractConstraint.rows`."""
        orders = range(order_at_least(self.derivatives, 0, "derivatives") + 1)
        start, end = (
            np.concatenate([ZeroAt(_end(basis, side), order).rows(basis) for order in orders])
            for side in (0, 1)
        )
        return without_rounding(end - start, np.abs(start) + np.abs(end))


class Linear(AbstractConstraint):
    """Any linear constraint on the coefficients, A c = 0.

    Args:
        matrix: A, shape (number of conditions, K) or (K,).

    Example:
        >>> import numpyro_splines as ns
        >>> basis = ns.BSplineBasis([0.0, 1.0]).constrained(Linear([1.0, 1.0, 1.0, 1.0]))
        >>> basis.num_coefficients
        3
    """

    matrix: Float[Array, "..."] | np.ndarray

    def __init__(self, matrix: Any):
        self.matrix = np.atleast_2d(float64_array(matrix, "matrix"))

    def rows(self, basis: Any) -> np.ndarray:
        """See `AbstractConstraint.rows`."""
        rows = np.asarray(self.matrix)
        if rows.ndim != 2 or rows.shape[1] != basis.num_coefficients:
            raise ValueError(
                f"`matrix` must have {basis.num_coefficients} columns, one per coefficient; got "
                f"shape {rows.shape}."
            )
        return rows


class Functional(AbstractConstraint):
    """Any linear functional of the curve is zero.

    Args:
        function: takes a curve to one or more numbers, linearly, in JAX operations.

    Raises:
        ValueError: by `basis.constrained`, if the function is not linear.

    Example:
        >>> import numpyro_splines as ns
        >>> halves = Functional(lambda f: f.integrate(0.0, 1.0) - f.integrate(1.0, 2.0))
        >>> basis = ns.BSplineBasis([0.0, 1.0, 2.0]).constrained(halves)
        >>> basis.num_coefficients
        4
    """

    function: Callable[[Any], Any] = eqx.field(static=True)

    def rows(self, basis: Any) -> np.ndarray:
        """See `AbstractConstraint.rows`."""
        if not callable(self.function):
            raise TypeError(f"`function` must be callable; got {type(self.function).__name__}.")
        return basis.functional(self.function)


def null_space(rows: np.ndarray) -> np.ndarray:
    """Z with C Z = 0 and Z' Z = I by Householder reflections, mgcv's rule for absorbing C c = 0.

    Columns of C that are zero are left out: their coefficients stay. Conditions that repeat others
    are dropped.

    Args:
        rows: C, shape (r, K).

    Returns:
        Shape (K, K - rank of C), orthonormal columns.

    Raises:
        ValueError: if C leaves nothing.

    Example:
        >>> print(null_space(np.array([[0.0, 3.0, 4.0]])).round(3))
        [[ 1.   0. ]
         [ 0.  -0.8]
         [ 0.   0.6]]
    """
    num = rows.shape[1]
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = (rows / np.where(length > 0, length, 1.0))[length[:, 0] > 0]
    directions = np.linalg.svd(rows, full_matrices=False)
    rank = int(np.sum(directions.S > _RANK_TOLERANCE))
    if rank >= num:
        raise ValueError(
            f"`constraints` must leave at least one function; got {rank} independent conditions on "
            f"{num} functions. Use more breakpoints or fewer constraints."
        )
    if rank < len(rows):
        rows = directions.Vh[:rank]
    active = np.flatnonzero(np.any(rows != 0, axis=0))
    kept = np.setdiff1d(np.arange(num), active[active.size - rank :])
    full = np.eye(num)
    reflected = np.linalg.qr(rows[:, active].T, mode="complete").Q[:, rank:]
    full[np.ix_(active, active[: active.size - rank])] = reflected
    return full[:, kept]


def without_rounding(rows: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Rows of sums with exact zeros where the terms cancel but for rounding.

    Args:
        rows: the sums, shape (r, K).
        size: sums of the absolute values of the terms, same shape.

    Returns:
        The rows, shape (r, K), zero where they are below 1e-11 of the size.

    Example:
        >>> print(without_rounding(np.array([[0.1 + 0.2 - 0.3, 0.5]]), np.array([[0.6, 0.5]])))
        [[0.  0.5]]
    """
    # Terms that should be zero may be rounding of larger ones, hence the share of the largest.
    size = np.maximum(size, 1e-3 * size.max(axis=-1, keepdims=True))
    return np.where(np.abs(rows) > _ROUNDING * size, rows, 0.0)


def gradient(function: Callable[[Any], Any], num: int) -> np.ndarray:
    """Rows C of a linear function of coefficients, function(c) = C c, on the host.

    Args:
        function: from coefficients, shape (num,), to any shape, in JAX operations.
        num: number K of coefficients.

    Returns:
        Shape (size of the result, K), float64 whatever JAX's precision.

    Raises:
        ValueError: if the function is not linear, or not finite.

    Example:
        >>> print(gradient(lambda c: c[0] - 2.0 * c[2], 3))
        [[ 1.  0. -2.]]
    """
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):

        def numbers(coefficients: Any) -> Any:
            return jnp.ravel(jnp.asarray(function(coefficients)))

        rows = np.asarray(jax.jacrev(numbers)(jnp.zeros(num)))
        probe = jnp.cos(jnp.arange(1.0, num + 1))
        error = np.abs(np.asarray(numbers(probe)) - rows @ np.asarray(probe))
    if not np.all(error <= 1e-8 * np.abs(rows).sum(axis=1)):
        raise ValueError(
            "`constraints` must be finite and linear in the curve, without a constant; got a "
            "functional whose value is not its gradient times the coefficients. Add fixed values "
            "as an offset in the model; keep points where the extrapolation is not NaN."
        )
    return rows


def _rows(basis: Any, points: np.ndarray, weights: np.ndarray, derivative: int = 0) -> np.ndarray:
    """Weighted sums of values of the curve, refused where it has no value."""
    rows = basis.weighted(points, weights, derivative)
    if not np.all(np.isfinite(rows)):
        raise ValueError(
            "`constraints` must be finite and linear in the curve; got points where it is not "
            f"finite, outside the domain {tuple(float(end) for end in basis.domain)}. Keep points "
            "where the extrapolation is not NaN."
        )
    return rows


def _end(basis: Any, side: int) -> np.ndarray:
    return np.asarray(basis.domain[side], dtype=np.float64)
