"""Adaptive random walks, joint priors of scales, double penalties and reference curves."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from numpyro.infer import Predictive
from test_priors import BASES, ERRORS, NUM_DRAWS, OBSERVED, dense_covariance

import numpyro_splines as ns
from numpyro_splines.ops.penalties import difference_matrix

BASIS = BASES["cubic"]


def draw(model, num=NUM_DRAWS):
    draws = jax.jit(Predictive(model, num_samples=num))(jax.random.key(1))
    return {name: np.asarray(value, dtype=float) for name, value in draws.items()}


@pytest.mark.parametrize("name", ["cubic", "quadratic_uneven", "p_spline"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_equal_steps_are_the_random_walk_of_that_order(name, order):
    basis = BASES[name]
    lower, upper = basis.domain
    measure = lower + (upper - lower) * OBSERVED
    tiny = ns.RandomWalkPrior(order=1, scale=1e-4, centering=0.0)
    adaptive = ns.AdaptivePrior(order, scale=0.7, linear=2.0, local=tiny)
    effect = ns.SplineEffect("f", basis, adaptive, measure=measure)
    coefficients = draw(effect.sample)["f.coefficients"]
    walk = ns.RandomWalkPrior(order, scale=0.7, linear=2.0)
    expected = dense_covariance(basis, walk, measure, 0.7, 2.0)
    design = np.asarray(basis(np.linspace(*basis.domain, 9)), dtype=float)
    variance = np.einsum("ij,jk,ik->i", design, expected, design)
    sample = np.mean((coefficients @ design.T) ** 2, axis=0)
    np.testing.assert_allclose(sample / variance, 1.0, atol=ERRORS * np.sqrt(2.0 / NUM_DRAWS))


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("order", [1, 2])
def test_differences_are_steps_times_their_local_size(degree, order):
    points = np.concatenate([np.linspace(0.0, 1.0, 9), [1.5, 2.5]])
    basis = ns.BSplineBasis(points, degree=degree)
    effect = ns.SplineEffect("f", basis, ns.AdaptivePrior(order, num_local=6))
    draws = draw(effect.sample, num=20)
    matrix = difference_matrix(np.asarray(basis.knots), degree, order)
    differences = draws["f.coefficients"] @ matrix.T
    local = ns.BSplineBasis(ns.knots.uniform(0.0, 2.5, 4))
    prior = ns.SplineEffect("f.local", local, ns.RandomWalkPrior(order=1, centering=0.0))
    log_size = prior.curve({"f.local.coefficients": _local_coefficients(prior, draws)})
    # Where the step is: the middle of the support of the B-splines of the derivative.
    knots = np.asarray(basis.knots)
    num = basis.num_coefficients - order
    places = (knots[order:][:num] + knots[degree + 1 :][:num]) / 2
    sizes = draws["f.scale"][:, None] * np.exp(np.asarray(log_size(places)))
    ratio = differences / (sizes * draws["f.steps"])
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=2e-2)


def _local_coefficients(prior, draws):
    spectrum = prior.prepared.spectrum
    weighted = spectrum.modes * spectrum.standard_deviations
    return draws["f.local.modes"] @ weighted.T


def test_horseshoe_steps():
    prior = ns.HorseshoePrior(order=1, scale=0.5, slab=10.0)
    effect = ns.SplineEffect("f", BASIS, prior)
    ones = jnp.ones(BASIS.num_coefficients - 1)
    given = draw(lambda: effect.sample(local=ones))["f.coefficients"]
    walk = ns.RandomWalkPrior(1, scale=0.5)
    expected = dense_covariance(BASIS, walk, None, 0.5, 1.0) * 100.0 / 101.0
    design = np.asarray(BASIS(np.linspace(0.0, 1.0, 9)), dtype=float)
    variance = np.einsum("ij,jk,ik->i", design, expected, design)
    sample = np.mean((given @ design.T) ** 2, axis=0)
    np.testing.assert_allclose(sample / variance, 1.0, atol=ERRORS * np.sqrt(2.0 / NUM_DRAWS))
    # No step is above the slab; the local sizes are half-Cauchy (one test at 1e-4).
    free = draw(effect.sample)
    steps = free["f.coefficients"] @ difference_matrix(np.asarray(BASIS.knots), 3, 1).T
    unit = np.median(np.abs(given @ difference_matrix(np.asarray(BASIS.knots), 3, 1).T))
    assert np.quantile(np.abs(steps), 0.9999) < 10.0 * unit * 8.0
    assert scipy.stats.kstest(free["f.local"][:, 0], scipy.stats.halfcauchy.cdf).pvalue > 1e-4


def test_gradients_of_the_horseshoe_are_finite_at_extreme_local_sizes():
    effect = ns.SplineEffect("f", BASIS, ns.HorseshoePrior())

    def value(local):
        sites = {"f.local": local, "f.steps": jnp.ones(9), "f.scale": 0.1}
        with numpyro.handlers.substitute(data=sites):
            return effect.sample()(0.3)

    for size in (1e-30, 1e30):
        assert np.all(np.isfinite(jax.grad(value)(jnp.full(9, size))))


def test_variance_partition():
    draws = draw(lambda: numpyro.deterministic("tau", ns.variance_partition("all", 3)))
    assert set(draws) == {"tau", "all.total", "all.shares"}
    squares = draws["tau"] ** 2
    np.testing.assert_allclose(squares.sum(-1), draws["all.total"] ** 2, rtol=1e-5)
    # Dirichlet(1, 1, 1) has Beta(1, 2) margins; two tests at 1e-4.
    share = squares[:, 1] / squares.sum(-1)
    assert scipy.stats.kstest(share, scipy.stats.beta(1, 2).cdf).pvalue > 1e-4
    assert scipy.stats.kstest(draws["all.total"], scipy.stats.halfnorm.cdf).pvalue > 1e-4
    few = draw(lambda: ns.variance_partition("all", 3, 2.0, concentration=[0.1, 1.0, 5.0]))
    np.testing.assert_allclose(few["all.shares"].mean(0), np.array([0.1, 1, 5]) / 6.1, atol=0.01)


def test_horseshoe_over_effects():
    model = lambda: numpyro.deterministic(  # noqa: E731
        "tau", ns.regularized_horseshoe("all", 4, 0.1, slab=2.0)
    )
    draws = draw(model)
    raw = draws["all.global"][:, None] * draws["all.local"]
    np.testing.assert_allclose(1 / draws["tau"] ** 2, 1 / raw**2 + 0.25, rtol=1e-4)
    assert np.all(draws["tau"] <= 2.0 * (1 + 1e-6))
    half_cauchy = scipy.stats.halfcauchy(scale=0.1).cdf
    assert scipy.stats.kstest(draws["all.global"], half_cauchy).pvalue > 1e-4


def test_one_scale_for_several_effects():
    f, g = (ns.SplineEffect(name, BASIS, measure=OBSERVED) for name in "fg")

    def model():
        tau = numpyro.sample("tau", dist.Gamma(3.0, 3.0))
        f.sample(scale=tau)
        with numpyro.plate("groups", 2):
            assert g.sample(scale=tau).batch_shape == (2,)

    traced = numpyro.handlers.trace(numpyro.handlers.seed(model, 0)).get_trace()
    kinds = {name: site["type"] for name, site in traced.items() if name.endswith("scale")}
    assert kinds == {"f.scale": "deterministic", "g.scale": "deterministic"}
    draws = draw(model)
    np.testing.assert_array_equal(draws["f.scale"], draws["tau"])
    standard = draws["f.modes"] / draws["tau"][:, None]
    assert min(scipy.stats.kstest(z, "norm").pvalue for z in standard.T) > 1e-5
    # The density is that of the sites that are drawn, without the priors of the scales replaced.
    values = {k: jnp.asarray(v[0]) for k, v in draws.items() if traced[k]["type"] == "sample"}
    log_density, _ = numpyro.infer.util.log_density(model, (), {}, values)
    by_hand = scipy.stats.gamma.logpdf(draws["tau"][0], 3.0, scale=1 / 3)
    for name, value in values.items():
        if name not in ("tau", "groups"):
            own = traced[name]["fn"]
            if "modes" in name:
                own = dist.Normal(0.0, draws["tau"][0] ** _power(f))
            by_hand += float(jnp.sum(own.log_prob(value)))
    np.testing.assert_allclose(log_density, by_hand, rtol=1e-4)


def _power(effect):
    return np.asarray(effect.prepared.centering)


def test_what_is_given_must_be_drawn():
    effect = ns.SplineEffect("f", BASIS)
    with pytest.raises(ValueError, match=r"given only what its prior draws.*got \['scal'\]"):
        numpyro.handlers.seed(lambda: effect.sample(scal=1.0), 0)()
    fixed = ns.SplineEffect("f", BASIS, ns.SmoothnessPrior(scale=1.0))
    with pytest.raises(ValueError, match="A scale that is fixed by a number is not drawn"):
        numpyro.handlers.seed(lambda: fixed.sample(scale=1.0), 0)()


@pytest.mark.parametrize("centering", [0.0, 1.0, None])
def test_a_double_penalty_shrinks_the_line_too(centering):
    prior = ns.SmoothnessPrior(
        order=3, linear_scale=dist.Gamma(2.0, 2.0), scale=0.1, centering=centering
    )
    effect = ns.SplineEffect("f", BASIS, prior, measure=OBSERVED)
    draws = draw(effect.sample)
    assert draws["f.linear"].shape == (NUM_DRAWS, 2)
    standard = draws["f.linear"] / draws["f.linear_scale"][:, None]
    assert min(scipy.stats.kstest(z, "norm").pvalue for z in standard.T) > 1e-5
    gamma = scipy.stats.gamma(2.0, scale=0.5).cdf
    assert scipy.stats.kstest(draws["f.linear_scale"], gamma).pvalue > 1e-5


@pytest.mark.parametrize("family", [ns.SmoothnessPrior, ns.RandomWalkPrior])
def test_the_prior_mean_is_the_reference_curve(family):
    reference = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 8)).curve(np.arange(10.0) ** 2)
    coefficients = np.arange(10.0) ** 2
    level = float(reference(OBSERVED).mean() * 0.99 + 0.01 * reference.integrate(0.0, 1.0))
    for mean in (reference, coefficients, lambda x: reference(x)):
        prior = family(scale=0.1, linear=0.1, mean=mean)
        effect = ns.SplineEffect("f", BASIS, prior, measure=OBSERVED)
        drawn = draw(effect.sample, 4000)["f.coefficients"]
        error = drawn.std(0) / np.sqrt(4000)
        np.testing.assert_array_less(
            np.abs(drawn.mean(0) - (coefficients - level)), ERRORS * error + 1e-3
        )


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
        (lambda: ns.variance_partition("v", 1), ValueError, "`num` must be at least 2"),
        (
            lambda: ns.variance_partition("v", 2, concentration=-1.0),
            ValueError,
            "`concentration` must be positive",
        ),
        (lambda: ns.regularized_horseshoe("v", 2, 0.0), ValueError, "`global_scale`"),
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
