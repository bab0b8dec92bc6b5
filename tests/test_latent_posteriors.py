"""Posteriors of models with latent inputs: exact grids, two forms of one model, known truths."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from numpyro.diagnostics import effective_sample_size, gelman_rubin
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import log_density

import numpyro_splines as ns

RULE = ns.latent.Quadrature()
ERROR_SD, NOISE_SD, NUM_REPLICATES = 0.4, 0.2, 3
GRID = np.linspace(0.8, 5.2, 12)


def sample(model, *args, warmup=300, draws=400, chains=2, key=0, **kernel):
    mcmc = MCMC(
        NUTS(model, **kernel), num_warmup=warmup, num_samples=draws, num_chains=chains,
        chain_method="vectorized", progress_bar=False,
    )  # fmt: skip
    mcmc.run(jax.random.key(key), *args, extra_fields=("diverging", "num_steps"))
    return mcmc.get_samples(group_by_chain=True), mcmc.get_extra_fields(group_by_chain=True)


def agree(one, other, errors=4.5):
    """Means within 4.5 Monte Carlo standard errors: a false alarm in 7e-6 of all comparisons."""
    spread = np.hypot(
        *(np.std(d, (0, 1)) / np.sqrt(effective_sample_size(d)) for d in (one, other))
    )
    return np.abs(np.mean(one, (0, 1)) - np.mean(other, (0, 1))) < errors * spread


BEND = ns.BSplineBasis([-3.0, 0.0, 3.0]).curve([-4.0, -1.0, 0.5, 1.0, 0.0])


KNOWN, RESPONSES, NOISE = np.array([-1.0, 0.2, 0.9]), np.array([-1.2, 0.1, 0.9, 0.4, 0.6]), 0.4
LOWER, UPPER = np.array([*KNOWN, np.nan, -0.5]), np.array([*KNOWN, np.nan, 1.5])


def bent(quadrature=None):
    """Slope b and two inputs that are not known: one missing, one between -0.5 and 1.5."""
    b = numpyro.sample("b", dist.Normal(1.0, 1.0))
    data, population = ns.latent.Coarse(LOWER, UPPER), dist.Normal(0.3, 1.0)

    def given(x):
        return dist.Normal(b * BEND(x), NOISE)

    if quadrature is not None:
        y_given = data.integrate("x", population, quadrature, response=given)
        return numpyro.sample("y", y_given, obs=RESPONSES)
    x = data.sample("x", population)
    numpyro.sample("y", given(x), obs=RESPONSES)
    return x


def log_joint(b, x, c):
    """log p(b, x, c, y) by SciPy, for a missing x and a coarse c."""
    f = BEND.to_scipy()
    value = scipy.stats.norm(1.0, 1.0).logpdf(b)
    for inputs, response in zip([*KNOWN, x, c], RESPONSES, strict=True):
        value = value + scipy.stats.norm(0.3, 1.0).logpdf(inputs)
        value = value + scipy.stats.norm(b * f(inputs), NOISE).logpdf(response)
    return value


def test_missing_and_coarse_rows_have_the_density_of_their_inputs(x64):
    """log p(b, u) = log p(b, x, c) + log |d(x, c) / du|."""
    b, u = np.array([-0.5, 1.0, 3.0]), np.array([[0.3, -1.0], [-0.4, 0.2], [1.0, 2.0]])

    def inputs(u):
        sites = {"b": jnp.ones(()), "x.missing": u[:1], "x.within": u[1:]}
        with numpyro.handlers.substitute(data=sites):
            return bent()[3:]

    @jax.jit
    @jax.vmap
    def everything(b, u):
        sites = {"b": b, "x.missing": u[:1], "x.within": u[1:]}
        return log_density(bent, (), {}, sites)[0], inputs(u), jax.jacfwd(inputs)(u)

    actual, x, slopes = (np.asarray(part) for part in everything(b, u))
    expected = log_joint(b, x[:, 0], x[:, 1]) + np.linalg.slogdet(slopes)[1]
    np.testing.assert_allclose(actual, expected, rtol=1e-10)


def test_integrated_missing_and_coarse_rows_have_the_density_of_an_exact_grid(x64):
    """log p(b, y, c in its interval), x and c integrated out by the trapezoidal rule."""
    # A steeper curve tells x more exactly than the spacing of the nodes.
    b = np.linspace(-1.0, 2.0, 7)
    density = jax.jit(jax.vmap(lambda b: log_density(bent, (RULE,), {}, {"b": b})[0]))
    x, c = np.linspace(-7.0, 7.0, 1401), np.linspace(-0.5, 1.5, 801)
    # Given b both are independent: the joint density is that at (x_0, c_0) and two ratios.
    base = log_joint(b, x[700], c[400])
    over_x = log_joint(b[:, None], x, c[400]) - base[:, None]
    over_c = log_joint(b[:, None], x[700], c) - base[:, None]
    expected = base + np.log(np.trapezoid(np.exp(over_x), x) * np.trapezoid(np.exp(over_c), c))
    np.testing.assert_allclose(density(b), expected, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("quadrature", [None, RULE])
def test_missing_and_coarse_rows_have_the_posterior_of_an_exact_grid(quadrature):
    """Slope b and two inputs: all moments from a grid of 121 x 241 x 241 points."""

    def model():
        bent(quadrature)

    draws, _ = sample(model, draws=1500)
    if quadrature is not None:
        draws = ns.latent.draw_inputs(jax.random.key(1), model, draws)
    b = np.linspace(-3.0, 5.0, 121)[:, None, None]
    x = np.linspace(-5.0, 5.0, 241)[None, :, None]
    c = np.linspace(-0.5, 1.5, 241)[None, None, :]
    joint = log_joint(b, x, c)
    mass = np.exp(joint - joint.max())
    mass /= mass.sum()
    for values, own in ((b, draws["b"]), (x, draws["x"][..., 3]), (c, draws["x"][..., 4])):
        own = np.asarray(own, float)
        for power in (1, 2):
            size = effective_sample_size(own**power)
            error = np.std(own**power) / np.sqrt(size)
            # Six comparisons in two forms at 4.5 standard errors: false alarm 8e-5.
            assert abs((own**power).mean() - (mass * values**power).sum()) < 4.5 * error


def replicates(seed, n):
    """The non-linear version of liesel's tutorial: three noisy measurements of each input."""
    rng = np.random.default_rng(seed)
    x = rng.normal(3.0, 1.2, n)
    w = x[:, None] + ERROR_SD * rng.normal(size=(n, NUM_REPLICATES))
    return x, w, truth(x) + NOISE_SD * rng.normal(size=n)


def truth(x):
    return 1.0 + np.sin(x)


_, W0, _ = replicates(1000, 200)
EFFECT = ns.SplineEffect(
    "f", ns.BSplineBasis(ns.latent.Measured(W0, ERROR_SD).knots(15)), measure=W0.mean(axis=1)
)


def tutorial(w, y=None, quadrature=None, effect=EFFECT):
    """Replicates with an error to be estimated, a population to be estimated, a smooth."""
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    level = numpyro.sample("level", dist.Normal(0.0, 2.0))
    mean = numpyro.sample("mean", dist.Normal(3.0, 3.0))
    sd = numpyro.sample("sd", dist.HalfNormal(3.0))
    error = numpyro.sample("error", dist.HalfNormal(1.0))
    curve = effect.sample()
    data, population = ns.latent.Measured(w), dist.Normal(mean, sd)

    def given(x):
        return dist.Normal(level + curve(x), sigma)

    if quadrature is None:
        y_given = given(data.sample("x", population, error_sd=error))
    else:
        y_given = data.integrate("x", population, quadrature, response=given, error_sd=error)
    numpyro.sample("y", y_given, obs=y)


def naive(x, y, effect=EFFECT):
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    level = numpyro.sample("level", dist.Normal(0.0, 2.0))
    numpyro.sample("y", dist.Normal(level + effect.sample()(x), sigma), obs=y)


def values(draws, effect=EFFECT, grid=GRID):
    return np.asarray(draws["level"][..., None] + effect.curve(draws)(grid), dtype=float)


PARAMETERS = ("sigma", "level", "mean", "sd", "error")


@pytest.mark.slow
def test_sampled_and_integrated_inputs_give_one_posterior():
    x, w, y = replicates(1, 120)
    direct, fields = sample(tutorial, w, y, target_accept_prob=0.9)
    assert int(fields["diverging"].sum()) == 0
    integrated, fields = sample(lambda w, y: tutorial(w, y, RULE), w, y)
    assert int(fields["diverging"].sum()) == 0
    integrated = ns.latent.draw_inputs(jax.random.key(1), lambda: tutorial(w, y, RULE), integrated)
    for name in (*PARAMETERS, "x"):
        one, other = (np.asarray(d[name], dtype=float) for d in (direct, integrated))
        assert np.all(agree(one, other)), name
        # Standard deviations, with some 400 effective draws.
        ratio = np.std(one, (0, 1)) / np.std(other, (0, 1))
        assert np.all((ratio > 0.75) & (ratio < 1.33)), (name, ratio)
    assert np.all(agree(values(direct), values(integrated)))
    report = ns.posterior.check_inputs(direct["x"], domain=EFFECT.basis.domain)
    assert report.bimodal.size == 0
    assert np.sqrt(np.mean((direct["x"].mean((0, 1)) - x) ** 2)) < 0.22  # 0.4 / sqrt(3) = 0.23


@pytest.mark.slow
def test_naive_regression_attenuates_and_the_latent_model_does_not():
    """Amplitude of the sine: the regression on one noisy measurement loses a sixth of it."""
    error = 0.7
    rng = np.random.default_rng(5)
    x = rng.normal(3.0, 1.5, 300)
    w, y = x + error * rng.normal(size=300), truth(x) + NOISE_SD * rng.normal(size=300)
    data = ns.latent.Measured(w, error)
    effect = ns.SplineEffect("f", ns.BSplineBasis(data.knots(15)), measure=w)

    def model():
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        level = numpyro.sample("level", dist.Normal(0.0, 2.0))
        curve = effect.sample()
        given = data.integrate(
            "x", dist.Normal(3.0, 1.5), response=lambda x: dist.Normal(level + curve(x), sigma)
        )
        numpyro.sample("y", given, obs=y)

    def amplitude(draws):
        f = values(draws, effect, np.array([np.pi / 2, 3 * np.pi / 2]))
        half = (f[..., 0] - f[..., 1]) / 2
        return half.mean(), half.std(), draws["sigma"].mean()

    naive_fit = amplitude(sample(lambda: naive(w, y, effect), draws=300)[0])
    latent_fit = amplitude(sample(model, draws=300)[0])
    # E sin(x) given w: exp(-v / 2) sin(shrunk w), v = 0.7^2 1.5^2 / (0.7^2 + 1.5^2) = 0.40, so 0.82
    # where the shrunk w is at a peak, and less away from it.
    assert naive_fit[0] < 0.87, naive_fit
    assert abs(latent_fit[0] - 1.0) < 3 * latent_fit[1] < 0.25, latent_fit
    assert naive_fit[2] > 1.8 * NOISE_SD, naive_fit
    np.testing.assert_allclose(latent_fit[2], NOISE_SD, rtol=0.35)


def folded(w, y, quadrature=None):
    """y = f(x) with f(x) = b x^2 known up to b: x and -x explain the same y."""
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    b = numpyro.sample("b", dist.LogNormal(0.0, 1.0))
    data, population = ns.latent.Measured(w, 1.0), dist.Normal(0.0, 1.5)
    parabola = ns.BSplineBasis([-8.0, 8.0], degree=2).curve([64.0, -64.0, 64.0])

    def given(x):
        return dist.Normal(b * parabola(x), sigma)

    if quadrature is None:
        y_given = given(data.sample("x", population))
    else:
        y_given = data.integrate("x", population, quadrature, response=given)
    numpyro.sample("y", y_given, obs=y)


@pytest.mark.slow
def test_folded_responses_are_summed_over_where_sampling_gets_stuck():
    rng = np.random.default_rng(3)
    x = rng.normal(0.0, 1.5, 40)
    w, y = x + rng.normal(size=40), x**2 + 0.5 * rng.normal(size=40)
    # Where f is steep, y tells |x| to 0.5 / (2 |x|): nodes must be nearer than that.
    rule = ns.latent.Quadrature(num_nodes=500)
    spread = {"init_strategy": numpyro.infer.init_to_uniform(radius=2.0)}
    kept, _ = sample(lambda: folded(w, y), chains=4, draws=300, **spread)
    report = ns.posterior.check_inputs(kept["x"])
    assert report.bimodal.size >= 5
    assert report.r_hat.max() > 1.1
    options = {"chains": 4, "draws": 500, "target_accept_prob": 0.95, **spread}
    summed, fields = sample(lambda: folded(w, y, rule), **options)
    assert int(fields["diverging"].sum()) == 0
    for name in ("b", "sigma"):
        assert gelman_rubin(np.asarray(summed[name])) < 1.01, name
    summed = ns.latent.draw_inputs(jax.random.key(1), lambda: folded(w, y, rule), summed)
    # Both signs of x where the measurement does not tell them apart, in every chain.
    doubtful = np.argmin(np.abs(w) + 10.0 * (y < 1.0))
    share = (np.asarray(summed["x"])[..., doubtful] > 0).mean(axis=1)
    odds = scipy.stats.norm.logpdf(w[doubtful], np.sqrt(y[doubtful])) - scipy.stats.norm.logpdf(
        w[doubtful], -np.sqrt(y[doubtful])
    )
    np.testing.assert_allclose(share, 1 / (1 + np.exp(-odds)), atol=0.12)
    assert ns.posterior.check_inputs(summed["x"]).r_hat.max() < 1.03


@pytest.mark.slow
def test_the_tutorial_covers_over_repeated_data():
    """500 points, 3 replicates, 6 data sets: 90 % intervals of inputs, curve and parameters."""
    inputs, curves, parameters = [], [], []
    for seed in range(6):
        x, w, y = replicates(seed, 500)
        basis = ns.BSplineBasis(ns.latent.Measured(w, ERROR_SD).knots(18))
        effect = ns.SplineEffect("f", basis, measure=w.mean(axis=1))
        draws, fields = sample(
            lambda w, y, effect=effect: tutorial(w, y, effect=effect), w, y, target_accept_prob=0.9
        )
        assert int(fields["diverging"].sum()) == 0

        def covered(own, true):
            low, high = np.quantile(np.asarray(own), [0.05, 0.95], axis=(0, 1))
            return (low <= true) & (true <= high)

        f = values(draws, effect)
        inputs.append(covered(draws["x"], x))
        curves.append(covered(f, truth(GRID)))
        parameters += [covered(draws["sigma"], NOISE_SD), covered(draws["error"], ERROR_SD)]
        assert np.sqrt(np.mean((f.mean((0, 1)) - truth(GRID)) ** 2)) < 0.08
        report = ns.posterior.check_inputs(draws["x"], domain=effect.basis.domain)
        assert report.r_hat.max() < 1.05
    # 3000 intervals of inputs: 5 standard errors are 0.027.
    assert abs(np.mean(inputs) - 0.9) < 0.03
    # Errors along a curve are correlated, so its coverage is far from binomial.
    assert np.mean(curves) > 0.75
    assert np.mean(parameters) >= 8 / 12


@pytest.mark.slow
@pytest.mark.parametrize("quadrature", [None, RULE])
def test_ranks_of_the_truth_are_uniform(quadrature):
    """Simulation-based calibration (Talts et al. 2018) of the model with a latent input."""
    num_sets, ranks, data = 96, 8, ns.latent.Berkson(np.linspace(-3.0, 3.0, 30), 0.5)
    basis = ns.BSplineBasis(ns.knots.uniform(-4.0, 4.0, 8))
    effect = ns.SplineEffect("f", basis, ns.SmoothnessPrior(scale=dist.LogNormal(0.0, 0.3)))

    def model(y=None):
        sigma = numpyro.sample("sigma", dist.LogNormal(-1.0, 0.3))
        level = numpyro.sample("level", dist.Normal(0.0, 1.0))
        curve = effect.sample()

        def given(x):
            return dist.Normal(level + curve(x), sigma)

        if quadrature is None:
            y_given = given(data.sample("x"))
        else:
            y_given = data.integrate("x", quadrature=quadrature, response=given)
        numpyro.sample("y", y_given, obs=y)

    prior = jax.jit(numpyro.infer.Predictive(model, num_samples=num_sets))(jax.random.key(7))

    def summaries(draws):
        f = effect.curve(draws)(np.array([-2.0, 0.0, 2.0]))
        parts = [f, jnp.stack([draws["sigma"], draws["level"]], -1)]
        return jnp.concatenate(parts + ([draws["x"][..., :2]] if quadrature is None else []), -1)

    @jax.jit
    @jax.vmap
    def posterior(key, y):
        mcmc = MCMC(
            NUTS(model, target_accept_prob=0.95), num_warmup=400, num_samples=511,
            progress_bar=False,
        )  # fmt: skip
        mcmc.run(key, y)
        return summaries(mcmc.get_samples())

    draws = posterior(jax.random.split(jax.random.key(8), num_sets), prior["y"])[:, 15::16]
    rank = np.sum(np.asarray(draws) < np.asarray(summaries(prior))[:, None], axis=1)
    counts = np.stack([np.bincount(r, minlength=ranks) for r in rank.T * ranks // 32])
    # Twelve chi-squared tests in two forms: a false alarm in 1.2 % of all seeds.
    pvalues = scipy.stats.chisquare(counts, axis=1).pvalue
    assert pvalues.min() > 1e-3, (pvalues, counts)
