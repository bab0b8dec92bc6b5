"""Coefficients integrated out: the density, its gradients, draws of y and of the coefficients."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
import scipy.stats
from cases import affine_map
from numpyro.infer import MCMC, NUTS, Predictive

import numpyro_splines as ns
from numpyro_splines.regression import IntegratedGaussian, MarginalGaussian

FLAT = dist.ImproperUniform(dist.constraints.real, (), ())


def spline(name, num, measure=None, **prior):
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, num))
    return ns.SplineEffect(name, basis, ns.SmoothnessPrior(**prior), measure=measure)


def data(n, seed=0):
    rng = np.random.default_rng(seed)
    x, z = rng.beta(2.0, 5.0, n), rng.uniform(0.0, 1.0, n)
    columns = rng.normal(3.0, 1.0, (n, 2))
    y = 5.0 + np.sin(8 * x) + z + 0.3 * rng.normal(size=n)
    return x, z, columns, y


def predictors(n=60):
    """Designs by name: one or several effects, linear terms, rank deficiency, flat priors."""
    x, z, columns, _ = data(n)
    f, g = spline("f", 12, x), spline("g", 6, order=1)
    same = spline("h", 9, x)
    walk = ns.SplineEffect(
        "w", ns.CubicRegressionBasis(ns.knots.quantile(z, 6)), ns.RandomWalkPrior(linear=0.5)
    )
    free = spline("f", 12, x, linear=FLAT)
    b = {"b": (columns, dist.Normal(0.2, 2.0)), "level": (2.0, dist.Normal(0.0, 1.0))}
    yield "one", ns.AdditivePredictor((f, x), intercept=dist.Normal(1.0, 3.0))
    yield "far_from_zero", ns.AdditivePredictor((f, x), intercept=dist.Normal(0.0, 1e4))
    yield "no_intercept", ns.AdditivePredictor((f, x), intercept=None)
    yield (
        "several",
        ns.AdditivePredictor((g, z), (f, x), (walk, z), intercept=dist.Normal(), linear=b),
    )
    yield "linear_only", ns.AdditivePredictor(intercept=dist.Normal(1.0, 2.0), linear=b)
    # The same input twice, and far from all modes' support: columns that coincide or vanish.
    yield "dependent", ns.AdditivePredictor((f, x), (same, x), intercept=dist.Normal(0.0, 3.0))
    yield "few_distinct", ns.AdditivePredictor((f, np.round(x, 1)), intercept=dist.Normal())
    # Twelve cyclic functions of twelve months: one mode is zero at all of them, but for rounding.
    month = (np.floor(12.0 * z) + 0.5) / 12.0
    cyclic = ns.CyclicBasis(ns.knots.uniform(0.0, 1.0, 13))
    season = ns.SplineEffect("s", cyclic, measure=month)
    yield "vanishing_mode", ns.AdditivePredictor((season, month), intercept=dist.Normal())
    yield "flat", ns.AdditivePredictor((free, x), intercept=FLAT)
    yield (
        "flat_and_proper",
        ns.AdditivePredictor(
            (f, x), (g, z), intercept=FLAT, linear={"b": (columns, dist.Normal(0.0, 2.0))}
        ),
    )


PREDICTORS = dict(predictors())
PROPER = [name for name in PREDICTORS if not name.startswith("flat")]


def parts(predictor, scales):
    """Phi, prior mean and prior variance of the coefficients, dense; infinite where flat."""
    design = predictor.design() @ predictor.local_matrix
    mean, variance = np.zeros((2, predictor.num_coefficients))
    mean[: predictor.num_fixed] = predictor.location
    variance[: predictor.num_fixed] = predictor.scale**2
    for block, scale in zip(predictor.random_blocks(), scales, strict=False):
        variance[block] = scale**2
    return design, mean, variance


def dense_log_density(predictor, weights, sigma, scales, y):
    """The n-dimensional normal; flat coefficients integrated by the textbook formula.

    The covariance sigma^2 I + K K' of the weighted observations through the singular values of K,
    because the matrix itself has condition numbers up to 1e14 here.
    """
    design, mean, variance = parts(predictor, scales)
    root = np.sqrt(weights)
    flat = np.isinf(variance)
    known = root[:, None] * design[:, ~flat] * np.sqrt(variance[~flat])
    vectors, singular, _ = np.linalg.svd(known, full_matrices=True)
    variances = np.full(len(y), sigma**2)
    variances[: len(singular)] += singular**2
    residual = vectors.T @ (root * (y - design @ mean)) / np.sqrt(variances)
    columns = vectors.T @ (root[:, None] * design[:, flat]) / np.sqrt(variances)[:, None]
    value = np.log(weights).sum() - np.log(2 * np.pi * variances).sum()
    if flat.any():
        q, r = np.linalg.qr(columns)
        residual = residual - q @ (q.T @ residual)
        value += flat.sum() * np.log(2 * np.pi) - 2 * np.log(np.abs(np.diag(r))).sum()
    return 0.5 * (value - residual @ residual)


POINTS = [(0.3, [1.0, 0.5, 2.0]), (2.0, [1e-3, 30.0, 0.1]), (1e-2, [0.1, 1e-2, 5.0])]


@pytest.mark.parametrize("name", list(PREDICTORS))
def test_density_is_that_of_the_dense_normal(name, x64):
    """For a known y without and with weights, and for a traced one with them (none are ones)."""
    predictor = PREDICTORS[name]
    *_, y = data(60)
    own = np.random.default_rng(1).uniform(0.2, 3.0, 60)
    plain, weighted = IntegratedGaussian(predictor), IntegratedGaussian(predictor, own)

    @jax.jit
    def densities(sigma, scales, traced):
        cases = ((plain, y), (weighted, y), (weighted, traced))
        return [MarginalGaussian(r, sigma, scales).log_prob(value) for r, value in cases]

    for sigma, scales in POINTS:
        scales = np.array(scales[: len(predictor.effects)])
        actual = densities(sigma, scales, y)
        for weights, values in ((np.ones(60), actual[:1]), (own, actual[1:])):
            expected = dense_log_density(predictor, weights, sigma, scales, y)
            # At sigma = 0.01 the density is about -1e5, and signal and noise are a factor of 1e7
            # apart in variance: the rounding of the Gram matrix counts that much more.
            np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-8)
            if sigma > 0.1 and name in PROPER and name != "far_from_zero":
                design, mean, variance = parts(predictor, scales)
                covariance = (design * variance) @ design.T + np.diag(sigma**2 / weights)
                textbook = scipy.stats.multivariate_normal(design @ mean, covariance).logpdf(y)
                np.testing.assert_allclose(values[0], textbook, rtol=1e-11, atol=1e-8)


@pytest.mark.parametrize("name", ["one", "several", "flat", "linear_only"])
def test_more_coefficients_than_observations(name, x64):
    predictor = dict(predictors(14))[name]
    *_, y = data(14)
    regression = IntegratedGaussian(predictor)
    density = jax.jit(lambda s, t: MarginalGaussian(regression, s, t).log_prob(y))
    for sigma, scales in POINTS:
        scales = np.array(scales[: len(predictor.effects)])
        expected = dense_log_density(predictor, np.ones(14), sigma, scales, y)
        np.testing.assert_allclose(density(sigma, scales), expected, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("name", ["several", "flat"])
def test_gradients_of_both_modes_and_second_order(name, x64):
    predictor = PREDICTORS[name]
    *_, y = data(60)
    regression, num = IntegratedGaussian(predictor), len(predictor.effects)

    def density(theta):
        return MarginalGaussian(regression, jnp.exp(theta[0]), jnp.exp(theta[1:])).log_prob(y)

    @jax.jit
    def derivatives(theta):
        reverse, forward = jax.grad(density), jax.jacfwd(density)
        return density(theta), reverse(theta), forward(theta), jax.jacfwd(reverse)(theta)

    theta, step = np.linspace(-1.0, 0.5, num + 1), 1e-5
    unit = np.eye(num + 1) * step
    ahead, behind = ([derivatives(theta + s * u)[:2] for u in unit] for s in (1.0, -1.0))
    slopes, second = (
        np.array([(a[i] - b[i]) / (2 * step) for a, b in zip(ahead, behind, strict=True)])
        for i in (0, 1)
    )
    _, reverse, forward, hessian = derivatives(theta)
    np.testing.assert_allclose(reverse, slopes, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(forward, slopes, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(hessian, second, rtol=1e-5, atol=1e-5)


def large(n):
    x, _, _, y = data(n)
    f = spline("f", 18, x)
    return IntegratedGaussian(ns.AdditivePredictor((f, x), intercept=dist.Normal(0.0, 10.0))), y


def test_float32_is_right_for_a_million_observations():
    regression, y = large(1_000_000)
    rng = np.random.default_rng(3)
    # Around the posterior: sigma to 1e-3, the scale to 20 %.
    theta = np.log([0.42, 0.4]) + np.array([1e-3, 0.2]) * rng.normal(size=(20, 2))

    def density(theta):
        return MarginalGaussian(regression, jnp.exp(theta[0]), jnp.exp(theta[1:])).log_prob(y)

    narrow = theta.astype(np.float32)
    both = jax.vmap(jax.value_and_grad(density))
    values, gradients = (np.asarray(a, dtype=float) for a in jax.jit(both)(narrow))
    with jax.enable_x64(True):
        exact, slopes = (np.asarray(a) for a in jax.jit(both)(narrow.astype(float)))
    # The value is about -550000, where float32 numbers are 1/16 apart; log(sigma) itself has a
    # relative error of 1e-7, times a slope of 2000.
    np.testing.assert_allclose(values, exact, rtol=0, atol=0.1)
    # Errors of the gradient in units of the posterior's standard deviations, 7e-4 and 0.2.
    error = np.abs(gradients - slopes) * np.array([7e-4, 0.2])
    assert error.max() < 2e-3
    assert np.abs(slopes * np.array([7e-4, 0.2])).max() > 1.0


@pytest.mark.parametrize("name", ["large", "dependent", "several", "flat_and_proper"])
def test_a_traced_y_in_float32(name):
    """Directions that the data hardly determine must not amplify rounding."""
    regression, y = large(5000) if name == "large" else (None, data(60)[-1])
    regression = regression or IntegratedGaussian(PREDICTORS[name])
    scales = np.array([1.0, 0.5, 2.0][: len(regression.predictor.effects)])
    narrow = scales.astype(np.float32)
    density = jax.jit(lambda y: MarginalGaussian(regression, jnp.float32(0.3), narrow).log_prob(y))
    value = float(density(y.astype(np.float32)))
    sigma = float(np.float32(0.3))
    if name == "large":
        with jax.enable_x64(True):
            known = jax.jit(lambda s, t: MarginalGaussian(regression, s, t).log_prob(y))
            expected = float(known(sigma, scales))
    else:
        expected = dense_log_density(PREDICTORS[name], np.ones(y.size), sigma, scales, y)
    # Relative to the sums of squares that make up the density.
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-5 * (abs(expected) + y.size))


def test_the_compiled_gradient_does_not_see_the_data():
    regression, y = large(5000)

    def model(y=None):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", regression.distribution(sigma), obs=y)

    for known in (y, jnp.asarray(y)):
        values = {"sigma": 0.3, "f.scale": 1.0}
        density = jax.make_jaxpr(
            lambda v, known=known: numpyro.infer.util.log_density(model, (known,), {}, v)[0]
        )(values)
        sizes = [np.size(constant) for constant in density.consts]
        sizes += [v.aval.size for equation in density.eqns for v in equation.outvars]
        assert max(sizes) <= 22 * 22


@pytest.mark.parametrize("name", ["far_from_zero", "several", "linear_only"])
def test_draws_of_y_have_the_stated_law(name, x64, monkeypatch):
    """Exactly: y is affine in standard normals."""
    predictor = dict(predictors(12))[name]
    weights = np.linspace(0.5, 3.0, 12)
    scales = np.array([0.7, 1.5, 0.4][: len(predictor.effects)])
    distribution = MarginalGaussian(IntegratedGaussian(predictor, weights), 0.5, scales)
    origin, matrix = affine_map(
        lambda: distribution.sample(jax.random.key(0)), monkeypatch, rtol=1e-13
    )
    design, mean, variance = parts(predictor, scales)
    covariance = (design * variance) @ design.T + np.diag(0.25 / weights)
    np.testing.assert_allclose(origin, design @ mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(distribution.mean, design @ mean, rtol=1e-12, atol=1e-12)
    size = covariance.diagonal().max()
    np.testing.assert_allclose(matrix.T @ matrix, covariance, rtol=0, atol=1e-12 * size)


def conditional(regression, y, sigma, scales):
    """Draws of all coefficients, those of sites one after the other, for known hyperparameters."""
    effects = regression.predictor.effects
    draws = {e.site("scale"): s for e, s in zip(effects, scales, strict=True)}

    def draw(key=None, shape=()):
        # Not in one program with thousands of draws: XLA's two threads were seen to wait for each
        # other forever.
        key = jax.random.key(1) if key is None else key
        repeated = {name: np.full(shape, s) for name, s in draws.items()}
        result = regression.draw(key, repeated, y, np.full(shape, sigma))
        blocks = [result[block.site] for block in regression.predictor.blocks]
        return jnp.concatenate([jnp.reshape(v, (*shape, -1)) for v in blocks], axis=-1), result

    return draw


@pytest.mark.parametrize("name", ["one", "several", "linear_only", "dependent", "flat_and_proper"])
def test_draws_of_coefficients_have_the_conditional_law(name, x64, monkeypatch):
    """Exactly: the coefficients are affine in standard normals."""
    predictor = PREDICTORS[name]
    *_, y = data(60)
    weights = np.linspace(0.5, 3.0, 60)
    sigma, scales = 0.4, [0.7, 1.5, 0.4][: len(predictor.effects)]
    draw = conditional(IntegratedGaussian(predictor, weights), y, sigma, scales)
    origin, matrix = affine_map(lambda: draw()[0], monkeypatch, rtol=1e-10)
    design, mean, variance = parts(predictor, scales)
    precision = (design.T * weights) @ design / sigma**2 + np.diag(1.0 / variance)
    gradient = design.T @ (weights * (y - design @ mean)) / sigma**2
    center = mean + np.linalg.solve(precision, gradient)
    # Whitened: every direction counts, however narrow.
    factor = np.linalg.cholesky(precision)
    np.testing.assert_allclose((origin - center) @ factor, 0.0, atol=1e-6)
    whitened = matrix @ factor
    np.testing.assert_allclose(whitened.T @ whitened, np.eye(len(mean)), rtol=0, atol=1e-6)


def test_draws_differ_and_their_curves_are_those_of_the_design(x64):
    predictor = PREDICTORS["several"]
    *_, y = data(60)
    draw = conditional(IntegratedGaussian(predictor), y, 0.4, [0.7, 1.5, 0.4])
    pairs = list(zip(predictor.effects, predictor.inputs, strict=True))

    @jax.jit
    def drawn(key):
        sample, few = draw(key, (5,))
        return sample, [effect.curve(few)(x) for effect, (x,) in pairs]

    sample, curves = drawn(jax.random.key(1))
    assert len(np.unique(np.asarray(sample), axis=0)) == 5
    design, *_ = parts(predictor, [])
    for (effect, _), found in zip(pairs, curves, strict=True):
        columns = np.zeros(predictor.num_coefficients, bool)
        columns[predictor.block(effect.site("modes"))] = True
        if effect.smooth.num_linear > 0:
            columns[predictor.block(effect.site("linear"))] = True
        values = np.asarray(sample)[:, columns] @ design[:, columns].T
        np.testing.assert_allclose(found, values, atol=1e-9)


def test_float32_draws_far_from_zero(x64, monkeypatch):
    """A level of 1e4 at unit noise: coefficients keep the accuracy of the data."""
    predictor = PREDICTORS["far_from_zero"]
    *_, y = data(60)
    draw = conditional(IntegratedGaussian(predictor), 1e4 + y, 0.3, [1.0])
    wide = affine_map(lambda: draw()[0][0], monkeypatch, rtol=1e-12)
    with jax.enable_x64(False):
        assert jax.eval_shape(lambda: draw()[0]).dtype == np.float32
        narrow = affine_map(lambda: draw()[0][0], monkeypatch, rtol=1e-6)
    # Of the intercept: float32 numbers are 1e-3 apart there, its standard deviation is 0.04.
    np.testing.assert_allclose(narrow[0], wide[0], rtol=0, atol=2e-3)
    sd, expected = (np.linalg.norm(matrix) for _, matrix in (narrow, wide))
    np.testing.assert_allclose(sd, expected, rtol=0.05)


def test_the_distribution_is_a_pytree_with_batches(x64):
    regression = IntegratedGaussian(PREDICTORS["several"])
    *_, y = data(60)
    sigma = np.array([0.3, 0.5])
    scales = np.array([[1.0, 2.0, 0.5], [0.3, 0.4, 2.0]])
    distribution = MarginalGaussian(regression, sigma, scales)
    assert (distribution.batch_shape, distribution.event_shape) == ((2,), (60,))
    again = jax.tree.unflatten(*reversed(jax.tree.flatten(distribution)))
    both = np.stack([y, y + 1.0])

    @jax.jit
    def values(key, sigma, scales):
        def of(arguments):
            sigma, scales, y = arguments
            return MarginalGaussian(regression, sigma, scales).log_prob(y)

        row = np.array([0, 1, 1])
        return {
            "one by one": jax.lax.map(of, (sigma[row], scales[row], np.stack([y, y, y + 1.0]))),
            "one y": of((sigma, scales, y)),
            "two": of((sigma, scales, both)),
            "rebuilt": again.log_prob(both),
            "mapped": jax.vmap(lambda s, t: MarginalGaussian(regression, s, t).log_prob(y + 1.0))(
                sigma, scales
            ),
            "expanded": distribution.expand((4, 2)).log_prob(y),
            "drawn": distribution.sample(key, (3,)),
        }

    value = values(jax.random.key(0), sigma, scales)
    first, second, other = value["one by one"]
    assert value["drawn"].shape == (3, 2, 60)
    np.testing.assert_allclose(value["one y"], [first, second])
    np.testing.assert_allclose(value["two"], [first, other])
    np.testing.assert_allclose(value["rebuilt"], [first, other])
    np.testing.assert_allclose(value["mapped"][1], other)
    np.testing.assert_allclose(value["expanded"], np.broadcast_to([first, second], (4, 2)))
    # Through plain jit everything is traced, the design too.
    traced = jax.jit(lambda d, y: d.log_prob(y))(distribution, both)
    np.testing.assert_allclose(traced, [first, other], rtol=1e-8)


def test_pandas_in_and_prior_draws_out():
    x, _, _, y = data(30)
    frame = pd.DataFrame({"x": x, "y": y}, index=np.arange(30) + 100)
    f = spline("f", 8, frame["x"])
    predictor = ns.AdditivePredictor(
        (f, frame["x"]), intercept=dist.Normal(), linear={"b": (frame["y"], dist.Normal())}
    )
    regression = IntegratedGaussian(predictor, 1.0 + frame["x"])

    def model(y=None):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", regression.distribution(sigma), obs=y)

    @jax.jit
    def draw(key):
        scoped = Predictive(numpyro.handlers.scope(model, prefix="inner"), num_samples=4)(key)
        sigma = scoped["inner/sigma"]
        result = regression.draw(key, scoped, frame["y"], sigma, prefix="inner/")
        value = f.curve(result, prefix="inner/")(0.5)
        return Predictive(model, num_samples=4)(key), result, value

    draws, result, value = draw(jax.random.key(0))
    assert set(draws) == {"sigma", "f.scale", "y"}
    assert draws["y"].shape == (4, 30)
    assert value.shape == (4,)
    assert result["inner/b"].shape == (4,)


def test_the_full_model_of_a_predictor_is_its_linear_form(x64):
    predictor = PREDICTORS["several"]

    @jax.jit
    def values(key):
        trace = numpyro.handlers.trace(numpyro.handlers.seed(predictor.sample, key))
        sites = trace.get_trace()
        coefficients = [jnp.ravel(sites[block.site]["value"]) for block in predictor.blocks]
        again = numpyro.handlers.seed(predictor.sample, key)()
        return coefficients, again, predictor.evaluate(jnp.concatenate(coefficients))

    coefficients, eta, evaluated = values(jax.random.key(0))
    design, *_ = parts(predictor, [])
    np.testing.assert_allclose(eta, design @ np.concatenate(coefficients), atol=1e-10)
    np.testing.assert_allclose(eta, evaluated, atol=1e-10)


def test_draws_serve_the_full_model():
    """`Predictive` on the model with all coefficients takes the draws as its own."""
    predictor = PREDICTORS["several"]
    *_, y = data(60)

    def full():
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.deterministic("eta", predictor.sample())
        numpyro.sample("y", dist.Normal(0.0, sigma))

    @jax.jit
    def everything(key):
        prior = Predictive(full, num_samples=6)(key)
        scales = {name: prior[name] for name in ("sigma", "f.scale", "g.scale", "w.scale")}
        draws = IntegratedGaussian(predictor).draw(key, scales, y, scales["sigma"])
        return prior, draws, Predictive(full, draws)(key)["eta"]

    prior, draws, eta = everything(jax.random.key(0))
    assert set(draws) == set(prior) - {"eta", "y"}
    sites = [np.asarray(draws[b.site]).reshape(6, -1) for b in predictor.blocks]
    design, *_ = parts(predictor, [])
    np.testing.assert_allclose(eta, np.concatenate(sites, axis=1) @ design.T, atol=1e-3)


def grid_posterior(regression, y, log_sigma, log_scale):
    """log p(y | sigma, tau) + priors on a grid in the logarithms."""
    density = jax.vmap(
        lambda s, t: MarginalGaussian(regression, jnp.exp(s), jnp.exp(t)[None]).log_prob(y)
    )
    sigma, scale = (a.ravel() for a in np.meshgrid(log_sigma, log_scale, indexing="ij"))
    prior = [scipy.stats.halfnorm.logpdf(np.exp(a)) + a for a in (sigma, scale)]
    value = np.asarray(density(sigma, scale), dtype=float) + sum(prior)
    weight = np.exp(value - value.max())
    return sigma, scale, weight / weight.sum()


@pytest.mark.slow
def test_ranks_of_the_truth_are_uniform():
    """Simulation-based calibration of scale, noise and f(0.3); exact posteriors on a grid."""
    x = data(40)[0]
    f = spline("f", 8, x)
    regression = IntegratedGaussian(ns.AdditivePredictor((f, x), intercept=dist.Normal()))
    predictor = ns.AdditivePredictor((f, x), intercept=dist.Normal())

    def model():
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        eta = predictor.sample()
        numpyro.sample("y", dist.Normal(eta, sigma).to_event(1))

    truth = Predictive(model, num_samples=200)(jax.random.key(0))
    curve = np.asarray(f.curve(truth)(0.3))
    grid = np.linspace(-9.0, 1.8, 80)
    rng, ranks = np.random.default_rng(0), []
    for i in range(200):
        y = np.asarray(truth["y"][i])
        sigma, scale, weight = grid_posterior(regression, y, grid, grid)
        index = rng.choice(weight.size, 200, p=weight)
        # Draws are spread over their cells, so that the grid does not show in the ranks.
        jitter = (rng.uniform(size=(2, 200)) - 0.5) * (grid[1] - grid[0])
        sigma, scale = np.exp(sigma[index] + jitter[0]), np.exp(scale[index] + jitter[1])
        draws = regression.draw(jax.random.key(i), {"f.scale": scale}, y, sigma)
        truths = truth["sigma"][i], truth["f.scale"][i], curve[i]
        samples = sigma, scale, np.asarray(f.curve(draws)(0.3))
        ranks.append([np.mean(s < t) for s, t in zip(samples, truths, strict=True)])
    # Three tests: a false alarm in 3e-4.
    worst = min(scipy.stats.kstest(r, "uniform").pvalue for r in np.array(ranks).T)
    assert worst > 1e-4


@pytest.mark.slow
def test_posterior_equals_that_of_full_sampling():
    x, _, _, y = data(150)
    f = spline("f", 8, x)
    predictor = ns.AdditivePredictor((f, x), intercept=dist.Normal(0.0, 5.0))
    regression = IntegratedGaussian(predictor)

    def marginal(y=None):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", regression.distribution(sigma), obs=y)

    def full(y=None):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        eta = predictor.sample()
        numpyro.sample("y", dist.Normal(eta, sigma).to_event(1), obs=y)

    summaries = []
    for model in (marginal, full):
        kernel = NUTS(model, target_accept_prob=0.95)
        mcmc = MCMC(
            kernel,
            num_warmup=1000,
            num_samples=3000,
            num_chains=2,
            chain_method="vectorized",
            progress_bar=False,
        )
        mcmc.run(jax.random.key(0), y)
        draws = mcmc.get_samples(group_by_chain=True)
        if model is marginal:
            draws = regression.draw(jax.random.key(1), draws, y, draws["sigma"])
        values = [draws["f.scale"], draws["sigma"], draws["intercept"]]
        values += list(np.moveaxis(np.asarray(f.curve(draws)(np.linspace(0.05, 0.95, 7))), -1, 0))
        values = np.array(values, dtype=float)
        values = np.concatenate([values, values**2])  # second moments too
        size = np.array([numpyro.diagnostics.effective_sample_size(v) for v in values])
        summaries.append((values.mean((1, 2)), values.var((1, 2)) / size))
    (mean, error), (other, other_error) = summaries
    # 20 comparisons at 4.5 standard errors: a false alarm in 2e-4.
    assert np.all(np.abs(mean - other) < 4.5 * np.sqrt(error + other_error))
