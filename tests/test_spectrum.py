"""The Karhunen-Loeve decomposition, and the Gram and penalty matrices it is made of."""

import warnings

import jax
import numpy as np
import pytest
import scipy.linalg
from cases import CASES

import numpyro_splines as ns
from numpyro_splines.measure import UNIFORM_SHARE
from numpyro_splines.spectrum import karhunen_loeve

X = np.random.default_rng(0).beta(2.0, 5.0, 300)
BASES = [
    pytest.param(
        ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, num), degree=degree), id=f"{num}-{degree}"
    )
    for num, degree in [(5, 2), (12, 3), (60, 3), (8, 5)]
]


def decompose(basis, order, measure=None, penalty=None):
    penalty = basis.penalty(order) if penalty is None else penalty
    return karhunen_loeve(basis.gram(measure), penalty, basis.polynomials(order))


@pytest.mark.parametrize("measure", [None, X], ids=["uniform", "observed"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("basis", BASES)
def test_functions_are_orthonormal_and_diagonalize_the_penalty(basis, order, measure):
    gram, penalty = basis.gram(measure), basis.penalty(order)
    spectrum = decompose(basis, order, measure)
    everything = np.concatenate([spectrum.polynomials, spectrum.modes], axis=1)
    np.testing.assert_allclose(
        everything.T @ gram @ everything, np.eye(basis.num_coefficients), atol=1e-8
    )
    penalized = spectrum.modes.T @ penalty @ spectrum.modes
    np.testing.assert_allclose(
        penalized - np.diag(np.diag(penalized)), 0.0, atol=1e-9 * penalized.max()
    )
    assert np.abs(penalty @ spectrum.polynomials).max() < 1e-10 * np.abs(penalty).max()
    assert np.all(np.diff(spectrum.standard_deviations) <= 0)
    np.testing.assert_allclose(np.sum(spectrum.standard_deviations**2), 1.0)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("basis", BASES)
def test_the_covariance_is_the_scaled_generalized_inverse(basis, order):
    gram, penalty = basis.gram(X), basis.penalty(order)
    spectrum = decompose(basis, order, X)
    weighted = spectrum.modes * spectrum.standard_deviations
    complement = scipy.linalg.null_space(basis.polynomials(order).T @ gram)
    inverse = complement @ np.linalg.inv(complement.T @ penalty @ complement) @ complement.T
    inverse /= np.trace(gram @ inverse)
    covariance = weighted @ weighted.T
    np.testing.assert_allclose(covariance, inverse, atol=1e-9 * np.abs(inverse).max())


def test_coordinates_do_not_depend_on_the_penalty_factor_or_the_knot_vector():
    points = ns.knots.uniform(0.0, 1.0, 9)
    clamped = ns.BSplineBasis(points)
    extended = ns.BSplineBasis(knots=ns.knots.extended(points, 3))
    one, other = decompose(clamped, 2), decompose(extended, 2)
    np.testing.assert_allclose(one.standard_deviations, other.standard_deviations, rtol=1e-9)
    x = np.linspace(0, 1, 30)
    sign = np.sign(np.sum(one.modes[-1] * one.modes[-1]))
    assert sign == 1
    f, g = (np.asarray(b(x)) @ s.modes for b, s in ((clamped, one), (extended, other)))
    # The sign rule reads coefficients, which differ between the bases; functions agree up to it.
    np.testing.assert_allclose(np.abs(np.sum(f * g, 0)), np.sum(f * f, 0), rtol=1e-4)
    scaled = decompose(clamped, 2, penalty=1e6 * clamped.penalty(2))
    np.testing.assert_allclose(scaled.modes, one.modes, atol=1e-7)


def test_equal_eigenvalues_get_the_same_coordinates_after_any_rotation():
    # A ring: every eigenvalue but those of the constant and the alternating vector is double.
    num = 8
    ring = 2 * np.eye(num) - np.roll(np.eye(num), 1, 0) - np.roll(np.eye(num), -1, 0)
    one = karhunen_loeve(np.eye(num), ring, np.ones((num, 1)))
    noise = np.random.default_rng(0).normal(size=(num, num)) * 1e-13
    two = karhunen_loeve(np.eye(num), ring + noise + noise.T, np.ones((num, 1)))
    np.testing.assert_allclose(one.modes, two.modes, atol=1e-9)
    np.testing.assert_allclose(one.modes.T @ one.modes, np.eye(num - 1), atol=1e-12)


def test_the_measure_mixes_in_one_percent_of_the_uniform_one():
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
    design = np.asarray(basis(X.astype(np.float32)), dtype=float)
    empirical = design.T @ design / X.size
    expected = (1 - UNIFORM_SHARE) * empirical + UNIFORM_SHARE * basis.gram()
    np.testing.assert_allclose(basis.gram(X), expected, atol=1e-6)
    weights = np.arange(X.size, dtype=float)
    repeated = np.repeat(X, np.arange(X.size))
    np.testing.assert_allclose(basis.gram((X, weights)), basis.gram(repeated), atol=1e-14)
    measure = basis.measure((X, weights))
    assert measure.num_observations == pytest.approx(weights.sum() ** 2 / np.sum(weights**2))
    assert basis.measure(X).num_observations == pytest.approx(X.size)


@pytest.mark.parametrize("x", [[0.3], [0.3] * 50, [0.1, 0.1, 0.9], [0.0, 0.5, 1.0]])
def test_few_tied_or_extreme_points_are_no_trouble(x):
    spectrum = decompose(ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)), 2, np.array(x))
    assert np.all(np.isfinite(spectrum.modes))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_modes_and_polynomials_are_orthogonal_at_the_observations_exactly(order):
    """At n = 10 000 one percent of the uniform measure would be a hundred observations."""
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 12))
    smooth = ns.SplineEffect("f", basis, ns.SmoothnessPrior(order=order), measure=X).smooth
    rows = basis.collocation(X)
    parts = [np.ones((14, 1)), np.asarray(smooth.linear), smooth.columns]
    whole = np.concatenate(parts, axis=1)
    products = (rows @ whole).T @ (rows @ whole) / X.size
    np.testing.assert_allclose(products[order:, :order], 0.0, atol=1e-12)
    assert np.abs(products[:order, :order] - np.diag(np.diag(products)[:order])).max() < 1e-12
    # Of length one in the whole measure.
    lengths = np.einsum("kj,kl,lj->j", smooth.linear, basis.gram(X), smooth.linear)
    np.testing.assert_allclose(lengths, 1.0)


@pytest.mark.parametrize("x", [[0.3], [0.3] * 50, [0.1, 0.1, 0.9], [0.3, 0.3 + 1e-9]])
def test_few_or_tied_observations_do_not_tell_a_line_from_a_constant(x):
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10))
    for prior in (ns.SmoothnessPrior(order=3), ns.ConvexPrior(), ns.AdaptivePrior()):
        smooth = ns.SplineEffect("f", basis, prior, measure=np.array(x)).smooth
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(smooth)]
        assert all(np.all(np.isfinite(leaf)) for leaf in leaves if leaf.dtype.kind == "f")
        largest = max(np.abs(leaf).max(initial=0.0) for leaf in leaves if leaf.ndim == 2)
        assert largest < 1e6


@pytest.mark.parametrize(
    ("measure", "counted"),
    [([0.2, np.nan, 0.4, np.nan], 2), ([-0.5, 0.3, 0.4, 0.6, 0.7], 5)],
)
def test_what_is_missing_or_just_outside(measure, counted):
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mu = basis.measure(measure)
    assert mu.num_observations == pytest.approx(counted)
    assert len(caught) == (min(measure) < 0.0)
    with pytest.raises(ValueError, match="`measure` must hold observations of x in the domain"):
        basis.measure([5.0, 6.0, 0.5])
    with pytest.raises(ValueError, match="`measure` must hold at least one observation"):
        basis.measure([np.nan, np.nan])


def test_an_outlying_point_counts_at_the_nearer_end_and_is_told():
    basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10))
    with pytest.warns(UserWarning, match="2 of 4 observations outside the domain"):
        spectrum = decompose(basis, 2, np.array([-5.0, 0.3, 0.5, 7.0]))
    expected = decompose(basis, 2, np.array([0.0, 0.3, 0.5, 1.0]))
    np.testing.assert_array_equal(spectrum.modes, expected.modes)


def integral(one, two, knots):
    """Of the product, interval by interval, by nine Gauss points: exact up to degree 17."""
    nodes, weights = np.polynomial.legendre.leggauss(9)
    half = np.diff(knots)[:, None] / 2
    points = knots[:-1, None] + half * (nodes + 1)
    return float(np.sum(half * weights * np.asarray(one(points)) * np.asarray(two(points))))


# The penalty of `shrunk` has a term more, which test_mgcv looks at.
@pytest.mark.parametrize("case", [c for c in CASES if c.id not in ("many", "skewed", "shrunk")])
def test_penalties_equal_quadrature(case, x64):
    basis, knots = case.basis, np.unique(case.spline.knots)
    lower, upper = basis.domain
    knots = knots[(knots >= lower) & (knots <= upper)]
    for order in range(min(case.degree, 3) + 1):
        c, d = case.coefficients(5), case.coefficients(6)
        one, two = basis.curve(c).derivative(order), basis.curve(d).derivative(order)
        expected = integral(one, two, knots)
        # Terms of the sum on the B-splines behind: for straight lines they cancel.
        matrix, form = case.matrix, case.spline.penalty(order)
        size = np.abs(matrix @ c) @ np.abs(form) @ np.abs(matrix @ d)
        np.testing.assert_allclose(c @ basis.penalty(order) @ d, expected, atol=1e-9 * size)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_difference_penalties(order):
    even = ns.BSplineBasis(knots=ns.knots.extended(ns.knots.uniform(2.0, 7.0, 8), 3))
    plain = np.diff(np.eye(even.num_coefficients), order, axis=0)
    np.testing.assert_allclose(even.difference_penalty(order), plain.T @ plain, atol=1e-10)
    uneven = ns.BSplineBasis([0.0, 0.1, 0.5, 0.6, 2.0, 3.0])
    penalty, polynomials = uneven.difference_penalty(order), uneven.polynomials(order)
    assert np.abs(penalty @ polynomials).max() < 1e-9 * np.abs(penalty).max()
    assert np.linalg.matrix_rank(penalty) == uneven.num_coefficients - order
