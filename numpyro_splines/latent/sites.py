"""Sites of rows that are in plates of their own, whatever plates the model is in."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array


class _AllPlates:
    """What holds the name of every plate."""

    def __contains__(self, name: object) -> bool:
        return True


def sample_rows(site: str, plate: str, law: dist.Distribution, obs: Any = None) -> Array:
    """Values of rows, shape (k,): the plates around neither repeat nor weigh them.

    Rows that are known are a part of those of the model, so that its own plate does not fit them.

    Args:
        site: name of the site.
        plate: name of the plate over its rows.
        law: batch shape (k,), or () for one distribution of all; its event shape is ().
        obs: what was observed, shape (k,), or None.
    """
    size = jnp.shape(obs)[0] if obs is not None else law.batch_shape[0]
    with numpyro.handlers.trace() as trace:
        rows = numpyro.plate(plate, size)
    (message,) = trace.values()
    if not message["cond_indep_stack"]:
        with rows:
            return jnp.asarray(numpyro.sample(site, law, obs=obs))
    return sample_together(site, law.expand((size,)).to_event(1), obs)


def sample_together(site: str, law: dist.Distribution, obs: Any = None) -> Array:
    """A value of one joint distribution, which the plates around neither repeat nor weigh.

    Args:
        site: name of the site.
        law: batch shape ().
        obs: what was observed, or None.
    """
    infer = {"block_plates": _AllPlates()}
    return jnp.asarray(numpyro.sample(site, law, obs=obs, infer=infer))
