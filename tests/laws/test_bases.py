"""Every basis is its matrix times B-splines, and those are SciPy's: all on the host.

`basis.curve(c)` is the table of the spline with the coefficients matrix @ c; the laws of tables are
proved by `test_gradients.py` and `test_batching.py`. Compiled is what is left: the same table from
traced coefficients, and the design matrix.
"""

import jax
import numpy as np
import pytest
from cases import CASES

from numpyro_splines.ops import piecewise


def rounding(case, dtype, order=0):
    """Relative to the largest value: of the table and of u, degree times over.

    High derivatives are differences of coefficients, whose rounding is amplified.
    """
    return 5e-14 * np.finfo(dtype).eps / np.finfo(np.float64).eps * 4.0 ** max(order - 2, 0)


@pytest.mark.parametrize("case", CASES)
def test_collocation_is_scipys(case):
    x = np.concatenate(case.points())
    identity = np.eye(case.basis.num_coefficients)
    for order in range(case.degree + 2):
        expected = case.reference(identity, x, order)
        found = case.basis.collocation(x, order)
        assert found.dtype == np.float64
        size = np.nanmax(np.abs(expected)) + 1.0
        slack = size * rounding(case, np.float64, order)
        np.testing.assert_allclose(found, expected, rtol=0, atol=slack)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_the_table_is_that_of_the_spline(case, dtype):
    """In value and in all derivatives, for each entry of a batch; the two outer rows included."""
    x = np.concatenate(case.points()).astype(dtype)
    coefficients = case.coefficients(1, (2, 3)).astype(dtype)
    breakpoints, table = case.curve(coefficients)
    assert table.dtype == dtype
    assert table.shape[:2] == (2, 3)
    flat = coefficients.reshape(6, -1).astype(float).T
    for order in range(case.degree + 2):
        derivative = piecewise.differentiate(table, breakpoints, order)
        values = case.evaluate(breakpoints, derivative, x)
        assert values.dtype == dtype
        expected = case.reference(flat, np.concatenate(case.points()), order).T
        size = np.nanmax(np.abs(expected)) + 1.0
        slack = size * rounding(case, dtype, order)
        np.testing.assert_allclose(values.reshape(expected.shape), expected, rtol=0, atol=slack)


@pytest.mark.parametrize("case", CASES)
def test_compiled_with_traced_coefficients_and_points(case):
    """The knots are constants, as in a model; float32 is what models run in."""
    coefficients = case.coefficients(2, (2,)).astype(np.float32)
    x = np.concatenate(case.points())

    @jax.jit
    def everything(c, at):
        curve = case.basis.curve(c)
        return curve.table, curve(at), case.basis(at)

    table, values, design = (np.asarray(v) for v in everything(coefficients, x.astype(np.float32)))
    _, expected = case.curve(coefficients.astype(float))
    slack = rounding(case, np.float32)
    size = np.nanmax(np.abs(expected)) + 1.0
    np.testing.assert_allclose(table, expected, rtol=0, atol=size * slack)
    expected = case.reference(coefficients.T.astype(float), x).T
    size = np.nanmax(np.abs(expected)) + 1.0
    np.testing.assert_allclose(values, expected, rtol=0, atol=size * slack)
    expected = case.reference(np.eye(case.basis.num_coefficients), x)
    size = np.nanmax(np.abs(expected)) + 1.0
    np.testing.assert_allclose(design, expected, rtol=0, atol=size * slack)


@pytest.mark.parametrize("case", [c for c in CASES if c.values[0].sums_to_one])
def test_functions_sum_to_one_on_the_domain(case, precision):
    x, dtype = case.points()[0].astype(precision.dtype), precision.dtype
    breakpoints, table = case.curve(np.eye(case.basis.num_coefficients).astype(dtype))
    design = case.evaluate(breakpoints, table, x)
    assert design.dtype == dtype
    # The table is one of B-splines: their coefficients may be larger, and are rounded.
    rounding = 2e-15 * precision.factor * case.amplification
    np.testing.assert_allclose(design.sum(0), 1.0, atol=rounding)
    # Horner in u adds terms of both signs: up to binomial(8, 4) at degree 8.
    if case.non_negative:
        assert np.all(design >= -1e-14 * precision.factor)
