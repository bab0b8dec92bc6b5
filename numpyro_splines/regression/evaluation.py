"""The predictor evaluated: at its rows, whole and in terms, from what was drawn of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from numpyro_splines.designs import LocatedPoints
from numpyro_splines.functions import SurfacePoints
from numpyro_splines.ops.arrays import one_program
from numpyro_splines.regression.layout import Block
from numpyro_splines.regression.rows import Rows
from numpyro_splines.validation import float_input


def total(
    rows: Rows, linear: Any, functions: tuple[Any, ...], *, offset: bool = True
) -> Float[Array, "..."]:
    """eta of coefficients of the linear terms, shape (..., k), and a function of each effect.

    Args:
        rows: of the predictor.
        linear: coefficients of the linear terms.
        functions: of each effect, of batch shape (...).
        offset: whether to add the offset.
    """
    known = rows.offset if offset else None
    return _total(rows.columns, rows.points, rows.multipliers, known, linear, functions)


def total_at_once(rows: Rows, linear: Any, functions: tuple[Any, ...]) -> Float[Array, "..."]:
    """`total` as one program, also where it is called eagerly."""
    sums = _total_at_once if _located(rows) else _total
    return sums(rows.columns, rows.points, rows.multipliers, rows.offset, linear, functions)


def terms_at_once(
    rows: Rows, blocks: tuple[Block, ...], linear: Any, functions: tuple[Any, ...]
) -> tuple[list[Any], list[Any], Any]:
    """What each linear term and each effect adds to eta, and the offset, each of shape (..., n).

    Args:
        rows: of the predictor.
        blocks: of the linear terms.
        linear: as in `total`.
        functions: as in `total`.
    """
    bounds = tuple((block.start, block.stop) for block in blocks)
    parts = rows.columns, rows.points, rows.multipliers, rows.offset, linear, functions
    return (_terms_at_once if _located(rows) else _terms)(*parts, bounds=bounds)


def _located(rows: Rows) -> bool:
    """Whether all points know their places: others keep their float64 outside of programs only."""
    return all(isinstance(own, LocatedPoints | SurfacePoints) for own in rows.points)


def _total(
    columns: Any, points: Any, multipliers: Any, offset: Any, linear: Any, functions: Any
) -> Array:
    eta = linear @ jnp.asarray(columns, linear.dtype).T
    if offset is not None:
        eta = eta + jnp.asarray(offset, eta.dtype)
    for value in _values(points, multipliers, functions):
        eta = eta + value
    return eta


def _terms(
    columns: Any,
    points: Any,
    multipliers: Any,
    offset: Any,
    linear: Any,
    functions: Any,
    *,
    bounds: tuple[tuple[int, int], ...],
) -> tuple[list[Any], list[Any], Any]:
    columns = jnp.asarray(columns, linear.dtype)
    own = [linear[..., a:b] @ columns[:, a:b].T for a, b in bounds]
    if offset is not None:
        shape = (*linear.shape[:-1], columns.shape[0])
        offset = jnp.broadcast_to(jnp.asarray(offset, linear.dtype), shape)
    return own, _values(points, multipliers, functions), offset


_total_at_once = one_program()(_total)
_terms_at_once = one_program("bounds")(_terms)


def _values(points: Any, multipliers: Any, functions: Any) -> list[Any]:
    """f of each effect at its rows, times what multiplies it."""
    result = []
    for at, factor, function in zip(points, multipliers, functions, strict=True):
        value = at(function)
        result.append(value if factor is None else value * jnp.asarray(factor, value.dtype))
    return result


def drawn(predictor: Any, draws: Mapping[str, Any], prefix: str) -> tuple[Array, tuple[Any, ...]]:
    """Coefficients of the linear terms, shape (..., k), and the function of each effect.

    Args:
        predictor: the predictor.
        draws: arrays by site name, with common leading axes (...).
        prefix: of the names, divider included.
    """
    own = {k.removeprefix(prefix): v for k, v in draws.items() if k.startswith(prefix)}
    blocks = predictor.blocks[: len(predictor.priors)]
    if missing := [block.site for block in blocks if block.site not in own]:
        raise KeyError(
            f"`draws` must hold the coefficients of all terms; {missing} are missing among "
            f"{sorted(own)}. Where they are integrated out, draw them first: "
            "draws = regression.draw(key, draws, y, sigma)."
        )
    linear = []
    for block in blocks:
        value = float_input(own[block.site], f"draws[{block.site!r}]")
        linear.append(value[..., None] if block.scalar else value)
        if linear[-1].shape[-1:] != (block.stop - block.start,):
            raise ValueError(
                f"`draws[{block.site!r}]` must have {block.stop - block.start} coefficients on its "
                f"last axis; got shape {value.shape}."
            )
    functions = tuple(effect.drawn(own) for effect in predictor.effects)
    shapes = {block.site: v.shape[:-1] for block, v in zip(blocks, linear, strict=True)}
    pairs = zip(predictor.effects, functions, strict=True)
    shapes |= {effect.name: function.batch_shape for effect, function in pairs}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"`draws` must have common leading axes; got {shapes}.")
    (batch,) = set(shapes.values()) or {()}
    none = jnp.zeros((*batch, 0), jnp.result_type(float))
    return jnp.concatenate([none, *linear], axis=-1), functions


def parameters_of(family: Any, draws: Mapping[str, Any], prefix: str) -> dict[str, Array]:
    """Parameters of a family by name, those that the draws hold.

    Args:
        family: of the responses.
        draws: arrays by site name.
        prefix: of the names, divider included.
    """
    names = [name for name in family.supports if prefix + name in draws]
    return {name: jnp.asarray(draws[prefix + name]) for name in names}


def response_draws(
    key: Array, family: Any, eta: Array, parameters: Mapping[str, Any]
) -> Float[Array, "..."]:
    """Draws of the responses at eta, shape (..., n)."""
    if missing := [name for name in family.supports if name not in parameters]:
        raise KeyError(
            f"`draws` must hold the parameters of {type(family).__name__}; {missing} are missing. "
            "Name their sites so, or give them: predict(key, draws, family, "
            f"{missing[0]}=draws[...])."
        )
    try:
        distribution = family.distribution(eta, **parameters)
        jnp.broadcast_shapes(distribution.batch_shape, eta.shape)
    except (TypeError, ValueError) as error:
        shapes = {name: jnp.shape(value) for name, value in parameters.items()}
        raise ValueError(
            f"`family` must fit the {eta.shape[-1]} rows of the predictor, and its parameters the "
            f"leading axes {eta.shape[:-1]} of the draws; got {type(family).__name__} with "
            f"{shapes}. Known exposures, trials and weights must be those of these rows."
        ) from error
    return jnp.asarray(distribution.sample(key))
