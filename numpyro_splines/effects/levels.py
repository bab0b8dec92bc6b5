"""A population of levels and new levels of it, drawn exactly from averages and contrasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    free = total == 0.0
    omega = np.where(free, 1.0, (total - kappa) / np.where(free, 1.0, total))
    mean = _mean(smooth, shape, position)
    noise = np.asarray(jax.random.normal(key, average.shape))
    population = mean + omega * (average - mean) + np.sqrt(omega * kappa) * noise
    return population, np.sqrt(margins[position].shape[0] * kappa)


def _mean(smooth: TensorSmooth, shape: tuple[int, ...], position: int) -> np.ndarray:
    """Prior means of the averages: those of the linear part."""
    mean = np.zeros(smooth.num_products)
    for block in smooth.blocks:
        if block.site == "linear":
            mean[block.entries] = np.asarray(getattr(smooth.linear_prior, "loc", 0.0))
    return np.take(mean.reshape(shape), 0, axis=position)


def new_level(
    key: Array, population: np.ndarray, deviation: np.ndarray, num: int, num_margins: int
) -> Any:
    """b + u for `num` new levels, an axis of them behind that of the draws."""
    axis = population.ndim - (num_margins - 1)
    shape = (*population.shape[:axis], num, *population.shape[axis:])
    noise = np.asarray(jax.random.normal(key, shape))
    return np.expand_dims(population, axis) + np.expand_dims(deviation, axis) * noise
