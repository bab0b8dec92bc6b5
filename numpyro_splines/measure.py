"""Reference measures: what centering and the scale of a smooth function are relative to.

A measure is a set of weighted points, so that every integral is a sum: quadrature nodes for the
uniform measure (exact for piecewise polynomials), the observations for an empirical one.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from numpyro_splines.validation import float64_array

# Share of the uniform measure mixed into an empirical one. Where no data lie, functions must have
# some weight or their scale is undefined; at 1 % the scale stays that of the data. Centering is at
# the observations alone: in a large data set 1 % is many pseudo-observations.
UNIFORM_SHARE = 0.01


class Measure(NamedTuple):
    """A probability measure on the domain of a basis, as weighted points.

    Attributes:
        points: shape (n,).
        weights: non-negative, summing to one, shape (n,).
        num_observations: the (effective) number of observations behind it, 0 for none.
        observed: weights of the observations alone, without a share of the uniform measure: what
            functions are centered by; those of the uniform measure where there are none.
    """

    points: np.ndarray
    weights: np.ndarray
    num_observations: float
    observed: np.ndarray

    @property
    def observations(self) -> Measure:
        """The measure of the observations alone."""
        return self._replace(weights=self.observed)


def quadrature(breakpoints: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights, exact for piecewise polynomials of the given degree.

    Args:
        breakpoints: shape (M + 1,).
        degree: polynomial degree of the integrand.

    Returns:
        Nodes and weights (which sum to the length of the domain), each of shape (M m,) with
        m = degree // 2 + 1 nodes per interval.
    """
    nodes, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    left, half = breakpoints[:-1, None], np.diff(breakpoints)[:, None] / 2
    return (left + half * (nodes + 1)).ravel(), (half * weights).ravel()


def clipped(
    edges: np.ndarray, lower: float | None = None, upper: float | None = None
) -> np.ndarray:
    """Edges of the panels of a sub-interval.

    Args:
        edges: of all panels, increasing.
        lower: start of the sub-interval, the first edge if omitted.
        upper: its end, the last edge if omitted.

    Raises:
        ValueError: if the sub-interval is empty or not inside the edges.
    """
    lower = float(edges[0] if lower is None else lower)
    upper = float(edges[-1] if upper is None else upper)
    if not edges[0] <= lower < upper <= edges[-1]:
        raise ValueError(
            "`lower` and `upper` must be increasing and inside the domain "
            f"[{edges[0]}, {edges[-1]}]; got {lower} and {upper}."
        )
    return np.unique(np.clip(edges, lower, upper))


def reference_measure(measure: Any, breakpoints: np.ndarray, degree: int) -> Measure:
    """The probability measure that a user's `measure=` argument stands for.

    Args:
        measure: None for the uniform measure on the domain; an array of observations of x (any
            shape, or a pandas Series) for the empirical one, mixed with 1 % of the uniform one; or
            a pair (observations, weights). NaN, and masked or NA entries, are not observed: they
            do not count. Observations outside the domain count at its nearer end, with a warning
            that says how many they are.
        breakpoints: of the basis.
        degree: of the products to be integrated exactly under the uniform measure.

    Returns:
        The measure. With weights, its number of observations is Kish's effective sample size,
        (sum w)^2 / sum w^2.

    Raises:
        TypeError: if the observations are traced or not real numbers.
        ValueError: if there are none, one is infinite, most of them lie outside the domain, or the
            weights are negative, all zero or of another shape.
    """
    nodes, lengths = quadrature(breakpoints, degree)
    uniform = lengths / lengths.sum()
    if measure is None:
        return Measure(nodes, uniform, 0.0, uniform)
    points, weights = measure if isinstance(measure, tuple) else (measure, None)
    points = float64_array(points, "measure", missing="nan").ravel()
    if weights is None:
        weights = np.ones(points.shape)
    weights = float64_array(weights, "measure weights").ravel()
    if points.size == 0 or weights.shape != points.shape:
        raise ValueError(
            "`measure` must be an array of observations, or a pair (observations, weights) of one "
            f"shape; got {points.size} observations and {weights.size} weights."
        )
    seen = ~np.isnan(points)
    if not seen.any():
        raise ValueError(
            "`measure` must hold at least one observation; all entries are NaN. Leave it out for "
            "the uniform measure."
        )
    points, weights = points[seen], weights[seen]
    if np.any(weights < 0) or not weights.sum() > 0:
        raise ValueError(
            "`measure` weights must be non-negative with a positive sum; got minimum "
            f"{weights.min():.17g} and sum {weights.sum():.17g}."
        )
    # What has no weight is not looked at.
    points, weights = points[weights > 0], weights[weights > 0]
    effective = weights.sum() ** 2 / (weights**2).sum()
    points = _inside(points, breakpoints[0], breakpoints[-1])
    shares = weights / weights.sum()
    return Measure(
        np.concatenate([points, nodes]),
        np.concatenate([(1.0 - UNIFORM_SHARE) * shares, UNIFORM_SHARE * uniform]),
        float(effective),
        np.concatenate([shares, np.zeros_like(uniform)]),
    )


def _inside(points: np.ndarray, lower: float, upper: float) -> np.ndarray:
    """Observations with those outside the domain moved to its nearer end, not without a word."""
    # Observations in single precision may miss an end of the domain by their rounding.
    margin = 4 * float(np.finfo(np.float32).eps) * max(abs(lower), abs(upper))
    margin = min(margin, 1e-3 * (upper - lower))
    outside = (points < lower - margin) | (points > upper + margin)
    num = int(outside.sum())
    got = (
        f"{num} of {points.size} observations outside the domain [{lower:.6g}, {upper:.6g}]; all "
        f"go from {points.min():.6g} to {points.max():.6g}"
    )
    if 2 * num > points.size:
        raise ValueError(
            f"`measure` must hold observations of x in the domain of the basis; got {got}. Are "
            "they in the units of the breakpoints? For a periodic basis give them modulo the "
            "period; for the uniform measure leave it out."
        )
    if num:
        warnings.warn(
            f"`measure` has {got}. They count at the nearer end. Widen the knots, or leave them "
            "out.",
            stacklevel=2,
        )
    return np.clip(points, lower, upper)
