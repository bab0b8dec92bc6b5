"""Additive predictors: an intercept, linear terms and smooth effects at known inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import scipy.sparse
from jaxtyping import Array, ArrayLike, Float

from numpyro_splines.designs import AbstractPoints
from numpyro_splines.effects import SplineEffect
from numpyro_splines.priors.coordinates import Coordinates, uninformed
from numpyro_splines.regression.layout import (
    Block,
    check_pairs,
    gaussian,
    layout,
    linear_columns,
    local_powers,
    normal_moments,
    num_observations_of,
    standardizes,
)
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
        *smooths: pairs (effect, x) with x the n inputs of the effect (an array or pandas Series);
            x must be known, not a random variable of the model.
        intercept: prior of the intercept: a `Normal`, or an `ImproperUniform` on the real line
            for a flat one; None for no intercept. Smooth effects are centered, so most models
            need one.
        linear: by site name, pairs (values, prior): n values, or (n, k) for a vector of k
            coefficients, or one number for a constant column; the prior as for the intercept.

    Raises:
        TypeError: if x is traced, an effect's prior is not Gaussian given its scale, or the prior
            of a fixed coefficient is neither `Normal` nor `ImproperUniform`.
        ValueError: if numbers of observations differ, names repeat, or f is not defined at an x.

    Example:
        >>> import numpy as np, numpyro.distributions as dist, numpyro_splines as ns
        >>> f = ns.SplineEffect("f", ns.BSplineBasis(ns.knots.uniform(0.0, 1.0, 6)))
        >>> eta = ns.AdditivePredictor((f, np.linspace(0.0, 1.0, 50)), intercept=dist.Normal())
        >>> [(block.site, block.stop - block.start) for block in eta.blocks]
        [('intercept', 1), ('f.linear', 1), ('f.modes', 6)]
    """

    effects: tuple[SplineEffect, ...]
    inputs: tuple[np.ndarray, ...]
    points: tuple[AbstractPoints, ...]
    columns: np.ndarray
    priors: tuple[dist.Distribution, ...]
    location: np.ndarray
    scale: np.ndarray
    local_index: np.ndarray
    local_value: np.ndarray
    local_matrix: np.ndarray
    coordinates: tuple[Coordinates, ...]
    blocks: tuple[Block, ...] = eqx.field(static=True)

    def __init__(
        self,
        *smooths: tuple[SplineEffect, Any],
        intercept: dist.Distribution | None,
        linear: Mapping[str, tuple[Any, dist.Distribution]] | None = None,
    ):
        check_pairs(smooths)
        self.effects = tuple(effect for effect, _ in smooths)
        self.inputs = tuple(float64_array(x, f"x of {e.name}", ndim=1) for e, x in smooths)
        self.points = tuple(e.basis.at(x) for e, x in zip(self.effects, self.inputs, strict=True))
        terms = dict(linear or {})
        if intercept is not None:
            terms = {"intercept": (1.0, intercept), **terms}
        named = {name: linear_columns(name, *term) for name, term in terms.items()}
        n = num_observations_of(self.inputs, named)
        self.columns = np.concatenate(
            [np.zeros((n, 0)), *(np.broadcast_to(v, (n, v.shape[-1])) for v in named.values())],
            axis=1,
        )
        self.priors = tuple(prior for _, prior in terms.values())
        scalars = tuple(np.ndim(values) < 2 for values, _ in terms.values())
        sizes = tuple(v.shape[-1] for v in named.values())
        self.coordinates = tuple(uninformed(size) for size in sizes)
        self.blocks = layout(self.effects, tuple(terms), sizes, scalars)
        fixed = [(prior, size) for prior, size in zip(self.priors, sizes, strict=True)]
        fixed += [(gaussian(e).linear_prior, gaussian(e).num_linear) for e in self.effects]
        moments = [normal_moments(prior) for prior, size in fixed for _ in range(size)]
        self.location, self.scale = np.array(moments).reshape(-1, 2).T
        self.local_index, self.local_value, self.local_matrix = self._localize()

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

    def mode_blocks(self) -> list[slice]:
        """Where the modes of each effect lie in c."""
        return [self.block(effect.site("modes")) for effect in self.effects]

    def sample(self, scales: ArrayLike | None = None) -> Float[Array, "..."]:
        """Draw all coefficients inside a model and return eta at the n observations.

        The full model, for any likelihood; call it outside the plate over observations.

        Args:
            scales: as in `sample_scales`, shape (..., number of effects).

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
        eta = jnp.zeros(self.num_observations, dtype)
        if linear:
            eta = eta + jnp.asarray(self.columns, dtype) @ jnp.concatenate(linear).astype(dtype)
        given: list[dict[str, Array]] = [{} for _ in self.effects]
        if scales is not None:
            given = [{"scale": scale} for scale in jnp.moveaxis(self._check_scales(scales), -1, 0)]
        for effect, at, values in zip(self.effects, self.points, given, strict=True):
            eta = eta + at(effect.sample(**values))
        return eta

    def sample_scales(self, scales: ArrayLike | None = None) -> Float[Array, "*batch num_effects"]:
        """Draw (or, where fixed, take) the scales of the effects inside a model, stacked.

        Args:
            scales: tau of each effect, shape (..., number of effects), drawn elsewhere in the model
                (shared, or from a joint prior such as `scales.variance_partition`), instead of
                drawing them here; recorded as deterministic sites `<effect>.scale`.

        Returns:
            tau of each effect, shape (*batch, number of effects), in the units of the predictor.
        """
        dtype = jnp.result_type(float)
        if scales is not None:
            scales = self._check_scales(scales)
            for j, effect in enumerate(self.effects):
                numpyro.deterministic(effect.site("scale"), scales[..., j])
            return scales
        drawn = [gaussian(effect).scales(effect.site) for effect in self.effects]
        drawn = jnp.broadcast_arrays(*(jnp.asarray(s, dtype) for s in drawn))
        return jnp.stack(drawn, axis=-1) if drawn else jnp.zeros(0, dtype)

    def _check_scales(self, scales: ArrayLike) -> Array:
        scales = float_input(scales, "scales")
        if scales.shape[-1:] != (len(self.effects),):
            raise ValueError(
                f"`scales` must hold one scale for each of the {len(self.effects)} effects on its "
                f"last axis; got shape {scales.shape}."
            )
        return scales

    def evaluate(self, coefficients: Float[Array, "..."]) -> Float[Array, "..."]:
        """Phi c in JAX, through the spline engine: cost O(n degree).

        Args:
            coefficients: c, shape (p,).

        Returns:
            eta, shape (n,), dtype of the coefficients.
        """
        dtype, num = coefficients.dtype, self.columns.shape[1]
        eta = jnp.asarray(self.columns, dtype) @ coefficients[:num]
        for effect, at in zip(self.effects, self.points, strict=True):
            curve = effect.basis.curve(self._effect_coefficients(effect, coefficients))
            eta = eta + at(curve).astype(dtype)
        return eta

    def design(self) -> scipy.sparse.csr_array:
        """The n rows in local coordinates: Phi = design @ local_matrix; float64 on the host."""
        n, entries = self.local_index.shape
        pointer = np.arange(n + 1) * entries
        shape = (n, self.local_matrix.shape[0])
        return scipy.sparse.csr_array(
            (self.local_value.ravel(), self.local_index.ravel(), pointer), shape=shape
        )

    def gram(self, weights: np.ndarray) -> np.ndarray:
        """Phi' diag(weights) Phi in one pass over the data.

        Args:
            weights: one per observation, shape (n,).

        Returns:
            Symmetric matrix, shape (p, p), float64.
        """
        design = self.design()
        weighted = design.copy()
        weighted.data = (self.local_value * weights[:, None]).ravel()
        local = (design.T @ weighted).toarray()
        # The matrix is one block for each effect: products of blocks are a fraction of the work,
        # and mostly below the size at which BLAS pays for handing out parts to threads.
        result, parts = np.zeros((self.num_coefficients, self.num_coefficients)), self._parts()
        for rows, columns in parts:
            left = self.local_matrix[np.ix_(rows, columns)].T
            for others, further in parts:
                right = self.local_matrix[np.ix_(others, further)]
                result[np.ix_(columns, further)] = left @ local[np.ix_(rows, others)] @ right
        return result

    def _parts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows and columns of the blocks of the local matrix: all terms, then each effect."""
        num = self.columns.shape[1]
        owned: dict[str, list[np.ndarray]] = {}
        for block in self.blocks:
            if block.start >= num:
                owner = block.site.rpartition(".")[0]
                owned.setdefault(owner, []).append(np.arange(block.start, block.stop))
        smooth = [np.concatenate(columns) for columns in owned.values()]
        rows = [np.flatnonzero(self.local_matrix[:, c].any(axis=1)) for c in smooth]
        return [(np.arange(num), np.arange(num)), *zip(rows, smooth, strict=True)]

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
        for effect in self.effects:
            site = effect.site("coefficients")
            result[site] = self._effect_coefficients(effect, coefficients)
        return result

    def _effect_coefficients(self, effect: SplineEffect, coefficients: Any) -> Any:
        """Basis coefficients of one effect from c."""
        smooth = gaussian(effect)
        modes, linear = coefficients[..., self.block(effect.site("modes"))], None
        if smooth.num_linear > 0:
            linear = coefficients[..., self.block(effect.site("linear"))]
        return smooth.coefficients(modes, linear)

    def _localize(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sparse rows: powers of the normalized coordinate, one group of columns per interval."""
        n, num = self.columns.shape
        index = [np.broadcast_to(np.arange(num, dtype=np.int32), (n, num))]
        value, rows = [self.columns], num
        tables = []
        for effect, x in zip(self.effects, self.inputs, strict=True):
            row, powers, table = local_powers(effect.basis, x, effect.name)
            degree = np.arange(powers.shape[1], dtype=np.int32)
            index.append(rows + row[:, None] * np.int32(len(degree)) + degree)
            value.append(powers)
            tables.append((rows, table))
            rows += table.shape[0]
        matrix = np.zeros((rows, self.num_coefficients))
        matrix[:num, :num] = np.eye(num)
        identity = np.eye(self.num_coefficients)
        for effect, (start, table) in zip(self.effects, tables, strict=True):
            columns = self._effect_coefficients(effect, identity).T
            matrix[start : start + table.shape[0]] = table @ columns
        index = np.concatenate(index, axis=1).astype(np.int32)
        return index, np.concatenate(value, axis=1), matrix
