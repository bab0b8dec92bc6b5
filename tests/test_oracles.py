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
