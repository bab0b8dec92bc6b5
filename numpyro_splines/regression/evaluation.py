"""The predictor evaluated: at its rows, whole and in terms, from what was drawn of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numpyro_splines.designs import LocatedPoints
from numpyro_splines.functions import Curve, SurfacePoints
from numpyro_splines.ops.arrays import one_program
from numpyro_splines.regression.families import AbstractFamily
from numpyro_splines.regression.layout import Block
from numpyro_splines.regression.rows import Rows, SomeRows
from numpyro_splines.validation import real_array

# Rows times draws that are evaluated together: what is gathered on the way is a multiple of them.
_TOGETHER = 1 << 20


def draws_together(num_rows: int) -> int:
    """How many draws to evaluate at so many rows at once, so that memory stays bounded."""
    return max(1, _TOGETHER // max(num_rows, 1))


class Drawn(NamedTuple):
    """What has been drawn of a predictor.

    Attributes:
        linear: coefficients of each linear term, shape (...,) or (..., size).
        functions: of each effect, of batch shape (...).
    """

    linear: tuple[Any, ...]
    functions: tuple[Any, ...]


def total(rows: SomeRows, linear: Any, functions: tuple[Any, ...]) -> Float[Array, "..."]:
    """What coefficients of all linear terms, shape (..., k), and functions add to eta.

    Args:
        rows: of the predictor.
        linear: the coefficients.
        functions: of each effect, of batch shape (...).
    """
    eta = linear @ jnp.asarray(rows.columns, linear.dtype).T
    for value in _values(rows.points, rows.multipliers, functions):
        eta = eta + value
    return eta


class SampledTerms(eqx.Module):
    """The terms of a predictor, drawn inside a model: a function of rows.

    Made by `AdditivePredictor.sample_terms`.

    Attributes:
        rows: of the predictor.
        linear: coefficients of all linear terms, shape (..., k).
        functions: of each effect.
    """

    rows: Rows
    linear: Any
    functions: tuple[Any, ...]

    def __call__(self, index: Any = None) -> Float[Array, "..."]:
        """eta at the rows.

        Args:
            index: positions of rows, shape (m,), such as a plate with `subsample_size` gives; all
                rows if omitted. May be traced.

        Returns:
            Shape (..., m), in the units of the predictor.
        """
        rows = self.rows.some(index)
        eta = total(rows, self.linear, self.functions)
        return eta if rows.offset is None else eta + jnp.asarray(rows.offset, eta.dtype)


def terms_of_draws(
    rows: Rows, blocks: tuple[Block, ...], drawn: Drawn, *, together: bool = False
) -> Any:
    """What each term adds to eta, each of shape (..., n): as one program.

    Args:
        rows: of the predictor.
        blocks: of the linear terms.
        drawn: what has been drawn of it.
        together: whether to add them, and the offset.

    Returns:
        The sum, or a tuple of those of the linear terms and those of the effects.
    """
    # Others than these keep known points in float64 outside of programs only.
    located = all(isinstance(own, LocatedPoints | SurfacePoints) for own in rows.points)
    offset = rows.offset if together else None
    parts = rows.columns, rows.points, rows.multipliers, offset, drawn
    return (_in_parts_at_once if located else _in_parts)(*parts, blocks=blocks, together=together)


def _in_parts(
    columns: Any,
    points: Any,
    multipliers: Any,
    offset: Any,
    drawn: Drawn,
    *,
    blocks: tuple[Block, ...],
    together: bool,
) -> Any:
    """Some draws after the others, where all at once would need much memory."""
    dtype = jnp.result_type(float, *drawn.linear, *map(_leaf, drawn.functions))
    linear = [jnp.asarray(v, dtype) for v in drawn.linear]
    linear = [v[..., None] if b.scalar else v for b, v in zip(blocks, linear, strict=True)]
    batch = jnp.shape(linear[0])[:-1] if linear else drawn.functions[0].batch_shape
    leaves = [_leaf(function) for function in drawn.functions]
    num = len(batch)
    flat = [v.reshape(math.prod(batch), *v.shape[num:]) for v in (*linear, *leaves)]

    def some(flat: Any) -> Any:
        pairs = zip(drawn.functions, flat[len(blocks) :], strict=True)
        functions = [eqx.tree_at(_leaf, function, value) for function, value in pairs]
        own = [
            value @ jnp.asarray(columns[:, b.start : b.stop], dtype).T
            for b, value in zip(blocks, flat, strict=False)
        ]
        every = [*own, *_values(points, multipliers, functions)]
        if not together:
            return every
        known = jnp.zeros(len(columns), dtype) if offset is None else jnp.asarray(offset, dtype)
        return sum(every, known)

    size = draws_together(len(columns))
    if math.prod(batch) <= size:
        values = some(flat)
    else:
        values = jax.lax.map(lambda own: some(own), flat, batch_size=size)
    return jax.tree.map(lambda v: v.reshape(*batch, len(columns)), values)


_in_parts_at_once = one_program("blocks", "together")(_in_parts)


def _leaf(function: Any) -> Any:
    """What is another in each draw of a function of an effect."""
    return function.table if isinstance(function, Curve) else function.coefficients


def _values(points: Any, multipliers: Any, functions: Any) -> list[Any]:
    """f of each effect at its rows, times what multiplies it."""
    result = []
    for at, factor, function in zip(points, multipliers, functions, strict=True):
        value = at(function)
        result.append(value if factor is None else value * jnp.asarray(factor, value.dtype))
    return result


def drawn_of(predictor: Any, draws: Mapping[str, Any], prefix: str) -> Drawn:
    """What has been drawn of a predictor, by site name.

    Args:
        predictor: the predictor.
        draws: arrays by site name, with common leading axes (...).
        prefix: of the names, divider included.
    """
    own = {k.removeprefix(prefix): v for k, v in draws.items() if k.startswith(prefix)}
    if missing := [prefix + b.site for b in predictor.terms if b.site not in own]:
        raise KeyError(
            f"`draws` must hold the coefficients of all terms; {missing} are missing among "
            f"{sorted(draws)}. Where they are integrated out, draw them first: "
            "draws = regression.draw(key, draws, y, sigma)."
        )
    linear = [real_array(own[b.site], f"draws[{b.site!r}]") for b in predictor.terms]
    shapes = {}
    for block, value in zip(predictor.terms, linear, strict=True):
        size = block.stop - block.start
        if not block.scalar and value.shape[-1:] != (size,):
            raise ValueError(
                f"`draws[{block.site!r}]` must have {size} coefficients on its last axis; got "
                f"shape {value.shape}."
            )
        shapes[block.site] = value.shape if block.scalar else value.shape[:-1]
    functions = tuple(effect.drawn(own) for effect in predictor.effects)
    pairs = zip(predictor.effects, functions, strict=True)
    shapes |= {effect.name: function.batch_shape for effect, function in pairs}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"`draws` must have common leading axes; got {shapes}.")
    return Drawn(tuple(linear), functions)


def all_parameters(
    family: AbstractFamily, known: Mapping[str, Any], num_observations: int
) -> Mapping[str, Any]:
    """Parameters of a family by name, if none is missing.

    Args:
        family: of the responses.
        known: those that there are.
        num_observations: n.
    """
    if missing := [name for name in family.parameter_shapes(num_observations) if name not in known]:
        raise KeyError(
            f"`draws` must hold the parameters of {type(family).__name__}; {missing} are missing. "
            f"Name their sites so, or give them, {missing[0]}=draws[...]."
        )
    return known


def response_draws(
    key: Array, family: Any, eta: Array, parameters: Mapping[str, Any]
) -> Float[Array, "..."]:
    """Draws of the responses at eta, shape (..., n)."""
    parameters = all_parameters(family, parameters, eta.shape[-1])
    try:
        distribution = family.distribution(eta, **parameters)
    except (TypeError, ValueError):
        distribution = None
    if distribution is None or distribution.batch_shape != eta.shape:
        shapes = {name: jnp.shape(value) for name, value in parameters.items()}
        raise ValueError(
            f"`family` must fit the {eta.shape[-1]} rows of the predictor, and its parameters the "
            f"leading axes {eta.shape[:-1]} of the draws; got {type(family).__name__} with "
            f"{shapes}. Known exposures, trials and weights must be those of these rows."
        )
    return jnp.asarray(distribution.sample(key))
