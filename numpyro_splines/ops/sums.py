"""Sums of products, in an order that nothing changes where it matters."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from numpyro_splines.validation import is_traced


def weighted_sum(weights: Any, terms: Any) -> Any:
    """sum_j weights[..., j] terms[..., j, :].

    Inside a compiled function it is one contraction, whose order of summation is the compiler's.
    Concrete numbers are added term by term on the host, each product and sum rounded once: so the
    curves of saved draws are the same to the last bit with any version of JAX, on any machine.

    Args:
        weights: shape (*batch, j).
        terms: shape (*batch, j, k), its batch broadcast against that of the weights.

    Returns:
        Shape (*batch, k); NumPy for concrete numbers.
    """
    if is_traced(weights) or is_traced(terms):
        return jnp.einsum("...j,...jk->...k", weights, terms)
    weights, terms = np.asarray(weights), np.asarray(terms)
    total = weights[..., 0, None] * terms[..., 0, :]
    for j in range(1, terms.shape[-2]):
        total += weights[..., j, None] * terms[..., j, :]
    return total
