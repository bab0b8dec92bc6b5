"""Integrals, rows and periods on whatever Hypothesis thinks of; values are in test_bspline."""

import itertools

import jax
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline

import numpyro_splines as ns
from numpyro_splines.ops import piecewise

bounded = settings(max_examples=60, deadline=None, derandomize=True)
# Shapes repeat, so that few of them are compiled.
NUM_POINTS = 16


@st.composite
def knot_vectors(draw):
    """Degree and full knot vector: distinct sites, interior multiplicities up to degree + 1."""
    degree = draw(st.integers(0, 6))
    num_sites = draw(st.integers(2, 5))
    gaps = draw(st.lists(st.floats(1e-3, 10.0), min_size=num_sites - 1, max_size=num_sites - 1))
    start = draw(st.floats(-100.0, 100.0))
    sites = start + np.concatenate([[0.0], np.cumsum(gaps)])
    inner = [draw(st.integers(1, degree + 1)) for _ in sites[1:-1]]
    return degree, np.repeat(sites, [degree + 1, *inner, degree + 1])


@st.composite
def splines(draw):
    degree, knots = draw(knot_vectors())
    seed = draw(st.integers(0, 1000))
    scale = 10.0 ** draw(st.integers(-6, 6))
    rng = np.random.default_rng(seed)
    coefficients = scale * rng.normal(size=len(knots) - degree - 1)
    share = st.floats(-0.5, 1.5) | st.sampled_from([0.0, 1.0])
    shares = draw(st.lists(share, min_size=NUM_POINTS // 2, max_size=NUM_POINTS // 2))
    inside = knots[0] + (knots[-1] - knots[0]) * np.array(shares)
    at_knots = rng.choice(knots, NUM_POINTS // 2)
    return degree, knots, coefficients, np.concatenate([inside, at_knots])


@given(splines())
@bounded
def test_integrals_are_those_of_scipy(spline):
    degree, knots, coefficients, x = spline
    x = np.clip(x, knots[0], knots[-1])
    with jax.enable_x64(True):
        curve = ns.BSplineBasis(knots=knots, degree=degree).curve(coefficients)
        found = curve.integrate(knots[0], x)
        back = curve.antiderivative().derivative()(x)
        np.testing.assert_allclose(
            back, curve(x), rtol=1e-9, atol=1e-11 * np.abs(coefficients).max()
        )
    # Multiplicities of degree + 1 break SciPy's own antiderivative; piece by piece it does not.
    exact = [antiderivative(degree, knots, coefficients, at) for at in x]
    size = np.abs(coefficients).max() * (knots[-1] - knots[0])
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-11 * size)


def antiderivative(degree, knots, coefficients, upper):
    nodes, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    spline, total = BSpline(knots, coefficients, degree), 0.0
    edges = np.unique(np.clip(knots, knots[0], upper))
    for left, right in itertools.pairwise(edges):
        middle, half = (left + right) / 2, (right - left) / 2
        total += half * np.sum(weights * spline(middle + half * nodes))
    return total


@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=2, max_size=12, unique=True),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=8),
)
@bounded
def test_rows_count_the_breakpoints_passed(values, x):
    """Exactly, for any floats: neighbors, denormals, infinities; and the coordinate is finite."""
    breakpoints = np.sort(np.array(values, np.float32)).astype(np.float64)
    x = np.concatenate([np.array(x, np.float32), breakpoints.astype(np.float32)])
    with np.errstate(over="ignore"):  # beyond the largest float comes infinity
        neighbors = [np.nextafter(x, np.float32(end)) for end in (np.inf, -np.inf)]
    x = np.concatenate([x, *neighbors])
    x = np.resize(x, 3 * (8 + 12))  # the same again, up to the most there can be
    row, _ = piecewise.locate(jax.numpy.asarray(x), breakpoints)
    rounded = breakpoints.astype(np.float32)
    expected = (rounded <= x[:, None]).sum(axis=1)
    expected[x == rounded[-1]] = len(rounded) - 1
    if np.all(np.abs(x[(x != 0)]) > 2e-38) and np.all(np.abs(rounded[rounded != 0]) > 2e-38):
        # XLA on CPUs flushes denormal numbers to zero, so they are equal to it.
        np.testing.assert_array_equal(row, expected)
    assert np.all((np.asarray(row) >= 0) & (np.asarray(row) <= len(rounded)))


@given(
    st.floats(-1e3, 1e3),
    st.floats(0.01, 100.0),
    st.lists(st.floats(-1e4, 1e4), min_size=8, max_size=8),
)
@bounded
def test_wrapping_moves_into_the_period(start, period, x):
    with jax.enable_x64(True):
        x = np.array(x)
        moved, turns = piecewise.wrap(jax.numpy.asarray(x), np.array([start, start + period]))
        rounding = 1e-12 * (np.abs(x) + np.abs(start) + period)
        assert np.all(np.asarray(moved) >= start - rounding)
        assert np.all(np.asarray(moved) <= start + period + rounding)
        # The period is the difference of the ends, with their rounding, turn by turn.
        rounding += 1e-15 * np.abs(turns) * (np.abs(start) + period)
        assert np.all(np.abs(moved + turns * period - x) <= rounding)
