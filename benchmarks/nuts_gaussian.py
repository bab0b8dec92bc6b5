"""NUTS on one Gaussian smooth, in five forms; part of `make bench-nuts`.

The posterior of the curve is (nearly) the same throughout; what differs is what the sampler sees:
the usual mixed-model form written by hand (P-spline, penalty split by its eigenvectors, dense
design matrix), the Karhunen-Loeve modes with nothing, the inputs and the responses known, and the
coefficients integrated out. Effective sample sizes are those of f on a grid and of the scales.
"""

import argparse
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS

import numpyro_splines as ns

GRID = np.linspace(0.05, 0.95, 40)


def simulate(n):
    """x with an uneven distribution, a wiggly curve, noise of 0.5."""
    rng = np.random.default_rng(0)
    x = rng.beta(2.0, 5.0, n)
    return x, 0.3 + np.sin(9.0 * x) * np.exp(-x) + 0.5 * rng.normal(size=n)


def by_hand(basis, x):
    """y = X b + Z u, u ~ Normal(0, tau): eigenvectors of the difference penalty."""
    values, vectors = np.linalg.eigh(basis.difference_penalty(2))
    random = vectors[:, 2:] / np.sqrt(values[2:])
    spline = np.asarray(basis(x), np.float32)
    design = np.concatenate([np.ones((x.size, 1)), x[:, None], spline @ random], 1)
    grid = np.concatenate([np.ones((GRID.size, 1)), GRID[:, None], basis(GRID) @ random], 1)
    num = random.shape[1]

    def model(y):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        b = numpyro.sample("b", dist.Normal(0.0, 5.0).expand([2]).to_event(1))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([num]).to_event(1))
        mean = jnp.asarray(design, jnp.float32) @ jnp.concatenate([b, tau * z])
        numpyro.sample("y", dist.Normal(mean, sigma), obs=y)

    def values_of(draws, key, y):
        columns = np.concatenate([draws["b"], draws["tau"][..., None] * draws["z"]], -1)
        return columns @ grid.T, draws["tau"]

    return model, values_of


def package(basis, x, **known):
    """All coefficients sampled, through the package."""
    f = ns.SplineEffect("f", basis, ns.RandomWalkPrior(linear=5.0), measure=x, **known)
    points = jnp.asarray(x, jnp.float32)

    def model(y):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        level = numpyro.sample("level", dist.Normal(0.0, 5.0))
        curve = f.sample()
        numpyro.sample("y", dist.Normal(level + curve(points), sigma), obs=y)

    def values_of(draws, key, y):
        return f.curve(draws)(GRID) + draws["level"][..., None], draws["f.scale"]

    return model, values_of


def adapted(basis, x, y):
    """All coefficients sampled, the intercept too, in coordinates of a joint fit."""
    f = ns.SplineEffect("f", basis, ns.RandomWalkPrior(linear=5.0), measure=x)
    predictor = ns.AdditivePredictor((f, x), intercept=dist.Normal(0.0, 5.0))
    predictor = ns.regression.penalized_fit(predictor, y).adapted(predictor)

    def model(y):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", dist.Normal(predictor.sample(), sigma), obs=y)

    def values_of(draws, key, y):
        return f.curve(draws)(GRID) + draws["intercept"][..., None], draws["f.scale"]

    return model, values_of


def integrated(basis, x):
    """Coefficients integrated out and drawn afterwards."""
    f = ns.SplineEffect("f", basis, ns.RandomWalkPrior(linear=5.0), measure=x)
    predictor = ns.AdditivePredictor((f, x), intercept=dist.Normal(0.0, 5.0))
    regression = ns.regression.IntegratedGaussian(predictor)

    def model(y):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", regression.distribution(sigma), obs=y)

    def values_of(draws, key, y):
        draws = regression.draw(key, draws, y, draws["sigma"])
        return f.curve(draws)(GRID) + draws["intercept"][..., None], draws["f.scale"]

    return model, values_of


CHAINS = {
    "vectorized": "vectorized",
    "parallel": "parallel",
    "map": lambda run: partial(jax.lax.map, run),
}


def run(model, values_of, y, warmup, draws, method):
    """Leapfrogs per draw, divergences, worst effective sample size, wall and CPU seconds in all."""
    start, work = time.perf_counter(), time.process_time()
    mcmc = MCMC(
        NUTS(model), num_warmup=warmup, num_samples=draws, num_chains=4,
        chain_method=CHAINS[method], progress_bar=False,
    )  # fmt: skip
    mcmc.run(jax.random.key(0), y, extra_fields=("num_steps", "diverging"))
    fields = mcmc.get_extra_fields()
    curve, scale = values_of(mcmc.get_samples(group_by_chain=True), jax.random.key(1), y)
    quantities = np.concatenate([np.asarray(curve), np.asarray(scale)[..., None]], axis=-1)
    seconds, work = time.perf_counter() - start, time.process_time() - work
    worst = float(np.min(effective_sample_size(quantities)))
    return fields["num_steps"].mean(), int(fields["diverging"].sum()), worst, seconds, work


def main():
    """Print a table for each number of observations."""
    numpyro.set_host_device_count(4)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--observations", type=int, nargs="+", default=[500, 10_000, 100_000])
    parser.add_argument("--warmup", type=int, default=500)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--chains", choices=list(CHAINS), default="parallel")
    parser.add_argument("--only", nargs="+", help="first words of the names of the contestants")
    arguments = parser.parse_args()
    basis = ns.BSplineBasis(knots=ns.knots.extended(ns.knots.uniform(0.0, 1.0, 18), 3))
    for n in arguments.observations:
        x, y = simulate(n)
        contestants = {
            "mixed model by hand": lambda x=x: by_hand(basis, x),
            "modes, nothing known": lambda x=x: package(basis, x, noise=np.inf),
            "modes, inputs known": lambda x=x: package(basis, x),
            "modes, responses known": lambda x=x, y=y: package(basis, x, response=y),
            "adapted to a joint fit": lambda x=x, y=y: adapted(basis, x, y),
            "integrated out": lambda x=x: integrated(basis, x),
        }
        if arguments.only:
            kept = tuple(arguments.only)
            contestants = {k: v for k, v in contestants.items() if k.startswith(kept)}
        size = f"n = {n}, K = {basis.num_coefficients}"
        print(f"\n{size}, 4 chains of {arguments.draws}, {arguments.chains}")
        heads = ("leapfrogs/draw", "divergences", "min ESS", "s", "CPU s", "ESS/s", "ESS/CPU s")
        widths = (15, 13, 9, 7, 7, 8, 11)
        print(" " * 24 + "".join(f"{h:>{w}}" for h, w in zip(heads, widths, strict=True)))
        for name, make in contestants.items():
            model, values_of = make()
            steps, bad, worst, seconds, work = run(
                model, values_of, y, arguments.warmup, arguments.draws, arguments.chains
            )
            print(
                f"{name:24}{steps:15.1f}{bad:13d}{worst:9.0f}{seconds:7.1f}{work:7.1f}"
                f"{worst / seconds:8.1f}{worst / work:11.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
