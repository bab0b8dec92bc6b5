"""Checks of user input, shared by every layer.

All checks look at concrete values only: a traced value passes, because nothing may raise inside a
compiled step.
"""

from __future__ import annotations

import operator
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float


def is_traced(value: Any) -> TypeGuard[Tracer]:
    """Whether `value` is a JAX tracer, so that its numbers cannot be looked at."""
    return isinstance(value, Tracer)


def real_array(value: Any, name: str) -> np.ndarray | jax.Array:
    """`value` as a NumPy or JAX array of real numbers (a pandas Series becomes a NumPy array).

    Args:
        value: anything array-like.
        name: the argument's name, for the message.

    Returns:
        A JAX array unchanged, anything else through `numpy.asarray`.

    Raises:
        TypeError: for strings, booleans, complex numbers and other non-numeric input.
    """
    array = value if isinstance(value, jax.Array) else np.asarray(value)
    if not (jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)):
        raise TypeError(
            f"`{name}` must hold real numbers; got dtype {array.dtype}. "
            f"Convert it first, for example with numpy.asarray({name}, dtype=float)."
        )
    return array


def float_input(value: Any, name: str) -> Float[Array, "..."]:
    """`value` as a JAX array of floats: floats keep their dtype, integers get JAX's default."""
    array = real_array(value, name)
    if jnp.issubdtype(array.dtype, jnp.integer):
        return jnp.asarray(array, dtype=jnp.result_type(float))
    return jnp.asarray(array)


def float_dtype(array: Any) -> Any:
    """The dtype in which JAX computes with an array: its own if of floats, else the default."""
    floats = jnp.issubdtype(array.dtype, jnp.floating)
    return jax.dtypes.canonicalize_dtype(array.dtype) if floats else jnp.result_type(float)


def float64_array(value: Any, name: str, *, ndim: int | None = None) -> np.ndarray:
    """`value` as a finite float64 NumPy array, for what is computed once on the host.

    Raises:
        TypeError: if `value` is traced or not real.
        ValueError: if it has another number of dimensions, or a NaN or infinity.
    """
    if is_traced(value):
        raise TypeError(
            f"`{name}` must be concrete numbers; got a traced value. "
            "Build it outside jit, vmap, grad and the model, and use the result inside."
        )
    array = np.asarray(real_array(value, name), dtype=np.float64)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"`{name}` must have {ndim} dimension(s); got shape {array.shape}.")
    if not np.all(np.isfinite(array)):
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        where = index[0] if len(index) == 1 else index
        raise ValueError(
            f"`{name}` must be finite; got {array[index]} at index {where}. "
            "Drop or impute such entries first."
        )
    return array


def float64_rows(value: Any, name: str) -> np.ndarray:
    """`value` as float64 NumPy of shape (n,), NaN where a row is missing.

    Raises:
        TypeError: if `value` is not real.
        ValueError: if it has another number of axes.
    """
    rows = np.asarray(real_array(value, name), dtype=np.float64)
    if rows.ndim != 1:
        raise ValueError(f"`{name}` must have one axis, one entry per row; got shape {rows.shape}.")
    return rows


def integer_at_least(value: Any, minimum: int, name: str) -> int:
    """`value` as a Python int of at least `minimum`.

    Raises:
        TypeError: if it is not an integer (booleans are not).
        ValueError: if it is too small.
    """
    if isinstance(value, bool):
        raise TypeError(f"`{name}` must be an integer; got {value!r}.")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"`{name}` must be an integer; got {value!r}.") from None
    if number < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}; got {number}.")
    return number


def positive_number(value: Any, name: str) -> np.ndarray:
    """`value` as a float64 array without dimensions, above zero.

    Raises:
        ValueError: if it has dimensions or is not positive.
    """
    number = float64_array(value, name)
    if number.shape != () or not number > 0.0:
        raise ValueError(f"`{name}` must be one positive number; got {number}.")
    return number


def increasing(values: np.ndarray, name: str, *, strict: bool) -> np.ndarray:
    """`values` if they increase (strictly, or weakly where `strict` is false).

    Raises:
        ValueError: naming the first offending pair.
    """
    steps = np.diff(values)
    bad = np.flatnonzero(steps <= 0 if strict else steps < 0)
    if bad.size:
        i = int(bad[0])
        rule = "strictly increasing" if strict else "non-decreasing"
        raise ValueError(
            f"`{name}` must be {rule}; got {values[i]:.17g} before {values[i + 1]:.17g} at index "
            f"{i + 1}. Sort the values{' and drop repeated ones' if strict else ''} first."
        )
    return values


def breakpoint_array(value: Any, name: str = "breakpoints") -> np.ndarray:
    """`value` as strictly increasing float64 breakpoints, at least two of them."""
    points = increasing(float64_array(value, name, ndim=1), name, strict=True)
    if points.size < 2:
        raise ValueError(
            f"`{name}` must hold at least 2 values, both ends of the domain; got {points.size}."
        )
    return points


def check_knots(knots: Any, degree: int) -> np.ndarray | jax.Array:
    """Full knot vector as float64 NumPy when concrete, unchanged when traced.

    Raises:
        TypeError: if the knots are not real numbers.
        ValueError: if they are not one-dimensional, finite and non-decreasing, if they are fewer
            than 2 (degree + 1), or if the base interval [t[degree], t[-degree-1]] is empty.
    """
    if is_traced(knots):
        shape = knots.shape
    else:
        knots = increasing(float64_array(knots, "knots", ndim=1), "knots", strict=False)
        shape = knots.shape
    if len(shape) != 1 or shape[0] < 2 * (degree + 1):
        raise ValueError(
            f"`knots` must be one full knot vector of at least 2 (degree + 1) = {2 * (degree + 1)} "
            f"values; got shape {shape}. numpyro_splines.knots.clamped(breakpoints, degree) "
            "makes one from breakpoints."
        )
    if isinstance(knots, np.ndarray) and not knots[degree] < knots[-degree - 1]:
        raise ValueError(
            f"`knots` must leave a base interval between knots[degree] and knots[-degree-1]; got "
            f"{knots[degree]:.17g} for both at degree {degree}. Add distinct interior knots."
        )
    return knots
