"""Numbers drawn inside models, and what they add up to."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array

from numpyro_splines.ops.arrays import array_module, one_program


def combine(*terms: Any, shift: Any = None) -> Any:
    """Sum of columns @ weights over pairs of them and any batch, in the dtype of the weights.

    On the host where all weights are NumPy's, else one program in JAX.

    Args:
        *terms: columns, shape (k, m), and weights, shape (*batch, m), in turn.
        shift: added to the sum, shape (k,).
    """
    on_host = array_module(*terms[1::2]) is np
    return (_combined if on_host else _combined_at_once)(*terms, shift=shift)


def _combined(*terms: Any, shift: Any) -> Any:
    xp = array_module(*terms[1::2])
    pairs = zip(terms[::2], terms[1::2], strict=True)
    parts = [xp.einsum("km,...m->...k", xp.asarray(c, w.dtype), w) for c, w in pairs]
    total: Any = sum(parts[1:], parts[0])
    return total if shift is None else total + xp.asarray(shift, total.dtype)


_combined_at_once = one_program()(_combined)


def draw_vector(site: str, num: int, prior: dist.Distribution) -> Array:
    """Draw `num` independent numbers of a univariate distribution inside a model."""
    return jnp.asarray(numpyro.sample(site, prior.expand([num]).to_event(1)))


def limited(size: Array, limit: Any) -> Array:
    """1 / sqrt(1 / size^2 + 1 / limit^2), the regularization of the horseshoe, for positive sizes.

    Piironen and Vehtari (2017), equation (2.8); without squares that overflow.
    """
    limit = jnp.asarray(limit, size.dtype)
    return limit * size / jnp.hypot(limit, size)


def draw(name: str, prior: Any) -> Array:
    """Draw a number inside a model, or take it where it is fixed."""
    value = numpyro.sample(name, prior) if isinstance(prior, dist.Distribution) else prior
    return jnp.asarray(value, jnp.result_type(float))


def draw_anisotropies(name: str, deviation: float, num: int) -> Array:
    """Draw `num` logarithms of ratios of penalties inside a model, Normal(0, deviation) each."""
    prior = dist.Normal(0.0, deviation).expand([num]).to_event(1)
    return jnp.asarray(numpyro.sample(name, prior), jnp.result_type(float))


def draw_correlations(name: str, num: int, concentration: float) -> Array:
    """Draw the lower factor of a correlation matrix inside a model.

    Sites: that of the factor, and `<name without "_factor">`, the correlations below the diagonal.
    """
    factor = jnp.asarray(numpyro.sample(name, dist.LKJCholesky(num, concentration)))
    matrix = factor @ factor.swapaxes(-1, -2)
    rows, columns = np.tril_indices(num, -1)
    numpyro.deterministic(name.removesuffix("_factor"), matrix[..., rows, columns])
    return factor
