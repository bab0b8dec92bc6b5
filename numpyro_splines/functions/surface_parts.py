"""Surfaces evaluated, and what is left of one where some of its inputs are gone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import Field, replace
from typing import Any, ClassVar, Protocol, TypeVar

import jax.numpy as jnp
import numpy as np

from numpyro_splines.arguments import kinds_of
from numpyro_splines.functions import tensor
from numpyro_splines.functions.axes import AbstractAxis, PolynomialAxis
from numpyro_splines.ops.arrays import array_module
from numpyro_splines.validation import float_dtype, order_at_least, real_array


class Tensor(Protocol):
    """What these functions take: `Surface` by its attributes, a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    coefficients: Any
    axes: tuple[AbstractAxis, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs."""
        ...

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of surfaces."""
        ...


AnyTensor = TypeVar("AnyTensor", bound=Tensor)


def bind(surface: Tensor, inputs: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    """One checked value per axis, from those given in order and those given by name."""
    names = surface.names
    if len(inputs) > len(names):
        raise TypeError(
            f"a surface must be called with one value for each of its inputs {names}; got "
            f"{len(inputs)} values."
        )
    _check_keywords(surface, named)
    values = dict(zip(names, inputs, strict=False))
    if twice := [name for name in named if name in values]:
        raise TypeError(
            f"`{twice[0]}` must be given once; got it by position and by name. The inputs are "
            f"{names} in this order."
        )
    values |= named
    if missing := [name for name in names if name not in values]:
        raise TypeError(
            f"a surface must be called with one value for each of its inputs {names}; got none "
            f"for {', '.join(map(repr, missing))}. `slice`, `mean` and `integrate` make functions "
            "of fewer inputs."
        )
    return [axis.checked(values[axis.name]) for axis in surface.axes]


def evaluate(surface: Tensor, values: Sequence[Any]) -> Any:
    """Values at checked inputs, shape (*batch, *points)."""
    dtype = _dtype(surface, zip(surface.axes, values, strict=True))
    places = [axis.place(v, dtype) for axis, v in zip(surface.axes, values, strict=True)]
    return tensor.evaluate(surface.coefficients, tuple(places), dtype=dtype)


def each(surface: Tensor, values: Sequence[Any]) -> Any:
    """Values of each member of the batch at its own points: the batch is one more group axis."""
    batch = surface.batch_shape
    shape = jnp.broadcast_shapes(*(np.shape(v) for v in values))
    if shape[: len(batch)] != batch:
        raise ValueError(
            f"inputs must have the leading axes {batch} together, one entry per surface; got "
            f"{', '.join(str(np.shape(v)) for v in values)}."
        )
    dtype = _dtype(surface, zip(surface.axes, values, strict=True))
    places = [axis.place(v, dtype) for axis, v in zip(surface.axes, values, strict=True)]
    num = math.prod(batch)
    member = np.arange(num).reshape(*batch, *(1,) * (len(shape) - len(batch)))
    coefficients = surface.coefficients
    flat = coefficients.reshape(num, *coefficients.shape[len(batch) :])
    return tensor.evaluate(flat, (tensor.Chosen(member), *places), dtype=dtype)


def differentiate(surface: AnyTensor, orders: Mapping[str, int]) -> AnyTensor:
    """The mixed partial derivative of these orders."""
    _check_keywords(surface, orders)
    axes = list(surface.axes)
    for d, axis in enumerate(axes):
        if order := order_at_least(orders.get(axis.name, 0), 0, axis.name):
            axes[d] = axis.differentiated(order)
    return replace(surface, axes=tuple(axes))


def fix(surface: Tensor, values: Mapping[str, Any]) -> Any:
    """The function of the other inputs, with these ones at values."""
    _check_keywords(surface, values)
    if len(values) == len(surface.axes):
        raise ValueError(
            f"`slice` must leave at least one input; got values for all of {surface.names}. "
            "Call the surface for its values."
        )
    chosen = [axis for axis in surface.axes if axis.name in values]
    checked = {axis.name: axis.checked(values[axis.name]) for axis in chosen}
    dtype = _dtype(surface, ((axis, checked[axis.name]) for axis in chosen))
    places = {axis.name: axis.place(checked[axis.name], dtype) for axis in chosen}
    return _remaining(surface, places, dtype)


def integrate(surface: Tensor, bounds: Mapping[str, Any]) -> Any:
    """The function of the other inputs, with these ones integrated over."""
    _check_keywords(surface, bounds)
    integrals: dict[str, Any] = {}
    dtype = float_dtype(surface.coefficients)
    for axis in surface.axes:
        if axis.name not in bounds:
            continue
        if not isinstance(axis, PolynomialAxis):
            raise ValueError(
                f"`{axis.name}` must be an input of piecewise polynomials to be integrated over; "
                f"got {type(axis).__name__}. `mean` averages over its measure."
            )
        pair = bounds[axis.name]
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(
                f"`{axis.name}` must be a pair of bounds (lower, upper); got {kinds_of(pair)}."
            )
        lower, upper = (real_array(bound, axis.name) for bound in pair)
        integrals[axis.name] = jnp.moveaxis(axis.curves.integrate(lower, upper), 0, -1)
        for bound in (lower, upper):
            dtype = jnp.promote_types(dtype, axis.dtype(bound))
    places = {name: tensor.Rows(rows.astype(dtype)) for name, rows in integrals.items()}
    return _remaining(surface, places, dtype)


def average(surface: Tensor, names: Sequence[str]) -> Any:
    """The function of the other inputs, with these ones averaged over; all if none is named."""
    for name in names:
        _check_name(surface, name)
    gone = set(names) if names else set(surface.names)
    rows = [axis.means() if axis.name in gone else None for axis in surface.axes]
    known = isinstance(surface.coefficients, np.ndarray)
    if known and all(row is None or isinstance(row, np.ndarray) for row in rows):
        coefficients = tensor.contract_known(surface.coefficients, rows)
        return _function(surface, coefficients, gone)
    pairs = zip(surface.names, rows, strict=True)
    places = {name: tensor.Rows(row) for name, row in pairs if row is not None}
    return _remaining(surface, places, float_dtype(surface.coefficients))


def component(surface: Tensor, name: str) -> Any:
    """The part of the functional analysis of variance that depends on these inputs alone."""
    if not isinstance(name, str):
        raise TypeError(f"`name` must be text, such as 'x' or 'x:z'; got {type(name).__name__}.")
    inputs = name.split(":")
    for one in inputs:
        _check_name(surface, one)
    if len(set(inputs)) < len(inputs):
        raise ValueError(f"`name` must name each input once; got {name!r}.")
    coefficients, axes = surface.coefficients, list(surface.axes)
    for d, axis in enumerate(axes):
        if axis.name in inputs:
            axes[d], coefficients = _centered(axis, coefficients, d - len(axes))
    centered = replace(surface, coefficients=coefficients, axes=tuple(axes))
    others = [other for other in surface.names if other not in inputs]
    return average(centered, others) if others else _function(centered, coefficients, set())


def _centered(axis: AbstractAxis, coefficients: Any, at: int) -> tuple[AbstractAxis, Any]:
    """Functions less their means: coefficients on an axis that has the constant."""
    means = axis.means()
    xp = array_module(coefficients, means)
    wider, one = axis.with_constant()
    moved = xp.moveaxis(coefficients, at, -1)
    means, one = (xp.asarray(v, dtype=moved.dtype) for v in (means, one))
    none = xp.zeros((*moved.shape[:-1], len(one) - moved.shape[-1]), dtype=moved.dtype)
    moved = xp.concatenate([moved, none], axis=-1) - (moved @ means)[..., None] * one
    return wider, xp.moveaxis(moved, -1, at)


def _remaining(surface: Tensor, places: Mapping[str, Any], dtype: Any) -> Any:
    """What is left with these axes contracted."""
    order = tuple(places.get(name) for name in surface.names)
    coefficients = tensor.contract(surface.coefficients, order, dtype=dtype)
    return _function(surface, coefficients, set(places))


def _function(surface: Tensor, coefficients: Any, gone: set[str]) -> Any:
    """Numbers, a curve or a surface of the axes that remain."""
    axes = tuple(axis for axis in surface.axes if axis.name not in gone)
    if not axes:
        return coefficients
    if len(axes) == 1 and isinstance(axes[0], PolynomialAxis):
        return axes[0].curve(coefficients)
    return replace(surface, coefficients=coefficients, axes=axes)


def _dtype(surface: Tensor, pairs: Any) -> Any:
    """The dtype that coefficients and inputs promote to."""
    dtype = float_dtype(surface.coefficients)
    for axis, value in pairs:
        if (own := axis.dtype(value)) is not None:
            dtype = jnp.promote_types(dtype, own)
    return dtype


def _check_keywords(surface: Tensor, named: Mapping[str, Any]) -> None:
    for name in named:
        if name not in surface.names:
            raise TypeError(
                f"the inputs of the surface are {surface.names}; got an unknown one, `{name}`."
            )


def _check_name(surface: Tensor, name: Any) -> None:
    if name not in surface.names:
        raise ValueError(
            f"`name` must be one of the inputs {surface.names}, or several joined by ':' for a "
            f"component; got {name!r}."
        )
