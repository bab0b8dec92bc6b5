"""Surfaces: sums of products of functions of several inputs, against SciPy and against curves.

A case is a set of axes; what a surface makes of its coefficients is proved against the products of
the curves of each axis' functions, and those against SciPy's `NdBSpline` where it has the spline.
"""

import itertools
import pickle
from functools import cache
from typing import NamedTuple

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest
from cases import UNEVEN, Fourier
from scipy.interpolate import NdBSpline

import numpyro_splines as ns
from numpyro_splines import extrapolation as ex
from numpyro_splines.functions import (
    BasisAxis,
    Curve,
    IndexAxis,
    PolynomialAxis,
    Surface,
    SurfacePoints,
    cell_means,
    local_table,
    tensor,
)

BASES = {
    "cubic": lambda: ns.BSplineBasis(UNEVEN),
    "lines": lambda: ns.BSplineBasis([0.0, 0.4, 0.5, 2.0], degree=1),
    "cyclic": lambda: ns.CyclicBasis([0.0, 1.0, 1.5, 3.0, 4.0]),
    "natural": lambda: ns.NaturalBasis([0.0, 1.0, 1.5, 3.0]),
    "quadratic": lambda: ns.BSplineBasis([-1.0, 0.0, 2.0], degree=2),
    "zero": lambda: ns.BSplineBasis([0.0, 1.0, 2.0], degree=2, extrapolation=ex.Zero()),
    "nan": lambda: ns.BSplineBasis([0.0, 1.0, 2.0], extrapolation=ex.NaN()),
}
CASES = {
    "cubic_cubic": ("cubic", "cubic"),
    "cubic_lines": ("cubic", "lines"),
    "cyclic_natural": ("cyclic", "natural"),
    "groups": ("cubic", "groups"),
    "zero_quadratic": ("zero", "quadratic"),
    "three": ("quadratic", "groups", "lines"),
    "own": ("cubic", "fourier"),
}
NAMES = "xzt"


def measure(lower, upper):
    """Points and weights that are not even."""
    rng = np.random.default_rng(3)
    points = lower + (upper - lower) * rng.beta(2.0, 3.0, 40)
    weights = rng.uniform(size=40)
    return points, weights / weights.sum()


def axis(name, kind):
    if kind == "groups":
        return IndexAxis(name, 3, np.array([0.5, 0.2, 0.3]))
    if kind == "fourier":
        return BasisAxis(name, Fourier(np.array([1.0, 2.0])), 0, *measure(-1.0, 3.0))
    breakpoints, table, periodic = BASES[kind]().pieces()
    points, weights = measure(breakpoints[0], breakpoints[-1])
    means = cell_means(points, weights, breakpoints, table.shape[-1] - 1, periodic=periodic)
    return PolynomialAxis(name, breakpoints, table, periodic, means)


class Example(NamedTuple):
    """A surface, points inside and outside of the domain, and values there."""

    surface: Surface
    points: dict
    values: np.ndarray


def rows(one, x, order=0):
    """Functions of an axis at x, on the host, shape (n, K)."""
    if isinstance(one, IndexAxis):
        return np.eye(one.size)[x]
    if isinstance(one, BasisAxis):
        return np.asarray(one.basis(x))
    return np.asarray(one.curves.derivative(order)(x)).T


@cache
def example(name, num=40):
    with jax.enable_x64(True):
        axes = tuple(axis(n, kind) for n, kind in zip(NAMES, CASES[name], strict=False))
        rng = np.random.default_rng(len(name))
        points = {}
        for one in axes:
            lower, upper = one.domain
            if isinstance(one, IndexAxis):
                points[one.name] = rng.integers(0, one.size, num)
                continue
            x = rng.uniform(lower - 0.3 * (upper - lower), upper + 0.3 * (upper - lower), num)
            if isinstance(one, PolynomialAxis):
                at = rng.permutation(num)[: one.breakpoints.size]
                x[at] = one.breakpoints
            points[one.name] = x
        coefficients = rng.normal(size=(2, *(one.num_functions for one in axes)))
        values = coefficients[:, None]
        for one in axes:
            values = np.einsum(
                "bnk...,nk->bn...",
                np.broadcast_to(values, (2, num, *values.shape[2:])),
                rows(one, points[one.name]),
            )
        return Example(Surface(coefficients, axes), points, values)


def cast(surface, dtype):
    return Surface(surface.coefficients.astype(dtype), surface.axes)


def single(surface):
    return Surface(surface.coefficients[0], surface.axes)


def in_dtype(points, dtype):
    return [v.astype(dtype) if v.dtype.kind == "f" else v for v in points.values()]


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_products(name, precision):
    """Eagerly, batches, members one by one, and each member at its own points."""
    surface, points, expected = example(name)
    surface, inputs = cast(surface, precision.dtype), in_dtype(points, precision.dtype)
    rounding = 4e-15 * precision.factor * (1 + np.abs(expected).max())
    values = surface(*inputs)
    assert values.dtype == precision.dtype
    np.testing.assert_allclose(values, expected, rtol=0, atol=rounding)
    np.testing.assert_allclose(single(surface)(**points), expected[0], rtol=0, atol=rounding)
    halves = [v.reshape(2, -1) for v in inputs]
    own = surface.each(*halves)
    half = expected.shape[1] // 2
    np.testing.assert_allclose(own[0], expected[0, :half], rtol=0, atol=rounding)
    np.testing.assert_allclose(own[1], expected[1, half:], rtol=0, atol=rounding)


@pytest.mark.parametrize("name", [name for name in CASES if name != "own"])
def test_both_ways_are_the_same(name, x64):
    surface, points, expected = example(name)
    places = [one.place(points[one.name], np.float64) for one in surface.axes]

    @jax.jit
    def ways(coefficients, places):
        located = [tensor._locate(place) for place in places]
        table = tensor._from_table(coefficients, places, located)
        return table, tensor._from_rows(coefficients, places, located)

    for values in ways(surface.coefficients, tuple(places)):
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-13)
    at = SurfacePoints.of(surface.axes, *points.values())
    np.testing.assert_allclose(at(surface), expected, rtol=0, atol=1e-13)
    assert at.num_cells == surface_cells(surface)
    table = tensor.cells(
        surface.coefficients, [getattr(a, "functions", None) for a in surface.axes]
    )
    by_hand = (table[:, at.cell] * at.powers()).sum(-1)
    np.testing.assert_allclose(by_hand, expected, rtol=0, atol=1e-12)


def surface_cells(surface):
    return int(np.prod([local.shape[0] for local in local_table(surface.axes)]))


def test_the_rule_takes_both_ways(x64):
    """Many points by the table; few points, grids and large batches by rows."""
    axes = tuple(axis(n, "cubic") for n in "xz")
    places = [one.place(np.zeros(5000), np.float64) for one in axes]
    grid = [
        one.place(np.zeros(shape), np.float64)
        for one, shape in zip(axes, [(70, 1), (1, 70)], strict=True)
    ]
    few = [one.place(np.zeros(30), np.float64) for one in axes]
    one, many = np.zeros((8, 8)), np.zeros((50, 8, 8))
    assert tensor._by_table(one, places)
    assert not tensor._by_table(one, few)
    assert not tensor._by_table(one, grid)
    assert not tensor._by_table(many, places)


@pytest.mark.parametrize(("first", "second"), [("cubic", "cubic"), ("cubic", "lines")])
def test_scipy_agrees(first, second, x64):
    """Values, and the mixed partial by `derivative`, forward and reverse, at many points."""
    bases = [BASES[kind]() for kind in (first, second)]
    knots = tuple(np.asarray(b.knots) for b in bases)
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=tuple(b.num_coefficients for b in bases))
    spline = NdBSpline(knots, coefficients, tuple(b.degree for b in bases))
    surface = Surface(coefficients, (axis("x", first), axis("z", second)))
    x, z = (rng.uniform(*b.domain, 3000) for b in bases)
    expected = spline(np.stack([x, z], -1))
    rounding = 4e-15 * np.abs(expected).max()
    np.testing.assert_allclose(surface(x, z), expected, rtol=0, atol=rounding)

    @jax.jit
    def mixed(coefficients, x, z):
        f = Surface(coefficients, surface.axes)
        in_z = forward(lambda z: forward(lambda x: f(x, z))(x))(z)
        return in_z, reverse(lambda z: reverse(lambda x: f(x, z))(x))(z)

    want = spline(np.stack([x, z], -1), nu=(1, 1))
    for values in (*mixed(coefficients, x, z), surface.derivative(x=1, z=1)(x, z)):
        np.testing.assert_allclose(values, want, rtol=0, atol=1e-12 * np.abs(want).max())


def forward(f):
    return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1]


def reverse(f):
    return lambda x: jax.grad(lambda at: f(at).sum())(x)


@pytest.mark.parametrize("name", ["cubic_cubic", "cyclic_natural", "own"])
def test_second_derivatives_of_few_points(name, x64):
    """By rows: Hessians in the inputs, and the gradient in coefficients as the design."""
    surface, points, _ = example(name)
    f = single(surface)
    at = jnp.stack([jnp.asarray(v[:5]) for v in points.values()], axis=-1)

    @jax.jit
    def all_of_them(c, at):
        hessian = jax.vmap(jax.hessian(lambda p: f(p[0], p[1])))(at)

        def value(c):
            return Surface(c, f.axes)(at[:, 0], at[:, 1])

        return hessian, jax.jacrev(value)(c), jax.jacfwd(value)(c)

    hessian, back, forth = all_of_them(f.coefficients, at)
    np.testing.assert_allclose(back, forth, rtol=0, atol=1e-13)
    design = [rows(one, points[one.name][:5]) for one in f.axes]
    np.testing.assert_allclose(back, np.einsum("ni,nj->nij", *design), rtol=0, atol=1e-13)
    for (i, j), orders in {(0, 0): {"x": 2}, (0, 1): {"x": 1, "z": 1}, (1, 1): {"z": 2}}.items():
        want = f.derivative(**orders)(at[:, 0], at[:, 1])
        np.testing.assert_allclose(hessian[:, i, j], want, rtol=0, atol=2e-11)


@pytest.mark.parametrize("name", CASES)
def test_slices(name, x64):
    """One input fixed, at a number and at an array; what is left is a curve where it can be."""
    surface, points, expected = example(name)
    first, *others = surface.names
    fixed = {n: points[n] for n in others}
    one = {n: v[3] for n, v in fixed.items()}
    curve = surface.slice(**one)
    assert isinstance(curve, Curve)
    np.testing.assert_allclose(curve(points[first])[:, 3], expected[:, 3], rtol=0, atol=1e-13)
    many = surface.slice(**fixed)
    assert many.batch_shape == (2, 40)
    own = many.each(np.broadcast_to(points[first], (2, 40)))
    np.testing.assert_allclose(own, expected, rtol=0, atol=1e-13)
    last = others[-1]
    rest = surface.slice(**{n: v[3] for n, v in points.items() if n != last})
    kinds = Curve if isinstance(surface.axes[-1], PolynomialAxis) else Surface
    assert isinstance(rest, kinds)
    np.testing.assert_allclose(rest(points[last])[:, 3], expected[:, 3], rtol=0, atol=1e-13)
    if len(others) > 1:
        left = surface.slice(x=points["x"][3])
        assert left.names == ("z", "t")
        np.testing.assert_allclose(left(**fixed)[:, 3], expected[:, 3], rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["cubic_lines", "cyclic_natural", "groups", "zero_quadratic"])
def test_integrals_are_those_of_curves(name, x64):
    """Over one input, beyond the domain: the integral of each slice, and of all the rest."""
    surface, points, _ = example(name)
    lower, upper = surface.domain["x"]
    bounds = np.array([lower - 1.7, lower + 0.1]), np.array([upper + 2.9, 0.5 * upper])
    rest = surface.integrate(x=bounds)
    at = points["z"][:5]
    want = surface.slice(z=at).integrate(*bounds)
    np.testing.assert_allclose(rest(at), np.swapaxes(want, 1, 2), rtol=0, atol=1e-12)
    if isinstance(rest, Curve):
        both = surface.integrate(x=bounds, z=(0.0, 1.3))
        np.testing.assert_allclose(both, rest.integrate(0.0, 1.3), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_parts_sum_to_the_function(name, x64):
    """Functional analysis of variance: parts have no mean, and sum to f with the mean."""
    surface, points, expected = example(name)
    total = surface.mean()[:, None]
    for size in range(1, len(points) + 1):
        for names in itertools.combinations(surface.names, size):
            part = surface.component(":".join(reversed(names)))
            if isinstance(part, Surface):
                total = total + part(**{n: points[n] for n in names})
                for gone in names:
                    assert_zero_mean(part, gone)
            else:
                total = total + part(points[names[0]])
                means = surface.axes[surface.names.index(names[0])].weights * part.table
                np.testing.assert_allclose(means.sum((1, 2)), 0, rtol=0, atol=1e-13)
    np.testing.assert_allclose(total, expected, rtol=0, atol=1e-12)


def assert_zero_mean(part, name):
    rest = part.mean(name)
    numbers = getattr(rest, "table", getattr(rest, "coefficients", rest))
    np.testing.assert_allclose(numbers, 0, rtol=0, atol=1e-12)


def test_means_are_those_of_the_measure(x64):
    surface, points, _ = example("cubic_lines")
    at, weights = measure(*surface.domain["z"])
    want = surface(points["x"][:, None], at[None, :]) @ weights
    np.testing.assert_allclose(surface.mean("z")(points["x"]), want, rtol=0, atol=1e-13)
    slope = surface.derivative(z=1)
    want = slope(points["x"][:, None], at[None, :]) @ weights
    np.testing.assert_allclose(slope.mean("z")(points["x"]), want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["cubic_lines", "cyclic_natural", "zero_quadratic", "own"])
def test_sums_and_multiples(name, x64):
    surface, points, f = example(name)
    amount = np.array([2.0, -3.0])
    results = {
        "number": ((2.0 - surface) / 4.0, (2.0 - f) / 4.0),
        "each": (amount * surface - amount, amount[:, None] * (f - 1.0)),
        "same": (surface + 2.0 * surface, 3.0 * f),
        "part": (surface - surface.component("x:z"), None),
    }
    for result, expected in results.values():
        values = result(**points)
        if expected is None:
            expected = f - surface.component("x:z")(**points)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose((surface + 1.5).mean(), surface.mean() + 1.5, rtol=0, atol=1e-13)


def test_sums_on_other_breakpoints(x64):
    """The functions of both on the breakpoints of both; one axis is shared."""
    surface, points, f = example("cubic_lines")
    _, z = surface.axes
    finer = ns.BSplineBasis([-2.0, 0.1, 3.0], degree=4).pieces()
    rng = np.random.default_rng(8)
    other = Surface(rng.normal(size=(6, 4)), (PolynomialAxis("x", *finer), z))
    total = surface + other
    assert [one.num_functions for one in total.axes] == [14, 4]
    np.testing.assert_allclose(total(**points), f + other(**points), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="`x` must have a measure to be averaged over"):
        total.mean("x")
    np.testing.assert_allclose(
        total.mean("z")(points["x"]),
        surface.mean("z")(points["x"]) + other.mean("z")(points["x"]),
        rtol=0,
        atol=1e-12,
    )


def test_extrapolation_is_bilinear_beyond_corners(x64):
    surface = single(example("cubic_cubic").surface)
    start, step = np.array([3.0, 3.0]), np.array([0.7, 1.9])
    value = surface(*start)
    slopes = [surface.derivative(**{n: 1})(*start) for n in "xz"]
    mixed = surface.derivative(x=1, z=1)(*start)
    want = value + np.dot(slopes, step) + mixed * step.prod()
    np.testing.assert_allclose(surface(*(start + step)), want, rtol=0, atol=1e-12)


def test_nan(x64):
    """NaN inputs give NaN; a gap gives NaN, and a finite gradient in the coefficients."""
    axes = axis("x", "nan"), axis("z", "lines")
    c = np.random.default_rng(0).normal(size=tuple(one.num_functions for one in axes))
    for num in (4, 400):
        x, z = np.full(num, 0.5), np.full(num, 1.0)
        x[1], z[2], x[3] = np.nan, np.nan, 9.0
        values, gradient = jax.jit(
            lambda c, x, z: (
                Surface(c, axes)(x, z),
                jax.grad(lambda c: jnp.nansum(Surface(c, axes)(x[3:], z[3:])))(c),
            )
        )(c, x, z)
        np.testing.assert_array_equal(np.isnan(values)[:4], [False, True, True, True])
        assert np.all(np.isfinite(gradient))
        at = SurfacePoints.of(axes, x, z)(Surface(c, axes))
        np.testing.assert_allclose(at, values, rtol=0, atol=1e-14)
    assert np.isnan(Surface(c, axes).slice(z=1.0)(9.0))


def test_a_closed_over_index_is_looked_at_under_jit(x64):
    surface, points, expected = example("groups")
    index = jnp.asarray(points["z"])
    beyond = index + 1
    beyond = index + 1
    beyond = index + 1
    beyond = index + 1
    values = jax.jit(lambda x: surface(x, index))(points["x"])
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-13)
    with pytest.raises(ValueError, match=r"`z` must lie in \[0, 3\), the groups there are; got"):
        jax.jit(lambda x: surface(x, beyond))(points["x"])


def test_as_a_pytree(x64):
    """As an argument of jit, mapped over its batch, pickled."""
    surface, points, expected = example("three")
    again = pickle.loads(pickle.dumps(surface))
    for f in (again, jax.tree.map(lambda a: a, surface)):
        assert f.names == surface.names
        np.testing.assert_array_equal(f.coefficients, surface.coefficients)
    values = jax.jit(lambda f, points: f(**points))(surface, points)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
    mapped = jax.vmap(lambda c: Surface(c, surface.axes)(**points))(surface.coefficients)
    np.testing.assert_allclose(mapped, expected, rtol=0, atol=1e-13)
    assert hash(surface) != hash(again)


_programs = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: (
        _programs.append(event) if event == "/jax/core/compile/backend_compile_duration" else None
    )
)


def test_an_eager_surface_is_one_program():
    surface = single(example("three").surface)
    x = np.linspace(0.0, 1.0, 23)
    before = len(_programs)
    surface(x, np.zeros(23, int), x)
    assert len(_programs) - before <= 1
    surface(x + 0.1, np.ones(23, int), x)
    assert len(_programs) - before <= 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: f(0.0), TypeError, "got none for 'z'"),
        (lambda f: f(0.0, 0, 1.0), TypeError, "got 3 values"),
        (lambda f: f(0.0, x=1.0), TypeError, "`x` must be given once; got it by position and by"),
        (lambda f: f(0.0, y=1.0), TypeError, "got an unknown one, `y`"),
        (lambda f: f(0.0, 0.5), TypeError, "`z` must hold integers, the index of each group"),
        (lambda f: f(0.0, [0, 3]), ValueError, r"`z` must lie in \[0, 3\).*got 0 to 3"),
        (lambda f: f.each([0.0], [0]), ValueError, r"leading axes \(2,\) together"),
        (lambda f: f.derivative(z=1), ValueError, "`z` must be a continuous input"),
        (lambda f: f.derivative(x=-1), ValueError, "`x` must be at least 0"),
        (lambda f: f.derivative(y=1), TypeError, "got an unknown one, `y`"),
        (lambda f: f.slice(x=0.0, z=0), ValueError, "`slice` must leave at least one input"),
        (lambda f: f.integrate(z=(0, 1)), ValueError, "`z` must be an input of piecewise"),
        (lambda f: f.integrate(x=0.0), TypeError, r"`x` must be a pair of bounds \(lower, upper\)"),
        (lambda f: f.mean("y"), ValueError, r"must be one of the inputs \('x', 'z'\)"),
        (lambda f: f.component("x:x"), ValueError, "must name each input once; got 'x:x'"),
        (lambda f: f.component(1), TypeError, "`name` must be text"),
        (lambda f: f * f, TypeError, "a surface is multiplied by numbers only"),
        (lambda f: f + example("cubic_cubic").surface, ValueError, "`z` has the same groups"),
        (lambda f: f + f.slice(x=0.0), ValueError, "the same inputs in the same order"),
        (lambda f: Surface(np.zeros((2, 2)), f.axes), ValueError, r"trailing axes \(8, 3\)"),
        (lambda f: Surface(np.zeros((8, 8)), f.axes[:1] * 2), ValueError, "names of their own"),
        (lambda f: SurfacePoints.of(f.axes, 0.0), TypeError, "one for each of the 2 axes; got 1"),
        (
            lambda f: SurfacePoints.of(f.axes, 0.0, 1)(example("cubic_lines").surface),
            ValueError,
            "must have the breakpoints and groups that the points were prepared for",
        ),
        (
            lambda f: SurfacePoints.of(example("own").surface.axes, 0.0, 1.0),
            TypeError,
            "must be piecewise polynomials or groups; got BasisAxis",
        ),
        (
            lambda f: jax.jit(lambda g: SurfacePoints.of(f.axes, 0.0, g).cell)(1),
            TypeError,
            "`z` must be known to be prepared",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(example("groups").surface)
