"""Priors of shapes: what every draw is, what the mean draw is, and what the arguments mean."""

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from numpyro.infer import MCMC, NUTS, Predictive

import numpyro_splines as ns

POINTS = ns.knots.uniform(-1.0, 3.0, 7)
UNEVEN = np.array([-1.0, -0.9, 0.5, 0.7, 3.0])
OBSERVED = -1.0 + 4.0 * np.random.default_rng(3).beta(2.0, 5.0, 100)
GRID = np.linspace(-1.0, 3.0, 101)
NUM_DRAWS = 400
# g = 0: the plainest curve of each shape.
PLAIN = ns.RandomWalkPrior(order=1, scale=1e-4, centering=0.0)

BASES = {
    "cubic": ns.BSplineBasis(POINTS),
    "quadratic_uneven": ns.BSplineBasis(UNEVEN, degree=2),
    "quintic": ns.BSplineBasis(UNEVEN, degree=5),
    "p_spline": ns.BSplineBasis(knots=ns.knots.extended(POINTS, 3)),
    "constant": ns.BSplineBasis(POINTS, extrapolation=ns.extrapolation.Constant()),
}
MONOTONE = {
    "increasing": (ns.MonotonePrior(), 1, 0),
    "decreasing": (ns.MonotonePrior(False), -1, 0),
    "increasing_convex": (ns.MonotonePrior(curvature="convex"), 1, 1),
    "increasing_concave": (ns.MonotonePrior(curvature="concave"), 1, -1),
    "decreasing_convex": (ns.MonotonePrior(False, curvature="convex"), -1, 1),
    "decreasing_concave": (ns.MonotonePrior(False, curvature="concave"), -1, -1),
    "convex": (ns.ConvexPrior(), 0, 1),
    "concave": (ns.ConvexPrior(False), 0, -1),
}


def prior_curves(basis, prior, measure=None, num=NUM_DRAWS):
    effect = ns.SplineEffect("f", basis, prior, measure=measure)
    # Compiled as a whole, which is much faster than operation by operation.
    draws = jax.jit(Predictive(effect.sample, num_samples=num))(jax.random.key(0))
    return effect.curve(draws), {k: np.asarray(v) for k, v in draws.items()}


def derivative(curve, order, x):
    return np.asarray(jax.jit(lambda f, x: f.derivative(order)(x))(curve, x))


def has_sign(values, sign):
    """Up to float64 rounding: of coefficients of order one, divided by gaps of 0.1 twice."""
    return np.all(sign * values >= -1e-11 * np.abs(values).max())


@pytest.mark.parametrize("name", list(MONOTONE))
@pytest.mark.parametrize("basis", list(BASES))
@pytest.mark.usefixtures("x64")
def test_every_draw_has_the_shape(basis, name):
    prior, slope, curvature = MONOTONE[name]
    curve, _ = prior_curves(BASES[basis], prior, OBSERVED)
    # Linear and constant continuations keep the sign of the slope.
    wide = np.linspace(-3.0, 5.0, 81)
    if slope:
        assert has_sign(derivative(curve, 1, wide), slope)
    if curvature:
        assert has_sign(derivative(curve, 2, GRID), curvature)


@pytest.mark.parametrize("basis", list(BASES))
@pytest.mark.parametrize("name", ["increasing", "decreasing_convex", "convex"])
def test_curves_are_centered_where_nothing_places_them(basis, name):
    _, draws = prior_curves(BASES[basis], MONOTONE[name][0], OBSERVED)
    coefficients = draws["f.coefficients"]
    mean = coefficients @ BASES[basis].gram(OBSERVED).sum(axis=0)
    np.testing.assert_allclose(mean, 0.0, atol=4e-6 * np.abs(coefficients).max())


def test_without_variation_monotone_curves_are_lines_and_convex_ones_parabolas():
    line, draws = prior_curves(BASES["cubic"], ns.MonotonePrior(smooth=PLAIN, start=0.0))
    expected = draws["f.rise"][:, None] * (GRID + 1.0) / 4.0
    np.testing.assert_allclose(line(GRID), expected, atol=1e-3)
    bent, draws = prior_curves(BASES["cubic"], ns.ConvexPrior(smooth=PLAIN), OBSERVED)
    mu = BASES["cubic"].measure(OBSERVED)
    # Orthogonal polynomials in L2(mu) by least squares.
    root = np.sqrt(mu.weights)[:, None]
    powers, grid = np.vander(mu.points, 3), np.vander(GRID, 3)
    parts = []
    for k in (1, 2):
        lower = powers[:, 3 - k :]
        fit = np.linalg.lstsq(root * lower, root[:, 0] * powers[:, 2 - k], rcond=None)[0]
        size = np.sqrt(mu.weights @ (powers[:, 2 - k] - lower @ fit) ** 2)
        parts.append((grid[:, 2 - k] - grid[:, 3 - k :] @ fit) / size)
    expected = draws["f.slope"][:, None] * parts[0] + draws["f.bend"][:, None] * parts[1]
    np.testing.assert_allclose(bent(GRID), expected, atol=2e-2)


def test_rise_and_bend_are_what_they_say():
    curve, draws = prior_curves(BASES["p_spline"], ns.MonotonePrior(rise=dist.Gamma(4.0, 2.0)))
    rise = np.asarray(curve(3.0) - curve(-1.0))
    np.testing.assert_allclose(rise, draws["f.rise"], rtol=1e-4)
    # One Kolmogorov-Smirnov test at 1e-4.
    assert scipy.stats.kstest(rise, scipy.stats.gamma(4.0, scale=0.5).cdf).pvalue > 1e-4
    bent, draws = prior_curves(BASES["cubic"], ns.ConvexPrior(bend=2.0, slope=1e-6), OBSERVED)
    coefficients = draws["f.coefficients"].astype(float)
    gram = BASES["cubic"].gram(OBSERVED)
    rms = np.sqrt(np.einsum("ni,ij,nj->n", coefficients, gram, coefficients))
    np.testing.assert_allclose(rms, 2.0, rtol=1e-4)
    assert bent.batch_shape == (NUM_DRAWS,)


def test_start_and_finish_place_the_curve():
    basis = BASES["cubic"]
    curve, _ = prior_curves(basis, ns.MonotonePrior(False, start=2.0, finish=-1.0))
    np.testing.assert_allclose(curve([-1.0, 3.0]), [[2.0, -1.0]] * NUM_DRAWS, atol=1e-5)
    curve, draws = prior_curves(basis, ns.MonotonePrior(finish=dist.Normal(5.0, 1.0)))
    np.testing.assert_allclose(curve(3.0), draws["f.finish"], rtol=1e-5)


@pytest.mark.usefixtures("x64")
def test_integrated_bases_take_the_same_priors():
    """I-splines start at zero, C-splines at zero and flat; the curves are those on B-splines."""
    i_spline, b_spline = ns.ISplineBasis(POINTS, degree=2), BASES["cubic"]
    plain, _ = prior_curves(i_spline, ns.MonotonePrior())
    placed, _ = prior_curves(b_spline, ns.MonotonePrior(start=0.0))
    np.testing.assert_allclose(plain(GRID), placed(GRID), atol=1e-5)
    for degree in (1, 3):
        curve, draws = prior_curves(ns.CSplineBasis(POINTS, degree=degree), ns.ConvexPrior())
        assert np.all(draws["f.coefficients"] >= -1e-9 * draws["f.coefficients"].max())
        assert has_sign(np.asarray(curve.derivative(2)(GRID)), 1)


@pytest.mark.parametrize(
    ("basis", "prior"),
    [
        (ns.BSplineBasis(UNEVEN), ns.PositivePrior()),
        (ns.MSplineBasis(UNEVEN), ns.PositivePrior()),
        (ns.MSplineBasis(UNEVEN), ns.SimplexPrior()),
    ],
)
def test_positive_curves_are_positive(basis, prior):
    curve, draws = prior_curves(basis, prior)
    assert np.all(np.asarray(curve(GRID)) > 0.0)
    if "f.level" in draws:
        plain, draws = prior_curves(basis, ns.PositivePrior(smooth=PLAIN))
        expected = np.broadcast_to(draws["f.level"][:, None], (NUM_DRAWS, GRID.size))
        np.testing.assert_allclose(plain(GRID), expected, rtol=2e-3)


def test_simplex_curves_are_densities_and_distribution_functions():
    density, _ = prior_curves(ns.MSplineBasis(UNEVEN), ns.SimplexPrior())
    np.testing.assert_allclose(density.integrate(-1.0, 3.0), 1.0, rtol=1e-5)
    function, _ = prior_curves(ns.ISplineBasis(UNEVEN), ns.SimplexPrior())
    np.testing.assert_allclose(function([-1.0, 3.0]), [[0.0, 1.0]] * NUM_DRAWS, atol=1e-6)
    np.testing.assert_allclose(
        function.derivative()(GRID[:-1]), density(GRID[:-1]), rtol=2e-4, atol=1e-4
    )
    uniform, _ = prior_curves(ns.MSplineBasis(UNEVEN), ns.SimplexPrior(PLAIN))
    np.testing.assert_allclose(uniform(GRID), 0.25, rtol=2e-3)


def test_gradients_stay_finite_where_exponentials_overflow():
    effect = ns.SplineEffect("f", BASES["cubic"], ns.MonotonePrior(start=0.0))
    simplex = ns.SplineEffect("f", ns.MSplineBasis(POINTS), ns.SimplexPrior())

    def value(modes, effect):
        sites = {"f.modes_decentered": modes, "f.scale": 300.0, "f.rise": 1.0}
        with numpyro.handlers.substitute(data=sites):
            return effect.sample()(0.3)

    for f, num in ((effect, 7), (simplex, 8)):
        modes = np.linspace(-2.0, 2.0, num, dtype=np.float32)
        at, slope = jax.value_and_grad(value)(modes, f)
        assert np.isfinite(at)
        assert np.all(np.isfinite(slope))


def test_nuts_with_latent_inputs_finds_a_monotone_curve():
    rng = np.random.default_rng(0)
    x = rng.uniform(0.0, 1.0, 120)
    w, y = x + rng.normal(0.0, 0.05, 120), np.tanh(4 * (x - 0.4)) + rng.normal(0.0, 0.15, 120)
    basis = ns.BSplineBasis(ns.knots.uniform(-0.1, 1.1, 7))
    f = ns.SplineEffect("f", basis, ns.MonotonePrior(rise=dist.HalfNormal(3.0)), measure=w)

    def model():
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        level = numpyro.sample("level", dist.Normal(0.0, 2.0))
        curve = f.sample()
        with numpyro.plate("obs", 120):
            latent = numpyro.sample("x", dist.Uniform(-0.1, 1.1))
            numpyro.sample("w", dist.Normal(latent, 0.05), obs=w)
            numpyro.sample("y", dist.Normal(level + curve(latent), sigma), obs=y)

    mcmc = MCMC(
        NUTS(model), num_warmup=300, num_samples=300, num_chains=2,
        chain_method="vectorized", progress_bar=False,
    )  # fmt: skip
    mcmc.run(jax.random.key(0))
    draws = mcmc.get_samples(group_by_chain=True)
    grid = np.linspace(0.1, 0.9, 9)
    values = np.asarray(f.curve(draws)(grid) + draws["level"][..., None]).reshape(-1, 9)
    truth = np.tanh(4 * (grid - 0.4))
    # Nine values, each within four posterior standard deviations.
    assert np.all(np.abs(values.mean(0) - truth) < 4 * values.std(0))
    assert int(mcmc.get_extra_fields()["diverging"].sum()) <= 3


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ns.MonotonePrior(curvature="up"), ValueError, "`curvature` must be None"),
        (lambda: ns.MonotonePrior(rise=-1.0), ValueError, "`rise` must be a positive number"),
        (lambda: ns.MonotonePrior(rise=dist.Normal()), ValueError, "`rise`.*positive"),
        (lambda: ns.MonotonePrior(start=1.0, finish=0.0), ValueError, "must be increasing; got 1"),
        (lambda: ns.MonotonePrior(start=dist.Normal(), finish=0.0), TypeError, "both be numbers"),
        (lambda: ns.MonotonePrior(straight=0.5), TypeError, "`straight` must be a distribution"),
        (lambda: ns.ConvexPrior(smooth=ns.MonotonePrior()), TypeError, "`smooth` must be a smooth"),
        (lambda: ns.PositivePrior(level=-1.0), ValueError, "`level` must be a positive number"),
        (
            lambda: ns.SplineEffect("f", ns.BSplineBasis(POINTS, degree=1), ns.ConvexPrior()),
            TypeError,
            "B-splines of degree 2 or higher",
        ),
        (
            lambda: ns.SplineEffect("f", ns.NaturalBasis(POINTS), ns.MonotonePrior()),
            TypeError,
            "must hold all splines of this shape",
        ),
        (
            lambda: ns.SplineEffect("f", ns.ISplineBasis(POINTS), ns.MonotonePrior(start=0.0)),
            ValueError,
            "`start` and `finish` must be None",
        ),
        (
            lambda: ns.SplineEffect(
                "f", ns.CSplineBasis(POINTS), ns.MonotonePrior(curvature="convex")
            ),
            TypeError,
            "needs a basis that holds straight lines",
        ),
        (
            lambda: ns.SplineEffect("f", ns.BSplineBasis(POINTS), ns.SimplexPrior()),
            TypeError,
            "must be an MSplineBasis or an ISplineBasis",
        ),
        (
            lambda: ns.SplineEffect("f", ns.ISplineBasis(POINTS), ns.PositivePrior()),
            TypeError,
            "must be a BSplineBasis or an MSplineBasis",
        ),
        (
            lambda: ns.SplineEffect("f", ns.NaturalBasis(POINTS), ns.SimplexPrior()),
            TypeError,
            "must be an MSplineBasis, or an ISplineBasis; got NaturalBasis",
        ),
    ],
)
def test_bad_input_is_refused_clearly(make, error, message):
    with pytest.raises(error, match=message):
        make()
