"""Value, first and second derivative in x are right everywhere, forward and reverse, both dtypes.

At interior points, exactly at knots (from the right; from the left at the right end), at both ends
and outside; in coefficients the map is linear. The engine is proved on tables of every degree; what
a basis makes of its coefficients is a table, as `test_bases.py` proves; a few go the whole way.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import BASES, UNEVEN
from cases.tables import DEGREES, stack

import numpyro_splines as ns


def forward(f):
    return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1]


def reverse(f):
    return lambda x: jax.grad(lambda at: f(at).sum())(x)


def derivatives(curve, x):
    """The curve, its derivative in both modes, its second derivative in all four combinations.

    Then the curves of its derivatives.
    """
    modes = forward, reverse
    one = [mode(curve)(x) for mode in modes]
    two = [outer(inner(curve))(x) for outer in modes for inner in modes]
    return [
        [curve(x)],
        [*one, curve.derivative()(x)],
        [*two, curve.derivative(2)(x), curve.derivative().derivative()(x)],
    ]


@jax.jit
def everything(breakpoints, table, x):
    return jax.vmap(lambda b, t, at: derivatives(ns.Curve(b, t), at))(breakpoints, table, x)


@jax.jit
def everything_periodic(breakpoints, table, x):
    def one(b, t, at):
        return derivatives(ns.Curve(b, t, periodic=True), at)

    return jax.vmap(one)(breakpoints, table, x)


def check_derivatives(found, tables, degree, precision, periodic=False):
    for order, group in enumerate(found):
        parts = tables.terms(order, periodic)
        expected, size = parts.sum(-1), np.abs(parts).sum(-1)
        # Of the sum, and of u, degree times over.
        rounding = 4 * (degree + 2) * np.finfo(precision.dtype).eps * size
        for values in group:
            assert values.dtype == precision.dtype
            error = np.abs(np.asarray(values, float) - expected)
            # Autodiff knows that the derivative of a constant is zero even where that is NaN.
            exempt = np.isnan(expected) & (order > degree)
            assert np.all(np.isnan(values) == np.isnan(expected), where=~exempt)
            assert np.all(error <= rounding, where=~np.isnan(expected)), order


@pytest.mark.parametrize("degree", DEGREES)
def test_autodiff_in_x(degree, precision):
    tables = stack(degree)
    check_derivatives(everything(*tables.astype(precision.dtype)), tables, degree, precision)


@pytest.mark.parametrize("degree", [1, 3])
def test_autodiff_in_x_of_periodic_curves(degree, precision):
    # Two thousand years are many turns of these: their rounding is another matter.
    tables = type(stack(degree))(*(array[:6] for array in stack(degree)))
    found = everything_periodic(*tables.astype(precision.dtype))
    check_derivatives(found, tables, degree, precision, periodic=True)


@jax.jit
def in_table(breakpoints, table, x, direction, weights):
    """Derivative along `direction`, and of the weighted values in every entry of the table."""

    def values(t):
        return jax.vmap(lambda b, one, at: ns.Curve(b, one)(at))(breakpoints, t, x)

    _, along = jax.jvp(values, (table,), (direction,))
    return along, jax.vjp(values, table)[1](weights)[0]


@pytest.mark.parametrize("degree", DEGREES)
def test_gradient_in_the_table(degree, precision):
    """Values are linear in the table: forward along another one, reverse by the transpose."""
    rng = np.random.default_rng(degree)
    tables = stack(degree)
    direction = rng.normal(size=tables.table.shape)
    weights = rng.normal(size=tables.x.shape)
    found = in_table(*(a.astype(precision.dtype) for a in (*tables, direction, weights)))
    along, gradient = (np.asarray(values, float) for values in found)
    parts = tables._replace(table=direction).terms()
    size = np.abs(parts).sum(-1)
    eps = np.finfo(precision.dtype).eps
    rounding = 4 * (degree + 2) * eps * size
    assert np.all(np.abs(along - parts.sum(-1)) <= rounding)
    # <w, J d> = <J' w, d> for each function.
    first = np.sum(weights * parts.sum(-1), axis=-1)
    second = np.sum(gradient * direction, axis=(1, 2))
    rounding = 8 * (degree + 2) * eps * np.sum(np.abs(weights) * size, axis=-1)
    assert np.all(np.isfinite(gradient))
    assert np.all(np.abs(first - second) <= rounding)


FEW = ("uneven_degree3", "pair", "cyclic", "constrained_ends", "natural")


@jax.jit
def in_coefficients(coefficients, x):
    """Design matrices, and derivatives in the coefficients in both modes."""
    found = {}
    for name in FEW:
        basis, at = BASES[name].basis, x[name]

        def value(c, basis=basis, at=at):
            return basis.curve(c)(at)

        modes = jax.jacfwd(value), jax.jacrev(value)
        found[name] = basis(at), *(mode(coefficients[name]) for mode in modes)
    return found


def test_gradient_in_coefficients_is_the_design_matrix(precision):
    """The map is linear: `test_bases.py` proves it of every basis, this that autodiff sees it."""
    x = {name: BASES[name].points()[0].astype(precision.dtype) for name in FEW}
    coefficients = {n: BASES[n].coefficients().astype(precision.dtype) for n in FEW}
    for name, (design, *modes) in in_coefficients(coefficients, x).items():
        rounding = 2e-15 * precision.factor * BASES[name].amplification
        for values in modes:
            assert values.dtype == precision.dtype
            np.testing.assert_allclose(values, design, rtol=0, atol=rounding)


def test_nan_extrapolation_leaves_the_gradient_in_coefficients_finite():
    basis, x = BASES["even_cubic_nan"].basis, np.array([-1.0, 0.5, 1.0])
    gradient = jax.grad(lambda c: jnp.nansum(basis.curve(c)(x)))(jnp.ones(11))
    assert np.all(np.isfinite(gradient))
    assert np.sum(gradient) > 0


@jax.jit
def of_knots(inner, x, coefficients):
    """Values on moving knots, and their derivatives in the knots in both modes."""

    def value(points):
        return ns.BSplineBasis(points).curve(coefficients)(x)

    return value(inner), jax.jacfwd(value)(inner), jax.jacrev(value)(inner)


def test_gradient_in_breakpoints(x64):
    points = UNEVEN.copy()
    x, coefficients = np.linspace(-1.5, 3.5, 23), np.random.default_rng(6).normal(size=8)
    _, forward_mode, reverse_mode = of_knots(points, x, coefficients)
    np.testing.assert_allclose(forward_mode, reverse_mode, rtol=0, atol=1e-11)
    for j in range(points.size):
        step = 1e-6 * np.eye(points.size)[j]
        high, low = (of_knots(points + s, x, coefficients)[0] for s in (step, -step))
        np.testing.assert_allclose(forward_mode[:, j], (high - low) / 2e-6, rtol=0, atol=1e-5)
