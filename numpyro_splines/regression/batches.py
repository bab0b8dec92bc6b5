"""Data frames that come one after the other: files, partitions, generators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

# Rows that are worked on together: what they need fits into the caches of a processor.
_TOGETHER = 1 << 16


class Batches:
    """Data frames, or arrays by name, one after the other; as often as they are asked for.

    Args:
        source: an iterable of batches, or a function that returns one.
    """

    def __init__(self, source: Any):
        if not callable(source) and not isinstance(source, Iterable):
            raise TypeError(
                "`batches` must be an iterable of data frames (or of arrays by name), or a "
                f"function that returns one; got {type(source).__name__}."
            )
        if hasattr(source, "columns") or isinstance(source, Mapping):
            raise TypeError(
                "`batches` must be an iterable of data frames; got one of them. Take from_frame "
                "for rows in memory, or give a list, [frame]."
            )
        self.source: Any = source

    @property
    def repeatable(self) -> bool:
        """Whether the batches can be had more than once."""
        return callable(self.source) or iter(self.source) is not self.source

    def head(self) -> Any:
        """The first rows, as many as are worked on together.

        Raises:
            ValueError: if there are none.
        """
        batches = iter(self)
        first = next((batch for batch in batches if num_rows(batch)), None)
        if first is None:
            raise ValueError("`batches` must hold rows; got none.")
        if not self.repeatable:
            self.source = chain([first], batches)
        return next(pieces(first))

    def __iter__(self) -> Iterator[Any]:
        batches: Any = self.source() if callable(self.source) else self.source
        return map(in_memory, batches)


def in_memory(batch: Any) -> Any:
    """A batch as a data frame or arrays by name: of Arrow, Polars and Dask what they convert to."""
    for method in ("to_pandas", "compute"):
        if callable(convert := getattr(batch, method, None)):
            return convert()
    return batch


def num_rows(batch: Any) -> int:
    """How many rows a data frame, or arrays by name, have."""
    if isinstance(batch, Mapping):
        return max((len(column) for column in batch.values()), default=0)
    return len(batch)


def pieces(batch: Any) -> Iterator[Any]:
    """A batch in parts of as many rows as are worked on together."""
    n = num_rows(batch)
    for start in range(0, n, _TOGETHER):
        own = slice(start, start + _TOGETHER)
        if n <= _TOGETHER:
            yield batch
        elif isinstance(batch, Mapping):
            yield {name: column[own] for name, column in batch.items()}
        else:
            yield batch.iloc[own] if hasattr(batch, "iloc") else batch[own]
