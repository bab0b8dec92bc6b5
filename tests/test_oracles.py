"""Values that R's splines and splines2 computed; see oracles/README.md."""

import numpy as np
import pytest
from oracle_files import close, load

import numpyro_splines as ns
from cases import compiled

BASES = ns.bspline_basis, ns.scipy_bspline_basis


@pytest.mark.parametrize("case", load("bspline"))
def test_bspline_bases_and_derivatives(case, precision):
    tolerance = 1e-10 if precision.dtype is np.float64 else 2e-5
    x = np.array(case["x"], precision.dtype)
    knots, degree = case["knots"], case["degree"]
    derivatives = {int(name[1:]): np.array(values) for name, values in case["derivs"].items()}
    identity = np.eye(len(knots) - degree - 1, dtype=precision.dtype)

    def evaluate(at, coefficients, order):
        fused = ns.bspline(at, knots, coefficients, degree, order).T
        return [*(basis(at, knots, degree, order) for basis in BASES), fused]

    results = compiled(lambda at, c: [evaluate(at, c, order) for order in derivatives], x, identity)
    for expected, values in zip(derivatives.values(), results, strict=True):
        for value in values:
            assert value.dtype == precision.dtype
            atol = tolerance * np.abs(expected).max()
            np.testing.assert_allclose(value, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("case", load("integrals"))
def test_integrals_and_gram_matrices(case, precision):
    tolerance = 1e-10 if precision.dtype is np.float64 else 2e-5
    basis = ns.BSplineBasis(knots=np.array(case["knots"], float), degree=case["degree"])
    identity = np.eye(basis.num_coefficients, dtype=precision.dtype)
    bounds = np.array(case["ab"], precision.dtype)
    at = np.array(case["ibs"]["x"] if "ibs" in case else [], precision.dtype)

    def evaluate(coefficients, low, high, x):
        curves = basis.curve(coefficients)
        return curves.integrate(low, high).T, curves.antiderivative()(x).T

    values, running = compiled(evaluate, identity, *bounds.T, at)
    expected = np.array(case["definite_integrals"])
    np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance * expected.max())
    if "ibs" in case:
        expected = np.array(case["ibs"]["values"])
        np.testing.assert_allclose(running, expected, rtol=0, atol=tolerance * expected.max())
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


def functions(basis, x, orders, integrals_at=None):
    """The design matrix, the derivatives of all functions, and perhaps their integrals."""

    def evaluate(at, coefficients, bounds):
        curves = basis.curve(coefficients)
        values = [basis(at), *(curves.derivative(order)(at).T for order in orders)]
        return values if bounds is None else [*values, curves.antiderivative()(bounds).T]

    results = compiled(evaluate, x, np.eye(basis.num_coefficients), integrals_at)
    return [np.asarray(values) for values in results]


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
        design, *derivatives = functions(basis, x, range(1, 3))
        close(design, case[name]["d0"])
        # Derivatives at knots where they jump: splines2 takes either side; compare between knots.
        between = ~np.isin(x, points)
        for order, values in enumerate(derivatives, start=1):
            if f"d{order}" in case[name]:
                expected = np.array(case[name][f"d{order}"], dtype=float)
                size = max(np.abs(expected).max(), 1.0)
                np.testing.assert_allclose(
                    values[between], expected[between], rtol=0, atol=1e-10 * size
                )


@of_kind("periodic_b_spline")
def test_periodic_b_splines(case, x64):
    basis = ns.CyclicBasis(case["knots"], degree=case["degree"])
    x = np.array(case["x"], dtype=float)
    orders = [int(name[1:]) for name in case["b_spline"]]
    design, *derivatives = functions(basis, x, orders)
    for values, expected in zip(derivatives, case["b_spline"].values(), strict=True):
        close(values, expected)
    close(design, case["b_spline"]["d0"])


@of_kind("bernstein")
def test_the_bernstein_basis(case, x64):
    basis = ns.BernsteinBasis(*case["boundary"], degree=case["degree"])
    x = np.array(case["x"], dtype=float)
    design, slope, integral = functions(basis, x, [1], x)
    close(design, case["bernstein"]["d0"])
    close(slope, case["bernstein"]["d1"])
    close(integral, case["bernstein"]["integral"])


@of_kind("periodic_m_spline")
def test_periodic_m_splines(case, x64):
    ends = case["boundary"]
    points = np.array([ends[0], *case["interior_knots"], ends[1]], dtype=float)
    basis = ns.CyclicMSplineBasis(points, degree=case["degree"])
    x, at = (np.array(case[name], dtype=float) for name in ("x", "x_integral"))
    _, *derivatives, integral = functions(basis, x, range(3), at)
    wrapped = ends[0] + (x - ends[0]) % (ends[1] - ends[0])
    between = np.abs(wrapped[:, None] - points).min(axis=1) > 1e-9
    for order, values in enumerate(derivatives):
        expected = np.array(case["m_spline"][f"d{order}"], dtype=float)
        # Where derivatives jump, splines2 takes either side.
        kept = between | (order < case["degree"])
        size = np.abs(expected).max() + 1.0
        np.testing.assert_allclose(values[kept], expected[kept], rtol=0, atol=1e-10 * size)
    close(integral, case["m_spline_integral"])
    whole = compiled(
        lambda c, low, high: basis.curve(c).integrate(low, high),
        np.eye(basis.num_coefficients),
        *np.array(ends, dtype=float),
    )
    close(whole, np.ones(basis.num_coefficients))


@pytest.mark.parametrize("case", load("natural"))
def test_cardinal_bases(case, x64):
    knots = np.array(case["cardinal"]["knots"], dtype=float)
    periodic = case["kind"] == "cardinal_periodic"
    kind = ns.CyclicCubicRegressionBasis if periodic else ns.CubicRegressionBasis
    _, *derivatives = functions(kind(knots), np.array(case["newx"], dtype=float), range(3))
    for order, values in enumerate(derivatives):
        close(values, case["cardinal"][f"d{order}_newx"])


NATURAL = [p for p in load("natural") if p.values[0]["kind"] == "natural_cubic"]


def natural_basis(case):
    ends = case["boundary"]
    return ns.NaturalBasis(np.array([ends[0], *case["interior_knots"], ends[1]], dtype=float))


@pytest.mark.parametrize("case", [p for p in NATURAL if p.values[0]["natural_spline"]])
def test_natural_splines_of_splines2(case, x64):
    basis, values = natural_basis(case), case["natural_spline"]
    first = 0 if case["intercept"] else 1  # intercept=FALSE drops the first function
    newx = np.array(case["newx"], dtype=float)
    inside = np.array(values["integral_inside"]["x"], dtype=float)
    _, *derivatives, integral = functions(basis, newx, range(3), inside)
    design = compiled(lambda at: basis(at), np.array(case["x"], dtype=float))
    close(design[:, first:], values["values_x"])
    for derivative, name in zip(derivatives, ("values_newx", "d1_newx", "d2_newx"), strict=True):
        close(derivative[:, first:], values[name])
    close(integral[:, first:], values["integral_inside"]["values"])


@pytest.mark.parametrize("case", NATURAL)
def test_least_squares_on_natural_splines(case, x64):
    basis, y = natural_basis(case), np.array(case["y"], dtype=float)
    x, newx = (np.array(case[name], dtype=float) for name in ("x", "newx"))
    design, new = compiled(lambda *points: [basis(p) for p in points], x, newx)
    design = np.asarray(design)
    beta, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    assert rank == case["ols"]["rank"]
    close(design @ beta, case["ols"]["fitted"])
    close(new @ beta, case["ols"]["pred_newx"])
    np.testing.assert_allclose(np.sum((y - design @ beta) ** 2), case["ols"]["rss"], rtol=1e-9)
