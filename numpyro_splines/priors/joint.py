r"""Levels and lines of groups that are correlated: several functions of each level, one normal law.

Of the functions that the penalties of all other inputs leave free (the constant, a line) each level
g has the coefficients c_g = (c_1g, ..., c_ng) ~ Normal(0, T T'), T = diag(tau) L, where L L' is a
correlation matrix, L ~ LKJCholesky. Levels are exchangeable, so contrasts have the same law.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from numpyro_splines.margins import AbstractMargin, GroupMargin
from numpyro_splines.ops.arrays import array_module, one_program
from numpyro_splines.priors.block import Block
from numpyro_splines.priors.coordinates import inverse_of
from numpyro_splines.priors.profiles import Scaled
from numpyro_splines.spectrum import canonical


class JointCoordinates(eqx.Module):
    r"""c_k ~ Normal(0, T T'), sampled as standard vectors in the posterior; see `Coordinates`.

    For data with information J_k and score g_k about c_k, M = I + T' J_k T = U U' with U upper
    triangular, and

        c_k = T U'^-1 (xi_k + U^-1 T' g_k),    xi_k ~ Normal(-U^-1 T' g_k, U' U)

    has the prior Normal(0, T T') whatever J and g are, and xi_k is standard where these are right.
    With one function this is `Coordinates`.

    Attributes:
        rotation: V, orthogonal, which takes c_k to levels or contrasts, shape (m, m).
        information: J, shape (m, n, n).
        score: g, shape (m, n).
    """

    rotation: Float[Array, "m m"] | np.ndarray
    information: Float[Array, "m n n"] | np.ndarray
    score: Float[Array, "m n"] | np.ndarray

    def sample(self, site: str, factor: Array) -> Array:
        """Draw inside a model; `<site>_coordinates` is sampled.

        Args:
            site: full name of the site.
            factor: T, shape (*batch, n, n).

        Returns:
            Shape (*batch, n, m).
        """
        location, spread = _prior_of_coordinates(self, factor)
        prior = dist.MultivariateNormal(location, scale_tril=spread).to_event(1)
        xi = numpyro.sample(f"{site}_coordinates", prior)
        return _placed(self, factor, xi)

    def _moments(self, factor: Any) -> tuple[Any, Any]:
        """-U^-1 T' g, shape (*batch, m, n), and U', which is lower triangular."""
        factor = factor[..., None, :, :]
        information, score = (jnp.asarray(v, factor.dtype) for v in (self.information, self.score))
        across = factor.swapaxes(-1, -2)
        seen = across @ information @ factor + jnp.eye(factor.shape[-1], dtype=factor.dtype)
        # The factor of the matrix turned upside down, turned back: U U' in place of L L'.
        upper = jnp.flip(jnp.linalg.cholesky(jnp.flip(seen, (-2, -1))), (-2, -1))
        along = (across @ score[..., None])[..., 0]
        location = -solve_triangular(upper, along[..., None], lower=False)[..., 0]
        return location, upper.swapaxes(-1, -2)


@one_program()
def _prior_of_coordinates(coordinates: JointCoordinates, factor: Array) -> tuple[Array, Array]:
    return coordinates._moments(factor)


@one_program()
def _placed(coordinates: JointCoordinates, factor: Array, xi: Array) -> Array:
    location, spread = coordinates._moments(factor)
    standard = solve_triangular(spread, (xi - location)[..., None], lower=True)
    turned = (factor[..., None, :, :] @ standard)[..., 0]
    rotation = jnp.asarray(coordinates.rotation, turned.dtype)
    return jnp.einsum("jk,...kr->...rj", rotation, turned)


def uninformed_jointly(num_functions: int, num: int) -> JointCoordinates:
    """Coordinates of which no data are known: of `num` levels or contrasts."""
    shape = (num, num_functions)
    return JointCoordinates(np.eye(num), np.zeros((*shape, shape[1])), np.zeros(shape))


class Joint(eqx.Module):
    """The coefficients of several blocks that are correlated, level by level.

    Attributes:
        margin: name of the margin of levels.
        concentration: of the LKJ distribution.
        sites: short names of the blocks.
        sizes: their numbers of coefficients.
        scales: short names of the scale of each function; shape (n,).
        entries: places of the coefficients among all products of functions, shape (n, m).
        places: the same among those of the blocks one after the other.
        coordinates: how samplers see them.
    """

    margin: str = eqx.field(static=True)
    concentration: float = eqx.field(static=True)
    sites: tuple[str, ...] = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)
    scales: tuple[str, ...] = eqx.field(static=True)
    entries: np.ndarray
    places: np.ndarray
    coordinates: JointCoordinates

    @property
    def correlation(self) -> str:
        """Short name of the site of the factor L of their correlation matrix."""
        return f"{self.margin}.correlation_factor"

    def factor(self, values: Mapping[str, Any]) -> Any:
        """T from the hyperparameters, shape (*batch, n, n); NumPy or JAX."""
        xp = array_module(values[self.correlation], *(values[name] for name in self.scales))
        scales = xp.stack([xp.asarray(values[name]) for name in self.scales], axis=-1)
        return scales[..., None] * xp.asarray(values[self.correlation], dtype=scales.dtype)

    def sample(self, site: Callable[[str], str], values: Mapping[str, Any]) -> dict[str, Any]:
        """Draw the blocks inside a model, by short names.

        Args:
            site: full name of a site from its short one.
            values: the hyperparameters.
        """
        drawn = self.coordinates.sample(site(f"{self.margin}.joint"), self.factor(values))
        flat = drawn.reshape(*drawn.shape[:-2], -1)[..., np.argsort(self.places, axis=None)]
        parts = jnp.split(flat, np.cumsum(self.sizes)[:-1], axis=-1)
        named = zip(self.sites, parts, strict=True)
        return {name: numpyro.deterministic(site(name), part) for name, part in named}

    def informed(self, posterior: np.ndarray, estimate: np.ndarray, factor: np.ndarray) -> Joint:
        """The same prior in coordinates for what is known of the coefficients.

        Args:
            posterior: their covariance given the data, with all others unknown, in the order of
                the blocks.
            estimate: their mean.
            factor: T in this posterior.
        """
        places = self.places
        num, size = places.shape
        order = places.ravel()
        within = inverse_of(posterior[np.ix_(order, order)])
        prior = np.kron(inverse_of(factor @ factor.T), np.eye(size))
        seen = (within - prior).reshape(num, size, num, size)
        score = (within @ estimate[order]).reshape(num, size)
        sizes = (factor**2).sum(axis=1)
        rotation = _axes(np.einsum("r,rjri->ji", sizes, seen))
        information = np.einsum("jk,rjsi,ik->krs", rotation, seen, rotation)
        values, vectors = np.linalg.eigh(0.5 * (information + information.swapaxes(1, 2)))
        information = np.einsum("krv,kv,ksv->krs", vectors, np.maximum(values, 0.0), vectors)
        own = JointCoordinates(rotation, information, (score @ rotation).T)
        return eqx.tree_at(lambda joint: joint.coordinates, self, own)

    def informed_apart(self, information: np.ndarray) -> Joint:
        """`informed` for the information about each coefficient alone, block by block."""
        own = information[self.places].T
        seen = own[:, :, None] * np.eye(own.shape[1])
        known = JointCoordinates(np.eye(len(own)), seen, np.zeros(own.shape))
        return eqx.tree_at(lambda joint: joint.coordinates, self, known)


def _axes(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return canonical(vectors[:, ::-1], values[::-1])


def joints_of(margins: Mapping[str, AbstractMargin], blocks: Sequence[Block]) -> tuple[Joint, ...]:
    """What is correlated by the margin that asks for it, in coordinates that know no data.

    Args:
        margins: of the effect, by name.
        blocks: of its coefficients.

    Raises:
        ValueError: if there are other margins of levels, a component holds more than levels and
            lines, there is nothing to correlate, or averages would be correlated.
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
    chosen = [block for block in blocks if np.isin(block.entries, every).any()]
    for block in chosen:
        if not np.isin(block.entries, every).all() or not isinstance(block.profile, Scaled):
            raise ValueError(
                f"`correlated` must come with components of levels and lines by {name!r} alone, "
                f"under the rule Product(); that of site {block.site!r} holds more."
            )
    held = np.concatenate([block.entries for block in chosen] or [np.zeros(0, int)])
    place = {int(entry): i for i, entry in enumerate(held)}
    rows = sorted(
        (row for row in every if int(row[0]) in place), key=lambda row: place[int(row[0])]
    )
    if len(rows) < 2:
        raise ValueError(
            f"`correlated` must come with levels and lines by {name!r}; the effect has "
            f"{len(rows)} such function(s). Leave it out."
        )
    _check_averages(name, rows, shape, axis, blocks)
    scale = {int(e): b.profile.scale for b in chosen for e in b.entries}  # pyright: ignore
    return (
        Joint(
            name,
            margin.correlated,
            tuple(block.site for block in chosen),
            tuple(block.entries.size for block in chosen),
            tuple(scale[int(row[0])] for row in rows),
            np.stack(rows),
            np.array([[place[int(e)] for e in row] for row in rows]),
            uninformed_jointly(len(rows), margin.num_modes),
        ),
    )


def _check_averages(
    name: str,
    rows: Sequence[np.ndarray],
    shape: tuple[int, ...],
    axis: int,
    blocks: Sequence[Block],
) -> None:
    """Averages over a population share its correlation; one of them has none to share."""
    shared = [block.entries for block in blocks if block.site == "linear" and block.shared]
    index = np.array(np.unravel_index([row[0] for row in rows], shape))
    index[axis] = 0
    averages = np.ravel_multi_index(tuple(index), shape)
    if np.isin(averages, np.concatenate([*shared, np.zeros(0, int)])).sum() > 1:
        raise ValueError(
            f"`correlated` must come with one line for each level of a population; {name!r} has "
            f'{len(rows)} functions to correlate. Make it GroupMargin(..., "independent") beside '
            "an effect for the average, or `linear` flat."
        )
