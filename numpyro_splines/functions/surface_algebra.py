"""Surfaces combined exactly: sums and multiples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numpyro_splines.functions import algebra
from numpyro_splines.functions.axes import AbstractAxis, BasisAxis, IndexAxis, PolynomialAxis
from numpyro_splines.functions.surface_parts import AnyTensor
from numpyro_splines.ops.algebra import elevated
from numpyro_splines.ops.arrays import array_module
from numpyro_splines.validation import float_dtype, is_traced

# The axis of a sum, and where the functions of both are among its own.
_Joined = tuple[AbstractAxis, np.ndarray, np.ndarray]


def add(surface: AnyTensor, other: AnyTensor) -> AnyTensor:
    """The sum of two surfaces: axes that differ hold the functions of both."""
    if surface.names != other.names:
        raise ValueError(
            "surfaces can be added if they have the same inputs in the same order; got "
            f"{surface.names} and {other.names}."
        )
    dtype = jnp.promote_types(*(float_dtype(f.coefficients) for f in (surface, other)))
    pairs = zip(surface.axes, other.axes, strict=True)
    joined = [_join(first, second, dtype) for first, second in pairs]
    axes = tuple(axis for axis, _, _ in joined)
    sizes = [axis.num_functions for axis in axes]
    first = _placed(surface.coefficients, [slots for _, slots, _ in joined], sizes)
    second = _placed(other.coefficients, [slots for _, _, slots in joined], sizes)
    return replace(surface, coefficients=first.astype(dtype) + second.astype(dtype), axes=axes)


def shift(surface: AnyTensor, amount: Any) -> AnyTensor:
    """The surface and a number, or one for each surface of the batch."""
    coefficients = surface.coefficients
    amount = algebra.numbers(amount, coefficients.dtype)
    dtype = jnp.promote_types(float_dtype(coefficients), amount.dtype)
    with_one = [axis.with_constant() for axis in surface.axes]
    axes, ones = zip(*with_one, strict=True)
    slots = [np.arange(axis.num_functions) for axis in surface.axes]
    placed = _placed(jnp.asarray(coefficients, dtype), slots, [len(one) for one in ones])
    one = jnp.asarray(reduce(np.multiply.outer, ones), dtype)
    amount = amount.astype(dtype).reshape(*amount.shape, *(1,) * len(ones))
    return replace(surface, coefficients=placed + amount * one, axes=axes)


def multiply(surface: AnyTensor, factor: Any) -> AnyTensor:
    """The surface times a number, or one for each surface of the batch."""
    coefficients = surface.coefficients
    factor = algebra.numbers(factor, coefficients.dtype)
    dtype = jnp.promote_types(float_dtype(coefficients), factor.dtype)
    factor = factor.astype(dtype).reshape(*factor.shape, *(1,) * len(surface.axes))
    return replace(surface, coefficients=jnp.asarray(coefficients, dtype) * factor)


def _placed(coefficients: Any, slots: Sequence[np.ndarray], sizes: Sequence[int]) -> Any:
    """Coefficients at these places among zeros."""
    first = coefficients.ndim - len(sizes)
    if coefficients.shape[first:] == tuple(sizes):
        return coefficients
    shape, where = (*coefficients.shape[:first], *sizes), (..., *np.ix_(*slots))
    if isinstance(coefficients, np.ndarray):
        wider = np.zeros(shape, coefficients.dtype)
        wider[where] = coefficients
        return wider
    return jnp.zeros(shape, coefficients.dtype).at[where].set(coefficients)


def _join(first: AbstractAxis, second: AbstractAxis, dtype: Any) -> _Joined:
    """One axis with the functions of both."""
    if _same(first, second):
        slots = np.arange(first.num_functions)
        return first, slots, slots
    if isinstance(first, PolynomialAxis) and isinstance(second, PolynomialAxis):
        return _join_polynomials(first, second, dtype)
    if isinstance(first, IndexAxis) and isinstance(second, IndexAxis) and first.size == second.size:
        slots = np.arange(first.size)
        return replace(first, weights=None), slots, slots
    if isinstance(first, BasisAxis) and isinstance(second, BasisAxis):
        known = first.num_functions - len(first.constants)
        further = replace(second, constants=first.constants)
        if _same(first, further):
            both = (*first.constants, *second.constants)
            own = np.arange(first.num_functions)
            its = np.arange(second.num_functions)
            its[known:] += len(first.constants)
            return replace(first, constants=both), own, its
    raise ValueError(
        f"surfaces can be added if `{first.name}` has the same groups, the same basis, or "
        f"piecewise polynomials in both; got {_said(first)} and {_said(second)}. Add their values."
    )


def _join_polynomials(first: PolynomialAxis, second: PolynomialAxis, dtype: Any) -> _Joined:
    own, its = algebra.aligned(first.curves, second.curves, dtype)
    degree = max(own.degree, its.degree)
    tables = [elevated(curves.table, degree) for curves in (own, its)]
    functions = array_module(*tables).concatenate(tables)
    weights = _common_measure(first, second, own.breakpoints, tables)
    axis = replace(first, breakpoints=own.breakpoints, functions=functions, weights=weights)
    num = first.num_functions
    return axis, np.arange(num), np.arange(num, num + second.num_functions)


def _common_measure(
    first: PolynomialAxis, second: PolynomialAxis, breakpoints: Any, tables: Sequence[Any]
) -> Any:
    """Means of powers of one axis, if they are on the common breakpoints and give both means.

    Those on finer breakpoints than an axis has are not known.
    """
    arrays = (first.weights, second.weights, first.functions, second.functions, breakpoints)
    if any(array is None or is_traced(array) for array in arrays):
        return None
    for axis, other, table in ((first, second, tables[1]), (second, first, tables[0])):
        if axis.weights.shape == table.shape[1:] and np.array_equal(axis.breakpoints, breakpoints):
            products = np.where(axis.weights == 0, 0, table * axis.weights)
            size = np.abs(products).sum((1, 2)) + np.abs(other.means())
            if np.all(abs(products.sum((1, 2)) - other.means()) <= 1e-9 * size):
                return axis.weights
    return None


def _same(first: Any, second: Any) -> bool:
    """Whether two axes hold the same; traced arrays are if they are one."""
    if first is second:
        return True
    one, two = jax.tree.flatten(first), jax.tree.flatten(second)
    return one[1] == two[1] and all(map(_equal, one[0], two[0]))


def _equal(first: Any, second: Any) -> bool:
    if first is second:
        return True
    if is_traced(first) or is_traced(second):
        return False
    try:
        return np.array_equal(np.asarray(first), np.asarray(second), equal_nan=True)
    except TypeError:
        return bool(first == second)


def _said(axis: AbstractAxis) -> str:
    size = f" of {axis.size}" if isinstance(axis, IndexAxis) else ""
    return type(axis).__name__ + size
