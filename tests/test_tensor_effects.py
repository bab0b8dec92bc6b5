"""Effects of several inputs: exact priors, whatever samplers see; groups; regressions on them."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.stats import multivariate_normal

import numpyro_splines as ns
from numpyro_splines.components import (
    BlockTensor,
    Component,
    Custom,
    FullTensor,
    FunctionalAnova,
    Interaction,
    Product,
    Sum,
)
from numpyro_splines.priors.assembly import assemble

RNG = np.random.default_rng(0)
N = 60
X = RNG.beta(2.0, 5.0, N)
Z = 0.6 * X + 0.4 * RNG.uniform(size=N)
T = RNG.uniform(-1.0, 1.0, N)
GROUP = RNG.permutation(np.repeat(["a", "b", "c", "d"], N // 4))
BASIS = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 4))
CUBIC = ns.CurveMargin(BASIS, measure=X)
OTHER = ns.CurveMargin(ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 3)), 1, measure=Z)
TIME = ns.CurveMargin(ns.CyclicBasis(np.linspace(-1.0, 1.0, 6)), measure=T)
CENTERED = ns.CurveMargin(BASIS.constrained(), measure=X)
MAP = {"a": ["b"], "b": ["a", "c"], "c": ["b", "d"], "d": ["c"]}


def groups(kind="population"):
    return ns.GroupMargin(GROUP, kind)


XZ = {"x": CUBIC, "z": OTHER}
CASES = {
    "anova": lambda: ns.TensorEffect("f", **XZ),
    "swapped": lambda: ns.TensorEffect("f", z=OTHER, x=CUBIC),
    "product": lambda: ns.TensorEffect("f", components=FunctionalAnova(Product()), **XZ),
    "te": lambda: ns.TensorEffect("f", components=FullTensor(), **XZ),
    "ti": lambda: ns.TensorEffect("f", components=Interaction(), **XZ),
    "t2": lambda: ns.TensorEffect("f", components=BlockTensor(full=True), **XZ),
    "unseen": lambda: ns.TensorEffect("f", x=ns.CurveMargin(BASIS), z=ns.CurveMargin(BASIS)),
    "centered": lambda: ns.TensorEffect("f", x=CENTERED, z=OTHER),
    "noise": lambda: ns.TensorEffect("f", noise=0.1, scales={"x:z": 0.3}, linear=2.0, **XZ),
    "three": lambda: ns.TensorEffect("f", x=CUBIC, z=OTHER, t=TIME),
    "population": lambda: ns.TensorEffect("f", x=CUBIC, g=groups()),
    "fixed": lambda: ns.TensorEffect("f", x=CUBIC, g=groups("fixed")),
    "fs": lambda: ns.TensorEffect("f", x=CUBIC, g=groups("independent")),
    "levels": lambda: ns.TensorEffect("f", g=groups()),
    "graph": lambda: ns.TensorEffect("f", t=TIME, area=ns.GraphMargin(MAP)),
    "surface_by_group": lambda: ns.TensorEffect("f", g=groups(), **XZ),
    "isotropic": lambda: ns.TensorEffect("f", place=ns.SurfaceMargin(BASIS, BASIS, measure=(X, Z))),
}


def made(name, _cache={}):  # noqa: B006 - made once
    return _cache.setdefault(name, CASES[name]()) if name not in _cache else _cache[name]


def hyperparameters(effect, seed=0):
    """Some values of scales and anisotropies, by short names."""
    rng = np.random.default_rng(seed)
    smooth = effect.smooth
    values = {}
    for name, prior in smooth.scale_priors.items():
        drawn = np.exp(rng.normal(-0.5, 0.5))
        values[name] = np.asarray(drawn if isinstance(prior, dist.Distribution) else prior)
    for name, _, num in smooth.anisotropies:
        values[name] = rng.normal(size=num)
    return values


def functions(effect):
    """Products of functions in the raw basis, shape (product of K, number of products)."""
    result = np.ones((1, 1))
    for margin in effect.smooth.margins:
        result = np.kron(result, np.asarray(margin.functions))
    return result


def drawn_covariance(effect, values):
    """Covariance of `coefficients` as the model draws them, exactly: it is linear in its sites."""
    model = numpyro.handlers.seed(effect.sample, 0)

    def traced(given):
        with numpyro.handlers.substitute(data=given):
            return numpyro.handlers.trace(model).get_trace()

    @jax.jit
    def everything(fixed):
        trace = traced(fixed)
        free = {k: v for k, v in trace.items() if v["type"] == "sample" and k not in fixed}
        center, variance = (
            {
                k: jnp.broadcast_to(getattr(v["fn"], moment), v["value"].shape)
                for k, v in free.items()
            }
            for moment in ("mean", "variance")
        )

        def coefficients(sites):
            return traced({**fixed, **sites})["f.coefficients"]["value"].ravel()

        mean, columns = coefficients(center), []
        for slopes, own in zip(
            *map(jax.tree.leaves, (jax.jacfwd(coefficients)(center), variance)), strict=True
        ):
            columns.append(slopes.reshape(mean.size, -1) * jnp.sqrt(own).ravel())
        return mean, jnp.concatenate(columns, axis=1)

    mean, matrix = everything({effect.site(name): jnp.asarray(v) for name, v in values.items()})
    return np.asarray(mean), np.asarray(matrix) @ np.asarray(matrix).T


@pytest.mark.parametrize("name", list(CASES))
def test_draws_have_the_stated_covariance(name, x64):
    effect = made(name)
    values = hyperparameters(effect)
    mean, covariance = drawn_covariance(effect, values)
    columns = functions(effect)
    expected = (columns * effect.smooth.variances(values)) @ columns.T
    size = np.abs(expected).max()
    np.testing.assert_allclose(mean, 0.0, atol=1e-10 * np.sqrt(size))
    np.testing.assert_allclose(covariance, expected, atol=1e-9 * size)


@pytest.mark.parametrize("name", list(CASES))
def test_scales_are_root_mean_squares_of_components(name):
    """Over the product measure, where all products of functions are orthonormal."""
    effect = made(name)
    values = hyperparameters(effect)
    # Scales of a population are those of its levels, of which contrasts are a part.
    if name in ("population", "levels", "surface_by_group"):
        return
    for block in effect.smooth.blocks:
        if block.site == "linear":
            continue
        key = block.site.removesuffix("modes") + "scale"
        if key not in values:
            continue
        spread = np.broadcast_to(block.spread(values), block.sizes.shape)
        square = ((spread * block.sizes) ** 2).sum()
        np.testing.assert_allclose(square, values[key] ** 2, rtol=1e-10)


def test_a_population_has_the_variances_of_its_levels(x64):
    """Cov(f_g, f_h) = tau_b^2 K + tau_u^2 K [g = h], for curves of levels g and h."""
    effect = made("population")
    values = hyperparameters(effect, 3)
    _, covariance = drawn_covariance(effect, values)
    num, levels = BASIS.num_coefficients, 4
    blocks = covariance.reshape(num, levels, num, levels)
    modes = np.asarray(CUBIC.functions)[:, CUBIC.part("modes")]
    wiggly = (modes * CUBIC.variances[CUBIC.part("modes")]) @ modes.T
    line = CUBIC.linear @ CUBIC.linear.T
    level = CUBIC.constant @ CUBIC.constant.T
    between = values["x.scale"] ** 2 * wiggly + line
    within = values["x:g.scale"] ** 2 * wiggly + values["x.linear:g.scale"] ** 2 * line
    offset = values["g.scale"] ** 2 * level
    for g in range(levels):
        for h in range(levels):
            same = float(g == h)
            # The average of the levels' offsets is the intercept of the model.
            expected = between + within * same + offset * (same - 1.0 / levels)
            np.testing.assert_allclose(blocks[:, g, :, h], expected, atol=1e-9)


def test_one_margin_is_a_spline_effect_bit_for_bit():
    one = ns.TensorEffect("f", x=CUBIC)
    spline = ns.SplineEffect("f", BASIS, measure=X)
    model = numpyro.handlers.seed(spline.sample, 1)
    trace = numpyro.handlers.trace(model).get_trace()
    sites = {k: v["value"] for k, v in trace.items() if v["type"] == "sample"}
    named = {
        k.replace("f.modes", "f.x.modes").replace("f.scale", "f.x.scale"): v
        for k, v in sites.items()
    }
    curve = one.surface(named)
    np.testing.assert_array_equal(curve(X), spline.curve(sites)(X))
    again = numpyro.handlers.trace(numpyro.handlers.seed(one.sample, 1)).get_trace()
    np.testing.assert_array_equal(
        again["f.coefficients"]["value"], trace["f.coefficients"]["value"]
    )


def test_predictors_hold_effects_of_one_margin():
    one = ns.TensorEffect("f", x=CUBIC)
    eta = ns.AdditivePredictor((one, X), intercept=dist.Normal())
    trace = numpyro.handlers.trace(numpyro.handlers.seed(eta.sample, 0)).get_trace()
    sites = {k: v["value"] for k, v in trace.items()}
    with numpyro.handlers.seed(rng_seed=0):
        found = eta.sample()
    np.testing.assert_allclose(found, sites["intercept"] + one.surface(sites)(X), rtol=1e-5)


def test_the_order_of_margins_does_not_matter(x64):
    one, other = made("anova"), made("swapped")
    values = hyperparameters(one)
    flipped = {
        k.replace("x:z", "z:x"): v if "anisotropy" not in k else -v for k, v in values.items()
    }
    first, second = one.smooth.variances(values), other.smooth.variances(flipped)
    shape = [m.num_functions for m in one.smooth.margins]
    np.testing.assert_allclose(first.reshape(shape), second.reshape(shape[::-1]).T, rtol=1e-12)


@pytest.mark.parametrize("name", ["anova", "te", "population", "three"])
def test_slopes_of_log_variances(name):
    smooth = made(name).smooth
    values = hyperparameters(made(name))
    step = 1e-6
    slopes = smooth.log_variance_slopes(values)
    for site, spread in smooth.spreads(values).items():
        for key in values:
            free = np.atleast_1d(values[key])
            for i in range(free.size):
                moved = []
                for sign in (1.0, -1.0):
                    own = free.copy()
                    scale = key.endswith("scale")
                    own[i] = own[i] * np.exp(sign * step / 2) if scale else own[i] + sign * step
                    changed = {**values, key: own.reshape(np.shape(values[key]))}
                    moved.append(2.0 * np.log(smooth.spreads(changed)[site]))
                expected = (moved[0] - moved[1]) / (2.0 * step)
                found = slopes[site].get(key, 0.0)
                found = found[i] if key.endswith("anisotropy") and np.ndim(found) else found
                shape = np.shape(spread)
                np.testing.assert_allclose(
                    np.broadcast_to(found, shape), expected, rtol=1e-5, atol=1e-8
                )


REGRESSIONS = {
    "anova": (X, Z),
    "te": (X, Z),
    "t2": (X, Z),
    "population": (X, GROUP),
    "surface_by_group": (GROUP, X, Z),
    "isotropic": (X, Z),
    "graph": (T, GROUP),
}


@pytest.mark.parametrize("name", list(REGRESSIONS))
def test_integrated_coefficients_are_the_normal_distribution(name, x64):
    """log p(y) by the reduction is that of the n-dimensional normal, with `by` and an offset."""
    effect, inputs = made(name), REGRESSIONS[name]
    rng = np.random.default_rng(1)
    factor, offset = rng.normal(size=N), rng.normal(size=N)
    eta = ns.AdditivePredictor(
        (effect, *inputs), intercept=dist.Normal(0.5, 2.0), by={"f": factor}, offset=offset
    )
    values = hyperparameters(effect)
    y, c = rng.normal(size=N), rng.normal(size=eta.num_coefficients)
    regression = ns.regression.IntegratedGaussian(eta)

    @jax.jit
    def computed(values, c):
        density = ns.regression.MarginalGaussian(regression, 0.4, eta.deviations([values]))
        return density.log_prob(y), eta.evaluate(c)

    found, evaluated = computed(values, c)
    columns = functions(effect)
    index = [np.unique(GROUP, return_inverse=True)[1] if v is GROUP else v for v in inputs]
    raw = np.ones((N, 1))
    start = 0
    for margin in effect.smooth.margins:
        own = margin.design(*index[start : start + margin.num_inputs])
        start += margin.num_inputs
        raw = (raw[:, :, None] * own[:, None, :]).reshape(N, -1)
    design = factor[:, None] * (raw @ columns)
    covariance = (design * effect.smooth.variances(values)) @ design.T + 4.0
    covariance += 0.16 * np.eye(N)
    expected = multivariate_normal(0.5 + offset, covariance).logpdf(y)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    # The engine and the sparse rows agree.
    dense = eta.design() @ (eta.local_matrix @ c)
    np.testing.assert_allclose(evaluated, dense, atol=1e-10)


def test_sampled_predictors_are_what_they_are_made_of(x64):
    effect = made("population")
    eta = ns.AdditivePredictor((effect, X, GROUP), intercept=dist.Normal(), offset=np.full(N, 7.0))
    trace = numpyro.handlers.trace(numpyro.handlers.seed(eta.sample, 0)).get_trace()
    sites = {k: v["value"] for k, v in trace.items()}
    with numpyro.handlers.seed(rng_seed=0):
        found = eta.sample()
    surface = effect.surface(sites)
    index = effect.margins["g"].index(GROUP)
    expected = 7.0 + sites["intercept"] + surface(X, index)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_fits_make_coordinates_of_the_same_prior(x64):
    """`fit.adapted` changes what samplers see, of each rule, and nothing else."""
    y = np.sin(5.0 * X) * Z + 0.1 * np.random.default_rng(2).normal(size=N)
    for name in ("anova", "population"):
        effect = made(name)
        eta = ns.AdditivePredictor((effect, *REGRESSIONS[name]), intercept=dist.Normal(0.0, 3.0))
        fit = ns.regression.penalized_fit(eta, y)
        own = fit.adapted(effect)
        values = hyperparameters(effect)
        mean, covariance = drawn_covariance(own, values)
        columns = functions(effect)
        expected = (columns * effect.smooth.variances(values)) @ columns.T
        np.testing.assert_allclose(mean, 0.0, atol=1e-8)
        np.testing.assert_allclose(covariance, expected, atol=1e-8)
        # At the estimate the coordinates are where the sampler starts, near zero.
        start = fit.initial_values()
        assert set(fit.inverse_mass_matrix()) <= {(k,) for k in start}
        total = sum(fit.edf[f"f.{c}"] for c in _components(effect))
        np.testing.assert_allclose(total, fit.edf["f"], rtol=1e-10)


@pytest.mark.parametrize("name", ["anova", "population", "isotropic"])
def test_a_response_is_a_fit_of_this_effect_alone(name):
    y = np.sin(5.0 * X) * Z + 0.1 * np.random.default_rng(2).normal(size=N)
    effect = made(name)
    flat = dist.ImproperUniform(dist.constraints.real, (), ())
    margins, components = effect.margins, effect.components
    found = ns.TensorEffect("f", response=y, components=components, **margins).smooth
    eta = ns.AdditivePredictor((effect, *REGRESSIONS[name]), intercept=flat)
    expected = ns.regression.penalized_fit(eta, y).adapted(effect).smooth
    for own, other in zip(found.blocks, expected.blocks, strict=True):
        for field in ("information", "score"):
            one, two = (getattr(block.coordinates, field) for block in (own, other))
            np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-3 * np.abs(two).max())


def test_components_have_one_name_everywhere():
    """In fits, in concurvity and in checks of priors, also where one has no name."""
    for name, expected in (("te", ["modes", "linear"]), ("levels", ["g"])):
        effect, inputs = made(name), REGRESSIONS.get(name, (GROUP,))
        eta = ns.AdditivePredictor((effect, *inputs), intercept=dist.Normal())
        found = ns.prior_checks.component_degrees_of_freedom(
            effect, {}, sigma=1.0, num_observations=N
        )
        named = {"f", *(f"f.{component}" for component in expected)}
        assert set(found) == set(expected)
        assert set(ns.posterior.concurvity(eta).index) == named
        assert set(ns.regression.penalized_fit(eta, X).edf) == named


def test_a_response_goes_with_correlated_levels():
    y = X + np.random.default_rng(2).normal(size=N)
    correlated = ns.GroupMargin(GROUP, correlated=True)
    effect = ns.TensorEffect("f", x=CUBIC, g=correlated, response=np.where(X > 0.5, np.nan, y))
    information = effect.smooth.correlated[0].coordinates.information
    assert information.shape == (3, 2, 2)
    assert np.all(np.linalg.eigvalsh(information) > -1e-12)
    assert information.max() > 1.0


def _components(effect):
    names = [block.site.removesuffix("modes").removesuffix(".") for block in effect.smooth.blocks]
    return [name for name in names if name]


def test_new_levels_and_their_population(x64):
    """Given average and scales, b and b + u have the moments of the joint normal distribution."""
    effect = made("population")
    values = hyperparameters(effect, 5)
    trace = numpyro.handlers.trace(numpyro.handlers.seed(effect.sample, 2)).get_trace()
    num = 20_000
    draws = {
        "f.coefficients": np.broadcast_to(
            trace["f.coefficients"]["value"], (num, *trace["f.coefficients"]["value"].shape)
        ),
        **{effect.site(k): np.full(num, v) for k, v in values.items()},
    }
    grid = np.array([0.1, 0.45, 0.8])
    population = effect.population(jax.random.key(0), draws)(grid)
    new = effect.new_levels(jax.random.key(1), draws, 2)(grid)
    assert population.shape == (num, 3)
    assert new.shape == (num, 2, 3)
    # The joint normal law of averages, b and mean(u), function by function.
    products = np.asarray(CUBIC.functions)
    at = BASIS.collocation(grid) @ products
    wiggly = CUBIC.variances * np.isin(np.arange(products.shape[1]), CUBIC.part("modes"))
    line = np.isin(np.arange(products.shape[1]), CUBIC.part("linear")) * 1.0
    level = np.isin(np.arange(products.shape[1]), CUBIC.part("constant")) * 1.0
    between = values["x.scale"] ** 2 * wiggly + line
    within = values["x:g.scale"] ** 2 * wiggly + values["x.linear:g.scale"] ** 2 * line
    within = within + values["g.scale"] ** 2 * level
    average = np.linalg.pinv(products) @ np.asarray(trace["f.coefficients"]["value"]).mean(axis=1)
    omega = np.where(level > 0, 1.0, between / (between + within / 4 + (level > 0)))
    mean, variance = omega * average, omega * within / 4
    error = 4.0 / np.sqrt(num)
    expected = (at**2 * variance).sum(axis=1)
    np.testing.assert_allclose(population.mean(0), at @ mean, atol=error * np.sqrt(expected).max())
    np.testing.assert_allclose(population.var(0), expected, rtol=1.5 * error)
    both = (at**2 * (variance + within)).sum(axis=1)
    np.testing.assert_allclose(new[:, 0].var(0), both, rtol=1.5 * error)
    together = np.mean((new[:, 0] - new[:, 0].mean(0)) * (new[:, 1] - new[:, 1].mean(0)), axis=0)
    np.testing.assert_allclose(together, expected, atol=2.0 * error * both.max())


def test_an_effect_of_levels_alone_has_numbers(x64):
    effect = made("levels")
    trace = numpyro.handlers.trace(numpyro.handlers.seed(effect.sample, 0)).get_trace()
    draws = {k: np.asarray(v["value"])[None, None] for k, v in trace.items()}
    assert effect.new_levels(jax.random.key(0), draws, 3).shape == (1, 1, 3)
    values = effect.surface(draws)(np.arange(4))
    np.testing.assert_allclose(values.sum(-1), 0.0, atol=1e-12)


def test_contrasts_sum_to_zero_at_every_x(x64):
    effect = made("fixed")
    model = numpyro.handlers.seed(effect.sample, 0)
    surface = model()
    grid = np.linspace(-0.5, 1.5, 9)
    every = surface(grid[:, None], np.arange(4))
    average = surface.component("x")
    np.testing.assert_allclose(every.mean(axis=1), average(grid), atol=1e-12)


SCALES = ["f.x.scale", "f.z.scale", "f.x:z.scale"]
REFUSED = {
    "no_margin": (lambda: ns.TensorEffect("f"), ValueError, "at least one margin by keyword"),
    "no_margin_object": (lambda: ns.TensorEffect("f", x=BASIS), TypeError, "`x` must be a margin"),
    "name": (lambda: ns.TensorEffect("", x=CUBIC), ValueError, "`name` must be non-empty"),
    "no_name": (lambda: ns.TensorEffect(3, x=CUBIC), TypeError, "`name` must be a string; got 3"),
    "margin_name": (
        lambda: ns.TensorEffect("f", **{"x:z": CUBIC}),
        ValueError,
        r"Names of margins must be without .*; got 'x:z'",
    ),
    "components": (
        lambda: ns.TensorEffect("f", components="te", x=CUBIC),
        TypeError,
        "`components` must be an object of numpyro_splines.components.*; got 'te'",
    ),
    "scales": (
        lambda: ns.TensorEffect("f", scales={"xz": 1.0}, **XZ),
        ValueError,
        r"`scales` must name components of the effect, \['x', 'z', 'x:z'\]; got \['xz'\]",
    ),
    "scale": (
        lambda: ns.TensorEffect("f", scales={"x": -1.0}, **XZ),
        ValueError,
        r"`scales\['x'\]` must be a positive number",
    ),
    "noise": (lambda: ns.TensorEffect("f", noise=0.0, **XZ), ValueError, "`noise` must be"),
    "noise_of_nothing": (
        lambda: ns.TensorEffect("f", noise=0.1, x=ns.CurveMargin(BASIS), z=ns.CurveMargin(BASIS)),
        ValueError,
        "`noise` must come with margins that have observations",
    ),
    "response_and_noise": (
        lambda: ns.TensorEffect("f", noise=0.1, response=X, **XZ),
        ValueError,
        "`noise` and `response` must not both be given",
    ),
    "response_of_nothing": (
        lambda: ns.TensorEffect("f", response=X, x=CUBIC, z=ns.CurveMargin(BASIS)),
        ValueError,
        "`response` must come with margins that have their observations row by row",
    ),
    "response_of_others": (
        lambda: ns.TensorEffect("f", response=X[1:], **XZ),
        ValueError,
        r"`response` must hold one y for each x of `measure`; got shapes \(59,\) and \(60,\)",
    ),
    "mean_of_a_population": (
        lambda: ns.AdditivePredictor(
            (ns.TensorEffect("f", linear=dist.Normal(5.0, 1.0), x=CUBIC, g=groups()), X, GROUP),
            intercept=None,
        ),
        TypeError,
        "`f` must have a prior `linear` of mean zero, where levels are a population",
    ),
    "unknown_margin": (
        lambda: ns.TensorEffect("f", components=Custom(Component("a", {"t": "modes"})), **XZ),
        ValueError,
        r"Component 'a' must name margins of the effect, \['x', 'z'\]; got \['t'\]",
    ),
    "no_functions": (
        lambda: ns.TensorEffect("f", components=Custom(Component("a", {"z": "linear"})), **XZ),
        ValueError,
        "Component 'a' must have functions",
    ),
    "lines_without_product": (
        lambda: ns.TensorEffect(
            "f", components=Custom(Component("a", {"x": ("linear", "modes")}, rule=Sum())), **XZ
        ),
        ValueError,
        r"Component 'a' must have modes in each of its tuples.* Use Product\(\)",
    ),
    "twice": (
        lambda: ns.TensorEffect(
            "f", components=Custom(*[Component(n, {"x": "modes"}) for n in "ab"]), **XZ
        ),
        ValueError,
        "each tuple of parts must belong to one",
    ),
    "rule": (lambda: Component("a", {"x": "modes"}, rule="sum"), TypeError, "`rule` must be"),
    "custom": (lambda: Custom("x"), TypeError, "`components` must be Component objects"),
    "levels": (
        lambda: made("fixed").population(jax.random.key(0), {}),
        ValueError,
        "`margin` must name a GroupMargin of the kind",
    ),
    "draws": (
        lambda: made("population").population(
            jax.random.key(0), {"f.coefficients": np.zeros((1, 6, 4))}
        ),
        KeyError,
        "`draws` must hold the scales of 'f'; f.x.scale is missing",
    ),
    "inputs": (
        lambda: ns.AdditivePredictor((made("anova"), X), intercept=None),
        ValueError,
        r"`smooths` must have 2 input\(s\) for 'f', \['x', 'z'\]; got 1",
    ),
    "positions": (
        lambda: ns.AdditivePredictor((made("levels"), np.full(N, 4)), intercept=None),
        ValueError,
        r"`g of f` must hold positions in \[0, 4\)",
    ),
    "labels": (
        lambda: ns.AdditivePredictor((made("levels"), ["a", "e"]), intercept=None),
        ValueError,
        "got 'e'",
    ),
    "same_curve": (
        lambda: ns.AdditivePredictor(
            (made("anova"), X, Z), (ns.SplineEffect("g", BASIS), X), intercept=None
        ),
        ValueError,
        "`g` and `f` must not both hold the curve of the same input",
    ),
    "by": (
        lambda: ns.AdditivePredictor((made("anova"), X, Z), intercept=None, by={"h": X}),
        ValueError,
        r"`by` must name effects of the predictor, \['f'\]; got \['h'\]",
    ),
    "by_length": (
        lambda: ns.AdditivePredictor((made("anova"), X, Z), intercept=None, by={"f": X[1:]}),
        ValueError,
        r"`by\['f'\]` must hold one number for each of the 60 observations",
    ),
    "offset": (
        lambda: ns.AdditivePredictor((made("anova"), X, Z), intercept=None, offset=X[1:]),
        ValueError,
        "`offset` must hold one number for each of the 60 observations",
    ),
    "given_scales": (
        lambda: ns.AdditivePredictor((made("anova"), X, Z), intercept=None).sample([1.0]),
        ValueError,
        "`scales` must hold one scale for each of .*f.x:z.scale",
    ),
    "linear_of_a_population": (
        lambda: ns.TensorEffect("f", linear=dist.StudentT(3.0), x=CUBIC, g=groups()),
        ValueError,
        "`linear` must be a Normal prior, or flat, where levels are a population",
    ),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_bad_input_is_refused_clearly(name):
    call, error, match = REFUSED[name]
    with pytest.raises(error, match=match):
        call()


def test_a_tensor_effect_inside_a_plate_has_a_surface_for_each_member():
    effect = made("anova")

    def model():
        with numpyro.plate("years", 3):
            return effect.sample()

    surface = numpyro.handlers.seed(model, 0)()
    assert surface.batch_shape == (3,)
    refused = pytest.raises(ValueError, match="inside a plate would draw one surface")
    with refused, numpyro.handlers.seed(rng_seed=0), numpyro.plate("years", 3):
        effect(X, Z)


def test_an_effect_survives_jit_and_flattening():
    effect = made("population")
    leaves, tree = jax.tree.flatten(effect)
    again = jax.tree.unflatten(tree, leaves)
    assert list(again.margins) == ["x", "g"]
    trace = [
        numpyro.handlers.trace(numpyro.handlers.seed(e.sample, 0)).get_trace()["f.coefficients"]
        for e in (effect, again)
    ]
    np.testing.assert_array_equal(trace[0]["value"], trace[1]["value"])
    assert assemble(effect.margins, FunctionalAnova()).scale_names == effect.smooth.scale_names


def test_integers_that_name_levels_are_labels():
    """Where levels are integers, those of a predictor are names: never taken for positions."""
    numbers = np.array([2, 1, 4, 3])[np.unique(GROUP, return_inverse=True)[1]]
    effect = ns.TensorEffect("f", g=ns.GroupMargin(numbers))
    eta = ns.AdditivePredictor((effect, numbers), intercept=None)
    np.testing.assert_array_equal(eta.inputs[0][0], effect.margins["g"].index(numbers))
    with pytest.raises(ValueError, match="got 7"):
        ns.AdditivePredictor((effect, np.full(N, 7)), intercept=None)
