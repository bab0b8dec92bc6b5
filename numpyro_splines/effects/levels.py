"""A population of levels and new levels of it, drawn exactly from averages and contrasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from numpyro_splines.priors.tensor import TensorSmooth


def levels_apart(
    key: Array,
    smooth: TensorSmooth,
    coefficients: np.ndarray,
    values: Mapping[str, np.ndarray],
    position: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the population's coefficients, and the standard deviation of levels about them.

    With a = b + mean(u) the average and Var(mean(u)) = kappa, the variance of a contrast:
    b | a ~ Normal(omega a, omega kappa), omega = Var(b) / (Var(b) + kappa), and Var(u) = G kappa.
    Where levels and lines are correlated these are matrices.

    Args:
        key: random key.
        smooth: of the effect.
        coefficients: of the raw bases, shape (*batch, K_1, K_2, ...).
        values: hyperparameters by short name, shape (*batch, ...).
        position: of the margin of levels.

    Returns:
        Coefficients of products of functions of the other margins, and the deviations of new
        levels from these, each of shape (*batch, *k of the others).
    """
    margins = smooth.margins
    num_inputs = sum(margin.num_inputs for margin in margins)
    batch = coefficients.shape[: coefficients.ndim - num_inputs]
    products = coefficients.reshape(*batch, *(int(np.prod(m.shape)) for m in margins))
    products = products.astype(np.float64)
    for margin in margins:
        inverse = np.linalg.pinv(np.asarray(margin.functions))
        products = np.moveaxis(products, len(batch), -1) @ inverse.T
    variances = smooth.variances(values)
    shape = tuple(margin.num_functions for margin in margins)
    variances = np.broadcast_to(variances, (*batch, variances.shape[-1])).reshape(*batch, *shape)
    axis = len(batch) + position
    average = np.take(products, 0, axis=axis)
    total = np.take(variances, 0, axis=axis)
    kappa = np.take(variances, 1, axis=axis)
    # What the model's intercept stands for is known from data alone: a flat prior.
    free = (total == 0.0) | np.isinf(total)
    omega = np.where(free, 1.0, (total - kappa) / np.where(free, 1.0, total))
    apart = average - _mean(smooth, shape, position)
    noise = np.asarray(jax.random.normal(key, average.shape))
    moved = (omega - 1.0) * apart + np.sqrt(omega * kappa) * noise
    for place, factor in _joint(smooth, values, position):
        known = (apart, total - kappa, free, kappa, noise)
        parts = [v.reshape(*batch, -1)[..., place] for v in known]
        own = _Averages._make([*parts, factor])
        flat = moved.reshape(*batch, -1)
        flat[..., place] = own.moved()
    return average + moved, np.sqrt(margins[position].shape[0] * kappa)


def _joint(
    smooth: TensorSmooth, values: Mapping[str, np.ndarray], position: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Places of correlated functions among products of the others, and the factor L."""
    shape = [margin.num_functions for margin in smooth.margins]
    result = []
    for own in smooth.correlated_levels:
        index = np.unravel_index(own.entries[:, 0], shape)
        index, sizes = [
            tuple(v[d] for d in range(len(shape)) if d != position) for v in (index, shape)
        ]
        factor = np.asarray(values[own.correlation], np.float64)
        result.append((np.ravel_multi_index(index, sizes), factor))
    return result


class _Averages(NamedTuple):
    """Averages a = b + mean(u) of correlated functions, each of shape (*batch, n).

    Attributes:
        apart: a less its prior mean.
        own: Var(b).
        free: where this is infinite.
        kappa: Var(mean(u)).
        noise: standard normal numbers.
        factor: of the correlation of u.
    """

    apart: np.ndarray
    own: np.ndarray
    free: np.ndarray
    kappa: np.ndarray
    noise: np.ndarray
    factor: np.ndarray

    def moved(self) -> np.ndarray:
        """Draws of b - a ~ Normal(-K P (a - mean), K - K P K), P = (Var(b) + K)^-1.

        P has no rows for what is free.
        """
        root = np.sqrt(self.kappa)[..., None] * self.factor
        shared = root @ root.swapaxes(-1, -2)
        free = self.free[..., :, None] | self.free[..., None, :]
        identity = np.eye(self.free.shape[-1])
        total = shared + np.where(self.free, 0.0, self.own)[..., None] * identity
        inverse = np.where(free, 0.0, np.linalg.inv(np.where(free, identity, total)))
        gain = shared @ inverse
        lengths, axes = np.linalg.eigh(shared - gain @ shared)
        noise = np.sqrt(np.maximum(lengths, 0.0)) * self.noise
        return (axes @ noise[..., None] - gain @ self.apart[..., None])[..., 0]


def _mean(smooth: TensorSmooth, shape: tuple[int, ...], position: int) -> np.ndarray:
    """Prior means of the averages: those of the linear part."""
    mean = np.zeros(smooth.num_products)
    for block in smooth.blocks:
        if block.site == "linear":
            mean[block.entries] = np.asarray(getattr(smooth.linear_prior, "loc", 0.0))
    return np.take(mean.reshape(shape), 0, axis=position)


def new_level(
    key: Array,
    smooth: TensorSmooth,
    values: Mapping[str, np.ndarray],
    position: int,
    population: np.ndarray,
    deviation: np.ndarray,
    num: int,
) -> Any:
    """b + u for `num` new levels, an axis of them behind that of the draws.

    Args:
        key: random key.
        smooth: as in `levels_apart`.
        values: as in `levels_apart`.
        position: as in `levels_apart`.
        population: as `levels_apart` returns it.
        deviation: of u, as `levels_apart` returns it.
        num: of new levels.
    """
    axis = population.ndim - (len(smooth.margins) - 1)
    batch = population.shape[:axis]
    noise = np.array(jax.random.normal(key, (*batch, num, *population.shape[axis:])))
    for place, factor in _joint(smooth, values, position):
        flat = noise.reshape(*batch, num, -1)
        flat[..., place] = np.einsum("...rs,...ls->...lr", factor, flat[..., place])
    return np.expand_dims(population, axis) + np.expand_dims(deviation, axis) * noise
