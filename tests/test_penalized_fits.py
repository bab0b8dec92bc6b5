"""Penalized fits with REML scales: against mgcv, against the marginal density, into NUTS."""

import functools
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from jax.flatten_util import ravel_pytree
from numpyro.infer import MCMC, NUTS, init_to_value
from numpyro.infer.util import initialize_model

import numpyro_splines as ns
from numpyro_splines.regression import (
    Binomial,
    Gaussian,
    IntegratedGaussian,
    MarginalGaussian,
    Poisson,
    likelihoods,
    penalized_fit,
    reml,
)
from numpyro_splines.regression.newton_likelihood import likelihood_of
from numpyro_splines.regression.theta import Theta

FOLDER = Path(__file__).parent / "oracles"
FLAT = dist.ImproperUniform(dist.constraints.real, (), ())
TERM = re.compile(r's\((\w+), bs="(\w+)", k=(\d+)')


def load():
    for name in ("gam_fits", "gam_fits_more"):
        for case in json.loads((FOLDER / f"{name}.json").read_text())["cases"]:
            yield pytest.param(case, id=case["name"])


def mgcv_effect(name, kind, k, x):
    """mgcv's knots and penalties; the linear part flat."""
    if kind == "cr":
        basis = ns.CubicRegressionBasis(np.quantile(np.unique(x), np.linspace(0.0, 1.0, k)))
        return ns.SplineEffect(name, basis, ns.SmoothnessPrior(linear=FLAT), measure=x)
    margin = 1e-3 * np.ptp(x)
    points = ns.knots.uniform(x.min() - margin, x.max() + margin, k - 2)
    basis = ns.BSplineBasis(knots=ns.knots.extended(points, 3))
    return ns.SplineEffect(name, basis, ns.RandomWalkPrior(linear=FLAT), measure=x)


def mgcv_problem(case):
    data = {k: np.array(v, dtype=float) for k, v in case["data"].items()}
    terms = TERM.findall(case["formula"])
    pairs = [(mgcv_effect(v, kind, int(k), data[v]), data[v]) for v, kind, k in terms]
    predictor = ns.AdditivePredictor(*pairs, intercept=FLAT)
    if case["family"] == "binomial":
        return predictor, data["Menarche"], Binomial(data["Total"])
    response = case["formula"].split("~")[0].strip()
    return predictor, data[response], Poisson() if case["family"] == "poisson" else Gaussian()


@pytest.mark.parametrize("case", list(load()))
def test_fits_are_those_of_mgcv(case):
    predictor, y, family = mgcv_problem(case)
    fit = penalized_fit(predictor, y, family)
    # mgcv stops its outer iteration at a relative change of 1e-6 of the criterion, where scales
    # are still off by about its square root where the criterion is flat: the edf by 1e-3.
    np.testing.assert_allclose(fit.edf_total, case["edf_total"], rtol=2e-4)
    for effect, smooth in zip(predictor.effects, case["smooths"], strict=True):
        np.testing.assert_allclose(fit.edf[effect.name], smooth["edf"], atol=2e-3)
    error = np.abs(fit.linear_predictor - np.array(case["fitted_link"]))
    deviation = np.array(case["fitted_link_se"])
    assert np.all(error < 2e-3 * deviation)
    if isinstance(family, Gaussian):
        np.testing.assert_allclose(fit.values["sigma"] ** 2, case["reml_scale"], rtol=3e-5)
        squares = ((y - fit.linear_predictor) ** 2).sum()
        np.testing.assert_allclose(squares / (y.size - fit.edf_total), case["sig2"], rtol=3e-5)
    # mgcv's standard errors given the smoothing parameters.
    design = predictor.design() @ predictor.local_matrix
    own = np.sqrt(np.einsum("ij,jk,ik->i", design, fit.covariance, design))
    np.testing.assert_allclose(own, deviation, rtol=1e-3)


def problem(family, n=80, seed=0, **prior):
    rng = np.random.default_rng(seed)
    x, z = rng.beta(2.0, 3.0, n), rng.normal(size=n)
    f = ns.SplineEffect(
        "f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 9)), ns.SmoothnessPrior(**prior), measure=x
    )
    g = ns.SplineEffect("g", ns.CubicRegressionBasis(ns.knots.quantile(z, 6)), measure=z)
    predictor = ns.AdditivePredictor(
        (f, x), (g, z), intercept=dist.Normal(0.5, 2.0), linear={"b": (rng.normal(size=n), FLAT)}
    )
    eta = 1.0 + np.sin(6 * x) + 0.3 * z**2
    if isinstance(family, Poisson):
        return predictor, rng.poisson(np.exp(eta)).astype(float)
    if isinstance(family, Binomial):
        trials = 1 if family.trials is None else family.trials.astype(int)
        return predictor, rng.binomial(trials, 1 / (1 + np.exp(-eta))).astype(float)
    return predictor, eta + 0.4 * rng.normal(size=n)


FAMILIES = {
    "gaussian": Gaussian(),
    "weighted": Gaussian(np.linspace(0.5, 3.0, 80)),
    "poisson": Poisson(),
    "exposure": Poisson(np.linspace(0.5, 3.0, 80)),
    "bernoulli": Binomial(),
    "binomial": Binomial(np.arange(80.0)),
}


def criterion_of(predictor, y, family):
    likelihood = likelihood_of(predictor, family, np.asarray(y, float))
    return reml.Criterion(likelihood, Theta(predictor))


@pytest.mark.parametrize("name", list(FAMILIES))
def test_the_gradient_of_the_criterion(name):
    family = FAMILIES[name]
    predictor, y = problem(family)
    criterion = criterion_of(predictor, y, family)
    theta = np.array([-1.0, 0.5, -1.5][: 3 if isinstance(family, Gaussian) else 2])
    step = 1e-4 * np.eye(theta.size)
    expected = [(criterion(theta + s)[0] - criterion(theta - s)[0]) / 2e-4 for s in step]
    np.testing.assert_allclose(criterion(theta)[1], expected, rtol=1e-6, atol=1e-6)


@functools.cache
def joint_derivatives(poisson):
    """One program for all data of a family: log p(y, coefficients | scales), gradient, Hessian.

    Written with NumPyro's distributions, apart from flat priors, which add nothing.
    """
    predictor, _ = problem(Gaussian())

    def log_joint(coefficients, scales, y, sizes):
        values = predictor.sites(coefficients)
        total = dist.Normal(0.5, 2.0).log_prob(values["intercept"])
        for effect in ("f", "g"):
            total += dist.Normal(0.0, 1.0).log_prob(values[f"{effect}.linear"]).sum()
            prior = dist.Normal(0.0, scales[f"{effect}.scale"])
            total += prior.log_prob(values[f"{effect}.modes"]).sum()
        eta = predictor.evaluate(coefficients)
        if poisson:
            return total + dist.Poisson(sizes * jnp.exp(eta)).log_prob(y).sum()
        likelihood = dist.BinomialLogits(eta, total_count=sizes.astype(int))
        return total + likelihood.log_prob(y.astype(int)).sum()

    def everything(*arguments):
        derivatives = jax.grad(log_joint)(*arguments), jax.hessian(log_joint)(*arguments)
        return log_joint(*arguments), *derivatives

    return jax.jit(everything)


@pytest.mark.parametrize("name", ["poisson", "exposure", "bernoulli", "binomial"])
def test_the_estimate_is_the_posterior_mode_and_the_criterion_laplaces(name, x64):
    family = FAMILIES[name]
    predictor, y = problem(family)
    fit = penalized_fit(predictor, y, family)
    names = [block.site for block in predictor.blocks]
    scales = {k: fit.values[k] for k in ("f.scale", "g.scale")}
    sizes = family.exposure if isinstance(family, Poisson) else family.trials
    sizes = np.ones(80) if sizes is None else sizes
    at = np.concatenate([np.ravel(fit.values[k]) for k in names])
    derivatives = joint_derivatives(isinstance(family, Poisson))(at, scales, y, sizes)
    joint, gradient, hessian = (np.asarray(part) for part in derivatives)
    # In units of posterior standard deviations.
    assert np.abs(gradient * np.sqrt(np.diag(fit.covariance))).max() < 1e-5
    np.testing.assert_allclose(np.linalg.inv(-hessian), fit.covariance, rtol=1e-4, atol=1e-8)
    laplace = joint - 0.5 * np.linalg.slogdet(-hessian / (2 * np.pi))[1]
    np.testing.assert_allclose(fit.log_marginal, laplace, rtol=1e-8)


def test_gaussian_criterion_is_the_marginal_density(x64):
    family = FAMILIES["weighted"]
    predictor, y = problem(family)
    fit = penalized_fit(predictor, y, family)
    regression = IntegratedGaussian(predictor, family.weights)
    scales = np.array([fit.values["f.scale"], fit.values["g.scale"]])

    def density(theta):
        return MarginalGaussian(regression, jnp.exp(theta[0]), jnp.exp(theta[1:])).log_prob(y)

    @jax.jit
    def derivatives(theta):
        return density(theta), jax.grad(density)(theta), jax.hessian(density)(theta)

    value, gradient, hessian = derivatives(np.log(np.array([fit.values["sigma"], *scales])))
    np.testing.assert_allclose(fit.log_marginal, value, rtol=1e-10)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-5)
    variances = np.diag(np.linalg.inv(-hessian))
    own = [fit.log_scale_variances[k] for k in ("sigma", "f.scale", "g.scale")]
    np.testing.assert_allclose(own, variances, rtol=1e-4)


def test_fixed_scales_are_respected():
    predictor, y = problem(Gaussian(), scale=0.7)
    fit = penalized_fit(predictor, y)
    assert "f.scale" not in fit.values
    assert set(fit.log_scale_variances) == {"g.scale", "sigma"}
    criterion = criterion_of(predictor, y, Gaussian())
    theta = 2 * np.log([fit.values["g.scale"], fit.values["sigma"]])
    assert np.abs(criterion(theta)[1]).max() < 1e-6


def model_of(predictor, family, y):
    def model():
        eta = predictor.sample()
        if isinstance(family, Poisson):
            numpyro.sample("y", dist.Poisson(jnp.exp(eta)).to_event(1), obs=y)
        else:
            sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
            numpyro.sample("y", dist.Normal(eta, sigma).to_event(1), obs=y)

    return model


def diagonal_curvature(function, at):
    """Second derivatives, from differences of the gradient: a third of what a Hessian compiles."""
    flat, unravel = ravel_pytree(at)
    flat, step = np.asarray(flat), 1e-5
    gradient = jax.jit(jax.grad(lambda flat: function(unravel(flat))))
    shifts = step * np.eye(flat.size)
    slopes = [
        (gradient(flat + shift)[i] - gradient(flat - shift)[i]) / (2 * step)
        for i, shift in enumerate(shifts)
    ]
    return {name: np.asarray(value) for name, value in unravel(jnp.array(slopes)).items()}


@pytest.mark.parametrize("name", ["gaussian", "poisson"])
def test_starting_values_and_mass_matrix_fit_the_model(name, x64):
    family = FAMILIES[name]
    predictor, y = problem(family, scale=dist.LogNormal(0.0, 1.0))
    fit = penalized_fit(predictor, y, family)
    model = model_of(predictor, family, y)
    strategy = init_to_value(values=fit.initial_values())
    info = initialize_model(jax.random.key(0), model, init_strategy=strategy)
    start = info.param_info.z
    matrix = fit.inverse_mass_matrix()
    shapes = {names: np.shape(np.atleast_1d(start[names[0]])) for names in matrix}
    assert {k: v.shape for k, v in matrix.items()} == shapes
    assert {names[0] for names in matrix} == set(start)
    values = info.postprocess_fn(start)
    for site in ("f.scale", "f.modes", "f.linear", "f.coefficients", "g.coefficients", "b"):
        np.testing.assert_allclose(values[site], fit.values[site], rtol=1e-6, atol=1e-8)
    # Conditional variances of coefficients are inverse curvatures of the potential once whitened.
    site = "f.modes_coordinates"
    curvature = diagonal_curvature(info.potential_fn, start)
    assert np.all(curvature[site] * matrix[(site,)] > 0.99)
    assert np.isfinite(curvature["f.scale"])
    np.testing.assert_allclose(matrix[("f.scale",)], fit.log_scale_variances["f.scale"])


def test_the_mass_matrix_of_a_scale_freed_by_another_transform(x64):
    """LogNormal and HalfNormal are freed by the logarithm, a uniform scale by the logit."""
    predictor, y = problem(Gaussian(), scale=dist.Uniform(0.0, 5.0))
    fit = penalized_fit(predictor, y)
    scale = float(fit.values["f.scale"])
    slope = scale * (1 / scale + 1 / (5.0 - scale))  # of log(s / (5 - s)) in log(s)
    expected = fit.log_scale_variances["f.scale"] * slope**2
    np.testing.assert_allclose(fit.inverse_mass_matrix("f.scale")[("f.scale",)], expected)


def test_nuts_starts_from_the_fit():
    predictor, y = problem(Gaussian())
    fit = penalized_fit(predictor, y)
    regression = IntegratedGaussian(predictor)

    def model(y):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", regression.distribution(sigma), obs=y)

    kernel = NUTS(
        model,
        init_strategy=init_to_value(values=fit.initial_values()),
        inverse_mass_matrix=fit.inverse_mass_matrix("sigma", "f.scale", "g.scale"),
        adapt_mass_matrix=False,
    )
    mcmc = MCMC(
        kernel, num_warmup=200, num_samples=1000, num_chains=2, chain_method="vectorized",
        progress_bar=False,
    )  # fmt: skip
    mcmc.run(jax.random.key(0), y)
    draws = mcmc.get_samples()
    # The posterior of log(sigma) is nearly Gaussian around the REML estimate; 0.3 standard
    # deviations are five standard errors at a fifth of the 2000 draws.
    deviation = np.sqrt(fit.log_scale_variances["sigma"])
    shift = np.mean(np.log(draws["sigma"])) - np.log(fit.values["sigma"])
    assert abs(shift) < 0.5 * deviation
    assert abs(np.std(np.log(draws["sigma"])) / deviation - 1.0) < 0.2


def test_the_order_of_rows_does_not_matter():
    """Permuting the data changes nothing but the order of the fitted values."""
    predictor, y = problem(Gaussian())
    order = np.random.default_rng(1).permutation(80)
    pairs = [(e, x[order]) for e, (x,) in zip(predictor.effects, predictor.inputs, strict=True)]
    columns = predictor.columns[order, 1]
    again = ns.AdditivePredictor(
        *pairs, intercept=dist.Normal(0.5, 2.0), linear={"b": (columns, FLAT)}
    )
    fit, other = penalized_fit(predictor, y), penalized_fit(again, y[order])
    np.testing.assert_allclose(other.linear_predictor, fit.linear_predictor[order], atol=1e-6)


def test_edf_between_the_null_space_and_the_basis():
    rng = np.random.default_rng(0)
    x = rng.uniform(0.0, 1.0, 400)
    f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 12)), measure=x)
    predictor = ns.AdditivePredictor((f, x), intercept=FLAT)
    line = penalized_fit(predictor, 3 * x + 0.1 * rng.normal(size=400))
    wave = penalized_fit(predictor, np.sin(40 * x) + 1e-3 * rng.normal(size=400))
    assert 0.9 < line.edf["f"] < 2.5
    assert wave.edf["f"] > 12.0
    assert scipy.stats.pearsonr(f.curve(line.values)(x), x)[0] > 0.999


def test_the_gram_matrix_by_blocks_is_that_of_the_dense_design():
    rng = np.random.default_rng(3)
    x, z = rng.uniform(size=(2, 80))
    f = ns.SplineEffect("f.one", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 7)), measure=x)
    g = ns.SplineEffect("g", ns.CyclicBasis(ns.knots.uniform(0.0, 1.0, 6)))
    terms = {"a.b": (rng.normal(size=(80, 2)), dist.Normal())}
    predictor = ns.AdditivePredictor((f, x), (g, z), intercept=FLAT, linear=terms)
    weights = rng.gamma(2.0, size=80)
    dense = predictor.design() @ predictor.local_matrix
    expected = dense.T @ (weights[:, None] * dense)
    np.testing.assert_allclose(predictor.gram(weights), expected, rtol=1e-12, atol=1e-12)
    alone = ns.AdditivePredictor(intercept=FLAT, linear=terms)
    np.testing.assert_allclose(alone.gram(weights), expected[:3, :3], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 40, 150])
def test_inverse_and_determinant_of_badly_scaled_matrices(size):
    rng = np.random.default_rng(size)
    rows, scale = rng.normal(size=(3 * size, size)), np.exp(rng.uniform(-9.0, 9.0, size))
    plain = rows.T @ rows
    inverse, log_determinant = likelihoods.invert(plain * np.outer(scale, scale))
    np.testing.assert_allclose(
        inverse * np.outer(scale, scale), np.linalg.inv(plain), rtol=1e-9, atol=1e-13
    )
    np.testing.assert_array_equal(inverse, inverse.T)
    expected = np.linalg.slogdet(plain)[1] + 2.0 * np.log(scale).sum()
    np.testing.assert_allclose(log_determinant, expected, rtol=1e-12)


def test_draws_of_a_fit_have_its_moments():
    """20 000 draws: means within five standard errors, covariances within 5 % of the largest."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=60)
    f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 4)), measure=x)
    eta = ns.AdditivePredictor((f, x), intercept=dist.Normal(0.0, 3.0))
    fit = penalized_fit(eta, rng.poisson(3.0, 60), ns.regression.Poisson())
    draws = fit.draw(jax.random.key(0), (2, 10_000))
    assert {name: v.shape[2:] for name, v in draws.items()} == {
        name: np.shape(v) for name, v in fit.values.items()
    }
    every = [draws[block.site].reshape(20_000, -1) for block in eta.blocks]
    values = np.concatenate(every, axis=-1)
    center = np.concatenate([np.ravel(fit.values[block.site]) for block in eta.blocks])
    deviations = np.sqrt(np.diag(fit.covariance))
    assert np.all(np.abs(values.mean(axis=0) - center) < 5 * deviations / np.sqrt(20_000))
    spread = np.outer(deviations, deviations)
    np.testing.assert_allclose(np.cov(values.T) / spread, fit.covariance / spread, atol=0.05)
    np.testing.assert_allclose(
        f.curve(draws)(0.3).mean(), f.curve(fit.values)(0.3), atol=5 * float(deviations.max()) / 140
    )
    assert np.all(draws["f.scale"] == fit.values["f.scale"])


def test_terms_that_mean_something_else_are_refused():
    x = np.linspace(0.0, 1.0, 30)

    def predictor(knots, name="z"):
        f = ns.SplineEffect("f", ns.BSplineBasis(knots), measure=x)
        return ns.AdditivePredictor(
            (f, x), intercept=dist.Normal(), linear={name: (x**2, dist.Normal())}
        )

    fit = penalized_fit(predictor([0.0, 0.5, 1.0]), np.sin(6.0 * x) + 0.1 * np.cos(99.0 * x))
    with pytest.raises(ValueError, match=r"or one with the same terms; got.*bases or priors"):
        fit.initial_values(predictor([0.0, 0.3, 1.0]))
    with pytest.raises(ValueError, match=r"no term by the name of a parameter.*\['sigma'\]"):
        penalized_fit(predictor([0.0, 0.5, 1.0], "sigma"), x)
    assert fit.draw(jax.random.key(0), 4)["intercept"].shape == (4,)
