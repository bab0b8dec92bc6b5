"""Labels of groups and areas: which there are, and their positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from numpyro_splines.validation import integer_at_least

_NEW_LEVELS = (
    "For new levels draw new_levels() of the effect; for other labels make the margin of these."
)


def levels_of(labels: Any, name: str) -> tuple[Any, ...]:
    """The distinct labels: categories in their order, anything else sorted.

    Args:
        labels: strings, integers or other labels, in a sequence, an array or a pandas column; or a
            number n, which stands for 0, ..., n - 1.
        name: of the argument, for messages.

    Raises:
        TypeError: if labels cannot be sorted, or are fractions.
        ValueError: if there are none, or some are missing.
    """
    if isinstance(labels, int | np.integer) and not isinstance(labels, bool):
        if labels < 1:
            raise ValueError(f"`{name}` must be at least one level; got {labels}.")
        return tuple(range(integer_at_least(labels, 1, name)))
    if isinstance(labels, str | bytes) or not (_has_axes(labels, name)):
        raise TypeError(
            f"`{name}` must be labels in a sequence or a column, or a number of levels; got "
            f"{labels!r}."
        )
    found, _ = _coded(labels, name)
    if _categories(labels) is None:
        try:
            found = sorted(found)
        except TypeError:
            kinds = sorted({type(v).__name__ for v in found})
            raise TypeError(
                f"`{name}` must be labels of one kind; got {kinds}. Convert them to strings."
            ) from None
    if not found:
        raise ValueError(f"`{name}` must hold at least one label; got none.")
    return tuple(found)


def _has_axes(labels: Any, name: str) -> bool:
    try:
        return np.ndim(labels) > 0
    except ValueError as error:
        raise TypeError(f"`{name}` must be labels, such as strings: {error}.") from error


def distinct(labels: Any, name: str) -> tuple[Any, ...]:
    """Labels as they are given, if all are different.

    Args:
        labels: as in `levels_of`.
        name: of the argument, for messages.

    Raises:
        ValueError: if one occurs twice, or is missing.
    """
    known = levels_of(labels, name)
    if np.ndim(labels) == 0:
        return known
    values, code = _coded(labels, name)
    if len(values) < code.size:
        twice = values[int(np.argmax(np.bincount(code)))]
        raise ValueError(f"`{name}` must all be different; got {twice!r} twice. Name each once.")
    return tuple(values[i] for i in code)


def positions(
    labels: Any, levels: tuple[Any, ...], name: str, advice: str = _NEW_LEVELS
) -> np.ndarray:
    """The position of each label among the levels, of the shape of the labels.

    Args:
        labels: as in `levels_of`.
        levels: the levels.
        name: of the argument, for messages.
        advice: what to do about labels that are none of them.

    Raises:
        ValueError: if a label is none of the levels.
    """
    values, code = _coded(labels, name)
    known = {level: i for i, level in enumerate(levels)}
    unknown = sorted((v for v in values if v not in known), key=str)
    if unknown:
        shown = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        first = ", ".join(map(repr, levels[:5])) + (", ..." if len(levels) > 5 else "")
        raise ValueError(
            f"`{name}` must hold levels that are known, {first}; got {shown}. {advice}"
        )
    index = np.array([known[v] for v in values], dtype=np.int32)
    return index[code].reshape(np.shape(labels))


def _categories(labels: Any) -> Any:
    """What pandas declares, or None."""
    return getattr(getattr(labels, "dtype", None), "categories", None)


def _coded(labels: Any, name: str) -> tuple[list[Any], np.ndarray]:
    """The labels that occur as Python objects, and which of them each one is, shape (n,).

    Categories in their order: of what is declared only what occurs, as an empty level has no data.
    """
    categories = _categories(labels)
    if categories is not None:
        code = np.asarray(getattr(labels, "cat", labels).codes)
        _check_complete(bool((code < 0).any()), name)
        seen, code = np.unique(code, return_inverse=True)
        return [categories.tolist()[i] for i in seen], code.reshape(-1)
    try:
        array = np.asarray(labels)
    except (ValueError, TypeError, OverflowError) as error:
        raise TypeError(f"`{name}` must be labels, such as strings: {error}.") from error
    masked = isinstance(labels, np.ma.MaskedArray)
    _check_complete(masked and bool(np.ma.getmaskarray(labels).any()), name)
    if array.dtype.kind == "f" and not np.isnan(array).any():
        if not np.all(array == np.round(array)):
            raise TypeError(
                f"`{name}` must be labels, not measurements; got fractions such as "
                f"{array.ravel()[array.ravel() != np.round(array.ravel())][0]}. A numeric input "
                "takes a CurveMargin; missing labels must be dropped first."
            )
        array = array.astype(np.int64)
    places: dict[Any, int] = {}
    if array.dtype.kind in "iub":
        numbers, code = np.unique(array, return_inverse=True)
        return numbers.tolist(), code.reshape(-1)
    try:
        code = [places.setdefault(v, len(places)) for v in array.ravel().tolist()]
    except TypeError as error:  # unhashable entries are no labels
        raise TypeError(f"`{name}` must be labels, such as strings: {error}.") from error
    _check_complete(any(v is None or v != v or type(v).__name__ == "NAType" for v in places), name)
    return list(places), np.array(code, np.intp)


def _check_complete(missing: bool, name: str) -> None:
    if missing:
        raise ValueError(f"`{name}` must not have missing labels. Drop these rows, or name them.")
