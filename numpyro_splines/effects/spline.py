"""The effect of one input: a random curve with a name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.bases import AbstractBasis
from numpyro_splines.designs import AbstractPoints
from numpyro_splines.effects.base import AbstractEffect, check_name
from numpyro_splines.functions import Curve
from numpyro_splines.priors import AbstractPrior, AbstractSmooth, SmoothnessPrior
from numpyro_splines.priors.gaussian import GaussianSmooth
from numpyro_splines.priors.pilot import check_known, informed_by


class SplineEffect(AbstractEffect):
    """A smooth function f with a prior, to be used inside any NumPyro model.

    The reference measure, and with it the prior of f, is frozen when the effect is made: new data
    never change it. With the smoothness priors f is centered, int f d mu = 0, so the model needs
    an intercept of its own.

    Sites: those of the prior (`<name>.scale`, `<name>.linear`, `<name>.modes`) and the
    deterministic `<name>.coefficients`.

    With smoothness priors samplers see `<name>.modes_coordinates` in place of `modes`: the modes
    turned so that the data inform them one by one, shifted and scaled by what the data say of each,
    xi = (V' modes - m) / s with s = (1 / scale^2 + J)^(-1/2) (see `priors.coordinates`). So nothing
    is left of the funnel that scales and modes form, whatever the size of the data. The prior is
    exact whatever is known; what is known is `measure` and one of `noise`, `response` and, after a
    joint fit, `fit.adapted(effect)`.

    Args:
        name: prefix of the sites.
        basis: the basis.
        prior: prior of the coefficients; `SmoothnessPrior()` if omitted.
        measure: the reference measure mu: an array of observed (or noisily observed) x, a pair
            (x, weights), or None for uniform on the domain. Give what you have: it sets what the
            scale means and makes the geometry easy for NUTS. NaN does not count; what
            lies outside the domain counts at its nearer end, with a warning.
        noise: standard deviation of what is observed of f at each x of `measure`, in the units of
            f: right within a factor of three is good. `np.std(y)` for weak signals; for counts and
            binary data 1 / sqrt(mean weight), such as 1 / sqrt(mean(y)) under a logarithmic link
            and 2 for a logistic one; times sqrt(G) where a curve is drawn for each of G groups that
            share these x; `np.inf` if nothing is known. The size of the prior's scale if omitted.
            For the sampler only: the prior does not change.
        response: y at the x of `measure`, of a shape, instead of `noise`: a fit of an intercept and
            this effect alone by restricted maximum likelihood says how large the noise is and where
            f lies. For the sampler only.

    Raises:
        TypeError: if an argument is of the wrong kind, or `noise` or `response` is given with a
            prior that is not Gaussian given its scale.
        ValueError: if the name is empty or contains "/", which netCDF refuses in names, or most of
            the measure lies outside the domain; if `noise` is not positive, `response` has another
            shape than `measure`, both are given, or either is without `measure`.

    Example:
        >>> import jax, numpyro, numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)))
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     curve = f.sample()
        >>> curve(0.5).shape, curve.derivative()([0.2, 0.4]).shape
        ((), (2,))
    """

    name: str = eqx.field(static=True)
    basis: AbstractBasis
    prior: AbstractPrior
    smooth: AbstractSmooth

    def __init__(
        self,
        name: str,
        basis: AbstractBasis,
        prior: AbstractPrior | None = None,
        *,
        measure: Any = None,
        noise: float | None = None,
        response: Any = None,
    ):
        prior = SmoothnessPrior() if prior is None else prior
        check_name(name)
        for value, kind, label in (
            (basis, AbstractBasis, "basis"),
            (prior, AbstractPrior, "prior"),
        ):
            if not isinstance(value, kind):
                raise TypeError(
                    f"`{label}` must be an object such as "
                    f"numpyro_splines.{'BSplineBasis' if label == 'basis' else 'SmoothnessPrior'}"
                    f"(...); got {value!r}."
                )
        self.name, self.basis, self.prior = name, basis, prior
        if noise is None and response is None:
            self.smooth = prior.bind(basis, measure)
            return
        # Looked at once, so that a warning about it comes once.
        mu = None if measure is None else basis.measure(measure)
        known = mu if response is None else measure
        self.smooth = _known(prior.bind(basis, mu), basis, known, noise, response)

    @property
    def coefficient_shape(self) -> tuple[int, ...]:
        return (self.basis.num_coefficients,)

    def function(self, coefficients: ArrayLike) -> Any:
        return self.basis.curve(coefficients)

    def at(self, *inputs: ArrayLike) -> AbstractPoints:
        return self.basis.at(*inputs)

    def __call__(self, x: ArrayLike) -> Float[Array, "*points"]:
        """Short for `effect.sample()(x)`: draw the one curve of the model, evaluate it at x.

        Args:
            x: points of any shape; may be random.

        Returns:
            Values, the shape of x.

        Raises:
            ValueError: inside a plate, where it would draw one curve per member.
        """
        curve = self.sample()
        if curve.batch_shape != ():
            raise ValueError(
                f"`{self.name}(x)` inside a plate would draw {math.prod(curve.batch_shape)} "
                f"curves, one for each member. Call `curve = {self.name}.sample()` before the "
                "plate over observations and `curve(x)` inside it; for one curve per group call "
                "sample() in the plate over groups and use curve.pick(group)(x)."
            )
        return curve(x)

    def curve(self, draws: Mapping[str, Any], *, prefix: str = "") -> Curve:
        """The posterior (or prior) curves of draws.

        Args:
            draws: arrays by site name, for example `mcmc.get_samples(group_by_chain=True)`: either
                with `<name>.coefficients`, or with the effect's own sample sites, as the guide of
                an SVI returns them. Any leading axes (chain, draw, ...).
            prefix: what a `numpyro.handlers.scope` around the effect put before the site names,
                divider included ("season/").

        Returns:
            A curve with the leading axes of the draws (then those of the plates around the effect)
            as batch shape.

        Raises:
            KeyError: if neither is there.
            ValueError: if the shapes do not fit the basis or each other.
        """
        return self.drawn(draws, prefix=prefix)


def _known(
    smooth: AbstractSmooth, basis: AbstractBasis, measure: Any, noise: Any, response: Any
) -> GaussianSmooth:
    """The smooth in coordinates for this noise or these responses."""
    name = "noise" if response is None else "response"
    check_known(noise, response)
    if not isinstance(smooth, GaussianSmooth):
        raise TypeError(
            f"`{name}` is for priors that are Gaussian given their scale, SmoothnessPrior and "
            f"RandomWalkPrior; got {type(smooth).__name__}. Leave it out."
        )
    if measure is None:
        raise ValueError(
            f"`{name}` must come with `measure`, the x at which f is observed; got none. Add "
            "measure=x."
        )
    return informed_by(smooth, basis, measure, noise, response)
