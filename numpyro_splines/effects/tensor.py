"""The effect of several inputs: a random surface, or curves by group, with a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike

from numpyro_splines.arguments import kinds_of
from numpyro_splines.components import AbstractComponents, FunctionalAnova
from numpyro_splines.effects.base import AbstractEffect, check_name
from numpyro_splines.effects.levels import levels_apart, new_level
from numpyro_splines.functions import BasisAxis, Curve, Surface, SurfacePoints
from numpyro_splines.margins import AbstractMargin, CurveMargin, GroupMargin
from numpyro_splines.priors.assembly import assemble
from numpyro_splines.priors.pilot import check_known, fitted_to, noise_size
from numpyro_splines.priors.rows import information
from numpyro_splines.priors.sizes import typical_size
from numpyro_splines.priors.tensor import TensorSmooth, raw_of_products


class TensorEffect(AbstractEffect):
    """A smooth function of several inputs with a prior, to be used inside any NumPyro model.

    Any input may be a random variable of the model. The margins are named by keyword, and so are
    the inputs of the surface:

        f = ns.TensorEffect("f", x=ns.CurveMargin(bx, measure=x), z=ns.CurveMargin(bz, measure=z))
        surface = f.sample()
        mu = intercept + surface(x, z)

    By default f is a sum of main effects and interactions, each centered and with a scale of its
    own in the units of f (see `numpyro_splines.components`); it has no constant, so the model needs
    an intercept.

    Sites: for each component `<name>.<component>.scale` and `.modes` (and `.anisotropy` for the
    rule `Sum`), `<name>.linear` for the unpenalized functions, and the deterministic
    `<name>.coefficients`, those of the product of the raw bases. As with `SplineEffect`, samplers
    see `modes_coordinates` in place of modes: the prior is exact, whatever is known of data.

    Args:
        name: prefix of the sites.
        components: what f is the sum of; `FunctionalAnova()` if omitted.
        scales: by component, the prior of its scale, or a number that fixes it;
            HalfNormal(1.0), and HalfNormal(0.5) for interactions, if omitted.
        linear: prior of the coefficients of the unpenalized functions, or a number s for
            Normal(0, s).
        noise: standard deviation of what is observed of f, as in `SplineEffect`; for the sampler
            only. The largest typical size of a scale if omitted.
        response: y at the rows of the margins, as in `SplineEffect`, instead of `noise`: a fit of
            an intercept and this effect alone by restricted maximum likelihood. For the sampler
            only. Takes a moment: the cube of the number of coefficients, some fifty times.
        **margins: `CurveMargin`, `GroupMargin`, `GraphMargin` or `SurfaceMargin` by name. Margins
            that tell equally many observations are taken to see the same rows of one data set.

    Attributes:
        names: of the margins.
        axes: of the surfaces.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if there is no margin, a name is empty or has one of ".:/", `scales` names what
            is no component, `noise` is not positive or comes without any observations, `response`
            holds other rows than the margins, or both are given.

    Example:
        >>> import jax, numpyro, numpyro_splines as ns
        >>> basis = ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 4))
        >>> f = ns.TensorEffect("f", x=ns.CurveMargin(basis), z=ns.CurveMargin(basis))
        >>> with numpyro.handlers.seed(rng_seed=0), numpyro.handlers.trace() as trace:
        ...     surface = f.sample()
        >>> surface(0.5, 0.1).shape, surface.component("x")(0.5).shape
        ((), ())
        >>> [name for name in trace if name.endswith("scale")]
        ['f.x.scale', 'f.z.scale', 'f.x:z.scale']
    """

    name: str = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    smooth: TensorSmooth
    components: AbstractComponents
    axes: tuple[Any, ...]

    def __init__(
        self,
        name: str,
        *,
        components: AbstractComponents | None = None,
        scales: Mapping[str, Any] | None = None,
        linear: Any = 1.0,
        noise: float | None = None,
        response: Any = None,
        **margins: AbstractMargin,
    ):
        components = FunctionalAnova() if components is None else components
        _check(name, components, margins)
        self.name, self.names, self.components = name, tuple(margins), components
        smooth = assemble(margins, components, scales, linear)
        self.smooth = _informed(smooth, noise, response)  # pyright: ignore
        axes = [margin.axes(_inputs(name, margin)) for name, margin in margins.items()]
        self.axes = tuple(axis for own in axes for axis in own)

    @property
    def margins(self) -> dict[str, AbstractMargin]:
        """The margins by name."""
        return dict(zip(self.names, self.smooth.margins, strict=True))

    def holds(self, margin: str) -> bool:
        """Whether f holds a main effect of this margin, with modes.

        Args:
            margin: its name.

        Returns:
            False where another margin has no constant, or no component has the modes alone.
        """
        shape = tuple(m.num_functions for m in self.smooth.margins)
        index = [0] * len(shape)
        d = self.names.index(margin)
        index[d] = int(self.smooth.margins[d].part("modes")[0])
        others = [m for e, m in enumerate(self.smooth.margins) if e != d]
        if any(m.num_constant == 0 for m in others):
            return False
        place = int(np.ravel_multi_index(tuple(index), shape))
        return bool(self.smooth.position[place] < self.smooth.num_coefficients)

    @property
    def coefficient_shape(self) -> tuple[int, ...]:
        return tuple(num for margin in self.smooth.margins for num in margin.shape)

    def function(self, coefficients: ArrayLike) -> Any:
        return _function(self.smooth.margins, self.axes, coefficients)

    def at(self, *inputs: ArrayLike) -> Any:
        margins = self.smooth.margins
        if len(margins) == 1 and isinstance(margins[0], CurveMargin):
            return margins[0].basis.at(*inputs)
        if any(isinstance(axis, BasisAxis) for axis in self.axes):
            return jax.tree_util.Partial(_evaluated, inputs)
        return SurfacePoints.of(self.axes, *inputs)

    def __call__(self, *inputs: ArrayLike, **named: ArrayLike) -> Any:
        """Short for `effect.sample()(...)`: draw the one surface of the model, evaluate it.

        Raises:
            ValueError: inside a plate, where it would draw one surface per member.
        """
        surface = self.sample()
        if surface.batch_shape != ():
            raise ValueError(
                f"`{self.name}(...)` inside a plate would draw one surface for each member. Call "
                f"`surface = {self.name}.sample()` before the plate over observations; for groups "
                "give the effect a GroupMargin."
            )
        return surface(*inputs, **named)

    def surface(self, draws: Mapping[str, Any], *, prefix: str = "") -> Any:
        """The posterior (or prior) surfaces of draws.

        Args:
            draws: arrays by site name, with `<name>.coefficients` or the effect's own sample sites;
                any leading axes (chain, draw, ...).
            prefix: what a `numpyro.handlers.scope` around the effect put before the site names.

        Returns:
            A surface (a curve for one numeric margin) with the leading axes of the draws as batch
            shape.

        Raises:
            KeyError: if neither is there.
            ValueError: if the shapes do not fit.
        """
        return self.drawn(draws, prefix=prefix)

    def population(
        self, key: Array, draws: Mapping[str, Any], *, margin: str | None = None, prefix: str = ""
    ) -> Any:
        """Draws of the function of the population that levels come from, exactly.

        The levels seen tell their average, b + mean(u); given it, and the scales,
        b ~ Normal(omega average, omega tau_u^2 / G) with omega = tau_b^2 / (tau_b^2 + tau_u^2 / G),
        coefficient by coefficient (of correlated levels and lines with matrices in place of
        variances). Like f it has no intercept: add that of the model, before any link. What the
        intercept stands for, the level of the average, is taken as known from data alone: the
        population deviates from it by Normal(0, tau_u^2 / G), which is included.

        Args:
            key: random key.
            draws: arrays by site name: `<name>.coefficients` and the scales.
            margin: name of the group margin, where there are several.
            prefix: as in `surface`.

        Returns:
            The function of the other inputs with the leading axes of the draws as batch shape; an
            array of numbers where there are none.

        Raises:
            KeyError: if a site is missing.
            ValueError: if the margin is no population of levels.
        """
        coefficients, values, position = self._given_levels(draws, margin, prefix)
        own, _ = levels_apart(key, self.smooth, coefficients, values, position)
        return self._without(position, own)

    def new_levels(
        self,
        key: Array,
        draws: Mapping[str, Any],
        num: int,
        *,
        margin: str | None = None,
        prefix: str = "",
    ) -> Any:
        """Draws of the function for levels that were not seen: b + u with a new u for each.

        Like f these are without the intercept of the model; see `population`.

        Args:
            key: random key.
            draws: as in `population`.
            num: of new levels.
            margin: as in `population`.
            prefix: as in `surface`.

        Returns:
            As `population`, with an axis of the new levels behind those of the draws.
        """
        first, second = jax.random.split(key)
        coefficients, values, position = self._given_levels(draws, margin, prefix)
        apart = levels_apart(first, self.smooth, coefficients, values, position)
        new = new_level(second, self.smooth, values, position, *apart, num)
        return self._without(position, new)

    def _given_levels(
        self, draws: Mapping[str, Any], margin: str | None, prefix: str
    ) -> tuple[np.ndarray, dict[str, np.ndarray], int]:
        """Coefficients, hyperparameters and the position of the margin of levels."""
        position = self.names.index(self.population_margin(margin))
        draws = {k.removeprefix(prefix): v for k, v in draws.items() if k.startswith(prefix)}
        values: dict[str, Any] = {}
        for name in self.smooth.hyperparameter_names:
            prior = self.smooth.scale_priors.get(name)
            if prior is None or isinstance(prior, dist.Distribution):
                if self.site(name) not in draws:
                    raise KeyError(
                        f"`draws` must hold the scales of {self.name!r}; {self.site(name)} is "
                        f"missing among {sorted(draws)}."
                    )
                prior = draws[self.site(name)]
            values[name] = np.asarray(prior)
        coefficients = np.asarray(self.surface(draws).coefficients)
        return coefficients, values, position

    def population_margin(self, margin: str | None = None) -> str:
        """Name of the margin whose levels are a sample of a population.

        Args:
            margin: the name, which is checked; may be omitted where there is one such margin.

        Returns:
            The name.

        Raises:
            ValueError: if it is of no such margin, or there are several.
        """
        own = [
            name
            for name, m in self.margins.items()
            if isinstance(m, GroupMargin) and m.kind == "population"
        ]
        if margin is None and len(own) == 1:
            margin = own[0]
        if margin not in own:
            raise ValueError(
                f'`margin` must name a GroupMargin of the kind "population", one of {own}; got '
                f"{margin!r}."
            )
        return margin

    def _without(self, position: int, products: Any) -> Any:
        """The function of the other margins, from coefficients of products of their functions."""
        margins = tuple(m for d, m in enumerate(self.smooth.margins) if d != position)
        if not margins:
            return products
        inputs = [name for name, m in self.margins.items() for _ in m.shape]
        axes = tuple(a for a, n in zip(self.axes, inputs, strict=True) if n != self.names[position])
        return _function(margins, axes, raw_of_products(margins, products))


def _function(margins: tuple[AbstractMargin, ...], axes: tuple[Any, ...], values: Any) -> Any:
    """The curve of one numeric margin, else a surface."""
    if len(margins) == 1 and isinstance(margins[0], CurveMargin):
        curve: Curve = margins[0].basis.curve(values)
        return curve
    return Surface(values, axes)


def _evaluated(inputs: Any, surface: Any) -> Any:
    return surface(*inputs)


def _inputs(name: str, margin: AbstractMargin) -> tuple[str, ...]:
    """Names of the inputs of a margin: its own, numbered if there are several."""
    if margin.num_inputs == 1:
        return (name,)
    return tuple(f"{name}_{i + 1}" for i in range(margin.num_inputs))


def _check(name: Any, components: Any, margins: Mapping[str, Any]) -> None:
    check_name(name)
    if not isinstance(components, AbstractComponents):
        raise TypeError(
            "`components` must be an object of numpyro_splines.components, such as FullTensor(); "
            f"got {components!r}."
        )
    if not margins:
        raise ValueError(
            "The effect must have at least one margin by keyword, such as x=CurveMargin(basis)."
        )
    for key, margin in margins.items():
        if not isinstance(margin, AbstractMargin):
            raise TypeError(
                f"`{key}` must be a margin, such as CurveMargin(basis, measure=x) or "
                f"GroupMargin(labels); got {kinds_of(margin)}."
            )
        if not key or any(c in key for c in ".:/"):
            raise ValueError(f"Names of margins must be without '.', ':' and '/'; got {key!r}.")


def _informed(smooth: TensorSmooth, noise: float | None, response: Any) -> TensorSmooth:
    """The smooth in coordinates for what its margins have observed."""
    if response is not None:
        check_known(noise, response)
        return fitted_to(smooth, response)
    size = None if noise is None else noise_size(noise)
    alone = smooth.margins[0] if len(smooth.margins) == 1 else None
    seen = information(smooth.margins) if alone is None else np.asarray(alone.observed)
    if seen is None or (alone is not None and alone.num_observations == 0.0):
        if noise is not None:
            raise ValueError(
                "`noise` must come with margins that have observations, such as "
                "CurveMargin(basis, measure=x); none has any."
            )
        return smooth
    if size == np.inf:
        return smooth
    if size is None:
        size = max(typical_size(prior) for prior in smooth.scale_priors.values())
    if alone is not None:
        return smooth.informed_alone(alone.num_observations / size**2 * seen)
    return smooth.informed(seen / size**2)
