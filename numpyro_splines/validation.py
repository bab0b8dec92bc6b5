"""Checks of user input, shared by every layer.

All checks look at concrete values only: a traced value passes, because nothing may raise inside a
compiled step.
"""

from __future__ import annotations

import datetime
import operator
import reprlib
from decimal import Decimal
from numbers import Real
from typing import Any, Literal, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

# How many floats there must be in a length that is to be resolved: noise of 1 % of it.
_RESOLVED = 100.0

# Counts and orders above these are slips, and nothing of that size could be made.
_LARGEST, _HIGHEST = 10_000_000, 100
# Penalties divide by powers of the gaps between breakpoints, which must not leave float64.
_NARROWEST = 1e-33


def is_traced(value: Any) -> TypeGuard[Tracer]:
    """Whether the numbers cannot be looked at: a JAX tracer, or rows of other processes too."""
    return isinstance(value, Tracer) or not getattr(value, "is_fully_addressable", True)


def real_array(
    value: Any, name: str, *, missing: Literal["refuse", "nan"] = "refuse"
) -> np.ndarray | jax.Array:
    """`value` as a NumPy or JAX array of real numbers: the one rule of what counts as numbers.

    Integers, floats and booleans (0 and 1) are numbers: in NumPy, in JAX, in pandas (nullable
    columns included), and as objects in a sequence, `Fraction` and `Decimal` among them.
    Masked entries, `pandas.NA` and None are missing. Dates, durations, categories, text and complex
    numbers are refused, also where they are stored as numbers: nothing is reinterpreted.

    Args:
        value: anything array-like.
        name: the argument's name, for the message.
        missing: "nan" where a missing entry means something: it becomes NaN.

    Returns:
        A JAX array unchanged, anything else as a NumPy array. Booleans become integers, extended
        precision becomes float64, and floats that NumPy lacks, such as bfloat16, become float32.

    Raises:
        TypeError: for what is not a real number.
        ValueError: for missing entries, unless `missing` is "nan".
    """
    if isinstance(value, jax.Array):
        return _plain(value, name)
    array, gaps = _unveiled(value, name)
    if gaps is None:
        return array
    if missing == "refuse" and gaps.any():
        raise ValueError(
            f"`{name}` must not have missing values; got {int(gaps.sum())} among {gaps.size} "
            "(masked, NA or None). Drop them first: x.compressed() of a masked array, x.dropna() "
            "in pandas; or say what they are: x.filled(value), x.fillna(value)."
        )
    # Whole numbers with gaps too: only floats have a NaN.
    return np.where(gaps, np.nan, array.astype(np.float64)) if gaps.any() else array


def _unveiled(value: Any, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Plain numbers, and where there are none (what stands there means nothing)."""
    if hasattr(value, "todense"):
        raise TypeError(
            f"`{name}` must hold real numbers; got the sparse {type(value).__name__}. Use its "
            "todense()."
        )
    if hasattr(value, "iloc") and np.ndim(value) == 2 and value.shape[1] == 1:
        raise TypeError(
            f"`{name}` must be the column itself; got a DataFrame of one column. Select it by its "
            "name, data['name'], not data[['name']]."
        )
    if isinstance(value, list | tuple) and any(isinstance(v, np.ma.MaskedArray) for v in value):
        value = np.ma.stack([np.ma.asarray(v) for v in _like_shaped(value, name)])
    if isinstance(value, np.ma.MaskedArray):
        gaps, array = np.ma.getmaskarray(value), np.ma.getdata(value)
        if array.dtype == object:
            array, more = _from_objects(array, name)
            gaps = gaps | more
        return _plain(array, name), gaps
    dtype: Any = getattr(value, "dtype", None)
    if hasattr(dtype, "kind") and not isinstance(dtype, np.dtype):
        # A column of a type of pandas' own.
        column: Any = value
        if dtype.kind in "iufb":
            return column.to_numpy(dtype=np.float64, na_value=np.nan), np.asarray(column.isna())
        if dtype.kind in "mM" or str(dtype) == "category":
            raise _not_numbers(name, f"dtype {dtype}", dtype.kind)
    if value is None:
        raise _not_numbers(name, "None", "O")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"`{name}` must be an array, or lists of one length: {error}.") from error
    if array.dtype == object:
        return _from_objects(array, name)
    return _plain(array, name), None


def _like_shaped(items: Any, name: str) -> Any:
    """Arrays that can be stacked."""
    shapes = [np.shape(item) for item in items]
    if len(set(shapes)) > 1:
        raise ValueError(f"`{name}` must hold entries of one shape; got {shapes}.")
    return items


def _plain(array: Any, name: str) -> Any:
    """An array of integers or floats that NumPy and JAX both compute with."""
    dtype = array.dtype
    if jnp.issubdtype(dtype, jnp.bool_):
        return array.astype(np.int8)
    # To NumPy durations are integers.
    if getattr(dtype, "kind", "") == "m" or not (
        jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.floating)
    ):
        raise _not_numbers(name, f"dtype {dtype}", getattr(dtype, "kind", ""))
    if jnp.issubdtype(dtype, jnp.integer):
        return array
    if not np.issubdtype(dtype, np.floating):
        return array.astype(np.float32)
    return array.astype(np.float64) if dtype.itemsize > 8 else array


def _from_objects(array: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Float64 from Python objects one by one, and where an entry is missing."""
    values, gaps = np.full(array.shape, np.nan), np.zeros(array.shape, bool)
    for index, entry in np.ndenumerate(array):
        if entry is None or entry is np.ma.masked or type(entry).__name__ == "NAType":
            gaps[index] = True
        elif isinstance(entry, Real | Decimal | np.bool_):
            values[index] = _float(entry, name)
        else:
            kind = type(entry).__name__
            day = isinstance(entry, datetime.date) or kind == "Period"
            span = isinstance(entry, datetime.timedelta)
            got = f"{reprlib.repr(entry)} of type {kind}"
            raise _not_numbers(name, got, "M" if day else "m" if span else "O")
    return values, gaps


def _float(entry: Any, name: str) -> float:
    try:
        return float(entry)
    except OverflowError:
        raise ValueError(f"`{name}` must be finite in float64; got a larger integer.") from None


def _not_numbers(name: str, got: str, kind: str) -> TypeError:
    """The error for what is not a real number, with the way out for its kind."""
    fix = {
        "M": "A date has no unit; give days since a date: (t - t[0]) / np.timedelta64(1, 'D'), "
        "with t of dtype datetime64 (periods: to_timestamp()).",
        "m": "A duration has no unit; give days: t / np.timedelta64(1, 'D'), with t of dtype "
        "timedelta64.",
        "c": "Take its real or imaginary part, or its size.",
    }.get(kind, f"Convert it first, for example with numpy.asarray({name}, dtype=float).")
    return TypeError(f"`{name}` must hold real numbers; got {got}. {fix}")


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


def float64_array(
    value: Any,
    name: str,
    *,
    ndim: int | None = None,
    missing: Literal["refuse", "nan"] = "refuse",
) -> np.ndarray:
    """`value` as a finite float64 NumPy array, for what is computed once on the host.

    Args:
        value: concrete numbers; see `real_array`.
        name: the argument's name, for the message.
        ndim: the number of dimensions asked for, if any.
        missing: "nan" where NaN, and what `real_array` takes for missing, means something.

    Raises:
        TypeError: if `value` is traced or not real.
        ValueError: if it has another number of dimensions, a missing entry, a NaN or an infinity.
    """
    if is_traced(value):
        raise TypeError(
            f"`{name}` must be concrete numbers; got a traced value. "
            "Build it outside jit, vmap, grad and the model, and use the result inside."
        )
    array = np.asarray(real_array(value, name, missing=missing), dtype=np.float64)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"`{name}` must have {ndim} dimension(s); got shape {array.shape}.")
    bad = np.isinf(array) if missing == "nan" else ~np.isfinite(array)
    if np.any(bad):
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        where = index[0] if len(index) == 1 else index
        raise ValueError(
            f"`{name}` must be finite{', or NaN where missing' if missing == 'nan' else ''}; got "
            f"{array[index]} at index {where}. Drop or impute such entries first."
        )
    return array


def float64_rows(value: Any, name: str) -> np.ndarray:
    """`value` as float64 NumPy of shape (n,), NaN where a row is missing.

    Raises:
        TypeError: if `value` is not real.
        ValueError: if it has another number of axes.
    """
    rows = np.asarray(real_array(value, name, missing="nan"), dtype=np.float64)
    if rows.ndim != 1:
        raise ValueError(f"`{name}` must have one axis, one entry per row; got shape {rows.shape}.")
    return rows


def integer_at_least(value: Any, minimum: int, name: str, maximum: int = _LARGEST) -> int:
    """`value` as a Python int of at least `minimum`, and not so large that it must be a slip.

    Raises:
        TypeError: if it is not an integer (booleans are not).
        ValueError: if it is too small or too large.
    """
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"`{name}` must be an integer; got {value!r}.")
    try:
        number = operator.index(value)
    except TypeError:
        got = reprlib.repr(value)
        raise TypeError(f"`{name}` must be an integer; got {got}.") from None
    if number < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}; got {reprlib.repr(number)}.")
    if number > maximum:
        raise ValueError(f"`{name}` must be at most {maximum}; got {reprlib.repr(number)}.")
    return number


def order_at_least(value: Any, minimum: int, name: str) -> int:
    """As `integer_at_least`, for degrees and orders of derivatives: beyond 100 nothing is left.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is too small or too large.
    """
    return integer_at_least(value, minimum, name, _HIGHEST)


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
    gaps = np.diff(points / 2.0)
    if gaps.min() < _NARROWEST or gaps.max() > 1.0 / _NARROWEST:
        raise ValueError(
            f"`{name}` must be between {_NARROWEST:g} and {1.0 / _NARROWEST:g} apart; got gaps "
            f"from {2.0 * gaps.min():g}. Use other units of x."
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


def check_resolution(values: Any, spacing: Any, name: str) -> None:
    """Refuse numbers so far from zero that JAX's default float dtype loses what is asked of them.

    Args:
        values: in the units of x; traced ones and NaN pass.
        spacing: what must be resolved, in the same units, broadcast against them; zero, traced ones
            and NaN pass.
        name: the argument's name, for the message.

    Raises:
        ValueError: if a spacing is less than 100 times that of floats at its value.
    """
    if is_traced(values) or is_traced(spacing):
        return
    dtype = np.dtype(jnp.result_type(float))
    with np.errstate(over="ignore"):
        values, spacing = np.broadcast_arrays(
            np.asarray(values, np.float64), np.asarray(spacing, np.float64)
        )
        step = np.spacing(abs(values).astype(dtype)).astype(np.float64)
    bad = (spacing > 0.0) & (spacing < _RESOLVED * step)
    if bad.any():
        i = np.unravel_index(np.argmax(bad), bad.shape)
        raise ValueError(
            f"`{name}` is too far from zero: near {values[i]:.10g} numbers of dtype {dtype} are "
            f"{step[i]:.3g} apart, and {spacing[i]:.3g} must be told apart. Subtract "
            f"{np.median(values[bad]):.10g} from x, its population and the knots, or enable "
            "float64: jax.config.update('jax_enable_x64', True)."
        )
