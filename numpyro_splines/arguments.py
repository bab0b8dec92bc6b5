"""Checks of arguments that are no arrays: words, names, switches, single numbers, objects."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from numpyro_splines.validation import float64_array

_T = TypeVar("_T")


def kinds_of(value: Any) -> str:
    """For messages: the class of a value; of a tuple or list those of its items."""
    if not isinstance(value, tuple | list):
        return type(value).__name__
    items = [type(item).__name__ for item in value[:4]] + ["..."] * (len(value) > 4)
    return f"a {type(value).__name__} of {len(value)} ({', '.join(items)})"


def instance_of(value: Any, cls: type[_T], name: str, advice: str = "") -> _T:
    """`value` if it is an object of the class.

    Args:
        value: anything.
        cls: the class.
        name: the argument's name, for the message.
        advice: how such an object is made, one sentence.

    Raises:
        TypeError: if it is none.
    """
    if isinstance(value, cls):
        return value
    kind = cls.__name__.removeprefix("Abstract")
    article = "an" if kind[0] in "AEIO" else "a"
    raise TypeError(f"`{name}` must be {article} {kind}; got {kinds_of(value)}. {advice}".rstrip())


def text(value: Any, name: str) -> str:
    """`value` if it is a string.

    Raises:
        TypeError: if it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"`{name}` must be a string; got {kinds_of(value)}.")
    return value


def one_of(value: Any, words: tuple[str, ...], name: str) -> str:
    """`value` if it is one of the words.

    Raises:
        ValueError: if it is none of them.
    """
    if isinstance(value, str) and value in words:
        return value
    quoted = [f'"{word}"' for word in words]
    listed = f"{', '.join(quoted[:-1])} or {quoted[-1]}"
    raise ValueError(f"`{name}` must be {listed}; got {reprlib.repr(value)}.")


def flag(value: Any, name: str) -> bool:
    """`value` as True or False; 0 and 1 are taken too.

    Raises:
        TypeError: if it is something else.
    """
    if isinstance(value, bool | np.bool_) or (type(value) is int and value in (0, 1)):
        return bool(value)
    raise TypeError(f"`{name}` must be True or False; got {kinds_of(value)}.")


def number(value: Any, name: str) -> float:
    """`value` as one finite number.

    Raises:
        TypeError: if it is not real.
        ValueError: if it has axes or is not finite.
    """
    array = float64_array(value, name)
    if array.shape != ():
        raise ValueError(f"`{name}` must be one number; got shape {array.shape}.")
    return float(array)


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """`value` as a mapping whose keys are strings; None is an empty one.

    Raises:
        TypeError: if it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError(f"`{name}` must be a mapping from names; got {kinds_of(value)}.")
    return value


def names(value: Any, name: str) -> tuple[str, ...]:
    """`value` as a tuple of strings.

    Raises:
        TypeError: if it is something else, or a single string.
    """
    try:
        items: tuple[Any, ...] = (None,) if isinstance(value, str) else tuple(value)
    except TypeError:
        items = (None,)
    if not all(isinstance(item, str) for item in items):
        raise TypeError(f"`{name}` must be a sequence of names; got {kinds_of(value)}.")
    return items
