"""Where knots go: breakpoints from data or priors, and full knot vectors from breakpoints.

*Breakpoints* are strictly increasing and include both ends of the domain. A *full knot vector* is
what SciPy calls `t`: degree more knots at (or beyond) each end. NumPy or pandas in, NumPy float64
out.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numpyro_splines.arguments import number
from numpyro_splines.validation import (
    breakpoint_array,
    float64_array,
    integer_at_least,
    is_traced,
    order_at_least,
)

# Draws that stand in for a prior without a quantile function; the Monte Carlo error of the 0.05 %
# quantile is then about 1 % of a standard deviation.
_NUM_PRIOR_DRAWS = 1_000_000


def uniform(lower: float, upper: float, num: int) -> np.ndarray:
    """Evenly spaced breakpoints, lower + (upper - lower) i / (num - 1) for i = 0, ..., num - 1.

    Args:
        lower: left end of the domain.
        upper: right end, greater than `lower`.
        num: how many breakpoints, both ends counted; at least 2.

    Returns:
        Breakpoints, shape (num,).

    Raises:
        ValueError: if the ends are not finite and increasing, or `num` is below 2.

    Example:
        >>> uniform(0.0, 1.0, 5)
        array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    num = integer_at_least(num, 2, "num")
    ends = float64_array([lower, upper], "lower, upper")
    if not ends[0] < ends[1]:
        raise ValueError(f"`upper` must be greater than `lower`; got {ends[1]} and {ends[0]}.")
    return breakpoint_array(np.linspace(ends[0], ends[1], num), "lower, upper")


def quantile(x: Any, num: int, weights: Any = None) -> np.ndarray:
    """Breakpoints at quantiles of `x`, as many observations in each interval as ties allow.

    With distinct values v_1 < ... < v_m of total weight w_i, let F(v_i) be the weight below v_i
    plus w_i / 2, rescaled so that F(v_1) = 0 and F(v_m) = 1. Between distinct values F is linear,
    so it increases strictly and the breakpoints F^-1(i / (num - 1)) are distinct however heavy the
    ties. Without ties and weights this is R's quantile type 7, NumPy's default. For mgcv's rule
    (quantiles of the distinct values) pass `numpy.unique(x)`.

    Args:
        x: observations, any shape; NaN is an error.
        num: how many breakpoints, both ends counted; at least 2.
        weights: non-negative weights, the shape of `x`; equal when omitted.

    Returns:
        Breakpoints from min(x) to max(x), shape (num,).

    Raises:
        ValueError: for fewer than two distinct values of positive weight, negative weights, or
            weights of another shape.

    Example:
        >>> quantile([0.0, 1.0, 2.0, 10.0, 20.0], 3)
        array([ 0.,  2., 20.])
        >>> quantile([0.0, 1.0, 1.0, 1.0, 1.0, 2.0], 3)
        array([0., 1., 2.])
    """
    num = integer_at_least(num, 2, "num")
    x = float64_array(x, "x")
    weights = np.ones(x.shape) if weights is None else float64_array(weights, "weights")
    if weights.shape != x.shape:
        raise ValueError(f"`weights` must have the shape of `x`, {x.shape}; got {weights.shape}.")
    if np.any(weights < 0):
        raise ValueError(f"`weights` must not be negative; got {weights.min():.17g}.")
    values, group = np.unique(x[weights > 0], return_inverse=True)
    if values.size < 2:
        raise ValueError(
            f"`x` must hold at least 2 distinct values of positive weight; got {values.size}. "
            "Use numpyro_splines.knots.uniform(lower, upper, num) to choose the domain by hand."
        )
    mass = np.bincount(group, weights[weights > 0])
    position = np.cumsum(mass) - mass / 2
    position = (position - position[0]) / (position[-1] - position[0])
    return breakpoint_array(np.interp(np.linspace(0.0, 1.0, num), position, values))


def from_distribution(distribution: Any, num: int, coverage: float = 0.999) -> np.ndarray:
    """Evenly spaced breakpoints over the central `coverage` interval of a prior for x.

    The domain runs from the (1 - coverage) / 2 to the (1 + coverage) / 2 quantile; with batch
    dimensions (one prior per row, say) from the smallest lower to the largest upper quantile. A
    distribution without `icdf` is represented by a million draws with a fixed key.

    Args:
        distribution: a univariate NumPyro distribution.
        num: how many breakpoints, both ends counted; at least 2.
        coverage: prior probability inside the domain, in (0, 1); 1 is allowed where the support
            is bounded.

    Returns:
        Breakpoints, shape (num,).

    Raises:
        TypeError: for a multivariate distribution, or something else than a distribution.
        ValueError: for a coverage outside (0, 1] or an infinite domain.

    Example:
        >>> import numpyro.distributions as dist
        >>> from_distribution(dist.Uniform(2.0, 4.0), 3, coverage=1.0)
        array([2., 3., 4.])
    """
    coverage = number(coverage, "coverage")
    if not 0.0 < coverage <= 1.0:
        raise ValueError(f"`coverage` must lie in (0, 1]; got {coverage}.")
    if not hasattr(distribution, "sample") or getattr(distribution, "event_shape", None) != ():
        raise TypeError(
            "`distribution` must be a univariate NumPyro distribution; got "
            f"{type(distribution).__name__} with event shape "
            f"{getattr(distribution, 'event_shape', None)}."
        )
    try:
        lower, upper = _central_interval(distribution, coverage)
    except NotImplementedError:
        raise TypeError(
            f"`distribution` must be one that can be drawn; got {type(distribution).__name__}."
        ) from None
    if not (np.isfinite(lower) and np.isfinite(upper)):
        raise ValueError(
            f"`coverage` must give a bounded domain; got [{lower}, {upper}] at coverage "
            f"{coverage}. Use a coverage below 1 for a distribution with unbounded support."
        )
    if not lower < upper:
        raise ValueError(f"`coverage` must give an interval; got {lower} to {upper}.")
    return uniform(lower, upper, num)


def _central_interval(distribution: Any, coverage: float) -> tuple[float, float]:
    tail = (1.0 - coverage) / 2.0
    try:
        # One call per quantile: the probability must broadcast against any batch shape.
        ends = [np.asarray(distribution.icdf(q), dtype=float) for q in (tail, 1.0 - tail)]
    except (NotImplementedError, ImportError):  # some quantiles of NumPyro need another package
        num_draws = max(1, _NUM_PRIOR_DRAWS // max(1, int(np.prod(distribution.batch_shape))))
        draws = np.asarray(distribution.sample(jax.random.key(0), (num_draws,)), dtype=float)
        ends = [np.quantile(draws, q, axis=0) for q in (tail, 1.0 - tail)]
    return float(np.min(ends[0])), float(np.max(ends[1]))


def clamped(breakpoints: Any, degree: int) -> Any:
    """Full knot vector with both end breakpoints repeated degree + 1 times.

    Args:
        breakpoints: strictly increasing, both ends of the domain included; may be traced (free
            knots), and the result is then a JAX array.
        degree: polynomial degree, at least 0.

    Returns:
        Knots, shape (len(breakpoints) + 2 degree,).

    Example:
        >>> clamped([0.0, 0.5, 1.0], 2)
        array([0. , 0. , 0. , 0.5, 1. , 1. , 1. ])
    """
    degree = order_at_least(degree, 0, "degree")
    if is_traced(breakpoints):
        ends = jnp.repeat(breakpoints[:1], degree), jnp.repeat(breakpoints[-1:], degree)
        return jnp.concatenate([ends[0], breakpoints, ends[1]])
    points = breakpoint_array(breakpoints)
    return np.concatenate([np.repeat(points[0], degree), points, np.repeat(points[-1], degree)])


def extended(breakpoints: Any, degree: int) -> np.ndarray:
    """Full knot vector that continues the first and the last gap beyond each end: P-splines.

    With evenly spaced breakpoints every B-spline has the same shape, as Eilers and Marx (1996)
    assume for difference penalties.

    Args:
        breakpoints: strictly increasing, both ends of the domain included.
        degree: polynomial degree, at least 0.

    Returns:
        Knots, shape (len(breakpoints) + 2 degree,).

    Example:
        >>> extended([0.0, 0.5, 1.0], 2)
        array([-1. , -0.5,  0. ,  0.5,  1. ,  1.5,  2. ])
    """
    degree = order_at_least(degree, 0, "degree")
    points = breakpoint_array(breakpoints)
    steps = np.arange(1, degree + 1)
    left = points[0] - steps[::-1] * (points[1] - points[0])
    right = points[-1] + steps * (points[-1] - points[-2])
    return np.concatenate([left, points, right])


def periodic(breakpoints: Any, degree: int) -> np.ndarray:
    """Full knot vector that repeats the breakpoints with period b[-1] - b[0] beyond each end.

    Args:
        breakpoints: strictly increasing over exactly one period, both ends included.
        degree: polynomial degree, at least 0; it may exceed the number of intervals.

    Returns:
        Knots, shape (len(breakpoints) + 2 degree,).

    Example:
        >>> periodic([0.0, 1.0, 3.0], 2)
        array([-3., -2.,  0.,  1.,  3.,  4.,  6.])
    """
    degree = order_at_least(degree, 0, "degree")
    points = breakpoint_array(breakpoints)
    num_intervals = points.size - 1
    index = np.arange(-degree, num_intervals + degree + 1)
    turn, within = np.divmod(index, num_intervals)
    full = points[within] + turn * (points[-1] - points[0])
    full[degree : degree + points.size] = points  # the last breakpoint exactly, not first + period
    return full
