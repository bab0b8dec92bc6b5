"""Single precision: how far float32 is from float64, for every basis, degree and size.

The bound is in units of the rounding of float32, relative to the largest value of f (or of f').
x is representable in float32, so that its own rounding does not count; knots are not, and move by
their rounding: the slope times the rounding of x is allowed for.
"""

import jax
import numpy as np
import pytest
from scipy.interpolate import BSpline

import numpyro_splines as ns
from numpyro_splines.ops import piecewise

EPS = float(np.finfo(np.float32).eps)
# Rounding errors of value and slope that are allowed, in units of EPS times the largest term, up to
# cubics; the powers of u have coefficients that double with each degree, and so do their errors.
VALUE, SLOPE = 8.0, 32.0

KINDS = {
    "bspline": lambda points, degree: ns.BSplineBasis(points, degree=degree),
    "extended": lambda points, degree: ns.BSplineBasis(
        knots=ns.knots.extended(points, degree), degree=degree
    ),
    "cyclic": lambda points, degree: ns.CyclicBasis(points, degree=degree),
    "natural": lambda points, degree: ns.NaturalBasis(points, degree=degree),
    "regression": lambda points, degree: ns.CubicRegressionBasis(points),
    "cyclic_regression": lambda points, degree: ns.CyclicCubicRegressionBasis(points),
    "m_spline": lambda points, degree: ns.MSplineBasis(points, degree=degree),
    "cyclic_m_spline": lambda points, degree: ns.CyclicMSplineBasis(points, degree=degree),
    "i_spline": lambda points, degree: ns.ISplineBasis(points, degree=degree - 1),
    "c_spline": lambda points, degree: ns.CSplineBasis(points, degree=degree - 2),
    "bernstein": lambda points, degree: ns.BernsteinBasis(points[0], points[-1], degree=degree),
    "constrained": lambda points, degree: ns.BSplineBasis(points, degree=degree).constrained(),
}
DOMAINS = {"unit": (0.0, 1.0), "wide": (-1e3, 1e3), "years": (2000.0, 2020.0)}

# Number of breakpoints, whether they are even, domain.
SETTINGS = [(12, True, "unit"), (500, True, "unit"), (500, False, "wide"), (100, False, "years")]


def degrees(kind):
    if kind in ("regression", "cyclic_regression", "constrained"):
        return [3]
    return {"natural": [1, 3, 5], "c_spline": [2, 3, 4, 5]}.get(kind, [1, 2, 3, 4, 5])


def breakpoints(lower, upper, num, even):
    if even:
        return np.linspace(lower, upper, num)
    gaps = np.random.default_rng(num).gamma(4.0, size=num - 1)
    inner = lower + (upper - lower) * np.cumsum(gaps) / gaps.sum()
    return np.concatenate([[lower], inner[:-1], [upper]])


@jax.jit
def compiled(x, cells, tables):
    """Knots and tables are arguments: one program for all of a degree on as many knots."""
    return [piecewise.evaluate(x, cells, table) for table in tables]


def value_and_slope(curve, x):
    """By a program and by NumPy, as when the curve is known: points lie in the domain."""
    points, table = np.asarray(curve.breakpoints), np.asarray(curve.table)
    tables = table, piecewise.differentiate(table, points, 1)
    x, _, cells = piecewise.place(x, points, x.dtype)
    points = (points - piecewise.origin(points)).astype(x.dtype)
    host = [piecewise.evaluate(x, points, t) for t in tables]
    return [np.stack(both) for both in zip(compiled(x, cells, tables), host, strict=True)]


def errors(kind, degree, num, even, domain):
    """Errors of value and slope, in units of what rounding allows, for one basis."""
    points = breakpoints(*DOMAINS[domain], num, even)
    basis = KINDS[kind](points, degree)
    coefficients = np.random.default_rng(0).normal(size=basis.num_coefficients).astype(np.float32)
    x = np.random.default_rng(1).uniform(*DOMAINS[domain], 1000).astype(np.float32)
    curve = basis.curve(coefficients)
    results = value_and_slope(curve, x)
    assert all(values.dtype == np.float32 for values in results)
    spline, matrix = composed(basis)
    # SciPy's float64, to which the laws hold ours: compiling that as well takes as long again.
    exact = BSpline(spline.knots, matrix @ coefficients, spline.degree)
    exact = [exact(x.astype(float), nu=m) if m <= spline.degree else 0 * x for m in range(3)]
    # Large coefficients of both signs that cancel: their rounding stays.
    size = max(1.0, np.abs(matrix).sum(axis=1).max()) * np.abs(coefficients).max()
    width = np.diff(points).min() if kind != "bernstein" else points[-1] - points[0]
    moved = EPS * np.abs(points).max()
    allowed = [
        EPS * size + moved * np.abs(exact[1]).max(),
        EPS * size * degree / width + moved * np.abs(exact[2]).max(),
    ]
    if degree == 1:  # the slope jumps at knots, which rounding moves
        near = np.abs(x[:, None] - points).min(axis=1) < 8 * moved
        results[1], exact[1] = results[1][:, ~near], exact[1][~near]
    return [np.abs(results[m] - exact[m]).max() / allowed[m] for m in range(2)]


def composed(basis):
    """The B-splines behind a basis, and their coefficients of its functions."""
    matrix = np.eye(basis.num_coefficients)
    while hasattr(basis, "spline"):
        matrix, basis = np.asarray(basis.matrix) @ matrix, basis.spline
    return basis, matrix


@pytest.mark.parametrize("kind", list(KINDS))
def test_float32_is_within_rounding_of_float64(kind):
    for degree in degrees(kind):
        growth = 2.0 ** max(degree - 3, 0)
        for num, even, domain in SETTINGS:
            value, slope = errors(kind, degree, num, even, domain)
            label = f"{kind}, degree {degree}, {num} points, {domain}: {value:.1f}, {slope:.1f}"
            assert value < VALUE * growth, label
            assert slope < SLOPE * growth, label
