"""Latent inputs integrated out: exact values, and exact draws of the inputs afterwards."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from numpyro.infer.util import log_density

import numpyro_splines as ns

BASIS = ns.BSplineBasis(ns.knots.uniform(-2.0, 6.0, 9))
CURVE = BASIS.curve(np.array([0.0, 1.0, -1.0, 0.5, 2.0, 1.0, -0.5, 0.0, 1.0, 2.0, 0.0]))
OBSERVED = np.array([[1.0, 1.4], [2.0, np.nan], [np.nan, np.nan], [2.9, 2.5]])
Y = np.array([0.3, 1.2, 0.5, 1.0])
ERROR = 0.4
POPULATIONS = {
    "normal": dist.Normal(1.5, 1.2),
    "positive": dist.LogNormal(0.3, 0.6),
    "bounded": dist.Uniform(-0.5, 4.0),
    "mixture": dist.MixtureSameFamily(
        dist.Categorical(probs=np.array([0.3, 0.7])), dist.Normal(np.array([0.0, 3.0]), 0.7)
    ),
}
# Their densities, from SciPy.
DENSITIES = {
    "normal": scipy.stats.norm(1.5, 1.2).pdf,
    "positive": scipy.stats.lognorm(0.6, scale=np.exp(0.3)).pdf,
    "bounded": scipy.stats.uniform(-0.5, 4.5).pdf,
    "mixture": lambda x: (
        0.3 * scipy.stats.norm.pdf(x, 0.0, 0.7) + 0.7 * scipy.stats.norm.pdf(x, 3.0, 0.7)
    ),
}
SPLINE = CURVE.to_scipy()
# The responses here are narrow (0.15) for rows of which little is known.
FINE = ns.latent.Quadrature(num_nodes=300, half_width=9.0)
# Far out in a long tail even those nodes are farther apart than a response is wide.
TAIL = 5e-4


def densities(model):
    """log_prob of every observed site, by name."""

    @jax.jit
    def run():
        trace = numpyro.handlers.trace(numpyro.handlers.seed(model, 0)).get_trace()
        observed = {k: v for k, v in trace.items() if v["type"] == "sample" and v["is_observed"]}
        return {name: site["fn"].log_prob(site["value"]) for name, site in observed.items()}

    return run()


def normal_response(x):
    return dist.Normal(CURVE(x), 0.3)


def integral(function, name, lower=-np.inf, upper=np.inf):
    """int function(x) p(x) dx by 64 Gauss-Legendre nodes in each of 48 panels."""
    support = POPULATIONS[name].support
    lower = max(lower, float(getattr(support, "lower_bound", -8.0)))
    upper = min(upper, float(getattr(support, "upper_bound", 80.0)))
    tail = np.geomspace(12.1, max(upper, 12.2), 9)
    edges = np.append(np.linspace(lower, min(upper, 12.0), 41), tail)
    edges = np.unique(np.minimum(edges, upper))
    nodes, weights = np.polynomial.legendre.leggauss(64)
    half = np.diff(edges)[:, None] / 2
    x = (edges[:-1, None] + half * (nodes + 1)).ravel()
    return np.sum((half * weights).ravel() * function(x) * DENSITIES[name](x))


def given_y(i):
    return lambda x: scipy.stats.norm(SPLINE(x), 0.3).pdf(Y[i])


def given_w(i):
    seen = OBSERVED[i][~np.isnan(OBSERVED[i])]
    return lambda x: np.prod(scipy.stats.norm(x[:, None], ERROR).pdf(seen), axis=1)


@pytest.mark.parametrize("name", list(POPULATIONS))
def test_measured_inputs_are_integrated_exactly(name, x64):
    population = POPULATIONS[name]

    def model():
        data = ns.latent.Measured(OBSERVED, ERROR)
        given = data.integrate("x", population, FINE, response=normal_response)
        numpyro.sample("y", given, obs=Y)

    evidence = [integral(given_w(i), name) for i in range(4)]
    joint = [integral(lambda x, i=i: given_w(i)(x) * given_y(i)(x), name) for i in range(4)]
    actual = densities(model)
    np.testing.assert_allclose(actual["x.observed"], np.log(evidence).sum(), atol=1e-5)
    expected = np.log(np.array(joint) / evidence)
    np.testing.assert_allclose(actual["y"], expected, atol=TAIL if name == "positive" else 1e-5)


@pytest.mark.parametrize("name", list(POPULATIONS))
def test_coarse_inputs_are_integrated_exactly(name, x64):
    population = POPULATIONS[name]
    lower = np.array([0.5, 2.0, -np.inf, np.nan, 1.0])
    upper = np.array([1.5, np.inf, 1.0, np.nan, 1.0])
    y = np.append(Y, 0.8)

    def model():
        data = ns.latent.Coarse(lower, upper)
        given = data.integrate("x", population, FINE, response=normal_response)
        numpyro.sample("y", given, obs=y)

    ends = [(0.5, 1.5), (2.0, np.inf), (-np.inf, 1.0), (-np.inf, np.inf)]
    mass = np.array([integral(lambda x: 1.0, name, *pair) for pair in ends])
    joint = [integral(given_y(i), name, *pair) for i, pair in enumerate(ends)]
    known = scipy.stats.norm(SPLINE(1.0), 0.3).logpdf(0.8)
    actual = densities(model)
    expected = np.append(np.log(joint / mass), known)
    np.testing.assert_allclose(actual["y"], expected, atol=TAIL if name == "positive" else 1e-5)
    np.testing.assert_allclose(actual["x.inside"][:3], np.log(mass[:3]), atol=2e-6)


def test_linear_curves_give_the_normal_marginal(x64):
    """y = 2 x + noise with Berkson error: Normal(2 w, sigma^2 + 4 e^2)."""
    assigned, error = np.array([0.0, 1.0, 3.0]), np.array([0.1, 0.5, 1.0])

    def model():
        data = ns.latent.Berkson(assigned, error)
        given = data.integrate("x", response=lambda x: dist.Normal(2 * x, 0.5))
        numpyro.sample("y", given, obs=Y[:3])

    expected = scipy.stats.norm(2 * assigned, np.hypot(0.5, 2 * error)).logpdf(Y[:3])
    # The widest error: exp(-2 pi^2 s^2 / h^2) with s = 0.25 and h = 16 / 63 is 5e-9.
    np.testing.assert_allclose(densities(model)["y"], expected, rtol=1e-8)


def normal_model(observed, error, mean, sd, y, sigma):
    def model():
        data, population = ns.latent.Measured(observed, error), dist.Normal(mean, sd)
        given = data.integrate("x", population, response=lambda x: dist.Normal(x, sigma))
        numpyro.sample("y", given, obs=y)

    return model


@pytest.mark.parametrize("population_sd", [0.01, 0.05, 1.0, 5.0])
@pytest.mark.parametrize("error", [0.2, 1.0, 2.0])
def test_nodes_fit_any_population_and_error(population_sd, error, x64):
    """Conjugate: few rows with nearly equal means, populations narrow or wide for their errors."""
    observed, y, sigma = np.array([1.01, 1.0, 1.0, np.nan]), np.array([0.0, 1.0, 2.0, 0.7]), 0.3
    model = normal_model(observed, error, 0.5, population_sd, y, sigma)
    share = population_sd**2 / (population_sd**2 + error**2)
    mean = np.where(np.isnan(observed), 0.5, 0.5 + share * (observed - 0.5))
    variance = population_sd**2 * np.where(np.isnan(observed), 1.0, 1.0 - share)
    expected = scipy.stats.norm(mean, np.sqrt(variance + sigma**2)).logpdf(y)
    actual = densities(model)
    evidence = scipy.stats.norm(0.5, np.hypot(population_sd, error)).logpdf(observed[:3]).sum()
    np.testing.assert_allclose(actual["x.observed"], evidence, rtol=1e-6)
    # Resolved while the response is wider than the spacing, a quarter of the sd of x given w.
    resolved = sigma > 0.3 * np.sqrt(variance)
    np.testing.assert_allclose(actual["y"][resolved], expected[resolved], atol=2e-3)
    assert resolved[:3].any() or population_sd * error > 1.0


def test_ragged_groups_with_equal_means_have_their_exact_posterior():
    groups = np.repeat([0, 1, 2], 4)
    values = np.array([1.0, 1.4, 0.7, 1.1, 1.2, 0.9, 1.05, 1.1, 1.3, 0.8, 1.0, 1.15])
    y = np.array([0.0, 1.0, 2.0])

    def model():
        numpyro.sample("unused", dist.Normal())
        population = dist.Normal(0.5, 1.0)
        data = ns.latent.Measured(values, 0.8, group=groups)
        given = data.integrate("x", population, response=lambda x: dist.Normal(x, 0.3))
        numpyro.sample("y", given.to_event(1), obs=y)

    draws = exact_draws(model)
    precision = 1.0 + 4 / 0.8**2 + 1 / 0.3**2
    means = values.reshape(3, 4).mean(axis=1)
    expected = (0.5 + means * 4 / 0.8**2 + y / 0.3**2) / precision
    for column, mean in zip(draws.T, expected, strict=True):
        assert scipy.stats.kstest(column, scipy.stats.norm(mean, precision**-0.5).cdf).pvalue > 1e-4


@pytest.mark.parametrize("bound", [3.0, 10.0, 30.0, 1000.0])
def test_intervals_much_wider_than_the_population(bound, x64):
    """As good as nothing known: y ~ Normal(0.5, 1 + 0.4^2)."""
    lower = np.array([-np.inf, -bound, -bound, 0.0])
    upper = np.array([bound, np.inf, bound, 0.1])
    y = np.array([0.0, 0.5, 1.5, 0.0])

    def model():
        data, population = ns.latent.Coarse(lower, upper), dist.Normal(0.5, 1.0)
        given = data.integrate("x", population, response=lambda x: dist.Normal(x, 0.4))
        numpyro.sample("y", given, obs=y)

    actual = densities(model)["y"][:3]
    if bound == 3.0:
        total = scipy.stats.norm(0.5, np.hypot(1.0, 0.4)).logpdf(y[:3])
        inside = scipy.stats.norm((0.5 * 0.16 + y[:3]) / 1.16, 0.4 / np.sqrt(1.16))
        before = scipy.stats.norm(0.5, 1.0)
        mass, whole = (d.cdf(upper[:3]) - d.cdf(lower[:3]) for d in (inside, before))
        expected = total + np.log(mass / whole)
    else:
        expected = scipy.stats.norm(0.5, np.hypot(1.0, 0.4)).logpdf(y[:3])
    np.testing.assert_allclose(actual, expected, atol=5e-3)


def many(chunk, n=200, num_nodes=61):
    rng = np.random.default_rng(0)
    w, y = rng.normal(2.0, 1.0, n), rng.normal(size=n)
    rule, data = ns.latent.Quadrature(num_nodes=num_nodes, chunk=chunk), ns.latent.Measured(w)

    def model():
        error = numpyro.sample("error", dist.HalfNormal())
        sigma = numpyro.sample("sigma", dist.HalfNormal())
        given = data.integrate(
            "x", dist.Normal(2.0, 1.0), rule, response=lambda x: dist.Normal(CURVE(x), sigma),
            error_sd=error,
        )  # fmt: skip
        numpyro.sample("y", given, obs=y)

    def potential(parameters):
        return log_density(model, (), {}, {"error": parameters[0], "sigma": parameters[1]})[0]

    return potential


AT = np.array([0.5, 0.7])


def test_chunks_change_neither_value_nor_derivatives(x64):
    """Values and gradients of a spline; second derivatives of less, as they compile for long."""

    def check(compute, chunks):
        together = compute(None)
        for chunk in chunks:
            for own, other, rtol in zip(
                compute(chunk), together, (1e-10, 1e-8, 1e-7), strict=False
            ):
                np.testing.assert_allclose(own, other, rtol=rtol)

    def first(chunk):
        return jax.jit(jax.value_and_grad(many(chunk, 20)))(AT)

    def second(chunk):
        rule, w = ns.latent.Quadrature(num_nodes=61, chunk=chunk), np.linspace(0.0, 4.0, 20)

        def density(at):
            data = ns.latent.Berkson(w, at[0])
            given = data.integrate(
                "x", quadrature=rule, response=lambda x: dist.Normal(jnp.sin(x), at[1])
            )
            return given.log_prob(np.cos(w)).sum()

        both = jax.value_and_grad(density)
        along = jax.jit(lambda at: jax.jvp(both, (at,), (jnp.array([0.6, -0.8]),)))
        (value, gradient), (_, change) = along(AT)
        return value, gradient, change

    # 61 nodes: no rest, one of five, and one of a single node.
    check(first, [1, 8])
    check(second, [60])


def test_chunks_bound_the_memory_of_the_gradient():
    n = 20_000
    memory = {}
    for chunk in (None, 4):
        compiled = jax.jit(jax.grad(many(chunk, n, 64))).lower(AT.astype(np.float32)).compile()
        memory[chunk] = compiled.memory_analysis().temp_size_in_bytes / n
    # Each of the 64 nodes of a row keeps what its gradient needs; chunks keep that of 4 of them.
    assert memory[4] < memory[None] / 3, memory
    assert memory[4] < 64 * 4 * 4, memory


def exact_draws(model, num=3000):
    draws = {"unused": np.zeros((1, num))}
    return np.asarray(ns.latent.draw_inputs(jax.random.key(1), model, draws)["x"], float)[0]


def check_against_grid(draws, log_posterior, lower, upper, level=1e-4):
    """Kolmogorov-Smirnov against a fine grid."""
    grid = np.linspace(lower, upper, 20_001)
    density = np.exp(log_posterior(grid) - log_posterior(grid).max())
    cumulative = np.cumsum(density) / density.sum()
    assert scipy.stats.kstest(np.interp(draws, grid, cumulative), "uniform").pvalue > level


def test_inputs_are_drawn_from_their_exact_posterior():
    """Smooth, two-peaked and narrow ones: four tests at 1e-4."""
    population = POPULATIONS["normal"]
    sigma = 0.3

    def model():
        numpyro.sample("unused", dist.Normal())
        data = ns.latent.Measured(OBSERVED, ERROR)
        given = data.integrate("x", population, response=lambda x: dist.Normal(CURVE(x), sigma))
        numpyro.sample("y", given, obs=Y)

    draws = exact_draws(model)
    for i in range(4):
        seen = OBSERVED[i][~np.isnan(OBSERVED[i])]

        def log_posterior(x, i=i, seen=seen):
            prior = scipy.stats.norm(1.5, 1.2).logpdf(x)
            likelihood = scipy.stats.norm(SPLINE(x), sigma).logpdf(Y[i])
            return prior + likelihood + sum(scipy.stats.norm(x, ERROR).logpdf(w) for w in seen)

        check_against_grid(draws[:, i], log_posterior, -6.0, 9.0)


def test_coarse_inputs_are_drawn_from_their_exact_posterior():
    population = POPULATIONS["positive"]

    def model():
        numpyro.sample("unused", dist.Normal())
        data = ns.latent.Coarse([0.5, 2.0], [3.5, 2.0])
        given = data.integrate("x", population, response=normal_response)
        numpyro.sample("y", given, obs=Y[:2])

    draws = exact_draws(model)
    np.testing.assert_array_equal(draws[:, 1], 2.0)

    def log_posterior(x):
        prior = scipy.stats.lognorm(0.6, scale=np.exp(0.3)).logpdf(x)
        return prior + scipy.stats.norm(SPLINE(x), 0.3).logpdf(Y[0])

    check_against_grid(draws[:, 0], log_posterior, 0.5, 3.5)


def test_responses_are_drawn_given_what_is_known_of_the_inputs():
    def model():
        data = ns.latent.Berkson([0.0, 2.0], [0.5, 1.0])
        return data.integrate("x", response=lambda x: dist.Normal(2 * x, 0.5))

    draws = jax.jit(lambda key: numpyro.handlers.seed(model, 0)().sample(key, (4000,)))
    draws = np.asarray(draws(jax.random.key(0)), float)
    for column, mean, error in zip(draws.T, (0.0, 4.0), (0.5, 1.0), strict=True):
        exact = scipy.stats.norm(mean, np.hypot(0.5, 2 * error))
        assert scipy.stats.kstest(column, exact.cdf).pvalue > 1e-4


def test_too_few_nodes_for_a_sharp_response_are_reported():
    def model():
        numpyro.sample("unused", dist.Normal())
        data, rule = ns.latent.Berkson([0.0, 2.0], [1.0, 0.0]), ns.latent.Quadrature(16)
        given = data.integrate("x", quadrature=rule, response=lambda x: dist.Normal(x, 0.01))
        numpyro.sample("y", given, obs=Y[:2])

    with pytest.warns(UserWarning, match=r"`x` is too coarse for 1 rows \(0\)"):
        exact_draws(model, num=20)


def test_vector_responses_are_one_distribution(x64):
    y = np.stack([Y[:3], Y[:3] + 0.1], axis=-1)

    def model():
        def given(x):
            return dist.Normal(jnp.stack([x, 2 * x], axis=-1), 0.5).to_event(1)

        data = ns.latent.Berkson([0.0, 1.0, 3.0], 0.5)
        numpyro.sample("y", data.integrate("x", response=given), obs=y)

    line = np.array([1.0, 2.0])
    covariance = 0.25 * np.eye(2) + 0.25 * np.outer(line, line)
    expected = [
        scipy.stats.multivariate_normal(w * line, covariance).logpdf(v)
        for w, v in zip((0.0, 1.0, 3.0), y, strict=True)
    ]
    np.testing.assert_allclose(densities(model)["y"], expected, rtol=1e-7)
