"""Partition of unity, polynomial reproduction, and integrals against quadrature."""

import itertools

import numpy as np
import pytest
from cases import CASES, compiled
from scipy.integrate import quad

from numpyro_splines.extrapolation import NaN


@pytest.mark.parametrize("case", [c for c in CASES if c.values[0].sums_to_one])
def test_functions_sum_to_one_on_the_domain(case, precision):
    design = compiled(lambda at: case.basis(at), case.points()[0].astype(precision.dtype))
    np.testing.assert_allclose(design.sum(-1), 1.0, atol=2e-15 * precision.factor)
    # Horner in u adds terms of both signs: up to binomial(8, 4) at degree 8.
    if case.non_negative:
        assert np.all(np.asarray(design) >= -1e-14 * precision.factor)


@pytest.mark.parametrize("case", CASES)
def test_polynomials_up_to_the_degree_are_reproduced(case, x64):
    lower, upper = case.basis.domain
    # Enough points in each interval to tell polynomials apart; between knots.
    knots = np.unique(np.clip(case.spline.knots, lower, upper))
    share = np.cos(np.pi * (np.arange(case.degree + 2) + 0.5) / (case.degree + 2)) / 2 + 0.5
    x = (knots[:-1, None] + np.diff(knots)[:, None] * share).ravel()
    z = (2 * x - lower - upper) / (upper - lower)
    found = case.basis.polynomials(case.degree + 1)
    values, design = compiled(lambda c, at: (case.basis.curve(c)(at).T, case.basis(at)), found.T, x)
    values, design = np.asarray(values), np.asarray(design)
    monomials = np.vander(z, case.degree + 1, increasing=True)
    if case.sums_to_one:
        np.testing.assert_allclose(values, monomials[:, : values.shape[1]], atol=1e-13)
    # Also where only some polynomials are contained: what is found are polynomials, and all.
    fit = np.linalg.lstsq(monomials, values, rcond=None)[0]
    np.testing.assert_allclose(monomials @ fit, values, atol=1e-12)
    assert np.linalg.matrix_rank(fit) == found.shape[1]
    both = np.linalg.matrix_rank(np.column_stack([design, monomials]), tol=1e-7)
    assert found.shape[1] == case.basis.num_coefficients + case.degree + 1 - both


@pytest.mark.parametrize("case", CASES)
def test_integrals_equal_quadrature(case, x64):
    coefficients = case.coefficients(3)
    lower, upper = case.basis.domain
    width = upper - lower
    bounds = np.array([(0.0, 1.0), (0.1, 0.65), (0.8, 0.2), (-0.5, 0.3), (0.9, 1.6), (-2.3, 1.9)])
    if isinstance(case.spline.extrapolation[0], NaN):
        bounds = bounds[:3]
    a, b = (lower + width * bounds).T
    values = np.asarray(
        compiled(lambda c, low, high: case.basis.curve(c).integrate(low, high), coefficients, a, b)
    )
    breaks = np.unique(case.spline.knots)
    breaks = np.concatenate([breaks + k * width for k in range(-4, 4)])
    for value, start, end in zip(values, a, b, strict=True):
        low, high = sorted((start, end))
        inner = breaks[(breaks > low) & (breaks < high)]
        pieces = np.concatenate([[low], np.unique(inner), [high]])
        exact = sum(
            quad(lambda t: float(case.reference(coefficients, np.array(t))), p, q)[0]
            for p, q in itertools.pairwise(pieces)
        )
        np.testing.assert_allclose(value, np.sign(end - start) * exact, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_antiderivative_is_continuous_and_differentiates_back(case, x64):
    x, (lower, _) = case.points()[0], case.basis.domain
    knots = np.unique(x)[1:-1]
    sides = np.nextafter(knots, np.array([[-np.inf], [np.inf]]))

    def evaluate(coefficients, at, start, near):
        curve = case.basis.curve(coefficients)
        antiderivative = curve.antiderivative()
        back = antiderivative.derivative()(at)
        return curve(at), back, antiderivative(start), antiderivative(near)

    value, back, first, (left, right) = compiled(
        evaluate, case.coefficients(4), x, np.asarray(lower), sides
    )
    np.testing.assert_allclose(back, value, rtol=1e-10, atol=1e-10)
    assert abs(float(first)) < 1e-14
    # From the left and from the right; NaN outside stays NaN.
    for before, after in zip(left, right, strict=True):
        np.testing.assert_allclose(before, after, atol=1e-12 * (1 + abs(float(after))))
