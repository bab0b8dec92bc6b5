"""Effects inside NumPyro models: sites, plates, scopes, prediction, SVI, reading draws back."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from cases import ROWS, prior_case
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO, autoguide
from numpyro.infer.reparam import LocScaleReparam

import numpyro_splines as ns

GRID = np.linspace(-0.2, 1.2, 15)


@pytest.fixture(scope="module")
def effect():
    return ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6)))


def traced(model, key=None):
    """Values of all sites of a draw, by name, and their kinds; compiled as a whole."""
    kinds = {}

    def draw(key):
        seeded = numpyro.handlers.seed(model, rng_seed=key)
        trace = numpyro.handlers.trace(seeded).get_trace()
        kinds.update({name: site["type"] for name, site in trace.items()})
        return {name: site["value"] for name, site in trace.items() if site["type"] != "plate"}

    run = (
        (lambda: jax.eval_shape(draw, jax.random.key(0)))
        if key is None
        else (lambda: jax.jit(draw)(key))
    )
    return run(), kinds


def shapes(model, kind):
    """Of the sites of this kind; nothing is compiled."""
    values, kinds = traced(model)
    return {name: value.shape for name, value in values.items() if kinds[name] == kind}


def test_sites_have_the_documented_names_and_shapes():
    """Those that are drawn are a law; see tests/laws/test_prior_sites.py."""
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
    observed = ns.SplineEffect("f", basis, measure=np.linspace(0.0, 1.0, 15)).sample
    drawn = {"f.scale": (), "f.modes_coordinates": (6,), "f.linear_coordinates": (1,)}
    assert shapes(observed, "sample") == drawn
    placed = {"f.modes": (6,), "f.linear": (1,), "f.coefficients": (8,)}
    assert shapes(observed, "deterministic") == placed
    prior = ns.SmoothnessPrior(order=1, scale=0.5)
    plain = ns.SplineEffect("f", basis, prior).sample
    assert shapes(plain, "sample") == {"f.modes_coordinates": (7,)}
    placed = {"f.modes": (7,), "f.coefficients": (8,)}
    assert shapes(plain, "deterministic") == placed


def test_the_short_form_is_sample_then_evaluate(effect):
    """The same operations on the same sites, to the last one."""
    short = jax.make_jaxpr(numpyro.handlers.seed(lambda: effect(GRID), rng_seed=0))()
    long = jax.make_jaxpr(numpyro.handlers.seed(lambda: effect.sample()(GRID), rng_seed=0))()
    assert str(short) == str(long)


def test_the_short_form_refuses_to_draw_one_curve_per_observation(effect):
    def model():
        with numpyro.plate("obs", 5):
            effect(jnp.zeros(5))

    with pytest.raises(ValueError, match=r"would draw 5 curves.*f\.sample\(\)` before the plate"):
        traced(model)


def test_the_guard_sees_plates_also_when_the_scale_is_fixed():
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
    effect = ns.SplineEffect("g", basis, ns.RandomWalkPrior(order=1, scale=1.0))

    def model():
        with numpyro.plate("obs", 5, dim=-2):
            effect(jnp.zeros(5))

    with pytest.raises(ValueError, match="would draw 5 curves"):
        traced(model)


def test_a_plate_around_sample_draws_one_curve_per_group(effect):
    index = np.array([2, 0, 1, 2])
    x = np.array([0.1, 0.5, 0.9, 1.0])

    def model():
        with numpyro.plate("group", 3):
            curve = effect.sample()
        with numpyro.plate("obs", 4):
            numpyro.deterministic("picked", curve.pick(index)(x))
        numpyro.deterministic("all", curve(x))

    values, _ = traced(model, jax.random.key(0))
    assert values["f.coefficients"].shape == (3, 8)
    assert values["f.scale"].shape == (3,)
    at = np.asarray(values["all"])
    assert len(np.unique(at[:, 0])) == 3
    np.testing.assert_allclose(values["picked"], at[index, np.arange(4)], rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, dist.HalfNormal(1.0)])
@pytest.mark.parametrize("groups", [1, 2, 5])
def test_draws_of_other_numbers_of_groups_are_refused(groups, scale):
    """One would be drawn as another's, others do not broadcast: what to do is said for all."""
    basis = ns.BSplineBasis([0.0, 1.0])
    effect = ns.SplineEffect("f", basis, ns.SmoothnessPrior(scale=scale))

    def model(size):
        with numpyro.plate("group", size):
            effect.sample()

    values, _ = traced(lambda: model(3), jax.random.key(0))
    drawn = {k: v for k, v in values.items() if k.startswith("f.")}
    with (
        numpyro.handlers.seed(rng_seed=1),
        numpyro.handlers.substitute(data=drawn),
        pytest.raises(ValueError, match=rf"plate 'group' of size {groups}; .* hold 3.*afresh"),
    ):
        model(groups)


def test_draws_of_nested_plates_effects_and_scopes(effect):
    """Two effects and a scope in one model, in plates: `curve` reads each back."""
    other = ns.SplineEffect("g", ns.BSplineBasis([0.0, 1.0]), ns.RandomWalkPrior(order=1))

    def model():
        with numpyro.plate("region", 4, dim=-2), numpyro.plate("group", 3, dim=-1):
            numpyro.deterministic("value", effect.sample()(GRID))
        total = other(GRID)
        with numpyro.handlers.scope(prefix="inner"):
            total = total + effect(GRID)
        numpyro.deterministic("total", total)

    draws = jax.jit(Predictive(model, num_samples=6))(jax.random.key(0))
    assert {"f.scale", "g.scale", "inner/f.scale"} <= set(draws)
    assert draws["f.coefficients"].shape == (6, 4, 3, 8)
    assert effect.curve(draws).batch_shape == (6, 4, 3)

    @jax.jit
    def again(draws):
        inner = effect.curve(draws, prefix="inner/")
        return effect.curve(draws)(GRID), other.curve(draws)(GRID) + inner(GRID)

    # float32, values up to 12: sums are taken in other orders.
    for found, name in zip(again(draws), ("value", "total"), strict=True):
        np.testing.assert_allclose(found, draws[name], atol=1e-5)


def test_sampling_under_the_users_own_reparameterization():
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
    effect = ns.SplineEffect("f", basis)
    config = {"f.modes_coordinates": LocScaleReparam()}
    model = numpyro.handlers.reparam(effect.sample, config=config)
    assert shapes(model, "param") == {"f.modes_coordinates_centered": (6,)}


@pytest.mark.parametrize("name", ["smoothness", "smoothness_observed", "increasing"])
def test_curves_are_rebuilt_from_the_sample_sites_alone(name):
    case = prior_case(name)
    values = case.draw(ROWS)
    draws = {k: v.reshape(4, 6, *v.shape[1:]) for k, v in case.named(values).items()}
    expected = case.basis.curve(case.evaluated(values)[0].reshape(4, 6, -1).astype(np.float32))
    found = jax.jit(lambda draws: case.effect.curve(draws).table)(draws)
    # Two orders of summation in float32.
    largest = np.abs(expected.table).max()
    np.testing.assert_allclose(found, expected.table, rtol=1e-5, atol=1e-5 * largest)


def test_reading_draws_says_what_is_missing_or_does_not_fit(effect):
    with pytest.raises(KeyError, match=r"must hold f\.coefficients or all of"):
        effect.curve({"g.coefficients": np.zeros(8)})
    with pytest.raises(ValueError, match=r"must have shape \(\*batch, 8\)"):
        effect.curve({"f.coefficients": np.zeros((4, 7))})
    names = shapes(effect.sample, "sample")
    wrong = {name: np.zeros((3 + i, *shape)) for i, (name, shape) in enumerate(names.items())}
    with pytest.raises(ValueError, match="must have common leading axes"):
        effect.curve(wrong)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1, None), TypeError, "`name` must be a string; got 1"),
        (("", None), ValueError, "`name` must be non-empty"),
        (("a/b", None), ValueError, "without '/'; got 'a/b'"),
        (("f", "basis"), TypeError, r"`basis` must be an object such as .*BSplineBasis"),
        (("f", None, "prior"), TypeError, r"`prior` must be an object such as .*SmoothnessPrior"),
    ],
)
def test_bad_arguments(arguments, error, message):
    basis = ns.BSplineBasis([0.0, 0.5, 1.0])
    arguments = tuple(basis if a is None else a for a in arguments)
    with pytest.raises(error, match=message):
        ns.SplineEffect(*arguments)


def test_effects_are_pytrees_that_cross_jit(effect):
    leaves, treedef = jax.tree.flatten(effect)
    again = jax.tree.unflatten(treedef, leaves)
    assert again.name == "f"

    @jax.jit
    def draw(effect, key):
        with numpyro.handlers.seed(rng_seed=key):
            return effect(GRID)

    with numpyro.handlers.seed(rng_seed=jax.random.key(3)):
        expected = effect(GRID)
    np.testing.assert_allclose(draw(effect, jax.random.key(3)), expected, atol=1e-5)


def regression(effect, noise=0.1):
    """A model, its inputs and responses: sin(6 x) with noise at 60 points."""

    def model(x, y=None):
        level = numpyro.sample("level", dist.Normal(0.0, 2.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        curve = effect.sample()
        with numpyro.plate("obs", len(x)):
            mean = numpyro.deterministic("mean", level + curve(x))
            numpyro.sample("y", dist.Normal(mean, sigma), obs=y)

    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0.0, 1.0, 60))
    return model, x, np.sin(6 * x) + noise * rng.normal(size=60)


def test_predictive_on_new_data_agrees_with_the_curves(effect):
    model, _, _ = regression(effect)
    rng = np.random.default_rng(4)
    draws = {
        "level": rng.normal(size=50),
        "sigma": rng.gamma(2.0, size=50),
        "f.scale": rng.gamma(2.0, size=50),
        "f.linear": rng.normal(size=(50, 1)),
        "f.modes_coordinates": rng.normal(size=(50, 6)),
    }
    draws = {name: value.astype(np.float32) for name, value in draws.items()}
    sites = Predictive(model, draws, return_sites=["mean", "f.coefficients"])
    predicted = jax.jit(sites)(jax.random.key(5), GRID)
    expected = draws["level"][:, None] + effect.curve(predicted)(GRID)
    np.testing.assert_allclose(predicted["mean"], expected, atol=1e-5)


@pytest.mark.parametrize(
    "method",
    [
        "vectorized",
        # NUTS takes most of the time of this file; NumPyro, not a spline, loops over its chains.
        pytest.param("sequential", marks=pytest.mark.slow),
        pytest.param("parallel", marks=pytest.mark.slow),
    ],
)
def test_every_chain_method_recovers_the_curve(effect, method):
    _, x, y = regression(effect)
    effect = ns.SplineEffect("f", effect.basis, measure=x, response=y)
    model, x, y = regression(effect)
    kernel = NUTS(model, target_accept_prob=0.9)
    with warnings.catch_warnings():
        # One device runs "parallel" chains one after another, which NumPyro warns about.
        warnings.filterwarnings("ignore", message="There are not enough devices")
        mcmc = MCMC(
            kernel,
            num_warmup=300,
            num_samples=200,
            num_chains=2,
            chain_method=method,
            progress_bar=False,
        )
    mcmc.run(jax.random.key(6), x, y, extra_fields=("diverging",))
    draws = mcmc.get_samples(group_by_chain=True)
    mean = (draws["level"][..., None] + effect.curve(draws)(x)).mean((0, 1))
    assert int(mcmc.get_extra_fields()["diverging"].sum()) == 0
    assert np.sqrt(np.mean((mean - np.sin(6 * x)) ** 2)) < 0.06


def test_svi_with_an_autoguide(effect):
    model, x, y = regression(effect)
    guide = autoguide.AutoNormal(model)
    svi = SVI(model, guide, numpyro.optim.Adam(0.05), Trace_ELBO())
    result = svi.run(jax.random.key(7), 1000, x, y, progress_bar=False)
    draws = guide.sample_posterior(jax.random.key(8), result.params, sample_shape=(200,))
    mean = (draws["level"][:, None] + effect.curve(draws)(x)).mean(0)
    assert np.sqrt(np.mean((mean - np.sin(6 * x)) ** 2)) < 0.08


def test_draws_of_other_groups_are_refused():
    effect = ns.SplineEffect("f", ns.BSplineBasis([0.0, 0.5, 1.0]))

    def model(groups):
        with numpyro.plate("g", groups):
            return effect.sample()

    draws = numpyro.infer.Predictive(model, num_samples=2)(jax.random.key(0), 3)
    with pytest.raises(ValueError, match=r"plate 'g' of size 1; the values given .* hold 3"):
        numpyro.infer.Predictive(model, draws)(jax.random.key(1), 1)
