"""Families: derivatives in eta and in their parameters, links, and fits of each."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats

import numpyro_splines as ns
from numpyro_splines.regression import (
    Beta,
    Binomial,
    Elementwise,
    Gamma,
    Gaussian,
    NegativeBinomial,
    OrderedCategorical,
    Poisson,
    StudentT,
    links,
    penalized_fit,
    reml,
)
from numpyro_splines.regression.newton_likelihood import likelihood_of
from numpyro_splines.regression.theta import Theta

N = 120
RNG = np.random.default_rng(0)
X, Z = RNG.beta(2.0, 3.0, N), RNG.normal(size=N)
ETA = 0.5 + np.sin(6 * X) + 0.3 * Z
MEAN, CHANCE = np.exp(ETA), 1 / (1 + np.exp(-ETA))
SIZES = np.linspace(1.0, 2.0, N)


def weibull(eta, shape):
    return dist.Weibull(jnp.exp(eta), shape)


# By name: the family, possible responses, and parameters at which derivatives are looked at.
CASES = {
    "poisson": (Poisson(SIZES), RNG.poisson(MEAN), {}),
    "binomial": (Binomial(np.full(N, 5.0)), RNG.binomial(5, CHANCE), {}),
    "probit": (Binomial(link=links.Probit()), RNG.binomial(1, CHANCE), {}),
    "cloglog": (Binomial(link=links.ComplementaryLogLog()), RNG.binomial(1, CHANCE), {}),
    "negative_binomial": (
        NegativeBinomial(exposure=SIZES),
        RNG.negative_binomial(2.0, 2.0 / (2.0 + MEAN)),
        {"concentration": 1.7},
    ),
    "known_concentration": (NegativeBinomial(2.0), RNG.poisson(MEAN), {}),
    "gamma": (Gamma(), RNG.gamma(3.0, MEAN / 3.0), {"concentration": 2.3}),
    "beta": (Beta(), RNG.beta(8 * CHANCE, 8 - 8 * CHANCE), {"concentration": 6.0}),
    "student": (StudentT(), ETA + 0.4 * RNG.standard_t(3, N), {"sigma": 0.5, "df": 4.0}),
    "gaussian": (Gaussian(SIZES), ETA + 0.4 * RNG.normal(size=N), {"sigma": 0.5}),
    "ordered": (
        OrderedCategorical(4),
        np.digitize(ETA + RNG.logistic(size=N), [0.0, 1.0, 2.5]),
        {"cutpoints": np.array([-1.0, 0.5, 1.5])},
    ),
    "elementwise": (
        Elementwise(weibull, {"shape": 1.0}),
        MEAN * RNG.weibull(1.7, N),
        {"shape": 1.4},
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    family, y, parameters = CASES[request.param]
    return family, family.check(y, N), parameters


def test_log_prob_is_that_of_the_distribution(case, x64):
    family, y, parameters = case
    y_given = family.distribution(jnp.asarray(ETA), **parameters)
    whole = isinstance(family, OrderedCategorical)
    expected = y_given.log_prob(jnp.asarray(y, int if whole else float))
    own = family.log_prob(jnp.asarray(y), jnp.asarray(ETA), **parameters)
    np.testing.assert_allclose(own, expected, rtol=1e-7, atol=1e-7)


def test_derivatives_on_the_host_are_differences(case):
    family, y, parameters = case
    free, step = family.free(parameters), 1e-5
    own = family.derivatives(y, ETA, free)
    up, down = (family.derivatives(y, ETA + s, free) for s in (step, -step))
    for name, slope in (("value", "first"), ("first", "second"), ("second", "third")):
        difference = (getattr(up, name) - getattr(down, name)) / (2 * step)
        np.testing.assert_allclose(getattr(own, slope), difference, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(family.log_likelihood(y, ETA, free), own.value.sum(), rtol=1e-12)
    for k, move in enumerate(step * np.eye(free.size)):
        up, down = (family.derivatives(y, ETA, free + s) for s in (move, -move))
        for name in ("value", "first", "second"):
            difference = (getattr(up, name) - getattr(down, name)) / (2 * step)
            slopes = getattr(own, f"{name}_slopes")[k]
            np.testing.assert_allclose(slopes, difference, rtol=1e-5, atol=1e-6)


def test_inverse_links_are_means(case, x64):
    family, _, parameters = case
    eta = jnp.asarray(ETA)
    mean = family.inverse_link(eta, **parameters)
    if isinstance(family, OrderedCategorical):
        expected = np.exp([family.log_prob(np.full(N, k), eta, **parameters) for k in range(4)]).T
    else:
        expected = family.distribution(eta, **parameters).mean
        if isinstance(family, Poisson | NegativeBinomial) and family.exposure is not None:
            expected = expected / family.exposure
        if isinstance(family, Binomial) and family.trials is not None:
            expected = expected / family.trials
    np.testing.assert_allclose(mean, expected, rtol=1e-6)


def test_densities_are_those_of_scipy(x64):
    size, mean = 1.7, MEAN[:5]
    y = np.arange(5.0)
    expected = scipy.stats.nbinom.logpmf(y, size, size / (size + mean))
    family = NegativeBinomial(size)
    np.testing.assert_allclose(family.log_prob(y, jnp.log(mean)), expected, rtol=1e-12)
    expected = scipy.stats.gamma.logpdf(y + 1.0, size, scale=mean / size)
    np.testing.assert_allclose(Gamma(size).log_prob(y + 1.0, jnp.log(mean)), expected, rtol=1e-12)


def test_the_links_are_distribution_functions(x64):
    eta = np.linspace(-30.0, 5.0, 50)
    own = links.Probit().logits(eta)
    expected = scipy.stats.norm.logcdf(eta) - scipy.stats.norm.logsf(eta)
    # JAX's own tail of the normal distribution has eleven digits.
    np.testing.assert_allclose(own, expected, rtol=1e-10)
    own = links.ComplementaryLogLog().inverse(eta)
    np.testing.assert_allclose(own, -np.expm1(-np.exp(eta)), rtol=1e-12)
    slopes = jax.vmap(jax.grad(links.ComplementaryLogLog().logits))(jnp.asarray(eta))
    assert np.all(np.isfinite(slopes))
    assert np.all(slopes > 0.9)


def predictor_of(family):
    f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 7)), measure=X)
    ordered = isinstance(family, OrderedCategorical)
    terms = {"b": (Z, dist.Normal(0.0, 10.0))}
    return ns.AdditivePredictor(
        (f, X), intercept=None if ordered else dist.Normal(0.0, 10.0), linear=terms
    )


def test_the_gradient_of_the_criterion_and_its_maximum(case):
    family, y, _ = case
    predictor = predictor_of(family)
    likelihood = likelihood_of(predictor, family, y)
    criterion = reml.Criterion(likelihood, Theta(predictor))
    point, step = np.append(-1.0, likelihood.start), 1e-4
    shifts = step * np.eye(point.size)
    expected = [(criterion(point + s)[0] - criterion(point - s)[0]) / (2 * step) for s in shifts]
    np.testing.assert_allclose(criterion(point)[1], expected, rtol=1e-6, atol=2e-6)
    fit = penalized_fit(predictor, y, family)
    free = family.free(fit.values)
    if isinstance(family, Gaussian):  # by its own criterion, in log sigma^2
        return
    best = np.append(2.0 * np.log(fit.values["f.scale"]), free)
    assert np.abs(criterion(best)[1]).max() < 1e-5
    # Single outcomes and categories say less about eta than numbers do.
    coarse = isinstance(family, Binomial | OrderedCategorical)
    assert np.corrcoef(fit.linear_predictor, ETA)[0, 1] > (0.3 if coarse else 0.8)


def test_leverages_are_those_of_the_dense_design():
    rng = np.random.default_rng(3)
    f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 7)), measure=X)
    g = ns.SplineEffect("g", ns.CyclicBasis(ns.knots.uniform(-4.0, 4.0, 6)))
    terms = {"a": (rng.normal(size=(N, 2)), dist.Normal())}
    for linear in (terms, {}):
        predictor = ns.AdditivePredictor((f, X), (g, Z), intercept=None, linear=linear)
        dense = predictor.design() @ predictor.local_matrix
        root = rng.normal(size=(predictor.num_coefficients,) * 2)
        own = predictor.sparse.leverage(root @ root.T)
        np.testing.assert_allclose(own, ((dense @ root) ** 2).sum(axis=1), rtol=1e-10)


BAD = {
    "counts": (lambda: Poisson().check([1.0, 1.5], 2), r"counts; got 1.5 at index 1"),
    "successes": (lambda: Binomial().check([1.0, 2.0], 2), r"successes; got 2 at index 1"),
    "positive": (lambda: Gamma().check([1.0, 0.0], 2), r"positive numbers; got 0 at index 1"),
    "open": (lambda: Beta().check([0.5, 1.0], 2), r"between 0 and 1.*got 1 at index 1"),
    "categories": (lambda: OrderedCategorical(2).check([0.0, 2.0], 2), r"categories 0, ..., 1"),
    "few": (lambda: OrderedCategorical(1), r"`num_categories` must be .* at least 2; got 1"),
    "known": (lambda: NegativeBinomial(-1.0), r"`concentration` must be one positive number"),
    "exposure": (lambda: Poisson([1.0, 0.0]), r"`exposure` must be positive; got 0"),
    "length": (lambda: NegativeBinomial(exposure=[1.0]).check([1.0, 2.0], 2), r"`exposure` must"),
    "link": (lambda: Binomial(link="probit"), r"`link` must be an object such as links.Probit"),
    "function": (lambda: Elementwise("normal"), r"`function` must be a function of eta"),
    "parameter": (
        lambda: Gamma().distribution(jnp.zeros(2), shape=1.0),
        r"`concentration` must be given",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, message = BAD[name]
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_known_trials_are_compared_with_a_known_response():
    """NumPyro does so in NumPy, within what it compiles."""
    family, y = Binomial(trials=[5.0, 6.0]), np.array([1, 2])

    def model(y):
        eta = numpyro.sample("eta", dist.Normal().expand([2]).to_event(1))
        numpyro.sample("y", family.distribution(eta).to_event(1), obs=y)

    info = numpyro.infer.util.initialize_model(jax.random.key(0), model, model_args=(y,))
    assert np.isfinite(info.param_info.potential_energy)


def test_responses_that_are_impossible_or_incomplete():
    skewed = Elementwise(lambda eta: dist.LogNormal(eta, 1.0))
    with pytest.raises(ValueError, match="values that its distribution allows; got -1 at index 1"):
        skewed.check([1.0, -1.0], 2)
    # New rows may lack a category; cutpoints cannot be estimated without.
    categories = OrderedCategorical(3)
    np.testing.assert_array_equal(categories.check([0, 1], 2), [0.0, 1.0])
    with pytest.raises(ValueError, match=r"each of the 3 categories; got none of \[2\]"):
        categories.start_parameters(np.array([0.0, 1.0]))
