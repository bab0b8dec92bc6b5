"""The same piecewise polynomial on other breakpoints and of higher degree."""

from __future__ import annotations

from math import comb
from typing import Any

import jax.numpy as jnp
import numpy as np

from numpyro_splines.ops.piecewise import array_module, interval_of_row


def elevated(table: Any, degree: int) -> Any:
    """A table with columns of zeros for the powers up to `degree`."""
    xp = array_module(table)
    missing = degree + 1 - table.shape[-1]
    none = xp.zeros((*table.shape[:-1], missing), dtype=table.dtype)
    return xp.concatenate([table, none], axis=-1)


def on_breakpoints(old: np.ndarray, table: Any, new: np.ndarray) -> Any:
    """The table on other breakpoints, exactly: knot insertion, restriction, extension.

    Interval by interval the old normalized coordinate is a line in the new one, u = a + b v, and

        sum_k c_k u^k = sum_j v^j b^j sum_{k >= j} binomial(k, j) a^(k - j) c_k.

    Args:
        old: breakpoints of the table, concrete, float64.
        table: shape (*batch, len(old) + 1, degree + 1).
        new: increasing, concrete; no old breakpoint lies inside one of its intervals.

    Returns:
        Shape (*batch, len(new) + 1, degree + 1). Outer rows are those of the old table if `new`
        reaches at least as far, else the polynomials of the intervals that are cut.
    """
    # The old row of each new row, from a point inside it.
    inner = (new[:-1] + new[1:]) / 2
    inside = np.concatenate([[new[0]], inner, [new[-1]]])
    row = np.searchsorted(old, inside, side="right")
    row[0] = np.searchsorted(old, new[0], side="left")
    width = np.diff(old)
    interval = interval_of_row(len(width))[row]
    own = interval_of_row(len(new) - 1)
    offset = (new[own] - old[interval]) / width[interval]
    slope = np.diff(new)[own] / width[interval]
    num = table.shape[-1]
    shift = np.zeros((len(row), num, num))
    for k in range(num):
        for j in range(k + 1):
            shift[:, j, k] = comb(k, j) * offset ** (k - j) * slope**j
    xp = array_module(table)
    chosen = table[..., row, :]
    if xp is np:
        return np.einsum("...rk,rjk->...rj", chosen, shift)
    return jnp.einsum("...rk,rjk->...rj", chosen, jnp.asarray(shift, table.dtype))
