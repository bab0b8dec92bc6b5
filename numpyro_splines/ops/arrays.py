"""NumPy or JAX: which of the two an array belongs to, and one program for concrete ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from numpyro_splines.validation import is_traced


def array_module(*arrays: Any) -> Any:
    """`numpy` where all arrays are NumPy's, else `jax.numpy`: one formula serves both."""
    return np if all(isinstance(a, np.ndarray) for a in arrays) else jnp


def safe_reciprocal(x: Any) -> Any:
    """1 / x where x > 0, else 0, with finite derivatives in both branches (double `where`).

    Denormal numbers count as zero, as they do in XLA: their reciprocals overflow.
    """
    xp = array_module(x)
    positive = x >= float(jnp.finfo(x.dtype).tiny)
    return xp.where(positive, 1.0 / xp.where(positive, x, 1.0), 0.0).astype(x.dtype)


def take(values: Any, index: Any, axis: int = -1) -> Any:
    """`values` at `index` along `axis`; the caller guarantees that indices are in bounds.

    On a mesh of explicit axes what is taken lies where its index does.
    """
    selector = (..., index) if axis == -1 else (..., index, slice(None))
    if isinstance(values, np.ndarray) and isinstance(index, np.ndarray):
        return values[selector]
    values, place = jnp.asarray(values), jax.typeof(index).sharding
    if any(place.spec):
        after = 0 if axis == -1 else 1
        before = values.ndim - 1 - after
        spec = PartitionSpec(*[None] * before, *place.spec, *[None] * after)
        place = NamedSharding(place.mesh, spec)
        return values.at[selector].get(mode="promise_in_bounds", out_sharding=place)
    return values.at[selector].get(mode="promise_in_bounds")


def take_rows(values: Any, rows: np.ndarray) -> Any:
    """`values` at known rows, the last axis; as they are where the rows are all there are.

    A gather of rows that are spread over devices would bring all of them to each.
    """
    values = jnp.asarray(values)
    return values if _all_in_order(rows, values.shape[-1]) else values[..., rows]


def set_rows(values: Any, rows: np.ndarray, new: Any) -> Any:
    """`values` with new ones at known rows, the last axis; the new ones alone as in `take_rows`."""
    if _all_in_order(rows, values.shape[-1]):
        return jnp.broadcast_to(jnp.asarray(new, values.dtype), values.shape)
    return values.at[..., rows].set(new)


def _all_in_order(rows: np.ndarray, num: int) -> bool:
    return rows.shape == (num,) and bool(np.all(rows == np.arange(num)))


def in_float64(function: Callable[..., Any], *arguments: Any) -> Any:
    """A function of arrays in JAX worked out on the host: in float64, also within a trace.

    Args:
        function: compiled or not.
        *arguments: pytrees of known arrays.

    Returns:
        What it returns, as NumPy arrays.
    """
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        # JAX remembers an array by its identity, also what it was rounded to where x64 is off.
        return jax.tree.map(np.asarray, function(*jax.tree.map(np.array, arguments)))


def one_program(*static: str, **known: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function as one program, also where it is called or differentiated eagerly.

    Else each operation would be a program of its own. In a function that is compiled anyhow it
    becomes a part of that program.

    Args:
        *static: names of keywords that are no arrays.
        **known: keywords that the function gets where nothing is traced, and only there.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        program = jax.jit(function, static_argnames=(*static, *known))

        @wraps(function)
        def called(*arguments: Any, **options: Any) -> Any:
            arguments = jax.tree.map(_canonical, arguments)
            if known and not any(is_traced(leaf) for leaf in jax.tree.leaves(arguments)):
                options = {**known, **options}
            return program(*arguments, **options)

        return called

    return decorate


def _canonical(leaf: Any) -> Any:
    """A NumPy array in the dtype that JAX has for it now.

    JAX remembers constants by the array itself, also what it rounded them to: the same array must
    not be seen in both precisions.
    """
    if not isinstance(leaf, np.ndarray):
        return leaf
    return leaf.astype(jax.dtypes.canonicalize_dtype(leaf.dtype), copy=False)
