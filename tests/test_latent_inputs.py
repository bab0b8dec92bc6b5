"""NUTS over random inputs of a spline recovers a known truth; two engines, one posterior."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS

import numpyro_splines as ns

N = 150
INPUT_SD = 0.3
NOISE_SD = 0.2
GRID = np.linspace(0.5, 5.5, 20)


def truth(x):
    return 1.0 + np.sin(x)


def simulate(seed, n=N):
    rng = np.random.default_rng(seed)
    x = rng.normal(3.0, 1.2, n)
    w = x + INPUT_SD * rng.normal(size=n)
    return x, w, truth(x) + NOISE_SD * rng.normal(size=n)


def make_effect():
    basis = ns.BSplineBasis(ns.knots.from_distribution(dist.Normal(3.0, 1.2), 15))
    _, w, _ = simulate(1000)
    return ns.SplineEffect("f", basis, ns.SmoothnessPrior(), measure=w)


def make_model(evaluate):
    """The model of the design; `evaluate(x)` draws the curve and returns its values at x."""

    def model(w, y=None):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        level = numpyro.sample("level", dist.Normal(0.0, 2.0))
        curve = evaluate()
        with numpyro.plate("obs", len(w)):
            x = numpyro.sample("x", dist.Normal(3.0, 1.2))
            numpyro.sample("w", dist.Normal(x, INPUT_SD), obs=w)
            numpyro.sample("y", dist.Normal(level + curve(x), sigma), obs=y)

    return model


def sampler(model, num_samples=400, **options):
    return MCMC(
        NUTS(model, target_accept_prob=0.9),
        num_warmup=400,
        num_samples=num_samples,
        num_chains=2,
        chain_method="vectorized",
        progress_bar=False,
        **options,
    )


def covered(draws, value, probability=0.9):
    tail = (1 - probability) / 2
    lower, upper = np.quantile(np.asarray(draws), [tail, 1 - tail], axis=(0, 1))
    return (lower <= value) & (value <= upper)


def test_known_curve_noise_and_inputs_are_recovered():
    effect = make_effect()
    # The data are arguments of one compiled sampler: all but the first set cost a second.
    mcmc = sampler(make_model(effect.sample), jit_model_args=True)
    values = jax.jit(lambda draws: draws["level"][..., None] + effect.curve(draws)(GRID))
    inputs, curves, sigmas = [], [], []
    for seed in range(3):
        x, w, y = simulate(seed)
        mcmc.run(jax.random.key(seed), w, y, extra_fields=("diverging",))
        draws = mcmc.get_samples(group_by_chain=True)
        assert all(bool(jnp.all(jnp.isfinite(v))) for v in draws.values())
        assert int(mcmc.get_extra_fields()["diverging"].sum()) == 0
        f = values(draws)
        assert np.sqrt(np.mean((np.asarray(f).mean((0, 1)) - truth(GRID)) ** 2)) < 0.15
        inputs.append(covered(draws["x"], x))
        curves.append(covered(f, truth(GRID)))
        sigmas.append(np.asarray(draws["sigma"]).mean())
        # The latent inputs are known better than their measurements alone.
        assert np.std(draws["x"].mean((0, 1)) - x) < 0.9 * np.std(w - x)
    # 450 nearly independent intervals at 90 %: 5 standard errors are 0.07.
    assert abs(np.mean(inputs) - 0.9) < 0.07
    # Errors along a curve are correlated, so its coverage is far from binomial.
    assert np.mean(curves) > 0.7
    np.testing.assert_allclose(np.mean(sigmas), NOISE_SD, rtol=0.25)


@pytest.mark.slow
def test_the_native_engine_and_scipy_give_the_same_posterior():
    """Means agree within 4.5 Monte Carlo standard errors: 21 of them, false alarm 1.5e-4."""
    effect = make_effect()
    _, w, y = simulate(7, n=30)

    knots, degree = effect.basis.knots, effect.basis.degree
    lower, upper = np.asarray(effect.basis.domain, dtype=np.float32)

    def scipy_sample():
        with numpyro.handlers.trace() as trace:
            effect.sample()
        coefficients = trace["f.coefficients"]["value"]

        def evaluate(x):
            inside = jnp.clip(x, lower, upper)
            value = ns.scipy_bspline_basis(inside, knots, degree) @ coefficients
            slope = ns.scipy_bspline_basis(inside, knots, degree, 1) @ coefficients
            # Linear extrapolation, as the basis does it.
            return value + (x - inside) * slope

        return evaluate

    results = []
    for sample in (effect.sample, scipy_sample):
        mcmc = sampler(make_model(sample), num_samples=1500)
        mcmc.run(jax.random.key(8), w, y)
        draws = mcmc.get_samples(group_by_chain=True)
        f = np.asarray(draws["level"][..., None] + effect.curve(draws)(GRID))
        results.append(np.concatenate([f, np.asarray(draws["sigma"])[..., None]], axis=-1))
    native, scipy = (summarize(draws) for draws in results)
    error = np.hypot(native[1], scipy[1])
    assert np.all(np.abs(native[0] - scipy[0]) < 4.5 * error)


def summarize(draws):
    """Mean and its Monte Carlo standard error, by column."""
    size = np.array([effective_sample_size(draws[..., i]) for i in range(draws.shape[-1])])
    return draws.mean((0, 1)), draws.std((0, 1)) / np.sqrt(size)
