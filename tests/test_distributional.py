"""Location, scale and shape: parameters of families with predictors of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
import scipy.stats

import numpyro_splines as ns
from numpyro_splines.regression import (
    Distributional,
    Gaussian,
    IntegratedLaplace,
    MarginalLaplace,
    NegativeBinomial,
    OrderedCategorical,
    Poisson,
    StudentT,
)

X = np.linspace(0.0, 1.0, 40)
Y = np.sin(6.0 * X) + (0.1 + X) * np.random.default_rng(1).normal(size=X.size)


def effect(name: str, **options: object) -> ns.SplineEffect:
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
    return ns.SplineEffect(name, basis, measure=X, **options)


MEAN = ns.AdditivePredictor((effect("f", noise=0.5), X), intercept=dist.Normal(0.0, 3.0))
# The same name as in the mean: its sites have the parameter before them.
SPREAD = ns.AdditivePredictor((effect("f", noise=2**-0.5), X), intercept=dist.Normal(-1.0, 1.0))
FAMILY = Distributional(Gaussian(), sigma=SPREAD)
SIGMA = 0.1 + X


def test_integrated_density_is_the_exact_one_of_heteroscedastic_gaussians():
    regression = IntegratedLaplace(MEAN, FAMILY)

    def log_prob(log_sigma, scale):
        return MarginalLaplace(regression, scale[None], {"sigma": jnp.exp(log_sigma)}).log_prob(Y)

    with jax.enable_x64(True):
        log_sigma, scale = jnp.log(SIGMA), jnp.asarray(0.7)
        value, (slope, _) = jax.jit(jax.value_and_grad(log_prob, (0, 1)))(log_sigma, scale)
    deviations = np.full(MEAN.num_coefficients, 0.7)
    deviations[: MEAN.num_fixed] = MEAN.scale
    half = MEAN.sparse.dense(float) * deviations
    covariance = half @ half.T + np.diag(SIGMA**2)
    exact = scipy.stats.multivariate_normal(np.zeros(X.size), covariance)
    np.testing.assert_allclose(value, exact.logpdf(Y), rtol=1e-11)
    # d log N(y; 0, C) / dC_ii = (a a' - C^-1)_ii / 2 with a = C^-1 y, and dC_ii = 2 sigma_i^2.
    inverse = np.linalg.inv(covariance)
    diagonal = (inverse @ Y) ** 2 - np.diagonal(inverse)
    np.testing.assert_allclose(slope, diagonal * SIGMA**2, rtol=1e-8, atol=1e-9)


def test_sites_of_both_predictors_and_what_draws_give_back():
    def model(y=None):
        eta = numpyro.deterministic("eta", MEAN.sample())
        parameters = FAMILY.sample_parameters()
        numpyro.deterministic("spread", parameters["sigma"])
        numpyro.sample("y", FAMILY.distribution(eta, **parameters), obs=y)

    drawn = numpyro.infer.Predictive(model, num_samples=7)(jax.random.key(0))
    assert {"f.scale", "intercept", "sigma/f.scale", "sigma/intercept"} <= set(drawn)
    np.testing.assert_allclose(FAMILY.drawn_parameters(drawn)["sigma"], drawn["spread"], rtol=1e-5)
    curve = MEAN.effects[0].curve(drawn, prefix="sigma/")
    zeta = curve(X) + drawn["sigma/intercept"][:, None]
    np.testing.assert_allclose(np.exp(zeta), drawn["spread"], rtol=2e-4)
    assert np.isfinite(numpyro.infer.util.log_density(model, (Y,), {}, {
        name: value[0] for name, value in drawn.items()
    })[0])  # fmt: skip


def test_integrated_models_draw_the_parameter_and_then_the_coefficients():
    regression = IntegratedLaplace(MEAN, FAMILY)

    def model(y=None):
        numpyro.sample("y", regression.distribution(), obs=y)

    with jax.enable_x64(True):  # sigma from its prior may be so small that float32 shows
        check_integrated(regression, model)


def check_integrated(regression, model):
    prior = numpyro.infer.Predictive(model, num_samples=3)(jax.random.key(0))
    assert prior["y"].shape == (3, X.size)
    assert {"f.modes", "sigma/f.modes"} & set(prior) == {"sigma/f.modes"}
    del prior["y"]
    draws = regression.draw(jax.random.key(1), prior, Y, correct=False)
    assert MEAN.linear_predictor(draws).shape == (3, X.size)
    # Weights of an exact approximation are all the same.
    np.testing.assert_allclose(draws["log_weights"], 0.0, atol=1e-8)


def test_predictions_at_new_rows_have_the_spread_there():
    frame = pd.DataFrame({"x": X, "y": Y})
    mean = ns.AdditivePredictor.from_frame(frame, "x", intercept=dist.Normal())
    spread = ns.AdditivePredictor.from_frame(frame, intercept=None, linear={"x": dist.Normal()})
    family = Distributional(Gaussian(), sigma=spread)
    sites = mean.sites(np.zeros((4, 500, mean.num_coefficients)))
    draws = {**sites, "sigma/x": np.full((4, 500), 2.0)}
    rows = pd.DataFrame({"x": [0.0, 0.5, 1.0]}, index=["a", "b", "c"])
    new = ns.posterior.predict(mean, jax.random.key(0), draws, family.at(rows), rows)
    # Of 2000 draws: 5 standard errors of a standard deviation, a false alarm in 1e6.
    np.testing.assert_allclose(
        np.log(new.std(("chain", "draw"))), [0.0, 1.0, 2.0], atol=5 / np.sqrt(4000)
    )
    assert list(new.obs) == ["a", "b", "c"]
    known = Distributional(Gaussian(), sigma=SPREAD).at({"sigma": {"f": [0.2]}})
    assert known.predictors["sigma"].num_observations == 1


@pytest.mark.parametrize(
    ("family", "name", "others"),
    [(NegativeBinomial(), "concentration", {}), (StudentT(), "sigma", {"df": 4.0})],
    ids=["counts", "robust"],
)
def test_every_family_takes_parameters_by_row(family, name, others):
    own = Distributional(family, **{name: SPREAD})
    assert set(own.supports) == set(others)
    y = np.array([0.0, 3.0])
    values = own.log_prob(y, jnp.ones(2), **{name: jnp.array([0.5, 2.0])}, **others)
    for i, value in enumerate([0.5, 2.0]):
        one = family.log_prob(y[i : i + 1], jnp.ones(1), **{name: value}, **others)
        np.testing.assert_allclose(values[i : i + 1], one, rtol=1e-6)
    assert own.support is family.support


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"`predictors` must be given of parameters of Poisson"):
        Distributional(Poisson(), sigma=SPREAD)
    with pytest.raises(ValueError, match=r"numbers to be estimated, \['sigma'\]; got none"):
        Distributional(Gaussian())
    with pytest.raises(ValueError, match=r"\[\]; got \['cutpoints'\]"):
        Distributional(OrderedCategorical(3), cutpoints=SPREAD)
    with pytest.raises(TypeError, match="`sigma` must be an AdditivePredictor; got float"):
        Distributional(Gaussian(), sigma=1.0)
    with pytest.raises(TypeError, match=r"with those of \['sigma'\]. Fit its `pooled` family"):
        ns.regression.penalized_fit(MEAN, Y, FAMILY)
    with pytest.raises(ValueError, match=r"the rows of each of \['sigma'\] by name; got \['f'\]"):
        FAMILY.at({"f": X})
    few = FAMILY.at({"sigma": {"f": [0.2]}})
    with pytest.raises(ValueError, match="`sigma` must have a predictor at the 40 rows"):
        few.check(Y, X.size)
    with pytest.raises(KeyError, match=r"\['sigma/intercept'\] are missing"):
        FAMILY.drawn_parameters({"f.modes": np.zeros(3)})
