"""Knots that are random: their gradients, and NUTS over the place of a change."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.diagnostics import summary
from numpyro.infer import MCMC, NUTS, init_to_median

import numpyro_splines as ns


@pytest.mark.parametrize("degree", [1, 3])
def test_gradients_in_the_breakpoints_are_differences(degree, x64):
    x = np.linspace(-0.2, 1.2, 29)
    coefficients = np.random.default_rng(0).normal(size=3 + degree)

    def curve(interior):
        points = jnp.concatenate([jnp.zeros(1), interior, jnp.ones(1)])
        return ns.BSplineBasis(points, degree=degree).curve(coefficients)(x)

    at, step = jnp.array([0.31, 0.62]), 1e-6 * np.eye(2)

    @jax.jit
    def everything(at):
        points = jnp.concatenate([at[None], at + step, at - step])
        return jax.jacfwd(curve)(at), jax.jacrev(curve)(at), curve(at), jax.vmap(curve)(points)

    forward, reverse, value, mapped = everything(at)
    np.testing.assert_allclose(forward, reverse, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(mapped[0], value, atol=1e-13)
    differences = (mapped[1:3] - mapped[3:]) / 2e-6
    np.testing.assert_allclose(forward, differences.T, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_coalescing_knots_have_finite_gradients(degree, precision):
    x = np.linspace(-0.5, 1.5, 41).astype(precision.dtype)
    coefficients = np.random.default_rng(1).normal(size=4 + degree).astype(precision.dtype)

    def total(gaps):
        points = jnp.concatenate([jnp.zeros_like(gaps[:1]), jnp.cumsum(gaps)])
        return ns.BSplineBasis(points, degree=degree).curve(coefficients)(x).sum()

    # Compiled once for all gaps, which are an argument.
    compiled = jax.jit(jax.value_and_grad(total))
    for gap in (0.0, 1e-300, 1e-20, 1e-9):
        gaps = jnp.asarray(np.array([0.5, gap, gap, 0.5]), precision.dtype)
        value, gradient = compiled(gaps)
        assert np.isfinite(value), gap
        assert np.all(np.isfinite(gradient)), gap


def test_nuts_finds_a_change_point():
    """A broken line: slope 1 up to 0.35, then -0.5; noise 0.05 and 150 points."""
    rng = np.random.default_rng(2)
    x = rng.uniform(0.0, 1.0, 150)
    truth = 0.35
    mean = np.where(x < truth, x, truth - 0.5 * (x - truth))
    y = mean + 0.05 * rng.normal(size=150)

    def model(x, y):
        change = numpyro.sample("change", dist.Uniform(0.05, 0.95))
        points = jnp.stack([jnp.zeros(()), change, jnp.ones(())])
        heights = numpyro.sample("heights", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
        curve = ns.BSplineBasis(points, degree=1).curve(heights)
        sigma = numpyro.sample("sigma", dist.HalfNormal(0.5))
        numpyro.sample("y", dist.Normal(curve(x), sigma), obs=y)

    kernel = NUTS(model, init_strategy=init_to_median(num_samples=20))
    mcmc = MCMC(
        kernel,
        num_warmup=300,
        num_samples=300,
        progress_bar=False,
    )
    mcmc.run(jax.random.key(3), x, y)
    found = summary(mcmc.get_samples(group_by_chain=True))["change"]
    # Four posterior standard deviations: a false alarm in 16 000 data sets; the seed is fixed.
    assert abs(found["mean"] - truth) < 4 * found["std"]
    assert found["std"] < 0.03
    assert found["r_hat"] < 1.02
    assert np.sum(mcmc.get_extra_fields()["diverging"]) <= 6


@pytest.mark.slow
def test_nuts_with_ordered_knots():
    """Two changes from ordered gaps (a Dirichlet), the knots of a quadratic spline."""
    rng = np.random.default_rng(4)
    x = rng.uniform(0.0, 1.0, 200)
    truth = ns.BSplineBasis([0.0, 0.3, 0.4, 1.0], degree=1).curve([0.0, 0.0, 1.0, 1.0])
    y = np.asarray(truth(x)) + 0.05 * rng.normal(size=200)

    def model(x, y):
        gaps = numpyro.sample("gaps", dist.Dirichlet(2.0 * jnp.ones(3)))
        points = jnp.concatenate([jnp.zeros(1), jnp.cumsum(gaps[:2]), jnp.ones(1)])
        numpyro.deterministic("changes", points[1:3])
        heights = numpyro.sample("heights", dist.Normal(0.0, 1.0).expand([4]).to_event(1))
        curve = ns.BSplineBasis(points, degree=1).curve(heights)
        numpyro.sample("y", dist.Normal(curve(x), 0.05), obs=y)

    start = {"gaps": jnp.array([0.35, 0.2, 0.45]), "heights": jnp.array([0.0, 0.0, 1.0, 1.0])}
    kernel = NUTS(model, init_strategy=numpyro.infer.init_to_value(values=start))
    mcmc = MCMC(kernel, num_warmup=500, num_samples=500, progress_bar=False)
    mcmc.run(jax.random.key(5), x, y)
    changes = np.asarray(mcmc.get_samples()["changes"])
    mean, error = changes.mean(0), changes.std(0)
    assert np.all(np.abs(mean - [0.3, 0.4]) < 4 * error)
    assert np.all(error < 0.03)
