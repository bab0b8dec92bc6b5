"""What a curve does outside its domain, as option objects.

Each object turns the polynomial of the interval at an end of the domain into the polynomial beyond
that end: one more row of the table, so extrapolation costs nothing and has exact derivatives. A
pair, such as `(Constant(), Linear())`, treats left and right differently.
"""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import numpy as np

from numpyro_splines.ops.piecewise import array_module


class AbstractExtrapolation(eqx.Module):
    """How a polynomial continues beyond one end of the domain.

    A rule of your own defines `row`.

    Example:
        >>> from numpyro_splines import BSplineBasis
        >>> class Half(AbstractExtrapolation):
        ...     def row(self, polynomial, end):
        ...         return 0.5 * polynomial
        >>> curve = BSplineBasis([0.0, 1.0], degree=1, extrapolation=Half()).curve([1.0, 2.0])
        >>> print(curve([1.0, 1.5]))
        [2.   1.25]
    """

    @abc.abstractmethod
    def row(self, polynomial: Any, end: int) -> Any:
        """Coefficients beyond an end of the domain, in the coordinate u of the interval there.

        Args:
            polynomial: the interval's own coefficients of powers of u, shape (..., degree + 1).
            end: where the domain ends in that coordinate, 0 on the left and 1 on the right.

        Returns:
            Coefficients of the same shape.
        """


class Linear(AbstractExtrapolation):
    """The tangent at the end: f(e) + f'(e) (x - e).

    Continuously differentiable, so a sampler that wanders outside is led back. At degree 0 it is
    constant.

    Example:
        >>> from numpyro_splines import BSplineBasis
        >>> curve = BSplineBasis([0.0, 1.0], degree=2, extrapolation=Linear()).curve(
        ...     [0.0, 0.0, 1.0]
        ... )
        >>> print(curve([1.0, 2.0]))
        [1. 3.]
    """

    def row(self, polynomial: Any, end: int) -> Any:
        """See `AbstractExtrapolation.row`."""
        if polynomial.shape[-1] == 1:
            return polynomial
        value, slope = _value(polynomial, end), _slope(polynomial, end)
        return _row([value - end * slope, slope], polynomial)


class Constant(AbstractExtrapolation):
    """The value at the end, f(e).

    Example:
        >>> from numpyro_splines import BSplineBasis
        >>> basis = BSplineBasis([0.0, 1.0], degree=2, extrapolation=Constant())
        >>> print(basis.curve([0.0, 0.0, 1.0])([1.0, 2.0]))
        [1. 1.]
    """

    def row(self, polynomial: Any, end: int) -> Any:
        """See `AbstractExtrapolation.row`."""
        return _row([_value(polynomial, end)], polynomial)


class Polynomial(AbstractExtrapolation):
    """The polynomial of the last interval continued, as SciPy does by default.

    Example:
        >>> from numpyro_splines import BSplineBasis
        >>> basis = BSplineBasis([0.0, 1.0], degree=2, extrapolation=Polynomial())
        >>> print(basis.curve([0.0, 0.0, 1.0])([1.0, 2.0]))
        [1. 4.]
    """

    def row(self, polynomial: Any, end: int) -> Any:
        """See `AbstractExtrapolation.row`."""
        del end
        return polynomial


class Zero(AbstractExtrapolation):
    """Zero outside; the curve jumps at the end unless it is zero there.

    Example:
        >>> from numpyro_splines import BSplineBasis
        >>> basis = BSplineBasis([0.0, 1.0], degree=2, extrapolation=Zero())
        >>> print(basis.curve([0.0, 0.0, 1.0])([1.0, 2.0]))
        [1. 0.]
    """

    def row(self, polynomial: Any, end: int) -> Any:
        """See `AbstractExtrapolation.row`."""
        del end
        return array_module(polynomial).zeros_like(polynomial)


class NaN(AbstractExtrapolation):
    """Not a number outside, for where asking is a mistake; so are the curves of derivatives.

    Example:
        >>> from numpyro_splines import BSplineBasis
        >>> basis = BSplineBasis([0.0, 1.0], degree=2, extrapolation=NaN())
        >>> print(basis.curve([0.0, 0.0, 1.0])([1.0, 2.0]))
        [ 1. nan]
    """

    def row(self, polynomial: Any, end: int) -> Any:
        """See `AbstractExtrapolation.row`."""
        del end
        # Built without the coefficients, so that their gradient is zero and not NaN.
        return array_module(polynomial).full_like(polynomial, np.nan)


class Periodic(AbstractExtrapolation):
    """x outside the domain is moved into it by whole periods; it must stand on both sides.

    Points inside, both ends included, are not moved.

    Example:
        >>> from numpyro_splines import BSplineBasis
        >>> basis = BSplineBasis([0.0, 1.0], degree=2, extrapolation=Periodic())
        >>> print(basis.curve([0.0, 0.0, 1.0])([0.5, 1.5, 2.5]))
        [0.25 0.25 0.25]
    """

    def row(self, polynomial: Any, end: int) -> Any:
        """See `AbstractExtrapolation.row`; never reached by a point, kept for the table's shape."""
        del end
        return polynomial


def as_pair(extrapolation: Any) -> tuple[AbstractExtrapolation, AbstractExtrapolation]:
    """Left and right extrapolation from one object or a pair.

    Args:
        extrapolation: an object for both sides, or a pair (left, right).

    Returns:
        The pair.

    Raises:
        TypeError: for anything else, a class instead of an object included.
        ValueError: if only one side is periodic.

    Example:
        >>> as_pair(Linear())
        (Linear(), Linear())
    """
    pair = extrapolation if isinstance(extrapolation, tuple) else (extrapolation, extrapolation)
    if len(pair) != 2 or not all(isinstance(side, AbstractExtrapolation) for side in pair):
        raise TypeError(
            "`extrapolation` must be an object such as numpyro_splines.extrapolation.Linear(), or "
            f"a pair of them for left and right; got {extrapolation!r}."
        )
    if isinstance(pair[0], Periodic) != isinstance(pair[1], Periodic):
        raise ValueError(
            "`extrapolation` must be Periodic() on both sides or on neither; "
            f"got {pair[0]!r} and {pair[1]!r}."
        )
    return pair


def extend(rows: Any, pair: tuple[AbstractExtrapolation, AbstractExtrapolation]) -> Any:
    """The full table: rows of the intervals with the rows left and right of them.

    Args:
        rows: coefficients of powers of u of each interval, shape (..., M, degree + 1).
        pair: left and right extrapolation.

    Returns:
        Shape (..., M + 2, degree + 1).

    Example:
        >>> print(extend(np.array([[1.0, 2.0]]), (Constant(), Linear())))
        [[1. 0.]
         [1. 2.]
         [1. 2.]]
    """
    left = pair[0].row(rows[..., :1, :], 0)
    right = pair[1].row(rows[..., -1:, :], 1)
    return array_module(rows).concatenate([left, rows, right], axis=-2)


def _value(polynomial: Any, end: int) -> Any:
    return polynomial[..., :1] if end == 0 else polynomial.sum(-1, keepdims=True)


def _slope(polynomial: Any, end: int) -> Any:
    if end == 0:
        return polynomial[..., 1:2]
    powers = np.arange(polynomial.shape[-1]).astype(polynomial.dtype)
    return (polynomial * powers).sum(-1, keepdims=True)


def _row(leading: list[Any], polynomial: Any) -> Any:
    xp = array_module(polynomial)
    rest = xp.zeros_like(polynomial[..., len(leading) :])
    return xp.concatenate([*leading, rest], axis=-1)
