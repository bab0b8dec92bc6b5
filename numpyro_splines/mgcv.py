"""mgcv's conventions, for models that are to be the same there: knots and the scale of penalties.

Knots of its `cr`, `cs` and `cc` are `knots.quantile(numpy.unique(x), k)`, plain differences
`penalties.Differences(order, plain=True)`, its constraint `constraints.ZeroMean(x)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numpyro_splines import knots
from numpyro_splines.validation import (
    breakpoint_array,
    float64_array,
    integer_at_least,
    order_at_least,
)


def ps_knots(
    x: Any, num_coefficients: int = 10, degree: int = 3, *, base: tuple[float, float] | None = None
) -> np.ndarray:
    """Full knot vector of P-splines by mgcv's rule, for `s(x, bs = "ps")` and `bs = "bs"`.

    The range of x is widened by 0.1 % of its length on each side and cut into k - degree even
    intervals; `degree` knots at the same distance follow beyond each end. Use it as
    `BSplineBasis(knots=..., degree=degree)` with `difference_penalty(order)` (ps) or
    `penalty(order)` (bs).

    Args:
        x: observations; the range is all that counts, so mgcv's two `knots` may be given instead.
        num_coefficients: mgcv's k, at least degree + 1.
        degree: polynomial degree; mgcv's `m[1] + 1` for ps, `m[1]` for bs.
        base: ends of a wider base interval, the outer two of mgcv's four `knots` for bs: the range
            of x, not widened, is cut into k - degree - 2 even intervals, and one more on each side
            reaches the ends. The knots beyond it are the mean distance apart.

    Returns:
        Knots, shape (num_coefficients + degree + 1,).

    Raises:
        ValueError: if there are too few coefficients or x has a single value, or the base interval
            does not contain x.

    Example:
        >>> print(ps_knots([0.0, 1.0], 5, degree=1).round(4))
        [-0.2515 -0.001   0.2495  0.5     0.7505  1.001   1.2515]

    References:
        mgcv's `smooth.construct.ps.smooth.spec` and `smooth.construct.bs.smooth.spec`.
    """
    degree = order_at_least(degree, 0, "degree")
    num_intervals = integer_at_least(num_coefficients, degree + 1, "num_coefficients") - degree
    lower, upper = _range(x)
    if base is None:
        margin = 0.001 * (upper - lower)
        inner = knots.uniform(lower - margin, upper + margin, num_intervals + 1)
    else:
        num_inner = integer_at_least(num_intervals - 1, 2, "num_coefficients - degree - 1")
        ends = float64_array(base, "base", ndim=1)
        if ends.size != 2:
            raise ValueError(f"`base` must be the two ends of an interval; got {ends.size} values.")
        inner = np.concatenate([ends[:1], knots.uniform(lower, upper, num_inner), ends[1:]])
        inner = breakpoint_array(inner, "base, x")
    step = (inner[-1] - inner[0]) / num_intervals
    beyond = step * np.arange(1, degree + 1)
    return np.concatenate([inner[0] - beyond[::-1], inner, inner[-1] + beyond])


def cp_knots(x: Any, num_coefficients: int = 10) -> np.ndarray:
    """Breakpoints of cyclic P-splines by mgcv's rule, `s(x, bs = "cp")`, for `CyclicBasis`.

    Even over the range of x, which is the period and is not widened.

    Args:
        x: observations; mgcv's two `knots`, the ends of the period, may be given instead.
        num_coefficients: mgcv's k.

    Returns:
        Breakpoints, shape (num_coefficients + 1,).

    Example:
        >>> cp_knots([0.0, 12.0], 4)
        array([ 0.,  3.,  6.,  9., 12.])
    """
    num = integer_at_least(num_coefficients, 1, "num_coefficients")
    return knots.uniform(*_range(x), num + 1)


def _range(x: Any) -> tuple[float, float]:
    """The ends of the data, if they are two numbers with a finite distance."""
    values = float64_array(x, "x")
    if values.size == 0 or not 0.0 < np.max(values) / 2.0 - np.min(values) / 2.0 < 1e307:
        raise ValueError(f"`x` must hold two different numbers or more; got shape {values.shape}.")
    return float(np.min(values)), float(np.max(values))


def penalty_scale(design: np.ndarray, penalty: np.ndarray) -> float:
    """mgcv's normalization of penalties: it uses S / s with s = norm1(S) / norminf(X)^2.

    Args:
        design: X, before constraints are absorbed, shape (n, K).
        penalty: S, shape (K, K).

    Returns:
        s: smoothing parameters of mgcv divided by it multiply S.

    Raises:
        ValueError: if X or S are no matrices of finite numbers, or empty, or X is zero.

    Example:
        >>> import numpy as np
        >>> penalty_scale(np.eye(2), np.array([[2.0, -2.0], [-2.0, 2.0]]))
        4.0

    References:
        `smoothCon(scale.penalty = TRUE)` of mgcv.
    """
    rows, square = (
        float64_array(value, name, ndim=2)
        for value, name in ((design, "design"), (penalty, "penalty"))
    )
    if not rows.any() or square.size == 0:
        raise ValueError(
            f"`design` and `penalty` must not be zero or empty; got shapes {rows.shape} and "
            f"{square.shape}."
        )
    return float(np.linalg.norm(square, 1) / np.linalg.norm(rows, np.inf) ** 2)
