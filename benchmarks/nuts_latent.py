"""NUTS over latent inputs, three ways to evaluate one spline, and inputs integrated out.

A non-linear version of liesel's measurement-error tutorial: n inputs with three replicates each,
their error, their population and the curve unknown; `make bench-nuts`. The posterior is the same in
all rows; where inputs are sampled only the evaluation of f at the latent x differs, so time per
leapfrog is what to compare there. "Warm" rows start from `penalized_fit` to calibrated inputs with
`latent.warm_start` (its time counts) and adapt for a shorter time.
"""

import argparse
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from baselines import textbook_basis
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS

import numpyro_splines as ns
from numpyro_splines.regression import penalized_fit

GRID = np.linspace(0.5, 5.5, 50)


def make_model(effect, data, evaluate, quadrature=None):
    """The tutorial's model; `evaluate(x, coefficients)` gives f(x)."""

    def model(y):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        level = numpyro.sample("level", dist.Normal(0.0, 2.0))
        mean = numpyro.sample("mean", dist.Normal(3.0, 3.0))
        sd = numpyro.sample("sd", dist.HalfNormal(3.0))
        error = numpyro.sample("error", dist.HalfNormal(1.0))
        with numpyro.handlers.trace() as trace:
            effect.sample()
        coefficients = trace["f.coefficients"]["value"]
        population = dist.Normal(mean, sd)

        def given(x):
            return dist.Normal(level + evaluate(x, coefficients), sigma)

        if quadrature is None:
            y_given = given(data.sample("x", population, error_sd=error))
        else:
            y_given = data.integrate("x", population, quadrature, response=given, error_sd=error)
        numpyro.sample("y", y_given, obs=y)

    return model


def linear_extrapolation(design, effect):
    """f from a design-matrix function of (x, derivative), continued as the basis does it."""
    lower, upper = np.asarray(effect.basis.domain, np.float32)
    upper = np.nextafter(upper, lower)  # the textbook recursion is zero at the right end itself

    def evaluate(x, coefficients):
        inside = jnp.clip(x, lower, upper)
        slope = design(inside, 1) @ coefficients
        return design(inside, 0) @ coefficients + (x - inside) * slope

    return evaluate


def contestants(effect):
    """Ways to evaluate f(x) from coefficients, by name."""
    knots = effect.basis.knots

    def textbook(x, derivative):
        if derivative:
            return jax.jvp(lambda at: textbook_basis(at, knots), (x,), (jnp.ones_like(x),))[1]
        return textbook_basis(x, knots)

    return {
        "numpyro_splines": lambda x, c: effect.basis.curve(c)(x),
        "textbook recursion": linear_extrapolation(textbook, effect),
        "SciPy callback": linear_extrapolation(
            lambda x, derivative: ns.scipy_bspline_basis(x, knots, 3, derivative), effect
        ),
    }


def pilot(effect, data, y):
    """Starting values, and the rule that integrates the inputs out with as many nodes as needed."""
    x = data.calibrated()
    fit = penalized_fit(ns.AdditivePredictor((effect, x), intercept=dist.Normal(0.0, 2.0)), y)
    values = dict(fit.initial_values())
    values |= {"level": values.pop("intercept"), "mean": x.mean(), "sd": x.std(), "error": 0.4}
    return values, data.quadrature(effect.curve(values), values["sigma"])


def run(model, y, options, values):
    """Seconds in all, leapfrogs in all, draws, divergences."""
    start = time.perf_counter(), time.process_time()
    warm = ns.latent.warm_start(model, y, values=values) if values else {}
    mcmc = MCMC(
        NUTS(model, **warm), num_warmup=options.warmup // (2 if values else 1),
        num_samples=options.draws, num_chains=options.chains, progress_bar=False,
        chain_method=lambda run: partial(jax.lax.map, run),
    )  # fmt: skip
    mcmc.warmup(jax.random.key(0), y, extra_fields=("num_steps",), collect_warmup=True)
    steps = int(np.sum(mcmc.get_extra_fields()["num_steps"]))
    mcmc.run(jax.random.key(1), y, extra_fields=("num_steps", "diverging"))
    jax.block_until_ready(mcmc.get_samples())
    seconds = time.perf_counter() - start[0], time.process_time() - start[1]
    fields = mcmc.get_extra_fields()
    return seconds, steps + int(np.sum(fields["num_steps"])), mcmc, int(fields["diverging"].sum())


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=500, help="observations")
    parser.add_argument("--warmup", type=int, default=300)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--chains", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="rows whose names hold one of these words")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.normal(3.0, 1.2, options.n)
    w = x[:, None] + 0.4 * rng.normal(size=(x.size, 3))
    y = 1.0 + np.sin(x) + 0.2 * rng.normal(size=x.size)
    data = ns.latent.Measured(w, 0.4)
    basis = ns.BSplineBasis(data.knots(18))
    effect = ns.SplineEffect("f", basis, measure=w.mean(axis=1))
    (values, rule), sites = pilot(effect, data, y), data.initial_values("x")
    print(
        f"n = {options.n}, {options.chains} x ({options.warmup} + {options.draws}) draws, float32"
    )
    print("| f(x) by | seconds | CPU s | leapfrogs | ms each | min ESS/s | div. |")
    print("|---|---|---|---|---|---|---|")
    contest = contestants(effect)
    ways = {name: (evaluate, None, None) for name, evaluate in contest.items()}
    own = contest["numpyro_splines"]
    ways["numpyro_splines, warm"] = own, None, values | sites
    ways["numpyro_splines, x integrated out"] = own, ns.latent.Quadrature(), None
    ways["numpyro_splines, x integrated out, warm"] = own, rule, values
    for name, (evaluate, quadrature, start) in ways.items():
        if options.only and not any(word in name for word in options.only):
            continue
        model = make_model(effect, data, evaluate, quadrature)
        (seconds, cpu), steps, mcmc, diverging = run(model, y, options, start)
        draws = mcmc.get_samples(group_by_chain=True)
        f = np.asarray(draws["level"][..., None] + effect.curve(draws)(GRID))
        scalars = ("sigma", "f.scale", "level", "mean", "sd", "error")
        columns = [*np.moveaxis(f, -1, 0), *(draws[name] for name in scalars)]
        worst = min(float(effective_sample_size(np.asarray(c))) for c in columns)
        cells = f"{seconds:.1f} | {cpu:.1f} | {steps} | {1e3 * seconds / steps:.2f}"
        print(f"| {name} | {cells} | {worst / seconds:.2f} | {diverging} |", flush=True)


if __name__ == "__main__":
    main()
