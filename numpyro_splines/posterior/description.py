"""Effects as plain text and arrays, and back, without running anything that a file says."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from numpyro_splines.posterior.vocabulary import class_of, fields_of, kind_of, made_of


def described(value: Any, arrays: list[np.ndarray], place: str) -> Any:
    """An object as what JSON can hold, its arrays apart: the name of its class and its fields.

    Args:
        value: the object.
        arrays: where its arrays are appended.
        place: where it is found, for the message.

    Raises:
        TypeError: for a function, or an object of another package.
    """

    def inner(items: Mapping[Any, Any]) -> dict[Any, Any]:
        return {name: described(item, arrays, f"{place}.{name}") for name, item in items.items()}

    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        array = np.asarray(value)
        if array.size == 0:  # netCDF takes a length of zero for an unlimited one.
            return {"empty": list(array.shape), "dtype": array.dtype.name}
        arrays.append(array)
        return {"array": len(arrays) - 1}
    if isinstance(value, tuple | list) and fields_of(value) is None:
        return {type(value).__name__: list(inner(dict(enumerate(value))).values())}
    if isinstance(value, Mapping):
        return {"dict": inner(value)}
    kind, fields = kind_of(type(value)), fields_of(value)
    if kind is not None and fields is not None:
        return {"kind": kind, "fields": inner(fields)}
    raise TypeError(
        f"`effects` must be made of arrays, numbers and objects of numpyro_splines and NumPyro to "
        f"be saved; got {type(value).__name__} for {place}. Give coefficients or a Curve in place "
        "of a function, or pickle the effect."
    )


def restored(description: Any, arrays: Sequence[np.ndarray], classes: Mapping[str, type]) -> Any:
    """The object of a description.

    Args:
        description: what `described` returned.
        arrays: its arrays.
        classes: classes by their paths, besides those of this package and NumPyro.

    Raises:
        ValueError: if the description names an unknown class, or is none.
    """

    def inner(items: Sequence[Any]) -> list[Any]:
        return [restored(item, arrays, classes) for item in items]

    match description:
        case None | bool() | int() | float() | str():
            return description
        case {"array": int(index)} if 0 <= index < len(arrays):
            return arrays[index]
        case {"empty": list(shape), "dtype": str(dtype)} if 0 in shape:
            return np.zeros(shape, dtype)
        case {"tuple": list(items)}:
            return tuple(inner(items))
        case {"list": list(items)}:
            return inner(items)
        case {"dict": dict(items)}:
            return dict(zip(items, inner(list(items.values())), strict=True))
        case {"kind": str(kind), "fields": dict(fields)}:
            cls = class_of(kind, classes)
            return made_of(cls, dict(zip(fields, inner(list(fields.values())), strict=True)))
    raise ValueError(f"{reprlib.repr(description)} describes nothing")
