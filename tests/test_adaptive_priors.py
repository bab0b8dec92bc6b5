"""Adaptive random walks, joint priors of scales, double penalties and reference curves.

What the priors draw, and the covariance given the local sizes, are laws: tests/laws/test_prior_*.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from cases import SKEWED, dense_covariance
from numpyro.infer import Predictive
from numpyro.infer.util import log_density
from scipy.interpolate import BSpline

import numpyro_splines as ns
from numpyro_splines.ops.penalties import difference_matrix
from numpyro_splines.penalties import Differences

BASIS = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 8))
# As many functions each: one program per order serves all.
BASES = {
    "cubic": BASIS,
    "quadratic_uneven": ns.BSplineBasis(
        [-3.0, -2.5, -2.4, -1.0, 0.0, 0.1, 2.0, 3.9, 4.0], degree=2
    ),
    "p_spline": ns.BSplineBasis(knots=ns.knots.extended(ns.knots.uniform(100.0, 400.0, 8), 3)),
}
OBSERVED = (SKEWED + 1.0) / 4.0


@jax.jit
def _coefficients(smooth, sites):
    def one(values):
        with numpyro.handlers.substitute(data=values):
            return smooth.sample(lambda name: name)

    return jax.vmap(one)(sites)


def coefficients(effect, sites):
    """From sites by their short names."""
    sites = {name: np.asarray(value, np.float32) for name, value in sites.items()}
    return np.asarray(_coefficients(effect.smooth, sites), float)


@pytest.mark.parametrize("name", list(BASES))
@pytest.mark.parametrize("order", [1, 2, 3])
def test_equal_steps_are_the_random_walk_of_that_order(name, order):
    """Exactly: A A' of the linear map from steps and line to coefficients."""
    basis = BASES[name]
    lower, upper = basis.domain
    measure = lower + (upper - lower) * OBSERVED
    equal = {"local.modes_coordinates": np.zeros((9, 7)), "local.scale": np.ones(9)}
    prior = ns.AdaptivePrior(order, scale=0.7, linear=2.0)
    effect = ns.SplineEffect("f", basis, prior, measure=measure)
    units = np.eye(9)
    sites = {**equal, "steps": units[:, : 10 - order]}
    if order > 1:
        sites["linear"] = 2.0 * units[:, 10 - order :]
    rows = coefficients(effect, sites)
    expected = dense_covariance(basis, Differences(order), measure, 0.7, 2.0)
    np.testing.assert_allclose(rows.T @ rows, expected, atol=1e-5 * np.diag(expected).max())


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("order", [1, 2])
def test_differences_are_steps_times_their_local_size(degree, order):
    # Ten functions each.
    points = np.concatenate([np.linspace(0.0, 1.0, 9 - degree), [1.5, 2.5]])
    basis = ns.BSplineBasis(points, degree=degree)
    effect = ns.SplineEffect("f", basis, ns.AdaptivePrior(order, num_local=6))
    rng = np.random.default_rng(0)
    sites = {
        "scale": rng.gamma(2.0, size=20),
        "local.scale": rng.uniform(0.1, 0.7, size=20),
        "local.modes_coordinates": rng.normal(size=(20, 5)),
        "steps": rng.normal(size=(20, 10 - order)),
        "linear": rng.normal(size=(20, order - 1)),
    }
    matrix = difference_matrix(np.asarray(basis.knots), degree, order)
    differences = coefficients(effect, sites) @ matrix.T
    local = ns.BSplineBasis(ns.knots.uniform(0.0, 2.5, 4))
    smooth = ns.SplineEffect("local", local, ns.RandomWalkPrior(order=1)).smooth.spectrum
    weighted = smooth.modes * smooth.standard_deviations
    modes = sites["local.scale"][:, None] * sites["local.modes_coordinates"]
    # Where the step is: the middle of the support of the B-splines of the derivative.
    knots, num = np.asarray(basis.knots), 10 - order
    places = (knots[order:][:num] + knots[degree + 1 :][:num]) / 2
    log_size = BSpline(np.asarray(local.knots), weighted @ modes.T, 3)(places).T
    sizes = sites["scale"][:, None] * np.exp(log_size)
    ratio = differences / (sizes * sites["steps"])
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=2e-2)


def test_horseshoe_steps():
    """Each step is the tau w z of the docstring, however large or small its local size is."""
    prior = ns.HorseshoePrior(order=1, slab=10.0)
    effect = ns.SplineEffect("f", BASIS, prior)
    rng = np.random.default_rng(0)
    local = np.abs(rng.standard_cauchy((20, 9)))
    local[0], local[1] = 1e-30, 1e30
    steps = rng.normal(size=(20, 9))
    scale = rng.gamma(2.0, size=20)
    drawn = coefficients(effect, {"scale": scale, "local": local, "steps": steps})
    ones = {"scale": np.ones(1), "local": np.full((1, 9), 1e30), "steps": np.ones((1, 9)) / 10.0}
    matrix = difference_matrix(np.asarray(BASIS.knots), 3, 1)
    unit = coefficients(effect, ones)[0] @ matrix.T
    with np.errstate(over="ignore"):
        sizes = 1.0 / np.sqrt(1.0 / local**2 + 1.0 / 10.0**2)
    expected = unit * scale[:, None] * sizes * steps
    # float32 differences of coefficients of this size.
    np.testing.assert_allclose(
        drawn @ matrix.T, expected, rtol=1e-4, atol=1e-4 * np.abs(drawn).max()
    )
    assert np.all(sizes <= 10.0)


def test_gradients_of_the_horseshoe_are_finite_at_extreme_local_sizes():
    effect = ns.SplineEffect("f", BASIS, ns.HorseshoePrior())

    @jax.jit
    @jax.grad
    def gradient(local):
        sites = {"f.local": local, "f.steps": jnp.ones(9), "f.scale": 0.1}
        with numpyro.handlers.substitute(data=sites):
            return effect.sample()(0.3)

    for size in (1e-30, 1e30):
        assert np.all(np.isfinite(gradient(jnp.full(9, size))))


def joint(model, sites):
    """The value of `model`, and its log density at these sites, one program for all rows."""

    def one(values):
        density, trace = log_density(model, (), {}, values)
        return trace["tau"]["value"], density

    values, densities = jax.jit(jax.vmap(one))(sites)
    return np.asarray(values), np.asarray(densities)


def test_variance_partition(x64):
    rng = np.random.default_rng(0)
    total, weights = np.abs(rng.normal(size=20)), np.array([0.1, 1.0, 5.0])
    for options, alpha in (({}, np.ones(3)), ({"concentration": weights}, weights)):
        shares = rng.dirichlet(np.ones(3), size=20)
        sites = {"all.total": total, "all.shares": shares}

        def model(options=options):
            numpyro.deterministic("tau", ns.scales.variance_partition("all", 3, **options))

        tau, density = joint(model, sites)
        np.testing.assert_allclose(tau, total[:, None] * np.sqrt(shares), rtol=1e-12)
        expected = scipy.stats.halfnorm.logpdf(total)
        expected += scipy.stats.dirichlet(alpha).logpdf(shares.T)
        np.testing.assert_allclose(density, expected, rtol=1e-9)


def test_a_variance_partition_of_a_number_draws_the_shares():
    def model():
        numpyro.deterministic("tau", ns.scales.variance_partition("all", 3, 2.0))

    draws = jax.jit(Predictive(model, num_samples=1000))(jax.random.key(1))
    assert set(draws) == {"tau", "all.shares"}
    np.testing.assert_allclose((draws["tau"] ** 2).sum(-1), 4.0, rtol=1e-5)
    # Dirichlet(1, 1, 1) has Beta(1, 2) margins; one test at 1e-4.
    assert scipy.stats.kstest(draws["all.shares"][:, 1], scipy.stats.beta(1, 2).cdf).pvalue > 1e-4


def test_horseshoe_over_effects(x64):
    rng = np.random.default_rng(0)
    sites = {
        "all.global": np.abs(rng.standard_cauchy(20)),
        "all.local": np.abs(rng.standard_cauchy((20, 4))),
    }

    def model():
        numpyro.deterministic("tau", ns.scales.regularized_horseshoe("all", 4, 0.1, slab=2.0))

    tau, density = joint(model, sites)
    raw = sites["all.global"][:, None] * sites["all.local"]
    np.testing.assert_allclose(1 / tau**2, 1 / raw**2 + 0.25, rtol=1e-9)
    assert np.all(tau <= 2.0)
    expected = scipy.stats.halfcauchy(scale=0.1).logpdf(sites["all.global"])
    expected += scipy.stats.halfcauchy.logpdf(sites["all.local"]).sum(-1)
    np.testing.assert_allclose(density, expected, rtol=1e-9)


def test_one_scale_for_several_effects(x64):
    f, g = (ns.SplineEffect(name, BASIS, measure=OBSERVED) for name in "fg")

    def model():
        tau = numpyro.sample("tau", dist.Gamma(3.0, 3.0))
        f.sample(scale=tau)
        with numpyro.plate("groups", 2):
            assert g.sample(scale=tau).batch_shape == (2,)

    types, rng = {}, np.random.default_rng(0)
    values = {
        "tau": np.float64(0.7),
        "f.linear_coordinates": rng.normal(size=1),
        "f.modes_coordinates": rng.normal(size=8),
        "g.linear_coordinates": rng.normal(size=(2, 1)),
        "g.modes_coordinates": rng.normal(size=(2, 8)),
    }

    @jax.jit
    def evaluated(values):
        density, trace = log_density(model, (), {}, values)
        types.update({name: site["type"] for name, site in trace.items()})
        return density, {name: trace[name]["value"] for name in ("f.scale", "g.scale", "f.modes")}

    density, found = evaluated(values)
    assert {name for name, kind in types.items() if kind == "sample"} == set(values)
    assert types["f.scale"] == types["g.scale"] == "deterministic"
    np.testing.assert_array_equal(found["f.scale"], 0.7)
    np.testing.assert_array_equal(found["g.scale"], 0.7)
    assert f.smooth.num_linear == 1
    own = f.smooth.mode_coordinates
    spread = np.sqrt(1.0 + 0.49 * own.information)
    modes = own.rotation @ (0.7 / spread * values["f.modes_coordinates"])
    np.testing.assert_allclose(found["f.modes"], modes, rtol=1e-12)
    # The density is that of the sites that are drawn, without the priors of the scales replaced.
    expected = scipy.stats.gamma.logpdf(0.7, 3.0, scale=1 / 3)
    for name in "fg":
        linear = scipy.stats.norm(0.0, np.sqrt(1.0 + f.smooth.linear_coordinates.information))
        expected += linear.logpdf(values[f"{name}.linear_coordinates"]).sum()
        modes = scipy.stats.norm(0.0, spread)
        expected += modes.logpdf(values[f"{name}.modes_coordinates"]).sum()
    np.testing.assert_allclose(density, expected, rtol=1e-9)


def test_what_is_given_must_be_drawn():
    effect = ns.SplineEffect("f", BASIS)
    with pytest.raises(ValueError, match=r"given only what its prior draws.*got \['scal'\]"):
        numpyro.handlers.seed(lambda: effect.sample(scal=1.0), 0)()
    fixed = ns.SplineEffect("f", BASIS, ns.SmoothnessPrior(scale=1.0))
    with pytest.raises(ValueError, match="A scale that is fixed by a number is not drawn"):
        numpyro.handlers.seed(lambda: fixed.sample(scale=1.0), 0)()


@pytest.mark.parametrize("family", [ns.SmoothnessPrior, ns.RandomWalkPrior])
def test_the_prior_mean_is_the_reference_curve(family):
    """Whatever it is given as; without variation the curve is that, less its constant."""
    reference = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 8)).curve(np.arange(10.0) ** 2)
    weights = np.arange(10.0) ** 2
    level = np.ones(10) @ BASIS.gram(BASIS.measure(OBSERVED).observations) @ weights
    for mean in (reference, weights, lambda x: reference(x)):
        prior = family(scale=0.1, linear=0.1, mean=mean)
        effect = ns.SplineEffect("f", BASIS, prior, measure=OBSERVED)
        zero = {"modes_coordinates": np.zeros((1, 8)), "linear_coordinates": np.zeros((1, 1))}
        found = _coefficients(effect.smooth, zero)
        np.testing.assert_allclose(found[0], weights - level, rtol=1e-4, atol=1e-4)


def test_a_reference_curve_passes_through_compiled_code():
    effect = ns.SplineEffect("f", BASIS, ns.SmoothnessPrior(mean=np.sin))

    @jax.jit
    def coefficients(effect, key):
        with numpyro.handlers.seed(rng_seed=key):
            return effect.sample()(0.3)

    assert np.isfinite(coefficients(effect, jax.random.key(0)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ns.AdaptivePrior(0), ValueError, "`order` must be at least 1"),
        (lambda: ns.AdaptivePrior(num_local=3), ValueError, "`num_local` must be at least 4"),
        (lambda: ns.AdaptivePrior(local=1.0), TypeError, "`local` must be a smoothness prior"),
        (lambda: ns.HorseshoePrior(slab=0.0), ValueError, "`slab` must be a positive number"),
        (
            lambda: ns.SplineEffect("f", ns.NaturalBasis([0.0, 1.0, 2.0]), ns.AdaptivePrior()),
            TypeError,
            "must be a BSplineBasis, whose coefficients are in order",
        ),
        (
            lambda: ns.SplineEffect("f", BASIS, ns.AdaptivePrior(5)),
            ValueError,
            "`order` must be at most",
        ),
        (lambda: ns.scales.variance_partition("v", 1), ValueError, "`num` must be at least 2"),
        (
            lambda: ns.scales.variance_partition("v", 2, concentration=-1.0),
            ValueError,
            "`concentration` must be positive",
        ),
        (lambda: ns.scales.regularized_horseshoe("v", 2, 0.0), ValueError, "`global_scale`"),
        (
            lambda: ns.SmoothnessPrior(linear=1.0, linear_scale=dist.HalfNormal()),
            TypeError,
            "must not both be given",
        ),
        (
            lambda: ns.SmoothnessPrior(linear_scale=1.0),
            TypeError,
            "`linear_scale` must be a distribution; got 1.0",
        ),
        (
            lambda: ns.SplineEffect("f", BASIS, ns.SmoothnessPrior(mean=np.ones(3))),
            ValueError,
            "`mean` must be a function or 10 coefficients",
        ),
        (
            lambda: ns.SplineEffect("f", BASIS, ns.SmoothnessPrior(mean=lambda x: 1.0)),
            ValueError,
            "`mean` must give one number per point",
        ),
    ],
)
def test_bad_input_is_refused_clearly(make, error, message):
    with pytest.raises(error, match=message):
        make()
