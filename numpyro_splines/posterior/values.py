"""Values of curves, their derivatives and integrals, as labeled arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array

from numpyro_splines.posterior.labeled import LabeledCurve
from numpyro_splines.validation import (
    float64_array,
    integer_at_least,
    kinds_of,
    real_array,
)


def values(
    curve: LabeledCurve,
    x: Any = None,
    *,
    derivative: int = 0,
    inverse_link: Callable[[Any], Any] | None = None,
    dim: str | None = None,
    num_points: int = 100,
) -> xr.DataArray:
    r"""Values of every curve at x, or of a derivative: d^m / dx^m h(f(x)), exact.

    Args:
        curve: f, in the units of the predictor: add intercepts before, `f + level`.
        x: points, one axis (a pandas Series keeps its index with `dim`); or a `DataArray` with any
            axes, which may be those of the draws: then each curve is evaluated at its own points,
            such as the draws of a latent input. An even grid over the domain if omitted.
        derivative: m.
        inverse_link: h, from the predictor to the response, elementwise in JAX operations, such as
            `jax.numpy.exp`; the identity if omitted. By the chain rule where m > 0.
        dim: name of the axis of x. Omitted, it is the name of the input and x the coordinate along
            it, which is right for a grid; name it ("obs") where x are rows of data.
        num_points: of the grid.

    Returns:
        Axes chain, draw, those of the groups, then those of x; in the units of f (of the response
        with `inverse_link`), over units of x to the power m.

    Raises:
        ValueError: if x has several axes without names or does not fit the draws, or the order is
            negative.

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> basis = ns.BSplineBasis([0.0, 2.0], degree=1)
        >>> f = LabeledCurve(basis.curve(np.broadcast_to([0.0, 1.0], (4, 100, 2))))
        >>> slope = values(f, [0.0, 2.0], derivative=1, inverse_link=jnp.exp)
        >>> print(slope.dims, slope.values[0, 0].round(4))
        ('chain', 'draw', 'x') [0.5    1.3591]
    """
    points = _points(curve, x, dim, num_points)
    order = integer_at_least(derivative, 0, "derivative")
    own = set(map(str, points.dims)) & set(curve.dims)
    points = _of_curves(points, curve) if own else points
    # On the host: known points keep their float64 until the engine has moved them near zero.
    at = real_array(points.values, "x")
    result = _response(curve.curve, at, order, inverse_link, own=bool(own))
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
    *terms: tuple[LabeledCurve, Any],
    inverse_link: Callable[[Any], Any] | None = None,
    dim: str = "obs",
) -> xr.DataArray:
    """Sum of several effects, each of its own input, at rows of data: h(f(x) + g(z) + ...).

    Args:
        *terms: pairs of a curve and its input at the rows, all of one length; pandas Series keep
            their index.
        inverse_link: h, as in `values`.
        dim: name of the axis of the rows.

    Returns:
        Axes chain, draw, those of groups, then `dim`; in the units of the predictor, or of the
        response with `inverse_link`.

    Raises:
        TypeError: if a term is no such pair.
        ValueError: if the inputs differ in their numbers of rows or their labels.

    Example:
        >>> import numpy as np, numpyro_splines as ns
        >>> f = LabeledCurve(ns.BSplineBasis([0.0, 2.0]).curve(np.ones((4, 100, 4))))
        >>> print(partial_sum((f, [0.0, 1.0, 2.0]), (f, [0.5, 0.5, 0.5])).values[0, 0])
        [2. 2. 2.]
    """
    for term in terms or (None,):
        if not (isinstance(term, tuple) and len(term) == 2 and isinstance(term[0], LabeledCurve)):
            raise TypeError(
                "`terms` must be pairs (curve, x) of a LabeledCurve and its input, one for each "
                f"effect; got {kinds_of(term)}."
            )
    parts = [values(f, x, dim=dim) for f, x in terms]
    rows = [part.sizes.get(dim) for part in parts]
    if len(set(rows)) > 1 or rows[0] is None:
        raise ValueError(
            f"`terms` must have one number of rows along {dim!r}; got {rows}. An input with named "
            "axes needs one of that name."
        )
    # Plain arrays have no labels of their own: they take those of the others.
    labeled = [part[dim] for part, (_, x) in zip(parts, terms, strict=True) if _has_labels(x)]
    if labeled:
        parts = [
            part if _has_labels(x) else part.assign_coords({dim: labeled[0].values})
            for part, (_, x) in zip(parts, terms, strict=True)
        ]
    with xr.set_options(arithmetic_join="exact"):
        total = sum(parts[1:], parts[0])
    name = " + ".join(f.name for f, _ in terms)
    if inverse_link is None:
        return total.rename(name)
    response = np.asarray(inverse_link(jnp.asarray(total.values)))
    return total.copy(data=response).rename(f"h({name})")


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


def _response(f: Any, x: Any, order: int, inverse_link: Any, *, own: bool) -> np.ndarray:
    """d^order / dx^order h(f(x)), each curve at its own points or all at all of them."""

    def slope(k: int) -> Array:
        derivative = f.derivative(k)
        return derivative.each(x) if own else derivative(x)

    if inverse_link is None:
        return np.asarray(slope(order))
    # f(x + t) to the order asked for: x itself, which a tracer would round, is not differentiated.
    terms = [slope(k) / math.factorial(k) for k in range(order + 1)]
    function = _composed(inverse_link, lambda t: _horner(terms, t))
    for _ in range(order):
        function = _slope(function)
    return np.asarray(function(jnp.zeros_like(terms[0])))


def _horner(terms: list[Array], t: Array) -> Array:
    """sum_k terms[k] t^k, elementwise."""
    *lower, value = terms
    for term in reversed(lower):
        value = value * t + term
    return value


def _composed(outer: Callable[[Any], Any], inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: outer(inner(x))


def _slope(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Derivative of what acts on each entry by itself: one pass of forward mode."""
    return lambda t: jax.jvp(function, (t,), (jnp.ones_like(t),))[1]
