"""What can be said of a saved file before a library of formats opens it: whole, and no larger."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py

# The last line of a file: the checksum of all that is before it. HDF5 takes no notice of what
# follows its own end, and cuts it off where a file is opened for writing: then there is no seal.
_MARK = b"\nnumpyro_splines sha256 "
_LENGTH = len(_MARK) + 2 * hashlib.sha256().digest_size + 1

# Nothing is compressed, so arrays are not larger than the file; this leaves room for names of axes.
_EXPANSION = 8


def seal(path: Path) -> None:
    """Append the checksum of a file to it."""
    with path.open("r+b") as file:
        digest = _digest(file, path.stat().st_size)
        file.write(_MARK + digest + b"\n")


def check_seal(path: Any) -> None:
    """Refuse a file whose checksum is another one; files without a seal pass.

    Raises:
        ValueError: if the checksum is of other bytes, or not at the end.
    """
    with Path(path).open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 2 * _LENGTH, 0))
        last = file.read()
        place = last.rfind(_MARK)
        if place < 0:
            return
        expected = last[place:]
        digest = _digest(file, end - len(expected))
    if expected != _MARK + digest + b"\n":
        raise ValueError(
            f"`path` must not be damaged; the contents of {path} are not what was written to it."
        )


def _digest(file: BinaryIO, length: int) -> bytes:
    """Checksum of the first bytes, of which not all need to fit into memory."""
    digest = hashlib.sha256()
    file.seek(0)
    while length > 0 and (block := file.read(min(length, 1 << 20))):
        digest.update(block)
        length -= len(block)
    return digest.hexdigest().encode()


def check_sizes(path: Any, groups: tuple[str, ...]) -> None:
    """Refuse a file that announces more than it holds, or points to another file.

    Args:
        path: of the file.
        groups: whose arrays will be read.

    Raises:
        ValueError: for arrays larger than the file, or kept elsewhere.
    """
    room = _EXPANSION * Path(path).stat().st_size
    with h5py.File(path, "r") as file:
        total = sum(_size(name, array) for name, array in _arrays(file, groups))
    if total > room:
        raise ValueError(f"its arrays would take {total} bytes, more than the file can hold")


def _arrays(file: Any, groups: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for group in groups:
        for name in file[group]:
            place = f"{group}/{name}"
            if not isinstance(file.get(place, getlink=True), h5py.HardLink):
                raise ValueError(f"{place} is a link to elsewhere")
            if isinstance(file[place], h5py.Dataset):
                yield place, file[place]


def _size(name: str, array: Any) -> int:
    if array.external or array.is_virtual:
        raise ValueError(f"{name} is kept in another file")
    return int(array.size or 0) * array.id.get_type().get_size()
