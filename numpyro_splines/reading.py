"""Columns of numbers from text files as people have them, read right or refused with the reason."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

SEPARATORS = {"tab": "\t", "\\t": "\t", "space": " "}

# How programs write that a value is missing; in any case of letters.
_MISSING = {"", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none"}
_OTHERS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'", " ": "space"}


class InputError(Exception):
    """Something in the options or the file that the user can mend."""


class Table(NamedTuple):
    """A file with a header line, as text.

    Attributes:
        path: of the file.
        names: of the columns, without blanks around them.
        rows: cells without blanks around them; a row may be shorter than the names.
        separator: one character; a blank for any white space.
        decimal: "." or ",".
    """

    path: Path
    names: list[str]
    rows: list[list[str]]
    separator: str
    decimal: str

    def has(self, name: str) -> bool:
        """Whether there is a column of this name."""
        return name.strip() in self.names

    def column(self, name: str) -> np.ndarray:
        """The numbers of a column, shape (number of rows,), NaN where they are missing.

        Args:
            name: in the header.

        Raises:
            InputError: if there is no such column, or several, or it has something else.
        """
        name = name.strip()
        place = self._place(name)
        self._check_widths()
        cells = [row[place] if place < len(row) else "" for row in self.rows]
        values = np.empty(len(cells))
        for index, cell in enumerate(cells):
            missing = cell.lower() in _MISSING
            values[index] = math.nan if missing else _number(cell, self.decimal)
            if math.isnan(values[index]) and not missing:
                raise InputError(
                    f"column {name} must be numeric; got {cell!r} in row {index + 1}"
                    f"{self._decimal_hint(cell)}"
                )
        return values

    def _place(self, name: str) -> int:
        places = [index for index, other in enumerate(self.names) if other == name]
        if len(places) == 1:
            return places[0]
        if places:
            numbers = " and ".join(str(place + 1) for place in places)
            raise InputError(
                f"column {name} must stand once in the header; got it as columns {numbers}. "
                "Rename all but one"
            )
        raise InputError(
            f"column {name} is not in the file; it has {', '.join(self.names)}{self._hint(name)}"
        )

    def _hint(self, name: str) -> str:
        header = self.separator.join(self.names)
        for other, word in _OTHERS.items():
            if other != self.separator and name in map(str.strip, _split(header, other)):
                return f". Is the separator another, --separator {word}?"
        if all(math.isfinite(_number(other, self.decimal)) for other in self.names):
            return ". The first line must hold the names of the columns"
        return ""

    def _check_widths(self) -> None:
        """Rows with more entries than names: no rule can say which belongs to which."""
        for index, row in enumerate(self.rows):
            if len(row) > len(self.names):
                raise InputError(
                    f"rows of {self.path} must have an entry for each of the {len(self.names)} "
                    f"names in the header; got {len(row)} in row {index + 1}. Name every column; "
                    "with decimal commas the separator is another: --separator ';' --decimal ','"
                )

    def _decimal_hint(self, cell: str) -> str:
        other = "," if self.decimal == "." else "."
        if math.isnan(_number(cell, other)):
            return ""
        return f". Is the decimal mark another, --decimal '{other}'?"


def read_table(path: Path, *, separator: str = ",", decimal: str = ".") -> Table:
    """Read a text file with a header line.

    Blank lines, blanks around cells, a byte order mark and separators at the ends of lines, as
    many loggers write them, mean nothing.

    Args:
        path: of the file, in UTF-8.
        separator: one character; a blank for any white space.
        decimal: "." or ",".

    Returns:
        Names and cells.

    Raises:
        InputError: if the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = [[cell.strip() for cell in row] for row in _rows(file, separator)]
    except FileNotFoundError:
        raise InputError(f"file {path} does not exist") from None
    except UnicodeDecodeError:
        raise InputError(
            f"file {path} is not a readable CSV file: it is not in UTF-8; save it as that"
        ) from None
    except (OSError, csv.Error) as error:
        raise InputError(f"file {path} is not a readable CSV file: {error}") from None
    filled = [row for row in found if any(row)]
    if not filled:
        raise InputError(f"file {path} is not a readable CSV file: it has no header line")
    names = _trimmed(filled[0], 0)
    return Table(path, names, [_trimmed(row, len(names)) for row in filled[1:]], separator, decimal)


def number(text: str, decimal: str) -> float | None:
    """A finite number in either notation, or None.

    Args:
        text: as typed.
        decimal: the mark of the file; a point is understood too.
    """
    for mark in (".", decimal):
        if math.isfinite(value := _number(text.strip(), mark)):
            return value
    return None


def _rows(lines: Iterable[str], separator: str) -> Iterable[Sequence[str]]:
    if separator == " ":
        return (line.split() for line in lines)
    # The reader knows blanks before a quoted cell, but not after it.
    gap = re.compile(rf'" +(?=[{re.escape(separator)}\r\n]|$)')
    bare = (gap.sub('"', line) for line in lines)
    return csv.reader(bare, delimiter=separator, skipinitialspace=True, strict=True)


def _split(text: str, separator: str) -> list[str]:
    return text.split(None if separator == " " else separator)


def _trimmed(row: list[str], least: int) -> list[str]:
    """Without empty cells at the end, beyond the first `least`."""
    stop = len(row)
    while stop > least and not row[stop - 1]:
        stop -= 1
    return row[:stop]


def _number(text: str, decimal: str) -> float:
    """NaN for what is no number; a point is none where the comma is the decimal mark."""
    if "_" in text or (decimal != "." and "." in text):
        return math.nan
    try:
        return float(text.replace(decimal, "."))
    except ValueError:
        return math.nan
