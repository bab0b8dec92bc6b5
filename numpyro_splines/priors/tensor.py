"""The Gaussian smooth of several inputs: products of margins, components and their scales."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from numpyro_splines.margins import AbstractMargin
from numpyro_splines.ops.arrays import array_module, one_program
from numpyro_splines.priors.block import Block
from numpyro_splines.priors.coordinates import Coordinates, informed, inverse_of, seen_apart
from numpyro_splines.priors.modes import combine, draw_vector
from numpyro_splines.priors.sections import AbstractGaussianSmooth, Section


class TensorSmooth(AbstractGaussianSmooth):
    r"""f = sum over products of functions of the margins, with Gaussian coefficients, in a model.

    Attributes:
        margins: the margins.
        scale_names: short names of the sites of scales.
        priors: of each; a number where it is fixed.
        ratios: see `anisotropies`.
        linear_prior: of the coefficients at site `linear`.
        blocks: the coefficients: of each component, and `linear` last, where there are any.
        position: of each product of functions among the entries of the blocks, the number of which
            stands for none; shape (product of k,).
    """

    margins: tuple[AbstractMargin, ...]
    scale_names: tuple[str, ...] = eqx.field(static=True)
    priors: tuple[Any, ...]
    ratios: tuple[tuple[str, float, int], ...] = eqx.field(static=True)
    linear_prior: dist.Distribution
    blocks: tuple[Block, ...]
    position: np.ndarray

    @property
    def num_products(self) -> int:
        """The number of products of functions, those that are left out too."""
        return self.position.size

    @property
    def num_coefficients(self) -> int:
        """The number of coefficients of all blocks."""
        return sum(block.entries.size for block in self.blocks)

    def sample(self, site: Callable[[str], str]) -> Float[Array, "..."]:
        values = self.hyperparameters(site)
        drawn = {}
        for block in self.blocks:
            name = site(block.site)
            if self.standardizes(block):
                center, spread = self._moments(block, values)
                drawn[block.site] = block.coordinates.sample(name, spread, center)
            else:
                drawn[block.site] = draw_vector(name, block.entries.size, self.linear_prior)
        return self.combined(drawn)

    def standardizes(self, block: Block) -> bool:
        """Whether samplers see the block in coordinates."""
        if block.site != "linear":
            return True
        return type(self.linear_prior) is dist.Normal and (
            block.coordinates.known or bool(block.shared)
        )

    @property
    def scale_priors(self) -> dict[str, Any]:
        return dict(zip(self.scale_names, self.priors, strict=True))

    @property
    def anisotropies(self) -> tuple[tuple[str, float, int], ...]:
        return self.ratios

    @property
    def sections(self) -> tuple[Section, ...]:
        # Those with a known prior first, as regressions have them.
        own = [
            Section(b.site, b.entries.size, self.linear_prior)
            if b.site == "linear" and not b.shared
            else Section(b.site, b.entries.size, None, b.common)
            for b in self.blocks
        ]
        return tuple(sorted(own, key=lambda section: section.prior is None))

    def spreads(self, values: Mapping[str, Any]) -> dict[str, Any]:
        own = {section.site for section in self.sections if section.prior is None}
        return {block.site: block.spread(values) for block in self.blocks if block.site in own}

    def log_variance_slopes(self, values: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
        own = {section.site for section in self.sections if section.prior is None}
        return {b.site: b.log_variance_slopes(values) for b in self.blocks if b.site in own}

    def sampled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        result = {}
        for block in self.blocks:
            if self.standardizes(block):
                center, spread = self._moments(block, values)
                xi = block.coordinates.standardized(values[block.site] - center, spread)
                result[f"{block.site}_coordinates"] = xi
        return result

    def variances_seen(
        self, covariances: Mapping[str, np.ndarray], values: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        result = {}
        for block in self.blocks:
            covariance = covariances[block.site]
            if self.standardizes(block):
                _, spread = self._moments(block, values)
                seen = block.coordinates.variances(covariance, np.asarray(spread))
                result[f"{block.site}_coordinates"] = seen
            else:
                result[block.site] = np.diag(covariance)
        return result

    def _moments(self, block: Block, values: Mapping[str, Any]) -> tuple[Any, Any]:
        """Mean and standard deviation of a block as its coordinates take them."""
        spread = block.spread(values)
        if block.coordinates.rotation is None and block.common:
            spread = array_module(spread).asarray(spread)[..., None]
        return self.center(block), spread

    def combined(self, values: Mapping[str, Any]) -> Any:
        """Coefficients of the raw product basis from those of the sites; NumPy or JAX.

        Args:
            values: by short site name, each of shape (*batch, m).

        Returns:
            Shape (*batch, K_1, K_2, ...), one axis for each input.
        """
        drawn = [values[block.site] for block in self.blocks]
        if len(self.margins) == 1:
            return self._of_one_margin(drawn)
        on_host = array_module(*drawn) is np
        return (_raw if on_host else _raw_at_once)(self, drawn)

    def _of_one_margin(self, drawn: list[Any]) -> Any:
        """As `GaussianSmooth.combined`, to the last bit."""
        functions = self.margins[0].functions
        xp = array_module(functions)
        pairs = zip(self.blocks, drawn, strict=True)
        terms = [[xp.take(functions, b.entries, axis=1) * b.sizes, v] for b, v in pairs]
        raw = combine(*(part for term in terms for part in term))
        return raw.reshape(*raw.shape[:-1], *self.margins[0].shape)

    def informed(self, information: np.ndarray) -> TensorSmooth:
        """The same prior in coordinates for data with a known precision.

        Blocks are not independent given the data: each is told what the data say of it when the
        others are unknown, at typical scales.

        Args:
            information: minus the second derivative of the log likelihood in the coefficients of
                all products of functions, shape (num_products, num_products); or its diagonal
                alone, where these are very many.
        """
        if information.ndim == 1:
            own = [information[b.entries] * b.sizes**2 for b in self.blocks]
            return self._in_coordinates([Coordinates(None, v, 0.0 * v, True) for v in own])
        sizes = np.concatenate([block.sizes for block in self.blocks])
        entries = np.concatenate([block.entries for block in self.blocks])
        own = information[np.ix_(entries, entries)] * np.outer(sizes, sizes)
        values = self.typical()
        spreads = [self.spread_known(block, values) for block in self.blocks]
        pairs = zip(spreads, self.blocks, strict=True)
        precision = np.concatenate([np.broadcast_to(s**-2.0, b.entries.shape) for s, b in pairs])
        covariance = inverse_of(own + np.diag(precision))
        stops = np.cumsum([0, *(block.entries.size for block in self.blocks)])
        places = [np.arange(a, b) for a, b in itertools.pairwise(stops)]
        pairs = list(zip(self.blocks, places, strict=True))
        covariances = {block.site: covariance[np.ix_(place, place)] for block, place in pairs}
        return self.adapted(
            covariances, {b.site: np.zeros(b.entries.size) for b, _ in pairs}, values
        )

    def adapted(
        self,
        covariances: Mapping[str, np.ndarray],
        estimates: Mapping[str, np.ndarray],
        values: Mapping[str, Any],
    ) -> TensorSmooth:
        """The same prior in coordinates in which each block is standard, the others unknown.

        Args:
            covariances: posterior covariance of each block, by short site name.
            estimates: posterior mean of each, less that of the prior.
            values: the hyperparameters of this posterior, by short names.
        """
        coordinates = []
        for block in self.blocks:
            precision = self.spread_known(block, values) ** -2.0
            known = covariances[block.site], estimates[block.site]
            coordinates.append(seen_apart(*known, precision, turned=block.common))
        return self._in_coordinates(coordinates)

    def informed_alone(self, information: np.ndarray) -> TensorSmooth:
        """`informed` for one margin, whose functions are orthogonal at the observations.

        Args:
            information: in the coefficients of the raw basis, shape (K, K).
        """
        functions = self.margins[0].functions
        columns = [np.take(functions, b.entries, axis=1) * b.sizes for b in self.blocks]
        return self._in_coordinates([informed(v.T @ information @ v) for v in columns])

    def _in_coordinates(self, coordinates: list[Coordinates]) -> TensorSmooth:
        """The same prior with these coordinates of its blocks."""
        return eqx.tree_at(lambda s: [b.coordinates for b in s.blocks], self, coordinates)

    def center(self, block: Block) -> Any:
        """Prior mean of the coefficients of a block, a number."""
        return getattr(self.linear_prior, "loc", 0.0) if block.site == "linear" else 0.0

    def variances(self, values: Mapping[str, Any]) -> Any:
        """Prior variances of the coefficients of all products, zero where left out; on the host.

        Args:
            values: hyperparameters by short name, with common leading axes.

        Returns:
            Shape (*batch, num_products).
        """
        values = {name: np.asarray(value, np.float64) for name, value in values.items()}
        parts = []
        for block in self.blocks:
            spread = np.asarray(block.spread(values))
            spread = spread[..., None] if block.common else spread
            parts.append((spread * block.sizes) ** 2)
        batch = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
        parts = [np.broadcast_to(p, (*batch, p.shape[-1])) for p in parts]
        return np.concatenate([*parts, np.zeros((*batch, 1))], axis=-1)[..., self.position]

    def spread_known(self, block: Block, values: Mapping[str, Any]) -> np.ndarray:
        """Standard deviations of a block on the host, infinite where its prior is flat."""
        if block.site == "linear" and isinstance(self.linear_prior, dist.ImproperUniform):
            return np.asarray(np.inf)
        return np.asarray(block.spread(values))


def _raw(smooth: TensorSmooth, drawn: list[Any]) -> Any:
    xp = array_module(*drawn)
    sized = [
        v * xp.asarray(b.sizes, dtype=v.dtype) for b, v in zip(smooth.blocks, drawn, strict=True)
    ]
    batch = jnp.broadcast_shapes(*(v.shape[:-1] for v in sized))
    none = xp.zeros((*batch, 1), dtype=sized[0].dtype)
    sized = [xp.broadcast_to(v, (*batch, v.shape[-1])) for v in sized]
    products = xp.concatenate([*sized, none], axis=-1)[..., smooth.position]
    products = products.reshape(*batch, *(m.num_functions for m in smooth.margins))
    return raw_of_products(smooth.margins, products)


def raw_of_products(margins: Sequence[AbstractMargin], products: Any) -> Any:
    """Coefficients of the raw product basis from those of products of functions; NumPy or JAX.

    Args:
        margins: of which the functions are.
        products: shape (*batch, k_1, k_2, ...), an axis for each margin.

    Returns:
        Shape (*batch, K_1, K_2, ...), one axis for each input.
    """
    xp = array_module(products)
    num_batch = products.ndim - len(margins)
    for margin in margins:
        # The first axis that is still of functions becomes the last one, of the raw basis.
        functions = xp.asarray(margin.functions, dtype=products.dtype)
        products = xp.einsum("...k,jk->...j", xp.moveaxis(products, num_batch, -1), functions)
    shape = [num for margin in margins for num in margin.shape]
    return products.reshape(*products.shape[:num_batch], *shape)


_raw_at_once = one_program()(_raw)
