"""Rows per second and memory of a stream, and its posterior against the truth.

    python benchmarks/streams.py --rows 1e8 --batch 1e6

The rows are made on the fly: two smooths, six groups and a Gaussian response.
"""

import argparse
import resource
import time

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from numpyro.infer import MCMC, NUTS, init_to_value

import numpyro_splines as ns

LEVELS = np.array(list("abcdef"))
EFFECT = np.linspace(-0.5, 0.5, 6)
SIGMA = 1.0


def truth(x, z):
    return np.sin(6.0 * x), 0.3 * np.cos(2.0 * z)


def batches(rows, size):
    """Frames of so many rows."""
    for start in range(0, rows, size):
        rng = np.random.default_rng([1, start])
        n = min(size, rows - start)
        x, z = rng.uniform(size=n), rng.uniform(-3.0, 3.0, n)
        code = rng.integers(0, 6, n)
        f, g = truth(x, z)
        y = 2.0 + f + g + EFFECT[code] + SIGMA * rng.standard_normal(n)
        group = pd.Categorical.from_codes(code, LEVELS)
        yield pd.DataFrame({"x": x, "z": z, "group": group, "y": y})


def knots(lower, upper):
    """So many that the error of approximation is far below the posterior sd at 1e8 rows."""
    return ns.BSplineBasis(ns.knots.uniform(lower, upper, 30))


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def watched(source, marks):
    """Batches, with CPU seconds that they took to make and memory so far."""
    start = time.process_time()
    for batch in source:
        marks.append((time.process_time() - start, megabytes()))
        yield batch
        start = time.process_time()


def posterior(eta, y, draws=500):
    """Draws of everything, started at a fit and in its units, and their CPU seconds."""
    start = time.process_time()
    fit = ns.regression.penalized_fit(eta, y)
    regression = ns.regression.IntegratedGaussian(eta)

    def model():
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        numpyro.sample("y", regression.distribution(sigma), obs=y)

    kernel = NUTS(
        model,
        init_strategy=init_to_value(values=fit.initial_values()),
        inverse_mass_matrix=fit.inverse_mass_matrix("sigma", *eta.scale_sites),
        adapt_mass_matrix=False,
    )
    mcmc = MCMC(kernel, num_warmup=300, num_samples=draws, progress_bar=False)
    mcmc.run(jax.random.key(0), extra_fields=("num_steps",))
    samples = mcmc.get_samples(group_by_chain=True)
    samples = regression.draw(jax.random.key(1), samples, y, samples["sigma"])
    steps = float(mcmc.get_extra_fields()["num_steps"].mean())
    return samples, time.process_time() - start, steps


def report(rows, size):
    marks = []
    start = time.process_time()
    sample = next(batches(20_000, 20_000))
    eta, y = ns.AdditivePredictor.from_batches(
        watched(batches(rows, size), marks),
        (ns.SplineEffect("x", knots(0.0, 1.0), measure=sample["x"]), "x"),
        (ns.SplineEffect("z", knots(-3.0, 3.0), measure=sample["z"]), "z"),
        "group",
        response="y",
        intercept=dist.Normal(0.0, 10.0),
        sample=sample,
        progress_bar=False,
    )
    whole, making = time.process_time() - start, sum(own for own, _ in marks)
    draws, seconds, steps = posterior(eta, y)
    grid = np.linspace(0.02, 0.98, 50)
    new = pd.DataFrame({"x": grid, "z": 6.0 * grid - 3.0, "group": LEVELS[np.arange(50) % 6]})
    values = np.asarray(eta.at(new).linear_predictor(draws), np.float64)[0]
    expected = 2.0 + sum(truth(new["x"], new["z"])) + EFFECT[np.arange(50) % 6]
    error = values.mean(0) - expected
    print(f"| {rows:.0e} | {rows / (whole - making) / 1e6:.2f} | {marks[0][1]:.0f} | "
          f"{marks[len(marks) // 2][1]:.0f} | {marks[-1][1]:.0f} | {seconds:.1f} | {steps:.1f} | "
          f"{np.abs(error).max():.1e} | "
          f"{values.std(0).mean():.1e} | {float(draws['sigma'].mean()):.5f} |")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=float, default=1e6)
    parser.add_argument("--batch", type=float, default=1e6)
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    print("| rows | million rows per CPU second | MB at the first batch | in the middle | at the "
          "last | CPU s of NUTS | leapfrogs | largest error | posterior sd | sigma |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    report(int(arguments.rows), int(arguments.batch))
