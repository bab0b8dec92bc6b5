"""Any batch shape of x and coefficients; vmap = batch = loop; objects cross jit and pickle.

Batches are proved on tables of every degree; that a basis makes a table for each entry of a batch
of coefficients, in `test_bases.py`. A few bases go the whole way.
"""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import BASES, CASES
from cases.tables import BREAKPOINTS, DEGREES, stack, terms

import numpyro_splines as ns

# From many functions to (2, 3) of them, on one set of breakpoints.
SHAPE = 2, 3
INDEX = np.random.default_rng(1).integers(0, 3, 20)


@jax.jit
def one_value(curve, x):
    return curve(x)


@jax.jit
def all_values(curve, x, each):
    """The batch at once, mapped, picked from, and each curve at its own points."""

    def one(table):
        return ns.Curve(curve.breakpoints, table)(x)

    mapped = jax.vmap(jax.vmap(one))(curve.table)
    picked = curve.pick(INDEX)(x.ravel())
    return curve(x), mapped, picked, curve.each(each), curve(x[:0]), curve(x[0, 0, 0])


@pytest.mark.parametrize("degree", DEGREES)
def test_batches_equal_loops(degree):
    breakpoints, table, x = (a[:6] for a in stack(degree).astype(np.float32))
    breakpoints, table = breakpoints[0], table.reshape(*SHAPE, *table.shape[1:])
    # Two axes, one of them of length one; and other points for each function.
    x = x[0].reshape(2, 1, -1)
    each = x.ravel()[np.random.default_rng(2).integers(0, x.size, (*SHAPE, 5))]
    curve = ns.Curve(breakpoints, table)
    batch, mapped, picked, own, empty, number = all_values(curve, x, each)
    parts = [[terms(breakpoints, t, x.ravel(), 0) for t in row] for row in table.astype(float)]
    expected, size = np.sum(parts, -1), np.abs(parts).sum(-1)
    close = closeness(degree, size)
    assert batch.shape == (*SHAPE, *x.shape)
    close(batch.reshape(expected.shape), expected)
    close(mapped.reshape(expected.shape), expected)
    for i, j in np.ndindex(SHAPE):
        value = one_value(ns.Curve(breakpoints, table[i, j]), x)
        assert value.shape == x.shape
        closeness(degree, size[i, j])(value.ravel(), expected[i, j])
        own_parts = terms(breakpoints, table[i, j].astype(float), each[i, j], 0)
        closeness(degree, np.abs(own_parts).sum(-1))(own[i, j], own_parts.sum(-1))
    chosen = np.arange(x.size)
    closeness(degree, size[:, INDEX, chosen])(picked, expected[:, INDEX, chosen])
    assert empty.shape == (*SHAPE, 0, *x.shape[1:])
    closeness(degree, size[..., 0])(number, expected[..., 0])


def closeness(degree, size):
    """Equality up to rounding of float32, of terms that add up to `size`."""
    rounding = 4 * (degree + 2) * np.finfo(np.float32).eps * size

    def close(values, expected):
        np.testing.assert_array_equal(np.isnan(values), np.isnan(expected))
        assert np.all(np.abs(values - expected) <= rounding, where=~np.isnan(expected))

    return close


@jax.jit
def periodic_values(curves, index, x, each):
    results = []
    for f in (curves, curves.antiderivative()):
        one_by_one = [[ns.Curve(*leaf(f, i, j))(x) for j in range(3)] for i in range(2)]
        own = [[ns.Curve(*leaf(f, i, j))(each[i, j]) for j in range(3)] for i in range(2)]
        results.append((f(x), jnp.asarray(one_by_one), f.pick(index)(x), f.each(each), own))
    return results


def leaf(curve, i, j):
    gain = None if curve.increment is None else curve.increment[i, j]
    return curve.breakpoints, curve.table[i, j], gain, curve.periodic


def test_batches_of_periodic_curves_and_of_their_integrals(x64):
    rng = np.random.default_rng(3)
    curves = ns.Curve(BREAKPOINTS[0], rng.normal(size=(*SHAPE, 7, 4)), periodic=True)
    index, x = rng.integers(0, 3, 12), rng.uniform(-9.0, 9.0, 12)
    each = rng.uniform(-9.0, 9.0, (*SHAPE, 5))
    for values, loop, picked, own, own_loop in periodic_values(curves, index, x, each):
        np.testing.assert_allclose(values, loop, atol=1e-12)
        np.testing.assert_allclose(picked, loop[:, index, np.arange(12)], atol=1e-12)
        np.testing.assert_allclose(own, np.asarray(own_loop), atol=1e-12)


@jax.jit
def of_own_breakpoints(ends, index, x):
    def make(end):
        points = jnp.array([0.0, 0.25, 1.0]) * end
        return ns.BSplineBasis(points, degree=2).curve(jnp.array([0.0, 1.0, 2.0, -1.0]))

    curves, single = jax.vmap(make)(ends), [make(end) for end in ends]
    assert curves.breakpoints.shape == (3, 3)
    values = curves(x), curves.pick(index)(x), curves.each(jnp.tile(x, (3, 1)))
    loops = [f(x) for f in single], [f.derivative()(x) for f in single]
    return values, curves.derivative()(x), jnp.asarray(loops[0]), jnp.asarray(loops[1])


def test_curves_with_their_own_breakpoints():
    index = np.array([2, 0, 1, 1, 0, 2, 2])
    x = np.linspace(-0.5, 1.5, 7).astype(np.float32)
    ends = np.array([1.0, 2.0, 4.0], np.float32)
    (values, picked, each), slopes, loop, slope_loop = of_own_breakpoints(ends, index, x)
    np.testing.assert_allclose(values, loop, atol=1e-6)
    np.testing.assert_allclose(picked, loop[index, np.arange(7)], atol=1e-6)
    np.testing.assert_allclose(each, loop, atol=1e-6)
    np.testing.assert_allclose(slopes, slope_loop, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_bases_and_curves_cross_pickle(case):
    basis = pickle.loads(pickle.dumps(case.basis))
    assert jax.tree.structure(basis) == jax.tree.structure(case.basis)
    for ours, theirs in zip(jax.tree.leaves(basis), jax.tree.leaves(case.basis), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    curve = case.basis.curve(case.coefficients().astype(np.float32))
    again = pickle.loads(pickle.dumps(curve))
    assert jax.tree.structure(again) == jax.tree.structure(curve)
    for ours, theirs in zip(jax.tree.leaves(again), jax.tree.leaves(curve), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# One of each class.
CROSSING = [
    *("uneven_degree3", "cyclic", "regression", "cyclic_regression", "m_spline", "i_spline"),
    *("c_spline", "cyclic_m_spline", "natural", "bernstein", "constrained_ends"),
]


def test_one_basis_of_each_class_crosses_jit():
    assert {type(BASES[name].basis) for name in CROSSING} >= {type(c.basis) for c in BASES.values()}


@jax.jit
def of_basis(basis, coefficients, x):
    curve = basis.curve(coefficients)
    return curve(x), basis(x), curve


@pytest.mark.parametrize("name", CROSSING)
def test_a_basis_crosses_jit_as_an_argument(name, x64):
    # At a knot, float32 knots and float64 knots may disagree on the side; between them they do not.
    case = BASES[name]
    lower, upper = case.basis.domain
    x = np.linspace(lower, upper, 17)[1:-1] + 1e-4 * (upper - lower)
    coefficients = case.coefficients(shape=(2,))
    value, design, curve = of_basis(case.basis, coefficients, x)
    expected = case.reference(coefficients.T, x).T
    np.testing.assert_allclose(value, expected, atol=1e-13 * case.amplification)
    np.testing.assert_allclose(coefficients @ design.T, expected, atol=1e-13 * case.amplification)
    # The curve came back from a compiled function, and goes into one.
    np.testing.assert_allclose(one_value(curve, x), value, atol=1e-13 * case.amplification)


@jax.jit
def designs(x, coefficients):
    """Of a few bases the whole way: knots are constants of the program, as in a model."""
    found = {}
    for name in ("uneven_degree3", "pair", "cyclic", "constrained_ends"):
        basis = BASES[name].basis
        found[name] = basis(x[name]), basis.curve(coefficients[name])(x[name])
    return found


def test_the_design_matrix_times_coefficients_is_the_curve(precision):
    cases = {n: BASES[n] for n in ("uneven_degree3", "pair", "cyclic", "constrained_ends")}
    x = {n: np.concatenate(c.points()).astype(precision.dtype) for n, c in cases.items()}
    coefficients = {n: c.coefficients(5, (2, 3)).astype(precision.dtype) for n, c in cases.items()}
    for name, (design, value) in designs(x, coefficients).items():
        assert design.shape == (x[name].size, cases[name].basis.num_coefficients)
        assert design.dtype == value.dtype == precision.dtype
        # Far outside, polynomials are large sums of both signs: relative to their size.
        size = np.abs(coefficients[name]) @ np.abs(np.asarray(design)).T + 1.0
        product = coefficients[name] @ np.asarray(design).T
        tolerance = 2e-14 * precision.factor
        np.testing.assert_allclose(product / size, value / size, rtol=0, atol=tolerance)
