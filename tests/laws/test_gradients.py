"""Value, first and second derivative in x are right everywhere, forward and reverse, both dtypes.

At interior points, exactly at knots (from the right; from the left at the right end), at both ends
and outside; in coefficients the map is linear.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, SMOOTH

from numpyro_splines.extrapolation import NaN


def derivatives(f):
    """f, its derivative in both modes, and its second derivative in all four combinations."""
    reverse, forward = jax.grad, jax.jacfwd
    one = [forward(f), reverse(f)]
    two = [outer(inner) for outer in (forward, reverse) for inner in (forward(f), reverse(f))]
    return [[f], one, two]


@pytest.mark.parametrize("case", CASES)
def test_autodiff_in_x(case, precision):
    coefficients = case.coefficients()
    curve = case.basis.curve(coefficients.astype(precision.dtype))
    x = np.concatenate(case.points())
    orders = derivatives(curve)
    everything = jax.jit(lambda at: [[jax.vmap(g)(at) for g in group] for group in orders])
    is_nan = any(isinstance(rule, NaN) for rule in case.spline.extrapolation)
    for order, group in enumerate(everything(x.astype(precision.dtype))):
        # Autodiff knows that the derivative of a constant is zero even where the constant is NaN.
        keep = x if not (is_nan and order > case.degree) else case.points()[0]
        expected = case.reference(coefficients, keep, order)
        size = np.nanmax(np.abs(expected)) + 1.0
        for values in group:
            assert values.dtype == precision.dtype
            # Relative to the largest value: rounding of the table and of u, degree times over.
            np.testing.assert_allclose(
                values[: keep.size], expected, rtol=0, atol=size * 5e-14 * precision.factor
            )


@pytest.mark.parametrize("case", CASES)
def test_derivative_curves(case, precision):
    coefficients = case.coefficients(1)
    curve = case.basis.curve(coefficients.astype(precision.dtype))
    x = np.concatenate(case.points())
    for order in range(case.degree + 2):
        values = curve.derivative(order)(x.astype(precision.dtype))
        expected = case.reference(coefficients, x, order)
        size = np.nanmax(np.abs(expected)) + 1.0
        # High derivatives are differences of float coefficients: their rounding is amplified.
        amplified = 5e-14 * 4.0**order * precision.factor
        np.testing.assert_allclose(values, expected, rtol=0, atol=size * amplified)


@pytest.mark.parametrize("case", SMOOTH)
def test_gradient_in_coefficients_is_the_design_matrix(case, precision):
    x = case.points()[0].astype(precision.dtype)
    coefficients = jnp.asarray(case.coefficients(), precision.dtype)

    def value(c):
        return case.basis.curve(c)(x)

    design = case.basis(x)
    forward, reverse = jax.jit(lambda c: (jax.jacfwd(value)(c), jax.jacrev(value)(c)))(coefficients)
    rounding = 2e-15 * precision.factor * case.amplification
    np.testing.assert_allclose(forward, design, atol=rounding)
    np.testing.assert_allclose(reverse, design, atol=rounding)


def test_nan_extrapolation_leaves_the_gradient_in_coefficients_finite():
    case = next(p.values[0] for p in CASES if p.id == "even_cubic_nan")
    x = np.array([-1.0, 0.5, 1.0])
    gradient = jax.grad(lambda c: jnp.nansum(case.basis.curve(c)(x)))(jnp.ones(11))
    assert np.all(np.isfinite(gradient))
    assert np.sum(gradient) > 0
