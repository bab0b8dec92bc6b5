"""Piecewise polynomials as tables: the one place that touches n observations.

A table has shape (*batch, M + 2, degree + 1) for M intervals between M + 1 breakpoints. Row 0
holds the polynomial left of the domain, rows 1 to M those of the intervals, row M + 1 the one right
of it; column k multiplies u**k with u = (x - left) / width, the *normalized* coordinate of the
interval. The two outer rows use the coordinate of the interval next to them. Coordinates of order
one keep float32 accurate whatever the units of x.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from numpyro_splines.ops.arrays import array_module as array_module
from numpyro_splines.ops.arrays import one_program, take
from numpyro_splines.ops.arrays import safe_reciprocal as safe_reciprocal
from numpyro_splines.ops.grid import Grid as Grid
from numpyro_splines.ops.grid import locate as locate
from numpyro_splines.ops.grid import origin as origin
from numpyro_splines.ops.grid import place as place
from numpyro_splines.ops.grid import wrap as wrap
from numpyro_splines.validation import is_traced


def interval_of_row(num_intervals: int) -> np.ndarray:
    """The interval whose coordinate each table row uses: 0, 0, 1, ..., M - 1, M - 1."""
    return np.clip(np.arange(num_intervals + 2) - 1, 0, num_intervals - 1)


def evaluate(
    x: Any, breakpoints: Any, table: Any, closed: Any = None, *, rounded: bool = False
) -> Any:
    """Value of piecewise polynomials at x: locate, gather, Horner; NumPy or JAX.

    Cost O(n degree) whatever the number of intervals; gradients in x, the table and the breakpoints
    come from ordinary autodiff of the Horner scheme, at any order, forward and reverse.

    Args:
        x: points of any shape, a float dtype.
        breakpoints: M + 1 non-decreasing values, concrete (NumPy) or traced; or their `Grid`.
        table: polynomials, M + 2 rows; its leading axes are a batch of functions.
        closed: the breakpoint at which the *left* limit is taken (default: the last one). At all
            others the value is right-continuous.
        rounded: as in `horner`.

    Returns:
        Values of shape (*batch, *points), dtype of the table. NaN where x is NaN.
    """
    row, u = locate(x, breakpoints, closed)
    return horner(take(table, row, axis=-2), u, rounded=rounded)


def evaluate_selected(
    x: Float[Array, "..."],
    index: Int[Array, "..."],
    breakpoints: Any,
    table: Float[Array, "*batch group rows columns"],
    *,
    rounded: bool = False,
) -> Float[Array, "..."]:
    """Value of function `index[i]` of the last batch axis at `x[i]`, in one gather.

    Args:
        x: points.
        index: which function, broadcast against x; entries in [0, group), any integer dtype.
        breakpoints: as in `evaluate`, shared by all functions.
        table: as in `evaluate`, with at least one batch axis.
        rounded: as in `horner`.

    Returns:
        Values of shape (*batch, *points).
    """
    row, u = locate(x, breakpoints)
    *batch, group, rows, columns = table.shape
    flat = table.reshape(*batch, group * rows, columns)
    # Labels of groups come in the smallest integers that hold them; their products do not fit.
    wide = jnp.int64 if group * rows > np.iinfo(np.int32).max else jnp.int32
    chosen = jnp.asarray(index).astype(wide) * rows + row
    return horner(take(flat, chosen, axis=-2), u, rounded=rounded)


def horner(coefficients: Any, u: Any, *, rounded: bool = False) -> Any:
    """sum_k coefficients[..., k] u**k, NaN where u is NaN; NumPy or JAX.

    Args:
        coefficients: shape (..., degree + 1).
        u: broadcast against their leading axes.
        rounded: in a compiled program, round every product, as NumPy does, and do not let the
            compiler fuse it with the sum: the same bits with any version of JAX, on any machine.
    """
    value = coefficients[..., -1]
    xp = array_module(coefficients, u)
    if coefficients.shape[-1] == 1:
        return xp.where(xp.isnan(u), xp.asarray(np.nan, dtype=value.dtype), value)
    for k in range(coefficients.shape[-1] - 2, -1, -1):
        value = value * u
        if rounded:
            value = whole(value, u)
        value = value + coefficients[..., k]
    return value


def whole(product: Any, factor: Any) -> Any:
    """A product that the compiler must not fuse with a sum that follows; NaN where `factor` is."""
    return jnp.where(jnp.isnan(factor), jnp.asarray(np.nan, product.dtype), product)


def differentiate(table: Any, breakpoints: Any, order: int) -> Any:
    """Table of the derivative of the given order, (d/dx)^order, with degree max(degree - order, 0).

    One-sided at breakpoints as `evaluate` is; NaN rows stay NaN.
    """
    inverse_width = _row_widths(breakpoints, table.dtype, inverse=True)
    if array_module(table, inverse_width) is np:
        return _differentiate(table, inverse_width, order=order)
    return _differentiate_at_once(table, inverse_width, order=order)


def _differentiate(table: Any, inverse_width: Any, order: int) -> Any:
    for _ in range(order):
        if table.shape[-1] == 1:
            table = table * 0
        else:
            powers = np.arange(1, table.shape[-1]).astype(table.dtype)
            table = table[..., 1:] * powers * inverse_width
    return table


_differentiate_at_once = one_program("order")(_differentiate)


def antidifferentiate(table: Any, breakpoints: Any) -> Any:
    """Table of F(x) = integral of f from the first breakpoint to x, continuous everywhere."""
    width = _row_widths(breakpoints, table.dtype)
    if is_traced(table) or is_traced(width):
        return _antidifferentiate_at_once(table, width)
    # Sums of known numbers are made on the host, where their order is no compiler's choice.
    integral = _antidifferentiate(np.asarray(table), np.asarray(width))
    return integral if array_module(table, breakpoints) is np else jnp.asarray(integral)


def _antidifferentiate(table: Any, width: Any) -> Any:
    xp = array_module(table, width)
    powers = np.arange(1, table.shape[-1] + 1).astype(table.dtype)
    integral = table / powers * width
    inner = xp.cumsum(integral[..., 1:-1, :].sum(-1), axis=-1)
    zero = xp.zeros_like(inner[..., :1])
    # The right row shares the coordinate of the last interval, so its own integral up to the end
    # of the domain (u = 1) is taken off.
    last = inner[..., -1:] - integral[..., -1:, :].sum(-1)
    constant = xp.concatenate([zero, zero, inner[..., :-1], last], axis=-1)
    return xp.concatenate([constant[..., None], integral], axis=-1)


_antidifferentiate_at_once = one_program()(_antidifferentiate)


def _row_widths(breakpoints: Any, dtype: Any, *, inverse: bool = False) -> Any:
    """Width of the interval of each row, or its reciprocal, rounded once."""
    width = breakpoints[..., 1:] - breakpoints[..., :-1]
    width = safe_reciprocal(width) if inverse else width
    width = array_module(width).asarray(width, dtype=dtype)
    return width[..., interval_of_row(width.shape[-1]), None]
