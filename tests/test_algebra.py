"""Sums, multiples, knot insertion, restriction, degree elevation, and SciPy's objects."""

import pickle
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
import pytest
import scipy.interpolate as si
from cases import BASES
from cases.tables import DEGREES, stack, terms

import numpyro_splines as ns
from numpyro_splines import extrapolation as ex

POINTS = np.array([-1.0, -0.7, 0.2, 0.25, 1.0, 3.0])


@partial(jax.jit, static_argnames=("case",))
def in_other_forms(table, x, case):
    """The curve in other forms, all in one program; known breakpoints, as refinement needs them."""
    curve = ns.Curve(case.breakpoints, table, periodic=case.periodic)
    lower, upper = case.ends
    more = curve.refine(lower + (upper - lower) * np.array([0.01, 0.37, 0.5, 1.0]))
    assert more.breakpoints.size > curve.breakpoints.size
    same = [more, 2.0 * curve - curve / 1.0, np.ones(len(table)) * curve]
    shifted = 1.0 - curve + 10.0 * np.arange(len(table))
    part, end = curve.restrict(*case.part), case.part[1]
    assert part.domain == case.part
    tail = part(end) + 0.5 * part.derivative()(end)
    return {
        "value": curve(x),
        "same": [f(x) for f in same],
        "elevated": curve.elevate(curve.degree + 2)(x),
        "double": (more + curve)(x),
        "shifted": shifted(x),
        "part": part(np.linspace(*case.part, 50)[1:-1]),
        "whole": curve(np.linspace(*case.part, 50)[1:-1]),
        "beyond": part(end + 0.5),
        "tail": tail,
    }


@dataclass(frozen=True, eq=False)
class Curves:
    """Several curves on the same breakpoints; `degree` and on are what a program is made for."""

    breakpoints: np.ndarray
    table: np.ndarray
    x: np.ndarray
    periodic: bool = False

    @property
    def ends(self):
        return self.breakpoints[0], self.breakpoints[-1]

    @property
    def part(self):
        lower, upper = self.ends
        return lower + 0.13 * (upper - lower), lower + 0.71 * (upper - lower)


def of_degree(degree, periodic=False):
    """Random tables, one for each extrapolation rule, which jump wherever they may."""
    breakpoints, table, x = (array[:6] for array in stack(degree))
    return Curves(breakpoints[0], table, x[0], periodic)


def of_basis(name):
    case = BASES[name]
    breakpoints, table = case.curve(case.coefficients(shape=(2,)))
    return Curves(breakpoints, table, np.concatenate(case.points()), case.periodic)


CURVES = {
    **{f"degree{degree}": partial(of_degree, degree) for degree in DEGREES},
    "periodic1": partial(of_degree, 1, periodic=True),
    "periodic3": partial(of_degree, 3, periodic=True),
    # Knots in ratios of a million, and knots at which the table has more rows than intervals.
    "skewed": partial(of_basis, "skewed"),
    "high_degree": partial(of_basis, "uneven_degree8"),
    "one_interval": partial(of_basis, "one_interval"),
}


@pytest.mark.parametrize("name", CURVES)
def test_the_same_curve_in_other_forms(name, x64):
    case = CURVES[name]()
    found = in_other_forms(case.table, case.x, case)
    parts = [terms(case.breakpoints, t, case.x, 0, case.periodic) for t in case.table]
    value = np.sum(parts, axis=-1)
    size = np.nanmax(np.abs(parts)) * 1e-12
    np.testing.assert_array_equal(found["elevated"], found["value"])
    for values in (found["value"], *found["same"]):
        np.testing.assert_allclose(values, value, atol=size)
    np.testing.assert_allclose(found["double"], 2 * value, atol=size)
    shifts = 10.0 * np.arange(len(value))[:, None]
    np.testing.assert_allclose(found["shifted"], 1 - value + shifts, atol=size + 1e-13)
    np.testing.assert_allclose(found["part"], found["whole"], atol=size + 1e-11)
    if case.table.shape[-1] > 1:
        np.testing.assert_allclose(found["beyond"], found["tail"], rtol=1e-10, atol=size + 1e-11)


@pytest.mark.parametrize("name", CURVES)
def test_there_and_back_through_scipy(name, x64):
    case = CURVES[name]()
    # SciPy takes the continuation at the right end, where some of these jump.
    x = case.x[case.x != case.ends[1]]
    # The continuation is a polynomial on one interval more, in which it may become large.
    margin = 0.5 * np.diff(case.ends) * np.array([-1.0, 1.0])
    at = np.concatenate([x, np.array(case.ends) + margin])
    parts = np.stack([terms(case.breakpoints, t, at, 0, case.periodic) for t in case.table])
    value, size = parts[:, : x.size].sum(-1), np.nanmax(np.abs(parts)) * 1e-12
    spline = ns.Curve(case.breakpoints, case.table, periodic=case.periodic).to_scipy()
    np.testing.assert_allclose(np.moveaxis(spline(x), -1, 0), value, atol=size)
    back = ns.Curve.from_scipy(spline)
    np.testing.assert_allclose(back(x), value, atol=size)
    finite = ~np.isnan(case.table).any(axis=(1, 2))
    curve = ns.Curve(case.breakpoints, case.table[finite], periodic=case.periodic)
    b_spline = curve.to_scipy(si.BSpline)
    np.testing.assert_allclose(np.moveaxis(b_spline(x), -1, 0), value[finite], atol=size)


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
