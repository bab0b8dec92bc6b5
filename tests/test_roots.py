"""Roots, extrema and inflections: all of them, once each, with derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline, PPoly

import numpyro_splines as ns

POINTS = np.array([-1.0, -0.7, 0.2, 0.25, 1.0, 3.0])


def polynomial(roots, points=(0.0, 0.3, 1.0), lead=1.0):
    """The curve prod (x - root), on several intervals."""
    powers = lead * np.atleast_1d(np.poly(roots))
    piece = PPoly(powers[:, None], [points[0], points[-1]])
    return ns.Curve.from_scipy(piece).refine(list(points))


def found(curve, level=0.0):
    """Roots of a known curve: by the NumPy branch of the solver, which compiles nothing."""
    return np.asarray(curve.roots(level))


@jax.jit
def padded(table, points, level):
    """The same formulas compiled: one program for each degree, which is what takes time."""
    return ns.Curve(points, table).roots(level)


def without_padding(rows):
    return [row[~np.isnan(row)] for row in np.asarray(rows)]


@pytest.mark.parametrize("degree", range(1, 6))
def test_roots_are_those_of_scipy(degree, x64):
    basis = ns.BSplineBasis(POINTS, degree=degree)
    coefficients = [
        np.random.default_rng(seed).normal(size=basis.num_coefficients) for seed in range(5)
    ]
    curves = basis.curve(np.stack(coefficients))
    for level in (0.0, 0.2):
        compiled = padded(np.asarray(curves.table), curves.breakpoints, level)
        assert compiled.shape == (5, 5 * degree)
        for c, row in zip(coefficients, without_padding(compiled), strict=True):
            curve = basis.curve(c)
            expected = np.sort(curve.to_scipy().solve(level, extrapolate=False))
            expected = expected[(expected >= -1.0) & (expected <= 3.0)]
            expected = expected[np.append(True, np.diff(expected) > 1e-10)]
            np.testing.assert_allclose(found(curve, level), expected, atol=1e-10)
            np.testing.assert_allclose(row, expected, atol=1e-10)


KNOWN = [
    [0.5],
    [0.0, 1.0],
    [0.3],
    [0.1, 0.3, 0.9],
    [0.4, 0.4],
    [0.3, 0.3],
    [0.0, 0.0, 1.0],
    [0.6, 0.6, 0.6],
    [0.2, 0.2, 0.7, 0.7],
    [0.1, 0.2, 0.3, 0.4, 0.5],
    [-1.0, 2.0],
]


def tolerance_of(roots):
    # A root of multiplicity m moves by the m-th root of rounding, through its derivatives by less.
    return 1e-12 if len(set(roots)) == len(roots) else 1e-6


@pytest.mark.parametrize("roots", KNOWN, ids=str)
def test_known_roots_count_once(roots, x64):
    inside = np.unique([r for r in roots if 0.0 <= r <= 1.0])
    values = found(polynomial(roots, lead=-3.0))
    np.testing.assert_allclose(values, inside, atol=tolerance_of(roots))


@pytest.mark.parametrize("degree", range(1, 6))
def test_known_roots_of_the_compiled_solver(degree, x64):
    known = [roots for roots in KNOWN if len(roots) == degree]
    # As many intervals and curves as above, for the same program.
    curves = [polynomial(roots, (0.0, 0.3, 0.45, 0.65, 0.85, 1.0), -3.0) for roots in known]
    table = np.resize(np.stack([curve.table for curve in curves]), (5, 7, degree + 1))
    rows = without_padding(padded(table, np.asarray(curves[0].breakpoints), 0.0))
    for roots, row, curve in zip(known, rows, curves, strict=False):
        np.testing.assert_allclose(row, found(curve), atol=tolerance_of(roots))


@given(st.lists(st.floats(0.02, 0.98), min_size=1, max_size=5, unique_by=lambda r: round(r, 2)))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_random_polynomials(roots):
    with jax.enable_x64(True):
        roots = np.sort(roots)
        gap = np.min(np.diff(roots), initial=1.0)
        values = found(polynomial(roots, (0.0, 0.5, 0.6, 1.0)))
        # The condition of a root is one over the product of the distances to the others.
        np.testing.assert_allclose(values, roots, atol=1e-13 / gap ** (len(roots) - 1))


def test_stretches_at_the_level_and_jumps(x64):
    flat = ns.BSplineBasis([0.0, 1.0, 2.0, 3.0], degree=1).curve([1.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(flat.roots(), [1.0, 2.0])
    long = ns.BSplineBasis([0.0, 1.0, 2.0, 3.0, 4.0], degree=1).curve([0.0, 1.0, 2.0, 2.0, 2.0])
    np.testing.assert_allclose(long.roots(2.0), [2.0, 4.0])
    np.testing.assert_allclose(
        ns.BSplineBasis([0.0, 1.0, 2.0]).curve(np.ones(5)).roots(1.0), [0.0, 2.0]
    )
    jump = ns.BSplineBasis(knots=[0, 0, 1, 1, 2, 2], degree=1).curve([-1.0, -0.5, 0.5, 1.0])
    assert jump.roots().shape == (0,)
    step = ns.BSplineBasis([0.0, 1.0, 2.0], degree=0).curve([1.0, 2.0])
    np.testing.assert_allclose(step.roots(2.0), [1.0, 2.0])


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_extrema_and_inflections(degree, precision):
    basis = ns.BSplineBasis(POINTS, degree=degree)
    coefficients = np.random.default_rng(2).normal(size=basis.num_coefficients)
    curve = basis.curve(coefficients.astype(precision.dtype))
    tolerance = 1e-11 if precision.dtype is np.float64 else 2e-3
    grid = np.linspace(-1.0, 3.0, 200_001)[1:-1]
    with jax.enable_x64(True):
        exact = basis.curve(coefficients)
        slope = np.asarray(exact.derivative()(grid))
        bend = np.asarray(exact.derivative(2)(grid))
    x, value, maximum = curve.extrema()
    changes = np.flatnonzero(np.diff(np.sign(slope)) != 0)
    np.testing.assert_allclose(x, grid[changes], atol=4e-5 + tolerance)
    np.testing.assert_array_equal(maximum, slope[changes] > 0)
    np.testing.assert_allclose(value, curve(x), atol=1e-5)
    if degree > 2:
        changes = np.flatnonzero(np.diff(np.sign(bend)) != 0)
        np.testing.assert_allclose(curve.inflections(), grid[changes], atol=4e-5 + tolerance)
    if precision.dtype is np.float64:
        np.testing.assert_allclose(curve.derivative()(x), 0.0, atol=1e-11)


def test_extrema_at_kinks_and_flat_tops(x64):
    line = ns.BSplineBasis([0.0, 1.0, 2.0, 3.0, 4.0], degree=1)
    kinked = line.curve([0.0, 2.0, 1.0, 3.0, 3.5]).extrema()
    np.testing.assert_allclose(kinked.x, [1.0, 2.0])
    np.testing.assert_array_equal(kinked.maximum, [True, False])
    np.testing.assert_allclose(kinked.value, [2.0, 1.0])
    flat = line.curve([0.0, 2.0, 2.0, 1.0, 0.0]).extrema()
    np.testing.assert_allclose(flat.x, [2.0])
    assert line.curve([0.0, 1.0, 2.0, 2.0, 3.0]).extrema().x.shape == (0,)
    assert line.curve(np.ones(5)).extrema().x.shape == (0,)
    assert line.curve(np.ones(5)).inflections().shape == (0,)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_rounding_has_no_extrema(scale, precision):
    """A constant, and a line, far from zero."""
    for basis in (ns.BSplineBasis(scale * POINTS), ns.NaturalBasis(scale * POINTS)):
        for coefficients in basis.polynomials(2).T + 1000.0 * basis.polynomials(1).T:
            curve = basis.curve(coefficients.astype(precision.dtype))
            assert curve.extrema().x.size == 0
            assert curve.inflections().size == 0


def test_periodic_curves_join_their_ends(x64):
    wave = CubicSpline(
        np.linspace(0, 1, 9), np.cos(2 * np.pi * np.linspace(0, 1, 9)), bc_type="periodic"
    )
    curve = ns.Curve.from_scipy(wave)
    found = curve.extrema()
    np.testing.assert_allclose(found.x, [0.0, 0.5], atol=1e-9)
    np.testing.assert_array_equal(found.maximum, [True, False])


def test_batches_and_padding(x64):
    basis = ns.BSplineBasis(POINTS)
    coefficients = np.random.default_rng(3).normal(size=(2, 3, 8))
    curves = basis.curve(coefficients)
    nested = curves.roots(0.1)
    assert len(nested) == 2
    padded = jax.jit(lambda c: c.roots(0.1))(curves)
    assert padded.shape == (2, 3, 15)
    sized = curves.roots(0.1, size=4)
    assert sized.shape == (2, 3, 4)
    for i in range(2):
        for j in range(3):
            one = basis.curve(coefficients[i, j]).roots(0.1)
            np.testing.assert_allclose(nested[i][j], one, atol=1e-14)
            kept = padded[i, j][~np.isnan(padded[i, j])]
            np.testing.assert_allclose(kept, one, atol=1e-14)
            np.testing.assert_allclose(sized[i, j][: min(4, one.size)], one[:4], atol=1e-14)
    tops = curves.extrema(size=20)
    assert tops.x.shape == tops.value.shape == tops.maximum.shape == (2, 3, 20)
    np.testing.assert_array_equal(np.isnan(tops.x), np.isnan(tops.value))


BASIS = ns.BSplineBasis(POINTS)


@jax.jit
def jacobians(coefficients):
    """Of roots and of extrema, in both modes."""

    def roots(c):
        return BASIS.curve(c).roots(0.1)

    def extrema(c):
        return BASIS.curve(c).extrema()[:2]

    return [(mode(roots)(coefficients), mode(extrema)(coefficients)) for mode in MODES]


MODES = jax.jacfwd, jax.jacrev


def test_derivatives(x64):
    coefficients = jnp.asarray(np.random.default_rng(4).normal(size=8))
    curve = BASIS.curve(coefficients)
    x = curve.roots(0.1)
    of_roots = -np.asarray(BASIS(x)) / np.asarray(curve.derivative()(x))[:, None]
    tops = curve.extrema().x
    slope = np.asarray(BASIS.curve(np.eye(8)).derivative()(tops)).T
    of_tops = -slope / np.asarray(curve.derivative(2)(tops))[:, None]
    for jacobian, everything in jacobians(coefficients):
        np.testing.assert_allclose(jacobian[: x.size], of_roots, rtol=1e-8, atol=1e-10)
        position, value = (np.asarray(j)[: tops.size] for j in everything)
        np.testing.assert_allclose(position, of_tops, rtol=1e-8, atol=1e-10)
        # At a maximum the value changes as f does there.
        np.testing.assert_allclose(value, BASIS(tops), rtol=1e-8, atol=1e-10)
        # Padding has derivative zero.
        for part in (jacobian, *everything):
            assert np.all(np.isfinite(np.asarray(part)))


@pytest.mark.parametrize("level", [0.0, 288.0, 1013.0])
def test_extrema_do_not_depend_on_the_level(level):
    points = np.linspace(0.0, 10.0, 200)
    curve = ns.Curve.from_scipy(CubicSpline(points, np.sin(points))) + level
    np.testing.assert_allclose(curve.extrema().x, [1.5708, 4.7124, 7.854], atol=2e-3)


@pytest.mark.parametrize("unit", [1e-30, 1e-9, 1e20])
@pytest.mark.parametrize("degree", [2, 3, 5])
def test_units_do_not_matter(degree, unit, precision):
    """Angstroms in meters, light years in millimeters: powers of a width leave float32's range."""
    bases = [ns.BSplineBasis(u * POINTS, degree=degree) for u in (1.0, unit)]
    coefficients = np.random.default_rng(0).normal(size=bases[0].num_coefficients)
    tolerance = 1e-14 * precision.factor
    for height in (1.0, 1e-25):  # whose squares are zero in float32
        near, far = (basis.curve(height * coefficients) for basis in bases)
        for one, other in [
            (near.roots(0.2 * height), far.roots(0.2 * height)),
            (near.extrema().x, far.extrema().x),
            (near.inflections(), far.inflections()),
        ]:
            assert one.size
            np.testing.assert_allclose(np.asarray(other, float) / unit, one, atol=tolerance)
    rising, far = (basis.curve(np.sort(coefficients)) for basis in bases)
    y = rising(POINTS[1:-1])
    assert far.is_monotone()
    np.testing.assert_allclose(np.asarray(far.inverse(y), float) / unit, rising.inverse(y))


def test_no_curves_have_no_roots():
    none = ns.BSplineBasis(POINTS).curve(np.zeros((0, 8)))
    assert none.roots() == none.extrema().x == none.inflections() == []
    assert none.roots(size=3).shape == (0, 3)
    assert none.is_monotone().shape == (0,)
    assert none.inverse([0.1, 0.2]).shape == (0, 2)
    assert none.each(np.zeros((0, 4))).shape == (0, 4)
