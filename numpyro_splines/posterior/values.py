"""Values of curves and surfaces, their derivatives and integrals, as labeled arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from numpyro_splines.arguments import instance_of, kinds_of, text
from numpyro_splines.posterior.grids import surface_values
from numpyro_splines.posterior.labeled import LabeledCurve
from numpyro_splines.posterior.responses import response
from numpyro_splines.posterior.surfaces import LabeledSurface
from numpyro_splines.validation import float64_array, integer_at_least, order_at_least, real_array


def values(
    curve: LabeledCurve | LabeledSurface,
    x: Any = None,
    *,
    derivative: int | Mapping[str, int] = 0,
    inverse_link: Callable[[Any], Any] | None = None,
    dim: str | None = None,
    num_points: int | None = None,
    **inputs: Any,
) -> xr.DataArray:
    r"""Values of every function at x, or of a derivative: d^m / dx^m h(f(x)), exact.

    Inputs of surfaces go by name, groups by label: `values(growth, age=grid, boy=["Ann", "Tom"])`.
    Lists span a grid; rows of data take `dim="obs"`, or are arrays that share an axis.

    Args:
        curve: f, in the units of the predictor: add intercepts before, `f + level`.
        x: points, one axis (a pandas Series keeps its index with `dim`); or a `DataArray` with any
            axes, which may be those of the draws: then each function is evaluated at its own
            points, such as the draws of a latent input. If omitted an even grid over the domain,
            and all levels of groups.
        derivative: m; of surfaces by input, as `{"x": 1, "z": 1}`.
        inverse_link: h, from the predictor to the response, elementwise in JAX operations, such as
            `jax.numpy.exp`; the identity if omitted. By the chain rule where m > 0.
        dim: name of the axis of x. Omitted, it is the name of the input and x the coordinate along
            it, which is right for a grid; name it ("obs") where x are rows of data.
        num_points: of each grid: 100 for a curve, 40 for a surface if omitted.
        **inputs: all inputs by name, each as x.

    Returns:
        Axes chain, draw, those of the groups, then those of x; in the units of f (of the response
        with `inverse_link`), over units of x to the power m.

    Raises:
        TypeError: if an input is unknown or given twice, or the order of a surface is a number.
        ValueError: if x has several axes without names or does not fit the draws, or an order is
            negative.

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> basis = ns.BSplineBasis([0.0, 2.0], degree=1)
        >>> f = LabeledCurve(basis.curve(np.broadcast_to([0.0, 1.0], (4, 100, 2))))
        >>> slope = values(f, [0.0, 2.0], derivative=1, inverse_link=jnp.exp)
        >>> print(slope.dims, slope.values[0, 0].round(4))
        ('chain', 'draw', 'x') [0.5    1.3591]
    """
    given = _by_name(curve, x, inputs)
    orders = _orders(curve, derivative)
    if isinstance(curve, LabeledSurface):
        return surface_values(curve, given, orders, inverse_link, dim, num_points or 40)
    if num_points is not None:
        num_points = integer_at_least(num_points, 2, "num_points")
    points = _points(curve, given.get(curve.input_name), dim, num_points or 100)
    order = orders.get(curve.input_name, 0)
    own = bool(set(map(str, points.dims)) & set(curve.dims))
    points = _of_curves(points, curve) if own else points
    # On the host: known points keep their float64 until the engine has moved them near zero.
    at = real_array(points.values, "x")

    def slope(orders: tuple[int, ...]) -> Any:
        made = curve.curve.derivative(*orders)
        return made.each(at) if own else made(at)

    result = response(slope, (order,), inverse_link)
    name = curve.name if inverse_link is None else f"h({curve.name})"
    if own:
        dims, coords = points.dims, points.coords
    else:
        dims, coords = (*curve.dims, *points.dims), {**curve.coords, **points.coords}
    return xr.DataArray(result, coords, dims, name=name + "'" * order)


def integral(curve: LabeledCurve, lower: Any = None, upper: Any = None) -> xr.DataArray:
    """The exact integral of every curve from `lower` to `upper`.

    Args:
        curve: f.
        lower: a number, or one for each of several intervals; the left end of the domain if
            omitted.
        upper: likewise; the right end.

    Returns:
        In units of f times units of x. Axes chain, draw, those of the groups; and "interval" with
        coordinates start and stop, if there are several.

    Raises:
        ValueError: if the bounds are no numbers or single lists of them.

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> f = LabeledCurve(ns.BSplineBasis([0.0, 2.0]).curve(np.ones((4, 100, 4))))
        >>> print(integral(f, [0.0, 1.0], 2.0).mean(["chain", "draw"]).values)
        [2. 1.]
    """
    instance_of(curve, LabeledCurve, "curve", "curve(effect, draws) gives one.")
    exact = curve.exact("integral")
    low = float64_array(exact.domain[0] if lower is None else lower, "lower")
    high = float64_array(exact.domain[1] if upper is None else upper, "upper")
    low, high = np.broadcast_arrays(low, high)
    if low.ndim > 1:
        raise ValueError(f"`lower` and `upper` must be numbers or lists; got shape {low.shape}.")
    dims = ("interval",) if low.ndim else ()
    coords = {"start": (dims, low), "stop": (dims, high)}
    result = curve.array(exact.integrate(low, high), dims, **coords)
    return result.rename(f"integral of {curve.name}")


def partial_sum(
    *terms: tuple[Any, ...],
    inverse_link: Callable[[Any], Any] | None = None,
    dim: str = "obs",
) -> xr.DataArray:
    """Sum of several effects, each of its own input, at rows of data: h(f(x) + g(z) + ...).

    Args:
        *terms: tuples (curve, x) or (surface, x, z, ...) with the inputs at the rows, all of one
            length; pandas Series keep their index.
        inverse_link: h, as in `values`.
        dim: name of the axis of the rows.

    Returns:
        Axes chain, draw, those of groups, then `dim`; in the units of the predictor, or of the
        response with `inverse_link`.

    Raises:
        TypeError: if a term is no such tuple.
        ValueError: if the inputs differ in their numbers of rows or their labels.

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> f = LabeledCurve(ns.BSplineBasis([0.0, 2.0]).curve(np.ones((4, 100, 4))))
        >>> print(partial_sum((f, [0.0, 1.0, 2.0]), (f, [0.5, 0.5, 0.5])).values[0, 0])
        [2. 2. 2.]
    """
    for term in terms or ((),):
        first = term[0] if isinstance(term, tuple) and term else None
        own = isinstance(first, LabeledCurve | LabeledSurface)
        if not own or len(term) != 1 + len(first.inputs):
            raise TypeError(
                "`terms` must be pairs (curve, x) of a LabeledCurve and its input, or (surface, x, "
                f"z, ...), one for each effect; got {kinds_of(term)}."
            )
    parts = [
        values(f, *x, dim=dim)
        if len(x) == 1
        else values(f, dim=dim, **dict(zip(f.inputs, x, strict=True)))
        for f, *x in terms
    ]
    rows = [part.sizes.get(dim) for part in parts]
    if len(set(rows)) > 1 or rows[0] is None:
        raise ValueError(
            f"`terms` must have one number of rows along {dim!r}; got {rows}. An input with named "
            "axes needs one of that name."
        )
    # Plain arrays have no labels of their own: they take those of the others.
    has = [any(map(_has_labels, x)) for _, *x in terms]
    labeled = [part[dim] for part, own in zip(parts, has, strict=True) if own]
    if labeled:
        parts = [
            part if own else part.assign_coords({dim: labeled[0].values})
            for part, own in zip(parts, has, strict=True)
        ]
    with xr.set_options(arithmetic_join="exact"):
        total = sum(parts[1:], parts[0])
    name = " + ".join(f.name for f, *_ in terms)
    if inverse_link is None:
        return total.rename(name)
    response = np.asarray(inverse_link(jnp.asarray(total.values)))
    return total.copy(data=response).rename(f"h({name})")


def _by_name(curve: Any, x: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What is given of the inputs, by their names."""
    if not isinstance(curve, LabeledCurve | LabeledSurface):
        raise TypeError(
            "`curve` must be a LabeledCurve or a LabeledSurface, as curve(effect, draws) and "
            f"surface(effect, draws) give; got {type(curve).__name__}."
        )
    if unknown := [name for name in inputs if name not in curve.inputs]:
        raise TypeError(f"the inputs of {curve.name!r} are {curve.inputs}; got {unknown}.")
    if x is None:
        return dict(inputs)
    name = curve.inputs[0] if len(curve.inputs) == 1 else "x"
    if name in inputs or name not in curve.inputs:
        raise TypeError(
            f"each of the inputs {curve.inputs} must be given once, by its name; got one without."
        )
    return {name: x, **inputs}


def _orders(curve: LabeledCurve | LabeledSurface, derivative: Any) -> dict[str, int]:
    """Orders of the derivative by input."""
    if not isinstance(derivative, Mapping):
        order = order_at_least(derivative, 0, "derivative")
        if order and len(curve.inputs) > 1:
            raise TypeError(
                f"`derivative` must be orders by input, such as {{{curve.inputs[0]!r}: 1}}; got "
                f"{derivative}."
            )
        return dict.fromkeys(curve.inputs[:1], order)
    if unknown := [name for name in derivative if name not in curve.inputs]:
        raise TypeError(
            f"`derivative` must be orders of the inputs {curve.inputs} of {curve.name!r}; got "
            f"{unknown}."
        )
    return {name: order_at_least(k, 0, "derivative") for name, k in derivative.items()}


def _points(curve: LabeledCurve, x: Any, dim: str | None, num_points: int) -> xr.DataArray:
    """The points with the names of their axes."""
    if isinstance(x, xr.DataArray):
        return x
    if x is None:
        num = integer_at_least(num_points, 2, "num_points")
        lower, upper = curve.curve.domain
        # Curves with knots of their own have domains of their own.
        x = np.linspace(float(np.min(lower)), float(np.max(upper)), num)
    points = np.asarray(real_array(x, "x"))
    if points.ndim > 1:
        raise ValueError(
            f"`x` must have one axis, or names for its axes as a DataArray; got {points.shape}."
        )
    if points.ndim == 0:
        return xr.DataArray(points, {curve.input_name: points})
    if dim is not None:
        text(dim, "dim")
    if dim is None:
        return xr.DataArray(points, {curve.input_name: points}, [curve.input_name])
    coords = {dim: x.index.to_numpy() if _has_labels(x) else np.arange(points.size)}
    return xr.DataArray(points, coords, [dim])


def _has_labels(x: Any) -> bool:
    """Whether the rows of an input have names."""
    return isinstance(x, pd.Series | xr.DataArray)


def _of_curves(points: xr.DataArray, curve: LabeledCurve) -> xr.DataArray:
    """Points that differ between curves, with all axes of the curves in front."""
    template = xr.Dataset(coords=curve.coords)
    try:
        points, _ = xr.align(points, template, join="exact")
    except ValueError as error:
        raise ValueError(
            f"`x` must agree with the curves on the axes that both have, {curve.sizes}; got "
            f"{dict(points.sizes)}, or other coordinates."
        ) from error
    return points.broadcast_like(template).transpose(*curve.dims, ...)
