"""Whole posteriors of effects of several inputs: calibration, and a surface of a latent input."""

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from numpyro.infer import MCMC, NUTS, Predictive

import numpyro_splines as ns

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
N = 48
X, Z = RNG.uniform(size=(2, N))
BASIS = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 3))
GROUP = np.arange(N) % 4
AREAS = {"a": ["b"], "b": ["a", "c"], "c": ["b", "d"], "d": ["c", "e"], "e": ["d"]}
AREA = np.array(list(AREAS))[np.arange(N) % 5]


def curve(x):
    return ns.CurveMargin(BASIS, measure=x)


def surface():
    f = ns.TensorEffect("f", noise=0.5, x=curve(X), z=curve(Z))
    return f, (X, Z), (np.array([0.2, 0.8]), np.array([0.3, 0.6]))


def hierarchy():
    f = ns.TensorEffect("f", noise=0.5, x=curve(X), g=ns.GroupMargin(GROUP))
    return f, (X, GROUP), (np.array([0.2, 0.8]), np.array([1, 3]))


def graph():
    margin = ns.GraphMargin(AREAS, observations=AREA, mixing=0.7)
    f = ns.TensorEffect("f", noise=0.5, area=margin)
    return f, (margin.index(AREA),), (np.array([0, 3]),)


@pytest.mark.parametrize("make", [surface, hierarchy, graph])
def test_simulation_based_calibration(make):
    """Ranks of the truth among posterior draws are uniform: 200 data sets from the prior."""
    num = 200
    f, inputs, points = make()

    def model(y=None):
        with numpyro.plate("sets", num):
            sigma = numpyro.sample("sigma", dist.LogNormal(-0.5, 0.5))
            level = numpyro.sample("level", dist.Normal())
            mean = level[:, None] + f.sample()(*inputs)
            numpyro.sample("y", dist.Normal(mean, sigma[:, None]).to_event(1), obs=y)

    truth = Predictive(model, num_samples=1)(jax.random.key(0))
    mcmc = MCMC(NUTS(model), num_warmup=500, num_samples=1000, num_chains=1, progress_bar=False)
    mcmc.run(jax.random.key(1), truth["y"][0])
    scales = [f.site(name) for name in f.smooth.scale_priors]

    def quantities(draws):
        values = np.asarray(f.surface(draws)(*points))
        rest = [draws[name][..., None] for name in ("sigma", "level", *scales)]
        return np.concatenate([values, *rest], axis=-1)

    # Every tenth draw is nearly independent of the last.
    draws = quantities(mcmc.get_samples())[::10]
    ranks = (draws < quantities(truth)[0]).sum(axis=0)
    counts = [np.histogram(column, bins=10, range=(-0.5, 100.5))[0] for column in ranks.T]
    # A false alarm in 1200 seeds: at most eight quantities; this seed is fixed.
    assert min(scipy.stats.chisquare(c).pvalue for c in counts) > 1e-4


def test_a_surface_of_a_latent_input_is_recovered():
    """Eight data sets: the band of nine tenths covers nine tenths of the truth, nothing diverges.

    The truth is fixed, not a draw from the prior, so coverage is of points of the surface on
    average; between 0.8 and 0.97 but for one run in a thousand if it is 0.9 and points of one set
    count as four independent ones.
    """
    covered, divergences = [], 0
    grid = np.meshgrid(np.linspace(-1.2, 1.2, 7), np.linspace(0.1, 0.9, 5), indexing="ij")
    basis = ns.BSplineBasis(ns.knots.uniform(-2.5, 2.5, 6))

    def truth(x, z):
        return 2.0 * (z - 0.5) * np.sin(1.5 * x)

    for seed in range(8):
        rng = np.random.default_rng(seed)
        x, z = rng.normal(size=150), rng.uniform(size=150)
        w = x + 0.3 * rng.normal(size=150)
        y = truth(x, z) + 0.2 * rng.normal(size=150)
        margins = {"x": ns.CurveMargin(basis, measure=w), "z": curve(z)}
        f = ns.TensorEffect("f", noise=0.3, **margins)

        def model(w, z, y, f=f):
            sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
            level = numpyro.sample("level", dist.Normal())
            x = ns.latent.Measured(w, 0.3).sample("x", dist.Normal(0.0, 1.0))
            numpyro.sample("y", dist.Normal(level + f.sample()(x, z), sigma), obs=y)

        mcmc = MCMC(NUTS(model), num_warmup=400, num_samples=400, progress_bar=False)
        mcmc.run(jax.random.key(seed), w, z, y)
        divergences += int(mcmc.get_extra_fields()["diverging"].sum())
        draws = mcmc.get_samples()
        values = np.asarray(f.surface(draws)(*grid)) + np.asarray(draws["level"])[:, None, None]
        lower, upper = np.quantile(values, [0.05, 0.95], axis=0)
        inside = (lower < truth(*grid)) & (truth(*grid) < upper)
        covered.append(inside.mean())
    assert divergences == 0
    assert 0.8 < np.mean(covered) < 0.97
