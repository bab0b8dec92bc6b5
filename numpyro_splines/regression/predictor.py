"""Additive predictors: an intercept, linear terms and smooth effects at known inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import scipy.sparse
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.effects import AbstractEffect
from numpyro_splines.ops.arrays import array_module
from numpyro_splines.priors.coordinates import Coordinates, uninformed
from numpyro_splines.regression.layout import (
    Block,
    Own,
    check_parts,
    check_smooths,
    gaussian,
    layout,
    linear_columns,
    multipliers,
    normal_moments,
    num_observations_of,
    sections_of,
    standardizes,
)
from numpyro_splines.regression.local import known_inputs, local_rows
from numpyro_splines.regression.sparse import SparseDesign, sparse_design
from numpyro_splines.validation import float64_array, float_input


class AdditivePredictor(eqx.Module):
    r"""eta_i = intercept + sum_k z_ik b_k + sum_j f_j(x_ij) at n known inputs, with its priors.

    As a linear model: eta = Phi c, where c stacks the coefficients of the intercept, the linear
    terms and the `linear` sites of the effects (the *fixed* ones, with known Normal or flat
    priors), then the `modes` of each effect, Normal(0, tau_j) with tau_j its scale. Phi is sparse
    and known: it is worked out here, once, in float64, in one pass over the data.

    The same object serves `sample` (all coefficients drawn in the model), `IntegratedGaussian`
    (coefficients integrated out) and `penalized_fit` (point estimates).

    Sites: "intercept", those of the linear terms, and those of the effects.

    Args:
        *smooths: tuples (effect, x) or, for effects of several inputs, (effect, x, z, ...), with
            the n inputs of the effect (arrays or pandas Series; of groups labels, or, where these
            are no integers, their positions); known ones, not random variables of the model.
        intercept: prior of the intercept: a `Normal`, or an `ImproperUniform` on the real line
            for a flat one; None for no intercept. Smooth effects are centered, so most models
            need one.
        linear: by site name, pairs (values, prior): n values, or (n, k) for a vector of k
            coefficients, or one number for a constant column; the prior as for the intercept.
        by: by name of an effect, n numbers v that multiply it: v_i f(x_i), a coefficient that
            varies with x. f is centered, so v needs a `linear` term too.
        offset: n known numbers that are added to eta, such as the logarithm of an exposure.

    Raises:
        TypeError: if x is traced, an effect's prior is not Gaussian given its scale, or the prior
            of a fixed coefficient is neither `Normal` nor `ImproperUniform`.
        ValueError: if numbers of observations differ, names repeat, f is not defined at an x, or
            two effects hold the same curve of the same input.

    Example:
        >>> import numpy as np, numpyro.distributions as dist, numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6)))
        >>> eta = ns.AdditivePredictor((f, np.linspace(0.0, 1.0, 50)), intercept=dist.Normal())
        >>> [(block.site, block.stop - block.start) for block in eta.blocks]
        [('intercept', 1), ('f.linear', 1), ('f.modes', 6)]
    """

    effects: tuple[AbstractEffect, ...]
    inputs: tuple[tuple[np.ndarray, ...], ...]
    multipliers: tuple[np.ndarray | None, ...]
    offset: np.ndarray
    points: tuple[Any, ...]
    columns: np.ndarray
    priors: tuple[dist.Distribution, ...]
    location: np.ndarray
    scale: np.ndarray
    sparse: SparseDesign
    coordinates: tuple[Coordinates, ...]
    owned: tuple[Own, ...] = eqx.field(static=True)
    blocks: tuple[Block, ...] = eqx.field(static=True)

    def __init__(
        self,
        *smooths: tuple[Any, ...],
        intercept: dist.Distribution | None,
        linear: Mapping[str, tuple[Any, dist.Distribution]] | None = None,
        by: Mapping[str, Any] | None = None,
        offset: Any = None,
    ):
        check_smooths(smooths)
        self.effects = tuple(own[0] for own in smooths)
        self.inputs = tuple(known_inputs(effect, values) for effect, *values in smooths)
        pairs = list(zip(self.effects, self.inputs, strict=True))
        terms = dict(linear or {})
        if intercept is not None:
            terms = {"intercept": (1.0, intercept), **terms}
        named = {name: linear_columns(name, *term) for name, term in terms.items()}
        n = num_observations_of([x for own in self.inputs for x in own], named)
        self.multipliers = multipliers(self.effects, by or {}, n)
        self.offset = np.zeros(n) if offset is None else float64_array(offset, "offset", ndim=1)
        if self.offset.shape != (n,):
            raise ValueError(
                f"`offset` must hold one number for each of the {n} observations; got shape "
                f"{self.offset.shape}."
            )
        check_parts(self.effects, self.inputs, by or {})
        self.points = tuple(effect.at(*inputs) for effect, inputs in pairs)
        self.columns = np.concatenate(
            [np.zeros((n, 0)), *(np.broadcast_to(v, (n, v.shape[-1])) for v in named.values())],
            axis=1,
        )
        self.priors = tuple(prior for _, prior in terms.values())
        scalars = tuple(np.ndim(values) < 2 for values, _ in terms.values())
        sizes = tuple(v.shape[-1] for v in named.values())
        self.coordinates = tuple(uninformed(size) for size in sizes)
        self.owned = sections_of(self.effects, sum(sizes))
        self.blocks = layout(self.effects, self.owned, tuple(terms), sizes, scalars)
        fixed = [(prior, size) for prior, size in zip(self.priors, sizes, strict=True)]
        known = [s for e in self.effects for s in gaussian(e).sections if s.prior is not None]
        fixed += [(section.prior, section.size) for section in known]
        moments = [normal_moments(prior) for prior, size in fixed for _ in range(size)]
        self.location, self.scale = np.array(moments).reshape(-1, 2).T
        self.sparse = self._design()

    @property
    def num_observations(self) -> int:
        """The number n of observations."""
        return self.columns.shape[0]

    def observation_weights(self, weights: ArrayLike | None) -> np.ndarray:
        """Checked weights of the observations in float64, ones if None.

        Args:
            weights: one per observation, shape (n,), positive; None for ones.

        Returns:
            Shape (n,), float64.

        Raises:
            ValueError: if they are not n positive numbers.
        """
        n = self.num_observations
        result = np.ones(n) if weights is None else float64_array(weights, "weights", ndim=1)
        if result.shape != (n,) or not np.all(result > 0.0):
            raise ValueError(
                f"`weights` must be {n} positive numbers, one per observation; got shape "
                f"{result.shape} and minimum {result.min(initial=np.inf):.17g}."
            )
        return result

    @property
    def num_fixed(self) -> int:
        """How many of the coefficients are fixed effects; they come first."""
        return self.scale.shape[0]

    @property
    def num_coefficients(self) -> int:
        """The number p of coefficients c."""
        return self.blocks[-1].stop if self.blocks else 0

    def block(self, site: str) -> slice:
        """Where the coefficients of a site lie in c.

        Args:
            site: full name of the site, such as "f.modes".

        Returns:
            A slice of the last axis of c.
        """
        return next(slice(b.start, b.stop) for b in self.blocks if b.site == site)

    def _random(self) -> tuple[Own, ...]:
        """Sections whose standard deviations depend on hyperparameters."""
        return tuple(own for own in self.owned if not own.known)

    def random_blocks(self) -> list[slice]:
        """Blocks of c with one standard deviation each, from hyperparameters."""
        blocks = []
        for own in self._random():
            step = own.stop - own.start if own.common else 1
            blocks += [slice(i, i + step) for i in range(own.start, own.stop, step)]
        return blocks

    def deviations(self, values: Sequence[Mapping[str, Any]]) -> Any:
        """Standard deviations of the random blocks.

        Args:
            values: hyperparameters of each effect by short names; NumPy or JAX.

        Returns:
            Shape (*batch, number of random blocks), in the units of the predictor.
        """
        spreads = [gaussian(e).spreads(own) for e, own in zip(self.effects, values, strict=True)]
        parts = []
        for own in self._random():
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

    def sample(self, scales: ArrayLike | None = None) -> Float[Array, "..."]:
        """Draw all coefficients inside a model and return eta at the n observations.

        The full model, for any likelihood; call it outside the plate over observations.

        Args:
            scales: of the sites `scale_sites`, drawn elsewhere in the model (shared, or from a
                joint prior such as `scales.variance_partition`), instead of drawing them here;
                shape (..., number of them).

        Returns:
            eta, shape (..., n), in the units of the predictor.
        """
        linear = []
        terms = [b for b in self.blocks if b.stop <= self.columns.shape[1]]
        for block, prior, own in zip(terms, self.priors, self.coordinates, strict=True):
            if standardizes(prior, own):
                known: Any = prior
                value = own.sample(block.site, known.scale, known.loc, scalar=block.scalar)
            else:
                if not block.scalar:
                    prior = prior.expand([block.stop - block.start]).to_event(1)
                value = numpyro.sample(block.site, prior)
            linear.append(jnp.atleast_1d(value))
        dtype = jnp.result_type(float)
        eta = jnp.asarray(self.offset, dtype)
        if linear:
            eta = eta + jnp.asarray(self.columns, dtype) @ jnp.concatenate(linear).astype(dtype)
        parts = zip(self.effects, self.points, self._given(scales), self.multipliers, strict=True)
        for effect, at, values, factor in parts:
            eta = eta + _times(at(effect.sample(**values)), factor)
        return eta

    def sample_hyperparameters(self, scales: ArrayLike | None = None) -> list[dict[str, Any]]:
        """Draw (or, where fixed, take) the hyperparameters of all effects inside a model.

        Args:
            scales: as in `sample`, shape (..., number of `scale_sites`), instead of drawing them
                here; recorded as deterministic sites.

        Returns:
            For each effect, by short names, in the units of the predictor.
        """
        pairs = zip(self.effects, self._given(scales), strict=True)
        return [gaussian(effect).hyperparameters(effect.site, own) for effect, own in pairs]

    def sample_deviations(self, scales: ArrayLike | None = None) -> Float[Array, "*batch blocks"]:
        """`deviations` of hyperparameters drawn inside a model.

        Args:
            scales: as in `sample`, shape (*batch, number of `scale_sites`).

        Returns:
            Standard deviation of each random block, shape (*batch, number of them).
        """
        return self.deviations(self.sample_hyperparameters(scales))

    @property
    def scale_sites(self) -> tuple[str, ...]:
        """Full names of the sites of all scales, in the order in which they are given."""
        return tuple(e.site(name) for e in self.effects for name in gaussian(e).scale_priors)

    def _given(self, scales: ArrayLike | None) -> list[dict[str, Any]]:
        """Given scales of each effect by short names."""
        if scales is None:
            return [{} for _ in self.effects]
        scales = float_input(scales, "scales")
        if scales.shape[-1:] != (len(self.scale_sites),):
            raise ValueError(
                f"`scales` must hold one scale for each of {list(self.scale_sites)} on its last "
                f"axis; got shape {scales.shape}."
            )
        columns = iter(jnp.moveaxis(scales, -1, 0))
        return [{name: next(columns) for name in gaussian(e).scale_priors} for e in self.effects]

    def evaluate(self, coefficients: Float[Array, "..."]) -> Float[Array, "..."]:
        """Phi c in JAX, through the spline engine: cost O(n degree).

        Args:
            coefficients: c, shape (p,).

        Returns:
            eta, shape (n,), dtype of the coefficients.
        """
        dtype, num = coefficients.dtype, self.columns.shape[1]
        eta = jnp.asarray(self.columns, dtype) @ coefficients[:num]
        parts = zip(self.effects, self.points, self.multipliers, strict=True)
        for j, (effect, at, factor) in enumerate(parts):
            function = effect.function(self._effect_coefficients(j, coefficients))
            eta = eta + _times(at(function).astype(dtype), factor)
        return eta

    def design(self) -> scipy.sparse.csr_array:
        """The n rows in local functions: Phi = design @ local_matrix; float64 on the host."""
        return self.sparse.rows()

    @property
    def local_matrix(self) -> np.ndarray:
        """Each local function in terms of c."""
        return self.sparse.matrix

    def gram(self, weights: np.ndarray) -> np.ndarray:
        """Phi' diag(weights) Phi in one pass over the data.

        Args:
            weights: one per observation, shape (n,).

        Returns:
            Symmetric matrix, shape (p, p), float64.
        """
        return self.sparse.gram(weights)

    def sites(self, coefficients: Any) -> dict[str, Any]:
        """Values by site name of coefficients c, `<effect>.coefficients` too.

        Args:
            coefficients: c with any leading axes, shape (..., p), NumPy or JAX.

        Returns:
            Arrays with the same leading axes; scalars of the model have no further one.
        """
        result = {}
        for block in self.blocks:
            values = coefficients[..., block.start : block.stop]
            result[block.site] = values[..., 0] if block.scalar else values
        for j, effect in enumerate(self.effects):
            result[effect.site("coefficients")] = self._effect_coefficients(j, coefficients)
        return result

    def section_values(self, effect: int, coefficients: Any) -> dict[str, Any]:
        """Coefficients of one effect by short site name.

        Args:
            effect: position of the effect in the predictor.
            coefficients: c with any leading axes, shape (..., p), NumPy or JAX.

        Returns:
            Arrays with the same leading axes, such as that of "x:z.modes".
        """
        return {
            own.site: coefficients[..., own.start : own.stop]
            for own in self.owned
            if own.effect == effect
        }

    def _effect_coefficients(self, effect: int, coefficients: Any) -> Any:
        """Basis coefficients of one effect, by its position, from c."""
        return gaussian(self.effects[effect]).combined(self.section_values(effect, coefficients))

    def _design(self) -> SparseDesign:
        identity = np.eye(self.num_coefficients)
        blocks = []
        for j, effect in enumerate(self.effects):
            rows = local_rows(effect, self.inputs[j])
            own = [np.arange(o.start, o.stop) for o in self.owned if o.effect == j]
            places = np.concatenate(own)
            matrix = rows.matrix(self._effect_coefficients(j, identity[places]))
            blocks.append((rows, matrix, places, self.multipliers[j]))
        return sparse_design(self.columns, blocks)


def _times(values: Any, factor: Any) -> Any:
    """Values times those of a `by` variable, if there is one."""
    if factor is None:
        return values
    return values * array_module(values).asarray(factor, dtype=values.dtype)
