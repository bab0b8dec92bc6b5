"""Sums, multiples, knot insertion, restriction, degree elevation, and SciPy's objects."""

import pickle

import jax
import numpy as np
import pytest
import scipy.interpolate as si
from cases import CASES, compiled

import numpyro_splines as ns
from numpyro_splines import extrapolation as ex
from numpyro_splines.extrapolation import NaN

POINTS = np.array([-1.0, -0.7, 0.2, 0.25, 1.0, 3.0])


@pytest.mark.parametrize("case", CASES)
def test_the_same_curve_in_other_forms(case, x64):
    coefficients = np.random.default_rng(0).normal(size=(2, case.basis.num_coefficients))
    x = np.concatenate(case.points())
    lower, upper = case.basis.domain

    def evaluate(c, at):
        curve = case.basis.curve(c)
        more = curve.refine(lower + (upper - lower) * np.array([0.01, 0.37, 0.5, 1.0]))
        assert more.breakpoints.size > curve.breakpoints.size
        same = [more, 2.0 * curve - curve / 1.0, np.ones(2) * curve]
        shifted = 1.0 - curve + np.array([10.0, 20.0])
        elevated = curve.elevate(case.degree + 2)
        same = [f(at) for f in same]
        return curve, curve(at), same, (more + curve)(at), shifted(at), elevated(at)

    curve, value, same, double, shifted, elevated = compiled(evaluate, coefficients, x)
    value = np.asarray(value)
    size = np.nanmax(np.abs(value)) * 1e-12
    np.testing.assert_array_equal(elevated, value)
    for values in same:
        np.testing.assert_allclose(values, value, atol=size)
    np.testing.assert_allclose(double, 2 * value, atol=size)
    np.testing.assert_allclose(shifted, 1 - value + [[10.0], [20.0]], atol=size + 1e-13)
    # SciPy takes the continuation at the right end, where some of these jump.
    value = value[:, x != upper]
    x = x[x != upper]
    spline = curve.to_scipy()
    np.testing.assert_allclose(np.moveaxis(spline(x), -1, 0), value, atol=size)
    back = ns.Curve.from_scipy(spline)
    np.testing.assert_allclose(compiled(lambda f, at: f(at), back, x), value, atol=size)
    if not isinstance(case.spline.extrapolation[0], NaN):
        b_spline = curve.to_scipy(si.BSpline)
        np.testing.assert_allclose(np.moveaxis(b_spline(x), -1, 0), value, atol=size)


@pytest.mark.parametrize("case", CASES)
def test_restriction(case, x64):
    lower, upper = case.basis.domain
    ends = lower + (upper - lower) * np.array([0.13, 0.71])
    x = np.linspace(*ends, 50)[1:-1]

    def evaluate(c, at, end):
        curve = case.basis.curve(c)
        part = curve.restrict(*ends)
        assert part.domain == tuple(ends)
        slope = part.derivative()(end)
        return curve(at), part(at), part(end) + slope * 0.5, part(end + 0.5)

    value, part, tail, beyond = compiled(evaluate, case.coefficients(), x, ends[1])
    np.testing.assert_allclose(part, value, atol=1e-11)
    if case.degree > 0:
        np.testing.assert_allclose(beyond, tail, rtol=1e-10, atol=1e-11)


def test_sums_on_different_breakpoints_degrees_and_domains(x64):
    rng = np.random.default_rng(1)
    one = ns.BSplineBasis(POINTS).curve(rng.normal(size=8))
    two = ns.BSplineBasis([0.0, 0.2, 5.0], degree=1, extrapolation=ex.Constant())
    two = two.curve(rng.normal(size=(4, 3)))
    x = np.linspace(-3.0, 7.0, 101)
    for total, expected in ((one + two, one(x) + two(x)), (two - one, two(x) - one(x))):
        np.testing.assert_allclose(total(x), expected, atol=1e-12)
        assert total.batch_shape == (4,)
        assert total.domain == (-1.0, 5.0)


def test_sums_of_integrals_of_periodic_curves(x64):
    rng = np.random.default_rng(2)
    one = ns.CyclicBasis(POINTS).curve(rng.normal(size=5))
    two = ns.CyclicBasis([-1.0, 0.0, 3.0], degree=2).curve(rng.normal(size=2))
    x = np.linspace(-9.0, 12.0, 31)
    total = one.antiderivative() - 2 * two.antiderivative()
    expected = one.antiderivative()(x) - 2 * two.antiderivative()(x)
    np.testing.assert_allclose(total(x), expected, atol=1e-11)
    np.testing.assert_allclose((one + two)(x), one(x) + two(x), atol=1e-12)


def test_algebra_keeps_the_dtype_and_compiles(precision):
    def combine(coefficients):
        f = ns.BSplineBasis(POINTS).curve(coefficients)
        return (-(2 * f) + 3.0 - f).refine([0.5]).restrict(0.0, 2.0)

    result = jax.jit(combine)(np.ones(8, precision.dtype))
    assert result.table.dtype == precision.dtype
    np.testing.assert_allclose(result(np.asarray(0.3, precision.dtype)), 0.0, atol=1e-6)
    assert pickle.loads(pickle.dumps(result)).degree == 3


@pytest.mark.parametrize("extrapolate", [True, False, "periodic"])
@pytest.mark.parametrize("kind", ["cubic", "pchip", "akima", "bspline", "repeated", "ppoly"])
def test_from_scipy(kind, extrapolate, x64):
    rng = np.random.default_rng(3)
    x, y = POINTS, rng.normal(size=(6, 2))
    if extrapolate == "periodic":
        y[-1] = y[0]
    spline = {
        "cubic": lambda: si.CubicSpline(x, y, extrapolate=extrapolate),
        "pchip": lambda: si.PchipInterpolator(x, y, extrapolate=extrapolate),
        "akima": lambda: si.Akima1DInterpolator(x, y),
        "bspline": lambda: si.BSpline(np.arange(12.0), rng.normal(size=(8, 2)), 3, extrapolate),
        "repeated": lambda: si.BSpline(
            [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3], rng.normal(size=8), 2, extrapolate
        ),
        "ppoly": lambda: si.PPoly(rng.normal(size=(4, 5, 2)), x, extrapolate=extrapolate),
    }[kind]()
    curve = ns.Curve.from_scipy(spline)
    lower, upper = (float(end) for end in curve.domain)
    at = np.linspace(lower - 1.0, upper + 1.0, 60)
    at = at[(at != lower) & (at != upper)]
    expected = spline(at)
    expected = np.moveaxis(expected, 0, -1)
    np.testing.assert_allclose(curve(at), expected, atol=1e-12 * np.nanmax(np.abs(expected)))
    integral = np.asarray(curve.integrate(lower, upper))
    np.testing.assert_allclose(integral, spline.integrate(lower, upper), atol=1e-11)


@pytest.mark.parametrize("rule", [ns.extrapolation.NaN(), ns.extrapolation.Zero()])
def test_sums_keep_the_value_at_each_end(rule):
    f = ns.BSplineBasis([0.0, 1.0], degree=1, extrapolation=rule).curve([1.0, 2.0])
    g = ns.BSplineBasis([0.0, 2.0], degree=1).curve([10.0, 20.0])
    np.testing.assert_allclose((f + g)(1.0), 17.0, rtol=1e-6)
    np.testing.assert_allclose((f + g).integrate(0.0, 1.0), 14.0, rtol=1e-6)
