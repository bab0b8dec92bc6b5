"""Additive predictors: an intercept, linear terms and smooth effects at known inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import scipy.sparse
from jaxtyping import Array, Float

from numpyro_splines.bases import AbstractBasis
from numpyro_splines.effects import SplineEffect
from numpyro_splines.ops import piecewise
from numpyro_splines.priors.smoothness import AbstractSmoothnessPrior
from numpyro_splines.validation import float64_array, is_traced


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


class AdditivePredictor(eqx.Module):
    r"""eta_i = intercept + sum_k z_ik b_k + sum_j f_j(x_ij) at n known inputs, with its priors.

    As a linear model: eta = Phi c, where c stacks the coefficients of the intercept, the linear
    terms and the `linear` sites of the effects (the *fixed* ones, with known Normal or flat
    priors), then the `modes` of each effect, Normal(0, tau_j) with tau_j its scale. Phi is sparse
    and known: it is worked out here, once, in float64, in one pass over the data.

    The same object serves `sample` (all coefficients drawn in the model), `GaussianMarginal`
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
    columns: np.ndarray
    priors: tuple[dist.Distribution, ...]
    location: np.ndarray
    scale: np.ndarray
    local_index: np.ndarray
    local_value: np.ndarray
    local_matrix: np.ndarray
    blocks: tuple[Block, ...] = eqx.field(static=True)

    def __init__(
        self,
        *smooths: tuple[SplineEffect, Any],
        intercept: dist.Distribution | None,
        linear: Mapping[str, tuple[Any, dist.Distribution]] | None = None,
    ):
        _check_pairs(smooths)
        self.effects = tuple(effect for effect, _ in smooths)
        self.inputs = tuple(float64_array(x, f"x of {e.name}", ndim=1) for e, x in smooths)
        terms = dict(linear or {})
        if intercept is not None:
            terms = {"intercept": (1.0, intercept), **terms}
        named = {name: _linear_columns(name, *term) for name, term in terms.items()}
        n = _num_observations(self.inputs, named)
        self.columns = np.concatenate(
            [np.zeros((n, 0)), *(np.broadcast_to(v, (n, v.shape[-1])) for v in named.values())],
            axis=1,
        )
        self.priors = tuple(prior for _, prior in terms.values())
        scalars = tuple(np.ndim(values) < 2 for values, _ in terms.values())
        sizes = tuple(v.shape[-1] for v in named.values())
        self.blocks = _layout(self.effects, tuple(terms), sizes, scalars)
        fixed = [(prior, size) for prior, size in zip(self.priors, sizes, strict=True)]
        fixed += [(_prior(e).linear, e.prepared.linear.shape[1]) for e in self.effects]
        moments = [_normal_moments(prior) for prior, size in fixed for _ in range(size)]
        self.location, self.scale = np.array(moments).reshape(-1, 2).T
        self.local_index, self.local_value, self.local_matrix = self._localize()

    @property
    def num_observations(self) -> int:
        """The number n of observations."""
        return self.columns.shape[0]

    @property
    def num_fixed(self) -> int:
        """How many of the coefficients are fixed effects; they come first."""
        return self.scale.shape[0]

    @property
    def num_coefficients(self) -> int:
        """The number p of coefficients c."""
        return self.blocks[-1].stop if self.blocks else 0

    def block(self, site: str) -> slice:
        """Where the coefficients of a site lie in c."""
        return next(slice(b.start, b.stop) for b in self.blocks if b.site == site)

    def mode_blocks(self) -> list[slice]:
        """Where the modes of each effect lie in c."""
        return [self.block(effect.site("modes")) for effect in self.effects]

    def sample(self) -> Float[Array, "..."]:
        """Draw all coefficients inside a model and return eta at the n observations.

        The full model, for any likelihood; call it outside the plate over observations.
        """
        linear = []
        terms = [b for b in self.blocks if b.stop <= self.columns.shape[1]]
        for block, prior in zip(terms, self.priors, strict=True):
            if not block.scalar:
                prior = prior.expand([block.stop - block.start]).to_event(1)
            linear.append(jnp.atleast_1d(numpyro.sample(block.site, prior)))
        dtype = jnp.result_type(float)
        eta = jnp.zeros(self.num_observations, dtype)
        if linear:
            eta = eta + jnp.asarray(self.columns, dtype) @ jnp.concatenate(linear).astype(dtype)
        for effect, x in zip(self.effects, self.inputs, strict=True):
            eta = eta + effect.sample()(jnp.asarray(x, dtype))
        return eta

    def sample_scales(self) -> Float[Array, "*batch num_effects"]:
        """Draw (or, where fixed, take) the scales of the effects inside a model, stacked."""
        dtype = jnp.result_type(float)
        scales = [_prior(effect).sample_scale(effect.site) for effect in self.effects]
        scales = jnp.broadcast_arrays(*(jnp.asarray(s, dtype) for s in scales))
        return jnp.stack(scales, axis=-1) if scales else jnp.zeros(0, dtype)

    def evaluate(self, coefficients: Float[Array, "..."]) -> Float[Array, "..."]:
        """Phi c in JAX, through the spline engine: cost O(n degree)."""
        dtype, num = coefficients.dtype, self.columns.shape[1]
        eta = jnp.asarray(self.columns, dtype) @ coefficients[:num]
        for effect, x in zip(self.effects, self.inputs, strict=True):
            curve = effect.basis.curve(self._effect_coefficients(effect, coefficients))
            eta = eta + curve(jnp.asarray(x, dtype))
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
        """Phi' diag(weights) Phi, float64, shape (p, p), in one pass over the data."""
        design = self.design()
        weighted = design.copy()
        weighted.data = (self.local_value * weights[:, None]).ravel()
        return self.local_matrix.T @ (design.T @ weighted).toarray() @ self.local_matrix

    def sites(self, coefficients: Any) -> dict[str, Any]:
        """Values by site name of coefficients c with any leading axes, `f.coefficients` too."""
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
        spectrum = _spectrum(effect)
        modes = coefficients[..., self.block(effect.site("modes"))]
        weighted = spectrum.modes * spectrum.standard_deviations
        result = modes @ weighted.T.astype(modes.dtype)
        if effect.prepared.linear.shape[1] > 0:
            linear = coefficients[..., self.block(effect.site("linear"))]
            result = result + linear @ effect.prepared.linear.T.astype(modes.dtype)
        return result

    def _localize(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sparse rows: powers of the normalized coordinate, one group of columns per interval."""
        n, num = self.columns.shape
        index = [np.broadcast_to(np.arange(num, dtype=np.int32), (n, num))]
        value, rows = [self.columns], num
        tables = []
        for effect, x in zip(self.effects, self.inputs, strict=True):
            row, powers, table = _local_powers(effect.basis, x, effect.name)
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


def _local_powers(
    basis: AbstractBasis, x: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Table row and powers of the coordinate of each x, and the table of all basis functions."""
    # The engine itself, in float64 whatever the setting and also while a model is being traced.
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        curve = basis.curve(np.eye(basis.num_coefficients))
        points = jnp.asarray(x)
        if curve.periodic:
            points, _ = piecewise.wrap(points, curve.breakpoints)
        row, u = piecewise.locate(points, curve.breakpoints)
        row, u, table = np.asarray(row), np.asarray(u), np.asarray(curve.table)
    broken = np.logical_not(np.all(np.isfinite(table), axis=(0, 2))).reshape(-1)
    if broken[row].any():
        raise ValueError(
            f"`x of {name}` must lie where the curve is defined; got {x[broken[row]][0]:.17g} at "
            f"index {int(np.flatnonzero(broken[row])[0])}, outside the domain {basis.domain}. "
            "Use another extrapolation or a wider domain."
        )
    table = np.where(broken[:, None], 0.0, table)
    powers = u[:, None] ** np.arange(table.shape[-1])
    return row, powers, table.reshape(table.shape[0], -1).T


def _spectrum(effect: SplineEffect) -> Any:
    return effect.prepared.spectrum


def _prior(effect: SplineEffect) -> AbstractSmoothnessPrior:
    prior: Any = effect.prior
    return prior


def _layout(
    effects: tuple[SplineEffect, ...],
    names: tuple[str, ...],
    sizes: tuple[int, ...],
    scalars: tuple[bool, ...],
) -> tuple[Block, ...]:
    parts = list(zip(names, sizes, scalars, strict=True))
    linear = [(e.site("linear"), e.prepared.linear.shape[1], False) for e in effects]
    parts += [part for part in linear if part[1] > 0]
    parts += [(e.site("modes"), _spectrum(e).modes.shape[1], False) for e in effects]
    names = tuple(site for site, _, _ in parts)
    if len(set(names)) < len(names):
        raise ValueError(f"Names of effects and `linear` terms must differ; got sites {names}.")
    stops = np.cumsum([size for _, size, _ in parts])
    return tuple(
        Block(site, int(stop) - size, int(stop), scalar)
        for (site, size, scalar), stop in zip(parts, stops, strict=True)
    )


def _check_pairs(smooths: tuple[Any, ...]) -> None:
    for pair in smooths:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], SplineEffect)):
            raise TypeError(
                f"`smooths` must be pairs (SplineEffect, x); got {type(pair).__name__}."
            )
        if not isinstance(pair[0].prior, AbstractSmoothnessPrior):
            raise TypeError(
                f"`{pair[0].name}` must have a prior that is Gaussian given its scale, "
                f"SmoothnessPrior or RandomWalkPrior; got {type(pair[0].prior).__name__}."
            )


def _linear_columns(name: str, values: Any, prior: Any) -> np.ndarray:
    _normal_moments(prior)
    columns = float64_array(values, f"linear[{name!r}]")
    if columns.ndim > 2:
        raise ValueError(f"`linear[{name!r}]` must have shape (n,) or (n, k); got {columns.shape}.")
    return columns.reshape(1, 1) if columns.ndim == 0 else columns.reshape(len(columns), -1)


def _num_observations(inputs: tuple[np.ndarray, ...], named: dict[str, np.ndarray]) -> int:
    counts = {len(x) for x in inputs} | {len(v) for v in named.values() if len(v) != 1}
    if len(counts) != 1:
        raise ValueError(
            "All `smooths` and `linear` terms must have one number of observations; got "
            f"{sorted(counts)}."
        )
    return counts.pop()


def _normal_moments(prior: Any) -> tuple[float, float]:
    """Mean and standard deviation of the prior of a fixed coefficient; infinite where flat."""
    if isinstance(prior, dist.ImproperUniform) and prior.event_shape == ():
        return 0.0, np.inf
    if not isinstance(prior, dist.Normal) or is_traced(prior.loc) or is_traced(prior.scale):
        raise TypeError(
            "Priors of fixed coefficients must be Normal with known numbers, or ImproperUniform on "
            f"the real line for a flat one; got {type(prior).__name__}."
        )
    mean, deviation = np.asarray(prior.loc), np.asarray(prior.scale)
    return float(mean), float(deviation)
