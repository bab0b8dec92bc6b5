"""Gaussian smoothness priors in Karhunen-Loeve coordinates."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.infer.reparam import LocScaleReparam

from numpyro_splines.bases import AbstractBasis
from numpyro_splines.priors.base import AbstractPrior
from numpyro_splines.spectrum import Spectrum, karhunen_loeve
from numpyro_splines.validation import float64_array, integer_at_least


class Prepared(eqx.Module):
    """A spectrum with the centering of each of its modes.

    Attributes:
        spectrum: the Karhunen-Loeve decomposition.
        linear: coefficients of the unpenalized functions but the constant, which is left out: that
            centers f with respect to the measure. Shape (K, number of them).
        centering: in [0, 1], shape () or one per mode.
    """

    spectrum: Spectrum
    linear: Float[Array, "..."] | np.ndarray
    centering: Float[Array, "..."] | np.ndarray


class AbstractSmoothnessPrior(AbstractPrior):
    """A Gaussian smooth given by a penalty; subclasses say which."""

    order: eqx.AbstractVar[int]
    scale: eqx.AbstractVar[Any]
    linear: eqx.AbstractVar[Any]
    centering: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def penalty(self, basis: AbstractBasis) -> np.ndarray:
        """The penalty matrix on this basis."""

    def prepare(self, basis: AbstractBasis, measure: Any) -> Prepared:
        """See `AbstractPrior.prepare`."""
        mu = basis.measure(measure)
        null_space = basis.null_space(self.order)
        spectrum = karhunen_loeve(basis.gram(mu), self.penalty(basis), null_space)
        # The null space of some bases lacks the constant: constrained, shrunk, integrated ones.
        num_constant = basis.null_space(1).shape[-1]
        linear = np.asarray(spectrum.polynomials)[:, num_constant:]
        if self.centering is None:
            return Prepared(spectrum, linear, _informed_centering(spectrum, mu.num_observations))
        return Prepared(spectrum, linear, _check_centering(self.centering, spectrum))

    def sample_scale(self, site: Callable[[str], str]) -> Float[Array, "*batch"]:
        """Draw tau inside a model, or take it where it is fixed: all that is not Gaussian.

        Args:
            site: as in `AbstractPrior.sample`; site "scale".
        """
        scale = self.scale
        if isinstance(scale, dist.Distribution):
            scale = numpyro.sample(site("scale"), scale)
        return jnp.asarray(scale, dtype=jnp.result_type(float))

    def sampled_modes(self, prepared: Prepared) -> tuple[str, np.ndarray]:
        """The site that samplers see for the modes, and its centering.

        Returns:
            Its short name, "modes" or "modes_decentered", and the power of tau by which modes are
            divided there, shape () or one per mode.
        """
        power = 1.0 - np.asarray(prepared.centering)
        return ("modes_decentered" if np.any(power > 0.0) else "modes"), power

    def sample(
        self, prepared: Prepared, site: Callable[[str], str]
    ) -> Float[Array, "*batch num_coefficients"]:
        """See `AbstractPrior.sample`; sites "scale", "linear" and "modes"."""
        spectrum = prepared.spectrum
        scale = self.sample_scale(site)
        num_modes = spectrum.standard_deviations.shape[-1]
        modes = dist.Normal(jnp.zeros(num_modes), scale[..., None]).to_event(1)
        with numpyro.handlers.reparam(config={site("modes"): _reparam(prepared.centering)}):
            modes = numpyro.sample(site("modes"), modes)
        weighted = spectrum.modes * spectrum.standard_deviations
        coefficients = _combine(weighted, modes)
        num_linear = prepared.linear.shape[-1]
        if num_linear > 0:
            linear = self.linear.expand([num_linear]).to_event(1)
            linear = numpyro.sample(site("linear"), linear)
            coefficients = coefficients + _combine(prepared.linear, linear)
        return coefficients


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
        modes   ~ Normal(0, tau), one per    tau z_m
                  mode

    Args:
        order: of the penalized derivative, from 1 to the degree of the basis; 2 penalizes
            curvature.
        scale: a distribution of positive numbers, or a number to fix tau.
        linear: a univariate distribution for each beta_j, or a number s meaning Normal(0, s).
        centering: how `modes` is parametrized for samplers, with NumPyro's `LocScaleReparam`: 1
            samples tau z_m itself (centered; right where data are informative), 0 samples z_m
            (non-centered), or anything between; one number or one per mode. None chooses
            n sd_m^2 / (1 + n sd_m^2) with n the number of observations in the effect's measure:
            how much n observations with noise of the size of tau say about mode m. The prior is
            the same whatever the centering. To learn it under SVI, use 1 here and apply
            `numpyro.handlers.reparam(config={"f.modes": LocScaleReparam()})` to the model.

    Raises:
        TypeError: if `scale` or `linear` is neither a number nor a univariate distribution.
        ValueError: if the order is below 1, a number is not positive, the support of `scale`
            reaches below zero, or the centering lies outside [0, 1].

    Example:
        >>> import numpyro.distributions as dist
        >>> SmoothnessPrior(order=2, scale=dist.HalfNormal(1.0), linear=2.0).order
        2

    References:
        Wahba (1978); Sørbye and Rue (2014) on scaling intrinsic priors; Wood, Generalized Additive
        Models (2017), section 5.4.
    """

    order: int = eqx.field(static=True)
    scale: Any
    linear: dist.Distribution
    centering: Any

    def __init__(
        self,
        order: int = 2,
        scale: Any = dist.HalfNormal(1.0),
        linear: Any = 1.0,
        *,
        centering: Any = None,
    ):
        self.order = integer_at_least(order, 1, "order")
        self.scale = _check_scale(scale)
        self.linear = _check_linear(linear)
        self.centering = _check_unit_interval(centering)

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
        centering: as in `SmoothnessPrior`.

    Raises:
        TypeError: as `SmoothnessPrior`.
        ValueError: as `SmoothnessPrior`.

    Example:
        >>> RandomWalkPrior(order=1, scale=0.5).order
        1

    References:
        Lang and Brezger, Bayesian P-splines (2004); Eilers and Marx (1996).
    """

    order: int = eqx.field(static=True)
    scale: Any
    linear: dist.Distribution
    centering: Any

    def __init__(
        self,
        order: int = 2,
        scale: Any = dist.HalfNormal(1.0),
        linear: Any = 1.0,
        *,
        centering: Any = None,
    ):
        self.order = integer_at_least(order, 1, "order")
        self.scale = _check_scale(scale)
        self.linear = _check_linear(linear)
        self.centering = _check_unit_interval(centering)

    def penalty(self, basis: AbstractBasis) -> np.ndarray:
        """See `AbstractSmoothnessPrior.penalty`."""
        return basis.difference_penalty(self.order)


def _combine(columns: Any, weights: Any) -> Array:
    """columns @ weights over any batch, in the dtype of the weights."""
    return jnp.einsum("km,...m->...k", jnp.asarray(columns, weights.dtype), weights)


def _informed_centering(spectrum: Spectrum, num_observations: float) -> np.ndarray:
    information = num_observations * np.asarray(spectrum.standard_deviations) ** 2
    return information / (1.0 + information)


def _reparam(centering: Any) -> LocScaleReparam:
    # Plain floats let NumPyro skip the transformation at both ends of the range.
    if isinstance(centering, np.ndarray) and np.ptp(centering) == 0.0:
        centering = float(centering.flat[0])
    return LocScaleReparam(centering)


def _check_centering(centering: np.ndarray, spectrum: Spectrum) -> np.ndarray:
    num_modes = spectrum.standard_deviations.shape[-1]
    if centering.shape not in ((), (num_modes,)):
        raise ValueError(
            f"`centering` must be one number or one per mode, shape ({num_modes},); "
            f"got shape {centering.shape}."
        )
    return centering


def _check_unit_interval(centering: Any) -> np.ndarray | None:
    if centering is None:
        return None
    centering = float64_array(centering, "centering")
    if np.any((centering < 0.0) | (centering > 1.0)):
        raise ValueError(f"`centering` must lie in [0, 1]; got {centering}.")
    return centering


def _check_scale(scale: Any) -> Any:
    if isinstance(scale, dist.Distribution):
        _check_univariate(scale, "scale")
        support: Any = scale.support
        if bool(jnp.any(support.check(jnp.asarray(-1e-6)))):
            raise ValueError(
                "`scale` is a standard deviation, so its distribution must be of positive numbers; "
                f"got {type(scale).__name__}. Use for example HalfNormal(1.0)."
            )
        return scale
    return _check_positive_number(scale, "scale")


def _check_linear(linear: Any) -> dist.Distribution:
    if isinstance(linear, dist.Distribution):
        _check_univariate(linear, "linear")
        return linear
    return dist.Normal(0.0, float(_check_positive_number(linear, "linear")))


def _check_univariate(distribution: dist.Distribution, name: str) -> None:
    if distribution.event_shape != () or distribution.batch_shape != ():
        raise TypeError(
            f"`{name}` must be a univariate distribution without batch dimensions; got "
            f"{type(distribution).__name__} of shape {distribution.shape()}. Plates around "
            "effect.sample() add the batch."
        )


def _check_positive_number(value: Any, name: str) -> np.ndarray:
    value = float64_array(value, name)
    if value.shape != () or not value > 0.0:
        raise ValueError(
            f"`{name}` must be a positive number or a distribution; got {value}. It is a standard "
            "deviation in the units of f."
        )
    return value
