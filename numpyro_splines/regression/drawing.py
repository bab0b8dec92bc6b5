"""Draws of coefficients that a density integrates out: from their prior, or afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Array

from numpyro_splines.regression.layout import gaussian, section_values
from numpyro_splines.regression.predictor import AdditivePredictor


def hyperparameter_draws(
    predictor: AdditivePredictor, draws: Mapping[str, Any], prefix: str
) -> dict[str, Array]:
    """Draws of the hyperparameters of all effects, by site name without the prefix.

    Raises:
        KeyError: if the draws of one are missing.
    """
    own = {k.removeprefix(prefix): v for k, v in draws.items() if k.startswith(prefix)}
    seeded = numpyro.handlers.seed(predictor.sample_hyperparameters, rng_seed=0)
    trace = numpyro.handlers.trace(seeded).get_trace()
    # Scales that came from elsewhere in the model were recorded under the same names.
    names = [k for k, v in trace.items() if v["type"] == "sample"]
    if missing := [name for name in names if name not in own]:
        raise KeyError(f"`draws` must hold {names}; {missing} are missing among {sorted(own)}.")
    return {name: jnp.asarray(own[name]) for name in names}


def leading_axes(
    predictor: AdditivePredictor,
    hyperparameters: Mapping[str, Any],
    parameters: Mapping[str, Any],
    events: Mapping[str, tuple[int, ...]],
    draws: Mapping[str, Any],
) -> tuple[int, ...]:
    """Leading axes of draws, by those of a scale or a parameter; without any, one draw.

    Args:
        predictor: the predictor.
        hyperparameters: as `hyperparameter_draws` returns them.
        parameters: of the family.
        events: shape of one value of each of its parameters.
        draws: all that was given, for the message.

    Raises:
        ValueError: if there are draws of neither, but of something else.
    """
    for name in predictor.scale_sites:
        if name in hyperparameters:
            return hyperparameters[name].shape
    for name, value in parameters.items():
        return value.shape[: value.ndim - len(events[name])]
    if deep := [name for name, value in draws.items() if np.ndim(value)]:
        raise ValueError(
            "`draws` must be empty where no scale and no parameter is drawn, as here: nothing says "
            f"which axes of {deep[0]!r} are those of the draws. For many draws given fixed scales, "
            "take `penalized_fit(...).draw(key, shape)`."
        )
    return ()


def draw_sites(
    predictor: AdditivePredictor,
    key: Array,
    hyperparameters: dict[str, Array],
    others: Any,
    shape: tuple[int, ...],
    draw: Callable[[Array, Array, Any], tuple[Array, Any]],
    batch_size: int | None = None,
) -> tuple[dict[str, Any], Any]:
    """Coefficients by site name, as full sampling would give them, for draws of all else.

    Args:
        predictor: the predictor.
        key: random key.
        hyperparameters: as `hyperparameter_draws` returns them.
        others: a pytree of further draws, leading axes `shape`.
        shape: leading axes of the draws.
        draw: (key, deviations of the random blocks, others) of one draw -> c and anything else.
        batch_size: how many at once; None for all.

    Returns:
        Sites and what else `draw` returns, with these leading axes.
    """
    num = int(np.prod(shape, dtype=int))
    flat = jax.tree.map(
        lambda v: jnp.reshape(v, (num, *v.shape[len(shape) :])), (hyperparameters, others)
    )

    def one(arguments: tuple[Array, Any]) -> tuple[Any, Any]:
        key, (values, rest) = arguments
        with numpyro.handlers.substitute(data=values):
            hyper = predictor.sample_hyperparameters()
        return hyper, draw(key, predictor.deviations(hyper), rest)

    arguments = (jax.random.split(key, num), flat)
    if batch_size is None:
        results = jax.vmap(one)(arguments)
    else:
        results = jax.lax.map(one, arguments, batch_size=batch_size)
    hyper, (coefficients, more) = jax.tree.map(
        lambda v: jnp.reshape(v, (*shape, *v.shape[1:])), results
    )
    sites = predictor.sites(coefficients)
    for j, effect in enumerate(predictor.effects):
        short = {**hyper[j], **section_values(predictor.owned, j, coefficients)}
        seen = gaussian(effect).sampled(short)
        sites.update({effect.site(name): value for name, value in seen.items()})
    return sites, more


def draw_linear_predictor(
    predictor: AdditivePredictor, key: Array, scales: Array, shape: tuple[int, ...]
) -> Array:
    """eta with coefficients from their prior, shape (*shape, n).

    Args:
        predictor: the predictor, without flat coefficients.
        key: random key.
        scales: standard deviations of the random blocks, shape (..., number of them).
        shape: leading axes, those of `scales` last among them.
    """
    if not np.all(np.isfinite(predictor.scale)):
        raise NotImplementedError(
            "`y` cannot be drawn from an improper prior; give the intercept and the linear "
            "terms Normal priors to draw from the prior predictive distribution."
        )
    fixed_key, mode_key = jax.random.split(key)
    dtype, num = scales.dtype, predictor.num_fixed
    fixed = jax.random.normal(fixed_key, (*shape, num), dtype)
    fixed = jnp.asarray(predictor.location, dtype) + jnp.asarray(predictor.scale, dtype) * fixed
    modes = jax.random.normal(mode_key, (*shape, predictor.num_coefficients - num), dtype)
    modes = modes * per_coefficient(predictor, scales)
    coefficients = jnp.concatenate([fixed, modes], axis=-1)
    eta = jnp.vectorize(predictor.evaluate, signature="(p)->(n)")(coefficients)
    return eta + jnp.asarray(predictor.offset, dtype)


def per_coefficient(predictor: AdditivePredictor, scales: Any) -> Any:
    """Standard deviations of the random blocks, repeated for each of their coefficients."""
    sizes = np.array([b.stop - b.start for b in predictor.random_blocks()], dtype=int)
    return scales[..., np.repeat(np.arange(sizes.size), sizes)]


def check_scales(scales: Array, num: int) -> None:
    """Refuse scales that are not one for each of the random blocks."""
    if scales.shape[-1:] != (num,):
        raise ValueError(
            f"`scales` must hold one scale for each of the {num} blocks of coefficients, shape "
            f"(..., {num}); got shape {scales.shape}. An effect of one input has one block."
        )
