"""Posteriors of NUTS against mgcv's REML fits, and simulation-based calibration of the priors."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from numpyro.infer import MCMC, NUTS, init_to_value
from test_penalized_fits import load, mgcv_problem

import numpyro_splines as ns
from numpyro_splines.regression import Gaussian, IntegratedGaussian, Poisson, penalized_fit


def likelihood(family, eta, y):
    if isinstance(family, Gaussian):
        numpyro.sample("y", dist.Normal(eta, numpyro.sample("sigma", dist.HalfCauchy(10.0))), obs=y)
    elif isinstance(family, Poisson):
        numpyro.sample("y", dist.Poisson(jnp.exp(eta)), obs=y)
    else:
        trials = 1 if family.trials is None else family.trials
        numpyro.sample("y", dist.Binomial(trials, logits=eta), obs=y)


def posterior_predictor(predictor, y, family, marginal, grid):
    """Draws of eta on a grid by name of effect, from NUTS started at the penalized fit."""
    regression = IntegratedGaussian(predictor) if marginal else None

    def model():
        if regression is not None:
            sigma = numpyro.sample("sigma", dist.HalfCauchy(10.0))
            numpyro.sample("y", regression.distribution(sigma), obs=y)
        else:
            likelihood(family, predictor.sample(), y)

    fit = penalized_fit(predictor, y, family)
    kernel = NUTS(model, init_strategy=init_to_value(values=fit.initial_values()))
    mcmc = MCMC(
        kernel, num_warmup=400, num_samples=600, num_chains=2,
        chain_method="vectorized", progress_bar=False,
    )  # fmt: skip
    mcmc.run(jax.random.key(0))
    draws: dict[str, Any] = mcmc.get_samples(group_by_chain=True)
    if regression is not None:
        draws = regression.draw(jax.random.key(1), draws, y, draws["sigma"])
    divergences = int(mcmc.get_extra_fields()["diverging"].sum())
    names = [block.site for block in predictor.blocks]
    columns = [draws[k][..., None] if draws[k].ndim == 2 else draws[k] for k in names]
    coefficients = np.concatenate(columns, axis=-1)
    pairs = [(effect, np.array(grid[effect.name])) for effect in predictor.effects]
    new = ns.AdditivePredictor(*pairs, intercept=predictor.priors[0])
    design = new.design() @ new.local_matrix
    return np.einsum("np,cdp->cdn", design, coefficients), divergences


# Weakly informative: half-t with the size of the response, or one on the scale of the link.
def with_scales(predictor, y, gaussian):
    spread = float(np.std(y)) if gaussian else 1.0
    pairs = []
    for effect, (x,) in zip(predictor.effects, predictor.inputs, strict=True):
        prior = type(effect.prior)(
            effect.prior.penalty.order, ns.scales.half_student_t(spread), effect.prior.linear
        )
        pairs.append((ns.SplineEffect(effect.name, effect.basis, prior, measure=x), x))
    return ns.AdditivePredictor(*pairs, intercept=predictor.priors[0])


@pytest.mark.slow
@pytest.mark.parametrize("case", list(load()))
def test_posterior_means_and_bands_are_near_those_of_mgcv(case):
    predictor, y, family = mgcv_problem(case)
    predictor = with_scales(predictor, y, isinstance(family, Gaussian))
    marginal = isinstance(family, Gaussian)
    eta, divergences = posterior_predictor(predictor, y, family, marginal, case["grid"])
    deviation = np.array(case["pred_link_se_unconditional"])
    error = (eta.mean((0, 1)) - np.array(case["pred_link"])) / deviation
    # The mean over the scales is not the mode at the best ones. It differs most where a smooth is
    # nearly a line at the mode (airquality, cars, edf 1.7), as there only rougher ones add.
    assert np.sqrt(np.mean(error**2)) < 0.4, np.sqrt(np.mean(error**2))
    assert np.abs(error).max() < 1.0, np.abs(error).max()
    # Both bands know that the scales are uncertain, mgcv's to first order.
    ratio = eta.std((0, 1)) / deviation
    assert 0.9 < np.median(ratio) < 1.2, np.median(ratio)
    assert divergences < 12


X = np.random.default_rng(5).beta(2.0, 3.0, 40)
PRIORS = {
    "smoothness": (ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 7)), ns.SmoothnessPrior()),
    "double_penalty": (
        ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 7)),
        ns.SmoothnessPrior(linear_scale=dist.HalfNormal(1.0)),
    ),
    "monotone": (ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 7)), ns.MonotonePrior()),
    "convex": (ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 7)), ns.ConvexPrior()),
    "adaptive": (
        ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 12)),
        ns.AdaptivePrior(scale=dist.HalfNormal(1.0), num_local=5),
    ),
    "density": (ns.MSplineBasis(ns.knots.uniform(0.0, 1.0, 7)), ns.SimplexPrior()),
}
REPLICATES, RANKS = 96, 8


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PRIORS))
def test_ranks_of_the_truth_are_uniform(name):
    """Simulation-based calibration (Talts et al. 2018): data from the prior, ranks of the truth."""
    basis, prior = PRIORS[name]
    effect = ns.SplineEffect("f", basis, prior, measure=X)

    def model(y=None):
        sigma = numpyro.sample("sigma", dist.LogNormal(-1.0, 0.3))
        level = numpyro.sample("level", dist.Normal(0.0, 1.0))
        curve = effect.sample()
        with numpyro.plate("obs", X.size):
            numpyro.sample("y", dist.Normal(level + curve(X), sigma), obs=y)

    truth = jax.jit(numpyro.infer.Predictive(model, num_samples=REPLICATES))(jax.random.key(7))

    def summaries(draws):
        values = effect.curve(draws)(np.array([0.1, 0.5, 0.9]))
        return jnp.concatenate([values, jnp.stack([draws["sigma"], draws["level"]], -1)], axis=-1)

    @jax.jit
    @jax.vmap
    def posterior(key, y):
        kernel = NUTS(model, target_accept_prob=0.95)
        mcmc = MCMC(kernel, num_warmup=400, num_samples=RANKS * 64 - 1, progress_bar=False)
        mcmc.run(key, y)
        return summaries(mcmc.get_samples())

    # Every 16th draw is nearly independent of the one before: 31 of them, ranks 0 to 31.
    draws = posterior(jax.random.split(jax.random.key(8), REPLICATES), truth["y"])[:, 15::16]
    ranks = np.sum(np.asarray(draws) < np.asarray(summaries(truth))[:, None], axis=1)
    counts = np.stack([np.bincount(r, minlength=RANKS) for r in ranks.T * RANKS // 32])
    # Five chi-squared tests for each of six priors: a false alarm in 3 % of all seeds.
    pvalues = scipy.stats.chisquare(counts, axis=1).pvalue
    assert pvalues.min() > 1e-3, (pvalues, counts)
