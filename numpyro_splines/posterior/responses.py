"""Derivatives on the scale of the response, by the chain rule."""

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


def _slope(function: Callable[..., Any], position: int) -> Callable[..., Any]:
    """Derivative of what acts on each entry by itself: one pass of forward mode."""

    def slope(*steps: Any) -> Any:
        tangents = [jnp.zeros_like(t) for t in steps]
        tangents[position] = jnp.ones_like(steps[position])
        return jax.jvp(function, steps, tuple(tangents))[1]

    return slope
