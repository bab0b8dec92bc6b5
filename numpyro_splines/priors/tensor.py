"""The Gaussian smooth of several inputs: products of margins, components and their scales."""

from __future__ import annotations

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
from numpyro_splines.priors.correlated import AbstractCorrelated, CorrelatedLevels
from numpyro_splines.priors.joint import JointCoordinates
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
    correlated: tuple[AbstractCorrelated, ...]
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
        drawn: dict[str, Any] = {}
        for own in self.correlated:
            drawn.update(own.sample(site, values, self.center_of(own.sites[0])))
        for block in self.blocks:
            name = site(block.site)
            if block.site in drawn:
                continue
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
    def correlations(self) -> tuple[tuple[str, int, float], ...]:
        own = self.correlated_levels
        return tuple(
            (levels.correlation, len(levels.scales), levels.concentration) for levels in own
        )

    @property
    def correlated_levels(self) -> tuple[CorrelatedLevels, ...]:
        """Those of `correlated` that are not averages."""
        return tuple(own for own in self.correlated if isinstance(own, CorrelatedLevels))

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
        return self.center_of(block.site), spread

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
        blocks = [self.block(section.site) for section in self.sections]
        if information.ndim == 1:
            own = {b.site: information[b.entries] * b.sizes**2 for b in blocks}
            seen = [Coordinates(None, own[b.site], 0.0 * b.sizes, True) for b in self.blocks]
            joints = [
                c.informed_apart(np.concatenate([own[s] for s in c.sites])) for c in self.correlated
            ]
            return self._in_coordinates(seen, joints)
        sizes = np.concatenate([block.sizes for block in blocks])
        entries = np.concatenate([block.entries for block in blocks])
        own = information[np.ix_(entries, entries)] * np.outer(sizes, sizes)
        values = self.typical()
        pairs = [(self.spread_known(block, values), block) for block in blocks]
        precision = np.concatenate([np.broadcast_to(s**-2.0, b.entries.shape) for s, b in pairs])
        covariance = inverse_of(own + np.diag(precision))
        means = {b.site: self.center_of(b.site) + np.zeros(b.sizes.shape) for b in blocks}
        return self.adapted(covariance, means, values)

    def adapted(
        self, covariance: np.ndarray, estimates: Mapping[str, np.ndarray], values: Mapping[str, Any]
    ) -> TensorSmooth:
        stops = np.cumsum([0, *(section.size for section in self.sections)])
        places = {
            s.site: np.arange(e - s.size, e) for s, e in zip(self.sections, stops[1:], strict=True)
        }
        means = {
            b.site: estimates[b.site] - np.asarray(self.center_of(b.site)) for b in self.blocks
        }
        coordinates = []
        for block in self.blocks:
            precision = self.spread_known(block, values) ** -2.0
            own = covariance[np.ix_(places[block.site], places[block.site])]
            coordinates.append(seen_apart(own, means[block.site], precision, turned=block.common))
        values, joints = {**self.typical(), **values}, []
        for joint in self.correlated:
            rows = np.concatenate([places[site] for site in joint.sites])
            mean = np.concatenate([means[site] for site in joint.sites])
            joints.append(
                joint.informed(covariance[np.ix_(rows, rows)], mean, joint.factor(values))
            )
        return self._in_coordinates(coordinates, joints)

    def block(self, site: str) -> Block:
        """The block of a site, by its short name."""
        return next(block for block in self.blocks if block.site == site)

    def informed_alone(self, information: np.ndarray) -> TensorSmooth:
        """`informed` for one margin, whose functions are orthogonal at the observations.

        Args:
            information: in the coefficients of the raw basis, shape (K, K).
        """
        functions = self.margins[0].functions
        columns = [np.take(functions, b.entries, axis=1) * b.sizes for b in self.blocks]
        return self._in_coordinates([informed(v.T @ information @ v) for v in columns])

    def _in_coordinates(
        self, coordinates: list[Coordinates], joints: Sequence[JointCoordinates] = ()
    ) -> TensorSmooth:
        """The same prior with these coordinates of its blocks."""
        return eqx.tree_at(
            lambda s: [own.coordinates for own in (*s.blocks, *(s.correlated if joints else ()))],
            self,
            [*coordinates, *joints],
        )

    def center_of(self, site: str) -> Any:
        return getattr(self.linear_prior, "loc", 0.0) if site == "linear" else 0.0

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
