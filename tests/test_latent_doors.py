"""What latent inputs accept: missing and masked rows; numbers that floats can tell apart."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import numpyro_splines as ns

MASK = np.array([False, False, True, False])
MASKED = np.ma.array([0.1, 0.2, -999.0, 0.4], mask=MASK)
GAPS = np.array([0.1, 0.2, np.nan, 0.4])
POPULATION = dist.Normal(0.2, 0.1)


def drawn(make):
    with numpyro.handlers.seed(rng_seed=0):
        return np.asarray(make())


@pytest.mark.parametrize(
    "make",
    [
        lambda x: ns.latent.Missing(x).sample("x", POPULATION),
        lambda x: ns.latent.Measured(x, 0.01).sample("x", POPULATION),
        lambda x: ns.latent.Ordered(x, 0.01).sample("x", POPULATION),
        lambda x: ns.latent.Coarse(x, x + 0.5).sample("x", POPULATION),
    ],
    ids=["missing", "measured", "ordered", "coarse"],
)
def test_masked_rows_are_missing(make):
    np.testing.assert_array_equal(drawn(lambda: make(MASKED)), drawn(lambda: make(GAPS)))


def test_masked_rows_do_not_widen_knots():
    np.testing.assert_array_equal(
        ns.latent.Measured(MASKED, 0.01).knots(5), ns.latent.Measured(GAPS, 0.01).knots(5)
    )
    basis = ns.BSplineBasis([0.0, 0.5])
    assert ns.latent.Measured(MASKED, 0.01).check_domain(basis) == 0.0


@pytest.mark.parametrize(
    ("observed", "error"),
    [
        (GAPS, np.array([0.01, 0.01, np.nan, 0.02])),
        (GAPS, np.ma.array([0.01, 0.01, 5.0, 0.02], mask=MASK)),
        (
            np.array([[0.1, np.nan], [0.2, 0.3], [np.nan, np.nan]]),
            np.array([[0.1, np.nan], [0.1, 0.1], [np.nan, np.nan]]),
        ),
        (np.array([[0.1, np.nan], [0.2, 0.3], [np.nan, np.nan]]), np.array([0.1, 0.1, np.nan])),
    ],
    ids=["rows", "masked", "replicates", "error_of_rows"],
)
def test_errors_may_be_missing_where_nothing_was_measured(observed, error):
    filled = np.where(np.isnan(np.ma.filled(error, np.nan)), 0.7, np.ma.filled(error, np.nan))
    filled = np.where(np.ma.getmaskarray(error), 0.7, filled)
    found = drawn(lambda: ns.latent.Measured(observed, error).sample("x", POPULATION))
    right = drawn(lambda: ns.latent.Measured(observed, filled).sample("x", POPULATION))
    np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize(
    ("observed", "error"),
    [
        (GAPS, np.nan),
        (GAPS, np.array([0.01, np.nan, np.nan, 0.02])),
        (np.array([[0.1, np.nan], [0.2, 0.3]]), np.array([np.nan, 0.1])),
        (GAPS, np.array([0.01, 0.01, np.inf, 0.02])),
        (GAPS, np.array([0.01, 0.01, -1.0, 0.02])),
    ],
)
def test_errors_of_measurements_are_needed(observed, error):
    with pytest.raises(ValueError, match="`error_sd` must be finite and not negative"):
        drawn(lambda: ns.latent.Measured(observed, error).sample("x", POPULATION))


TIMES = 1.7e9 + np.array([0.0, 10.0, 20.0])
FAR = {
    "measured": (lambda t, p: ns.latent.Measured(t, 5.0).sample("x", p), "observed"),
    "measured_vaguely": (lambda t, p: ns.latent.Measured(t, 1e6).sample("x", p), "population"),
    "missing": (lambda t, p: ns.latent.Missing([t[0], np.nan]).sample("x", p), "population"),
    "ordered": (lambda t, p: ns.latent.Ordered(t, 5.0).sample("x", p), "observed"),
    "berkson": (lambda t, p: ns.latent.Berkson(t, 5.0).sample("x"), "assigned"),
    "coarse": (lambda t, p: ns.latent.Coarse(t, t + 5.0).sample("x", p), "lower and upper"),
    "censored": (lambda t, p: ns.latent.Coarse(t, t + np.inf).sample("x", p), "population"),
    "integrated": (
        lambda t, p: (
            ns.latent.Measured(t, 5.0)
            .integrate("x", p, response=lambda x: dist.Normal(x))
            .event_dim
        ),
        "observed",
    ),
}


@pytest.mark.parametrize("name", FAR)
def test_what_floats_do_not_tell_apart_is_refused(name):
    make, argument = FAR[name]
    population = dist.Normal(1.7e9, 30.0)
    message = f"`{argument}` is too far from zero: near 17000000.*Subtract 17000000"
    with pytest.raises(ValueError, match=message):
        drawn(lambda: make(TIMES, population))
    # As concrete while a model is compiled.
    with pytest.raises(ValueError, match=message), numpyro.handlers.seed(rng_seed=0):
        jax.jit(lambda: make(TIMES, dist.Normal(1.7e9, 30.0)))()
    with numpyro.handlers.seed(rng_seed=0):
        make(TIMES - 1.7e9, dist.Normal(0.0, 30.0))
    with jax.enable_x64(True), numpyro.handlers.seed(rng_seed=0):
        make(TIMES, population)


def test_traced_parameters_pass():
    def model(sd):
        return ns.latent.Measured(TIMES).sample("x", dist.Normal(1.7e9, sd), error_sd=sd)

    with numpyro.handlers.seed(rng_seed=0):
        assert jnp.shape(jax.jit(model)(30.0)) == (3,)


def test_observations_of_a_marginal_likelihood_have_no_gaps():
    x = np.linspace(0.0, 1.0, 9)
    f = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]), measure=x)
    eta = ns.AdditivePredictor((f, x), intercept=dist.Normal())
    law = ns.regression.IntegratedGaussian(eta).distribution(0.1, [1.0])
    with pytest.raises(TypeError, match="`y` must be an array without a mask"):
        law.log_prob(np.ma.array(x, mask=x > 0.8))
    with pytest.raises(ValueError, match=r"`y` must have shape \(9,\), .* Pass y\[..., 0\]"):
        law.log_prob(x[:, None])
    with pytest.raises(ValueError, match="one entry for each row of the predictor"):
        law.log_prob(x[:8])
    with pytest.raises(ValueError, match="`y` must be finite"):
        law.log_prob(np.where(x > 0.8, np.nan, x))
    with pytest.raises(ValueError, match="`scales` must hold one scale for each of the 1 blocks"):
        ns.regression.MarginalGaussian(ns.regression.IntegratedGaussian(eta), 0.1, [1.0, 2.0])
