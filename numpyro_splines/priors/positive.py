"""Priors of positive curves and of densities.

c_j is proportional to exp(g_j), with g the coefficients of a Gaussian smooth on the same
B-splines; g = 0 is the plainest curve, a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from numpyro_splines.bases import AbstractBasis, BSplineBasis, ISplineBasis, MSplineBasis
from numpyro_splines.extrapolation import Linear, Polynomial
from numpyro_splines.ops.penalties import bspline_integrals
from numpyro_splines.priors.arguments import check_scale
from numpyro_splines.priors.base import AbstractPrior, AbstractSmooth
from numpyro_splines.priors.gaussian import GaussianSmooth
from numpyro_splines.priors.modes import draw
from numpyro_splines.priors.smoothness import SmoothnessPrior, check_smooth
from numpyro_splines.validation import float64_array


class PositiveSmooth(AbstractSmooth):
    """What `PositivePrior.bind` returns.

    Attributes:
        smooth: the logarithm g.
        level: prior of the level, or a number.
        sizes: what the coefficients are relative to, shape (K,).
    """

    smooth: GaussianSmooth
    level: Any
    sizes: Float[Array, " K"] | np.ndarray

    def sample(self, site: Callable[[str], str]) -> Float[Array, "..."]:
        level = draw(site("level"), self.level)[..., None]
        logarithms = self.smooth.sample(site)
        return level * jnp.asarray(self.sizes, logarithms.dtype) * jnp.exp(logarithms)


class SimplexSmooth(AbstractSmooth):
    """What `SimplexPrior.bind` returns.

    Attributes:
        smooth: the logarithm g.
        log_sizes: logarithms of the integrals of the B-splines, shape (K,).
    """

    smooth: GaussianSmooth
    log_sizes: Float[Array, " K"] | np.ndarray

    def sample(self, site: Callable[[str], str]) -> Float[Array, "..."]:
        logarithms = self.smooth.sample(site)
        return jax.nn.softmax(logarithms + jnp.asarray(self.log_sizes, logarithms.dtype), axis=-1)


class PositivePrior(AbstractPrior):
    r"""f = sum_j c_j B_j with c_j = level exp(g_j) > 0: positive curves.

    Sites: those of `smooth` (a prior of the logarithm g, centered over the domain, so its scale is
    the root mean square of the *relative* variation of f there, without units) and `level`.

    Args:
        level: a distribution of positive numbers, or a number, in the units of f: the curve
            without variation.
        smooth: prior of g; `RandomWalkPrior(order=1)` if omitted.

    Raises:
        TypeError: if `smooth` is no smoothness prior, or the basis is not made of non-negative
            B-splines (`BSplineBasis`, `MSplineBasis`) when the effect is made.
        ValueError: if `level` may be negative, or the basis continues `Linear()` or `Polynomial()`
            outside the domain, where curves would become negative: give it `Constant()`.

    Example:
        >>> import numpyro, numpyro.distributions as dist, numpyro_splines as ns
        >>> constant = ns.extrapolation.Constant()
        >>> basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6), extrapolation=constant)
        >>> f = ns.SplineEffect("f", basis, PositivePrior(level=dist.LogNormal(0.0, 1.0)))
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     print(bool((f.sample()([0.0, 0.3, 1.0]) > 0).all()))
        True
    """

    level: Any
    smooth: SmoothnessPrior

    def __init__(
        self, level: Any = dist.LogNormal(0.0, 1.0), smooth: SmoothnessPrior | None = None
    ):
        self.level = check_scale(level, "level")
        self.smooth = check_smooth(smooth, "smooth")

    def bind(self, basis: AbstractBasis, measure: Any = None) -> PositiveSmooth:
        del measure
        spline, integrals = _densities(self, basis)
        if isinstance(basis, ISplineBasis):
            raise TypeError(
                "`basis` of a PositivePrior must be a BSplineBasis or an MSplineBasis; got "
                "ISplineBasis. Use MonotonePrior or SimplexPrior."
            )
        _check_continuation(self, basis)
        sizes = integrals if isinstance(basis, MSplineBasis) else np.ones_like(integrals)
        # Uniform whatever the effect's measure: without data an exponential must not explode.
        return PositiveSmooth(self.smooth.bind(spline), self.level, sizes)


class SimplexPrior(AbstractPrior):
    r"""Coefficients on the simplex, c_j \propto I_j exp(g_j): densities in M-splines.

    With I_j the integral of B-spline j, f = sum_j c_j M_j \propto sum_j exp(g_j) B_j: a probability
    density on the domain, uniform at g = 0. On an `ISplineBasis` the same coefficients give its
    distribution function. The logarithm of the density is close to g, a Gaussian smooth.

    Sites: those of `smooth`, the prior of g.

    Args:
        smooth: prior of g; its scale is the root mean square of the log density over the domain.
            `RandomWalkPrior(order=1)` if omitted.

    Raises:
        TypeError: if `smooth` is no smoothness prior, or the basis is neither `MSplineBasis` nor
            `ISplineBasis` when the effect is made.
        ValueError: if the basis continues `Linear()` or `Polynomial()` outside the domain.

    Example:
        >>> import numpyro, numpyro_splines as ns
        >>> density = ns.SplineEffect("f", ns.MSplineBasis([0.0, 1.0, 3.0]), SimplexPrior())
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     print(density.sample().integrate(0.0, 3.0).round(5))
        1.0

    References:
        Brilleman et al., Bayesian survival analysis using the rstanarm R package (2020), section 3,
        for M-spline hazards with coefficients on the simplex.
    """

    smooth: SmoothnessPrior

    def __init__(self, smooth: SmoothnessPrior | None = None):
        self.smooth = check_smooth(smooth, "smooth")

    def bind(self, basis: AbstractBasis, measure: Any = None) -> SimplexSmooth:
        del measure
        spline, integrals = _densities(self, basis)
        if spline is basis:
            raise TypeError(
                "`basis` of a SimplexPrior must be an MSplineBasis or an ISplineBasis; got "
                f"{type(basis).__name__}, whose functions do not integrate to one."
            )
        _check_continuation(self, basis)
        return SimplexSmooth(self.smooth.bind(spline), np.log(integrals))


def _densities(prior: AbstractPrior, basis: AbstractBasis) -> tuple[BSplineBasis, np.ndarray]:
    """B-splines with sum_j exp(g_j) B_j the curve or density, and the integral of each."""
    spline = basis.spline if isinstance(basis, MSplineBasis | ISplineBasis) else basis
    if not isinstance(spline, BSplineBasis):
        raise TypeError(
            f"`basis` of a {type(prior).__name__} must be an MSplineBasis, or "
            f"{'an ISplineBasis' if isinstance(prior, SimplexPrior) else 'a BSplineBasis'}; got "
            f"{type(basis).__name__}."
        )
    knots, degree = float64_array(spline.knots, "knots"), spline.degree
    if isinstance(basis, ISplineBasis):
        knots, degree = knots[1:-1], degree - 1
        spline = BSplineBasis(knots=knots, degree=degree)
    return spline, bspline_integrals(knots, degree)


def _check_continuation(prior: AbstractPrior, basis: Any) -> None:
    """Refuse a basis whose curves may become negative outside of the domain."""
    spline = getattr(basis, "spline", basis)
    outside = [type(side).__name__ for side in spline.extrapolation]
    # Rules of one's own may be positive ones.
    if spline.degree > 0 and any(type(e) in (Linear, Polynomial) for e in spline.extrapolation):
        raise ValueError(
            f"`basis` of a {type(prior).__name__} must not become negative outside its domain; got "
            f"the extrapolation {outside[0]}() on the left and {outside[1]}() on the right. Use "
            "extrapolation=Constant() (or Zero()) of numpyro_splines.extrapolation."
        )
