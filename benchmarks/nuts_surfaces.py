"""A surface of two correlated inputs: all coefficients sampled, adapted to a fit, integrated out.

    python benchmarks/nuts_surfaces.py [SEEDS]

n = 400, K = 6 x 6, functional ANOVA, inputs normal with correlation 0, 0.9, 0.98. Effective draws
are those of sigma, the scales and the surface at 30 of the observations: the worst of them per 1000
leapfrogs. The coordinates of a surface are orthonormal for independent inputs, so correlation costs
leapfrogs where coefficients are sampled, and nothing where they are integrated out.
"""

import sys
import time

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import runs
from numpyro.diagnostics import effective_sample_size

import numpyro_splines as ns

N, DRAWS = 400, 400


def data(rho, seed):
    rng = np.random.default_rng(seed)
    x, e = rng.normal(size=(2, N))
    z = rho * x + np.sqrt(1.0 - rho**2) * e
    y = np.sin(1.5 * x) + 0.5 * z + 0.5 * x * z * np.exp(-(z**2)) + 0.3 * rng.normal(size=N)
    return x, z, y


def run(form, rho, seed):
    x, z, y = data(rho, seed)
    margins = {
        name: ns.CurveMargin(ns.BSplineBasis(ns.knots.uniform(v.min(), v.max(), 4)), measure=v)
        for name, v in (("x", x), ("z", z))
    }
    f = ns.TensorEffect("f", **margins)
    eta = ns.AdditivePredictor((f, x, z), intercept=dist.Normal(0.0, 5.0))
    if form == "adapted":
        eta = ns.regression.penalized_fit(eta, y).adapted(eta)
    regression = ns.regression.IntegratedGaussian(eta) if form == "integrated out" else None

    def model(y):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        if regression is None:
            numpyro.sample("y", dist.Normal(eta.sample(), sigma), obs=y)
        else:
            numpyro.sample("y", regression.distribution(sigma), obs=y)

    draws, leapfrogs, diverging, seconds = runs.run(model, y, seed=seed, draws=DRAWS)
    start = time.perf_counter()
    if regression is not None:
        draws = regression.draw(jax.random.key(1), draws, y, draws["sigma"])
    seconds += time.perf_counter() - start
    values = np.asarray(f.surface(draws)(x[:30], z[:30]))
    names = ["sigma", *(f.site(name) for name in f.smooth.scale_priors)]
    sizes = [effective_sample_size(values).min()]
    sizes += [effective_sample_size(np.asarray(draws[name])) for name in names]
    worst = float(min(sizes))
    return leapfrogs, worst, 1000.0 * worst / (leapfrogs * 2 * DRAWS), diverging, seconds


def main():
    numpyro.set_host_device_count(2)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    heads = ("rho", "form", "leapfrogs", "min ESS", "per 1000", "diverging", "s")
    print("{:>5} {:>15} {:>10} {:>8} {:>9} {:>10} {:>6}".format(*heads))
    for rho in (0.0, 0.9, 0.98):
        for form in ("sampled", "adapted", "integrated out"):
            rows = np.median([run(form, rho, seed) for seed in range(seeds)], axis=0)
            line = "{:10.0f} {:8.0f} {:9.1f} {:10.0f} {:6.0f}".format(*rows)
            print(f"{rho:5.2f} {form:>15} {line}", flush=True)


if __name__ == "__main__":
    main()
