"""The scale of the response: derivatives by the chain rule, and responses taken back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def response(
    part: Callable[[tuple[int, ...]], Any],
    orders: Sequence[int],
    inverse_link: Callable[[Any], Any] | None,
) -> np.ndarray:
    """A partial derivative of h(f), from those of f.

    Args:
        part: the partial derivative of f of given orders, any shape.
        orders: one for each input, at least 0.
        inverse_link: h, elementwise; the identity if None.

    Returns:
        The derivative, of the same shape.
    """
    if inverse_link is None:
        return np.asarray(part(tuple(orders)))
    # f(x + t) to the orders asked for: x itself, which a tracer would round, is not differentiated.
    powers = list(product(*(range(order + 1) for order in orders)))
    terms = [part(p) / math.prod(map(math.factorial, p)) for p in powers]

    def near(*steps: Any) -> Any:
        total = terms[0]
        for term, power in zip(terms[1:], powers[1:], strict=True):
            total = total + term * math.prod(t**k for t, k in zip(steps, power, strict=True) if k)
        return inverse_link(total)

    function = near
    for position, order in enumerate(orders):
        for _ in range(order):
            function = _slope(function, position)
    return np.asarray(function(*(jnp.zeros_like(terms[0]) for _ in orders)))


def linear_of(inverse_link: Callable[[Any], Any], y: np.ndarray) -> np.ndarray:
    """The linear predictors eta with h(eta) = y, by bisection in float64.

    Args:
        inverse_link: h, elementwise and strictly monotone but for rounding at its far ends.
        y: responses of any shape.

    Returns:
        eta of the same shape; NaN where h never has this value.

    Raises:
        TypeError: if h is no function.
        ValueError: if h is not monotone.
    """
    if not callable(inverse_link):
        raise TypeError(
            "`inverse_link` must be a function such as jax.numpy.exp, elementwise; got "
            f"{inverse_link!r}."
        )

    def h(eta: np.ndarray) -> np.ndarray:
        return np.asarray(inverse_link(jnp.asarray(eta)), np.float64)

    with jax.enable_x64(True):
        far = 2.0 ** np.arange(-30, 100)
        points = np.concatenate([-far[::-1], [0.0], far])
        values = h(points)
        points, values = points[~np.isnan(values)], values[~np.isnan(values)]
        sign = 1.0 if values[-1:] > values[:1] else -1.0
        values = sign * values
        if not points.size or np.any(values[1:] < values[:-1]) or values[0] == values[-1]:
            raise ValueError(
                "`inverse_link` must be strictly increasing, or strictly decreasing, such as "
                "jax.numpy.exp: else a response does not say what the predictor is."
            )
        target = sign * y
        reached = (target > values[0]) & (target < values[-1])
        place = np.clip(np.searchsorted(values, target), 1, points.size - 1)
        lower, upper = points[place - 1], points[place]
        for _ in range(60):
            middle = 0.5 * (lower + upper)
            below = sign * h(middle) < target
            lower, upper = np.where(below, middle, lower), np.where(below, upper, middle)
    return np.where(reached, upper, np.nan)


def _slope(function: Callable[..., Any], position: int) -> Callable[..., Any]:
    """Derivative of what acts on each entry by itself: one pass of forward mode."""

    def slope(*steps: Any) -> Any:
        tangents = [jnp.zeros_like(t) for t in steps]
        tangents[position] = jnp.ones_like(steps[position])
        return jax.jvp(function, steps, tuple(tangents))[1]

    return slope
