"""Priors of shapes: what every draw is, what the mean draw is, and what the arguments mean.

What they draw is a law: see tests/laws/test_prior_sites.py. Here the documented sites, drawn by
NumPy, are pushed through the priors, on bases of nine functions each: one program per prior.
"""

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from cases import POINTS, SKEWED, prior_case
from numpyro.infer import MCMC, NUTS
from scipy.interpolate import BSpline

import numpyro_splines as ns

UNEVEN = np.array([-1.0, -0.9, 0.5, 0.7, 3.0])
GRID = np.linspace(-1.0, 3.0, 101)
# Linear and constant continuations keep the sign of the slope.
WIDE = np.linspace(-3.0, 5.0, 81)
NUM_DRAWS = 400
# g = 0 but for 1e-4: the plainest curve of each shape.
PLAIN = ns.RandomWalkPrior(order=1, scale=1e-4)

BASES = {
    "cubic": ns.BSplineBasis(POINTS),
    "quadratic_uneven": ns.BSplineBasis([-1.0, -0.9, -0.5, 0.5, 0.6, 0.7, 2.0, 3.0], degree=2),
    "quintic": ns.BSplineBasis(UNEVEN, degree=5),
    "p_spline": ns.BSplineBasis(knots=ns.knots.extended(POINTS, 3)),
    "constant": ns.BSplineBasis(POINTS, extrapolation=ns.extrapolation.Constant()),
}
# The sign of the slope, and of the second derivative.
SHAPES = {
    "increasing": (1, 0),
    "decreasing": (-1, 0),
    "increasing_convex": (1, 1),
    "increasing_concave": (1, -1),
    "decreasing_convex": (-1, 1),
    "decreasing_concave": (-1, -1),
    "convex": (0, 1),
    "concave": (0, -1),
}


@jax.jit
def _coefficients(smooth, sites):
    def one(values):
        with numpyro.handlers.substitute(data=values):
            return smooth.sample(lambda name: name)

    return jax.vmap(one)(sites)


def coefficients(basis, prior, sites, measure=None, dtype=np.float32):
    """Of a prior on a basis, from its sites by their short names."""
    smooth = ns.SplineEffect("f", basis, prior, measure=measure).smooth
    sites = {name: np.asarray(value, dtype) for name, value in sites.items()}
    return np.asarray(_coefficients(smooth, sites))


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=(NUM_DRAWS, *shape))


def scipy_values(basis, weights, x):
    """A B-spline curve by SciPy, one row for each draw."""
    return BSpline(np.asarray(basis.knots), weights.T.astype(float), basis.degree)(x).T


@jax.jit
def _values(basis, weights, x):
    return basis.curve(weights)(x)


def values(basis, weights, x):
    # In the dtype of the weights: JAX would reuse what it knows of an array of the other precision.
    return np.asarray(_values(basis, weights, np.asarray(x, weights.dtype)))


@jax.jit
def derivatives(basis, weights):
    curve = basis.curve(weights)
    return curve.derivative()(WIDE), curve.derivative(2)(GRID)


def has_sign(values, sign):
    """Up to float64 rounding: of coefficients of order one, divided by gaps of 0.1 twice."""
    values = np.asarray(values)
    return np.all(sign * values >= -1e-11 * np.abs(values).max())


@pytest.mark.parametrize("name", list(SHAPES))
@pytest.mark.parametrize("basis", list(BASES))
@pytest.mark.usefixtures("x64")
def test_every_draw_has_the_shape(basis, name):
    (slope, curvature), case = SHAPES[name], prior_case(name)
    weights = coefficients(BASES[basis], case.prior, case.draw(NUM_DRAWS), SKEWED, np.float64)
    slopes, bends = derivatives(BASES[basis], weights)
    if slope:
        assert has_sign(slopes, slope)
    if curvature:
        assert has_sign(bends, curvature)


@pytest.mark.parametrize("basis", list(BASES))
@pytest.mark.parametrize("name", ["increasing", "decreasing_convex", "convex"])
def test_curves_are_centered_where_nothing_places_them(basis, name):
    case = prior_case(name)
    weights = coefficients(BASES[basis], case.prior, case.draw(NUM_DRAWS), SKEWED)
    observed = BASES[basis].measure(SKEWED).observations
    mean = weights @ BASES[basis].gram(observed).sum(axis=0)
    np.testing.assert_allclose(mean, 0.0, atol=4e-6 * np.abs(weights).max())


def test_without_variation_monotone_curves_are_lines_and_convex_ones_parabolas():
    basis, rise, bend = BASES["cubic"], np.abs(drawn()), np.abs(drawn(seed=1))
    sites = {"modes_coordinates": drawn(7), "rise": rise}
    line = coefficients(basis, ns.MonotonePrior(smooth=PLAIN, start=0.0), sites)
    expected = rise[:, None] * (GRID + 1.0) / 4.0
    np.testing.assert_allclose(scipy_values(basis, line, GRID), expected, atol=1e-3)
    sites = {"modes_coordinates": drawn(6), "bend": bend, "slope": drawn(seed=2)}
    bent = coefficients(basis, ns.ConvexPrior(smooth=PLAIN), sites, SKEWED)
    mu = basis.measure(SKEWED)
    # Polynomials orthogonal at the observations, by least squares, of length one in L2(mu).
    root = np.sqrt(mu.observed)[:, None]
    powers, grid = np.vander(mu.points, 3), np.vander(GRID, 3)
    parts = []
    for k in (1, 2):
        lower = powers[:, 3 - k :]
        fit = np.linalg.lstsq(root * lower, root[:, 0] * powers[:, 2 - k], rcond=None)[0]
        size = np.sqrt(mu.weights @ (powers[:, 2 - k] - lower @ fit) ** 2)
        parts.append((grid[:, 2 - k] - grid[:, 3 - k :] @ fit) / size)
    expected = sites["slope"][:, None] * parts[0] + bend[:, None] * parts[1]
    np.testing.assert_allclose(scipy_values(basis, bent, GRID), expected, atol=2e-2)


def test_rise_and_bend_are_what_they_say():
    """Their distributions are those of the sites; see tests/laws/test_prior_sites.py."""
    basis, case = BASES["p_spline"], prior_case("increasing")
    sites = case.draw(NUM_DRAWS)
    ends = scipy_values(basis, coefficients(basis, case.prior, sites), [-1.0, 3.0])
    np.testing.assert_allclose(ends[:, 1] - ends[:, 0], sites["rise"], rtol=1e-4)
    basis, sites = BASES["cubic"], prior_case("convex").draw(NUM_DRAWS)
    del sites["bend"]
    weights = coefficients(
        basis,
        ns.ConvexPrior(bend=2.0, slope=1e-6),
        {**sites, "slope": 0.0 * sites["slope"]},
        SKEWED,
    )
    rms = np.sqrt(np.einsum("ni,ij,nj->n", weights, basis.gram(SKEWED), weights))
    np.testing.assert_allclose(rms, 2.0, rtol=1e-4)


def test_start_and_finish_place_the_curve():
    basis, ends = BASES["cubic"], [-1.0, 3.0]
    sites = {"scale": np.abs(drawn()), "modes_coordinates": drawn(7)}
    weights = coefficients(basis, ns.MonotonePrior("decreasing", start=2.0, finish=-1.0), sites)
    placed = scipy_values(basis, weights, ends)
    np.testing.assert_allclose(placed, [[2.0, -1.0]] * NUM_DRAWS, atol=1e-5)
    case = prior_case("monotone_placed")
    sites = case.draw(NUM_DRAWS)
    weights = coefficients(basis, case.prior, sites)
    np.testing.assert_allclose(
        scipy_values(basis, weights, 3.0), sites["finish"], rtol=1e-5, atol=1e-5
    )


@pytest.mark.usefixtures("x64")
def test_integrated_bases_take_the_same_priors():
    """I-splines start at zero, C-splines at zero and flat; the curves are those on B-splines."""
    sites = prior_case("increasing").draw(NUM_DRAWS)
    i_spline, b_spline = ns.ISplineBasis(POINTS, degree=2), BASES["cubic"]
    plain = coefficients(i_spline, ns.MonotonePrior(), sites, dtype=np.float64)
    placed = coefficients(b_spline, ns.MonotonePrior(start=0.0), sites, dtype=np.float64)
    expected = scipy_values(b_spline, placed, GRID)
    np.testing.assert_allclose(values(i_spline, plain, GRID), expected, atol=1e-5)
    for degree in (1, 3):
        basis = ns.CSplineBasis(POINTS, degree=degree)
        num = basis.num_coefficients - 1
        sites = {"scale": np.abs(drawn()), "modes_coordinates": drawn(num), "bend": np.abs(drawn())}
        weights = coefficients(basis, ns.ConvexPrior(), sites, dtype=np.float64)
        assert np.all(weights >= -1e-9 * weights.max())
        assert has_sign(derivatives(basis, weights)[1], 1)


@pytest.mark.parametrize(
    ("basis", "name"),
    [
        (ns.BSplineBasis(UNEVEN, extrapolation=ns.extrapolation.Constant()), "positive"),
        (ns.MSplineBasis(UNEVEN), "positive_m_splines"),
        (ns.MSplineBasis(UNEVEN), "simplex"),
    ],
)
def test_positive_curves_are_positive(basis, name):
    num = basis.num_coefficients - 1
    sites = {"scale": np.abs(drawn()), "modes_coordinates": drawn(num), "level": np.exp(drawn())}
    prior = prior_case(name).prior
    curve = values(basis, coefficients(basis, prior, sites), GRID)
    assert np.all(np.asarray(curve) > 0.0)
    if isinstance(prior, ns.PositivePrior):
        plain = coefficients(basis, ns.PositivePrior(smooth=PLAIN), sites)
        expected = np.broadcast_to(sites["level"][:, None], (NUM_DRAWS, GRID.size))
        np.testing.assert_allclose(values(basis, plain, GRID), expected, rtol=2e-3)


def test_densities_end_and_distribution_functions_stay():
    """Outside the domain, in the default continuation of these bases."""
    outside = np.array([-4.0, -1.0 - 1e-6, 3.0 + 1e-6, 9.0])
    for basis, values_outside in (
        (ns.MSplineBasis(UNEVEN), [0.0, 0.0, 0.0, 0.0]),
        (ns.ISplineBasis(UNEVEN), [0.0, 0.0, 1.0, 1.0]),
    ):
        num = basis.num_coefficients
        curve = basis.curve(np.full(num, 1.0 / num))
        np.testing.assert_allclose(curve(outside), values_outside, atol=1e-6)


def test_a_rule_of_ones_own_may_continue_a_positive_curve():
    class Halved(ns.extrapolation.AbstractExtrapolation):
        def row(self, rows, side):
            return 0.5 * ns.extrapolation.Constant().row(rows, side)

    basis = ns.BSplineBasis(UNEVEN, extrapolation=Halved())
    f = ns.SplineEffect("f", basis, ns.PositivePrior(level=2.0))
    with numpyro.handlers.seed(rng_seed=0):
        curve = f.sample()
    np.testing.assert_allclose(curve(9.0), 0.5 * curve(3.0), rtol=1e-3)  # float32, a small end


def test_simplex_curves_are_densities_and_distribution_functions():
    density, function = ns.MSplineBasis(UNEVEN), ns.ISplineBasis(UNEVEN)
    num = density.num_coefficients
    sites = {"scale": np.abs(drawn()), "modes_coordinates": drawn(num - 1)}
    weights = coefficients(density, ns.SimplexPrior(), sites)
    share = coefficients(function, ns.SimplexPrior(), sites)
    assert share.shape == weights.shape

    @jax.jit
    def all_of_them(weights, share):
        f, cumulated = density.curve(weights), function.curve(share)
        inside = GRID[:-1]
        return (
            f.integrate(-1.0, 3.0),
            f(inside),
            cumulated([-1.0, 3.0]),
            cumulated.derivative()(inside),
        )

    total, at, ends, slope = all_of_them(weights, share)
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)
    np.testing.assert_allclose(ends, [[0.0, 1.0]] * NUM_DRAWS, atol=1e-6)
    np.testing.assert_allclose(slope, at, rtol=2e-4, atol=1e-4)
    uniform = coefficients(density, ns.SimplexPrior(PLAIN), sites)
    np.testing.assert_allclose(values(density, uniform, GRID), 0.25, rtol=2e-3)


def test_gradients_stay_finite_where_exponentials_overflow():
    effect = ns.SplineEffect("f", BASES["cubic"], ns.MonotonePrior(start=0.0))
    simplex = ns.SplineEffect("f", ns.MSplineBasis(POINTS), ns.SimplexPrior())

    def value(modes, effect):
        sites = {"f.modes_coordinates": modes, "f.scale": 300.0, "f.rise": 1.0}
        with numpyro.handlers.substitute(data=sites):
            return effect.sample()(0.3)

    for f, num in ((effect, 7), (simplex, 8)):
        modes = np.linspace(-2.0, 2.0, num, dtype=np.float32)
        at, slope = jax.jit(jax.value_and_grad(value))(modes, f)
        assert np.isfinite(at)
        assert np.all(np.isfinite(slope))


@pytest.mark.slow
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
        (lambda: ns.MonotonePrior(curvature="up"), ValueError, '`curvature` must be "convex" or'),
        (lambda: ns.MonotonePrior(False), ValueError, '`direction` must be "increasing" or'),
        (lambda: ns.ConvexPrior("up"), ValueError, '`curvature` must be "convex" or'),
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
        (
            lambda: ns.SplineEffect("f", ns.BSplineBasis(POINTS), ns.PositivePrior()),
            ValueError,
            r"negative outside.*got .*Linear\(\) on the left.*extrapolation=Constant\(\)",
        ),
        (
            lambda: ns.SplineEffect(
                "f",
                ns.ISplineBasis(
                    POINTS, extrapolation=(ns.extrapolation.Zero(), ns.extrapolation.Polynomial())
                ),
                ns.SimplexPrior(),
            ),
            ValueError,
            r"Zero\(\) on the left and Polynomial\(\) on the right.*extrapolation=Constant\(\)",
        ),
    ],
)
def test_bad_input_is_refused_clearly(make, error, message):
    with pytest.raises(error, match=message):
        make()
