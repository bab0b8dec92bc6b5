"""Any batch shape of x and coefficients; vmap = batch = loop; objects cross jit and pickle."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, compiled

import numpyro_splines as ns


@pytest.mark.parametrize("case", CASES)
def test_batches_equal_loops(case):
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=(2, 3, case.basis.num_coefficients)).astype(np.float32)
    inside, outside = case.points()
    x = np.concatenate([inside, outside])[: 2 * (inside.size // 2)].reshape(2, 1, -1)
    x = x.astype(np.float32)
    one = jax.jit(lambda c, at: case.basis.curve(c)(at))
    values = one(coefficients, x)
    assert values.shape == (2, 3, *x.shape)
    loop = [[one(c, x) for c in row] for row in coefficients]
    rounding = 1e-6 * case.amplification
    if case.degree > 3:
        # Local polynomials of degree 8 have coefficients up to 250 times as large as f: in float32
        # f is right to 4e-6 at the right end, and programs take their sums in other orders.
        rounding *= 10.0

    def assert_equal(first, second):
        np.testing.assert_allclose(first, second, rtol=1e-6, atol=rounding)

    assert_equal(values, loop)
    rows = jax.vmap(lambda c, at: case.basis.curve(c)(at), (0, None))
    mapped = compiled(jax.vmap(rows, (0, None)), coefficients, x)
    assert_equal(values, mapped)
    curve = case.basis.curve(coefficients)
    assert_equal(values, curve(x))
    np.testing.assert_allclose(
        jax.jit(lambda c, at: c(at))(curve, x), curve(x), rtol=1e-5, atol=1e-5
    )
    again = pickle.loads(pickle.dumps(curve))
    np.testing.assert_array_equal(again(x), curve(x))
    assert one(coefficients[0, 0], 0.5).shape == ()
    assert one(coefficients, np.zeros((0, 2), np.float32)).shape == (2, 3, 0, 2)


@pytest.mark.parametrize("case", CASES)
def test_picking_equals_a_loop(case):
    rng = np.random.default_rng(1)
    coefficients = rng.normal(size=(2, 4, case.basis.num_coefficients)).astype(np.float32)
    curve = case.basis.curve(coefficients)
    x = np.concatenate(case.points()).astype(np.float32)
    index = rng.integers(0, 4, x.size)
    expected = np.asarray(curve(x))[:, index, np.arange(x.size)]
    np.testing.assert_allclose(curve.pick(index)(x), expected, rtol=1e-6, atol=1e-6)
    jitted = jax.jit(lambda i, at: curve.pick(i)(at))(index, x)
    np.testing.assert_allclose(jitted, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_each_curve_at_its_own_points(case):
    rng = np.random.default_rng(2)
    coefficients = rng.normal(size=(2, 3, case.basis.num_coefficients)).astype(np.float32)
    lower, upper = case.basis.domain
    x = rng.uniform(lower - 0.1, upper + 0.1, (2, 3, 5)).astype(np.float32)
    values = case.basis.curve(coefficients).each(x)
    loop = [[case.basis.curve(coefficients[i, j])(x[i, j]) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(values, loop, rtol=1e-6, atol=1e-6 * case.amplification)


def test_curves_with_their_own_breakpoints():
    ends = jnp.array([1.0, 2.0, 4.0])

    def make(end):
        points = jnp.array([0.0, 0.25, 1.0]) * end
        return ns.BSplineBasis(points, degree=2).curve(jnp.array([0.0, 1.0, 2.0, -1.0]))

    curves = jax.vmap(make)(ends)
    assert curves.breakpoints.shape == (3, 3)
    x = np.linspace(-0.5, 1.5, 7)
    loop = np.stack([make(end)(x) for end in ends])
    np.testing.assert_allclose(curves(x), loop, atol=1e-6)
    np.testing.assert_allclose(
        curves.pick(np.array([2, 0, 1, 1, 0, 2, 2]))(x),
        loop[[2, 0, 1, 1, 0, 2, 2], np.arange(7)],
        atol=1e-6,
    )
    np.testing.assert_allclose(curves.each(np.tile(x, (3, 1))), loop, atol=1e-6)
    np.testing.assert_allclose(
        curves.derivative()(x), np.stack([make(end).derivative()(x) for end in ends]), atol=1e-5
    )


@pytest.mark.parametrize("case", CASES)
def test_the_design_matrix_times_coefficients_is_the_curve(case, precision):
    x = np.concatenate(case.points()).astype(precision.dtype)
    coefficients = case.coefficients().astype(precision.dtype)
    design, value = compiled(
        lambda c, at: (case.basis(at), case.basis.curve(c)(at)), coefficients, x
    )
    assert design.shape == (x.size, case.basis.num_coefficients)
    assert design.dtype == precision.dtype
    # Far outside, polynomials are large sums of both signs: relative to their size.
    size = np.abs(np.asarray(design)) @ np.abs(coefficients) + 1.0
    product = np.asarray(design) @ coefficients
    tolerance = 2e-14 * precision.factor
    np.testing.assert_allclose(product / size, np.asarray(value) / size, rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_a_basis_crosses_jit_as_an_argument(case, precision):
    # At a knot, float32 knots and float64 knots may disagree on the side; between them they do not.
    lower, upper = case.basis.domain
    x = np.linspace(lower, upper, 17)[1:-1] + 1e-4 * (upper - lower)
    x = x.astype(precision.dtype)
    coefficients = case.coefficients().astype(precision.dtype)
    value = jax.jit(lambda basis, c, at: basis.curve(c)(at))(case.basis, coefficients, x)
    np.testing.assert_allclose(
        value, case.basis.curve(coefficients)(x), atol=1e-13 * precision.factor
    )
