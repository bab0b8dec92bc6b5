"""Inputs integrated over populations with long tails, far parts or several scales.

Right, or a warning before anything is sampled.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.special
import scipy.stats

import numpyro_splines as ns

SCALES = (0.1, 1.0, 30.0)
# Quantiles evenly spread: means over them are means over the population, to 1 in 100 000.
LEVELS = (np.arange(100_000) + 0.5) / 100_000
POPULATIONS = {
    **{
        f"student_{df:g}": (
            lambda s, df=df: dist.StudentT(df, 1.0, s),
            lambda s, df=df: scipy.stats.t(df, 1.0, s),
        )
        for df in (1.0, 2.0, 3.0)
    },
    "cauchy": (lambda s: dist.Cauchy(1.0, s), lambda s: scipy.stats.cauchy(1.0, s)),
    "half_cauchy": (dist.HalfCauchy, lambda s: scipy.stats.halfcauchy(0.0, s)),
    "normal": (lambda s: dist.Normal(1.0, s), lambda s: scipy.stats.norm(1.0, s)),
    "log_normal": (
        lambda s: dist.LogNormal(0.0, s**0.4),
        lambda s: scipy.stats.lognorm(s**0.4),
    ),
    "inverse_gamma": (
        lambda s: dist.InverseGamma(1.0, s),
        lambda s: scipy.stats.invgamma(1.0, scale=s),
    ),
    "beta": (lambda s: dist.Beta(0.5, 0.5), lambda s: scipy.stats.beta(0.5, 0.5)),
}
FAR = dist.MixtureSameFamily(
    dist.Categorical(probs=np.array([0.3, 0.7])), dist.Normal(np.array([-50.0, 50.0]), 1.0)
)


def response(x):
    return -jnp.log1p(jnp.exp(-0.3 * (x - 1.0)))


def missing_row(population, num_nodes=64):
    """The mean response of a row of which only the population is known; and its warnings."""
    rule = ns.latent.Quadrature(num_nodes=num_nodes)
    with warnings.catch_warnings(record=True) as caught, numpyro.handlers.seed(rng_seed=0):
        warnings.simplefilter("always")
        given = ns.latent.Missing([0.5, np.nan]).integrate(
            "x", population, rule, response=dist.Normal
        )
    before, after = given.inputs.log_integrals(response)
    return jnp.exp(after - before)[1], [str(w.message) for w in caught]


@pytest.mark.parametrize("num_nodes", [16, 32, 64])
@pytest.mark.parametrize("name", POPULATIONS)
def test_a_population_is_resolved_or_reported(name, num_nodes, x64):
    resolved_or_reported(name, num_nodes)


@pytest.mark.parametrize("name", POPULATIONS)
def test_float32_resolves_what_float64_does(name):
    """Of fewer nodes the error is far above rounding: there the dtype does not matter."""
    resolved_or_reported(name, 64)


def resolved_or_reported(name, num_nodes):
    make, exact = POPULATIONS[name]
    for scale in SCALES:
        found, messages = missing_row(make(scale), num_nodes)
        if messages:
            assert "does not resolve the population" in messages[0]
            assert num_nodes < 64
            continue
        x = exact(scale).ppf(LEVELS)
        right = np.mean(1.0 / (1.0 + np.exp(-np.clip(0.3 * (x - 1.0), -700.0, 700.0))))
        tolerance = {16: 2e-2, 32: 1e-3, 64: 3e-4}[num_nodes]
        np.testing.assert_allclose(found, right, atol=tolerance)


@pytest.mark.parametrize("name", ["student_1", "cauchy", "half_cauchy", "normal", "log_normal"])
def test_traced_parameters_have_such_nodes_too(name, x64):
    make, _ = POPULATIONS[name]

    @jax.jit
    def both(scale):
        return jax.value_and_grad(lambda s: missing_row(make(s))[0])(scale)

    def exact(scale):
        x = POPULATIONS[name][1](scale).ppf(LEVELS)
        return np.mean(1.0 / (1.0 + np.exp(-np.clip(0.3 * (x - 1.0), -700.0, 700.0))))

    value, slope = both(2.0)
    np.testing.assert_allclose(value, exact(2.0), atol=1e-4)
    np.testing.assert_allclose(slope, (exact(2.1) - exact(1.9)) / 0.2, atol=2e-3)


def test_each_row_may_have_its_own(x64):
    population = dist.Cauchy(np.array([0.0, 5.0]), np.array([1.0, 30.0]))
    with numpyro.handlers.seed(rng_seed=0):
        data = ns.latent.Coarse([-np.inf, 1.0], [np.inf, 1.0])
        given = data.integrate("x", population, response=dist.Normal)
    before, after = given.inputs.log_integrals(response)
    q = scipy.stats.cauchy(0.0, 1.0).ppf(LEVELS)
    right = np.mean(1.0 / (1.0 + np.exp(-np.clip(0.3 * (q - 1.0), -700.0, 700.0))))
    np.testing.assert_allclose(jnp.exp(after - before)[0], right, atol=1e-4)


def test_parts_far_from_each_other_are_reported(x64):
    for num_nodes in (16, 64):
        message = missing_row(FAR, num_nodes)[1][0]
        assert "population MixtureSameFamily of 1 rows" in message
        assert "its mass over the nodes is" in message
        assert "Increase `num_nodes`" in message
    found, messages = missing_row(FAR, 700)
    assert not messages
    right = 0.3 / (1 + np.exp(15.3)) + 0.7 / (1 + np.exp(-14.7))
    np.testing.assert_allclose(found, right, rtol=1e-4)


OBSERVED = np.array([1.0, 2.0, -3.0, 40.0])


@pytest.mark.parametrize("name", ["student_1", "student_2", "student_3", "cauchy", "normal"])
@pytest.mark.parametrize("scale", [0.02, 0.5, 5.0])
def test_measured_inputs_are_right_or_reported(name, scale, x64):
    make, exact = POPULATIONS[name]
    data = ns.latent.Measured(OBSERVED[:3], 0.5)
    with warnings.catch_warnings(record=True) as caught, numpyro.handlers.seed(rng_seed=0):
        warnings.simplefilter("always")
        with numpyro.handlers.trace() as trace:
            data.integrate("x", make(scale), response=dist.Normal)
    found = float(trace["x.observed"]["fn"].log_prob(OBSERVED[:3]))
    x = np.sinh(np.linspace(-16.0, 16.0, 400_001)) * 1e-4 + 1.0
    density = exact(scale).pdf(x)
    right = sum(
        np.log(np.trapezoid(scipy.stats.norm(x, 0.5).pdf(w) * density, x)) for w in OBSERVED[:3]
    )
    if caught:
        assert "inputs of" in str(caught[0].message)
        assert "measured rows" in str(caught[0].message)
        assert scale < 0.5 or name != "normal"
        return
    np.testing.assert_allclose(found, right, atol=0.03)


def test_a_measured_row_far_out_in_a_tail(x64):
    data, population = ns.latent.Measured(OBSERVED[1:], 0.5), dist.Cauchy(0.0, 1.0)
    with numpyro.handlers.seed(rng_seed=0), numpyro.handlers.trace() as trace:
        data.integrate("x", population, response=dist.Normal)
    found = trace["x.observed"]["fn"].log_prob(OBSERVED[1:])
    # A Voigt profile.
    right = np.log(scipy.special.voigt_profile(OBSERVED[1:], 0.5, 1.0)).sum()
    np.testing.assert_allclose(found, right, rtol=1e-4)


def test_a_sharp_response_is_reported_where_all_is_concrete(x64):
    rule = ns.latent.Quadrature(num_nodes=16)
    data = ns.latent.Berkson([1.0, 2.0], 0.5)
    sharp = data.integrate("x", quadrature=rule, response=lambda x: dist.Normal(3.0 * x, 0.01))
    with pytest.warns(UserWarning, match="The quadrature of `x` is too coarse for 1 rows"):
        sharp.log_prob(jnp.array([3.0, 6.1]))
    # Within jit nothing can be said; `draw_inputs` does so afterwards.
    jax.jit(sharp.log_prob)(jnp.array([3.0, 6.1]))
