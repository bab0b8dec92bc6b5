"""Coefficients integrated out by Laplace's approximation: calibration, and where it is hard."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from numpyro.infer import Predictive

import numpyro_splines as ns
from numpyro_splines.regression import Binomial, IntegratedLaplace, MarginalLaplace, Poisson

pytestmark = pytest.mark.slow

N, SETS, DRAWS, KEPT = 40, 60, 1475, 59
X = np.random.default_rng(0).beta(2.0, 3.0, N)
PRIOR = scipy.stats.halfnorm()


def predictor(level):
    prior = ns.SmoothnessPrior(scale=dist.HalfNormal(1.0))
    f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 5)), prior, measure=X)
    return ns.AdditivePredictor((f, X), intercept=dist.Normal(level, 0.5))


def posterior_scales(rng, regression, y):
    """Independent draws of the scale: its density on a grid of quantiles of the prior."""
    edges = np.linspace(0.0, 1.0, 201)
    middles = PRIOR.ppf(0.5 * (edges[1:] + edges[:-1]))
    # A known y, as models have it.
    log_density = jax.jit(lambda scales: MarginalLaplace(regression, scales).log_prob(y))
    chances = np.asarray(jax.nn.softmax(log_density(middles[:, None])), np.float64)
    cells = rng.choice(200, size=DRAWS, p=chances / chances.sum())
    return PRIOR.ppf(edges[cells] + rng.uniform(size=DRAWS) / 200)


# What is flagged has to be right as well, on the average over data sets.
@pytest.mark.filterwarnings("ignore:Laplace's approximation does not hold here")
@pytest.mark.parametrize(
    ("family", "level", "around"),
    [(Poisson(), 1.0, "mode"), (Poisson(), 1.0, "fit"), (Binomial(), 0.0, "mode")],
    ids=["poisson", "poisson_around_a_fit", "bernoulli"],
)
def test_simulation_based_calibration(family, level, around):
    """Ranks of the truth among posterior draws are uniform: 60 data sets from the prior.

    Of the scale and of the linear predictor at three points, in 6 bins: a p-value below 1e-3 in
    one of four quantities is a false alarm in 250 seeds; these are fixed.
    """
    eta = predictor(level)

    def model():
        value = numpyro.deterministic("eta", eta.sample())
        numpyro.sample("y", family.distribution(value).to_event(1))

    truth = Predictive(model, num_samples=SETS)(jax.random.key(0))
    points, rng, ranks = [3, 17, 31], np.random.default_rng(1), []
    for i in range(SETS):
        y = np.asarray(truth["y"][i], float)
        regression = IntegratedLaplace(eta, family, around=around)
        draws = {"f.scale": posterior_scales(rng, regression, y)}
        draws = regression.draw(jax.random.key(i), draws, y)
        found = np.c_[draws["f.scale"], eta.linear_predictor(draws)[:, points]][:: DRAWS // KEPT]
        exact = np.r_[truth["f.scale"][i], truth["eta"][i][np.array(points)]]
        # Draws that were taken again are equal: their order is that of chance.
        found = found + 1e-9 * rng.normal(size=found.shape)
        ranks.append((found < exact).sum(axis=0))
    counts = [
        np.histogram(own, bins=10, range=(-0.5, KEPT + 0.5))[0] for own in np.transpose(ranks)
    ]
    assert min(scipy.stats.chisquare(own).pvalue for own in counts) > 1e-3, counts


@pytest.mark.filterwarnings("ignore:Laplace's approximation does not hold here")
def test_separated_chances_are_flagged_or_right():
    """All ones beyond a point, zeros before it: the likelihood has no maximum, the posterior does.

    Against quadrature over the scale and 400 000 prior draws of the coefficients: means of eta
    within 0.15 posterior standard deviations (the Monte Carlo error of either is 0.02), or a
    Pareto shape above 0.7.
    """
    eta, y = predictor(0.0), (X > 0.45).astype(float)
    regression = IntegratedLaplace(eta, Binomial())
    rng = np.random.default_rng(0)
    draws = np.concatenate([posterior_scales(rng, regression, y) for _ in range(2)])
    raw = regression.draw(jax.random.key(0), {"f.scale": draws}, y, correct=False)
    shape = ns.regression.importance.pareto_shape(np.asarray(raw["log_weights"]))
    taken = regression.draw(jax.random.key(0), {"f.scale": draws}, y)
    own = np.asarray(eta.linear_predictor(taken))

    def prior():
        numpyro.deterministic("eta", eta.sample())

    drawn = Predictive(prior, num_samples=400_000)(jax.random.key(1))["eta"]
    weights = jax.nn.softmax(dist.Bernoulli(logits=drawn).log_prob(jnp.asarray(y)).sum(-1))
    mean = np.asarray(weights @ drawn)
    deviation = np.sqrt(np.asarray(weights @ drawn**2) - mean**2)
    assert shape > 0.7 or np.abs((own.mean(axis=0) - mean) / deviation).max() < 0.15
