"""The public operations: the table of the question this package answers, and SciPy at random."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import compiled
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline

import numpyro_splines as ns

KNOTS = [0.0, 0.0, 0.0, 0.0, 0.25, 1.0, 1.0, 1.0, 1.0]
X = np.array([0.1, 0.5, 0.9])
# Rows: columns 2 to 5 of the cubic basis; entries: at the three x. One table per derivative order.
TABLES = [
    [
        [0.684, 1 / 6, 0.004 / 3],
        [0.096, 4 / 9, 0.32 / 9],
        [0.004, 0.95 / 2.7, 0.8428 / 2.7],
        [0.0, 1 / 27, 17.576 / 27],
    ],
    [
        [2.52, -1.0, -0.04],
        [1.68, -2 / 3, -2 / 3],
        [0.12, 11 / 9, -20.68 / 9],
        [0.0, 4 / 9, 27.04 / 9],
    ],
    [
        [-69.6, 4.0, 0.8],
        [9.6, -16 / 3, 16 / 3],
        [2.4, -20 / 9, -138.4 / 9],
        [0.0, 32 / 9, 83.2 / 9],
    ],
    [
        [504.0, -8.0, -8.0],
        [-144.0, 80 / 3, 80 / 3],
        [24.0, -296 / 9, -296 / 9],
        [0.0, 128 / 9, 128 / 9],
    ],
]
ENGINES = pytest.mark.parametrize("basis", [ns.bspline_basis, ns.scipy_bspline_basis])
WEIGHTS = np.array([1.0, 2.0, 3.0, 4.0])


@ENGINES
@pytest.mark.parametrize("order", range(5))
def test_the_tables_under_jit(basis, order, x64):
    values = jax.jit(lambda x: basis(x, KNOTS, 3, order))(X)[:, 1:]
    expected = TABLES[order] if order < 4 else np.zeros((4, 3))
    np.testing.assert_allclose(values.T, expected, rtol=1e-9, atol=1e-12)


@ENGINES
@pytest.mark.parametrize("order", range(4))
def test_each_table_is_the_derivative_of_the_one_before(basis, order, x64):
    following = np.array(TABLES[order + 1]) if order < 3 else np.zeros((4, 3))
    after = np.array(TABLES[order + 2]) if order < 2 else np.zeros((4, 3))

    def total(x):
        return jnp.sum(basis(x, KNOTS, 3, order)[:, 1:] @ WEIGHTS)

    def columns(x):
        return basis(x, KNOTS, 3, order)[..., 1:]

    def evaluate(x):
        _, tangent = jax.jvp(columns, (x,), (np.ones(3),))
        both = jax.vmap(jax.vmap(columns))(jnp.stack([x, x]))
        mapped = jax.vmap(jax.jacfwd(columns))(x)
        return jax.grad(total)(x), jax.hessian(total)(x), tangent, mapped, both

    gradient, hessian, tangent, mapped, both = compiled(evaluate, X)
    np.testing.assert_allclose(gradient, WEIGHTS @ following, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(hessian, np.diag(WEIGHTS @ after), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(tangent.T, following, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(mapped.T, following, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(both[1].T, TABLES[order], rtol=1e-9, atol=1e-12)


@st.composite
def problems(draw):
    """Degree, full knots with random multiplicities, points on and off them, derivative order."""
    degree = draw(st.integers(0, 8))
    num = draw(st.integers(2, 7))
    gaps = draw(st.lists(st.sampled_from([0.125, 0.5, 1.0, 3.0]), min_size=num, max_size=num))
    points = np.cumsum(gaps) - 2.0
    inner = [draw(st.integers(1, degree + 1)) for _ in points[1:-1]]
    repeats = [degree + 1, *inner, degree + 1]
    knots = np.repeat(points, repeats)
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    # As many in all whatever the number of knots: what has their shape is compiled once.
    x = np.concatenate([points, rng.uniform(points[0] - 0.5, points[-1] + 0.5, 13 - num)])
    return (
        degree,
        knots,
        x,
        draw(st.integers(0, degree + 1)),
        rng.normal(size=len(knots) - degree - 1),
    )


def reference(degree, knots, x, order):
    """SciPy's functions, zero outside; shape (n, K)."""
    num = len(knots) - degree - 1
    expected = np.zeros((x.size, num))
    inside = (x >= knots[0]) & (x <= knots[-1])
    if order <= degree:
        expected[inside] = BSpline(knots, np.eye(num), degree)(x[inside], nu=order)
    return expected


@given(problem=problems())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_degree_and_knots_agree_with_scipy(problem):
    """On the host: zero outside the domain, which is where all knots are, as for the functions."""
    degree, knots, x, order, coefficients = problem
    basis = ns.BSplineBasis(knots=knots, degree=degree, extrapolation=ns.extrapolation.Zero())
    expected = reference(degree, knots, x, order)
    design = basis.collocation(x, order)
    np.testing.assert_allclose(design, expected, atol=1e-11 * (1 + np.abs(expected).max()))
    size = np.abs(expected @ coefficients).max() + 1.0
    np.testing.assert_allclose(design @ coefficients, expected @ coefficients, atol=1e-11 * size)


@given(problem=problems())
@settings(max_examples=12, deadline=None, derandomize=True)
def test_the_compiled_functions_agree_with_scipy(problem):
    degree, knots, x, order, coefficients = problem
    with jax.enable_x64(True):
        expected = reference(degree, knots, x, order)
        size = np.abs(expected @ coefficients).max() + 1.0
        values = ns.bspline(x, knots, coefficients, degree, order)
        np.testing.assert_allclose(values, expected @ coefficients, atol=1e-11 * size)
        size = 1.0 + np.abs(expected).max()
        design = ns.bspline_basis(x, knots, degree, order)
        np.testing.assert_allclose(design, expected, atol=1e-11 * size)
        other = ns.scipy_bspline_basis(x, knots, degree, order)
        np.testing.assert_allclose(other, expected, atol=1e-11 * size)


@pytest.mark.parametrize("degree", [0, 1, 3, 5])
def test_traced_knots_give_the_same_values(degree, x64):
    points = np.array([-1.0, 0.0, 0.0, 0.5, 2.0]) if degree > 1 else np.array([-1.0, 0.0, 2.0])
    knots = np.concatenate([np.repeat(points[0], degree), points, np.repeat(points[-1], degree)])
    x = np.linspace(-1.5, 2.5, 33)
    coefficients = np.random.default_rng(0).normal(size=len(knots) - degree - 1)

    @jax.jit
    def everything(t, at, c):
        return [
            (ns.bspline(at, t, c, degree, order), ns.bspline_basis(at, t, degree, order))
            for order in range(degree + 2)
        ]

    for order, (values, design) in enumerate(everything(knots, x, coefficients)):
        expected = reference(degree, knots, x, order)
        np.testing.assert_allclose(design, expected, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(values, expected @ coefficients, rtol=1e-12, atol=1e-11)


def test_gradient_in_knots_equals_finite_differences(x64):
    knots = np.array([0.0, 0.0, 0.0, 0.0, 0.3, 0.55, 0.8, 1.0, 1.0, 1.0, 1.0])
    x = np.linspace(0.03, 0.97, 20)
    coefficients, step = np.random.default_rng(1).normal(size=7), 1e-6 * np.eye(3)

    def loss(inner):
        full = jnp.concatenate([knots[:4], inner, knots[-4:]])
        return jnp.sum(jnp.sin(ns.bspline(x, full, coefficients)))

    @jax.jit
    def everything(at):
        modes = jax.grad(loss), jax.jacfwd(loss), jax.hessian(loss), jax.jacrev(jax.jacfwd(loss))
        around = jax.vmap(loss)(jnp.concatenate([at + step, at - step]))
        return [mode(at) for mode in modes], around

    (reverse, forward, *hessians), around = everything(knots[4:7])
    numeric = (around[:3] - around[3:]) / 2e-6
    np.testing.assert_allclose(reverse, numeric, rtol=1e-6)
    np.testing.assert_allclose(forward, numeric, rtol=1e-6)
    np.testing.assert_allclose(*hessians, rtol=1e-9, atol=1e-9)


def test_coalescing_knots_give_finite_gradients():
    x = np.linspace(-0.1, 1.1, 25)

    def loss(inner):
        full = jnp.concatenate([jnp.zeros(4), inner, jnp.ones(4)])
        return jnp.sum(ns.bspline(x, full, jnp.arange(6.0)) ** 2)

    modes = jax.grad(loss), jax.jacfwd(loss), jax.hessian(loss)
    gradients = jax.jit(lambda inner: [mode(inner) for mode in modes])
    for gap in (0.0, 1e-30, 1e-8):
        for gradient in gradients(jnp.array([0.5, 0.5 + gap])):
            assert np.all(np.isfinite(gradient)), gap


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_not_a_number_in_not_a_number_out(degree):
    knots = ns.knots.clamped([0.0, 0.5, 1.0], degree)
    coefficients = np.ones(len(knots) - degree - 1)
    value = ns.bspline([np.nan, 0.2, np.inf, -np.inf], knots, coefficients, degree)
    assert np.isnan(value[0])
    assert value[1] == pytest.approx(1.0)
    basis = ns.BSplineBasis(knots=knots, degree=degree)
    assert np.all(np.isnan(basis(np.nan))[np.asarray(basis(0.2)) != 0])


def test_dtype_follows_x_and_coefficients(x64):
    knots = ns.knots.clamped([0.0, 0.5, 1.0], 3)
    for x_dtype in (np.float16, np.float32, np.float64):
        x = np.linspace(0, 1, 5).astype(x_dtype)
        assert ns.bspline_basis(x, knots).dtype == x_dtype
        for c_dtype in (np.float32, np.float64):
            value = ns.bspline(x, knots, np.ones(5, c_dtype))
            assert value.dtype == np.promote_types(x_dtype, c_dtype)
    assert ns.bspline_basis(1, knots).dtype == np.float64
