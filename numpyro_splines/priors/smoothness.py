"""Gaussian smoothness priors in Karhunen-Loeve coordinates."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import numpy as np
import numpyro.distributions as dist

from numpyro_splines.bases import AbstractBasis
from numpyro_splines.margins import CurveMargin
from numpyro_splines.measure import Measure
from numpyro_splines.penalties import AbstractPenalty, Derivative, Differences
from numpyro_splines.priors.arguments import check_coefficient, check_penalty, check_scale
from numpyro_splines.priors.base import AbstractPrior
from numpyro_splines.priors.coordinates import uninformed
from numpyro_splines.priors.gaussian import GaussianSmooth
from numpyro_splines.priors.sizes import typical_size
from numpyro_splines.validation import float64_array


class SmoothnessPrior(AbstractPrior):
    r"""A Gaussian smooth given by a penalty: p(f) ∝ exp(-const ∫ f^(order)(x)^2 dx) by default.

    f(x) = sum_j beta_j phi_j(x) + tau sum_m sd_m z_m psi_m(x) in the coordinates of `Spectrum`: the
    phi_j are the polynomials of degree 1, ..., order - 1 (what the penalty leaves free but the
    constant), orthonormal with respect to the effect's reference measure mu; the psi_m are the
    modes of the penalty. All are orthogonal to the constant, so int f d mu = 0: add an intercept of
    your own. (A basis without the constant, such as a constrained one or I-splines, is not
    centered: its curves are what its functions allow.)

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
        order: of the penalized derivative, from 1 to the degree of the basis; 2, which penalizes
            curvature, unless `penalty` is given.
        scale: a distribution of positive numbers, or a number to fix tau.
        linear: a univariate distribution for each beta_j, or a number s meaning Normal(0, s); 1.0
            if omitted.
        linear_scale: a distribution of a standard deviation of the beta_j, instead of `linear`:
            beta_j ~ Normal(0, linear_scale). The data may then shrink the whole effect to zero: the
            "double penalty" of Marra and Wood (2011), mgcv's `select = TRUE`.
        mean: shrink towards this curve instead of zero: a function of x in JAX or NumPy operations
            (a `Curve` is one), taken to the nearest curve of the basis in L2(mu), or coefficients.
            Its constant is dropped where f is centered.
        penalty: an object of `numpyro_splines.penalties`, instead of `order`, which stands for
            `Derivative(order)`.

    Attributes:
        penalty: the penalty.

    Raises:
        TypeError: if `scale` or `linear` is neither a number nor a univariate distribution,
            `penalty` is none, or both `linear` and `linear_scale`, or `order` and `penalty`, are
            given.
        ValueError: if the order is below 1, a number is not positive, or the support of a scale
            reaches below zero; when the effect is made, if `mean` does not fit the basis.

    Example:
        >>> import numpyro.distributions as dist, numpyro_splines as ns
        >>> SmoothnessPrior(order=2, scale=dist.HalfNormal(1.0), linear=2.0).penalty
        Derivative(order=2)
        >>> shrunk = SmoothnessPrior(penalty=ns.penalties.Shrunk(ns.penalties.Derivative(2)))

    References:
        Wahba (1978); Sørbye and Rue (2014) on scaling intrinsic priors; Wood, Generalized Additive
        Models (2017), section 5.4.
    """

    penalty: AbstractPenalty
    scale: Any
    linear: dist.Distribution
    linear_scale: dist.Distribution | None
    mean: Any

    def __init__(
        self,
        order: int | None = None,
        scale: Any = dist.HalfNormal(1.0),
        linear: Any = None,
        *,
        linear_scale: dist.Distribution | None = None,
        mean: Any = None,
        penalty: AbstractPenalty | None = None,
    ):
        if order is not None and penalty is not None:
            raise TypeError(
                "`order` and `penalty` must not both be given: the order is that of the penalty."
            )
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
        penalty = Derivative(2 if order is None else order) if penalty is None else penalty
        self.penalty = check_penalty(penalty)
        self.scale = check_scale(scale)
        self.linear = check_coefficient(1.0 if linear is None else linear, "linear")
        self.linear_scale = (
            None if linear_scale is None else check_scale(linear_scale, "linear_scale")
        )
        self.mean = None if mean is None else _check_mean(mean)

    def bind(self, basis: AbstractBasis, measure: Any = None) -> GaussianSmooth:
        """With observations as measure, in coordinates for noise of the size of the scale."""
        margin = CurveMargin(basis, penalty=self.penalty, measure=basis.measure(measure))
        spectrum, mu, observed = margin.spectrum, margin.mu, np.asarray(margin.observed)
        mean = None
        if self.mean is not None:
            mean = _projection(self.mean, basis, mu)
            mean = mean - margin.constant @ (margin.constant.T @ (observed @ mean))
        smooth = GaussianSmooth(
            spectrum,
            margin.linear,
            mean,
            self.scale,
            self.linear,
            self.linear_scale,
            uninformed(spectrum.modes.shape[-1]),
            uninformed(margin.num_linear),
        )
        if mu.num_observations == 0:
            return smooth
        noise = typical_size(self.scale)
        return smooth.informed(mu.num_observations / noise**2 * observed)


class RandomWalkPrior(SmoothnessPrior):
    r"""Bayesian P-splines: `SmoothnessPrior` with the penalty `Differences(order)`.

    Args:
        order: of the differences of neighboring coefficients, from 1 to degree + 1 of the basis.
        scale: as in `SmoothnessPrior`: the root mean square of the penalized part, *not* the
            standard deviation of the increments.
        linear: as in `SmoothnessPrior`.
        linear_scale: as in `SmoothnessPrior`.
        mean: as in `SmoothnessPrior`.

    Example:
        >>> RandomWalkPrior(order=1, scale=0.5).penalty
        Differences(order=1, plain=False)

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
        super().__init__(
            None, scale, linear, linear_scale=linear_scale, mean=mean, penalty=Differences(order)
        )


def _check_mean(mean: Any) -> Any:
    if isinstance(mean, eqx.Module):
        return mean
    # A plain function is no leaf that JAX can take through `jit`; a Partial has none.
    return jax.tree_util.Partial(mean) if callable(mean) else float64_array(mean, "mean", ndim=1)


def _projection(mean: Any, basis: AbstractBasis, mu: Measure) -> np.ndarray:
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
    return np.linalg.solve(basis.gram(mu), basis.collocation(mu.points).T @ (mu.weights * values))


def check_smooth(smooth: Any, name: str) -> SmoothnessPrior:
    """The prior of a logarithm; first-order random walk if None."""
    if smooth is None:
        # First-order, so that without data the curve is the plainest of its shape.
        return RandomWalkPrior(order=1)
    if not isinstance(smooth, SmoothnessPrior):
        raise TypeError(
            f"`{name}` must be a smoothness prior, such as RandomWalkPrior(order=1); got "
            f"{smooth!r}."
        )
    return smooth
