"""What every effect offers: named sites, draws inside models, functions from draws."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro
from jaxtyping import Array, ArrayLike, Float
from numpyro.infer.reparam import Reparam

from numpyro_splines.arguments import mapping, text
from numpyro_splines.priors import AbstractSmooth
from numpyro_splines.validation import float_input


class AbstractEffect(eqx.Module):
    """A random function with a name, which prefixes its sites.

    Attributes:
        name: prefix of the sites.
        smooth: the prior of its coefficients, ready to be sampled.
    """

    name: eqx.AbstractVar[str]
    smooth: eqx.AbstractVar[AbstractSmooth]

    @property
    @abc.abstractmethod
    def coefficient_shape(self) -> tuple[int, ...]:
        """Shape of the coefficients of one function, at site `<name>.coefficients`."""

    @abc.abstractmethod
    def at(self, *inputs: ArrayLike) -> Any:
        """Prepare inputs that are known in advance, for functions of this effect.

        Args:
            *inputs: known arrays, one for each input; see `AbstractBasis.at`.
        """

    @abc.abstractmethod
    def function(self, coefficients: ArrayLike) -> Any:
        """The function that has these coefficients.

        Args:
            coefficients: shape (*batch, *coefficient_shape).

        Returns:
            A curve or surface with that batch shape.
        """

    def site(self, name: str) -> str:
        """Full name of one of the effect's sites: `<name of the effect>.<name>`.

        Args:
            name: short name, such as "scale".

        Returns:
            The name in traces and draws.
        """
        return f"{self.name}.{name}"

    def sample(self, **given: ArrayLike) -> Any:
        """Draw the coefficients inside a model and return the function.

        Inside plates it draws one function for each of their members: call it *outside* the plate
        over observations, inside one over groups.

        Args:
            **given: values for sites of the prior, by short name, in place of drawing them here:
                `f.sample(scale=tau)` and `g.sample(scale=tau)` share one scale drawn by the model.
                They have the shape of what the prior draws there, and are recorded as
                deterministic sites; the prior's own distribution for them is not used.

        Returns:
            A curve or surface with the shape of the surrounding plates as batch shape.

        Raises:
            ValueError: if the prior draws no site of a given name, or values put in place of its
                sites (those of `Predictive`, of a guide) are for another number of functions than
                the surrounding plates have members.

        Example:
            >>> import numpyro, numpyro.distributions as dist, numpyro_splines as ns
            >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 10)))
            >>> with numpyro.handlers.seed(rng_seed=0):
            ...     curve = f.sample(scale=numpyro.sample("tau", dist.HalfNormal(1.0)))
        """
        with numpyro.handlers.trace() as trace:
            try:
                drawn = self._given(given) if given else self.smooth.sample(self.site)
            except (TypeError, ValueError):
                # Shapes of other groups, if the sites drawn so far have them.
                for site in trace.values():
                    if site["type"] == "sample":
                        self._check_members(site, site["fn"].event_dim)
                raise
            coefficients = numpyro.deterministic(self.site("coefficients"), drawn)
        if any(site["type"] == "sample" for site in trace.values()):  # else one function for all
            # The last site: in a scope it has another name.
            self._check_members([*trace.values()][-1], len(self.coefficient_shape))
        return self.function(coefficients)

    def _check_members(self, site: Mapping[str, Any], event_dim: int) -> None:
        """One function for each member of the plates: NumPyro lets values of other groups pass."""
        shape = jnp.shape(site["value"])
        batch = shape[: len(shape) - event_dim]
        for frame in site["cond_indep_stack"]:
            num = batch[frame.dim] if len(batch) >= -frame.dim else 1
            if num != frame.size:
                raise ValueError(
                    f"`{self.name}.sample()` must have one function for each member of the plate "
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

    def drawn(self, draws: Mapping[str, Any], *, prefix: str = "") -> Any:
        """The functions of draws, curves or surfaces: see `SplineEffect.curve`.

        Args:
            draws: as there.
            prefix: as there.

        Returns:
            Functions with the leading axes of the draws as batch shape.
        """
        prefix, draws = text(prefix, "prefix"), mapping(draws, "draws")
        draws = {k.removeprefix(prefix): v for k, v in draws.items() if k.startswith(prefix)}
        site = self.site("coefficients")
        if site in draws:
            return self.function(float_input(draws[site], f"draws[{site!r}]"))
        return self.function(self._coefficients(draws))

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
        return coefficients.reshape(*batch, *coefficients.shape[1:])


def check_name(name: Any) -> None:
    """Refuse what cannot be the name of an effect."""
    if not isinstance(name, str):
        raise TypeError(f"`name` must be a string; got {name!r}.")
    if not name or "/" in name:
        raise ValueError(f"`name` must be non-empty and without '/'; got {name!r}.")


class _Given(Reparam):
    """A value in place of drawing it: the site becomes deterministic, its prior is not used."""

    def __init__(self, value: Array):
        self.value, self.used = value, False

    def __call__(self, name: str, fn: Any, obs: Any) -> tuple[None, Array]:
        self.used = True
        return None, self.value
