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
from numpyro_splines.priors.base import AbstractPrior
from numpyro_splines.priors.modes import combine, draw, draw_vector, limited
from numpyro_splines.priors.smoothness import (
    AbstractSmoothnessPrior,
    check_smooth,
)
from numpyro_splines.spectrum import orthonormalized
from numpyro_splines.validation import float64_array, integer_at_least

Matrix = Float[Array, "..."] | np.ndarray


class Steps(eqx.Module):
    """What the adaptive priors prepare.

    Attributes:
        linear: coefficients of the unpenalized functions but the constant, orthonormal in L2(mu);
            shape (K, order - 1).
        matrix: coefficients from standardized steps, shape (K, K - order): with independent steps
            of variance one, the mean square of the curve over mu is one.
        local: of the prior of the log step size, on a basis of its own; None for none.
        design: its basis functions at the places of the steps, shape (K - order, L).
    """

    linear: Matrix
    matrix: Matrix
    local: Any
    design: Matrix


class AbstractStepPrior(AbstractPrior):
    """f = linear part + tau sum_i w_i z_i h_i: steps z_i with local sizes w_i.

    The h_i respond to a step of the differences of neighboring coefficients at one place, the
    unpenalized functions taken out.
    """

    order: eqx.AbstractVar[int]
    scale: eqx.AbstractVar[Any]
    linear: eqx.AbstractVar[dist.Distribution]

    @abc.abstractmethod
    def _sizes(self, prepared: Steps, scale: Array, site: Callable[[str], str]) -> Array:
        """tau w_i, with the shape of the surrounding plates in front; draws what they need."""

    def _prepare(self, basis: AbstractBasis, measure: Any) -> tuple[BSplineBasis, Steps]:
        if not isinstance(basis, BSplineBasis):
            raise TypeError(
                f"`basis` of a {type(self).__name__} must be a BSplineBasis, whose coefficients "
                f"are in order along x; got {type(basis).__name__}."
            )
        # Checks the order as well.
        basis.difference_penalty(self.order)
        gram = basis.gram(measure)
        polynomials = orthonormalized(basis.polynomials(self.order), gram)
        knots = float64_array(basis.knots, "knots")
        matrix = np.linalg.pinv(difference_matrix(knots, basis.degree, self.order))
        matrix = matrix - polynomials @ (polynomials.T @ gram @ matrix)
        matrix = matrix / np.sqrt(np.trace(matrix.T @ gram @ matrix))
        none = np.zeros((matrix.shape[1], 0))
        return basis, Steps(polynomials[:, 1:], matrix, None, none)

    def prepare(self, basis: AbstractBasis, measure: Any) -> Steps:
        """See `AbstractPrior.prepare`."""
        return self._prepare(basis, measure)[1]

    def sample(self, prepared: Steps, site: Callable[[str], str]) -> Float[Array, "..."]:
        """See `AbstractPrior.sample`."""
        sizes = self._sizes(prepared, draw(site("scale"), self.scale), site)
        steps = draw_vector(site("steps"), prepared.matrix.shape[-1], dist.Normal(0.0, 1.0))
        terms = []
        if prepared.linear.shape[-1] > 0:
            terms = [
                prepared.linear,
                draw_vector(site("linear"), prepared.linear.shape[-1], self.linear),
            ]
        return _walk(prepared.matrix, sizes, steps, *terms)


class AdaptivePrior(AbstractStepPrior):
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
            domain. `RandomWalkPrior(order=1, centering=0.0)` if omitted.
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
    local: AbstractSmoothnessPrior
    num_local: int = eqx.field(static=True)

    def __init__(
        self,
        order: int = 2,
        scale: Any = dist.HalfNormal(1.0),
        linear: Any = 1.0,
        *,
        local: AbstractSmoothnessPrior | None = None,
        num_local: int = 8,
    ):
        self.order = integer_at_least(order, 1, "order")
        self.scale = check_scale(scale)
        self.linear = check_coefficient(linear, "linear")
        self.local = check_smooth(local, "local")
        self.num_local = integer_at_least(num_local, 4, "num_local")

    def prepare(self, basis: AbstractBasis, measure: Any) -> Steps:
        """See `AbstractPrior.prepare`."""
        spline, steps = self._prepare(basis, measure)
        lower, upper = (float(end) for end in spline.domain)
        local = BSplineBasis(knot_rules.uniform(lower, upper, self.num_local - 2))
        # The middle of the support of B-spline i of degree `degree - order`.
        knots, num = float64_array(spline.knots, "knots"), steps.matrix.shape[1]
        first, last = knots[self.order :][:num], knots[spline.degree + 1 :][:num]
        places = np.clip((first + last) / 2, lower, upper)
        design = local.collocation(places)
        # Uniform whatever the effect's measure: without data an exponential must not explode.
        prepared = self.local.prepare(local, None)
        return Steps(steps.linear, steps.matrix, prepared, design)

    def _sizes(self, prepared: Steps, scale: Array, site: Callable[[str], str]) -> Array:
        coefficients = self.local.sample(prepared.local, lambda name: site(f"local.{name}"))
        return _varying(scale, prepared.design, coefficients)


class HorseshoePrior(AbstractStepPrior):
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

    Raises:
        TypeError: as `AdaptivePrior`.
        ValueError: as `AdaptivePrior`.

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
        self.order = integer_at_least(order, 1, "order")
        self.scale = check_scale(scale)
        self.linear = check_coefficient(linear, "linear")
        self.slab = check_positive_number(slab, "slab")

    def _sizes(self, prepared: Steps, scale: Array, site: Callable[[str], str]) -> Array:
        local = draw_vector(site("local"), prepared.matrix.shape[-1], dist.HalfCauchy(1.0))
        return _heavy_tailed(scale, local, self.slab)


@one_program()
def _walk(matrix: Any, sizes: Any, steps: Any, *terms: Any) -> Array:
    return combine(matrix, sizes * steps, *terms)


@one_program()
def _varying(scale: Any, design: Any, coefficients: Any) -> Array:
    return scale[..., None] * jnp.exp(combine(design, coefficients))


@one_program()
def _heavy_tailed(scale: Any, local: Any, slab: Any) -> Array:
    return scale[..., None] * limited(local, slab)
