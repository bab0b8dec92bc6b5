"""Prior checks: what is counted, against direct computation; the picture."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from matplotlib.figure import Figure

import numpyro_splines as ns
from numpyro_splines import plotting
from numpyro_splines.prior_checks import check_prior, degrees_of_freedom

X = np.random.default_rng(0).beta(2.0, 4.0, 150)
BASIS = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 12))
EFFECT = ns.SplineEffect("f", BASIS, ns.SmoothnessPrior(scale=0.7, linear=1e-6), measure=X)


def test_the_size_is_that_of_the_scale_over_the_measure():
    check = check_prior(EFFECT, jax.random.key(0), num_draws=4000, measure=X)
    assert check.curves.shape == (4000, 401)
    # Mean square tau^2 sum sd_m^2 z_m^2, standard deviation at most tau^2 sqrt(2): five of them.
    assert abs((check.rms**2).mean() / 0.49 - 1.0) < 5 * np.sqrt(2.0 / 4000)
    np.testing.assert_array_equal(check.curves[:, 0], EFFECT.curve(check.sites)(check.grid[0]))


def test_turning_points_are_the_extrema_inside_the_domain():
    check = check_prior(EFFECT, jax.random.key(1), num_draws=20)
    curves = [EFFECT.curve({k: v[i] for k, v in check.sites.items()}) for i in range(20)]
    extrema = [np.asarray(curve.extrema().x) for curve in curves]
    inside = [np.sum((at > 0.0) & (at < 1.0)) for at in extrema]
    np.testing.assert_array_equal(check.turning_points, inside)


def test_degrees_of_freedom_are_the_trace_of_the_smoother():
    effect = ns.SplineEffect("f", BASIS, ns.SmoothnessPrior(linear=2.0), measure=X)
    mu = BASIS.measure(X)
    predictor = ns.AdditivePredictor((effect, mu.points), intercept=None)
    # Modes and line are orthogonal at the observations, of length one over the whole measure.
    gram, sigma, n = predictor.gram(mu.weights), 0.3, 150.0
    gram[0, 1:] = gram[1:, 0] = 0.0
    for tau in (0.01, 0.3, 5.0):
        variance = np.r_[[4.0], np.full(gram.shape[0] - 1, tau**2)]
        information = n * gram / sigma**2
        expected = np.trace(np.linalg.solve(information + np.diag(1 / variance), information))
        own = degrees_of_freedom(effect, tau, sigma=sigma, num_observations=n)
        np.testing.assert_allclose(own, expected, rtol=1e-6)
    flat = dist.ImproperUniform(dist.constraints.real, (), ())
    unpenalized = ns.SplineEffect("f", BASIS, ns.SmoothnessPrior(linear=flat), measure=X)
    small = degrees_of_freedom(unpenalized, 1e-9, sigma=1.0, num_observations=10)
    np.testing.assert_allclose(small, 1.0)


def test_the_picture():
    scales = np.geomspace(0.01, 10.0, 20)
    freedom = degrees_of_freedom(EFFECT, scales, sigma=0.5, num_observations=150)
    check = check_prior(EFFECT, jax.random.key(0), num_draws=100)
    made = Figure().subplots(1, 4)
    panels = plotting.prior(check, degrees_of_freedom=(scales, freedom), axes=made)
    assert [axes.get_title() for axes in panels] == [
        "draws of f", "size (lower 99 %)", "wiggliness", "effective degrees of freedom",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: check_prior(EFFECT, jax.random.key(0), num_points=2),
            ValueError,
            "`num_points` must be at least 3",
        ),
        (
            lambda: degrees_of_freedom(EFFECT, 0.0, sigma=1.0, num_observations=5),
            ValueError,
            "`scale` must be positive",
        ),
        (
            lambda: degrees_of_freedom(EFFECT, 1.0, sigma=-1.0, num_observations=5),
            ValueError,
            "`sigma`",
        ),
        (
            lambda: degrees_of_freedom(
                ns.SplineEffect("f", BASIS, ns.ConvexPrior()), 1.0, sigma=1.0, num_observations=5
            ),
            TypeError,
            "must have a smoothness prior",
        ),
    ],
)
def test_bad_input_is_refused_clearly(call, error, message):
    with pytest.raises(error, match=message):
        call()
