"""Polynomials of high degree: accurate to degree 30 in both dtypes, unlike powers of u alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import BPoly, BSpline

import numpyro_splines as ns
from numpyro_splines.ops.bspline import local_basis

DEGREES = [8, 30]  # each compiles programs of its own; between them the rule is the same
UNEVEN = np.array([-1.0, -0.7, 0.2, 0.25, 1.0, 3.0])
SHARES = np.linspace(0.0, 1.0, 201)


def cases(degree):
    """A single interval, and uneven knots."""
    for basis in (
        ns.BernsteinBasis(-1.0, 3.0, degree=degree),
        ns.BSplineBasis(UNEVEN, degree=degree),
    ):
        spline = getattr(basis, "spline", basis)
        coefficients = np.random.default_rng(degree).normal(size=basis.num_coefficients)
        yield basis, coefficients, BSpline(spline.knots, coefficients, degree)


@pytest.mark.parametrize("degree", DEGREES)
def test_values_slopes_and_integrals(degree, precision):
    x = -1.0 + 4.0 * SHARES
    for basis, coefficients, spline in cases(degree):
        curve = basis.curve(coefficients)
        for order in (0, 1, 2):
            right = spline(x, nu=order)
            # A derivative of order m multiplies rounding by up to (2 degree / width)^m.
            got = curve.derivative(order)(x) / np.abs(right).max()
            tolerance = 2e-14 * precision.factor
            np.testing.assert_allclose(got, right / np.abs(right).max(), rtol=0, atol=tolerance)
        integral = spline.integrate(-0.9, 2.5)
        tolerance = 1e-14 * precision.factor
        np.testing.assert_allclose(curve.integrate(-0.9, 2.5), integral, rtol=0, atol=tolerance)


@pytest.mark.parametrize("degree", DEGREES)
def test_functions_are_non_negative_and_sum_to_one(degree, precision):
    """Both on the host; compiled, the uneven ones: a single interval is evaluated by the same."""
    x = -1.0 + 4.0 * SHARES
    for basis, _, _ in cases(degree):
        rows = basis.collocation(x)
        assert rows.min() >= 0.0
        np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=0, atol=1e-14)
    compiled = np.asarray(basis(x))
    assert compiled.min() >= 0.0
    np.testing.assert_allclose(compiled.sum(axis=1), 1.0, rtol=0, atol=1e-14 * precision.factor)
    np.testing.assert_allclose(compiled, rows, atol=1e-14 * precision.factor)


@pytest.mark.parametrize("degree", [20])
def test_increasing_coefficients_give_an_increasing_curve(degree):
    basis = ns.BernsteinBasis(0.0, 1.0, degree=degree)
    coefficients = np.sort(np.random.default_rng(0).normal(size=degree + 1))
    assert np.diff(np.asarray(basis.curve(coefficients)(SHARES))).min() > 0.0


def test_a_table_of_high_degree_has_more_rows_and_no_large_numbers():
    for degree in range(31):
        local = local_basis(ns.knots.clamped([0.0, 1.0], degree), degree)
        sizes = np.abs(local.pieces).sum(axis=-1).max()
        assert sizes <= 3.0**5 * 1.001, degree
        assert (len(local.first) == 1) == (degree <= 5)
        assert local.breakpoints[0] == 0.0
        assert local.breakpoints[-1] == 1.0


def test_gradients_in_x_and_knots(x64):
    x = jnp.asarray(-1.0 + 4.0 * SHARES[1:-1])
    basis, coefficients, spline = next(iter(cases(12)))
    slope = jax.jit(jax.vmap(jax.grad(basis.curve(coefficients))))(x)
    np.testing.assert_allclose(slope, spline(x, nu=1), rtol=1e-11, atol=1e-11)

    inner, weights = jnp.array([0.2, 1.0]), np.random.default_rng(1).normal(size=11)
    step = 1e-6 * np.eye(2)

    def value(inner):
        points = jnp.concatenate([jnp.array([-1.0]), inner, jnp.array([3.0])])
        knots = ns.knots.clamped(points, 8)
        return ns.bspline(jnp.array([0.3, 1.7]), knots, weights, degree=8)

    @jax.jit
    def everything(inner):
        around = jax.vmap(value)(jnp.concatenate([inner + step, inner - step]))
        return jax.jacfwd(value)(inner), jax.jacrev(value)(inner), around

    forward, reverse, around = everything(inner)
    np.testing.assert_allclose(forward, reverse, atol=1e-12)
    differences = (around[:2] - around[2:]) / 2e-6
    np.testing.assert_allclose(forward, differences.T, atol=1e-7)


@pytest.mark.parametrize("degree", [4, 12, 30])
def test_equations_at_any_degree(degree, precision):
    """Levels of one interval, which is cut from degree six on: no degree is too high for them."""
    basis, share = ns.BernsteinBasis(0.0, 1.0, degree=degree), np.arange(degree + 1.0) / degree
    wave = np.sin(8.0 * share + 0.4).astype(precision.dtype)
    exact = BPoly(wave.astype(float)[:, None], [0.0, 1.0])
    grid = np.linspace(0.0, 1.0, 100_001)
    turns, bends = (
        grid[1:][np.diff(np.sign(exact.derivative(order)(grid))) != 0] for order in (1, 2)
    )
    for level in (0.0, 1013.0):
        curve = basis.curve(wave) + level
        loose = 1e-4 if level == 0.0 or precision.factor == 1.0 else 2e-3
        np.testing.assert_allclose(curve.extrema().x, turns, atol=loose)
        np.testing.assert_allclose(curve.inflections(), bends, atol=loose)
        assert not curve.is_monotone()
        assert (basis.curve(np.sort(wave)) + level).is_monotone()
    y = BPoly(np.sort(wave).astype(float)[:, None], [0.0, 1.0])([0.2, 0.7])
    np.testing.assert_allclose(basis.curve(np.sort(wave)).inverse(y), [0.2, 0.7], atol=1e-4)
