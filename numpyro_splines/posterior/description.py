"""Effects as plain text and arrays, and back, without running anything that a file says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import equinox as eqx
import jax
import numpy as np

# Whose classes a description may name; others must be given by the reader.
TRUSTED = ("numpyro_splines.", "numpyro.distributions.")


def described(value: Any, arrays: list[np.ndarray], place: str) -> Any:
    """An object as what JSON can hold, its arrays apart.

    Objects of this package by their fields; distributions, transforms and constraints of NumPyro by
    what they hand to JAX's trees.

    Args:
        value: the object.
        arrays: where its arrays are appended.
        place: where it is found, for the message.

    Raises:
        TypeError: for a function, or an object of another package.
    """

    def inner(items: Sequence[Any], names: Sequence[Any]) -> list[Any]:
        pairs = zip(items, names, strict=True)
        return [described(item, arrays, f"{place}.{name}") for item, name in pairs]

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
    if isinstance(value, tuple | list):
        return {type(value).__name__: inner(value, range(len(value)))}
    if isinstance(value, Mapping):
        return {"dict": dict(zip(value, inner(list(value.values()), list(value)), strict=True))}
    if isinstance(value, eqx.Module):
        names = [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
        fields = inner([getattr(value, name) for name in names], names)
        return {"class": path_of(type(value)), "fields": dict(zip(names, fields, strict=True))}
    if path_of(type(value)).startswith(TRUSTED) and hasattr(value, "tree_flatten"):
        children, rest = value.tree_flatten()
        inside = inner([children, rest], ["children", "rest"])
        return {"class": path_of(type(value)), "tree": inside}
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
        case {"array": int(index)}:
            return arrays[index]
        case {"empty": list(shape), "dtype": str(dtype)}:
            return np.zeros(shape, dtype)
        case {"tuple": list(items)}:
            return tuple(inner(items))
        case {"list": list(items)}:
            return inner(items)
        case {"dict": dict(items)}:
            return dict(zip(items, inner(list(items.values())), strict=True))
        case {"class": str(path), "fields": dict(fields)}:
            cls = _class(path, classes)
            if not issubclass(cls, eqx.Module) or fields.keys() - _fields(cls):
                raise ValueError(f"{path} of this version has no fields {sorted(fields)}")
            made = object.__new__(cls)
            # As when JAX puts a tree together: nothing is computed again.
            for name, value in zip(fields, inner(list(fields.values())), strict=True):
                object.__setattr__(made, name, value)
            return made
        case {"class": str(path), "tree": [children, rest]}:
            unflatten: Any = getattr(_class(path, classes), "tree_unflatten", None)
            if unflatten is None:
                raise ValueError(f"{path} is no class of distributions or transforms")
            children, rest = inner([children, rest])
            return unflatten(rest, children)
    raise ValueError(f"{description!r} describes nothing")


def path_of(cls: type) -> str:
    """Full dotted name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _fields(cls: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}


def _class(path: str, classes: Mapping[str, type]) -> type:
    if path in classes:
        return classes[path]
    module, _, name = path.rpartition(".")
    if path.startswith(TRUSTED):
        try:
            found = getattr(import_module(module), name, None)
        except ImportError:
            found = None
        if isinstance(found, type):
            return found
    raise ValueError(
        f"the class {path} is unknown here. Give classes of your own as "
        "load(path, classes=[...]); others may be those of another version of numpyro_splines or "
        "NumPyro"
    )
