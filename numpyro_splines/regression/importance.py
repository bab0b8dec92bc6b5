"""Importance weights of draws: how heavy their tail is, and draws that follow them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from numpyro_splines.validation import float64_array

_RELIABLE = 0.7  # shape of weights beyond which importance sampling fails (Vehtari et al., 2024)


def pareto_shape(log_weights: Any) -> float:
    r"""Shape k of a generalized Pareto distribution fitted to the largest weights.

    Weights have finite moments up to 1 / k: below 0.5 their variance is finite, above 0.7
    importance sampling is not reliable. The min(S / 5, 3 sqrt(S)) largest of S weights are fitted,
    with the posterior mean of Zhang and Stephens and a weak prior towards 0.5.

    Args:
        log_weights: logarithms of weights, any shape, up to a constant.

    Returns:
        k; minus infinity where all of these weights are the same.

    Raises:
        ValueError: if there are fewer than 25 weights, or not finite ones.

    Example:
        >>> u = (np.arange(4000) + 0.5) / 4000
        >>> print(round(pareto_shape(-0.4 * np.log(u)), 1))
        0.4

    References:
        Zhang and Stephens (2009); Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed
        importance sampling, appendix C.
    """
    values = np.sort(np.ravel(np.asarray(log_weights, np.float64)))
    num = values.size
    tail = int(min(0.2 * num, 3.0 * np.sqrt(num)))
    if tail < 5 or not np.all(np.isfinite(values)):
        raise ValueError(
            f"`log_weights` must be at least 25 finite numbers; got {num}, of which "
            f"{int(np.isfinite(values).sum())} are finite."
        )
    values = np.exp(values - values[-1])
    excess = values[-tail:] - values[-tail - 1]
    if not excess[-1] > 1e-12:
        return -np.inf
    return _generalized_pareto_shape(np.maximum(excess, 1e-300))


def _generalized_pareto_shape(excess: np.ndarray) -> float:
    """k of P(X > x) = (1 + k x / s)^(-1 / k) from sorted positive numbers."""
    num = excess.size
    grid = 30 + int(np.sqrt(num))
    quartile = excess[int(num / 4 + 0.5) - 1]
    theta = 1.0 / excess[-1] + (1.0 - np.sqrt(grid / (np.arange(grid) + 0.5))) / (3.0 * quartile)
    shape = np.log1p(-theta[:, None] * excess).mean(axis=1)
    profile = num * (np.log(-theta / shape) - shape - 1.0)
    weight = 1.0 / np.exp(profile - profile[:, None]).sum(axis=1)
    mean = float((theta * weight).sum() / weight.sum())
    own = float(np.log1p(-mean * excess).mean())
    return (own * num + 0.5 * 10.0) / (num + 10.0)


def resampled(
    key: Array, draws: Mapping[str, Any], log_weights: Any, num: int | None = None
) -> dict[str, Any]:
    """Draws from a target, out of draws from an approximation and their weights.

    Systematic resampling: a draw of weight w comes up num * w / sum(w) times, rounded at random.

    Args:
        key: random key.
        draws: arrays by site name, with the leading axes of `log_weights`.
        log_weights: logarithms of weights, shape (chain, draw) or (draw,), such as those of
            `IntegratedLaplace.draw`.
        num: how many draws are wanted; as many as there are if None.

    Returns:
        Arrays of shape (num, ...), in the order of the draws that they come from.

    Raises:
        ValueError: if the arrays do not have the leading axes of the weights.

    Example:
        >>> draws = {"a": np.array([1.0, 2.0])}
        >>> print(resampled(jax.random.key(0), draws, np.log([0.25, 0.75]), 4)["a"])
        [1. 2. 2. 2.]
    """
    log_weights = float64_array(log_weights, "log_weights")
    axes = log_weights.ndim
    if wrong := [k for k, v in draws.items() if np.shape(v)[:axes] != log_weights.shape]:
        raise ValueError(
            f"`draws` must have leading axes {log_weights.shape}, those of the weights; got "
            f"{wrong[0]!r} of shape {np.shape(draws[wrong[0]])}."
        )
    index = _taken(key, log_weights.ravel(), log_weights.size if num is None else num)
    return {
        name: jnp.reshape(jnp.asarray(value), (-1, *np.shape(value)[axes:]))[index]
        for name, value in draws.items()
    }


def resampled_chains(key: Array, draws: Mapping[str, Any], log_weights: Any) -> dict[str, Any]:
    """`resampled` within each chain: the last of the leading axes is that of the draws.

    Args:
        key: random key.
        draws: arrays by site name, with the leading axes of `log_weights`.
        log_weights: logarithms of weights, shape (..., draw).

    Returns:
        Arrays of the shapes that they had.

    Example:
        >>> draws = {"a": np.array([[1.0, 2.0, 3.0, 4.0]])}
        >>> print(resampled_chains(jax.random.key(0), draws, np.log([[0.5, 0.5, 1e-9, 1e-9]]))["a"])
        [[1. 1. 2. 2.]]
    """
    weights = np.asarray(log_weights, np.float64)
    chains = weights.reshape(-1, weights.shape[-1])
    keys = jax.random.split(key, len(chains))
    index = np.stack([_taken(k, own, own.size) for k, own in zip(keys, chains, strict=True)])
    which = np.arange(len(chains))[:, None]
    result = {}
    for name, value in draws.items():
        array = np.asarray(value)  # not JAX, which compiles a program for each shape
        flat = array.reshape(*chains.shape, *array.shape[weights.ndim :])
        result[name] = jnp.asarray(flat[which, index].reshape(array.shape))
    return result


def _taken(key: Array, log_weights: np.ndarray, num: int) -> np.ndarray:
    """Systematic resampling: positions of the draws taken, in order; no weight where not finite."""
    finite = np.isfinite(log_weights)
    weights = np.where(
        finite, np.exp(log_weights - np.max(log_weights[finite], initial=-np.inf)), 0.0
    )
    if not weights.sum() > 0.0:
        return np.arange(num) % log_weights.size
    places = (np.arange(num) + float(jax.random.uniform(key))) / num
    index = np.searchsorted(np.cumsum(weights) / weights.sum(), places)
    return np.minimum(index, log_weights.size - 1)


def report_weights(log_weights: np.ndarray) -> None:
    """Warn where Laplace's approximation does not hold, or where no mode was found.

    Args:
        log_weights: of the coefficients that it draws, logarithms, any shape.

    Warns:
        UserWarning: if the Pareto shape of 25 weights or more is above 0.7, or one is no number.

    Example:
        >>> report_weights(np.random.default_rng(0).normal(size=1000))
    """
    finite = np.isfinite(log_weights)
    if log_weights.size < 25 and finite.all():
        return
    shape = pareto_shape(log_weights) if finite.all() else np.inf
    if not shape <= _RELIABLE:
        warnings.warn(
            f"Laplace's approximation does not hold here: the importance weights of the drawn "
            f"coefficients have Pareto shape {shape:.2f}, above {_RELIABLE}. Sample the "
            "coefficients in the model, with `predictor.sample()`.",
            stacklevel=3,
        )
