"""Priors of latent inputs: draws are what the docstrings say, densities are those of x."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
import scipy.stats
from numpyro.infer import Predictive
from numpyro.infer.util import log_density

import numpyro_splines as ns
from numpyro_splines.latent.ordered import Nested

NUM_DRAWS = 4000
# Kolmogorov-Smirnov tests: about 40 in this file, together a false alarm in 0.4 % of all seeds.
LEVEL = 1e-4
MIXTURE = dist.MixtureSameFamily(
    dist.Categorical(probs=np.array([0.3, 0.7])), dist.Normal(np.array([0.0, 3.0]), 0.7)
)
DENSITY = ns.latent.spline_density(
    ns.MSplineBasis([0.0, 1.0, 3.0], degree=2).curve([0.1, 0.3, 0.4, 0.2])
)
POPULATIONS = {
    "normal": dist.Normal(1.5, 1.2),
    "mixture": MIXTURE,
    "positive": dist.LogNormal(0.3, 0.6),
    "bounded": dist.Uniform(-0.5, 4.0),
    "half_line": dist.Gamma(2.0, 1.0),
    "spline": DENSITY,
}
OBSERVED = np.array([[1.0, 1.4], [2.0, np.nan], [np.nan, np.nan], [2.9, 2.5]])


def predictive(model, num=NUM_DRAWS, key=0):
    draws = jax.jit(Predictive(model, num_samples=num))(jax.random.key(key))
    return {name: np.asarray(value, dtype=float) for name, value in draws.items()}


def pvalue(draws, population):
    other = np.asarray(population.sample(jax.random.key(99), (20 * NUM_DRAWS,)), dtype=float)
    return scipy.stats.ks_2samp(draws, other).pvalue


@pytest.mark.parametrize("name", list(POPULATIONS))
def test_measured_inputs_follow_their_population_and_measurements_their_inputs(name):
    population = POPULATIONS[name]
    draws = predictive(lambda: ns.latent.measured("x", OBSERVED, 0.3, population))
    for row in draws["x"].T:
        assert pvalue(row, population) > LEVEL
    # `Predictive` without `obs` keeps what was observed.
    np.testing.assert_allclose(draws["x.observed"][0], [1.0, 1.4, 2.0, 2.9, 2.5], rtol=1e-6)
    assert abs(np.corrcoef(draws["x"].T) - np.eye(4)).max() < 5 / np.sqrt(NUM_DRAWS)


@pytest.mark.parametrize("name", list(POPULATIONS))
def test_the_density_is_that_of_the_inputs(name, x64):
    """log p(u) = log p(x) + log |dx/du| + log p(observed | x)."""
    population = POPULATIONS[name]
    error = np.array([[0.3, 0.4], [0.2, 1.0], [1.0, 1.0], [0.5, 0.1]])

    def model():
        return ns.latent.measured("x", OBSERVED, error, population)

    def inputs(u):
        with numpyro.handlers.substitute(data={"x.standardized": u}):
            return numpyro.handlers.seed(model, 0)()

    u = jnp.array([0.1, -0.4, 0.3, 0.5])
    x = inputs(u)
    slopes = jnp.diagonal(jax.jacobian(inputs)(u))
    seen = np.argwhere(~np.isnan(OBSERVED))
    likelihood = sum(scipy.stats.norm(x[i], error[i, j]).logpdf(OBSERVED[i, j]) for i, j in seen)
    expected = population.log_prob(x).sum() + jnp.log(slopes).sum() + likelihood
    actual, _ = log_density(model, (), {}, {"x.standardized": u})
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_samplers_start_where_the_measurements_are():
    """u = 0 is the measurement, a step of one its error, for measurements far from each other."""
    observed = np.array([1e3, 2e3, 5e3, 5.001e3])
    for population in (dist.Normal(2e3, 1e3), dist.LogNormal(7.0, 1.0), dist.Uniform(0.0, 1e4)):

        def inputs(u, population=population):
            with numpyro.handlers.substitute(data={"x.standardized": jnp.full(4, u)}):
                return ns.latent.measured("x", observed, 5.0, population)

        np.testing.assert_allclose(inputs(0.0), observed, atol=0.5)
        np.testing.assert_allclose(inputs(0.01) - inputs(0.0), 0.05, rtol=0.05)


def test_known_rows_are_not_sampled_and_inform_the_population():
    observed = pd.Series([1.0, np.nan, 2.0])

    def model():
        mean = numpyro.sample("mean", dist.Normal())
        return ns.latent.missing("x", observed, dist.Normal(mean, 0.5))

    trace = numpyro.handlers.trace(numpyro.handlers.seed(model, 0)).get_trace()
    assert trace["x.standardized"]["value"].shape == (1,)
    np.testing.assert_array_equal(trace["x"]["value"][np.array([0, 2])], [1.0, 2.0])
    np.testing.assert_array_equal(trace["x.known"]["value"], [1.0, 2.0])
    mixed = predictive(lambda: ns.latent.measured("x", [1.0, 2.0], [0.0, 0.5], dist.Normal()))
    assert np.ptp(mixed["x"][:, 0]) == 0.0
    assert pvalue(mixed["x"][:, 1], dist.Normal()) > LEVEL


def test_populations_may_differ_by_row():
    means = np.array([0.0, 5.0, -2.0, 7.0])
    draws = predictive(
        lambda: ns.latent.measured("x", [0.0, 5.0, np.nan, 7.0], [0.0, 1, 1, 1], dist.Normal(means))
    )
    assert np.ptp(draws["x"][:, 0]) == 0.0
    for row in (1, 2, 3):
        assert pvalue(draws["x"][:, row], dist.Normal(means[row])) > LEVEL


def test_ragged_replicates_agree_with_a_table_of_them(x64):
    population = dist.Normal(1.0, 2.0)
    row, column = np.nonzero(~np.isnan(OBSERVED))
    values, groups = OBSERVED[row, column], pd.factorize(row)[0]
    table = OBSERVED[[0, 1, 3]]
    u = {"x.standardized": jnp.array([0.3, -1.0, 0.4])}
    one, _ = log_density(lambda: ns.latent.measured("x", table, 0.3, population), (), {}, u)
    other, _ = log_density(
        lambda: ns.latent.measured("x", values, 0.3, population, group=groups), (), {}, u
    )
    np.testing.assert_allclose(one, other, rtol=1e-12)
    shuffled = np.random.default_rng(0).permutation(values.size)
    third, _ = log_density(
        lambda: ns.latent.measured(
            "x", values[shuffled], 0.3, population, group=groups[shuffled]
        ),
        (), {}, u,
    )  # fmt: skip
    np.testing.assert_allclose(third, one, rtol=1e-12)


def test_berkson_inputs_scatter_around_what_was_assigned():
    draws = predictive(lambda: ns.latent.berkson("x", [1.0, 2.0, 4.0], [0.1, 0.2, 0.0]))["x"]
    assert pvalue(draws[:, 0], dist.Normal(1.0, 0.1)) > LEVEL
    assert pvalue(draws[:, 1], dist.Normal(2.0, 0.2)) > LEVEL
    np.testing.assert_array_equal(draws[:, 2], 4.0)


LOWER = np.array([0.5, 2.0, -np.inf, np.nan, 1.0])
UPPER = np.array([1.5, np.inf, 1.0, np.nan, 1.0])


@pytest.mark.parametrize("name", list(POPULATIONS))
def test_coarse_inputs_follow_their_population_in_their_intervals(name):
    population = POPULATIONS[name]
    draws = predictive(lambda: ns.latent.coarse("x", LOWER, UPPER, population))["x"]
    np.testing.assert_array_equal(draws[:, 4], 1.0)
    everything = np.asarray(population.sample(jax.random.key(5), (400_000,)), dtype=float)
    for row, (low, high) in enumerate(zip(LOWER[:4], UPPER[:4], strict=True)):
        low, high = np.nan_to_num(low, nan=-np.inf), np.nan_to_num(high, nan=np.inf)
        inside = everything[(everything >= low) & (everything <= high)]
        assert scipy.stats.ks_2samp(draws[:, row], inside).pvalue > LEVEL


def test_the_density_of_coarse_inputs_is_joint_with_their_intervals(x64):
    population = dist.LogNormal(0.3, 0.6)

    def model():
        return ns.latent.coarse("x", LOWER, UPPER, population)

    # Below one is between 0 and 1 for a positive population, so it is among those within.
    sites = {"x.within": jnp.array([0.4, -0.2]), "x.above": jnp.array([0.2])}
    # Missing is then above zero.
    sites["x.above"] = jnp.array([0.2, -0.3])

    def inputs(u):
        with numpyro.handlers.substitute(data=u):
            return numpyro.handlers.seed(model, 0)()[:4]

    slopes = jax.jacobian(inputs)(sites)
    log_slope = sum(jnp.log(jnp.abs(s).sum(axis=0)).sum() for s in slopes.values())
    expected = population.log_prob(jnp.append(inputs(sites), 1.0)).sum() + log_slope
    actual, _ = log_density(model, (), {}, sites)
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 21])
def test_nested_transform_is_a_bijection_to_increasing_values(size, x64):
    transform = Nested(size)
    v = jax.random.normal(jax.random.key(size), (3, size))
    x = transform(v)
    assert bool(jnp.all(jnp.diff(x) > 0))
    np.testing.assert_allclose(transform.inv(x), v, atol=1e-8)
    for one, value in zip(v, x, strict=True):
        expected = jnp.linalg.slogdet(jax.jacobian(transform)(one))[1]
        np.testing.assert_allclose(transform.log_abs_det_jacobian(one, value), expected, atol=1e-8)


@pytest.mark.parametrize("name", ["normal", "positive", "bounded"])
def test_ordered_inputs_are_the_sorted_draws_of_their_population(name):
    population = POPULATIONS[name]
    draws = predictive(lambda: ns.latent.ordered("x", [1.0, 3.0, 2.5, 2.6], 0.4, population))["x"]
    assert np.all(np.diff(draws) >= 0)
    expected = np.sort(np.asarray(population.sample(jax.random.key(3), (80_000, 4)), float), axis=1)
    for one, other in zip(draws.T, expected.T, strict=True):
        assert scipy.stats.ks_2samp(one, other).pvalue > LEVEL


def test_the_density_of_ordered_inputs_is_that_of_order_statistics(x64):
    population = dist.Gamma(3.0, 1.0)
    observed = np.array([1.0, 3.0, 2.5, 2.6])

    def model():
        return ns.latent.ordered("x", observed, 0.4, population)

    def inputs(u):
        with numpyro.handlers.substitute(data={"x.standardized": u}):
            return model()

    u = jnp.array([0.1, -0.4, 0.3, 0.5])
    x = inputs(u)
    slope = jnp.linalg.slogdet(jax.jacobian(inputs)(u))[1]
    expected = np.log(24.0) + population.log_prob(x).sum() + slope
    expected += dist.Normal(x, 0.4).log_prob(observed).sum()
    actual, _ = log_density(model, (), {}, {"x.standardized": u})
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_a_spline_density_integrates_to_one_and_draws_from_itself():
    grid = np.linspace(0.0, 3.0, 3001)
    density = np.exp(np.asarray(DENSITY.log_prob(grid[1:-1]), dtype=float))
    np.testing.assert_allclose(density.sum() * 1e-3, 1.0, atol=1e-3)
    draws = np.asarray(DENSITY.sample(jax.random.key(0), (NUM_DRAWS,)))
    cumulative = np.interp(np.sort(draws), grid[1:-1], np.cumsum(density) * 1e-3)
    assert scipy.stats.kstest(cumulative, "uniform").pvalue > LEVEL


def test_planned_knots_cover_the_plausible_range():
    observed = np.array([[0.0, 0.2], [1.0, np.nan], [5.0, 5.2], [np.nan, np.nan]])
    knots = ns.latent.plan_knots(observed, 0.5, 8)
    reach = 4 * 0.5 / np.sqrt(2)
    np.testing.assert_allclose([knots[0], knots[-1]], [0.1 - reach, 5.1 + reach])
    wide = ns.latent.plan_knots(observed, 0.5, 8, population=dist.Normal(2.0, 4.0))
    np.testing.assert_allclose(wide[[0, -1]], 2.0 + 4.0 * np.array([-1, 1]) * 3.29053, rtol=1e-4)
    positive = ns.latent.plan_knots(observed, 0.5, 8, population=dist.HalfNormal(10.0))
    assert positive[0] == 0.0
    # Equal or nearly equal means do not make the errors small, and any population has a range.
    np.testing.assert_allclose(ns.latent.plan_knots([1.0, 1.0], 0.5, 2), [-1.0, 3.0])
    np.testing.assert_allclose(ns.latent.plan_knots([1.0, 1.01], 0.5, 2), [-1.0, 3.01])
    gamma = ns.latent.plan_knots([1.0, 1.1], 0.1, 2, population=dist.Gamma(2.0, 1.0))
    np.testing.assert_allclose(gamma, scipy.stats.gamma(2.0).ppf([5e-4, 0.9995]), rtol=0.05)
    assert ns.latent.check_domain((knots[0], knots[-1]), observed, 0.5) == 0.0


def test_knots_that_do_not_cover_the_data_are_reported():
    with pytest.warns(UserWarning, match=r"does not cover what was measured in 2 rows \(0, 3\)"):
        share = ns.latent.check_domain((1.0, 4.0), [0.0, 1.0, 2.0, 5.0], 0.1)
    assert share == 0.5
