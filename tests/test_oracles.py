"""Values that R's splines and splines2 computed; see oracles/README.md."""

import numpy as np
import pytest
from oracle_files import close, load

import numpyro_splines as ns


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
def test_the_bernstein_basis(case, x64):
    basis = ns.BernsteinBasis(*case["boundary"], degree=case["degree"])
    x = np.array(case["x"], dtype=float)
    curves = basis.curve(np.eye(basis.num_coefficients))
    close(basis(x), case["bernstein"]["d0"])
    close(curves.derivative()(x).T, case["bernstein"]["d1"])
    close(curves.antiderivative()(x).T, case["bernstein"]["integral"])


@of_kind("periodic_m_spline")
def test_periodic_m_splines(case, x64):
    ends = case["boundary"]
    points = np.array([ends[0], *case["interior_knots"], ends[1]], dtype=float)
    basis = ns.CyclicMSplineBasis(points, degree=case["degree"])
    x = np.array(case["x"], dtype=float)
    curves = basis.curve(np.eye(basis.num_coefficients))
    wrapped = ends[0] + (x - ends[0]) % (ends[1] - ends[0])
    between = np.abs(wrapped[:, None] - points).min(axis=1) > 1e-9
    for order in range(3):
        expected = np.array(case["m_spline"][f"d{order}"], dtype=float)
        values = np.asarray(curves.derivative(order)(x)).T
        # Where derivatives jump, splines2 takes either side.
        kept = between | (order < case["degree"])
        size = np.abs(expected).max() + 1.0
        np.testing.assert_allclose(values[kept], expected[kept], rtol=0, atol=1e-10 * size)
    at = np.array(case["x_integral"], dtype=float)
    close(curves.antiderivative()(at).T, case["m_spline_integral"])
    close(curves.integrate(*ends), np.ones(basis.num_coefficients))


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


NATURAL = [p for p in load("natural") if p.values[0]["kind"] == "natural_cubic"]


def natural_basis(case):
    ends = case["boundary"]
    return ns.NaturalBasis(np.array([ends[0], *case["interior_knots"], ends[1]], dtype=float))


@pytest.mark.parametrize("case", [p for p in NATURAL if p.values[0]["natural_spline"]])
def test_natural_splines_of_splines2(case, x64):
    basis, values = natural_basis(case), case["natural_spline"]
    curves = basis.curve(np.eye(basis.num_coefficients))
    first = 0 if case["intercept"] else 1  # intercept=FALSE drops the first function
    newx = np.array(case["newx"], dtype=float)
    close(basis(np.array(case["x"], dtype=float))[:, first:], values["values_x"])
    for order, name in enumerate(("values_newx", "d1_newx", "d2_newx")):
        close(curves.derivative(order)(newx).T[:, first:], values[name])
    inside = np.array(values["integral_inside"]["x"], dtype=float)
    integral = curves.antiderivative()(inside).T[:, first:]
    close(integral, values["integral_inside"]["values"])


@pytest.mark.parametrize("case", NATURAL)
def test_least_squares_on_natural_splines(case, x64):
    basis, y = natural_basis(case), np.array(case["y"], dtype=float)
    design = np.asarray(basis(np.array(case["x"], dtype=float)))
    beta, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    assert rank == case["ols"]["rank"]
    close(design @ beta, case["ols"]["fitted"])
    close(basis(np.array(case["newx"], dtype=float)) @ beta, case["ols"]["pred_newx"])
    np.testing.assert_allclose(np.sum((y - design @ beta) ** 2), case["ols"]["rss"], rtol=1e-9)
