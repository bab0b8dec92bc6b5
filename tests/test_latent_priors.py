"""Priors of latent inputs: draws are what the docstrings say, densities are those of x.

Whatever a model computes here it computes in one compiled program: op by op, a model of four rows
costs seconds.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
import scipy.stats
from jax.flatten_util import ravel_pytree
from numpyro.infer import Predictive
from numpyro.infer.util import log_density

import numpyro_splines as ns
from numpyro_splines.latent.order_statistics import Nested

NUM_DRAWS = 4000
# Kolmogorov-Smirnov tests: about 75 in this file, together a false alarm in 0.8 % of all seeds.
LEVEL = 1e-4
CURVE = ns.MSplineBasis([0.0, 1.0, 3.0], degree=2).curve([0.1, 0.3, 0.4, 0.2])
AREA = CURVE.to_scipy().antiderivative()
POPULATIONS = {
    "normal": dist.Normal(1.5, 1.2),
    "mixture": dist.MixtureSameFamily(
        dist.Categorical(probs=np.array([0.3, 0.7])), dist.Normal(np.array([0.0, 3.0]), 0.7)
    ),
    "positive": dist.LogNormal(0.3, 0.6),
    "bounded": dist.Uniform(-0.5, 4.0),
    "half_line": dist.Gamma(2.0, 1.0),
    "spline": ns.latent.spline_density(CURVE),
}
# Their distribution functions, from SciPy.
CUMULATIVE = {
    "normal": scipy.stats.norm(1.5, 1.2).cdf,
    "mixture": lambda x: (
        0.3 * scipy.stats.norm.cdf(x, 0.0, 0.7) + 0.7 * scipy.stats.norm.cdf(x, 3.0, 0.7)
    ),
    "positive": scipy.stats.lognorm(0.6, scale=np.exp(0.3)).cdf,
    "bounded": scipy.stats.uniform(-0.5, 4.5).cdf,
    "half_line": scipy.stats.gamma(2.0).cdf,
    "spline": lambda x: AREA(np.clip(x, 0.0, 3.0)) - AREA(0.0),
}
OBSERVED = np.array([[1.0, 1.4], [2.0, np.nan], [np.nan, np.nan], [2.9, 2.5]])


def inputs_of(model, sites):
    """The inputs that a model makes of the values of its sites."""
    with numpyro.handlers.substitute(data=sites), numpyro.handlers.seed(rng_seed=0):
        return model()


def drawn(model, num=NUM_DRAWS):
    """Inputs drawn from a model, shape (num, n)."""
    one = jax.vmap(lambda key: numpyro.handlers.seed(model, key)())
    return np.asarray(jax.jit(one)(jax.random.split(jax.random.key(0), num)), dtype=float)


def pvalue(draws, cumulative):
    return scipy.stats.kstest(cumulative(draws), "uniform").pvalue


def change_of_variables(model, sites):
    """log p(u), and what it must be made of: x, and log |det dx/du| where x depends on u."""
    flat, unravel = ravel_pytree(sites)

    @jax.jit
    def compute(flat):
        def inputs(flat):
            return inputs_of(model, unravel(flat))

        actual = log_density(model, (), {}, unravel(flat))[0]
        return actual, inputs(flat), jax.jacfwd(inputs)(flat)

    actual, x, slopes = (np.asarray(part) for part in compute(flat))
    return actual, x, np.linalg.slogdet(slopes[np.any(slopes != 0.0, axis=1)])[1]


@pytest.mark.parametrize("name", list(POPULATIONS))
def test_measured_inputs_follow_their_population(name):
    draws = drawn(lambda: ns.latent.Measured(OBSERVED, 0.3).sample("x", POPULATIONS[name]))
    for row in draws.T:
        assert pvalue(row, CUMULATIVE[name]) > LEVEL
    assert abs(np.corrcoef(draws.T) - np.eye(4)).max() < 5 / np.sqrt(NUM_DRAWS)


@pytest.mark.parametrize("name", list(POPULATIONS))
def test_the_density_is_that_of_the_inputs(name, x64):
    """log p(u) = log p(x) + log |dx/du| + log p(observed | x)."""
    population = POPULATIONS[name]
    error = np.array([[0.3, 0.4], [0.2, 1.0], [1.0, 1.0], [0.5, 0.1]])
    actual, x, log_slope = change_of_variables(
        lambda: ns.latent.Measured(OBSERVED, error).sample("x", population),
        {"x.standardized": jnp.array([0.1, -0.4, 0.3, 0.5])},
    )
    seen = np.argwhere(~np.isnan(OBSERVED))
    likelihood = sum(scipy.stats.norm(x[i], error[i, j]).logpdf(OBSERVED[i, j]) for i, j in seen)
    expected = jax.jit(population.log_prob)(x).sum() + log_slope + likelihood
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_samplers_start_where_the_measurements_are():
    """u = 0 is the measurement, a step of one its error, for measurements far from each other."""
    observed = np.array([1e3, 2e3, 5e3, 5.001e3])
    populations = (dist.Normal(2e3, 1e3), dist.LogNormal(7.0, 1.0), dist.Uniform(0.0, 1e4))

    @jax.jit
    def inputs(u):
        sites = {"x.standardized": jnp.full(4, u)}
        return [
            inputs_of(lambda p=p: ns.latent.Measured(observed, 5.0).sample("x", p), sites)
            for p in populations
        ]

    for start, step in zip(inputs(0.0), inputs(0.01), strict=True):
        np.testing.assert_allclose(start, observed, atol=0.5)
        np.testing.assert_allclose(step - start, 0.05, rtol=0.05)


def test_known_rows_are_not_sampled_and_inform_the_population():
    observed = pd.Series([1.0, np.nan, 2.0])

    def model():
        mean = numpyro.sample("mean", dist.Normal())
        return ns.latent.Missing(observed).sample("x", dist.Normal(mean, 0.5))

    @jax.jit
    def values(key):
        trace = numpyro.handlers.trace(numpyro.handlers.seed(model, key)).get_trace()
        return {name: trace[name]["value"] for name in ("x.standardized", "x", "x.known")}

    value = values(jax.random.key(0))
    assert value["x.standardized"].shape == (1,)
    np.testing.assert_array_equal(value["x"][np.array([0, 2])], [1.0, 2.0])
    np.testing.assert_array_equal(value["x.known"], [1.0, 2.0])


def test_predictive_draws_what_is_latent_and_keeps_what_was_observed():
    """`Predictive` without `obs`: one row known exactly, one measured."""

    def model():
        ns.latent.Measured([1.0, 2.0], [0.0, 0.5]).sample("x", dist.Normal())

    draws = jax.jit(Predictive(model, num_samples=NUM_DRAWS))(jax.random.key(0))
    draws = {name: np.asarray(value, dtype=float) for name, value in draws.items()}
    assert np.ptp(draws["x"][:, 0]) == 0.0
    assert pvalue(draws["x"][:, 1], scipy.stats.norm.cdf) > LEVEL
    np.testing.assert_array_equal(draws["x.observed"], 2.0)
    np.testing.assert_array_equal(draws["x.known"], 1.0)


def test_populations_may_differ_by_row():
    means = np.array([0.0, 5.0, -2.0, 7.0])
    draws = drawn(
        lambda: ns.latent.Measured([0.0, 5.0, np.nan, 7.0], [0.0, 1, 1, 1]).sample(
            "x", dist.Normal(means)
        )
    )
    assert np.ptp(draws[:, 0]) == 0.0
    for row in (1, 2, 3):
        assert pvalue(draws[:, row], scipy.stats.norm(means[row]).cdf) > LEVEL


def test_ragged_replicates_agree_with_a_table_of_them(x64):
    population = dist.Normal(1.0, 2.0)
    row, column = np.nonzero(~np.isnan(OBSERVED))
    values, groups = OBSERVED[row, column], pd.factorize(row)[0]
    shuffled = np.random.default_rng(0).permutation(values.size)
    data = [
        (OBSERVED[[0, 1, 3]], None),
        (values, groups),
        (values[shuffled], groups[shuffled]),
    ]

    @jax.jit
    def densities(u):
        return [
            log_density(
                lambda v=v, g=g: ns.latent.Measured(v, 0.3, group=g).sample("x", population),
                (),
                {},
                u,
            )[0]
            for v, g in data
        ]

    table, ragged, again = densities({"x.standardized": jnp.array([0.3, -1.0, 0.4])})
    np.testing.assert_allclose(ragged, table, rtol=1e-12)
    np.testing.assert_allclose(again, table, rtol=1e-12)


def test_berkson_inputs_scatter_around_what_was_assigned():
    draws = drawn(lambda: ns.latent.Berkson([1.0, 2.0, 4.0], [0.1, 0.2, 0.0]).sample("x"))
    assert pvalue(draws[:, 0], scipy.stats.norm(1.0, 0.1).cdf) > LEVEL
    assert pvalue(draws[:, 1], scipy.stats.norm(2.0, 0.2).cdf) > LEVEL
    np.testing.assert_array_equal(draws[:, 2], 4.0)


def test_the_density_of_berkson_inputs_is_that_of_their_errors(x64):
    assigned, error = np.array([1.0, 2.0, 4.0]), np.array([0.1, 0.2, 3.0])
    actual, x, log_slope = change_of_variables(
        lambda: ns.latent.Berkson(assigned, error).sample("x"),
        {"x.standardized": jnp.array([0.3, -2.0, 1.0])},
    )
    expected = scipy.stats.norm(assigned, error).logpdf(x).sum() + log_slope
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


LOWER = np.array([0.5, 2.0, -np.inf, np.nan, 1.0])
UPPER = np.array([1.5, np.inf, 1.0, np.nan, 1.0])


@pytest.mark.parametrize("name", list(POPULATIONS))
def test_coarse_inputs_follow_their_population_in_their_intervals(name):
    draws = drawn(lambda: ns.latent.Coarse(LOWER, UPPER).sample("x", POPULATIONS[name]))
    np.testing.assert_array_equal(draws[:, 4], 1.0)
    for row, (low, high) in enumerate(zip(LOWER[:4], UPPER[:4], strict=True)):
        low, high = (-np.inf, np.inf) if np.isnan(low) else (low, high)
        assert np.all((draws[:, row] >= low) & (draws[:, row] <= high))
        below, above = CUMULATIVE[name](np.array([low, high]))

        def inside(x, below=below, above=above):
            return (CUMULATIVE[name](x) - below) / (above - below)

        assert pvalue(draws[:, row], inside) > LEVEL


def test_the_density_of_coarse_inputs_is_joint_with_their_intervals(x64):
    population = dist.LogNormal(0.3, 0.6)
    # Below one is between 0 and 1 for a positive population, so it is among those within, and
    # missing is above zero.
    sites = {"x.within": jnp.array([0.4, -0.2]), "x.above": jnp.array([0.2, -0.3])}
    actual, x, log_slope = change_of_variables(
        lambda: ns.latent.Coarse(LOWER, UPPER).sample("x", population), sites
    )
    assert x[4] == 1.0
    expected = scipy.stats.lognorm(0.6, scale=np.exp(0.3)).logpdf(x).sum() + log_slope
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 8, 21])
def test_nested_transform_is_a_bijection_to_increasing_values(size, bounded, x64):
    transform = Nested(size, bounded)

    @jax.jit
    def everything(v):
        x = transform(v)
        slopes = jax.vmap(jax.jacfwd(transform))(v)
        return x, transform.inv(x), transform.log_abs_det_jacobian(v, x), slopes

    v = np.random.default_rng(size).normal(size=(3, size))
    x, back, log_slope, slopes = everything(v)
    assert np.all(np.diff(x) > 0)
    assert not bounded or (x.min() > 0.0 and x.max() < 1.0)
    np.testing.assert_allclose(back, v, atol=1e-8)
    np.testing.assert_allclose(log_slope, np.linalg.slogdet(slopes)[1], atol=1e-8)


@pytest.mark.parametrize("name", ["normal", "positive", "bounded"])
def test_ordered_inputs_are_the_sorted_draws_of_their_population(name):
    draws = drawn(
        lambda: ns.latent.Ordered([1.0, 3.0, 2.5, 2.6], 0.4).sample("x", POPULATIONS[name])
    )
    assert np.all(np.diff(draws) >= 0)
    # The i-th of n uniform numbers is Beta(i, n + 1 - i), and all of them together are sorted.
    shares = CUMULATIVE[name](draws)
    for i, share in enumerate(shares.T, start=1):
        assert pvalue(share, scipy.stats.beta(i, 5 - i).cdf) > LEVEL


def test_the_density_of_ordered_inputs_is_that_of_order_statistics(x64):
    observed = np.array([1.0, 3.0, 2.5, 2.6])
    actual, x, log_slope = change_of_variables(
        lambda: ns.latent.Ordered(observed, 0.4).sample("x", dist.Gamma(3.0, 1.0)),
        {"x.standardized": jnp.array([0.1, -0.4, 0.3, 0.5])},
    )
    expected = np.log(24.0) + scipy.stats.gamma(3.0).logpdf(x).sum() + log_slope
    expected += scipy.stats.norm(x, 0.4).logpdf(observed).sum()
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_shares_of_ordered_uniform_inputs_have_the_prior_that_coordinates_are_made_of(x64):
    """Its slope is that of the density of uniform order statistics, n! on increasing values."""
    transform, v = Nested(7, bounded=True), jnp.linspace(-1.0, 1.2, 7)

    def density(v):
        return transform.log_abs_det_jacobian(v, transform(v))

    slope, curvature = transform.prior(v)
    np.testing.assert_allclose(slope, jax.jit(jax.grad(density))(v), rtol=1e-9)
    hessian = jax.jit(jax.hessian(density))(v)
    np.testing.assert_allclose(-hessian, np.diag(curvature), atol=1e-9)


def test_ordered_inputs_may_have_a_random_end(x64):
    observed = np.array([1.0, 3.0, 2.5, 2.6])
    actual, x, log_slope = change_of_variables(
        lambda: ns.latent.Ordered(observed, 0.4).sample("x", dist.Uniform(0.0, jnp.exp(1.5))),
        {"x.standardized": jnp.array([0.1, -0.4, 0.3, 0.5])},
    )
    expected = np.log(24.0) - 4.0 * 1.5 + log_slope
    expected += scipy.stats.norm(x, 0.4).logpdf(observed).sum()
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_ordered_inputs_are_about_uncorrelated_and_of_size_one_for_the_sampler():
    """40 inputs a quarter of their error apart."""
    observed = np.linspace(0.0, 10.0, 40) + np.random.default_rng(0).normal(size=40)
    data = ns.latent.Ordered(observed, 1.0)

    def potential(u):
        sites = {"x.standardized": u}
        model = (lambda: data.sample("x", dist.Uniform(0.0, 10.0)), (), {}, sites)
        return -log_density(*model)[0]

    size = np.linalg.eigvalsh(jax.jit(jax.hessian(potential))(jnp.zeros(40)))
    assert size[0] > 0.2
    assert size[-1] < 5.0


def test_a_spline_density_is_its_curve_and_draws_from_itself():
    density, grid = POPULATIONS["spline"], np.linspace(0.0, 3.0, 301)[1:-1]
    values = np.exp(np.asarray(jax.jit(density.log_prob)(grid), dtype=float))
    np.testing.assert_allclose(values, CURVE.to_scipy()(grid), rtol=1e-5)
    np.testing.assert_allclose(CUMULATIVE["spline"](np.array([0.0, 3.0])), [0.0, 1.0], atol=1e-6)
    draws = jax.jit(lambda key: density.sample(key, (NUM_DRAWS,)))(jax.random.key(0))
    assert pvalue(np.asarray(draws, dtype=float), CUMULATIVE["spline"]) > LEVEL


def test_planned_knots_cover_the_plausible_range():
    observed = np.array([[0.0, 0.2], [1.0, np.nan], [5.0, 5.2], [np.nan, np.nan]])
    data = ns.latent.Measured(observed, 0.5)
    knots = data.knots(8)
    reach = 4 * 0.5 / np.sqrt(2)
    np.testing.assert_allclose([knots[0], knots[-1]], [0.1 - reach, 5.1 + reach])
    wide = data.knots(8, population=dist.Normal(2.0, 4.0))
    np.testing.assert_allclose(wide[[0, -1]], 2.0 + 4.0 * np.array([-1, 1]) * 3.29053, rtol=1e-4)
    positive = data.knots(8, population=dist.HalfNormal(10.0))
    assert positive[0] == 0.0
    # Equal or nearly equal means do not make the errors small, and any population has a range.
    np.testing.assert_allclose(ns.latent.Measured([1.0, 1.0], 0.5).knots(2), [-1.0, 3.0])
    np.testing.assert_allclose(ns.latent.Measured([1.0, 1.01], 0.5).knots(2), [-1.0, 3.01])
    gamma = ns.latent.Measured([1.0, 1.1], 0.1).knots(2, population=dist.Gamma(2.0, 1.0))
    np.testing.assert_allclose(gamma, scipy.stats.gamma(2.0).ppf([5e-4, 0.9995]), rtol=0.05)
    assert data.check_domain(ns.BSplineBasis(knots)) == 0.0


def test_knots_that_do_not_cover_the_data_are_reported():
    basis = ns.BSplineBasis([1.0, 4.0])
    with pytest.warns(UserWarning, match=r"does not cover what was measured in 2 rows \(0, 3\)"):
        share = ns.latent.Measured([0.0, 1.0, 2.0, 5.0], 0.1).check_domain(basis)
    assert share == 0.5
