"""Priors of monotone and convex curves.

One idea: the first or second derivative of the curve is a B-spline with positive coefficients
e_j = exp(g_j), hence positive; g is a Gaussian smooth with a prior of its own. Every curve of the
shape whose coefficients show it can be reached, and g = 0 is the plainest one: a straight line, a
parabola.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from numpyro_splines.arguments import one_of
from numpyro_splines.bases import (
    AbstractBasis,
    AbstractCombinedBasis,
    BSplineBasis,
)
from numpyro_splines.ops.arrays import one_program
from numpyro_splines.ops.penalties import difference_matrix
from numpyro_splines.priors.arguments import check_coefficient, check_scale, check_univariate
from numpyro_splines.priors.base import AbstractPrior, AbstractSmooth
from numpyro_splines.priors.gaussian import GaussianSmooth
from numpyro_splines.priors.modes import combine, draw
from numpyro_splines.priors.smoothness import SmoothnessPrior, check_smooth
from numpyro_splines.spectrum import split
from numpyro_splines.validation import float64_array

Matrix = Float[Array, "..."] | np.ndarray


class AbstractShapedSmooth(AbstractSmooth):
    """A random curve of one shape.

    Attributes:
        prior: what it comes from.
        smooth: g, on the B-splines of the derivative.
        matrix: basis coefficients from those of the derivative, shape (K, m).
        functionals: linear functionals of basis coefficients, shape (r, K): f(a), f(b) and where f
            can be centered int f d mu for monotone curves; for convex ones rows whose squares sum
            to int f^2 d mu.
        line: coefficients of a straight line that may be added, shape (K, at most 1).
        constant: those of the constant, likewise.
    """

    prior: Any
    smooth: GaussianSmooth
    matrix: Matrix
    functionals: Matrix
    line: Matrix
    constant: Matrix


class MonotoneSmooth(AbstractShapedSmooth):
    """What `MonotonePrior.bind` returns."""

    def sample(self, site: Callable[[str], str]) -> Float[Array, "..."]:
        prior = self.prior
        logarithms = self.smooth.sample(site)
        straight = None if prior.curvature is None else draw(site("straight"), prior.straight)
        rise = draw(site("rise"), prior.rise)
        # The mean; a basis without the constant, whose curves start at zero, has none.
        anchor, value = self.functionals[-1], 0.0
        if self.constant.shape[-1] > 0 and prior.start is not None:
            anchor, value = self.functionals[0], draw(site("start"), prior.start)
        elif self.constant.shape[-1] > 0 and prior.finish is not None:
            anchor, value = self.functionals[1], draw(site("finish"), prior.finish)
        rise = rise if prior.direction == "increasing" else -rise
        return _monotone(self, logarithms, straight, rise, anchor, value)


class ConvexSmooth(AbstractShapedSmooth):
    """What `ConvexPrior.bind` returns."""

    def sample(self, site: Callable[[str], str]) -> Float[Array, "..."]:
        logarithms = self.smooth.sample(site)
        bend, slope = draw(site("bend"), self.prior.bend), None
        if self.line.shape[-1] > 0:
            slope = draw(site("slope"), self.prior.slope)
        return _convex(self, logarithms, bend if self.prior.curvature == "convex" else -bend, slope)


class MonotonePrior(AbstractPrior):
    r"""Monotone curves: f' = ± rise sum_j exp(g_j) B'_j / its integral over the domain.

    The B'_j are the B-splines of one degree less; g = 0 gives a straight line, and log f' is close
    to g plus a constant. With `curvature`, f' is itself monotone: a share `straight` of the rise
    is a straight line, the rest comes from a second derivative of this form.

    On a `BSplineBasis` the curve is centered, int f d mu = 0, unless `start` or `finish` says where
    it lies; on an `ISplineBasis` it starts at zero. It is monotone on the domain, and beyond it
    with linear or constant extrapolation.

    Sites: those of `smooth`, the prior of g (`scale` has no units: the root mean square of the log
    slope over the domain), `rise`, and `start`, `finish`, `straight` where they are
    distributions and used.

    Args:
        direction: "increasing" or "decreasing".
        rise: distribution of |f(b) - f(a)| over the domain [a, b], or a number, in the units of f.
        start: f(a), a number or a distribution; None to center f.
        finish: f(b), likewise. With numbers for both, `rise` is their difference.
        curvature: None, "convex" or "concave".
        straight: distribution on (0, 1) of the straight share of the rise, with `curvature`.
        smooth: prior of g; `RandomWalkPrior(order=1)` if omitted.

    Raises:
        TypeError: if an argument is of the wrong kind; when the effect is made, if the basis is
            not made of B-splines.
        ValueError: if `rise` may be negative, a word is unknown, or start and finish
            contradict each other or the basis.

    Example:
        >>> import numpyro, numpyro_splines as ns
        >>> basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6))
        >>> f = ns.SplineEffect("f", basis, MonotonePrior(start=0.0, finish=1.0))
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     curve = f.sample()
        >>> bool(curve.is_monotone()), curve([0.0, 1.0]).round(4).tolist()
        (True, [0.0, 1.0])

    References:
        Ramsay, Estimating smooth monotone functions (1998), for log slopes; Pya and Wood, Shape
        constrained additive models (2015), for exponentials of B-spline coefficients.
    """

    direction: str = eqx.field(static=True)
    rise: Any
    start: Any
    finish: Any
    curvature: str | None = eqx.field(static=True)
    straight: dist.Distribution
    smooth: SmoothnessPrior

    def __init__(
        self,
        direction: Literal["increasing", "decreasing"] = "increasing",
        rise: Any = dist.HalfNormal(1.0),
        *,
        start: Any = None,
        finish: Any = None,
        curvature: Literal["convex", "concave"] | None = None,
        straight: dist.Distribution = dist.Uniform(0.0, 1.0),
        smooth: SmoothnessPrior | None = None,
    ):
        if curvature is not None:
            one_of(curvature, ("convex", "concave"), "curvature")
        self.direction = one_of(direction, ("increasing", "decreasing"), "direction")
        self.curvature = curvature
        self.start, self.finish = _check_value(start, "start"), _check_value(finish, "finish")
        if start is not None and finish is not None:
            rise = _difference(self.start, self.finish, self.direction)
        self.rise = check_scale(rise, "rise")
        if not isinstance(straight, dist.Distribution):
            raise TypeError(f"`straight` must be a distribution on (0, 1); got {straight!r}.")
        check_univariate(straight, "straight")
        self.straight, self.smooth = straight, check_smooth(smooth, "smooth")

    def bind(self, basis: AbstractBasis, measure: Any = None) -> MonotoneSmooth:
        order = 1 if self.curvature is None else 2
        smooth, matrix = _from_derivative(self, basis, order)
        ends = np.array([float(end) for end in basis.domain])
        values, constant = basis.collocation(ends), basis.polynomials(1)
        fixed = self.start is not None or self.finish is not None
        if fixed and constant.shape[1] == 0:
            raise ValueError(
                "`start` and `finish` must be None on a basis without the constant; got "
                f"{type(basis).__name__}, whose curves start at zero. Add f to an intercept."
            )
        line = constant[:, :0]
        if self.curvature is not None:
            line = _line(basis)
            # Where the curve is least steep its slope is zero: at the start for increasing convex
            # and decreasing concave curves, at the end for the others.
            steeper = (self.direction == "increasing") == (self.curvature == "convex")
            flat = ends[:1] if steeper else ends[1:]
            slopes = basis.collocation(flat, 1)
            matrix = matrix - line @ (slopes @ matrix) / (slopes @ line)
        mean = constant.T @ basis.gram(basis.measure(measure).observations)
        rows = np.concatenate([values, mean])
        return MonotoneSmooth(self, smooth, matrix, rows, line, constant)


class ConvexPrior(AbstractPrior):
    r"""Convex (or concave) curves: f'' = ± bend sum_j exp(g_j) B''_j / a normalizing constant.

    f is centered, plus a straight line beta phi_1 with phi_1 orthonormal in L2(mu) (as in
    `SmoothnessPrior`), plus the bent part, whose own line is taken out: `bend` is the root mean
    square over mu of the departure from a straight line, in the units of f; g = 0 gives a parabola,
    and log f'' is close to g plus a constant. On a `CSplineBasis`, whose curves start at zero and
    flat, there is neither line nor centering.

    Sites: those of `smooth`, the prior of g (`scale` has no units: the root mean square of
    log f'' over the domain), `bend`, and `slope` for beta.

    Args:
        curvature: "convex" or "concave".
        bend: distribution of positive numbers, or a number, in the units of f.
        slope: distribution of beta, or a number s meaning Normal(0, s), in the units of f.
        smooth: prior of g; `RandomWalkPrior(order=1)` if omitted.

    Raises:
        TypeError: if an argument is of the wrong kind; when the effect is made, if the basis is
            not made of B-splines of degree 2 or higher.
        ValueError: if `bend` may be negative, or the curvature is another word.

    Example:
        >>> import numpyro, numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6)), ConvexPrior())
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     curve = f.sample()
        >>> bool((curve.derivative(2)([0.0, 0.3, 0.7, 1.0]) > 0).all())
        True
    """

    curvature: str = eqx.field(static=True)
    bend: Any
    slope: dist.Distribution
    smooth: SmoothnessPrior

    def __init__(
        self,
        curvature: Literal["convex", "concave"] = "convex",
        bend: Any = dist.HalfNormal(1.0),
        slope: Any = 1.0,
        *,
        smooth: SmoothnessPrior | None = None,
    ):
        self.curvature = one_of(curvature, ("convex", "concave"), "curvature")
        self.bend = check_scale(bend, "bend")
        self.slope = check_coefficient(slope, "slope")
        self.smooth = check_smooth(smooth, "smooth")

    def bind(self, basis: AbstractBasis, measure: Any = None) -> ConvexSmooth:
        smooth, matrix = _from_derivative(self, basis, 2)
        mu = basis.measure(measure)
        gram = basis.gram(mu)
        polynomials, rows = split(basis.polynomials(2), gram, basis.gram(mu.observations))
        matrix = matrix - polynomials @ (rows @ matrix)
        line, constant = polynomials[:, 1:], polynomials[:, :0]
        return ConvexSmooth(self, smooth, matrix, np.linalg.cholesky(gram).T, line, constant)


def _from_derivative(
    prior: MonotonePrior | ConvexPrior, basis: AbstractBasis, order: int
) -> tuple[GaussianSmooth, np.ndarray]:
    """The prior of g, bound, and basis coefficients from e, up to polynomials."""
    name = type(prior).__name__
    spline = basis.spline if isinstance(basis, AbstractCombinedBasis) else basis
    if not isinstance(spline, BSplineBasis) or spline.degree < order:
        raise TypeError(
            f"`basis` of this {name} must be made of B-splines of degree {order} or higher; got "
            f"{basis!r}."
        )
    knots = float64_array(spline.knots, "knots")
    inner = BSplineBasis(knots=knots[order : len(knots) - order], degree=spline.degree - order)
    # Uniform whatever the effect's measure: without data an exponential must not explode.
    smooth = prior.smooth.bind(inner)
    integrals = np.linalg.pinv(difference_matrix(knots, spline.degree, order))
    if not isinstance(basis, AbstractCombinedBasis):
        return smooth, integrals
    matrix = np.asarray(basis.matrix)
    if basis.polynomials(order).shape[1] == 0:
        matrix = np.concatenate([matrix, spline.polynomials(order)], axis=1)
    found = np.linalg.lstsq(matrix, integrals, rcond=None)[0]
    if np.abs(matrix @ found - integrals).max() > 1e-8 * np.abs(integrals).max():
        raise TypeError(
            f"`basis` of a {name} must hold all splines of this shape, as BSplineBasis, "
            f"ISplineBasis (monotone) and CSplineBasis (convex) do; got {type(basis).__name__}."
        )
    return smooth, found[: basis.num_coefficients]


@one_program()
def _monotone(
    shaped: AbstractShapedSmooth, logarithms: Any, straight: Any, rise: Any, anchor: Any, value: Any
) -> Array:
    """Coefficients of the curve with this rise whose functional `anchor` has this value."""
    shape = _positive_combination(shaped, logarithms)
    functionals = jnp.asarray(shaped.functionals, shape.dtype)
    shape = _unit_rise(shape, functionals)
    if straight is not None:
        line = _unit_rise(jnp.asarray(shaped.line[:, 0], shape.dtype), functionals)
        shape = straight[..., None] * line + (1.0 - straight[..., None]) * shape
    curve = rise[..., None] * shape
    if shaped.constant.shape[-1] == 0:
        return curve
    shift = value - jnp.einsum("k,...k->...", jnp.asarray(anchor, curve.dtype), curve)
    return curve + shift[..., None] * jnp.asarray(shaped.constant[:, 0], curve.dtype)


@one_program()
def _convex(shaped: AbstractShapedSmooth, logarithms: Any, bend: Any, slope: Any) -> Array:
    shape = _positive_combination(shaped, logarithms)
    size = jnp.linalg.norm(combine(shaped.functionals, shape), axis=-1, keepdims=True)
    curve = bend[..., None] * shape / size
    return curve if slope is None else curve + combine(shaped.line, slope[..., None])


def _positive_combination(shaped: AbstractShapedSmooth, logarithms: Array) -> Array:
    """Basis coefficients of the curve whose derivative has coefficients e, up to a factor."""
    # The factor cancels later, so it may be what keeps exp from overflowing.
    largest = jax.lax.stop_gradient(logarithms.max(-1, keepdims=True))
    return combine(shaped.matrix, jnp.exp(logarithms - largest))


def _unit_rise(shape: Array, rows: Array) -> Array:
    """Coefficients scaled so that f(b) - f(a) = 1."""
    rise = jnp.einsum("k,...k->...", rows[1] - rows[0], shape)
    return shape / rise[..., None]


def _line(basis: AbstractBasis) -> np.ndarray:
    """Coefficients of a straight line of the basis that is not constant, shape (K, 1)."""
    polynomials = basis.polynomials(2)
    if polynomials.shape[1] < 2:
        raise TypeError(
            "`curvature` needs a basis that holds straight lines, such as BSplineBasis; got "
            f"{type(basis).__name__}. Use ConvexPrior on a CSplineBasis."
        )
    return polynomials[:, 1:]


def _check_value(value: Any, name: str) -> Any:
    if value is None:
        return None
    if isinstance(value, dist.Distribution):
        check_univariate(value, name)
        return value
    return float64_array(value, name, ndim=0)


def _difference(start: Any, finish: Any, direction: str) -> np.ndarray:
    if isinstance(start, dist.Distribution) or isinstance(finish, dist.Distribution):
        raise TypeError(
            "`start` and `finish` must both be numbers if both are given, so that the sign of the "
            "rise is known; or give one of them and `rise`."
        )
    rise = finish - start if direction == "increasing" else start - finish
    if not rise > 0.0:
        raise ValueError(f"`start` and `finish` must be {direction}; got {start} and {finish}.")
    return rise
