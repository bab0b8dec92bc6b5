"""What an additive predictor is made of: blocks of coefficients and checked terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from numpyro_splines.effects import AbstractEffect, TensorEffect
from numpyro_splines.ops.arrays import array_module
from numpyro_splines.priors.coordinates import Coordinates
from numpyro_splines.priors.sections import AbstractGaussianSmooth, component_of
from numpyro_splines.regression.contrasts import AbstractContrasts
from numpyro_splines.validation import float64_array, float_input, is_traced

# What the offset is called among the terms.
OFFSET = "offset"


class Block(NamedTuple):
    """Where the coefficients of one site lie in the vector of all coefficients.

    Attributes:
        site: name of the site.
        start: first entry.
        stop: one past the last entry.
        scalar: whether the site holds a number rather than a vector.
    """

    site: str
    start: int
    stop: int
    scalar: bool = False


class Own(NamedTuple):
    """A section of an effect in the vector of all coefficients.

    Attributes:
        effect: position of the effect.
        site: short name of its site.
        start: first entry.
        stop: one past the last.
        known: whether its prior is known; else its standard deviations are of hyperparameters.
        common: whether all have the same standard deviation.
    """

    effect: int
    site: str
    start: int
    stop: int
    known: bool
    common: bool


def sections_of(effects: tuple[AbstractEffect, ...], start: int) -> tuple[Own, ...]:
    """Sections of all effects, those with known priors first.

    Args:
        effects: the effects.
        start: where the first begins.
    """
    every = [(j, s) for j, effect in enumerate(effects) for s in gaussian(effect).sections]
    result = []
    for effect, section in sorted(every, key=lambda pair: pair[1].prior is None):
        stop, known = start + section.size, section.prior is not None
        result.append(Own(effect, section.site, start, stop, known, section.common))
        start = stop
    return tuple(result)


def terms_of(effects: tuple[AbstractEffect, ...], owned: tuple[Own, ...]) -> dict[str, np.ndarray]:
    """Where the coefficients of each effect lie, and of each component of those of several inputs.

    Args:
        effects: the effects.
        owned: their sections.

    Returns:
        By name, "f" and "f.x:z".
    """
    terms: dict[str, np.ndarray] = {}
    for position, effect in enumerate(effects):
        parts = {
            effect.site(component_of(own.site)): np.arange(own.start, own.stop)
            for own in owned
            if own.effect == position
        }
        terms[effect.name] = np.concatenate(list(parts.values()))
        if isinstance(effect, TensorEffect):
            terms |= parts
    return terms


def layout(
    effects: tuple[AbstractEffect, ...],
    owned: tuple[Own, ...],
    names: tuple[str, ...],
    sizes: tuple[int, ...],
    scalars: tuple[bool, ...],
) -> tuple[Block, ...]:
    """The blocks of all coefficients: named terms, then sections of the effects."""
    parts = list(zip(names, sizes, scalars, strict=True))
    parts += [(effects[o.effect].site(o.site), o.stop - o.start, False) for o in owned]
    terms = [*names, *(effect.name for effect in effects)]
    sites = [site for site, _, _ in parts]
    if len({*terms, OFFSET}) <= len(terms) or len(set(sites)) < len(sites):
        raise ValueError(
            "Names of effects and `linear` terms must differ, from each other and from "
            f"{OFFSET!r}; got {terms} with sites {sites}."
        )
    stops = np.cumsum([size for _, size, _ in parts])
    return tuple(
        Block(site, int(stop) - size, int(stop), scalar)
        for (site, size, scalar), stop in zip(parts, stops, strict=True)
    )


def gaussian(effect: AbstractEffect) -> AbstractGaussianSmooth:
    """The smooth of an effect that `check_smooths` let pass."""
    assert isinstance(effect.smooth, AbstractGaussianSmooth)
    return effect.smooth


def section_values(owned: tuple[Own, ...], effect: int, coefficients: Any) -> dict[str, Any]:
    """Coefficients of one effect, by its position, by short site name from c, shape (..., p)."""
    return {
        own.site: coefficients[..., own.start : own.stop] for own in owned if own.effect == effect
    }


def site_values(
    effects: tuple[AbstractEffect, ...],
    owned: tuple[Own, ...],
    blocks: tuple[Block, ...],
    coefficients: Any,
) -> dict[str, Any]:
    """Values of all sites from c, shape (..., p); see `AdditivePredictor.sites`."""
    result = {}
    for block in blocks:
        values = coefficients[..., block.start : block.stop]
        result[block.site] = values[..., 0] if block.scalar else values
    for j, effect in enumerate(effects):
        own = section_values(owned, j, coefficients)
        result[effect.site("coefficients")] = gaussian(effect).combined(own)
    return result


def num_dimensions(values: Any) -> int:
    """Of the values of a linear term: none of a constant, one of one coefficient, else two."""
    return 2 if isinstance(values, AbstractContrasts) else np.ndim(values)


def linear_columns(name: str, values: Any) -> np.ndarray:
    """The columns of a linear term, shape (n, k); (1,) of a constant, the same for all."""
    if isinstance(values, AbstractContrasts):
        return values.columns()
    refuse_labels(values, f"linear[{name!r}]", "its contrasts, such as regression.Treatment(...)")
    columns = float64_array(values, f"linear[{name!r}]")
    if columns.ndim > 2:
        raise ValueError(f"`linear[{name!r}]` must have shape (n,) or (n, k); got {columns.shape}.")
    return columns.reshape(1) if columns.ndim == 0 else columns.reshape(len(columns), -1)


def multipliers(
    effects: tuple[AbstractEffect, ...], by: Mapping[str, Any], num: int
) -> tuple[np.ndarray | None, ...]:
    """What multiplies each effect, or None."""
    names = [effect.name for effect in effects]
    if unknown := [name for name in by if name not in names]:
        raise ValueError(f"`by` must name effects of the predictor, {names}; got {unknown}.")
    result = []
    for name in names:
        values = None
        if name in by:
            curves = "a curve for each level, a TensorEffect of the input and a GroupMargin(...)"
            refuse_labels(by[name], f"by[{name!r}]", curves)
            values = float64_array(by[name], f"by[{name!r}]", ndim=1)
        if values is not None and values.shape != (num,):
            raise ValueError(
                f"`by[{name!r}]` must hold one number for each of the {num} observations; got "
                f"shape {values.shape}."
            )
        result.append(values)
    return tuple(result)


def holds_labels(values: Any) -> bool:
    """Whether values are labels: categories, or text in any array."""
    if hasattr(getattr(values, "dtype", None), "categories"):
        return True
    array = np.asarray(values)
    return array.dtype.kind in "US" or (
        array.dtype == object and any(isinstance(v, str) for v in array.ravel())
    )


def refuse_labels(values: Any, name: str, instead: str) -> None:
    """Refuse labels where numbers multiply something."""
    if not is_traced(values) and holds_labels(values):
        raise TypeError(f"`{name}` must hold numbers; got labels. Of a factor take {instead}.")


def offset_of(offset: Any, num: int) -> np.ndarray | None:
    """n known numbers, or one for all rows; None for none."""
    if offset is None:
        return None
    values = float64_array(offset, "offset")
    if values.shape not in ((), (num,)):
        raise ValueError(
            f"`offset` must hold one number for each of the {num} observations; got shape "
            f"{values.shape}."
        )
    return np.broadcast_to(values, (num,)).copy()


def num_observations_of(inputs: list[np.ndarray], named: dict[str, np.ndarray]) -> int:
    """The one number of observations of all terms."""
    counts = {len(x) for x in inputs} | {len(v) for v in named.values() if v.ndim == 2}
    if len(counts) != 1:
        raise ValueError(
            "All `smooths` and `linear` terms must have one number of observations; got "
            f"{sorted(counts)}."
        )
    return counts.pop()


def given_scales(
    effects: tuple[AbstractEffect, ...], sites: tuple[str, ...], scales: Any
) -> list[dict[str, Any]]:
    """Given scales of each effect by short names; see `AdditivePredictor.sample`."""
    if scales is None:
        return [{} for _ in effects]
    scales = float_input(scales, "scales")
    if scales.shape[-1:] != (len(sites),):
        raise ValueError(
            f"`scales` must hold one scale for each of {list(sites)} on its last axis; got shape "
            f"{scales.shape}."
        )
    columns = iter(jnp.moveaxis(scales, -1, 0))
    return [{name: next(columns) for name in gaussian(e).scale_priors} for e in effects]


def deviations_of(
    effects: tuple[AbstractEffect, ...],
    random: tuple[Own, ...],
    values: Sequence[Mapping[str, Any]],
) -> Any:
    """Standard deviations of the random blocks; see `AdditivePredictor.deviations`."""
    spreads = [gaussian(e).spreads(own) for e, own in zip(effects, values, strict=True)]
    parts = []
    for own in random:
        spread = spreads[own.effect][own.site]
        xp = array_module(spread)
        spread = xp.asarray(spread)
        parts.append(spread[..., None] if own.common else spread)
    if not parts:
        return jnp.zeros(0, jnp.result_type(float))
    xp = array_module(*parts)
    batch = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
    parts = [xp.broadcast_to(p, (*batch, p.shape[-1])) for p in parts]
    return xp.concatenate(parts, axis=-1)


def weights_of(weights: Any, num: int) -> np.ndarray:
    """Checked weights of the observations, ones if None."""
    result = np.ones(num) if weights is None else float64_array(weights, "weights", ndim=1)
    if result.shape != (num,) or not np.all(result > 0.0):
        raise ValueError(
            f"`weights` must be {num} positive numbers, one per observation; got shape "
            f"{result.shape} and minimum {result.min(initial=np.inf):.17g}."
        )
    return result


def sample_linear(
    blocks: tuple[Block, ...], priors: tuple[Any, ...], coordinates: tuple[Coordinates, ...]
) -> Any:
    """Draw the coefficients of the linear terms inside a model, shape (k,)."""
    dtype = jnp.result_type(float)
    values = [jnp.zeros(0, dtype)]
    for block, prior, own in zip(blocks, priors, coordinates, strict=True):
        if standardizes(prior, own):
            value = own.sample(block.site, prior.scale, prior.loc, scalar=block.scalar)
        else:
            if not block.scalar:
                prior = prior.expand([block.stop - block.start]).to_event(1)
            value = numpyro.sample(block.site, prior)
        values.append(jnp.atleast_1d(jnp.asarray(value, dtype)))
    return jnp.concatenate(values)


def standardizes(prior: Any, coordinates: Coordinates) -> bool:
    """Whether a term with this prior is sampled in coordinates."""
    return type(prior) is dist.Normal and coordinates.known


def normal_moments(prior: Any) -> tuple[float, float]:
    """Mean and standard deviation of the prior of a fixed coefficient; infinite where flat."""
    if isinstance(prior, dist.ImproperUniform) and prior.event_shape == ():
        return 0.0, np.inf
    if not isinstance(prior, dist.Normal) or is_traced(prior.loc) or is_traced(prior.scale):
        raise TypeError(
            "Priors of fixed coefficients, `intercept` and `linear`, must be Normal with known "
            "numbers, or ImproperUniform on the real line for a flat one; got "
            f"{type(prior).__name__}."
        )
    if prior.shape() != ():
        raise TypeError(
            "Priors of fixed coefficients, `intercept` and `linear`, must be of one number; got "
            f"Normal of shape {prior.shape()}."
        )
    mean, deviation = np.asarray(prior.loc), np.asarray(prior.scale)
    return float(mean), float(deviation)
