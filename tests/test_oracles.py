"""Values that R's splines and splines2 computed; see oracles/README.md."""

import jax
import numpy as np
import pytest
from oracle_files import close, load

import numpyro_splines as ns

BSPLINE = load("bspline")


def orders(case):
    return {int(name[1:]): np.array(values) for name, values in case["derivs"].items()}


@pytest.mark.parametrize("case", BSPLINE)
def test_bsplines_and_their_derivatives(case):
    """All of them on the host: inside the domain, and by repeated ends where functions reach."""
    knots, x, degree = np.array(case["knots"], float), np.array(case["x"], float), case["degree"]
    basis = ns.BSplineBasis(knots=knots, degree=degree)
    num, (lower, upper) = basis.num_coefficients, basis.domain
    wider = np.concatenate([np.repeat(knots[:1], degree), knots, np.repeat(knots[-1:], degree)])
    wider = ns.BSplineBasis(knots=wider, degree=degree, extrapolation=ns.extrapolation.Zero())
    inside = (x >= lower) & (x <= upper)
    for order, expected in orders(case).items():
        beyond = wider.collocation(x, order)[:, degree : degree + num]
        close(np.where(inside[:, None], basis.collocation(x, order), beyond), expected)


# What the functions make of knots; degrees and multiplicities at random are in test_bspline.
COMPILED = "clamped_degree1_2", "repeated_degree3_10", "outer_degree2_21", "clamped_degree5_7"


@pytest.mark.parametrize("case", [p for p in BSPLINE if p.id in COMPILED])
def test_compiled_functions_give_the_same(case, precision):
    tolerance = 1e-10 if precision.dtype is np.float64 else 2e-5
    x = np.array(case["x"], precision.dtype)
    knots, degree = case["knots"], case["degree"]
    identity = np.eye(len(knots) - degree - 1, dtype=precision.dtype)

    @jax.jit
    def evaluate(at, coefficients):
        return {
            order: [
                ns.bspline_basis(at, knots, degree, order),
                ns.scipy_bspline_basis(at, knots, degree, order),
                ns.bspline(at, knots, coefficients, degree, order).T,
            ]
            for order in orders(case)
        }

    found = evaluate(x, identity)
    for order, expected in orders(case).items():
        for values in found[order]:
            assert values.dtype == precision.dtype
            close(values, expected, tolerance)


@pytest.mark.parametrize("case", load("integrals"))
def test_integrals_and_gram_matrices(case, precision):
    tolerance = 1e-10 if precision.dtype is np.float64 else 2e-5
    basis = ns.BSplineBasis(knots=np.array(case["knots"], float), degree=case["degree"])
    bounds = np.array(case["ab"], precision.dtype)
    curves = basis.curve(np.eye(basis.num_coefficients, dtype=precision.dtype))
    close(curves.integrate(*bounds.T).T, case["definite_integrals"], tolerance)
    if "ibs" in case:
        at = np.array(case["ibs"]["x"], precision.dtype)
        close(curves.antiderivative()(at).T, case["ibs"]["values"], tolerance)
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


def functions(basis, x, orders):
    """Derivatives of all functions, on the host."""
    return [basis.collocation(x, order) for order in orders]


def integrals(basis, x):
    """From the left end of the domain to x, of all functions."""
    return basis.curve(np.eye(basis.num_coefficients)).antiderivative()(x).T


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
        design, *derivatives = functions(basis, x, range(3))
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
    derivatives = functions(basis, x, orders)
    for values, expected in zip(derivatives, case["b_spline"].values(), strict=True):
        close(values, expected)


@of_kind("bernstein")
def test_the_bernstein_basis(case, x64):
    basis = ns.BernsteinBasis(*case["boundary"], degree=case["degree"])
    x = np.array(case["x"], dtype=float)
    design, slope = functions(basis, x, range(2))
    close(design, case["bernstein"]["d0"])
    close(slope, case["bernstein"]["d1"])
    close(integrals(basis, x), case["bernstein"]["integral"])


@of_kind("periodic_m_spline")
def test_periodic_m_splines(case, x64):
    ends = case["boundary"]
    points = np.array([ends[0], *case["interior_knots"], ends[1]], dtype=float)
    basis = ns.CyclicMSplineBasis(points, degree=case["degree"])
    x, at = (np.array(case[name], dtype=float) for name in ("x", "x_integral"))
    derivatives = functions(basis, x, range(3))
    wrapped = ends[0] + (x - ends[0]) % (ends[1] - ends[0])
    between = np.abs(wrapped[:, None] - points).min(axis=1) > 1e-9
    for order, values in enumerate(derivatives):
        expected = np.array(case["m_spline"][f"d{order}"], dtype=float)
        # Where derivatives jump, splines2 takes either side.
        kept = between | (order < case["degree"])
        size = np.abs(expected).max() + 1.0
        np.testing.assert_allclose(values[kept], expected[kept], rtol=0, atol=1e-10 * size)
    close(integrals(basis, at), case["m_spline_integral"])
    whole = basis.curve(np.eye(basis.num_coefficients)).integrate(*map(float, ends))
    close(whole, np.ones(basis.num_coefficients))


@pytest.mark.parametrize("case", load("natural"))
def test_cardinal_bases(case, x64):
    knots = np.array(case["cardinal"]["knots"], dtype=float)
    periodic = case["kind"] == "cardinal_periodic"
    kind = ns.CyclicCubicRegressionBasis if periodic else ns.CubicRegressionBasis
    derivatives = functions(kind(knots), np.array(case["newx"], dtype=float), range(3))
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
    derivatives, integral = functions(basis, newx, range(3)), integrals(basis, inside)
    design = basis.collocation(case["x"])
    close(design[:, first:], values["values_x"])
    for derivative, name in zip(derivatives, ("values_newx", "d1_newx", "d2_newx"), strict=True):
        close(derivative[:, first:], values[name])
    close(integral[:, first:], values["integral_inside"]["values"])


@pytest.mark.parametrize("case", NATURAL)
def test_least_squares_on_natural_splines(case, x64):
    basis, y = natural_basis(case), np.array(case["y"], dtype=float)
    design, new = (basis.collocation(case[name]) for name in ("x", "newx"))
    beta, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    assert rank == case["ols"]["rank"]
    close(design @ beta, case["ols"]["fitted"])
    close(new @ beta, case["ols"]["pred_newx"])
    np.testing.assert_allclose(np.sum((y - design @ beta) ** 2), case["ols"]["rss"], rtol=1e-9)
