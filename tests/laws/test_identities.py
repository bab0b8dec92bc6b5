"""Polynomial reproduction, and integrals against quadrature, of every basis: all on the host."""

import jax
import numpy as np
import pytest
from cases import CASES
from cases.tables import stack

import numpyro_splines as ns
from numpyro_splines.extrapolation import NaN
from numpyro_splines.ops import piecewise


@pytest.mark.parametrize("case", CASES)
def test_polynomials_up_to_the_degree_are_reproduced(case):
    lower, upper = case.basis.domain
    # Enough points in each interval to tell polynomials apart; between knots.
    knots = np.unique(np.clip(case.spline.knots, lower, upper))
    share = np.cos(np.pi * (np.arange(case.degree + 2) + 0.5) / (case.degree + 2)) / 2 + 0.5
    x = (knots[:-1, None] + np.diff(knots)[:, None] * share).ravel()
    z = (2 * x - lower - upper) / (upper - lower)
    found, design = case.basis.polynomials(case.degree + 1), case.basis.collocation(x)
    values = design @ found
    monomials = np.vander(z, case.degree + 1, increasing=True)
    if case.sums_to_one:
        np.testing.assert_allclose(values, monomials[:, : values.shape[1]], atol=1e-13)
    # Also where only some polynomials are contained: what is found are polynomials, and all.
    fit = np.linalg.lstsq(monomials, values, rcond=None)[0]
    np.testing.assert_allclose(monomials @ fit, values, atol=1e-12)
    assert np.linalg.matrix_rank(fit) == found.shape[1]
    both = np.linalg.matrix_rank(np.column_stack([design, monomials]), tol=1e-7)
    assert found.shape[1] == case.basis.num_coefficients + case.degree + 1 - both


BOUNDS = np.array([(0.0, 1.0), (0.1, 0.65), (0.8, 0.2), (-0.5, 0.3), (0.9, 1.6), (-2.3, 1.9)])


def quadrature(case, coefficients, start, end):
    """The integral of SciPy's spline with its continuation, Gauss points between any two knots."""
    lower, upper = case.basis.domain
    breaks = np.unique(case.spline.knots)
    breaks = np.concatenate([breaks + k * (upper - lower) for k in range(-4, 4)])
    low, high = sorted((start, end))
    inner = breaks[(breaks > low) & (breaks < high)]
    pieces = np.concatenate([[low], np.unique(inner), [high]])
    nodes, weights = np.polynomial.legendre.leggauss(case.degree // 2 + 1)
    half = np.diff(pieces)[:, None] / 2
    values = case.reference(coefficients, (pieces[:-1, None] + half * (nodes + 1)).ravel())
    return np.sign(end - start) * np.sum(half * weights * values.reshape(half.size, -1))


def bounds_of(case):
    lower, upper = case.basis.domain
    bounds = BOUNDS[:3] if isinstance(case.spline.extrapolation[0], NaN) else BOUNDS
    return lower + (upper - lower) * bounds


@pytest.mark.parametrize("case", CASES)
def test_integrals_equal_quadrature(case, x64):
    coefficients, bounds = case.coefficients(3), bounds_of(case)
    values = np.asarray(case.basis.curve(coefficients).integrate(*bounds.T))
    exact = [quadrature(case, coefficients, start, end) for start, end in bounds]
    np.testing.assert_allclose(values, exact, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_antiderivative_is_continuous_and_differentiates_back(case):
    breakpoints, table = case.curve(case.coefficients(4))
    integral = piecewise.antidifferentiate(table, breakpoints)
    back = piecewise.differentiate(integral, breakpoints, 1)
    np.testing.assert_allclose(back, table, rtol=1e-10, atol=1e-10)
    first = piecewise.evaluate(breakpoints[:1], breakpoints, integral)
    assert np.abs(first).max() < 1e-14
    # From the left and from the right; NaN outside stays NaN.
    knots = breakpoints[1:-1]
    left, right = (
        piecewise.evaluate(np.nextafter(knots, way), breakpoints, integral)
        for way in (-np.inf, np.inf)
    )
    assert np.all(np.abs(left - right) <= 1e-12 * (1 + np.abs(right)))


def test_the_antiderivative_of_traced_curves_is_the_same(x64):
    for degree in (0, 3):
        tables = stack(degree)
        compiled = antiderivatives(tables.breakpoints, tables.table)
        pairs = zip(tables.table, tables.breakpoints, compiled, strict=True)
        for table, breakpoints, found in pairs:
            expected = piecewise.antidifferentiate(table, breakpoints)
            np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


@jax.jit
def antiderivatives(breakpoints, tables):
    return jax.vmap(lambda b, t: ns.Curve(b, t).antiderivative().table)(breakpoints, tables)
