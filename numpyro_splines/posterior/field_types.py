"""Whether what a file says of an object suits the fields of its class."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from numbers import Real
from typing import Any

import jax
import numpy as np


def check_fields(cls: type, fields: Mapping[str, Any]) -> None:
    """Refuse fields of another type than the class declares.

    Only types are looked at, not shapes: draws add axes in front.

    Args:
        cls: a class with annotated fields.
        fields: their values by name.

    Raises:
        ValueError: naming the class, the field and what came.
    """
    try:
        hints = typing.get_type_hints(cls)
    except NameError:  # A class of one's own may name types that exist for its checker only.
        return
    for name, value in fields.items():
        if not _suits(value, hints.get(name, Any)):
            raise ValueError(
                f"{cls.__name__}.{name} must not be of type {type(value).__name__}, or hold such"
            )


def _suits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_suits(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return isinstance(value, str) and value in arguments
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if arguments[-1] is Ellipsis:
            return all(_suits(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(_suits, value, arguments))
    if hint is Any:
        return True
    if hasattr(hint, "array_type") or hint is np.ndarray:
        return isinstance(value, np.ndarray | jax.Array | Real)
    if hint in (int, float, bool):
        # NumPy's numbers become arrays without axes in a file.
        return isinstance(value, Real) or (isinstance(value, np.ndarray) and value.ndim == 0)
    return not isinstance(hint, type) or isinstance(value, hint)
