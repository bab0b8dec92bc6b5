"""Runs of NUTS whose draws and costs benchmarks compare."""

import time
from typing import Any

import jax
import numpy as np
from numpyro.infer import MCMC, NUTS


def run(model: Any, *data: Any, seed: int, draws: int) -> tuple[dict[str, Any], float, int, float]:
    """Two chains side by side: samples by chain, leapfrogs per draw, divergences, seconds."""
    mcmc = MCMC(
        NUTS(model),
        num_warmup=draws,
        num_samples=draws,
        num_chains=2,
        chain_method="parallel",
        progress_bar=False,
    )
    start = time.perf_counter()
    mcmc.run(jax.random.key(seed), *data, extra_fields=("num_steps", "diverging"))
    samples = {k: np.asarray(v) for k, v in mcmc.get_samples(group_by_chain=True).items()}
    seconds = time.perf_counter() - start
    fields = mcmc.get_extra_fields()
    return samples, float(np.mean(fields["num_steps"])), int(fields["diverging"].sum()), seconds
