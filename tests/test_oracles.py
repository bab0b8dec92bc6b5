"""Values that R's splines and splines2 computed; see oracles/README.md."""

import json
from pathlib import Path

import numpy as np
import pytest

import numpyro_splines as ns

FOLDER = Path(__file__).parent / "oracles"


def load(name):
    cases = json.loads((FOLDER / f"{name}.json").read_text())["cases"]
    return [pytest.param(case, id=case["name"]) for case in cases]


@pytest.mark.parametrize("case", load("bspline"))
def test_bspline_bases_and_derivatives(case, precision):
    tolerance = 1e-10 if precision.dtype is np.float64 else 2e-5
    x = np.array(case["x"], precision.dtype)
    for name, expected in case["derivs"].items():
        order, expected = int(name[1:]), np.array(expected)
        size = np.abs(expected).max()
        arguments = (case["knots"], case["degree"], order)
        for basis in (ns.bspline_basis, ns.scipy_bspline_basis):
            values = basis(x, *arguments)
            assert values.dtype == precision.dtype
            np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance * size)
        identity = np.eye(expected.shape[1], dtype=precision.dtype)
        fused = ns.bspline(x, case["knots"], identity, case["degree"], order)
        np.testing.assert_allclose(fused.T, expected, rtol=0, atol=tolerance * size)


@pytest.mark.parametrize("case", load("integrals"))
def test_integrals_and_gram_matrices(case, precision):
    tolerance = 1e-10 if precision.dtype is np.float64 else 2e-5
    basis = ns.BSplineBasis(knots=np.array(case["knots"], float), degree=case["degree"])
    curves = basis.curve(np.eye(basis.num_coefficients, dtype=precision.dtype))
    bounds = np.array(case["ab"], precision.dtype)
    expected = np.array(case["definite_integrals"])
    values = curves.integrate(bounds[:, 0], bounds[:, 1]).T
    np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance * expected.max())
    if "ibs" in case:
        at = np.array(case["ibs"]["x"], precision.dtype)
        expected = np.array(case["ibs"]["values"])
        values = curves.antiderivative()(at).T
        np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance * expected.max())
    for name, gram in case["gram"].items():
        gram = np.array(gram)
        penalty = basis.penalty(int(name[1:]))
        np.testing.assert_allclose(penalty, gram, rtol=0, atol=1e-12 * np.abs(gram).max())
    lower, upper = basis.domain
    np.testing.assert_allclose(
        basis.gram() * (upper - lower), case["gram"]["d0"], rtol=0, atol=1e-13
    )
    full = np.array(case["full_support_integral"])
    knots, degree = basis.knots, basis.degree
    support = (knots[degree + 1 :] - knots[: -degree - 1]) / (degree + 1)
    np.testing.assert_allclose(support, full, atol=1e-14)


def close(values, expected, tolerance=1e-10):
    expected = np.array(expected, dtype=float)
    np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance * np.abs(expected).max())


SHAPE = load("shape")


def of_kind(kind):
    return pytest.mark.parametrize("case", [p for p in SHAPE if p.values[0]["kind"] == kind])


@of_kind("monotone")
def test_m_i_and_c_splines(case, x64):
    ends = case["boundary"]
    points = np.array([ends[0], *case["interior_knots"], ends[1]], dtype=float)
    degree, x = case["degree"], np.array(case["x"], dtype=float)
    bases = {
        "m_spline": ns.MSplineBasis(points, degree=degree),
        "i_spline": ns.ISplineBasis(points, degree=degree),
        "c_spline": ns.CSplineBasis(points, degree=degree),
        "c_spline_unscaled": ns.CSplineBasis(points, degree=degree, scaled=False),
    }
    for name, basis in bases.items():
        close(basis(x), case[name]["d0"])
        curves = basis.curve(np.eye(basis.num_coefficients))
        # Derivatives at knots where they jump: splines2 takes either side; compare between knots.
        between = ~np.isin(x, points)
        for order in (1, 2):
            if f"d{order}" in case[name]:
                expected = np.array(case[name][f"d{order}"], dtype=float)
                values = np.asarray(curves.derivative(order)(x)).T
                size = max(np.abs(expected).max(), 1.0)
                np.testing.assert_allclose(
                    values[between], expected[between], rtol=0, atol=1e-10 * size
                )


@of_kind("periodic_b_spline")
def test_periodic_b_splines(case, x64):
    basis = ns.CyclicBasis(case["knots"], degree=case["degree"])
    x = np.array(case["x"], dtype=float)
    curves = basis.curve(np.eye(basis.num_coefficients))
    for name, expected in case["b_spline"].items():
        close(curves.derivative(int(name[1:]))(x).T, expected)
    close(basis(x), case["b_spline"]["d0"])


@of_kind("bernstein")
def test_bernstein_polynomials_are_b_splines_on_one_interval(case, x64):
    basis = ns.BSplineBasis(np.array(case["boundary"], dtype=float), degree=case["degree"])
    close(basis(np.array(case["x"], dtype=float)), case["bernstein"]["d0"])


@pytest.mark.parametrize("case", load("natural"))
def test_cardinal_bases(case, x64):
    knots = np.array(case["cardinal"]["knots"], dtype=float)
    periodic = case["kind"] == "cardinal_periodic"
    kind = ns.CyclicCubicRegressionBasis if periodic else ns.CubicRegressionBasis
    basis = kind(knots)
    curves = basis.curve(np.eye(basis.num_coefficients))
    x = np.array(case["newx"], dtype=float)
    for order in range(3):
        close(curves.derivative(order)(x).T, case["cardinal"][f"d{order}_newx"])


@pytest.mark.parametrize("case", load("mgcv_univariate"))
def test_cubic_regression_splines_of_mgcv(case, x64):
    knots = np.array(case["knots"], dtype=float)
    periodic = case["bs"] == "cc"
    basis = (ns.CyclicCubicRegressionBasis if periodic else ns.CubicRegressionBasis)(knots)
    close(basis(np.array(case["x"], dtype=float)), case["X"])
    close(basis(np.array(case["newx"], dtype=float)), case["pred_X"])
    close(basis.penalty(2), case["S"][0])
