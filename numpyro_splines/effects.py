"""Effects: named smooth functions inside NumPyro models."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro
from jaxtyping import Array, ArrayLike, Float
from numpyro.infer.reparam import Reparam

from numpyro_splines.bases import AbstractBasis
from numpyro_splines.functions import Curve
from numpyro_splines.priors import AbstractPrior, AbstractSmooth, SmoothnessPrior
from numpyro_splines.priors.gaussian import GaussianSmooth
from numpyro_splines.priors.pilot import informed_by
from numpyro_splines.validation import float_input


class SplineEffect(eqx.Module):
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
        if not isinstance(name, str):
            raise TypeError(f"`name` must be a string; got {name!r}.")
        if not name or "/" in name:
            raise ValueError(f"`name` must be non-empty and without '/'; got {name!r}.")
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

    def site(self, name: str) -> str:
        """Full name of one of the effect's sites: `<name of the effect>.<name>`.

        Args:
            name: short name, such as "scale".

        Returns:
            The name in traces and draws.
        """
        return f"{self.name}.{name}"

    def sample(self, **given: ArrayLike) -> Curve:
        """Draw the coefficients inside a model and return the curve.

        Inside plates it draws one curve for each of their members: call it *outside* the plate over
        observations, inside one over groups.

        Args:
            **given: values for sites of the prior, by short name, in place of drawing them here:
                `f.sample(scale=tau)` and `g.sample(scale=tau)` share one scale drawn by the model.
                They have the shape of what the prior draws there, and are recorded as
                deterministic sites; the prior's own distribution for them is not used.

        Returns:
            A curve with the shape of the surrounding plates as batch shape.

        Raises:
            ValueError: if the prior draws no site of a given name, or values put in place of its
                sites (those of `Predictive`, of a guide) are for another number of curves than the
                surrounding plates have members.

        Example:
            >>> import numpyro, numpyro.distributions as dist, numpyro_splines as ns
            >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)))
            >>> with numpyro.handlers.seed(rng_seed=0):
            ...     curve = f.sample(scale=numpyro.sample("tau", dist.HalfNormal(1.0)))
        """
        with numpyro.handlers.trace() as trace:
            drawn = self._given(given) if given else self.smooth.sample(self.site)
            coefficients = numpyro.deterministic(self.site("coefficients"), drawn)
        self._check_members(coefficients, trace)
        return self.basis.curve(coefficients)

    def _check_members(self, coefficients: Any, trace: Mapping[str, Any]) -> None:
        """One curve for each member of the plates: NumPyro lets values of other groups pass."""
        if not any(site["type"] == "sample" for site in trace.values()):
            return  # Nothing was drawn: one curve for all.
        batch = jnp.shape(coefficients)[:-1]
        # The last site: in a scope it has another name.
        for frame in [*trace.values()][-1]["cond_indep_stack"]:
            num = batch[frame.dim] if len(batch) >= -frame.dim else 1
            if num != frame.size:
                raise ValueError(
                    f"`{self.name}.sample()` must have one curve for each member of the plate "
                    f"{frame.name!r} of size {frame.size}; the values given for its sites hold "
                    f"{num}. Draws belong to the groups of the fit. For new groups draw afresh, "
                    "without the sites of this effect: {k: v for k, v in draws.items() if not "
                    f"k.startswith('{self.name}.')}}."
                )

    def _given(self, given: Mapping[str, ArrayLike]) -> Float[Array, "..."]:
        """Coefficients from the prior with some of its sites given."""
        values = {self.site(name): float_input(value, name) for name, value in given.items()}
        config: dict[str, Any] = {site: _Given(value) for site, value in values.items()}
        with numpyro.handlers.trace() as trace, numpyro.handlers.reparam(config=config):
            coefficients = self.smooth.sample(self.site)
        if unknown := [name for name in given if not config[self.site(name)].used]:
            drawn = [name for name, site in trace.items() if site["type"] == "sample"]
            raise ValueError(
                f"`{self.name}.sample(...)` may be given only what its prior draws, {drawn}; got "
                f"{unknown}. A scale that is fixed by a number is not drawn."
            )
        return coefficients

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
        draws = {k.removeprefix(prefix): v for k, v in draws.items() if k.startswith(prefix)}
        site = self.site("coefficients")
        if site in draws:
            return self.basis.curve(float_input(draws[site], f"draws[{site!r}]"))
        return self.basis.curve(self._coefficients(draws))

    def _coefficients(self, draws: Mapping[str, Any]) -> Float[Array, "..."]:
        """Coefficients from draws of the sample sites alone, by running `sample` on each draw."""
        seeded = numpyro.handlers.seed(self.sample, rng_seed=0)
        trace = numpyro.handlers.trace(seeded).get_trace()
        shapes = {k: v["value"].shape for k, v in trace.items() if v["type"] == "sample"}
        missing = [name for name in shapes if name not in draws]
        if missing:
            raise KeyError(
                f"`draws` must hold {self.site('coefficients')} or all of {list(shapes)}; "
                f"{missing} are missing among {sorted(draws)}."
            )
        own = {name: jnp.asarray(draws[name]) for name in shapes}
        leading = {own[k].shape[: own[k].ndim - len(shape)] for k, shape in shapes.items()}
        fitting = all(own[k].shape[own[k].ndim - len(s) :] == s for k, s in shapes.items())
        if len(leading) != 1 or not fitting:
            raise ValueError(
                f"`draws` must have common leading axes before the shapes {shapes}; got "
                f"{ {k: v.shape for k, v in own.items()} }."
            )
        (batch,) = leading
        flat = {k: v.reshape(math.prod(batch), *shapes[k]) for k, v in own.items()}

        def one(values: dict[str, Array]) -> Array:
            with numpyro.handlers.trace() as inner, numpyro.handlers.substitute(data=values):
                self.sample()
            return inner[self.site("coefficients")]["value"]

        coefficients = jax.vmap(one)(flat)
        return coefficients.reshape(*batch, self.basis.num_coefficients)


class _Given(Reparam):
    """A value in place of drawing it: the site becomes deterministic, its prior is not used."""

    def __init__(self, value: Array):
        self.value, self.used = value, False

    def __call__(self, name: str, fn: Any, obs: Any) -> tuple[None, Array]:
        self.used = True
        return None, self.value


def _known(
    smooth: AbstractSmooth, basis: AbstractBasis, measure: Any, noise: Any, response: Any
) -> GaussianSmooth:
    """The smooth in coordinates for this noise or these responses."""
    name = "noise" if response is None else "response"
    if noise is not None and response is not None:
        raise ValueError(
            "`noise` and `response` must not both be given: a fit to the responses says how large "
            "the noise is. Leave out `noise`."
        )
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
