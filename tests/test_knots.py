"""Where knots go: breakpoints and full knot vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
import scipy.stats

import numpyro_splines as ns


def test_uniform_ends_exactly_where_asked():
    points = ns.knots.uniform(0.1, 0.7, 7)
    assert points.dtype == np.float64
    assert (points[0], points[-1]) == (0.1, 0.7)
    np.testing.assert_allclose(np.diff(points), 0.1)


def test_quantiles_without_ties_are_numpys():
    x = np.random.default_rng(0).normal(size=101)
    np.testing.assert_allclose(ns.knots.quantile(x, 8), np.quantile(x, np.linspace(0, 1, 8)))


def test_quantiles_accept_a_series_and_any_shape():
    x = pd.Series([3.0, 1.0, 2.0, 5.0], index=[7, 8, 9, 9])
    expected = ns.knots.quantile([1.0, 2.0, 3.0, 5.0], 3)
    np.testing.assert_array_equal(ns.knots.quantile(x, 3), expected)
    np.testing.assert_array_equal(ns.knots.quantile(x.to_numpy().reshape(2, 2), 3), expected)


def test_heavy_ties_still_give_distinct_breakpoints_between_the_extremes():
    x = np.concatenate([np.zeros(1000), [1.0, 2.0, 3.0], np.full(500, 4.0)])
    points = ns.knots.quantile(x, 30)
    assert points.size == 30
    assert np.all(np.diff(points) > 0)
    assert (points[0], points[-1]) == (0.0, 4.0)


def test_integer_weights_are_repetitions():
    x, weights = np.array([0.0, 1.0, 4.0, 9.0]), np.array([3, 1, 2, 5])
    repeated = ns.knots.quantile(np.repeat(x, weights), 6)
    np.testing.assert_allclose(ns.knots.quantile(x, 6, weights), repeated)
    without = ns.knots.quantile(x, 6, [1, 1, 1, 0])
    assert without[-1] == 4.0


def test_from_distribution_covers_the_stated_probability():
    points = ns.knots.from_distribution(dist.Normal(3.0, 2.0), 9, coverage=0.9)
    np.testing.assert_allclose(points[[0, -1]], scipy.stats.norm(3, 2).ppf([0.05, 0.95]), rtol=1e-5)
    np.testing.assert_allclose(np.diff(points), points[1] - points[0])


def test_from_distribution_covers_every_row_of_a_batch():
    points = ns.knots.from_distribution(dist.Normal(jnp.array([0.0, 5.0]), 1.0), 4, coverage=0.95)
    np.testing.assert_allclose(points[[0, -1]], [-1.96, 6.96], atol=1e-3)


def test_from_distribution_without_quantile_function():
    mixture = dist.MixtureSameFamily(
        dist.Categorical(probs=jnp.array([0.5, 0.5])), dist.Normal(jnp.array([-3.0, 3.0]), 1.0)
    )
    points = ns.knots.from_distribution(mixture, 4, coverage=0.99)
    # P(|x| > q) = 0.01 with one component in each tail: z at 0.99.
    np.testing.assert_allclose(points[[0, -1]], [-5.3263, 5.3263], atol=0.03)


@pytest.mark.parametrize("degree", [0, 1, 3, 7])
def test_full_knot_vectors(degree):
    points = np.array([0.0, 0.5, 2.0, 3.0])
    for rule in (ns.knots.clamped, ns.knots.extended, ns.knots.periodic):
        knots = rule(points, degree)
        assert knots.shape == (4 + 2 * degree,)
        np.testing.assert_array_equal(knots[degree : degree + 4], points)
    gaps = np.diff(ns.knots.extended(points, degree))
    np.testing.assert_allclose(gaps[:degree], 0.5)
    np.testing.assert_allclose(gaps[3 + degree :], 1.0)
    knots = ns.knots.periodic(points, degree)
    if degree <= 3:
        np.testing.assert_allclose(knots[3 : 3 + degree] - knots[:degree][:degree], 3.0)


def test_clamped_takes_traced_breakpoints():
    traced = jax.jit(lambda b: ns.knots.clamped(b, 2))(jnp.array([0.0, 1.0, 3.0]))
    np.testing.assert_array_equal(traced, ns.knots.clamped([0.0, 1.0, 3.0], 2))
