"""The inverse of monotone curves, and its derivatives by the implicit function theorem."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import numpyro_splines as ns
from numpyro_splines import extrapolation as ex
from numpyro_splines.ops import piecewise


def shapes():
    """Monotone curves of degrees 1 to 5: increasing, decreasing, uneven, steep, nearly flat."""
    rng = np.random.default_rng(0)
    for degree in range(1, 6):
        for num, down in ((2, False), (6, True), (25, False)):
            points = np.cumsum(np.append(-1.0, rng.gamma(1.0, size=num)))
            basis = ns.ISplineBasis(points, degree=degree - 1, extrapolation=ex.Linear())
            heights = rng.gamma(0.3, size=basis.num_coefficients) + 1e-3
            yield pytest.param(basis, -heights if down else heights, id=f"{degree}-{num}-{down}")


SHAPES = list(shapes())


def points(basis):
    lower, upper = basis.domain
    width = upper - lower
    inside = np.linspace(lower, upper, 41)
    return np.concatenate([[lower - 3 * width, lower - 0.1], inside, [upper + 0.1, upper + width]])


def lifted(basis, heights):
    """The curve plus 2, known."""
    curve = basis.curve(heights)
    table = np.array(curve.table)
    table[:, 0] += 2.0
    return ns.Curve(curve.breakpoints, table)


def on_the_host(curve, x, order=0):
    """Values or derivatives by the NumPy branch: nothing is compiled."""
    table = piecewise.differentiate(np.asarray(curve.table), np.asarray(curve.breakpoints), order)
    return piecewise.evaluate(x, np.asarray(curve.breakpoints, x.dtype), table)


def check_inverse(curve, x, y, back):
    # An error of rounding in y, seen through the slope.
    eps = np.finfo(y.dtype).eps
    slope = np.abs(on_the_host(curve, x, 1))
    rounding = 32 * eps * (np.abs(y).max() / slope + np.abs(x).max())
    assert back.dtype == y.dtype
    assert np.all(np.abs(back - x) <= rounding)
    again = on_the_host(curve, back)
    np.testing.assert_allclose(again, y, rtol=0, atol=64 * eps * np.abs(y).max())


@pytest.mark.parametrize(("basis", "heights"), SHAPES)
def test_inverse_of_value(basis, heights, precision):
    """By the NumPy branch of the solver, which known curves take."""
    curve = lifted(basis, heights.astype(precision.dtype))
    x = points(basis).astype(precision.dtype)
    y = on_the_host(curve, x)
    check_inverse(curve, x, y, np.asarray(curve.inverse(y)))
    assert bool(curve.is_monotone())


@jax.jit
def compiled_inverse(curve, y):
    return curve.inverse(y), curve.is_monotone()


@pytest.mark.parametrize(
    ("degree", "dtype"), [(3, np.float32), *((degree, np.float64) for degree in range(1, 6))]
)
def test_the_compiled_solver_is_the_same(degree, dtype):
    """Of each degree once: the formulas are the same, and compiling them takes the time.

    The NumPy branch is held to float32 above, at every degree.
    """
    basis, heights = SHAPES[3 * degree - 2].values
    with jax.enable_x64(dtype is np.float64):
        curve = lifted(basis, heights.astype(dtype))
        x = points(basis).astype(dtype)
        y = on_the_host(curve, x)
        back, monotone = compiled_inverse(curve, y)
        check_inverse(curve, x, y, np.asarray(back))
    assert bool(monotone)


def forward(f):
    return lambda v: jax.jvp(f, (v,), (jnp.ones_like(v),))[1]


def reverse(f):
    return lambda v: jax.grad(lambda at: f(at).sum())(v)


@pytest.mark.parametrize("degree", [1, 3, 5])
def test_derivatives(degree, x64):
    """In y, where each entry has its own, and in the coefficients; order two in all modes once."""
    basis, heights = SHAPES[3 * degree - 2].values
    lower, upper = basis.domain
    x = np.linspace(lower, upper, 7)[1:-1] + 1e-3
    design = basis.collocation(x)
    y, slope, bend = (basis.collocation(x, order) @ heights for order in range(3))
    modes = forward, reverse
    pairs = [(o, i) for o in modes for i in modes] if degree == 3 else [(forward, reverse)]

    @jax.jit
    def everything(c, v):
        def inverse(at):
            return basis.curve(c).inverse(at)

        first = [mode(inverse)(v) for mode in modes]
        second = [outer(inner(inverse))(v) for outer, inner in pairs]
        jacobians = [
            mode(lambda h: basis.curve(h).inverse(v))(c) for mode in (jax.jacfwd, jax.jacrev)
        ]
        return first, second, jacobians

    first, second, jacobians = everything(heights, y)
    for values in first:
        np.testing.assert_allclose(values, 1 / slope, rtol=1e-7)
    for values in second:
        np.testing.assert_allclose(values, -bend / slope**3, rtol=1e-5, atol=1e-6)
    expected = -design / slope[:, None]
    atol = 1e-8 * np.abs(expected).max()
    for values in jacobians:
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=atol)


def test_second_derivatives_in_the_coefficients(x64):
    basis = ns.ISplineBasis([0.0, 0.5, 2.0], degree=2, extrapolation=ex.Linear())
    heights, step = np.array([0.5, 1.0, 0.7, 0.3]), 1e-5 * np.eye(4)

    def inverse(c):
        return basis.curve(c).inverse(0.8)

    @jax.jit
    def everything(c):
        around = jax.vmap(jax.grad(inverse))(jnp.concatenate([c + step, c - step]))
        return jax.hessian(inverse)(c), around

    hessian, around = everything(heights)
    np.testing.assert_allclose(hessian, (around[:4] - around[4:]) / 2e-5, rtol=1e-5, atol=1e-7)


def test_derivatives_in_the_breakpoints(x64):
    coefficients, step = np.array([0.0, 0.1, 0.7, 1.0, 1.4]), 1e-6 * np.eye(2)

    def inverse(interior):
        knots = jnp.concatenate([jnp.zeros(1), interior, jnp.ones(1)])
        return ns.BSplineBasis(knots, degree=2).curve(coefficients).inverse(0.6)

    @jax.jit
    def everything(at):
        return jax.grad(inverse)(at), jax.vmap(inverse)(jnp.concatenate([at + step, at - step]))

    gradient, around = everything(np.array([0.3, 0.6]))
    np.testing.assert_allclose(gradient, (around[:2] - around[2:]) / 2e-6, rtol=1e-6)


def test_batches_equal_loops(x64):
    basis = ns.ISplineBasis([0.0, 0.5, 2.0], degree=2, extrapolation=ex.Linear())
    heights = np.random.default_rng(1).gamma(1.0, size=(2, 3, 4)) + 0.1
    y = np.linspace(-0.5, 1.0, 10).reshape(2, 5)
    values = basis.curve(heights).inverse(y)
    assert values.shape == (2, 3, 2, 5)
    loop = [[basis.curve(h).inverse(y) for h in row] for row in heights]
    np.testing.assert_allclose(values, loop, atol=1e-13)
    mapped = jax.jit(jax.vmap(jax.vmap(lambda h: basis.curve(h).inverse(y))))(heights)
    np.testing.assert_allclose(values, mapped, atol=1e-13)


def test_values_that_are_not_attained_are_nan(x64):
    flat = ns.ISplineBasis([0.0, 1.0, 2.0], degree=1, extrapolation=ex.Constant())
    curve = flat.curve([1.0, 1.0, 1.0])
    np.testing.assert_array_equal(curve.inverse([-0.1, 3.1]), [np.nan, np.nan])
    np.testing.assert_allclose(curve.inverse([0.0, 3.0]), [0.0, 2.0], atol=1e-12)
    total = jax.jit(lambda c: jnp.nansum(flat.curve(c).inverse([-0.1, 1.0, 9.0])))
    gradient = jax.grad(total)(jnp.ones(3))
    assert np.all(np.isfinite(gradient))


def test_flat_stretches_give_the_left_most_x(x64):
    curve = ns.BSplineBasis([0.0, 1.0, 2.0, 3.0], degree=1).curve([0.0, 1.0, 1.0, 2.0])
    assert float(curve.inverse(1.0)) == 1.0
    gradient = jax.grad(jax.jit(lambda y: curve.inverse(y)))(1.0)
    assert np.isfinite(gradient)


def test_monotone_or_not(x64):
    basis = ns.BSplineBasis([0.0, 1.0, 2.0])
    rising = basis.curve([[0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 2.0, 3.0, 1.0]])
    np.testing.assert_array_equal(rising.is_monotone(), [True, False])
    # Increasing at every breakpoint and yet not monotone in between.
    dip = basis.curve([0.0, 2.0, -2.0, 2.0, 1.0])
    assert not bool(dip.is_monotone())
    assert not bool(basis.curve(np.ones(5)).is_monotone())
    jump = ns.BSplineBasis(knots=[0, 0, 1, 1, 2, 2], degree=1)
    assert bool(jump.curve([0.0, 1.0, 2.0, 3.0]).is_monotone())
    assert not bool(jump.curve([0.0, 1.0, 0.5, 3.0]).is_monotone())
    # x in other units.
    small = ns.BSplineBasis([0.0, 1e-6, 2e-6]).curve([0.0, 1.0, 2.0, 3.0, 4.0])
    assert bool(small.is_monotone())


@jax.jit
def slope_of_inverse(curve, y):
    return jax.grad(lambda at: curve.inverse(at))(y)


def test_the_left_end_belongs_to_the_domain(x64):
    for rule in (ex.NaN(), ex.Constant(), ex.Zero()):
        for sign in (1.0, -1.0):
            basis = ns.BSplineBasis([0.0, 1.0, 2.0], degree=1, extrapolation=rule)
            curve = basis.curve(sign * np.array([1.0, 2.0, 3.0]))
            np.testing.assert_allclose(curve.inverse(sign * np.array([1.0, 3.0])), [0.0, 2.0])
            assert np.isnan(curve.inverse(0.0))
            np.testing.assert_allclose(slope_of_inverse(curve, sign), sign)


def test_values_after_a_jump(x64):
    basis = ns.BSplineBasis(knots=[0, 0, 0, 1, 1, 1, 2, 2, 2], degree=2)
    curve = basis.curve(np.arange(6.0))
    np.testing.assert_allclose(curve.inverse([2.0, 3.0]), [1.0, 1.0])
    assert np.isnan(curve.inverse(2.5))


@jax.jit
def of_traced_knots(knots, y):
    curve = ns.BSplineBasis(knots).curve(np.arange(6.0))
    x = curve.inverse(y)
    return x, curve(x), curve.is_monotone()


@pytest.mark.parametrize(
    "points", [[0.0, 0.5, 0.5, 2.0], [0.0, 0.5, 2.0, 2.0], [0.0, 0.0, 0.5, 2.0]]
)
def test_knots_that_coalesce(points, x64):
    # From the value at the left end upward: an empty first interval leaves no continuation.
    y = np.array([1.0, 2.0, 4.0])
    x, back, monotone = of_traced_knots(np.array(points), y)
    assert np.all(np.isfinite(x))
    np.testing.assert_allclose(back, y, atol=1e-10)
    assert bool(monotone)


def test_a_narrow_interval_excuses_nothing(precision):
    curve = ns.BSplineBasis([0.0, 1e-5, 1.0, 2.0], degree=1)
    curve = curve.curve(np.array([0.0, 0.1, 1.0, 0.5], precision.dtype))
    assert not bool(curve.is_monotone())


@pytest.mark.parametrize("level", [0.0, 288.0, -1e5])
@pytest.mark.parametrize("degree", range(1, 6))
def test_monotone_or_not_whatever_the_level(degree, level, precision):
    """A level added to a curve changes no slope."""
    basis = ns.BSplineBasis(np.linspace(0.0, 2.0, 7), degree=degree)
    rising = np.linspace(0.0, 1.0, basis.num_coefficients).astype(precision.dtype) ** 2
    wavy = np.sin(3.0 * rising)
    for coefficients, monotone in ((rising, True), (-rising, True), (wavy, False)):
        assert bool((basis.curve(coefficients) + level).is_monotone()) is monotone
    assert not bool((basis.curve(np.zeros_like(rising)) + level).is_monotone())
