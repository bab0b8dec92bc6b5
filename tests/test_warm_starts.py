"""Where samplers of latent inputs start: calibrated inputs, the nodes needed, masses."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from jax.flatten_util import ravel_pytree
from numpyro.infer.util import initialize_model

import numpyro_splines as ns

W = np.array([[1.0, 1.4], [2.0, np.nan], [np.nan, np.nan], [2.9, 2.5]])


def test_calibrated_inputs_are_conditional_means(x64):
    """Conjugate: precision-weighted means of population and measurements."""
    error = np.array([[0.3, 0.6], [0.2, 1.0], [1.0, 1.0], [0.5, 0.1]])
    data = ns.latent.Measured(W, error, truth=[np.nan, np.nan, np.nan, 2.7])
    found = data.calibrated(dist.Normal(1.5, 1.2))
    weight = np.where(np.isnan(W), 0.0, error**-2.0)
    precision = weight.sum(axis=1) + 1.2**-2.0
    expected = ((weight * np.nan_to_num(W)).sum(axis=1) + 1.5 / 1.2**2) / precision
    np.testing.assert_allclose(found, [*expected[:2], 1.5, 2.7], rtol=1e-12)
    by_row = data.calibrated(dist.Normal(np.array([0.0, 1.5, 2.0, 1.5]), 1.2))
    expected[0] -= 1.5 / 1.2**2 / precision[0]
    np.testing.assert_allclose(by_row, [*expected[:2], 2.0, 2.7], rtol=1e-12)
    assert ns.latent.Missing([1.0, np.nan, 3.0]).calibrated().tolist() == [1.0, 2.0, 3.0]
    coarse = ns.latent.Coarse([0.0, 2.0, 5.0], [1.0, np.inf, 5.0])
    above = scipy.stats.truncnorm(1 / 3, np.inf, 1.0, 3.0).mean()
    inside = scipy.stats.truncnorm(-1 / 3, 0.0, 1.0, 3.0).mean()
    found = coarse.calibrated(dist.Normal(1.0, 3.0))
    np.testing.assert_allclose(found, [inside, above, 5.0], rtol=1e-9)
    berkson = ns.latent.Berkson([0.0, 1.0, 2.0], 1.0)
    assert berkson.calibrated().tolist() == [0.0, 1.0, 2.0]
    steep = ns.BSplineBasis([-4.0, 8.0]).curve([-40.0, -10.0, 20.0, 50.0])
    assert berkson.quadrature(steep, 1.0).num_nodes > 100
    by_row = dist.Normal(np.array([0.0, 1.0, 2.0, 3.0]), 1.0)
    assert ns.latent.Measured(W, 0.4).calibrated(by_row)[2] == 2.0
    assert np.isfinite(ns.latent.Measured(W, 0.4).calibrated(dist.Cauchy())).all()


def test_calibrated_inputs_do_not_attenuate_a_line():
    """Slope 2 of 20 000 rows: 1.28 of the measurements, 2.00 of calibrated inputs, sd 0.02."""
    rng = np.random.default_rng(0)
    x = rng.normal(3.0, 1.2, 20_000)
    w, y = x + 0.9 * rng.normal(size=x.size), 2.0 * x + rng.normal(size=x.size)
    slopes = [np.polyfit(v, y, 1)[0] for v in (w, ns.latent.Measured(w, 0.9).calibrated())]
    np.testing.assert_allclose(slopes, [2.0 * 1.2**2 / (1.2**2 + 0.9**2), 2.0], atol=0.05)


@pytest.mark.parametrize("steepness", [0.3, 3.0])
def test_a_rule_has_the_nodes_that_a_response_needs(steepness, x64):
    knots = np.linspace(-4.0, 8.0, 13)
    basis = ns.BSplineBasis(knots)
    coefficients = steepness * np.sin(np.linspace(-4.5, 8.5, len(knots) + 2))
    curve = basis.curve(coefficients)
    data = ns.latent.Measured(np.nan_to_num(W, nan=1.0), 0.4)
    rule = data.quadrature(curve, 0.2)
    y = np.array([0.3, 0.1, -0.2, 0.4])

    @jax.jit
    def density(y):
        def of(rule):
            with numpyro.handlers.seed(rng_seed=0):
                law = data.integrate(
                    "x", dist.Normal(1.5, 1.2), rule,
                    response=lambda x: dist.Normal(curve(x), 0.2),
                )  # fmt: skip
            return law.log_prob(y)

        return of(rule), of(ns.latent.Quadrature(1200, 9.0))

    found, right = density(y)
    # The third derivative of the curve jumps at its knots.
    np.testing.assert_allclose(found, right, atol=1e-5)
    assert (rule.num_nodes < 40) == (steepness < 1.0)
    with pytest.raises(ValueError, match="`noise` must be one positive number; got 0"):
        data.quadrature(curve, 0.0)


BASIS = ns.BSplineBasis([0.0, 1.0, 2.0, 4.0])
EFFECT = ns.SplineEffect("f", BASIS, measure=np.array([1.0, 2.0, 3.0]))
DATA = ns.latent.Measured(np.nan_to_num(W, nan=2.0), 0.4)


def model(y):
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    curve = EFFECT.sample()
    x = DATA.sample("x", dist.Normal(2.0, 1.0))
    numpyro.sample("y", dist.Normal(curve(x), sigma), obs=y)


def test_masses_are_second_derivatives_at_the_start(x64):
    y = np.array([0.3, 0.1, -0.2, 0.4])
    values = {"sigma": 0.5, "f.scale": 0.8, **DATA.initial_values("x")}
    start = ns.latent.warm_start(model, y, values=values)
    made = initialize_model(
        jax.random.key(0), model, init_strategy=start["init_strategy"], model_args=(y,)
    )
    z = made.param_info.z
    np.testing.assert_allclose(z["x.standardized"], 0.0)
    np.testing.assert_allclose(z["sigma"], np.log(0.5))
    flat, unravel = ravel_pytree(z)
    hessian = jax.jit(jax.hessian(lambda at: made.potential_fn(unravel(at))))(flat)
    diagonal = unravel(jnp.diagonal(hessian))
    for (name,), found in start["inverse_mass_matrix"].items():
        expected = np.ravel(diagonal[name])
        expected = np.where(expected > 0.0, 1.0 / expected, 1.0)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_name_that_is_no_site_is_refused():
    with pytest.raises(ValueError, match=r"`values` must name sites .*'sigma'.*got \['noise'\]"):
        ns.latent.warm_start(model, np.zeros(4), values={"noise": 1.0})
    with pytest.raises(ValueError, match="`model` must have a latent site; got none"):
        ns.latent.warm_start(lambda: None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones(3), r"shapes of their sites; got shape \(3,\) for `scale`, whose shape is \(2,\)"),
        (1.0, r"got shape \(\) for `scale`, whose shape is \(2,\)"),
        (np.array([1.0, -2.0]), r"lie in the supports of their sites; got \[ 1. -2.\] for `scale`"),
        (np.array([1.0, np.nan]), r"got \[ 1. nan\] for `scale`"),
    ],
)
def test_a_start_where_a_site_cannot_be_is_refused(value, message):
    def model():
        with numpyro.plate("pairs", 2):
            numpyro.sample("scale", dist.LogNormal())

    with pytest.raises(ValueError, match=message):
        ns.latent.warm_start(model, values={"scale": value})


def test_a_plate_that_takes_a_part_of_its_rows_is_refused():
    def model():
        with numpyro.plate("rows", 100, subsample_size=10):
            numpyro.sample("z", dist.Normal())

    with pytest.raises(ValueError, match=r"all rows.*`rows` that takes 10 of 100. Leave out"):
        ns.latent.warm_start(model, values={"z": np.zeros(100)})


def test_a_start_may_come_from_a_fit_in_another_precision(x64):
    start = ns.latent.warm_start(
        lambda: numpyro.sample("z", dist.Normal()), values={"z": np.float32(0.5)}
    )
    assert start["init_strategy"].keywords["values"]["z"].dtype == jnp.result_type(float)


def test_members_of_a_plate_that_depend_on_one_another_are_looked_at_one_by_one(x64):
    design = np.random.default_rng(0).normal(size=(40, 6))
    design -= design.mean(axis=1, keepdims=True)

    def regression():
        with numpyro.plate("columns", 6):
            slopes = numpyro.sample("slopes", dist.Normal(0.0, 10.0))
        numpyro.sample("y", dist.Normal(design @ slopes, 0.1).to_event(1), obs=np.zeros(40))

    found = ns.latent.warm_start(regression)["inverse_mass_matrix"][("slopes",)]
    expected = 1.0 / ((design**2).sum(axis=0) / 0.1**2 + 0.01)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
