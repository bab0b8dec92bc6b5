"""Levels and lines of groups that are correlated: the exact law, new levels, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.linalg

import numpyro_splines as ns
from numpyro_splines.components import Component, Custom, FullTensor
from numpyro_splines.priors.coordinates import Coordinates
from numpyro_splines.priors.joint import JointCoordinates

RNG = np.random.default_rng(0)
N, G = 60, 4
X = RNG.beta(2.0, 5.0, N)
Z = RNG.uniform(size=N)
GROUP = RNG.permutation(np.repeat(["a", "b", "c", "d"], N // G))
BASIS = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 4))
CURVE = ns.CurveMargin(BASIS, measure=X)
CUBIC = ns.CurveMargin(BASIS, 3, measure=X)
OTHER = ns.CurveMargin(BASIS, measure=Z)
LINES = Custom(
    Component("level", {"g": "modes"}),
    Component("slope", {"g": "modes", "x": "linear"}),
    linear=[{"x": "linear"}],
)
FLAT = dist.ImproperUniform(dist.constraints.real, (), ())


def group(kind="population", correlated=True):
    return ns.GroupMargin(GROUP, kind, correlated=correlated)


EFFECTS = {
    "population": lambda **k: ns.TensorEffect("f", x=CURVE, g=group(), **k),
    "fixed": lambda **k: ns.TensorEffect("f", g=group("fixed", 2.0), x=CURVE, **k),
    "independent": lambda **k: ns.TensorEffect("f", x=CURVE, g=group("independent"), **k),
    "two_of_a_population": lambda **k: ns.TensorEffect("f", x=CURVE, g=group(), z=OTHER, **k),
    "quadratic_of_a_population": lambda **k: ns.TensorEffect("f", x=CUBIC, g=group(), **k),
}


def hyperparameters(effect, seed=0):
    rng = np.random.default_rng(seed)
    values = {k: np.asarray(np.exp(rng.normal(-0.5, 0.5))) for k in effect.smooth.scale_priors}
    for name, _, num in effect.smooth.anisotropies:
        values[name] = rng.normal(size=num)
    for name, num, _ in effect.smooth.correlations:
        rows = np.tril(rng.normal(size=(num, num)))
        values[name] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        values[name] *= np.sign(np.diag(values[name]))
    return values


def law(effect, values):
    """Mean and covariance of `coefficients` as drawn: they are linear in what samplers see."""
    fixed = {effect.site(name): jnp.asarray(v) for name, v in values.items()}

    def traced(sites):
        with numpyro.handlers.seed(rng_seed=0), numpyro.handlers.substitute(data=sites):
            return numpyro.handlers.trace(effect.sample).get_trace()

    @jax.jit
    def everything(fixed):
        trace = traced(fixed)
        free = {k: v["fn"] for k, v in trace.items() if v["type"] == "sample" and k not in fixed}
        center = {k: jnp.broadcast_to(fn.mean, trace[k]["value"].shape) for k, fn in free.items()}

        def coefficients(sites):
            value = traced({**fixed, **sites})["f.coefficients"]["value"].ravel()
            return value, value

        slopes, mean = jax.jacfwd(coefficients, has_aux=True)(center)
        own = {
            k: fn.base_dist.covariance_matrix
            if isinstance(fn.base_dist, dist.MultivariateNormal)
            else jnp.broadcast_to(fn.variance, center[k].shape).reshape(-1, 1, 1)
            for k, fn in free.items()
        }
        return mean, slopes, own

    mean, slopes, own = everything(fixed)
    covariance = np.zeros((mean.size, mean.size))
    for site, blocks in own.items():
        rows = np.asarray(slopes[site]).reshape(mean.size, -1)
        covariance += rows @ scipy.linalg.block_diag(*np.asarray(blocks)) @ rows.T
    return np.asarray(mean), covariance


def stated(effect, values):
    """tau_r tau_s R_rs between the functions r and s of one level, or contrast, by their names."""
    smooth = effect.smooth
    shape = [m.num_functions for m in smooth.margins]
    g = effect.names.index("g")
    covariance = np.diag(smooth.variances(values)).reshape(*shape, *shape)
    (name, _, _) = smooth.correlations[0]
    matrix = values[name] @ values[name].T
    free = [
        (0,) if d == g else range(m.num_constant + m.num_linear)
        for d, m in enumerate(smooth.margins)
    ]
    functions = [
        index
        for block in smooth.correlated[0].sites  # in the order of the components
        for index in np.ndindex(*shape)
        if all(i in own for i, own in zip(index, free, strict=True))
        and _site(smooth, index, g) == block
    ]
    for r, s in np.ndindex(len(functions), len(functions)):
        for level in smooth.margins[g].part("modes"):
            first, second = (
                tuple(int(level) if d == g else i for d, i in enumerate(functions[k]))
                for k in (r, s)
            )
            size = np.sqrt(covariance[first + first] * covariance[second + second])
            covariance[first + second] = size * matrix[r, s]
    # Averages of lines over a population share what levels share, divided by their number.
    if effect.margins["g"].kind == "population":
        for r, s in np.ndindex(len(functions), len(functions)):
            if r != s and any(functions[r]) and any(functions[s]):
                first, second = (
                    tuple(1 if d == g else i for d, i in enumerate(functions[k])) for k in (r, s)
                )
                covariance[functions[r] + functions[s]] = covariance[first + second]
    size = int(np.prod(shape))
    columns = np.ones((1, 1))
    for margin in smooth.margins:
        columns = np.kron(columns, np.asarray(margin.functions))
    return columns @ covariance.reshape(size, size) @ columns.T


def _site(smooth, index, g):
    """The block of the function at the first level or contrast."""
    shape = [m.num_functions for m in smooth.margins]
    own = [int(smooth.margins[g].part("modes")[0]) if d == g else i for d, i in enumerate(index)]
    place = np.ravel_multi_index(own, shape)
    return next(b.site for b in smooth.blocks if place in b.entries)


@pytest.mark.parametrize(
    ("name", "noise"), [*((name, 0.05) for name in EFFECTS), ("population", np.inf)]
)
def test_draws_have_the_stated_covariance(name, noise, x64):
    effect = EFFECTS[name](noise=noise)
    values = hyperparameters(effect)
    mean, covariance = law(effect, values)
    expected = stated(effect, values)
    np.testing.assert_allclose(mean, 0.0, atol=1e-10)
    np.testing.assert_allclose(covariance, expected, atol=1e-10 * np.abs(expected).max())


def test_one_function_is_a_single_block(x64):
    """The coordinates of one function alone are those of every other block."""
    rng = np.random.default_rng(1)
    seen, score = np.sort(rng.uniform(1.0, 9.0, 3))[::-1], rng.normal(size=3)
    one = JointCoordinates(np.eye(3), seen[:, None, None], score[:, None])
    other = Coordinates(np.eye(3), seen, score, True)

    def drawn(sample):
        model = numpyro.handlers.substitute(sample, data={"b_coordinates": xi})
        with numpyro.handlers.trace() as trace:
            value = model()
        return np.asarray(value).ravel(), trace["b_coordinates"]["fn"].log_prob(xi)

    factor, xi = jnp.asarray([[0.7]]), jnp.asarray(rng.normal(size=(3, 1)))
    first = drawn(lambda: one.sample("b", factor))
    xi = xi[:, 0]
    second = drawn(lambda: other.sample("b", 0.7))
    np.testing.assert_allclose(first[0], second[0], rtol=1e-12)
    np.testing.assert_allclose(first[1], second[1], rtol=1e-12)


def test_coordinates_are_standard_given_data_and_scales(x64):
    """Whatever the scales and the correlation, for data of the noise that was told."""
    noise = 0.1
    x = np.tile(np.linspace(0.0, 1.0, N // G), G)
    groups = np.repeat(np.arange(G), N // G)
    effect = ns.TensorEffect(
        "f",
        x=ns.CurveMargin(BASIS, measure=x),
        g=ns.GroupMargin(groups, correlated=True),
        components=LINES,
        noise=noise,
    )

    @jax.jit
    def everything(values):
        fixed = {effect.site(k): v for k, v in values.items()}

        def coefficients(xi):
            own = {**fixed, "f.g.joint_coordinates": xi}
            with numpyro.handlers.seed(rng_seed=0), numpyro.handlers.substitute(data=own):
                trace = numpyro.handlers.trace(effect.sample).get_trace()
            prior = trace["f.g.joint_coordinates"]["fn"].base_dist.precision_matrix
            return effect.function(trace["f.coefficients"]["value"])(x, groups), prior

        return jax.jacfwd(coefficients, has_aux=True)(jnp.zeros((G - 1, 2)))

    for level, slope, r in ((1.0, 1.0, 0.0), (0.03, 2.0, -0.9), (1e-3, 1e-3, 0.5)):
        values = {"level.scale": level, "slope.scale": slope}
        values["g.correlation_factor"] = np.array([[1.0, 0.0], [r, np.sqrt(1.0 - r**2)]])
        rows, prior = everything(values)
        rows = np.asarray(rows).reshape(N, -1)
        precision = rows.T @ rows / noise**2 + scipy.linalg.block_diag(*np.asarray(prior))
        np.testing.assert_allclose(precision, np.eye(2 * (G - 1)), atol=0.05)


@pytest.mark.parametrize("flat", [False, True])
def test_populations_and_new_levels_have_the_joint_law(flat, x64, monkeypatch):
    """Exactly: b given the average, and u of a new level, for unit vectors of noise."""
    effect = EFFECTS["population"](linear=FLAT if flat else dist.Normal(0.3, 0.8))
    values, functions = hyperparameters(effect, 3), np.asarray(CURVE.functions)
    average = np.random.default_rng(4).normal(size=functions.shape[1])
    average[0] = 0.0  # it is the intercept of the model
    size, grid = average.size, np.linspace(0.0, 1.0, 20)
    draws = {
        "f.coefficients": np.broadcast_to(
            (functions @ average)[:, None], (BASIS.num_coefficients, G)
        )
    }
    draws = {k: np.broadcast_to(v, (size + 1, *v.shape)) for k, v in draws.items()}
    draws |= {
        effect.site(k): np.broadcast_to(v, (size + 1, *np.shape(v))) for k, v in values.items()
    }

    def law_of(draw, unit):
        rows = np.concatenate([np.zeros((1, size)), np.eye(size)])

        def normal(key, shape):
            own = rows if bool(key[0] == unit) else np.zeros_like(rows)
            return jnp.asarray(own.reshape(shape))

        monkeypatch.setattr(jax.random, "normal", normal)
        found = np.asarray(draw(np.array([0, 1]))(grid)).reshape(size + 1, -1)
        found = found @ np.linalg.pinv(BASIS.collocation(grid) @ functions).T
        return found[0], (found[1:] - found[0]).T @ (found[1:] - found[0])

    monkeypatch.setattr(jax.random, "split", lambda key: (np.array([0]), np.array([1])))
    # By brute force: (b, mean u) is normal, and b + mean u is known.
    variances = np.asarray(CURVE.variances)
    prior = np.diag(values["x.scale"] ** 2 * variances)
    prior[0, 0], prior[1, 1] = 1e7, 1e7 if flat else 0.8**2
    center = np.zeros(size)
    center[1] = 0.0 if flat else 0.3
    sizes = np.sqrt(np.append([1.0, 1.0], values["x:g.scale"] ** 2 * variances[2:]))
    sizes[0], sizes[1] = values["g.scale"], values["x.linear:g.scale"]
    within = np.diag(sizes**2)
    factor = values["g.correlation_factor"]
    within[0, 1] = within[1, 0] = sizes[0] * sizes[1] * (factor @ factor.T)[0, 1]
    gain = prior @ np.linalg.inv(prior + within / G)
    mean, covariance = law_of(lambda key: effect.population(key[:1], draws), 0)
    np.testing.assert_allclose(mean, center + gain @ (average - center), atol=1e-6)
    np.testing.assert_allclose(covariance, prior - gain @ prior, atol=1e-6)
    mean, covariance = law_of(lambda key: effect.new_levels(key, draws, 1), 1)
    np.testing.assert_allclose(mean, center + gain @ (average - center), atol=1e-6)
    np.testing.assert_allclose(covariance, within, atol=1e-9)


def test_sites_inside_a_plate():
    effect = EFFECTS["population"]()

    def shapes(key):
        seeded = numpyro.handlers.seed(rng_seed=key)
        with seeded, numpyro.handlers.trace() as trace, numpyro.plate("schools", 3):
            effect.sample()
        return {name: site["value"] for name, site in trace.items()}

    found = jax.eval_shape(shapes, jax.random.key(0))
    assert found["f.g.correlation_factor"].shape == (3, 2, 2)
    assert found["f.g.correlation"].shape == (3, 1)
    assert found["f.g.joint_coordinates"].shape == (3, G - 1, 2)
    assert found["f.x.linear:g.modes"].shape == (3, G - 1)
    assert found["f.coefficients"].shape == (3, BASIS.num_coefficients, G)


REFUSED = {
    "concentration": (lambda: group(correlated=-1.0), "`correlated` must be one positive number"),
    "two_groups": (
        lambda: ns.TensorEffect("f", x=CURVE, g=group(), h=ns.GroupMargin(3)),
        r"`correlated` must be of the only margin of levels; \['h'\] are such beside 'g'",
    ),
    "levels_alone": (
        lambda: ns.TensorEffect("f", g=group()),
        "`correlated` must come with levels and lines by 'g'; the effect has 1",
    ),
    "te": (
        lambda: ns.TensorEffect("f", x=CURVE, g=group("independent"), components=FullTensor()),
        "`correlated` must come with components of levels and lines by 'g' alone",
    ),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_bad_input_is_refused_clearly(name):
    call, match = REFUSED[name]
    with pytest.raises(ValueError, match=match):
        call()


def test_predictors_refuse_what_is_correlated():
    with pytest.raises(TypeError, match="`f` must have a prior without `correlated`"):
        ns.AdditivePredictor((EFFECTS["population"](), X, GROUP), intercept=None)
