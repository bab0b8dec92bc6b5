"""Tables of piecewise polynomials for the laws of the engine, which do not depend on the basis.

Every entry is random, so the functions jump at breakpoints and at the ends of the domain: taking
the wrong side of one shows. All tables of a degree have one shape, for one program. Breakpoints are
float32 numbers, so that both precisions see the same.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from cases.extrapolations import EXTRAPOLATIONS
from numpyro_splines.extrapolation import as_pair, extend

DEGREES = range(9)
BREAKPOINTS = [
    np.array([-1.0, -0.6875, 0.25, 0.3125, 1.0, 3.0]),
    np.array([2000.0, 2002.5, 2004.0, 2012.5, 2014.0, 2016.0]),
    2.0**-10 * np.array([0.0, 1.0, 2.0, 3.0, 4.0, 8.0]),
]
_RULES = [rule for name, rule in EXTRAPOLATIONS.items() if name != "periodic"]


class Stack(NamedTuple):
    """Functions, each on its own breakpoints and at its own points.

    Attributes:
        breakpoints: shape (functions, M + 1).
        table: shape (functions, M + 2, degree + 1).
        x: every breakpoint, two points between neighbors, and points outside, (functions, n).
    """

    breakpoints: np.ndarray
    table: np.ndarray
    x: np.ndarray

    def astype(self, dtype):
        return Stack(*(array.astype(dtype) for array in self))

    def terms(self, order=0, periodic=False):
        """Terms whose sum over the last axis is the derivative, (functions, n, degree + 1)."""
        return np.stack([terms(*one, order, periodic) for one in zip(*self, strict=True)])


def terms(breakpoints, table, x, order, periodic=False):
    """Terms c_k (d/dx)^order u^k, from the definition in `ops.piecewise`, by powers, in float64.

    Right-continuous; at the right end of the domain the left limit.
    """
    start, end = breakpoints[[0, -1]]
    if periodic:
        moved = start + (x - start) % (end - start)
        x = np.where((x < start) | (x > end), moved, x)
    row = np.sum(breakpoints <= x[:, None], axis=1)
    row = np.where(x == end, breakpoints.size - 1, row)
    interval = np.clip(row - 1, 0, breakpoints.size - 2)
    width = np.diff(breakpoints)[interval]
    u = (x - breakpoints[interval]) / width
    powers = np.arange(table.shape[-1])
    factors = np.prod([powers - m for m in range(order)], axis=0, initial=1.0)
    monomials = u[:, None] ** np.maximum(powers - order, 0)
    return table[row] * factors * monomials / width[:, None] ** order


@cache
def stack(degree):
    """Each set of breakpoints with each extrapolation rule, random otherwise; float64."""
    rng, found = np.random.default_rng(degree), []
    for breakpoints in BREAKPOINTS:
        gaps, (start, end) = np.diff(breakpoints), breakpoints[[0, -1]]
        inner = np.concatenate([breakpoints[:-1] + share * gaps for share in (0.375, 0.75)])
        before = start - np.array([2.0, 0.125]) * gaps[0]
        after = end + np.array([0.125, 1.5]) * gaps[-1]
        x = np.concatenate([breakpoints, inner, before, after])
        for rule in _RULES:
            rows = rng.normal(size=(breakpoints.size - 1, degree + 1)).astype(np.float32)
            found.append(Stack(breakpoints, extend(rows.astype(float), as_pair(rule)), x))
    return Stack(*(np.stack(parts) for parts in zip(*found, strict=True)))
