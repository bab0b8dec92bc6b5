"""Gaussian smoothness priors in Karhunen-Loeve coordinates."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import numpy as np
import numpyro.distributions as dist

from numpyro_splines.bases import AbstractBasis
from numpyro_splines.measure import Measure
from numpyro_splines.priors.arguments import check_coefficient, check_scale
from numpyro_splines.priors.base import AbstractPrior
from numpyro_splines.priors.coordinates import uninformed
from numpyro_splines.priors.gaussian import GaussianSmooth
from numpyro_splines.priors.sizes import typical_size
from numpyro_splines.spectrum import karhunen_loeve
from numpyro_splines.validation import float64_array, integer_at_least


class AbstractSmoothnessPrior(AbstractPrior):
    """A Gaussian smooth given by a penalty; subclasses say which, and document the arguments."""

    order: int = eqx.field(static=True)
    scale: Any
    linear: dist.Distribution
    linear_scale: dist.Distribution | None
    mean: Any

    def __init__(
        self,
        order: int,
        scale: Any,
        linear: Any,
        linear_scale: Any,
        mean: Any,
    ):
        self.order = integer_at_least(order, 1, "order")
        self.scale = check_scale(scale)
        if linear is not None and linear_scale is not None:
            raise TypeError(
                "`linear` and `linear_scale` must not both be given: the second makes the first "
                "Normal(0, linear_scale)."
            )
        if linear_scale is not None and not isinstance(linear_scale, dist.Distribution):
            raise TypeError(
                f"`linear_scale` must be a distribution; got {linear_scale!r}. A number that "
                "fixes it goes to `linear`."
            )
        self.linear = check_coefficient(1.0 if linear is None else linear, "linear")
        self.linear_scale = (
            None if linear_scale is None else check_scale(linear_scale, "linear_scale")
        )
        self.mean = None if mean is None else _check_mean(mean)

    @abc.abstractmethod
    def penalty(self, basis: AbstractBasis) -> np.ndarray:
        """The penalty matrix on this basis."""

    def bind(self, basis: AbstractBasis, measure: Any = None) -> GaussianSmooth:
        """See `AbstractPrior.bind`.

        With observations as measure, samplers see coordinates for noise of the size of the scale.
        """
        mu = basis.measure(measure)
        gram, observed = basis.gram(mu), basis.gram(mu.observations)
        spectrum = karhunen_loeve(gram, self.penalty(basis), basis.null_space(self.order), observed)
        # The null space of some bases lacks the constant: constrained, shrunk, integrated ones.
        num_constant = basis.null_space(1).shape[-1]
        polynomials = np.asarray(spectrum.polynomials)
        constant, linear = polynomials[:, :num_constant], polynomials[:, num_constant:]
        mean = None
        if self.mean is not None:
            mean = _projection(self.mean, basis, mu, gram)
            mean = mean - constant @ (constant.T @ (observed @ mean))
        smooth = GaussianSmooth(
            spectrum,
            linear,
            mean,
            self.scale,
            self.linear,
            self.linear_scale,
            uninformed(spectrum.modes.shape[-1]),
            uninformed(linear.shape[-1]),
        )
        if mu.num_observations == 0:
            return smooth
        noise = typical_size(self.scale)
        return smooth.informed(mu.num_observations / noise**2 * observed)


class SmoothnessPrior(AbstractSmoothnessPrior):
    r"""Penalized integral of a squared derivative: p(f) ∝ exp(-const ∫ f^(order)(x)^2 dx).

    f(x) = sum_j beta_j phi_j(x) + tau sum_m sd_m z_m psi_m(x) in the coordinates of `Spectrum`: the
    phi_j are the polynomials of degree 1, ..., order - 1, orthonormal with respect to the effect's
    reference measure mu; the psi_m are the modes of the penalty. All are orthogonal to the
    constant, so int f d mu = 0: add an intercept of your own. (A basis without the constant, such
    as a constrained one or I-splines, is not centered: its curves are what its functions allow.)

    Sites, after the effect's name and a dot:

        scale   ~ `scale`                    tau, the prior root mean square of the penalized part
                                             over mu, in the units of f
        linear  ~ `linear`, order - 1 of     beta, root mean square of the polynomial part, in the
                  them (none at order 1)     units of f
        linear_scale ~ `linear_scale`        where given: the standard deviation of beta
        modes   ~ Normal(0, tau), one per    tau z_m
                  mode

    What samplers see are the sites `modes_coordinates` and, where something is known of it,
    `linear_coordinates`: the same numbers turned, shifted and scaled so that given the data they
    are of order one whatever tau is (see `SplineEffect`); `modes` and `linear` are deterministic
    then. The prior is the same to the last digit.

    Args:
        order: of the penalized derivative, from 1 to the degree of the basis; 2 penalizes
            curvature.
        scale: a distribution of positive numbers, or a number to fix tau.
        linear: a univariate distribution for each beta_j, or a number s meaning Normal(0, s); 1.0
            if omitted.
        linear_scale: a distribution of a standard deviation of the beta_j, instead of `linear`:
            beta_j ~ Normal(0, linear_scale). The data may then shrink the whole effect to zero: the
            "double penalty" of Marra and Wood (2011), mgcv's `select = TRUE`.
        mean: shrink towards this curve instead of zero: a function of x in JAX or NumPy operations
            (a `Curve` is one), taken to the nearest curve of the basis in L2(mu), or coefficients.
            Its constant is dropped where f is centered.

    Raises:
        TypeError: if `scale` or `linear` is neither a number nor a univariate distribution, or
            both `linear` and `linear_scale` are given.
        ValueError: if the order is below 1, a number is not positive, or the support of a scale
            reaches below zero; when the effect is made, if `mean` does not fit the basis.

    Example:
        >>> import numpyro.distributions as dist
        >>> SmoothnessPrior(order=2, scale=dist.HalfNormal(1.0), linear=2.0).order
        2

    References:
        Wahba (1978); Sørbye and Rue (2014) on scaling intrinsic priors; Wood, Generalized Additive
        Models (2017), section 5.4.
    """

    def __init__(
        self,
        order: int = 2,
        scale: Any = dist.HalfNormal(1.0),
        linear: Any = None,
        *,
        linear_scale: dist.Distribution | None = None,
        mean: Any = None,
    ):
        super().__init__(order, scale, linear, linear_scale, mean)

    def penalty(self, basis: AbstractBasis) -> np.ndarray:
        """See `AbstractSmoothnessPrior.penalty`."""
        return basis.penalty(self.order)


class RandomWalkPrior(AbstractSmoothnessPrior):
    r"""Penalized differences of neighboring coefficients: Bayesian P-splines.

    As `SmoothnessPrior`, with the penalty sum_i (D^order c)_i^2 on the coefficients in place of the
    integral; on knots that are not evenly spaced D are general differences (see
    `numpyro_splines.ops.penalties.difference_penalty`), whose null space is the polynomials of
    degree below `order` on any knots.

    Args:
        order: of the differences, from 1 to degree + 1 of the basis.
        scale: as in `SmoothnessPrior`: the root mean square of the penalized part, *not* the
            standard deviation of the increments.
        linear: as in `SmoothnessPrior`.
        linear_scale: as in `SmoothnessPrior`.
        mean: as in `SmoothnessPrior`.

    Raises:
        TypeError: as `SmoothnessPrior`.
        ValueError: as `SmoothnessPrior`.

    Example:
        >>> RandomWalkPrior(order=1, scale=0.5).order
        1

    References:
        Lang and Brezger, Bayesian P-splines (2004); Eilers and Marx (1996).
    """

    def __init__(
        self,
        order: int = 2,
        scale: Any = dist.HalfNormal(1.0),
        linear: Any = None,
        *,
        linear_scale: dist.Distribution | None = None,
        mean: Any = None,
    ):
        super().__init__(order, scale, linear, linear_scale, mean)

    def penalty(self, basis: AbstractBasis) -> np.ndarray:
        """See `AbstractSmoothnessPrior.penalty`."""
        return basis.difference_penalty(self.order)


def _check_mean(mean: Any) -> Any:
    if isinstance(mean, eqx.Module):
        return mean
    # A plain function is no leaf that JAX can take through `jit`; a Partial has none.
    return jax.tree_util.Partial(mean) if callable(mean) else float64_array(mean, "mean", ndim=1)


def _projection(mean: Any, basis: AbstractBasis, mu: Measure, gram: np.ndarray) -> np.ndarray:
    """Coefficients of the curve of the basis that is nearest in L2(mu) to `mean`."""
    if not callable(mean):
        if mean.shape != (basis.num_coefficients,):
            raise ValueError(
                f"`mean` must be a function or {basis.num_coefficients} coefficients of the "
                f"basis; got shape {mean.shape}."
            )
        return mean
    values = float64_array(mean(mu.points), "mean(x)")
    if values.shape != mu.points.shape:
        raise ValueError(
            f"`mean` must give one number per point; got shape {values.shape} for "
            f"{mu.points.size} points."
        )
    return np.linalg.solve(gram, basis.collocation(mu.points).T @ (mu.weights * values))


def check_smooth(smooth: Any, name: str) -> AbstractSmoothnessPrior:
    """The prior of a logarithm; first-order random walk if None."""
    if smooth is None:
        # First-order, so that without data the curve is the plainest of its shape.
        return RandomWalkPrior(order=1)
    if not isinstance(smooth, AbstractSmoothnessPrior):
        raise TypeError(
            f"`{name}` must be a smoothness prior, such as RandomWalkPrior(order=1); got "
            f"{smooth!r}."
        )
    return smooth
