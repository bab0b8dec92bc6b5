r"""Levels and lines of groups that are correlated: several functions of each level, one normal law.

Of the functions that the penalties of all other inputs leave free (the constant, a line) each level
g has the coefficients c_g = (c_1g, ..., c_ng) ~ Normal(0, T T'), T = diag(tau) L, where L L' is a
correlation matrix, L ~ LKJCholesky. Levels are exchangeable: their contrasts have the same law, and
averages of G levels the covariance T T' / G, which is added to that of the population.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Array, Float

from numpyro_splines.margins import AbstractMargin, GroupMargin
from numpyro_splines.ops.arrays import array_module
from numpyro_splines.priors.block import Block
from numpyro_splines.priors.joint import (
    JointCoordinates,
    informed_apart,
    informed_jointly,
    uninformed_jointly,
)
from numpyro_splines.priors.profiles import Known, Scaled


class AbstractCorrelated(eqx.Module):
    """Coefficients of one or several blocks that are correlated.

    Attributes:
        name: short name of the site that samplers see, without `_coordinates`.
        sites: short names of the blocks.
        sizes: their numbers of coefficients.
        places: of c_rk among the coefficients of the blocks one after the other, shape (n, m).
        coordinates: how samplers see them.
    """

    name: eqx.AbstractVar[str]
    sites: eqx.AbstractVar[tuple[str, ...]]
    sizes: eqx.AbstractVar[tuple[int, ...]]
    places: eqx.AbstractVar[np.ndarray]
    coordinates: eqx.AbstractVar[JointCoordinates]

    @abc.abstractmethod
    def factor(self, values: Mapping[str, Any]) -> Any:
        """T from the hyperparameters, shape (*batch, n, n); NumPy or JAX."""

    def sample(
        self, site: Callable[[str], str], values: Mapping[str, Any], mean: Any
    ) -> dict[str, Any]:
        """Draw the blocks inside a model, by short names.

        Args:
            site: full name of a site from its short one.
            values: the hyperparameters.
            mean: of all coefficients, a number.
        """
        drawn = self.coordinates.sample(site(self.name), self.factor(values))
        drawn = drawn + jnp.asarray(mean, drawn.dtype)
        flat = drawn.reshape(*drawn.shape[:-2], -1)[..., np.argsort(self.places, axis=None)]
        parts = jnp.split(flat, np.cumsum(self.sizes)[:-1], axis=-1)
        named = zip(self.sites, parts, strict=True)
        return {name: numpyro.deterministic(site(name), part) for name, part in named}

    def informed(
        self, posterior: np.ndarray, estimate: np.ndarray, factor: np.ndarray
    ) -> JointCoordinates:
        """Coordinates for what is known of the coefficients; see `informed_jointly`.

        Args:
            posterior: their covariance given the data, in the order of the blocks.
            estimate: their mean, less that of the prior.
            factor: T in this posterior.
        """
        order = self.places.ravel()
        return informed_jointly(posterior[np.ix_(order, order)], estimate[order], factor)

    def informed_apart(self, information: np.ndarray) -> JointCoordinates:
        """Coordinates for the information about each coefficient alone, block by block."""
        return informed_apart(information[self.places])


class CorrelatedLevels(AbstractCorrelated):
    """Several functions of each level, or of their contrasts.

    Attributes:
        margin: name of the margin of levels.
        concentration: of the LKJ distribution.
        scales: short names of the scale of each function; shape (n,).
        entries: places of the coefficients among all products of functions, shape (n, m).
    """

    name: str = eqx.field(static=True)
    sites: tuple[str, ...] = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)
    places: np.ndarray
    coordinates: JointCoordinates
    margin: str = eqx.field(static=True)
    concentration: float = eqx.field(static=True)
    scales: tuple[str, ...] = eqx.field(static=True)
    entries: np.ndarray

    @property
    def correlation(self) -> str:
        """Short name of the site of the factor L of their correlation matrix."""
        return f"{self.margin}.correlation_factor"

    def factor(self, values: Mapping[str, Any]) -> Any:
        xp = array_module(values[self.correlation], *(values[name] for name in self.scales))
        scales = xp.stack([xp.asarray(values[name]) for name in self.scales], axis=-1)
        return scales[..., None] * xp.asarray(values[self.correlation], dtype=scales.dtype)


class CorrelatedAverages(AbstractCorrelated):
    """Averages of several functions over a population of levels: T T' = s^2 I + W C W'.

    Attributes:
        levels: whose covariance C is.
        deviation: s, that of the population itself.
        weights: W, shape (n, number of functions of the levels).
    """

    name: str = eqx.field(static=True)
    sites: tuple[str, ...] = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)
    places: np.ndarray
    coordinates: JointCoordinates
    levels: CorrelatedLevels
    deviation: Float[Array, ""] | np.ndarray
    weights: Float[Array, "n k"] | np.ndarray

    def factor(self, values: Mapping[str, Any]) -> Any:
        shared = self.levels.factor(values)
        xp = array_module(shared)
        shared = xp.asarray(self.weights, dtype=shared.dtype) @ shared
        own = np.asarray(self.deviation) ** 2 * np.eye(len(self.weights))
        covariance = shared @ shared.swapaxes(-1, -2) + xp.asarray(own, dtype=shared.dtype)
        return xp.linalg.cholesky(covariance)


def correlated(
    margins: Mapping[str, AbstractMargin], blocks: Sequence[Block]
) -> tuple[AbstractCorrelated, ...]:
    """What is correlated by the margin that asks for it, in coordinates that know no data.

    Args:
        margins: of the effect, by name.
        blocks: of its coefficients.

    Raises:
        ValueError: if there are other margins of levels, a component holds more than levels and
            lines, or there is nothing to correlate.
    """
    own = [(n, m) for n, m in margins.items() if isinstance(m, GroupMargin) and m.correlated]
    if not own:
        return ()
    name, margin = own[0]
    if others := [n for n, m in margins.items() if m.discrete and n != name]:
        raise ValueError(
            f"`correlated` must be of the only margin of levels; {others} are such beside "
            f"{name!r}. Make an effect for each of them."
        )
    shape = tuple(m.num_functions for m in margins.values())
    axis = list(margins).index(name)
    kinds = [np.arange(m.num_constant + m.num_linear) for m in margins.values()]
    kinds[axis] = margin.part("modes")
    every = np.ravel_multi_index(tuple(np.meshgrid(*kinds, indexing="ij")), shape)
    every = np.moveaxis(every, axis, -1).reshape(-1, margin.num_modes)
    levels = _levels(name, margin, every, blocks)
    index = np.array(np.unravel_index(levels.entries[:, 0], shape))
    index[axis] = 0
    entries = np.asarray(np.ravel_multi_index(tuple(index), shape))
    averages = _averages(levels, entries, blocks)
    return (levels,) if averages is None else (levels, averages)


def _levels(
    name: str, margin: GroupMargin, every: np.ndarray, blocks: Sequence[Block]
) -> CorrelatedLevels:
    """Of functions that are free, the levels of which are products `every`, shape (n, m)."""
    chosen = [block for block in blocks if np.isin(block.entries, every).any()]
    scale: dict[int, str] = {}
    for block in chosen:
        if not np.isin(block.entries, every).all() or not isinstance(block.profile, Scaled):
            raise ValueError(
                f"`correlated` must come with components of levels and lines by {name!r} alone, "
                f"under the rule Product(); that of site {block.site!r} holds more."
            )
        scale |= dict.fromkeys(block.entries.tolist(), block.profile.scale)
    place = {entry: i for i, entry in enumerate(scale)}
    rows = sorted((row for row in every.tolist() if row[0] in place), key=lambda r: place[r[0]])
    if len(rows) < 2:
        raise ValueError(
            f"`correlated` must come with levels and lines by {name!r}; the effect has "
            f"{len(rows)} such function(s). Leave it out."
        )
    return CorrelatedLevels(
        name=f"{name}.joint",
        sites=tuple(block.site for block in chosen),
        sizes=tuple(block.entries.size for block in chosen),
        places=np.array([[place[entry] for entry in row] for row in rows]),
        coordinates=uninformed_jointly(len(rows), margin.num_modes),
        margin=name,
        concentration=margin.correlated,
        scales=tuple(scale[row[0]] for row in rows),
        entries=np.array(rows),
    )


def _averages(
    levels: CorrelatedLevels, entries: np.ndarray, blocks: Sequence[Block]
) -> CorrelatedAverages | None:
    """The block of averages, products `entries`, where several share the correlation."""
    for block in blocks:
        known = block.profile
        held = np.isin(block.entries, entries).sum()
        if block.site != "linear" or not block.shared or held < 2:
            continue
        assert isinstance(known, Known)
        size = block.entries.size
        ratios = dict(zip(block.shared, block.ratios, strict=True))
        weights = np.zeros((size, len(entries)))
        for r, (entry, scale) in enumerate(zip(entries, levels.scales, strict=True)):
            for i in np.flatnonzero(block.entries == entry):
                weights[i, r] = np.sqrt(np.broadcast_to(ratios[scale], size)[i])
        return CorrelatedAverages(
            name=block.site,
            sites=(block.site,),
            sizes=(size,),
            places=np.arange(size)[:, None],
            coordinates=uninformed_jointly(size, 1),
            levels=levels,
            deviation=known.deviation,
            weights=weights,
        )
    return None
