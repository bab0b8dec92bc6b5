"""Coefficients integrated out by Laplace's approximation: density, derivatives, draws, weights."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS

import numpyro_splines as ns
from numpyro_splines.regression import (
    Binomial,
    Gaussian,
    IntegratedGaussian,
    IntegratedLaplace,
    MarginalGaussian,
    MarginalLaplace,
    NegativeBinomial,
    Poisson,
    StudentT,
    importance,
    penalized_fit,
)

N = 80
FLAT = dist.ImproperUniform(dist.constraints.real, (), ())
X = np.random.default_rng(0).beta(2.0, 3.0, N)
ETA = 1.0 + np.sin(6 * X)


@functools.cache
def predictor(flat=True, n=N):
    x = X[:n]
    f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6)), measure=x)
    prior = FLAT if flat else dist.Normal(0.0, 2.0)
    return ns.AdditivePredictor((f, x), intercept=prior, offset=np.linspace(0.0, 0.5, n))


def responses(family, seed=1):
    rng = np.random.default_rng(seed)
    if isinstance(family, Poisson | NegativeBinomial):
        return rng.poisson(np.exp(ETA))
    if isinstance(family, Binomial):
        return rng.binomial(1, 1 / (1 + np.exp(-ETA)))
    return ETA + 0.3 * rng.standard_t(4, N)


CASES = {
    "poisson": (Poisson(), {}),
    "bernoulli": (Binomial(), {}),
    "negative_binomial": (NegativeBinomial(), {"concentration": 2.0}),
    "student": (StudentT(4.0), {"sigma": 0.4}),
}


def density(family, parameters, y):
    regression = IntegratedLaplace(predictor(), family)

    def log_prob(theta):
        return MarginalLaplace(regression, jnp.exp(theta), parameters).log_prob(y)

    return log_prob


@pytest.mark.parametrize("name", CASES)
def test_value_and_derivatives(name, x64):
    family, parameters = CASES[name]
    y = responses(family)
    log_prob = density(family, parameters, y)

    @jax.jit
    def everything(theta):
        # Value and gradient come along with their own derivatives: few traces, one program.
        def reverse(theta):
            both = jax.value_and_grad(log_prob)(theta)
            return both, both

        (forward, curvature), (value, slope) = jax.jacfwd(reverse, has_aux=True)(theta)
        return value, slope, forward, curvature, jax.jacrev(jax.jacfwd(log_prob))(theta)

    fit = penalized_fit(predictor(), y, family)
    if not family.supports:
        at_fit = everything(np.log(np.array([fit.values["f.scale"]])))
        np.testing.assert_allclose(at_fit[0], fit.log_marginal, rtol=1e-10)
    theta, step = np.log(np.array([0.4])), 1e-3
    value, slope, forward, curvature, mixed = (np.asarray(part) for part in everything(theta))
    up, down = everything(theta + step), everything(theta - step)
    np.testing.assert_allclose(slope, forward, rtol=1e-9)
    np.testing.assert_allclose(curvature, mixed, rtol=1e-7)
    # Central differences are right to a sixth of the third derivative times 1e-6.
    np.testing.assert_allclose(slope, [(up[0] - down[0]) / (2 * step)], rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(curvature[0], (up[1] - down[1]) / (2 * step), rtol=1e-5, atol=1e-6)
    assert np.isfinite(value)


@pytest.mark.parametrize("flat", [False, True])
def test_of_gaussian_responses_it_is_exact(flat, x64):
    y = responses(None)
    weights = np.linspace(0.5, 2.0, N)
    expected = MarginalGaussian(IntegratedGaussian(predictor(flat), weights), 0.3, [0.7])
    regression = IntegratedLaplace(predictor(flat), Gaussian(weights))
    own = MarginalLaplace(regression, [0.7], {"sigma": 0.3})
    np.testing.assert_allclose(own.log_prob(y), expected.log_prob(y), rtol=1e-11)


def test_scales_from_nothing_to_very_large():
    """The mode is found from one end to the other, and the density stays finite in float32."""
    log_prob = jax.jit(jax.value_and_grad(density(Poisson(), {}, responses(Poisson()))))
    for scale in (1e-6, 1e-2, 10.0, 1e3):
        value, slope = log_prob(jnp.log(jnp.array([scale])))
        assert np.isfinite(value)
        assert np.all(np.isfinite(slope))


def test_the_mode_is_found_from_anywhere(x64):
    """Few huge counts among small ones, scales far from the fit's: two starts, one mode."""
    rare = X > 0.6
    y = np.where(rare, np.round(40.0 * np.exp(20.0 * (X - 0.6))), responses(Poisson()) % 3)
    assert y.max() > 1000
    regression = IntegratedLaplace(predictor(), Poisson())
    scales = jnp.asarray(np.geomspace(1e-3, 30.0, 12))[:, None]
    from_a_fit = jax.jit(lambda s: MarginalLaplace(regression, s).log_prob(y))(scales)
    from_nothing = jax.jit(lambda s, y: MarginalLaplace(regression, s).log_prob(y))(scales, y)
    np.testing.assert_allclose(from_a_fit, from_nothing, rtol=1e-9)


def test_a_traced_response_and_batches(x64):
    family, y = Poisson(), responses(Poisson())
    regression = IntegratedLaplace(predictor(False), family)
    scales = np.array([[0.3], [1.0]])
    expected = [MarginalLaplace(regression, own).log_prob(y) for own in scales]
    together = MarginalLaplace(regression, scales)
    np.testing.assert_allclose(together.log_prob(y), expected, rtol=1e-12)
    traced = jax.jit(lambda y: together.log_prob(y))(y)
    np.testing.assert_allclose(traced, expected, rtol=1e-9)
    assert together.sample(jax.random.key(0), (3,)).shape == (3, 2, N)


def test_impossible_parameters_are_refused():
    regression = IntegratedLaplace(predictor(), NegativeBinomial())
    with pytest.raises(TypeError, match=r"`parameters` must be .*'concentration'.*got \[\]"):
        MarginalLaplace(regression, [1.0])
    with pytest.raises(ValueError, match=r"one scale for each of the 1 blocks"):
        MarginalLaplace(regression, [1.0, 2.0], {"concentration": 1.0})
    with pytest.raises(TypeError, match="`family` must be an object such as Poisson"):
        IntegratedLaplace(predictor(), "poisson")
    with pytest.raises(TypeError, match="`predictor` must be an AdditivePredictor"):
        IntegratedLaplace(X, Poisson())
    with pytest.raises(ValueError, match=r"`y` must hold numbers of counts; got -1"):
        MarginalLaplace(IntegratedLaplace(predictor(), Poisson()), [1.0]).log_prob(-np.ones(N))
    with pytest.raises(NotImplementedError, match="improper prior"):
        MarginalLaplace(IntegratedLaplace(predictor(), Poisson()), [1.0]).sample(jax.random.key(0))


def test_draws_and_their_weights_after_nuts():
    y = responses(Poisson())
    eta = predictor(False)
    regression = IntegratedLaplace(eta, Poisson())

    def model(y):
        numpyro.sample("y", regression.distribution(), obs=y)

    mcmc = MCMC(NUTS(model), num_warmup=100, num_samples=100, progress_bar=False)
    mcmc.run(jax.random.key(0), y, extra_fields=("diverging",))
    assert int(mcmc.get_extra_fields()["diverging"].sum()) == 0
    samples = mcmc.get_samples(group_by_chain=True)
    draws = regression.draw(jax.random.key(1), samples, y, correct=False)
    corrected = regression.draw(jax.random.key(1), samples, y)
    assert set(draws) - set(corrected) == {"log_weights"}
    # Whole draws are taken again: scales and coefficients stay together.
    rows = [
        np.concatenate([d["f.scale"][0][:, None], d["f.modes"][0]], 1) for d in (draws, corrected)
    ]
    assert {tuple(row) for row in rows[1]} <= {tuple(row) for row in rows[0]}
    assert draws["f.coefficients"].shape[:2] == draws["log_weights"].shape == (1, 100)
    assert importance.pareto_shape(draws["log_weights"]) < 0.7
    curve = eta.effects[0].curve(draws)(X) + draws["intercept"][..., None]
    assert np.corrcoef(curve.mean((0, 1)), ETA)[0, 1] > 0.95
    exact = importance.resampled(jax.random.key(2), draws, draws["log_weights"])
    assert exact["f.coefficients"].shape == (100, draws["f.coefficients"].shape[-1])
    with pytest.raises(KeyError, match=r"f.scale"):
        regression.draw(jax.random.key(1), {}, y)


def test_weights_make_a_rough_approximation_exact(x64):
    """Five Bernoulli outcomes: p(y | scale) by weights equals that by Monte Carlo from the prior.

    The mean of 40 000 weights against one of 400 000 prior draws, each with a relative standard
    error below 0.3 %: 1.5 % is past four of the difference.
    """
    eta, y = predictor(False, 5), np.array([1, 0, 1, 1, 0])
    regression = IntegratedLaplace(eta, Binomial())
    draws = {"f.scale": np.full(40_000, 1.5)}
    weights = np.exp(regression.draw(jax.random.key(0), draws, y, correct=False)["log_weights"])
    laplace = np.exp(MarginalLaplace(regression, [1.5]).log_prob(y))
    rng, dense = np.random.default_rng(0), eta.design() @ eta.local_matrix
    deviations = np.concatenate([eta.scale, np.full(eta.num_coefficients - eta.num_fixed, 1.5)])
    c = deviations * rng.normal(size=(400_000, deviations.size))
    c[:, : eta.num_fixed] += eta.location
    linear = eta.offset + c @ dense.T
    exact = np.exp((y * linear - np.logaddexp(0.0, linear)).sum(axis=1)).mean()
    np.testing.assert_allclose(laplace * weights.mean(), exact, rtol=0.015)


@pytest.mark.parametrize("flat", [False, True])
def test_around_a_fit_it_is_gaussian_regression_of_working_responses(flat, x64):
    """The expansion is the likelihood of z = eta + (y - mu) / mu, of variance 1 / mu."""
    family, y = Poisson(), responses(Poisson())
    fit = penalized_fit(predictor(flat), y, family)
    regression = IntegratedLaplace(predictor(flat), family, fit=fit, around="fit")
    eta = predictor(flat).linear_predictor(fit.values)
    mu = np.exp(eta)
    working = IntegratedGaussian(predictor(flat), mu)

    def both(scale):
        expected = MarginalGaussian(working, 1.0, scale[None]).log_prob(eta + (y - mu) / mu)
        return MarginalLaplace(regression, scale[None]).log_prob(y), expected

    scales = jnp.array([1e-3, 0.1, 1.0, 30.0])
    own, expected = jax.jit(jax.vmap(both))(scales)
    gap = own - expected
    np.testing.assert_allclose(gap, gap[0], rtol=1e-9)
    # Both integrate the Gaussian over the same coefficients; the difference is that at the fit.
    at_fit = (
        dist.Poisson(mu).log_prob(y).sum()
        - dist.Normal(0.0, 1 / jnp.sqrt(mu)).log_prob((y - mu) / mu).sum()
    )
    np.testing.assert_allclose(gap[0], at_fit, rtol=1e-9)


def test_derivatives_around_a_fit(x64):
    """First ones are stated, not traced; second ones follow. Central differences, step 1e-3."""
    regression = IntegratedLaplace(predictor(), Poisson(), around="fit")
    y, step = responses(Poisson()), 1e-3

    @jax.jit
    def everything(theta):
        def log_prob(theta):
            return MarginalLaplace(regression, jnp.exp(theta)).log_prob(y)

        slope = jax.grad(log_prob)
        return log_prob(theta), slope(theta), jax.jacfwd(slope)(theta), jax.hessian(log_prob)(theta)

    for theta in (np.array([-6.0]), np.array([0.0])):
        up, here, down = (everything(theta + move) for move in (step, 0.0, -step))
        np.testing.assert_allclose(here[1], [(up[0] - down[0]) / (2 * step)], rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(here[2][0], (up[1] - down[1]) / (2 * step), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(here[2], here[3], rtol=1e-9)


def test_a_fit_is_worked_out_once_for_each_y(monkeypatch):
    fitted = []
    monkeypatch.setattr(
        "numpyro_splines.regression.laplace.penalized_fit",
        lambda *own: fitted.append(own[1]) or penalized_fit(*own),
    )
    regression = IntegratedLaplace(predictor(), Poisson(), around="fit")
    one, other = (responses(Poisson(), seed) for seed in (1, 2))
    for y in (one, one.copy(), other, other.astype(float)):
        regression.design(y, np.float32)
    assert [y.sum() for y in fitted] == [one.sum(), other.sum()]
    of_another_family = eqx.tree_at(lambda r: r.family, regression, Poisson(np.full(N, 2.0)))
    of_another_family.design(other, np.float32)
    assert len(fitted) == 3


def test_weights_around_a_fit_and_around_the_mode_agree(x64):
    """Mean weights times either density estimate one marginal likelihood.

    4000 weights with a standard deviation of the logarithm below 0.5 each: a relative standard
    error of 1.2 % of the ratio, five of which are never seen; far from the fit's scale too.
    """
    family, y = Poisson(), responses(Poisson())
    fit = penalized_fit(predictor(), y, family)
    for scale in (0.5 * fit.values["f.scale"], 2.0 * fit.values["f.scale"]):
        estimates = []
        for around in ("mode", "fit"):
            regression = IntegratedLaplace(predictor(), family, fit=fit, around=around)
            draws = {"f.scale": np.full(4000, scale)}
            drawn = regression.draw(jax.random.key(3), draws, y, correct=False)
            weights = drawn["log_weights"]
            assert weights.std() < 0.5
            density = MarginalLaplace(regression, [scale]).log_prob(y)
            estimates.append(density + jax.nn.logsumexp(weights) - np.log(4000))
        np.testing.assert_allclose(estimates[0], estimates[1], atol=0.06)


def test_what_an_expansion_needs_is_asked_for():
    with pytest.raises(ValueError, match='`around` must be "mode" or "fit"; got \'prior\''):
        IntegratedLaplace(predictor(), Poisson(), around="prior")
    with pytest.raises(ValueError, match=r"must be 'mode' for a family.*'fit' with \['conc"):
        IntegratedLaplace(predictor(), NegativeBinomial(), around="fit")
    regression = IntegratedLaplace(predictor(), Poisson(), around="fit")
    two = np.stack([responses(Poisson(), seed) for seed in (1, 2)])
    with pytest.raises(ValueError, match=r"`y` must be one vector of responses .* got 2 different"):
        MarginalLaplace(regression, [1.0]).log_prob(two)
    fit = penalized_fit(predictor(), two[0], Poisson())
    with pytest.raises(ValueError, match=r"one of the same family; got one without \['concen"):
        IntegratedLaplace(predictor(), NegativeBinomial(), fit=fit)
    with pytest.raises(ValueError, match="`fit` must be one at the 5 rows of the predictor"):
        IntegratedLaplace(predictor(True, 5), Poisson(), fit=fit)
    with pytest.raises(ValueError, match="`y` must be known, and have a penalized fit"):
        jax.jit(MarginalLaplace(regression, [1.0]).log_prob)(np.ones(N))


def test_a_fit_of_another_response_is_refused_where_all_is_expanded_there():
    one, other = (responses(Poisson(), seed) for seed in (1, 2))
    fit = penalized_fit(predictor(), one, Poisson())
    regression = IntegratedLaplace(predictor(), Poisson(), fit=fit, around="fit")
    regression.design(one.astype(np.float32), np.float32)
    with pytest.raises(ValueError, match=r"`fit` must be one of this y for `around=\"fit\"`"):
        regression.design(other, np.float32)
    IntegratedLaplace(predictor(), Poisson(), fit=fit).design(other, np.float32)


def test_draws_without_a_scale_are_one_or_refused():
    eta = ns.AdditivePredictor(intercept=dist.Normal(), linear={"b": (X, dist.Normal())})
    regression, y = IntegratedLaplace(eta, Poisson()), responses(Poisson())
    assert regression.draw(jax.random.key(0), {}, y)["b"].shape == ()
    with pytest.raises(ValueError, match=r"`draws` must be empty .* which axes of 'other'"):
        regression.draw(jax.random.key(0), {"other": np.zeros((2, 5))}, y)


def test_the_shape_of_weights():
    u = (np.arange(10_000) + 0.5) / 10_000
    for shape in (0.2, 0.5, 0.9):
        assert abs(importance.pareto_shape(-shape * np.log(u)) - shape) < 0.06
    assert importance.pareto_shape(np.zeros(100)) == -np.inf
    with pytest.raises(ValueError, match=r"at least 25 finite numbers; got 10"):
        importance.pareto_shape(np.zeros(10))
    with pytest.raises(ValueError, match=r"leading axes \(3,\).*got 'a' of shape \(2,\)"):
        importance.resampled(jax.random.key(0), {"a": np.zeros(2)}, np.zeros(3))


def test_resampling_follows_the_weights():
    draws = {"a": np.arange(4.0)}
    taken = importance.resampled(jax.random.key(0), draws, np.log([1.0, 2.0, 3.0, 4.0]), 1000)
    np.testing.assert_allclose(
        np.bincount(np.asarray(taken["a"], int)), [100, 200, 300, 400], atol=1
    )


def test_what_does_not_hold_is_reported():
    with pytest.warns(UserWarning, match="Laplace's approximation does not hold here"):
        importance.report_weights(-1.2 * np.log((np.arange(1000) + 0.5) / 1000))
