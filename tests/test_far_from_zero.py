"""Knots far from zero for their spacing (Julian days, Unix time), and many periods from the first.

Known inputs are moved in float64 before they are rounded, so float32 loses nothing.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr
from scipy.interpolate import BSpline

import numpyro_splines as ns
from numpyro_splines import plotting
from numpyro_splines import posterior as po

# Julian days, Unix seconds, a wavelength near 1000, below zero; (start, width).
PLACES = [(2.46e6, 30.0), (1.7e9, 3600.0), (1.7e9, 60.0), (1000.0, 1e-5), (-2.46e6, 1.0)]
COEFFICIENTS = np.random.default_rng(0).normal(size=12)
SHARES = np.random.default_rng(1).uniform(size=64)


def at(place):
    """Breakpoints, points and the same spline for SciPy."""
    start, width = place
    breakpoints = np.linspace(start, start + width, 10)
    spline = BSpline(ns.knots.clamped(breakpoints, 3), COEFFICIENTS, 3)
    return breakpoints, start + width * SHARES, spline


@pytest.mark.parametrize("place", PLACES)
def test_curves_keep_their_digits(place, precision):
    breakpoints, x, spline = at(place)
    curve = ns.BSplineBasis(breakpoints).curve(COEFFICIENTS)
    # In float64 what is left is the rounding of x itself, as a share of a gap.
    share = np.spacing(abs(breakpoints).max()) / (breakpoints[1] - breakpoints[0])
    tolerance = {"rtol": 0, "atol": 4e-15 * precision.factor + 20 * share}
    assert curve(x).dtype == precision.dtype
    for values in (curve(x), jax.jit(lambda: curve(x))(), curve.each(x), curve.derivative(0)(x)):
        np.testing.assert_allclose(values, spline(x), **tolerance)
    slope = spline(x, nu=1)
    np.testing.assert_allclose(
        curve.derivative()(x) / abs(slope).max(), slope / abs(slope).max(), **tolerance
    )
    design = ns.BSplineBasis(breakpoints)(x)
    np.testing.assert_allclose(design @ COEFFICIENTS.astype(design.dtype), spline(x), **tolerance)
    # Knots themselves: right-continuous, both ends included.
    np.testing.assert_allclose(curve(breakpoints), spline(breakpoints), **tolerance)
    lower, upper = breakpoints[0] + (breakpoints[-1] - breakpoints[0]) * np.array([0.1, 0.7])
    right = spline.antiderivative()(upper) - spline.antiderivative()(lower)
    width = breakpoints[-1] - breakpoints[0]
    # SciPy's own antiderivative loses what the offset takes.
    exact = BSpline(spline.t - breakpoints[0], spline.c, 3).integrate(
        lower - breakpoints[0], upper - breakpoints[0]
    )
    assert abs(exact - right) < 1e-3 * width
    np.testing.assert_allclose(curve.integrate(lower, upper) / width, exact / width, **tolerance)


@pytest.mark.parametrize("place", PLACES)
def test_groups_and_operations_keep_them_too(place, precision):
    breakpoints, x, spline = at(place)
    two = np.stack([COEFFICIENTS, -COEFFICIENTS])
    share = np.spacing(abs(breakpoints).max()) / (breakpoints[1] - breakpoints[0])
    tolerance = {"rtol": 0, "atol": 4e-15 * precision.factor + 20 * share}
    index = (np.arange(x.size) % 2).astype(np.int8)
    picked = ns.BSplineBasis(breakpoints).curve(two).pick(index)(x)
    np.testing.assert_allclose(picked, np.where(index, -1.0, 1.0) * spline(x), **tolerance)
    knots = ns.knots.clamped(breakpoints, 3)
    np.testing.assert_allclose(ns.bspline(x, knots, COEFFICIENTS), spline(x), **tolerance)
    design = ns.bspline_basis(x, knots)
    np.testing.assert_allclose(design @ COEFFICIENTS.astype(design.dtype), spline(x), **tolerance)


def test_effects_on_julian_days():
    x = 2.46e6 + 30.0 * SHARES
    effects = [
        ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(start, start + 30.0, 10)), measure=m)
        for start, m in ((2.46e6, x), (0.0, x - 2.46e6))
    ]
    values = []
    for effect, points in zip(effects, (x, x - 2.46e6), strict=True):
        with numpyro.handlers.seed(rng_seed=0):
            values.append(effect.sample()(points))
    np.testing.assert_allclose(values[0], values[1], atol=1e-5)


def test_points_that_were_rounded_before_are_refused():
    curve = ns.BSplineBasis(np.linspace(2.46e6, 2.46e6 + 30.0, 10)).curve(COEFFICIENTS)
    x = jnp.asarray(2.46e6 + 30.0 * SHARES, jnp.float32)
    message = r"`x` must resolve the knots, which are 3\.33333 apart near 2460000; got float32, "
    with pytest.raises(ValueError, match=message + r".* 0\.\d+ apart\. Give x as NumPy float64"):
        curve(x)
    with pytest.raises(ValueError, match=r"subtract 2460000 from x and from the knots"):
        curve(np.float32(2.46e6 + 3.0))


def test_integrals_many_periods_away(precision):
    basis = ns.CyclicBasis(ns.knots.uniform(0.0, 24.0, 9))
    coefficients = np.random.default_rng(3).normal(size=basis.num_coefficients)
    curve = basis.curve(coefficients)
    spline = BSpline(basis.spline.knots, basis.matrix @ coefficients, 3)
    day = 24.0 * 40_000
    tolerance = 1e-14 * precision.factor
    for start, end in ((0.5, 3.25), (23.0, 23.5), (0.0, 24.0), (4.0, 1.0)):
        exact = spline.integrate(start, end)
        got = curve.integrate(day + start, day + end)
        np.testing.assert_allclose(got, exact, rtol=0, atol=24 * tolerance)
        np.testing.assert_allclose(curve(day + start), spline(start), rtol=0, atol=10 * tolerance)
    # Over midnight, and over many days: whole days are counted.
    over = spline.integrate(23.0, 24.0) + spline.integrate(0.0, 2.0)
    got = curve.integrate(day - 1.0, day + 2.0)
    np.testing.assert_allclose(got, over, rtol=0, atol=24 * tolerance)
    whole = spline.integrate(0.0, 24.0)
    got = curve.integrate(day + 5.0, day + 5.0 + 24.0 * 30_000)
    np.testing.assert_allclose(got, 30_000 * whole, rtol=8 * tolerance, atol=24 * tolerance)
    got = curve.integrate(np.array([0.5, day + 0.5]), np.array([[24.5], [day + 24.5]]))
    exact = whole * np.array([[1.0, 1.0 - 40_000], [40_001.0, 1.0]])
    np.testing.assert_allclose(got, exact, rtol=8 * tolerance, atol=24 * tolerance)


def test_equations_on_julian_days(precision):
    """Known positions have all digits also in float32; those of traced curves are rounded once."""
    breakpoints, dtype = np.linspace(0.0, 30.0, 10), precision.dtype
    wavy, rising = COEFFICIENTS.astype(dtype), np.sort(COEFFICIENTS).astype(dtype)
    far, near = (ns.BSplineBasis(start + breakpoints) for start in (2.46e6, 0.0))

    def close(ours, theirs, step=1e-5, kind=np.float64):
        assert ours.dtype == kind
        np.testing.assert_allclose(np.asarray(ours, float) - 2.46e6, theirs, rtol=0, atol=step)

    ours, theirs = far.curve(wavy), near.curve(wavy)
    close(ours.roots(), theirs.roots())
    close(ours.roots(size=5), theirs.roots(size=5))
    close(ours.extrema().x, theirs.extrema().x)
    close(ours.inflections(), theirs.inflections())
    np.testing.assert_allclose(ours(ours.roots()), 0.0, atol=1e-5)
    y = np.linspace(rising[0], rising[-1], 9)
    inverse = near.curve(rising).inverse(y)
    close(far.curve(rising).inverse(y), inverse)
    step = np.spacing(dtype(2.46e6)) + 1e-4
    close(jax.jit(lambda c: far.curve(c).inverse(y))(rising), inverse, step, dtype)


@pytest.mark.parametrize("place", [(1.7e9, 60.0), (-1e3, 1e-3)])
def test_equations_on_seconds(place):
    """Where float32 knows no second of a minute: positions are those of the minute at zero."""
    start, width = place
    shares = np.linspace(0.0, 1.0, 10)
    far, near = (ns.NaturalBasis(p) for p in (start + width * shares, shares))
    coefficients = COEFFICIENTS[: near.num_coefficients]
    ours, theirs = far.curve(coefficients), near.curve(coefficients)
    for name in ("roots", "extrema", "inflections"):
        found, expected = (getattr(c, name)() for c in (ours, theirs))
        found, expected = (v.x if name == "extrema" else v for v in (found, expected))
        np.testing.assert_allclose((np.asarray(found) - start) / width, expected, atol=1e-5)
        np.testing.assert_allclose(ours(found), theirs(expected), atol=1e-5)


def test_predictors_on_julian_days():
    """Rows, densities and fits are those of the same days counted from the first one."""
    shares, found = np.sort(SHARES), []
    y = np.sin(6.0 * shares) + 0.1 * np.random.default_rng(2).normal(size=shares.size)
    for start in (0.0, 2.46e6):
        x = start + 30.0 * shares
        basis = ns.BSplineBasis(np.linspace(start, start + 30.0, 8))
        f = ns.SplineEffect("f", basis, measure=x)
        predictor = ns.AdditivePredictor((f, x), intercept=dist.Normal(0.0, 1.0))
        marginal = ns.regression.IntegratedGaussian(predictor)
        fit = ns.regression.penalized_fit(predictor, y)
        eta = predictor.evaluate(jnp.linspace(-1.0, 1.0, predictor.num_coefficients))
        density = marginal.distribution(0.1, [1.0]).log_prob(y)
        found.append((eta, density, fit.values["sigma"], fit.linear_predictor))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


def posterior(breakpoints):
    """Curves of a few draws over these breakpoints, and the same ones rising."""
    draws = np.random.default_rng(4).normal(size=(2, 3, 12))
    basis = ns.BSplineBasis(breakpoints)
    rising = np.cumsum(np.exp(draws), axis=-1)
    return [po.LabeledCurve(basis.curve(c), input_name="day") for c in (draws, rising)]


@pytest.mark.parametrize("place", PLACES)
def test_posterior_curves_keep_their_digits(place, precision):
    """Values, slopes and responses are those of the same curves moved to zero."""
    breakpoints, x, _ = at(place)
    own = xr.DataArray(x[:6].reshape(2, 3), dims=("chain", "draw"))
    found = []
    for start in (0.0, breakpoints[0]):
        f, _ = posterior(breakpoints - breakpoints[0] + start)
        moved, points = x - breakpoints[0] + start, own - breakpoints[0] + start
        found.append(
            [
                po.values(f).values,
                po.values(f, moved).values,
                po.values(f, moved, derivative=2).values * place[1] ** 2,
                *(
                    po.values(f, moved, derivative=m, inverse_link=jnp.exp).values * place[1] ** m
                    for m in (0, 1, 2)
                ),
                po.values(f, points, derivative=1, inverse_link=jnp.exp).values * place[1],
                po.partial_sum((f, moved), (f, moved[::-1])).values,
            ]
        )
    for zero, far in zip(*found, strict=True):
        assert far.dtype == zero.dtype == precision.dtype
        # In float64 what is left is the rounding of the points of the grid.
        share = np.spacing(abs(breakpoints).max()) / (breakpoints[1] - breakpoints[0])
        tolerance = 1e-12 + 1e3 * share if precision.factor == 1.0 else 1e-5
        np.testing.assert_allclose(far, zero, rtol=tolerance, atol=tolerance * abs(zero).max())


@pytest.mark.parametrize("place", PLACES)
def test_solutions_keep_their_digits(place):
    """Where float32 knows days to a quarter of one, solutions are as good as near zero."""
    breakpoints, _, _ = at(place)
    shift, width = breakpoints[0], place[1]
    found = []
    for start in (0.0, shift):
        f, rising = posterior(breakpoints - shift + start)
        solved = {
            "peak": po.peak(f),
            "lowest": po.peak(f, lowest=True),
            "extrema": po.extrema(f),
            "crossings": po.crossings(f, 0.1),
            "inflections": po.inflections(f),
            "inverse": po.inverse(rising, [4.0, 6.0]).to_dataset(name="day"),
        }
        found.append(solved)
        # What was found is a known point: the curve can be asked there.
        best = solved["peak"]
        lower, upper = f.curve.domain
        assert ((best["day"] >= lower) & (best["day"] <= upper)).all()
        np.testing.assert_allclose(po.values(f, best["day"]), best["value"], atol=1e-5)
    for name, zero in found[0].items():
        far = found[1][name]
        assert far["day"].dtype == np.float64
        np.testing.assert_allclose((far["day"] - shift) / width, zero["day"] / width, atol=1e-5)
        for other in set(zero.data_vars) - {"day"}:
            np.testing.assert_allclose(far[other], zero[other], atol=1e-5)


def test_pictures_on_julian_days():
    first = 2.46e6
    x = first + 30.0 * SHARES
    (near, _), (far, _) = (posterior(np.linspace(s, s + 30.0, 10)) for s in (0.0, first))
    residuals = 0.0 * x
    pairs = [
        (
            plotting.effect(far, observed=x, residuals=residuals),
            plotting.effect(near, observed=x - first, residuals=residuals),
        ),
        (plotting.derivative(far), plotting.derivative(near)),
    ]
    for ours, theirs in pairs:
        for line, other in zip(ours.lines, theirs.lines, strict=True):
            if line.get_transform() == ours.transData:  # not the line at zero, across the axes
                np.testing.assert_allclose(line.get_xdata() - first, other.get_xdata(), atol=1e-8)
            np.testing.assert_allclose(line.get_ydata(), other.get_ydata(), rtol=1e-5, atol=1e-5)
    plt.close("all")
