"""Bases, with the options worth trying."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import BSpline

import numpyro_splines as ns
from cases.extrapolations import EXTRAPOLATIONS
from numpyro_splines import constraints as cs
from numpyro_splines import extrapolation as ex
from numpyro_splines.ops import piecewise

UNEVEN = np.array([-1.0, -0.7, 0.2, 0.25, 1.0, 3.0])
EVEN = ns.knots.uniform(0.0, 2.0, 9)


def compiled(function, *arguments):
    """function(*arguments) as one program: eagerly, each operation is compiled by itself.

    Points, coefficients and curves are arguments, lest the compiler evaluates constants itself.
    """
    return jax.jit(function)(*arguments)


class Fourier(ns.AbstractBasis):
    """A basis of one's own in a dozen lines: no splines at all."""

    frequencies: np.ndarray
    num_coefficients = property(lambda self: 2 * len(self.frequencies) + 1)
    domain = (-1.0, 3.0)

    def __call__(self, x):
        x = jnp.asarray(x)[..., None]
        angle = np.pi / 2 * x * jnp.asarray(self.frequencies, x.dtype)
        return jnp.concatenate([jnp.ones_like(x), jnp.sin(angle), jnp.cos(angle)], axis=-1)


@dataclass(frozen=True)
class Case:
    """A basis, made when it is first asked for, and the B-spline it is, for SciPy."""

    name: str
    make: Callable[[], Any]
    sums_to_one: bool = True
    non_negative: bool = True

    @cached_property
    def basis(self):
        return self.make()

    @cached_property
    def spline(self):
        """The B-splines behind the basis."""
        spline = self.basis
        while hasattr(spline, "spline"):
            spline = spline.spline
        return spline

    @cached_property
    def matrix(self):
        """Their coefficients of each function."""
        matrix, spline = np.eye(self.basis.num_coefficients), self.basis
        while hasattr(spline, "spline"):
            matrix, spline = spline.matrix @ matrix, spline.spline
        return matrix

    @property
    def degree(self):
        return self.spline.degree

    @property
    def periodic(self):
        return isinstance(self.spline.extrapolation[0], ex.Periodic)

    @property
    def amplification(self):
        """How much larger the B-spline coefficients, hence their rounding, are than the basis'."""
        return max(1.0, float(np.abs(self.matrix).sum(axis=1).max()))

    def points(self):
        """Interior points, every knot, both ends, and points outside, apart."""
        lower, upper = self.basis.domain
        width = upper - lower
        knots = np.unique(self.spline.knots)
        knots = knots[(knots >= lower) & (knots <= upper)]
        inside = np.concatenate([knots, (knots[1:] + 2 * knots[:-1]) / 3])
        outside = np.array([lower - 1.3 * width, lower - 0.01, upper + 0.01, upper + 0.7 * width])
        return inside, outside

    def coefficients(self, seed=0, shape=()):
        return np.random.default_rng(seed).normal(size=(*shape, self.basis.num_coefficients))

    def curve(self, coefficients):
        """Breakpoints and table of the curve, NumPy, in the dtype of the coefficients."""
        with jax.enable_x64(coefficients.dtype == np.float64):
            curve = self.basis.curve(coefficients)
        return np.asarray(curve.breakpoints), np.asarray(curve.table)

    def evaluate(self, breakpoints, table, x):
        """Values of such a table, NumPy."""
        if self.periodic:
            x, _ = piecewise.wrap(x, breakpoints)
        return piecewise.evaluate(x, breakpoints, table)

    def reference(self, coefficients, x, order=0):
        """SciPy inside, the extrapolation rule written out outside; float64.

        `coefficients` of shape (K,), or (K, several), whose curves are then the last axis.
        """
        spline = BSpline(self.spline.knots, self.matrix @ coefficients, self.degree)
        lower, upper = self.basis.domain
        at_points = (..., *[None] * (np.ndim(coefficients) - 1))

        def derivative(at, m):
            none = np.zeros((*np.shape(at), *np.shape(coefficients)[1:]))
            return spline(at, nu=m) if m <= self.degree else none

        value = derivative(np.clip(x, lower, upper), order)
        for rule, end, beyond in zip(
            self.spline.extrapolation, (lower, upper), (x < lower, x > upper), strict=True
        ):
            at = np.full(x.shape, end)
            if isinstance(rule, ex.Linear):
                away = (x - end)[at_points]
                rest = {0: derivative(at, 0) + derivative(at, 1) * away, 1: derivative(at, 1)}
            elif isinstance(rule, ex.Constant):
                rest = {0: derivative(at, 0)}
            elif isinstance(rule, ex.Polynomial):
                rest = {order: derivative(x, order)}
            elif isinstance(rule, ex.Periodic):
                rest = {order: derivative(lower + (x - lower) % (upper - lower), order)}
            elif isinstance(rule, ex.NaN):
                rest = {order: np.full(value.shape, np.nan)}
            else:
                rest = {}
            other = rest.get(order, np.zeros(value.shape))
            value = np.where(beyond[at_points], other, value)
        return value


def _bspline(points, **options):
    return lambda: ns.BSplineBasis(points, **options)


def _skewed():
    x = np.random.default_rng(0).lognormal(0.0, 2.0, 400)
    return ns.BSplineBasis(ns.knots.quantile(x, 30))


_REPEATED = [0.0, 0.0, 0.0, 0.0, 0.3, 0.5, 0.5, 0.8, 0.8, 0.8, 0.8, 1.0, 1.0, 1.0, 1.0]
_NO_SUM = {"sums_to_one": False}
_SIGNED = {"non_negative": False}
_NEITHER = {"sums_to_one": False, "non_negative": False}


def _cases():
    for degree in (0, 1, 2, 3, 4, 5, 8):
        yield f"uneven_degree{degree}", _bspline(UNEVEN, degree=degree), {}
    for name, rule in EXTRAPOLATIONS.items():
        if name not in ("linear", "pair"):
            yield f"even_cubic_{name}", _bspline(EVEN, extrapolation=rule), {}
    yield "pair", _bspline(UNEVEN, degree=2, extrapolation=EXTRAPOLATIONS["pair"]), {}
    yield "extended", lambda: ns.BSplineBasis(knots=ns.knots.extended(EVEN, 3)), {}
    yield "repeated", lambda: ns.BSplineBasis(knots=_REPEATED), {}
    yield "many", lambda: ns.BSplineBasis(ns.knots.uniform(-5.0, 5.0, 198)), {}
    yield "one_interval", _bspline([0.0, 1e-3], degree=5), {}
    yield "cyclic", lambda: ns.CyclicBasis(UNEVEN), {}
    yield "cyclic_few", lambda: ns.CyclicBasis([0.0, 0.4, 1.0], degree=3), {}
    yield "cyclic_linear", lambda: ns.CyclicBasis(EVEN, degree=1), {}
    yield "regression", lambda: ns.CubicRegressionBasis(UNEVEN), _SIGNED
    yield "cyclic_regression", lambda: ns.CyclicCubicRegressionBasis(UNEVEN), _SIGNED
    yield "m_spline", lambda: ns.MSplineBasis(UNEVEN), _NO_SUM
    yield "i_spline", lambda: ns.ISplineBasis(UNEVEN, degree=2), _NO_SUM
    yield "c_spline", lambda: ns.CSplineBasis(UNEVEN, degree=1), _NO_SUM
    yield "cyclic_m_spline", lambda: ns.CyclicMSplineBasis(UNEVEN), _NO_SUM
    yield "natural", lambda: ns.NaturalBasis(UNEVEN), _NO_SUM
    yield "natural_quintic", lambda: ns.NaturalBasis(EVEN, degree=5), _NO_SUM
    yield "natural_line", lambda: ns.NaturalBasis([0.0, 2.0]), _NO_SUM
    yield "bernstein", lambda: ns.BernsteinBasis(-2.0, 1.0, degree=4), {}
    yield "constrained", lambda: ns.BSplineBasis(UNEVEN).constrained(), _NEITHER
    ends = cs.ZeroStart(), cs.ZeroEnd(1)
    regression = ns.CubicRegressionBasis
    yield "constrained_ends", lambda: regression(UNEVEN).constrained(*ends), _NEITHER
    yield "skewed", _skewed, {}


BASES = {name: Case(name, make, **facts) for name, make, facts in _cases()}
CASES = [pytest.param(case, id=name) for name, case in BASES.items()]
