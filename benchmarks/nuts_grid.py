"""NUTS on one Gaussian smooth over a grid of data sizes and signals; part of `make bench-nuts`.

x ~ Beta(2, 5), a wiggly curve of standard deviation `signal` plus noise of one, y standardized;
K = 20 cubic B-splines, all coefficients sampled, float32. For each cell and each form of the
effect (what is known of the data): divergences, leapfrogs per draw, and the smallest effective
sample size, of sigma, the scale and the curve on a grid, per 1000 leapfrogs.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS

import numpyro_splines as ns

GRID = np.linspace(0.05, 0.8, 30)
CHAINS = 2


def simulate(n, signal, seed):
    """Inputs and standardized responses."""
    rng = np.random.default_rng(seed)
    x = rng.beta(2.0, 5.0, n)
    f = np.sin(9.0 * x) * np.exp(-x)
    y = signal * (f - f.mean()) / f.std() + rng.normal(size=n)
    return x, (y - y.mean()) / y.std()


def plain(basis, x, y):
    """Nothing known: the standard, non-centered form."""
    return ns.SplineEffect("f", basis, measure=x, noise=np.inf)


def default(basis, x, y):
    """The inputs known."""
    return ns.SplineEffect("f", basis, measure=x)


def fitted(basis, x, y):
    """Inputs and responses known."""
    return ns.SplineEffect("f", basis, measure=x, response=y)


FORMS = {form.__name__: form for form in (plain, default, fitted)}


def run(form, x, y, seed, warmup, draws):
    """Divergences, leapfrogs per draw, smallest effective sample size per 1000 leapfrogs."""
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 18))
    f = form(basis, x, y)
    inputs = jnp.asarray(x, jnp.float32)

    def model(y):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        level = numpyro.sample("level", dist.Normal(0.0, 1.0))
        mean = level + f.sample()(inputs)
        numpyro.sample("y", dist.Normal(mean, sigma), obs=y)

    mcmc = MCMC(
        NUTS(model), num_warmup=warmup, num_samples=draws, num_chains=CHAINS,
        chain_method="vectorized", progress_bar=False,
    )  # fmt: skip
    mcmc.run(jax.random.key(seed), y, extra_fields=("num_steps", "diverging"))
    fields, sites = mcmc.get_extra_fields(), mcmc.get_samples(group_by_chain=True)
    curve = np.asarray(f.curve(sites)(GRID) + sites["level"][..., None])
    numbers = np.stack([sites["sigma"], sites["f.scale"]], axis=-1)
    ess = effective_sample_size(np.concatenate([curve, numbers], axis=-1))
    steps = int(fields["num_steps"].sum())
    jax.clear_caches()  # or hundreds of programs use up the memory maps of the process
    return int(fields["diverging"].sum()), steps / (CHAINS * draws), 1000 * ess.min() / steps


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--observations", type=int, nargs="+", default=[40, 200, 1500, 10_000])
    parser.add_argument("--signals", type=float, nargs="+", default=[0.0, 0.2, 1.0, 8.0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--forms", nargs="+", default=["default", "fitted"], choices=list(FORMS))
    parser.add_argument("--warmup", type=int, default=500)
    parser.add_argument("--draws", type=int, default=500)
    arguments = parser.parse_args()
    print(f"{'form':9}{'n':>7}{'signal':>8}{'divergences':>13}{'leapfrogs':>11}{'ESS/1000':>10}")
    for form in arguments.forms:
        medians, divergences = [], 0
        for n in arguments.observations:
            for signal in arguments.signals:
                rows = []
                for seed in range(arguments.seeds):
                    x, y = simulate(n, signal, seed)
                    rows.append(run(FORMS[form], x, y, seed, arguments.warmup, arguments.draws))
                bad, steps, ess = zip(*rows, strict=True)
                divergences += sum(bad)
                medians.append(np.exp(np.mean(np.log(ess))))
                print(
                    f"{form:9}{n:7d}{signal:8.1f}{sum(bad):13d}{np.mean(steps):11.1f}"
                    f"{medians[-1]:10.0f}",
                    flush=True,
                )
        mean = np.exp(np.mean(np.log(medians)))
        print(
            f"{form:9} all: {divergences} diverged; ESS/1000 {mean:.0f}, worst {min(medians):.0f}"
        )


if __name__ == "__main__":
    main()
