"""Random walks whose step size varies along x: curves that are smooth here and rough there."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from numpyro_splines import knots as knot_rules
from numpyro_splines.bases import AbstractBasis, BSplineBasis
from numpyro_splines.ops.arrays import one_program
from numpyro_splines.ops.penalties import difference_matrix
from numpyro_splines.priors.arguments import check_coefficient, check_positive_number, check_scale
from numpyro_splines.priors.base import AbstractPrior, AbstractSmooth
from numpyro_splines.priors.gaussian import GaussianSmooth
from numpyro_splines.priors.modes import combine, draw, draw_vector, limited
from numpyro_splines.priors.smoothness import SmoothnessPrior, check_smooth
from numpyro_splines.spectrum import split
from numpyro_splines.validation import float64_array, integer_at_least, order_at_least

Matrix = Float[Array, "..."] | np.ndarray


class AbstractStepSmooth(AbstractSmooth):
    """f = linear part + tau sum_i w_i z_i h_i: steps z_i with local sizes w_i.

    The h_i respond to a step of the differences of neighboring coefficients at one place, the
    unpenalized functions taken out.

    Attributes:
        prior: what it comes from.
        linear: coefficients of the unpenalized functions but the constant, shape (K, order - 1).
        matrix: coefficients from standardized steps, shape (K, K - order): with independent steps
            of variance one, the mean square of the curve over mu is one.
    """

    prior: Any
    linear: Matrix
    matrix: Matrix

    @abc.abstractmethod
    def _sizes(self, scale: Array, site: Callable[[str], str]) -> Array:
        """tau w_i, with the shape of the surrounding plates in front; draws what they need."""

    def sample(self, site: Callable[[str], str]) -> Float[Array, "..."]:
        sizes = self._sizes(draw(site("scale"), self.prior.scale), site)
        steps = draw_vector(site("steps"), self.matrix.shape[-1], dist.Normal(0.0, 1.0))
        terms = []
        if (num := self.linear.shape[-1]) > 0:
            terms = [self.linear, draw_vector(site("linear"), num, self.prior.linear)]
        return _walk(self.matrix, sizes, steps, *terms)


class AdaptiveSmooth(AbstractStepSmooth):
    """What `AdaptivePrior.bind` returns: an `AbstractStepSmooth`.

    Attributes:
        local: the log step size, on a basis of its own.
        design: the functions of that basis at the places of the steps, shape (K - order, L).
    """

    local: GaussianSmooth
    design: Matrix

    def _sizes(self, scale: Array, site: Callable[[str], str]) -> Array:
        coefficients = self.local.sample(lambda name: site(f"local.{name}"))
        return _varying(scale, self.design, coefficients)


class HorseshoeSmooth(AbstractStepSmooth):
    """What `HorseshoePrior.bind` returns."""

    def _sizes(self, scale: Array, site: Callable[[str], str]) -> Array:
        local = draw_vector(site("local"), self.matrix.shape[-1], dist.HalfCauchy(1.0))
        return _heavy_tailed(scale, local, self.prior.slab)


class AdaptivePrior(AbstractPrior):
    r"""A random walk of B-spline coefficients whose step size is a smooth function of x.

    (D c)_i = tau w_i z_i up to one constant, z_i ~ Normal(0, 1), log w = g a Gaussian smooth,
    centered over the domain and evaluated where the steps are; D are the differences of
    `RandomWalkPrior`. Its penalty is that of mgcv's `ad`. With w = 1 it is the `RandomWalkPrior` of
    the same order: tau is the root mean square over mu of the penalized part in the units of f, and
    f is centered.

    Sites: `scale` (tau), `linear`, `steps` (z), and those of `local` with `local.` in front.

    Args:
        order: of the differences, from 1 to degree + 1 of the basis.
        scale: a distribution of positive numbers, or a number.
        linear: as in `RandomWalkPrior`.
        local: prior of g; its scale is the root mean square of the log step size over the
            domain. `RandomWalkPrior(order=1)` if omitted.
        num_local: number of coefficients of g, a cubic spline with even knots on the domain; at
            least 4.

    Raises:
        TypeError: if an argument is of the wrong kind, or the basis is no `BSplineBasis` when the
            effect is made.
        ValueError: if a number is too small.

    Example:
        >>> import numpyro, numpyro_splines as ns
        >>> basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 40))
        >>> f = ns.SplineEffect("f", basis, AdaptivePrior(num_local=8))
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     curve = f.sample()

    References:
        Lang and Brezger, Bayesian P-splines (2004), section 2.3; Krivobokova et al., Fast adaptive
        penalized splines (2008).
    """

    order: int = eqx.field(static=True)
    scale: Any
    linear: dist.Distribution
    local: SmoothnessPrior
    num_local: int = eqx.field(static=True)

    def __init__(
        self,
        order: int = 2,
        scale: Any = dist.HalfNormal(1.0),
        linear: Any = 1.0,
        *,
        local: SmoothnessPrior | None = None,
        num_local: int = 8,
    ):
        self.order = order_at_least(order, 1, "order")
        self.scale = check_scale(scale)
        self.linear = check_coefficient(linear, "linear")
        self.local = check_smooth(local, "local")
        self.num_local = integer_at_least(num_local, 4, "num_local")

    def bind(self, basis: AbstractBasis, measure: Any = None) -> AdaptiveSmooth:
        spline, linear, matrix = _steps(self, basis, measure)
        lower, upper = (float(end) for end in spline.domain)
        local = BSplineBasis(knot_rules.uniform(lower, upper, self.num_local - 2))
        # The middle of the support of B-spline i of degree `degree - order`.
        knots, num = float64_array(spline.knots, "knots"), matrix.shape[1]
        first, last = knots[self.order :][:num], knots[spline.degree + 1 :][:num]
        places = np.clip((first + last) / 2, lower, upper)
        # Uniform whatever the effect's measure: without data an exponential must not explode.
        smooth = self.local.bind(local)
        return AdaptiveSmooth(self, linear, matrix, smooth, local.collocation(places))


class HorseshoePrior(AbstractPrior):
    r"""A random walk most of whose steps are tiny and few are large: curves with jumps or kinks.

    (D c)_i = tau w_i z_i up to one constant with z_i ~ Normal(0, 1) and the regularized horseshoe
    w_i = slab l_i / sqrt(slab^2 + l_i^2), l_i ~ HalfCauchy(1): of order 1 for jumps (a step between
    neighboring coefficients), 2 for kinks. tau is the root mean square over mu of the penalized
    part, in the units of f, were all w_i one; f is centered.

    Sites: `scale` (tau), `local` (l), `steps` (z), `linear`.

    Args:
        order: of the differences, from 1 to degree + 1 of the basis.
        scale: a distribution of positive numbers, or a number; small where few jumps are expected.
        linear: as in `RandomWalkPrior`.
        slab: the largest w_i, a positive number: how many times an ordinary step a jump may be.

    Example:
        >>> HorseshoePrior(order=1, scale=0.1).order
        1

    References:
        Faulkner and Minin, Locally adaptive smoothing with Markov random fields and shrinkage
        priors (2018); Piironen and Vehtari, Sparsity information and regularization in the
        horseshoe (2017), equation (2.8).
    """

    order: int = eqx.field(static=True)
    scale: Any
    linear: dist.Distribution
    slab: np.ndarray

    def __init__(
        self,
        order: int = 1,
        scale: Any = dist.HalfNormal(0.1),
        linear: Any = 1.0,
        *,
        slab: float = 100.0,
    ):
        self.order = order_at_least(order, 1, "order")
        self.scale = check_scale(scale)
        self.linear = check_coefficient(linear, "linear")
        self.slab = check_positive_number(slab, "slab")

    def bind(self, basis: AbstractBasis, measure: Any = None) -> HorseshoeSmooth:
        _, linear, matrix = _steps(self, basis, measure)
        return HorseshoeSmooth(self, linear, matrix)


def _steps(
    prior: AdaptivePrior | HorseshoePrior, basis: AbstractBasis, measure: Any
) -> tuple[BSplineBasis, np.ndarray, np.ndarray]:
    """The basis, checked, and `linear` and `matrix` of an `AbstractStepSmooth`."""
    if not isinstance(basis, BSplineBasis):
        raise TypeError(
            f"`basis` of a {type(prior).__name__} must be a BSplineBasis, whose coefficients "
            f"are in order along x; got {type(basis).__name__}."
        )
    # Checks the order as well.
    basis.difference_penalty(prior.order)
    mu = basis.measure(measure)
    gram = basis.gram(mu)
    polynomials, rows = split(basis.polynomials(prior.order), gram, basis.gram(mu.observations))
    knots = float64_array(basis.knots, "knots")
    matrix = np.linalg.pinv(difference_matrix(knots, basis.degree, prior.order))
    matrix = matrix - polynomials @ (rows @ matrix)
    matrix = matrix / np.sqrt(np.trace(matrix.T @ gram @ matrix))
    return basis, polynomials[:, 1:], matrix


@one_program()
def _walk(matrix: Any, sizes: Any, steps: Any, *terms: Any) -> Array:
    return combine(matrix, sizes * steps, *terms)


@one_program()
def _varying(scale: Any, design: Any, coefficients: Any) -> Array:
    return scale[..., None] * jnp.exp(combine(design, coefficients))


@one_program()
def _heavy_tailed(scale: Any, local: Any, slab: Any) -> Array:
    return scale[..., None] * limited(local, slab)
