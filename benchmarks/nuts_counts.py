"""Counts and chances with two smooths: coefficients sampled, integrated out, and liesel_gam's IWLS.

    python benchmarks/nuts_counts.py --observations 2000 --family poisson

Effective draws are those of the linear predictor at 50 rows and of both scales: the worst of them
for each CPU second, in total and, with `--again`, in a second run (for which NumPyro compiles a
part of its programs anew). With `--repeat` the contestants take turns, each from the start:

    python benchmarks/nuts_counts.py --observations 100000 --repeat 2 \
        --only "sampled in coordinates" "around a fit"

liesel_gam takes part where it is installed, with the sampler and the priors that are its default.
"""

import argparse
import os
import time

# Threads for small factorizations wait for one another; before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS

import numpyro_splines as ns

CHAINS, INTERVALS = 4, 17


def simulate(n, family):
    """Two inputs, one of them uneven; responses with a mean of about two, or half of them one."""
    rng = np.random.default_rng(0)
    x, z = rng.beta(2.0, 4.0, n), rng.uniform(size=n)
    eta = 0.5 + np.sin(7.0 * x) + 0.7 * np.cos(5.0 * z)
    y = rng.poisson(np.exp(eta)) if family == "poisson" else rng.binomial(1, 1 / (1 + np.exp(-eta)))
    return x, z, y.astype(float)


FAMILIES = {"poisson": ns.regression.Poisson(), "bernoulli": ns.regression.Binomial()}


def predictor(x, z):
    knots = ns.knots.uniform(0.0, 1.0, INTERVALS)
    basis = ns.BSplineBasis(knots)
    effects = [ns.SplineEffect(name, basis, measure=v) for name, v in (("f", x), ("g", z))]
    pairs = zip(effects, (x, z), strict=True)
    return ns.AdditivePredictor(*pairs, intercept=dist.Normal(0.0, 5.0))


class Package:
    """A model of the package."""

    def __init__(self, x, z, y, family, *, warmup, draws):
        self.predictor, self.family, self.y = predictor(x, z), FAMILIES[family], y
        few = slice(None, None, len(y) // 50)
        self.few = self.predictor.at({"f": x[few], "g": z[few]})
        self.sampler = MCMC(
            NUTS(self.model()), num_warmup=warmup, num_samples=draws, num_chains=CHAINS,
            chain_method=lambda run: lambda states: jax.lax.map(run, states), progress_bar=False,
        )  # fmt: skip

    def run(self, seed):
        self.sampler.run(jax.random.key(seed), self.y, extra_fields=("num_steps", "diverging"))
        fields = self.sampler.get_extra_fields()
        draws = self.finished(self.sampler.get_samples(group_by_chain=True))
        quantities = [self.few.linear_predictor(draws)]
        quantities += [draws[name][..., None] for name in ("f.scale", "g.scale")]
        note = f"{fields['num_steps'].mean():.1f} leapfrogs, {fields['diverging'].sum()} divergent"
        return np.concatenate([np.asarray(q) for q in quantities], -1), note


class Sampled(Package):
    """All coefficients in coordinates of a joint fit."""

    def model(self):
        fit = ns.regression.penalized_fit(self.predictor, self.y, self.family)
        predictor = fit.adapted(self.predictor)

        def model(y):
            distribution = self.family.distribution(predictor.sample())
            numpyro.sample("y", distribution.to_event(1), obs=y)

        return model

    def finished(self, draws):
        return draws


class Integrated(Package):
    """Coefficients integrated out by Laplace's approximation, and drawn afterwards."""

    around = "mode"

    def model(self):
        self.regression = ns.regression.IntegratedLaplace(
            self.predictor, self.family, around=self.around
        )

        def model(y):
            numpyro.sample("y", self.regression.distribution(), obs=y)

        return model

    def finished(self, draws):
        return self.regression.draw(jax.random.key(9), draws, self.y)


class Expanded(Integrated):
    """The same with the likelihood expanded once, at a fit."""

    around = "fit"


class Liesel:
    """liesel_gam: IWLS for the coefficients of each term, Gibbs for its variance."""

    def __init__(self, x, z, y, family, *, warmup, draws):
        import liesel.goose as gs
        import liesel.model as lsl
        import liesel_gam as gam
        import pandas as pd
        import tensorflow_probability.substrates.jax.distributions as tfd

        terms = gam.TermBuilder.from_df(pd.DataFrame({"x": x, "z": z}))
        link = {"poisson": jnp.exp, "bernoulli": None}[family]
        self.positive = link is not None  # what is recorded is the rate then
        eta = gam.AdditivePredictor("eta", inv_link=link)
        eta += terms.ps("x", k=INTERVALS + 3)
        eta += terms.ps("z", k=INTERVALS + 3)
        response = {"poisson": (tfd.Poisson, "rate"), "bernoulli": (tfd.Bernoulli, "logits")}
        name, argument = response[family]
        observed = lsl.Var.new_obs(y, distribution=lsl.Dist(name, **{argument: eta}), name="y")
        self.model, self.gs = lsl.Model([observed]), gs
        self.durations = warmup, draws
        self.rows = slice(None, None, len(y) // 50)
        builder = gs.LieselMCMC(self.model).get_engine_builder(seed=0, num_chains=CHAINS)
        builder.show_progress = False
        builder.positions_included = ["eta"]
        self.builder = builder

    def run(self, seed):
        warmup, draws = self.durations
        if seed == 0:
            self.builder.set_duration(warmup_duration=warmup, posterior_duration=draws)
            self.engine = self.builder.build()
            self.engine.sample_all_epochs()
        else:  # more draws of the engine that is compiled
            epoch = self.gs.EpochConfig(self.gs.EpochType.POSTERIOR, warmup + draws, 1, None)
            self.engine.append_epoch(epoch)
            self.engine.sample_next_epoch()
        samples = self.engine.get_results().get_posterior_samples()
        eta = np.asarray(samples["eta"])[:, -(draws if seed == 0 else warmup + draws) :]
        eta = np.log(eta) if self.positive else eta
        scales = [np.asarray(v)[:, -eta.shape[1] :] for k, v in samples.items() if "tau" in k]
        scales = [np.sqrt(v).reshape(*v.shape[:2], -1) for v in scales]
        return np.concatenate([eta[..., self.rows], *scales], -1), "IWLS and Gibbs"


def contestants():
    """By name; liesel_gam where it is installed."""
    every = {"sampled in coordinates": Sampled, "around the mode": Integrated,
             "around a fit": Expanded}  # fmt: skip
    try:
        import liesel_gam  # noqa: F401
    except ImportError:
        return every
    return {**every, "liesel_gam": Liesel}


def main():
    """Print a row for each contestant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--observations", type=int, default=2000)
    parser.add_argument("--family", choices=list(FAMILIES), default="poisson")
    parser.add_argument("--warmup", type=int, default=300)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=1, help="how often, in turns")
    parser.add_argument("--again", action="store_true", help="run each a second time")
    parser.add_argument("--only", nargs="+", help="names of the contestants")
    arguments = parser.parse_args()
    data = simulate(arguments.observations, arguments.family)
    heads = ("min ESS", "CPU s", "ESS/CPU s", "again CPU s", "ESS/CPU s")[: 3 + 2 * arguments.again]
    print(" " * 24 + "".join(f"{h:>13}" for h in heads))
    for name, made in list(contestants().items()) * arguments.repeat:
        jax.clear_caches()
        if arguments.only and name not in arguments.only:
            continue
        cells = []
        start = time.process_time()
        own = made(*data, arguments.family, warmup=arguments.warmup, draws=arguments.draws)
        for seed in range(1 + arguments.again):
            quantities, note = own.run(seed)
            seconds = time.process_time() - start
            worst = float(np.min(effective_sample_size(quantities)))
            cells += [f"{worst:13.0f}"] * (seed == 0) + [f"{seconds:13.1f}{worst / seconds:13.1f}"]
            start = time.process_time()
        print(f"{name:24}{''.join(cells)}  {note}", flush=True)


if __name__ == "__main__":
    main()
