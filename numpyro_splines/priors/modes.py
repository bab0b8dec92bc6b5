"""Normal modes inside models: how they are parametrized for samplers, and what they add up to."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.infer.reparam import LocScaleReparam

from numpyro_splines.ops.arrays import one_program

# Noise variance, in units of tau^2, at which the automatic centering of a mode is one half: noise
# about three times as large as the penalized part of f, a signal worth smoothing. At equal noise
# (1) small data sets diverge more: 27 rather than 6 of 4000 draws at n = 50 in
# benchmarks/nuts_gaussian.py.
_NOISE = 10.0


@one_program()
def combine(*terms: Any, shift: Any = None) -> Array:
    """Sum of columns @ weights over pairs of them and any batch, in the dtype of the weights.

    Args:
        *terms: columns, shape (k, m), and weights, shape (*batch, m), in turn.
        shift: added to the sum, shape (k,).
    """
    pairs = zip(terms[::2], terms[1::2], strict=True)
    parts = [jnp.einsum("km,...m->...k", jnp.asarray(c, w.dtype), w) for c, w in pairs]
    total = sum(parts[1:], parts[0])
    return total if shift is None else total + jnp.asarray(shift, total.dtype)


def scaled_normal(site: str, num: int, scale: Array, centering: Any) -> Array:
    """Draw `num` numbers Normal(0, scale) inside a model, parametrized for samplers.

    Args:
        site: full name of the site.
        num: how many.
        scale: their standard deviation, any batch shape.
        centering: in [0, 1], shape () or (num,).
    """
    # Plain floats let NumPyro skip the transformation at both ends of the range.
    if isinstance(centering, np.ndarray) and np.ptp(centering) == 0.0:
        centering = float(centering.flat[0])
    prior = dist.Normal(jnp.zeros(num), scale[..., None]).to_event(1)
    with numpyro.handlers.reparam(config={site: LocScaleReparam(centering)}):
        return jnp.asarray(numpyro.sample(site, prior))


def informed_centering(standard_deviations: Any, num_observations: float) -> np.ndarray:
    """How much n observations say about modes with these prior standard deviations, in [0, 1)."""
    information = num_observations * np.asarray(standard_deviations) ** 2
    return information / (_NOISE + information)


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
