"""Is the model good: residuals, basis sizes, the summary of terms and leave-one-out."""

import sys
from functools import cache

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
import scipy.special
import scipy.stats
import xarray as xr
from test_families import CASES, ETA, SIZES, N

import numpyro_splines as ns
from numpyro_splines import posterior as po
from numpyro_splines.posterior.basis_size import neighbors
from numpyro_splines.posterior.residuals import normal_scores
from numpyro_splines.regression import (
    Binomial,
    Elementwise,
    Gaussian,
    NegativeBinomial,
    OrderedCategorical,
    Poisson,
    penalized_fit,
)

CHANCE = scipy.special.expit(ETA)
# What `CASES` are to SciPy, at the parameters there.
SCIPY = {
    "poisson": scipy.stats.poisson(SIZES * np.exp(ETA)),
    "binomial": scipy.stats.binom(5, CHANCE),
    "probit": scipy.stats.bernoulli(scipy.stats.norm.cdf(ETA)),
    "cloglog": scipy.stats.bernoulli(-np.expm1(-np.exp(ETA))),
    "negative_binomial": scipy.stats.nbinom(1.7, 1.7 / (1.7 + SIZES * np.exp(ETA))),
    "known_concentration": scipy.stats.nbinom(2.0, 2.0 / (2.0 + np.exp(ETA))),
    "gamma": scipy.stats.gamma(2.3, scale=np.exp(ETA) / 2.3),
    "beta": scipy.stats.beta(6.0 * CHANCE, 6.0 - 6.0 * CHANCE),
    "student": scipy.stats.t(4.0, ETA, 0.5),
    "gaussian": scipy.stats.norm(ETA, 0.5 / np.sqrt(SIZES)),
    "elementwise": scipy.stats.weibull_min(1.4, scale=np.exp(ETA)),
}


def constants(values, num=400):
    """As many draws of the same numbers."""
    return {k: np.broadcast_to(v, (1, num, *np.shape(v))) for k, v in values.items()}


def gaussian_draws(fit, num=400, seed=0):
    """Draws of the coefficients around a fit, all else at its estimates."""
    predictor = fit.predictor
    mode = np.concatenate([np.ravel(fit.values[block.site]) for block in predictor.blocks])
    normal = np.random.default_rng(seed).multivariate_normal
    coefficients = normal(mode, fit.covariance, size=(1, num), method="cholesky")
    return {**constants(fit.values, num), **predictor.sites(coefficients)}


def line(eta):
    """A predictor that is eta where its coefficient is one."""
    return ns.AdditivePredictor(intercept=None, linear={"b": (eta, dist.Normal(0.0, 10.0))})


@pytest.mark.parametrize("name", SCIPY)
def test_distribution_functions_are_those_of_scipy(name):
    (family, y, parameters), expected = CASES[name], SCIPY[name]
    discrete = hasattr(expected.dist, "pmf")
    for values in (y, np.zeros(N) if discrete else y, np.full(N, 1.0) if discrete else y):
        below, upto = family.cumulative(values, ETA, **parameters)
        np.testing.assert_allclose(upto, expected.cdf(values), rtol=1e-9, atol=1e-14)
        before = expected.cdf(values - 1.0) if discrete else upto
        np.testing.assert_allclose(below, before, rtol=1e-9, atol=1e-14)


def test_distribution_function_of_categories_is_the_sum_of_their_chances(x64):
    family, y, parameters = CASES["ordered"]
    draws = {"cutpoints": np.stack([parameters["cutpoints"], parameters["cutpoints"] + 1.0])}
    below, upto = family.cumulative(y, np.stack([ETA, ETA]), **draws)
    chances = np.asarray(family.inverse_link(np.stack([ETA, ETA]), **draws))
    for row in range(2):
        total = np.concatenate([np.zeros((N, 1)), np.cumsum(chances[row], axis=1)], axis=1)
        np.testing.assert_allclose(below[row], total[np.arange(N), y], atol=1e-7)
        np.testing.assert_allclose(upto[row], total[np.arange(N), y + 1], atol=1e-7)


@pytest.mark.parametrize("eta", [-800.0, 800.0])
@pytest.mark.parametrize("family", [Poisson(), Binomial(), NegativeBinomial(2.0)], ids=repr)
def test_distribution_functions_far_out_are_numbers(family, eta):
    with np.errstate(over="ignore", under="ignore"):
        below, upto = family.cumulative(np.array([0.0, 1.0]), np.full(2, eta))
    assert np.all((below >= 0.0) & (below <= upto) & (upto <= 1.0))


def test_distribution_functions_of_elementwise_families_are_numpyros():
    own = Elementwise(lambda eta: dist.Poisson(jnp.exp(eta)))
    y = np.arange(5.0)
    for mine, expected in zip(
        own.cumulative(y, ETA[:5]), Poisson().cumulative(y, ETA[:5]), strict=True
    ):
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-12)
    with pytest.raises(TypeError, match=r"`family` must have a distribution function; Zero.*`cdf`"):
        Elementwise(lambda eta: dist.ZeroInflatedPoisson(0.1, jnp.exp(eta))).cumulative(y, ETA[:5])


@pytest.mark.parametrize("name", [*SCIPY, "ordered"])
def test_residuals_of_the_true_model_are_standard_normal(name, x64):
    family, _, parameters = CASES[name]
    rng, num = np.random.default_rng(1), 20
    y = family.distribution(jnp.asarray(np.tile(ETA, (num, 1))), **parameters)
    y = np.asarray(y.sample(jax.random.key(1)), np.float64)
    draws = {"b": np.ones((1, 3)), **constants(parameters, 3)}
    keys = jax.random.split(jax.random.key(2), num)
    parts = [
        po.residuals(line(ETA), draws, family, row, key=key).values
        for row, key in zip(y, keys, strict=True)
    ]
    values = np.concatenate(parts)
    # One in a thousand for each of twelve families, once: the seed is fixed.
    assert scipy.stats.kstest(values, "norm").pvalue > 1e-3
    # And they depend on nothing: not on the chance of an event, nor on what comes next.
    assert abs(np.corrcoef(values, np.tile(ETA, num))[0, 1]) < 3.3 / np.sqrt(values.size)
    assert abs(np.corrcoef(values, rng.permutation(values))[0, 1]) < 3.3 / np.sqrt(values.size)


def test_residuals_are_of_the_mean_over_draws():
    draws = {"b": np.array([[0.0, 2.0], [0.0, 2.0]]), "sigma": np.ones((2, 2))}
    mean = (scipy.stats.norm.cdf(1.0) + scipy.stats.norm.cdf(-1.0)) / 2.0
    y, index = pd.Series([1.0, 1.0], index=["p", "q"]), ["p", "q"]
    found = po.residuals(line(np.ones(2)), draws, Gaussian(), y)
    np.testing.assert_allclose(found, scipy.stats.norm.ppf([mean, mean]), atol=1e-6)
    assert found.dims == ("obs",)
    assert list(found["obs"].values) == index


def test_residuals_at_new_rows_with_a_parameter_that_is_given():
    draws = {"scope/b": np.ones((2, 3))}
    options = {"prefix": "scope/", "sigma": 2.0, "dim": "row"}
    found = po.residuals(line(np.ones(2)), draws, Gaussian(), [5.0], {"b": [3.0]}, **options)
    np.testing.assert_allclose(found, [1.0], atol=1e-6)
    assert found.dims == ("row",)


def test_only_discrete_responses_are_randomized_and_by_the_key():
    draws = {"b": np.ones((1, 5)), "sigma": np.ones((1, 5))}
    predictor, y = line(ETA), np.round(np.exp(ETA))

    def found(family, seed=None):
        key = None if seed is None else jax.random.key(seed)
        return po.residuals(predictor, draws, family, y, key=key).values

    np.testing.assert_array_equal(found(Gaussian()), found(Gaussian(), 5))
    np.testing.assert_array_equal(found(Poisson()), found(Poisson()))
    assert np.all(found(Poisson()) != found(Poisson(), 5))


def test_residuals_are_finite_and_take_some_of_many_draws():
    draws = {"b": np.linspace(0.0, 1.0, 10_001)[None], "sigma": np.full((1, 10_001), 1e-3)}
    predictor = line(np.array([0.0, 0.0]))
    found = po.residuals(predictor, draws, Gaussian(), [-1e9, 1e9])
    np.testing.assert_allclose(found, [-8.2, 8.2], atol=0.1)
    some = po.residuals(line(np.ones(1)), draws, Gaussian(), [0.25], num_draws=101)
    np.testing.assert_allclose(some, scipy.stats.norm.ppf(0.25), atol=0.02)


def test_normal_scores_are_means_of_residuals():
    share = (np.arange(200_000) + 0.5) / 200_000
    for below, upto in ((0.0, 0.3), (0.3, 1.0), (0.98, 0.99), (0.4, 0.4), (1e-9, 1.001e-9)):
        mean = scipy.stats.norm.ppf(below + share * (upto - below)).mean()
        np.testing.assert_allclose(normal_scores(np.array(below), np.array(upto)), mean, atol=1e-4)


def test_log_likelihood_is_that_of_scipy():
    for name in ("poisson", "gaussian", "gamma", "negative_binomial"):
        family, y, parameters = CASES[name]
        draws = {"b": np.ones((2, 3)), **{k: np.full((2, 3), v) for k, v in parameters.items()}}
        found = po.log_likelihood(line(ETA), draws, family, y)
        own = SCIPY[name]
        expected = own.logpmf(y) if hasattr(own.dist, "pmf") else own.logpdf(y)
        assert found.dims == ("chain", "draw", "obs")
        np.testing.assert_allclose(found, np.broadcast_to(expected, (2, 3, N)), atol=2e-5)


def test_leave_one_out_of_a_normal_mean_is_exact():
    rng, num, spread = np.random.default_rng(3), 25, 10.0
    y = rng.normal(1.0, 1.0, num)

    def moments(values):
        precision = spread**-2 + values.size
        return values.sum() / precision, 1.0 / precision

    mean, variance = moments(y)
    draws = {"b": rng.normal(mean, np.sqrt(variance), (4, 2000))}
    log_p = po.log_likelihood(line(np.ones(num)), draws, Gaussian(), y, sigma=1.0)
    data = po.inference_data(draws, log_p)
    loo = az.loo(data, pointwise=True)
    exact = 0.0
    for i in range(num):
        mean, variance = moments(np.delete(y, i))
        exact += scipy.stats.norm.logpdf(y[i], mean, np.sqrt(1.0 + variance))
    elpd = loo.elpd if hasattr(loo, "elpd") else loo.elpd_loo
    # Of 8000 draws: the standard error by simulation is 0.01.
    np.testing.assert_allclose(elpd, exact, atol=0.05)
    assert float(np.max(loo.pareto_k)) < 0.5


def test_leave_one_out_with_inputs_integrated_out_is_that_of_the_model():
    w, y = np.linspace(-1.0, 1.0, 20), np.linspace(-2.0, 2.0, 20)

    def model(y):
        slope = numpyro.sample("slope", dist.Normal(0.0, 5.0))
        data = ns.latent.Berkson(w, 0.3)
        y_given = data.integrate("x", response=lambda x: dist.Normal(slope * x, 0.5))
        numpyro.sample("y", y_given, obs=y)

    draws = {"slope": jnp.asarray(np.random.default_rng(0).normal(2.0, 0.1, (2, 50)), float)}
    log_p = numpyro.infer.log_likelihood(model, draws, y, batch_ndims=2)
    spread = np.sqrt(0.25 + (0.3 * np.asarray(draws["slope"])) ** 2)
    exact = scipy.stats.norm.logpdf(y, np.asarray(draws["slope"])[..., None] * w, spread[..., None])
    np.testing.assert_allclose(log_p["y"], exact, atol=1e-4)
    data = po.inference_data(draws, log_p)
    assert data["log_likelihood"]["y"].shape == (2, 50, 20)
    # Draws of the inputs are further sites, and no part of this likelihood.
    assert float(np.max(az.loo(data, pointwise=True).pareto_k)) < 0.7


def smooth(name, x, num):
    return ns.SplineEffect(name, ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, num)), measure=x)


NORMAL = dist.Normal(0.0, 10.0)
RNG = np.random.default_rng(4)
X, Z = RNG.uniform(size=(2, 300))
GROUP = RNG.choice(["a", "b", "c"], 300)
DOSE = RNG.normal(size=300)


@cache
def rich():
    """Two inputs, a varying coefficient, a factor, a line and an offset."""
    wide = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 4))
    margins = {"x": ns.CurveMargin(wide, measure=X), "z": ns.CurveMargin(wide, measure=Z)}
    factor = ns.regression.Treatment(GROUP)
    return ns.AdditivePredictor(
        (ns.TensorEffect("f", **margins), X, Z), (smooth("g", X, 4), X),
        intercept=NORMAL, linear={"dose": (DOSE, NORMAL), "group": (factor, NORMAL)},
        by={"g": DOSE}, offset=0.5 * Z,
    )  # fmt: skip


def response(family, eta, rng):
    if isinstance(family, Gaussian):
        return eta + rng.normal(size=eta.size)
    if isinstance(family, Binomial):
        return rng.binomial(1, scipy.special.expit(eta))
    return rng.poisson(np.exp(eta))


@pytest.mark.parametrize("family", [Gaussian(), Poisson(), NegativeBinomial()], ids=repr)
def test_summary_has_the_degrees_of_freedom_of_a_fit(family):
    predictor, rng = rich(), np.random.default_rng(0)
    y = response(family, 1.0 + np.sin(6.0 * X) + DOSE * Z + 0.5 * Z, rng)
    fit = penalized_fit(predictor, y, family)
    table = po.summary(predictor, constants(fit.values, 2), family, y)
    # Draws evaluated in float32 are where the weights come from.
    for name, freedom in fit.edf.items():
        np.testing.assert_allclose(table["edf"][name], freedom, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(table["edf"]["total"], fit.edf_total, rtol=1e-4)
    terms = ["intercept", "dose", "group", "f", "g"]
    np.testing.assert_allclose(table["edf"][terms].sum(), fit.edf_total, rtol=1e-4)
    assert table["coefficients"][terms].sum() == predictor.num_coefficients
    for name in ("g", "f.x", "f.z", "f.x:z"):
        np.testing.assert_allclose(table["scale"][name], fit.values[f"{name}.scale"], rtol=1e-6)


def test_summary_shares_the_variance_of_the_linear_predictor(x64):
    predictor = rich()
    draws = constants(penalized_fit(predictor, np.sin(6.0 * X) + DOSE * Z).values, 3)
    table = po.summary(predictor, draws)
    parts = predictor.partial({name: values[0, 0] for name, values in draws.items()})
    eta = sum(parts.values())
    for name, part in parts.items():
        both = np.cov(np.asarray(part), np.asarray(eta), bias=True)
        own = table.loc[name, ["variance", "covariance"]].astype(float)
        np.testing.assert_allclose(
            own, [both[0, 0] / both[1, 1], both[0, 1] / both[1, 1]], atol=1e-12
        )
    np.testing.assert_allclose(table["covariance"][list(parts)].sum(), 1.0)
    components = ["f.x", "f.z", "f.x:z", "f.linear"]
    np.testing.assert_allclose(table["covariance"][components].sum(), table["covariance"]["f"])
    assert table.index[-1] == "total"


def test_summary_has_intervals_of_scales_and_takes_those_that_are_fixed():
    prior = ns.SmoothnessPrior(scale=0.7, linear_scale=dist.HalfNormal(1.0))
    f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 5)), prior)
    predictor = ns.AdditivePredictor((f, X), (smooth("g", Z, 5), Z), intercept=NORMAL)
    fit = penalized_fit(predictor, np.sin(6.0 * X) + Z + DOSE)
    draws = gaussian_draws(fit)
    draws["g.scale"] = np.linspace(0.0, 1.0, 401)[None, 1:]
    table = po.summary(predictor, draws, probability=0.9, num_draws=10**6)
    scales = table.loc["g", ["scale", "scale_lower", "scale_upper"]].astype(float)
    np.testing.assert_allclose(scales, [0.5, 0.05, 0.95], atol=0.01)
    assert table["scale"]["f"] == pytest.approx(0.7)
    assert table["scale"]["f.linear_scale"] == pytest.approx(float(fit.values["f.linear_scale"]))
    # Degrees of freedom are a mean over draws: between those of the ends.
    single = [po.summary(predictor, {**draws, "g.scale": np.full((1, 400), s)}) for s in (0.01, 1)]
    assert single[0]["edf"]["g"] < table["edf"]["g"] < single[1]["edf"]["g"]


def test_neighbors_are_the_nearest_observations_of_the_same_levels():
    x, level = np.round(X[:60], 1), RNG.integers(0, 3, 60)
    margins = {"x": ns.CurveMargin(ns.BSplineBasis([0.0, 0.5, 1.0])), "level": ns.GroupMargin(3)}
    found = neighbors(ns.TensorEffect("f", **margins), (x, level), 4).toarray()
    np.testing.assert_array_equal(found.sum(axis=1), 4.0)
    rows, columns = np.nonzero(found)
    assert np.all(rows != columns)
    assert np.all(level[rows] == level[columns])
    for i in range(60):
        others = np.sort(np.abs(x - x[i])[(level == level[i]) & (np.arange(60) != i)])
        assert np.abs(x - x[i])[found[i] > 0.0].max() <= others[3] + 1e-6
    few = neighbors(ns.TensorEffect("f", **margins), (x[:6], np.array([0, 0, 0, 1, 1, 2])), 4)
    np.testing.assert_array_equal(few.toarray().sum(axis=1), [2.0, 2.0, 2.0, 1.0, 1.0, 0.0])
    assert neighbors(ns.TensorEffect("u", level=ns.GroupMargin(3)), (level,), 4) is None


def checked(family, num_observations, num, seed, *, cycles=4, size=1.0):
    """The basis-size check of one data set: a wave of so many periods, and breakpoints."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=num_observations)
    y = response(family, size * np.sin(2 * np.pi * cycles * x), rng)
    predictor = ns.AdditivePredictor((smooth("f", x, num), x), intercept=NORMAL)
    fit = penalized_fit(predictor, y, family)
    table = po.basis_size(predictor, gaussian_draws(fit), family, y)
    np.testing.assert_allclose(table["edf"]["f"], fit.edf["f"], rtol=0.05)
    return table.loc["f"]


@pytest.mark.parametrize("family", [Gaussian(), Poisson(), Binomial()], ids=repr)
def test_a_basis_that_is_too_small_is_flagged(family):
    small = checked(family, 1000, 4, seed=0)
    assert small["coefficients"] == 5
    assert small["p_value"] < 0.01
    assert small["index"] < 0.95
    large = checked(family, 1000, 25, seed=0)
    assert large["p_value"] > 0.05
    assert large["index"] > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("family", [Gaussian(), Poisson(), Binomial()], ids=repr)
def test_false_alarms_are_as_rare_as_they_should_be(family):
    p = np.array([checked(family, 200, 10, s, cycles=1)["p_value"] for s in range(100)])
    # More than 13 of 100 at 5 % have probability 5e-4; fewer than 34 or more than 66 at 50 %, 1e-3.
    assert (p < 0.05).sum() <= 13
    assert 34 <= (p < 0.5).sum() <= 66


def test_basis_sizes_of_effects_of_several_inputs_groups_and_multiples():
    predictor, rng = rich(), np.random.default_rng(0)
    wave = np.sin(30.0 * X)
    p = {}
    for name, eta in {"nothing": 0.0 * X, "f": 2.0 * wave, "g": 2.0 * wave * DOSE}.items():
        y = eta + 0.5 * Z + rng.normal(size=300)
        fit = penalized_fit(predictor, y)
        p[name] = po.basis_size(predictor, gaussian_draws(fit), Gaussian(), y)["p_value"]
        assert list(p[name].index) == ["f", "g"]
    assert min(p["nothing"]) > 0.05
    assert p["f"]["f"] < 0.01
    assert p["g"]["g"] < 0.01 < p["g"]["f"]


def test_of_many_observations_a_part_is_looked_at(monkeypatch):
    """The same as at the rows of that part alone, with the exposures and multipliers there."""
    monkeypatch.setattr(sys.modules["numpyro_splines.posterior.basis_size"], "_ROWS", 100)
    rng = np.random.default_rng(0)
    exposure, factor = rng.uniform(0.5, 2.0, (2, 300))
    f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]), measure=X)
    eta = ns.AdditivePredictor((f, X), intercept=NORMAL, by={"f": factor})
    y = rng.poisson(2.0 * exposure).astype(float)
    draws = gaussian_draws(penalized_fit(eta, y, Poisson(exposure)), num=20)
    own = po.basis_size(eta, draws, Poisson(exposure), y)
    rows = np.sort(np.random.default_rng(0).choice(300, 100, replace=False))
    part, family = eta.at({"f": X[rows]}, by={"f": factor[rows]}), Poisson(exposure[rows])
    expected = po.basis_size(part, draws, family, y[rows])
    columns = ["coefficients", "neighbors", "p_value"]
    assert own[columns].equals(expected[columns])
    np.testing.assert_allclose(own["index"], expected["index"], rtol=1e-5)
    # Degrees of freedom are those of all observations.
    assert own["edf"]["f"] > expected["edf"]["f"]


def test_checks_of_frames_with_labels_and_groups():
    frame = pd.DataFrame({"x": X, "group": GROUP, "y": np.sin(6.0 * X) + 0.3 * DOSE})
    predictor = ns.AdditivePredictor.from_frame(frame, ("x", "group"), intercept=NORMAL)
    draws = gaussian_draws(penalized_fit(predictor, frame["y"]), num=20)
    table = po.basis_size(predictor, draws, Gaussian(), frame["y"])
    assert list(table.index) == ["x_group"]
    assert "x_group.x:group" in po.summary(predictor, draws).index
    assert po.residuals(predictor, draws, Gaussian(), frame["y"]).shape == (300,)


CONSTANT = {"b": np.ones((2, 3))}
TWO = line(np.ones(2))
ERRORS = {
    "no_parameter": (
        lambda: po.residuals(TWO, CONSTANT, Gaussian(), [0.0, 1.0]),
        KeyError,
        r"`draws` must hold the parameters of Gaussian; \['sigma'\] are missing",
    ),
    "unknown_parameter": (
        lambda: po.residuals(TWO, CONSTANT, Gaussian(), [0.0, 1.0], simga=1.0),
        TypeError,
        r"`parameters` must be those of Gaussian, \['sigma'\]; got \['simga'\]",
    ),
    "axes_of_a_parameter": (
        lambda: po.residuals(TWO, CONSTANT, Gaussian(), [0.0, 1.0], sigma=np.ones(3)),
        ValueError,
        r"`sigma` must have the axes \(chain, draw\) of the draws.*\(2, 3\).*got shape \(3,\)",
    ),
    "axes_of_a_drawn_parameter": (
        lambda: po.residuals(TWO, {**CONSTANT, "sigma": np.ones((2, 3, 4))}, Gaussian(), [0, 1]),
        ValueError,
        r"`draws\['sigma'\]` must have shape \(\) behind the axes \(chain, draw\); got \(4,\)",
    ),
    "impossible": (
        lambda: po.log_likelihood(TWO, CONSTANT, Poisson(), [0.0, -1.0]),
        ValueError,
        "`y` must hold numbers of counts; got -1 at index 1",
    ),
    "number_of_responses": (
        lambda: po.log_likelihood(TWO, CONSTANT, Poisson(), [0.0]),
        ValueError,
        "`y` must hold 2 observations; got 1",
    ),
    "no_family": (
        lambda: po.residuals(TWO, CONSTANT, "poisson", [0.0, 1.0]),
        TypeError,
        "`family` must be an object such as Poisson",
    ),
    "no_draws": (
        lambda: po.residuals(TWO, {"c": np.ones((2, 3))}, Poisson(), [0.0, 1.0]),
        KeyError,
        r"`draws` must hold the sites of the predictor; got \['c'\]",
    ),
    "number_of_draws": (
        lambda: po.residuals(TWO, CONSTANT, Poisson(), [0.0, 1.0], num_draws=0),
        ValueError,
        "`num_draws` must be",
    ),
    "weights_need_y": (
        lambda: po.summary(TWO, CONSTANT, NegativeBinomial(1.0)),
        TypeError,
        "`y` must be given for NegativeBinomial",
    ),
    "no_scale": (
        lambda: po.summary(
            ns.AdditivePredictor((smooth("f", X, 4), X), intercept=None),
            {"f.coefficients": np.zeros((1, 2, 6)), "sigma": np.ones((1, 2))},
        ),
        KeyError,
        r"`draws` must hold 'f.scale'; got \['f.coefficients', 'sigma'\]",
    ),
    "probability": (
        lambda: po.summary(TWO, CONSTANT, Poisson(), probability=1.0),
        ValueError,
        r"`probability` must lie in \(0, 1\); got 1.0",
    ),
    "other_draws": (
        lambda: po.inference_data(CONSTANT, xr.DataArray(np.ones((1, 3, 2)), dims=SAMPLE)),
        ValueError,
        "`log_likelihood` must be of the chains and draws of `draws`",
    ),
}
SAMPLE = ["chain", "draw", "obs"]


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_to_do(name):
    call, kind, message = ERRORS[name]
    with pytest.raises(kind, match=message):
        call()


def test_checks_of_a_scale_with_a_predictor_of_its_own():
    rng = np.random.default_rng(6)
    x = rng.uniform(size=400)
    y = np.sin(6.0 * x) + np.exp(2.0 * x - 2.0) * rng.normal(size=400)
    log_sigma = ns.AdditivePredictor(intercept=NORMAL, linear={"b": (x, NORMAL)})
    family = ns.regression.Distributional(Gaussian(), sigma=log_sigma)
    predictor = ns.AdditivePredictor((smooth("f", x, 10), x), intercept=NORMAL)
    weights = np.exp(4.0 - 4.0 * x)
    fit = penalized_fit(predictor, y, Gaussian(weights))
    size = np.log(fit.values["sigma"])
    draws = gaussian_draws(fit, num=200)
    draws |= constants({"sigma/intercept": size - 2.0, "sigma/b": np.array(2.0)}, 200)
    table = po.summary(predictor, draws, family)
    np.testing.assert_allclose(table["edf"]["total"], fit.edf_total, rtol=1e-3)
    pooled = po.residuals(predictor, draws, Gaussian(weights), y)
    np.testing.assert_allclose(po.residuals(predictor, draws, family, y), pooled, atol=1e-4)
    assert po.basis_size(predictor, draws, family, y)["p_value"]["f"] > 0.05
    both = [po.log_likelihood(predictor, draws, own, y) for own in (family, Gaussian(weights))]
    np.testing.assert_allclose(*both, atol=1e-3)


def test_categories_have_checks_too():
    family, y, parameters = CASES["ordered"]
    assert isinstance(family, OrderedCategorical)
    draws = {"b": np.ones((1, 5)), **constants(parameters, 5)}
    assert np.isfinite(po.residuals(line(ETA), draws, family, y)).all()
    assert po.log_likelihood(line(ETA), draws, family, y).shape == (1, 5, N)
    assert po.summary(line(ETA), draws, family, y)["edf"]["b"] <= 1.0
