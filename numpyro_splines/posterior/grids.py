"""Values of surfaces on grids and at rows, all by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from numpyro_splines.posterior.responses import response
from numpyro_splines.posterior.surfaces import LabeledSurface, partial_name
from numpyro_splines.validation import integer_at_least, real_array


def surface_values(
    surface: LabeledSurface,
    given: Mapping[str, Any],
    orders: Mapping[str, int],
    inverse_link: Callable[[Any], Any] | None,
    dim: str | None,
    num_points: int,
) -> xr.DataArray:
    """Values of every surface, see `values`.

    Args:
        surface: f.
        given: inputs by name; grids and all levels for the others.
        orders: of the derivative, by name.
        inverse_link: h, or None.
        dim: name of the axis of rows, or None.
        num_points: of grids.
    """
    inputs = _aligned(
        surface, {n: _input(surface, n, given.get(n), dim, num_points) for n in surface.inputs}
    )
    dims = list(dict.fromkeys(str(d) for one in inputs.values() for d in one.dims))
    batch = [d for d in dims if d in surface.dims]
    further = [d for d in dims if d not in surface.dims]
    target = [*surface.dims, *further] if batch else further
    at = {name: _spread(one, target) for name, one in inputs.items()}
    for name in surface.levels:
        at[name] = surface.index(name, at[name])
    if batch:  # Each surface at its own points.
        first = surface.inputs[0]
        shape = (*surface.sizes.values(), *at[first].shape[len(surface.dims) :])
        at[first] = np.broadcast_to(at[first], shape)
    names = [name for name, order in orders.items() if order]

    def part(powers: tuple[int, ...]) -> Any:
        made = surface.surface.derivative(**dict(zip(names, powers, strict=True)))
        return made.each(**at) if batch else made(**at)

    result = response(part, [orders[name] for name in names], inverse_link)
    coords: dict[Any, Any] = dict(surface.coords)
    for one in inputs.values():
        coords |= dict(one.coords)
        coords = {**{d: np.arange(one.sizes[d]) for d in one.dims if d == dim}, **coords}
    name = surface.name if inverse_link is None else f"h({surface.name})"
    return xr.DataArray(result, coords, [*surface.dims, *further], name=partial_name(name, orders))


def _input(
    surface: LabeledSurface, name: str, given: Any, dim: str | None, num_points: int
) -> xr.DataArray:
    """One input with the names of its axes: numbers, or labels of groups."""
    if isinstance(given, xr.DataArray):
        return given
    if given is None:
        axis = dict(zip(surface.inputs, surface.surface.axes, strict=True))[name]
        points = surface.levels.get(name)
        if points is None:
            num = integer_at_least(num_points, 2, "num_points")
            lower, upper = axis.domain
            points = np.linspace(float(lower), float(upper), num)
        points, dim = np.asarray(points), None
    elif name in surface.levels:
        points = np.asarray(given)
    else:
        points = np.asarray(real_array(given, name))
    if points.ndim > 1:
        raise ValueError(
            f"`{name}` must have one axis, or names for its axes as a DataArray; got "
            f"{points.shape}."
        )
    if points.ndim == 0:
        return xr.DataArray(points, {name: points})
    if dim is None:
        return xr.DataArray(points, {name: points}, [name])
    labeled = isinstance(given, pd.Series)
    return xr.DataArray(points, {dim: given.index.to_numpy()} if labeled else {}, [dim])


def _aligned(surface: LabeledSurface, inputs: dict[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """The inputs, if they and the surfaces agree on the axes that they share."""
    template = xr.Dataset(coords=surface.coords)
    try:
        _, *found = xr.align(template, *inputs.values(), join="exact")
    except ValueError as error:
        raise ValueError(
            f"inputs must agree on the axes that they share with each other and with the surfaces, "
            f"{surface.sizes}; got { {name: dict(one.sizes) for name, one in inputs.items()} }, or "
            "other coordinates."
        ) from error
    aligned: Any = found
    return dict(zip(inputs, aligned, strict=True))


def _spread(values: xr.DataArray, target: Sequence[str]) -> np.ndarray:
    """The array with these axes, of length one where it has none of that name."""
    order = [d for d in target if d in values.dims]
    missing = tuple(i for i, d in enumerate(target) if d not in values.dims)
    return np.expand_dims(values.transpose(*order).values, missing)
