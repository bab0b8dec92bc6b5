"""Effects inside NumPyro models: sites, plates, scopes, prediction, SVI, reading draws back."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO, autoguide
from numpyro.infer.reparam import LocScaleReparam

import numpyro_splines as ns

GRID = np.linspace(-0.2, 1.2, 15)


@pytest.fixture(scope="module")
def effect():
    return ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6)))


def trace(model, *args, seed=0):
    return numpyro.handlers.trace(numpyro.handlers.seed(model, rng_seed=seed)).get_trace(*args)


def sites(traced, kind):
    return {k: v["value"].shape for k, v in traced.items() if v["type"] == kind}


def test_sites_have_the_documented_names_and_shapes():
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
    centered = ns.SplineEffect("f", basis, ns.SmoothnessPrior(centering=1.0))
    traced = trace(centered.sample)
    assert sites(traced, "sample") == {"f.scale": (), "f.modes": (6,), "f.linear": (1,)}
    assert sites(traced, "deterministic") == {"f.coefficients": (8,)}
    plain = ns.SplineEffect("f", basis, ns.SmoothnessPrior(order=1, scale=0.5, centering=0.0))
    traced = trace(plain.sample)
    assert sites(traced, "sample") == {"f.modes_decentered": (7,)}
    assert sites(traced, "deterministic") == {"f.modes": (7,), "f.coefficients": (8,)}


def test_the_short_form_is_sample_then_evaluate(effect):
    short = trace(lambda: numpyro.deterministic("value", effect(GRID)))
    long = trace(lambda: numpyro.deterministic("value", effect.sample()(GRID)))
    np.testing.assert_array_equal(short["value"]["value"], long["value"]["value"])


def test_the_short_form_refuses_to_draw_one_curve_per_observation(effect):
    def model():
        with numpyro.plate("obs", 5):
            effect(jnp.zeros(5))

    with pytest.raises(ValueError, match=r"would draw 5 curves.*f\.sample\(\)` before the plate"):
        trace(model)


def test_the_guard_sees_plates_also_when_the_scale_is_fixed():
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
    effect = ns.SplineEffect("g", basis, ns.RandomWalkPrior(order=1, scale=1.0))

    def model():
        with numpyro.plate("obs", 5, dim=-2):
            effect(jnp.zeros(5))

    with pytest.raises(ValueError, match="would draw 5 curves"):
        trace(model)


def test_a_plate_around_sample_draws_one_curve_per_group(effect):
    index = np.array([2, 0, 1, 2])
    x = np.array([0.1, 0.5, 0.9, 1.0])

    def model():
        with numpyro.plate("group", 3):
            curve = effect.sample()
        with numpyro.plate("obs", 4):
            numpyro.deterministic("picked", curve.pick(index)(x))
        numpyro.deterministic("all", curve(x))

    traced = trace(model)
    assert traced["f.coefficients"]["value"].shape == (3, 8)
    assert traced["f.scale"]["value"].shape == (3,)
    values = np.asarray(traced["all"]["value"])
    assert len(np.unique(values[:, 0])) == 3
    np.testing.assert_allclose(traced["picked"]["value"], values[index, np.arange(4)], rtol=1e-6)


def test_nested_plates_and_draws_of_them(effect):
    def model():
        with numpyro.plate("region", 4, dim=-2), numpyro.plate("group", 3, dim=-1):
            numpyro.deterministic("value", effect.sample()(GRID))

    draws = Predictive(model, num_samples=6)(jax.random.key(0))
    assert draws["f.coefficients"].shape == (6, 4, 3, 8)
    curve = effect.curve(draws)
    assert curve.batch_shape == (6, 4, 3)
    # float32, values up to 12: compiled and eager sums are rounded at different places.
    np.testing.assert_allclose(curve(GRID), draws["value"], atol=1e-5)


def test_several_effects_and_scopes_live_in_one_model(effect):
    other = ns.SplineEffect("g", ns.BSplineBasis([0.0, 1.0]), ns.RandomWalkPrior(order=1))

    def model():
        total = effect(GRID) + other(GRID)
        with numpyro.handlers.scope(prefix="inner"):
            total = total + effect(GRID)
        numpyro.deterministic("total", total)

    draws = Predictive(model, num_samples=3)(jax.random.key(1))
    assert {"f.scale", "g.scale", "inner/f.scale"} <= set(draws)
    parts = [effect.curve(draws), other.curve(draws), effect.curve(draws, prefix="inner/")]
    np.testing.assert_allclose(sum(c(GRID) for c in parts), draws["total"], atol=1e-5)


def test_sampling_under_the_users_own_reparameterization():
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
    effect = ns.SplineEffect("f", basis, ns.SmoothnessPrior(centering=1.0))
    model = numpyro.handlers.reparam(effect.sample, config={"f.modes": LocScaleReparam()})
    traced = trace(model)
    assert traced["f.modes_centered"]["type"] == "param"
    assert traced["f.modes_centered"]["value"].shape == (6,)


@pytest.mark.parametrize("centering", [0.0, 0.3, 1.0, None])
def test_curves_are_rebuilt_from_the_sample_sites_alone(centering):
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
    prior = ns.SmoothnessPrior(order=3, centering=centering)
    effect = ns.SplineEffect("f", basis, prior, measure=np.linspace(0.1, 0.8, 30))

    def model():
        with numpyro.plate("group", 2):
            effect.sample()

    draws = Predictive(model, num_samples=5)(jax.random.key(2))
    expected = effect.curve(draws)(GRID)
    latent = {k: v for k, v in draws.items() if k in sites(trace(effect.sample), "sample")}
    assert "f.coefficients" not in latent
    # Two orders of summation in float32, for values up to 10.
    np.testing.assert_allclose(effect.curve(latent)(GRID), expected, rtol=1e-5, atol=1e-5)


def test_reading_draws_says_what_is_missing_or_does_not_fit(effect):
    with pytest.raises(KeyError, match=r"must hold f\.coefficients or all of"):
        effect.curve({"g.coefficients": np.zeros(8)})
    with pytest.raises(ValueError, match=r"must have shape \(\*batch, 8\)"):
        effect.curve({"f.coefficients": np.zeros((4, 7))})
    names = sites(trace(effect.sample), "sample")
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


@pytest.fixture(scope="module")
def fitted(effect):
    """Model and posterior draws of the regression."""
    model, x, y = regression(effect)
    mcmc = MCMC(NUTS(model), num_warmup=300, num_samples=300, progress_bar=False)
    mcmc.run(jax.random.key(4), x, y)
    return model, mcmc.get_samples()


def test_predictive_on_new_data_agrees_with_the_curves(effect, fitted):
    model, draws = fitted
    predicted = Predictive(model, draws, return_sites=["mean"])(jax.random.key(5), GRID)["mean"]
    expected = draws["level"][:, None] + effect.curve(draws)(GRID)
    np.testing.assert_allclose(predicted, expected, atol=1e-5)


@pytest.mark.parametrize("method", ["sequential", "vectorized", "parallel"])
def test_every_chain_method_recovers_the_curve(effect, fitted, method):
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
    svi = SVI(model, guide, numpyro.optim.Adam(0.02), Trace_ELBO())
    result = svi.run(jax.random.key(7), 3000, x, y, progress_bar=False)
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
