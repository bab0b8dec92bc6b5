"""Constraints hold to machine precision, whatever the basis, and leave everything else free."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import BASES as REGISTERED
from cases import CONSTRAINTS, UNEVEN, Fourier
from cases.constraints import X

import numpyro_splines as ns
from numpyro_splines import constraints as cs

FOURIER = Fourier(np.arange(1, 4))
BASES = {
    "bspline": ns.BSplineBasis(UNEVEN),
    "quintic": ns.BSplineBasis(UNEVEN, degree=5),
    "regression": ns.CubicRegressionBasis(UNEVEN),
    "cyclic": ns.CyclicBasis(UNEVEN),
    "i_spline": ns.ISplineBasis(UNEVEN, degree=2, extrapolation=ns.extrapolation.Linear()),
    "constrained": ns.BSplineBasis(UNEVEN).constrained(cs.ZeroAt(0.3)),
    "fourier": FOURIER,
}
# The registry's constraints are those of functions on [-1, 3], with enough of them to be left.
LAW = {name: c.basis for name, c in REGISTERED.items() if c.basis.domain == (-1.0, 3.0)}
LAW = {name: basis for name, basis in LAW.items() if basis.num_coefficients > 5}
LAW["fourier"] = FOURIER


@pytest.mark.parametrize("rule", CONSTRAINTS)
@pytest.mark.parametrize("kind", LAW)
def test_every_curve_satisfies_the_constraint(kind, rule):
    basis = LAW[kind]
    constraint, numbers = CONSTRAINTS[rule]
    constraint = constraint(basis) if callable(constraint) else constraint
    constrained = basis.constrained(constraint)
    rows = constraint.rows(basis)
    size = np.linalg.norm(rows, axis=1).max()
    rank = np.linalg.matrix_rank(rows, tol=1e-9 * max(size, 1e-9))
    assert constrained.num_coefficients == basis.num_coefficients - rank
    np.testing.assert_allclose(
        constrained.matrix.T @ constrained.matrix, np.eye(constrained.num_coefficients), atol=1e-14
    )
    coefficients = np.random.default_rng(2).normal(size=constrained.num_coefficients)

    def curve(x, order=0):
        return constrained.collocation(np.ravel(x), order).dot(coefficients).reshape(np.shape(x))

    # Quadrature is by Gauss points: exact for splines, to 1e-10 for sines.
    slack = 1e-10 if kind == "fourier" else 1e-12
    np.testing.assert_allclose(numbers(curve), 0.0, atol=slack * max(size, 1.0))


@pytest.mark.parametrize("kind", list(BASES))
def test_a_linear_matrix_and_several_constraints_at_once(kind, x64):
    basis = BASES[kind]
    matrix = np.random.default_rng(3).normal(size=(2, basis.num_coefficients))
    both = basis.constrained(cs.Linear(matrix), cs.ZeroMean(X))
    coefficients = both.matrix @ np.random.default_rng(4).normal(size=both.num_coefficients)
    np.testing.assert_allclose(matrix @ coefficients, 0.0, atol=1e-13)
    np.testing.assert_allclose(np.mean(basis.curve(coefficients)(X)), 0.0, atol=1e-13)
    # One after the other is the same space.
    again = basis.constrained(cs.Linear(matrix)).constrained(cs.ZeroMean(X))
    spans = [m @ np.linalg.pinv(m) for m in (both.matrix, basis_matrix(again))]
    np.testing.assert_allclose(*spans, atol=1e-12)


def basis_matrix(basis):
    return basis.spline.matrix @ basis.matrix


def test_repeated_constraints_count_once(x64):
    basis = BASES["bspline"].constrained(cs.ZeroStart(), cs.ZeroAt(-1.0), cs.Linear(np.eye(8)[0]))
    assert basis.num_coefficients == 7


def test_functions_that_satisfy_the_constraint_stay(x64):
    """Zero entries of the constraint are left out: local constraints keep the basis local."""
    basis = BASES["bspline"].constrained(cs.ZeroAt(-0.9))
    expected = np.eye(8)[:, 4:]
    np.testing.assert_array_equal(basis.matrix[:, -4:], expected)


def test_constraints_are_made_inside_compiled_functions_too():
    def f(x):
        return ns.BSplineBasis(UNEVEN).constrained(cs.ZeroMean(X)).curve(jnp.ones(7))(x)

    np.testing.assert_allclose(jax.jit(f)(0.3), f(0.3), rtol=1e-6)


def test_precision_does_not_depend_on_the_setting_of_jax():
    with jax.enable_x64(False):
        narrow = BASES["regression"].constrained(cs.ZeroMean(X)).matrix
    with jax.enable_x64(True):
        wide = BASES["regression"].constrained(cs.ZeroMean(X)).matrix
    np.testing.assert_array_equal(narrow, wide)


@pytest.mark.parametrize("kind", ["bspline", "regression", "fourier"])
def test_penalties_over_part_of_the_domain_add_up(kind):
    basis = BASES[kind]
    whole = basis.penalty([1, 2])
    left, right = basis.penalty([1, 2], upper=0.7), basis.penalty([1, 2], lower=0.7)
    assert whole.shape == (2, basis.num_coefficients, basis.num_coefficients)
    np.testing.assert_allclose(left + right, whole, rtol=1e-12, atol=1e-12 * np.abs(whole).max())


def test_a_basis_of_ones_own(x64):
    """Integrals of sines and cosines over their period, 4, are known."""
    squares = np.pi / 2 * np.array([1, 2, 3, 1, 2, 3])
    gram = np.diag([1.0, *np.full(6, 0.5)])
    np.testing.assert_allclose(FOURIER.gram(), gram, atol=1e-12)
    penalty = np.diag([0.0, *2 * squares**4])
    np.testing.assert_allclose(FOURIER.penalty(2), penalty, atol=1e-9)
    constant = FOURIER.polynomials(3)
    np.testing.assert_allclose(constant, np.eye(7)[:, :1], atol=1e-10)
    assert FOURIER.difference_penalty(1).shape == (7, 7)
    coefficients = np.random.default_rng(5).normal(size=(2, 3, 7))
    curve, x = FOURIER.curve(coefficients), np.linspace(-2.0, 4.0, 11)
    design = np.asarray(FOURIER(x))
    np.testing.assert_allclose(curve(x), coefficients @ design.T, atol=1e-12)
    assert curve.batch_shape == (2, 3)
    assert curve.domain == (-1.0, 3.0)
    index = np.arange(11) % 3
    picked = np.asarray(curve(x))[:, index, np.arange(11)]
    np.testing.assert_allclose(curve.pick(index)(x), picked, atol=1e-12)
    np.testing.assert_allclose(curve.each(np.tile(x, (2, 3, 1))), curve(x), atol=1e-12)
    slope = (
        np.pi
        / 2
        * np.concatenate(
            [np.zeros((11, 1)), design[:, 4:] * [1, 2, 3], -design[:, 1:4] * [1, 2, 3]], axis=1
        )
    )
    np.testing.assert_allclose(curve.derivative()(x), coefficients @ slope.T, atol=1e-11)
    np.testing.assert_allclose(
        curve.derivative(2)(x), curve.derivative().derivative()(x), atol=1e-12
    )


def test_constraints_that_hold_already_remove_nothing():
    """Also where knots lie far from zero, so that their rounding is larger."""
    points = np.linspace(0.0, 1.0, 7)
    for basis in (ns.CyclicBasis(points), ns.CyclicCubicRegressionBasis(2e3 + points)):
        for derivatives in range(3):
            assert basis.constrained(cs.Periodic(derivatives)).num_coefficients == 6
    uneven = 2e3 + np.array([0.0, 0.2, 0.3, 0.7, 1.0])
    assert ns.NaturalBasis(uneven).constrained(cs.ZeroEnd(2)).num_coefficients == 5
    assert ns.NaturalBasis(uneven).constrained(cs.Periodic()).num_coefficients == 3
    quintic = ns.NaturalBasis(np.linspace(0.0, 1.0, 9), degree=5)
    assert quintic.constrained(cs.ZeroEnd(4)).num_coefficients == 7
    assert quintic.constrained(cs.Periodic(4)).num_coefficients == 5
