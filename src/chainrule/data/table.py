"""Tables of numbers in text files: one sample a line, one column of them the target."""
from __future__ import annotations

import csv
import difflib
import itertools
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Table", "read_table"]

Column = str | int
LOOKED_AT = 100                                          # lines, to see if the first holds names
MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-"}


@dataclass(frozen=True)
class Table:
    """What a file holds."""

    inputs: NDArray[Any]                 #: shape (samples, columns); whole numbers from 0 to 255 as uint8, else float64
    columns: tuple[str, ...]             #: their names, or their numbers, from 0, as text
    cells: list[str] | None              #: the target of each sample, as written
    target: str | None                   #: the name of its column
    lines: NDArray[np.int64]             #: the line of each sample in the file, from 1


def read_table(path: Path, *, target: Column | None = -1, drop: Sequence[Column] = (),
               columns: Sequence[str] | None = None, header: bool | None = None,
               delimiter: str | None = None) -> Table:
    """Read a table.

    Parameters
    ----------
    path : Path
        In UTF-8. Lines with nothing on them are passed over.
    target : str or int or None
        The column of the targets, by name or by number (from 0, or from the end); None if there is none.
    drop : sequence of str or int
        Columns that are left out. One that comes first and has no name, as pandas writes for its index, always is.
    columns : sequence of str, optional
        The names of the inputs, in order; by default they are all that is left.
    header : bool, optional
        Whether the first line holds names; by default that is seen from it and the lines after it.
    delimiter : str, optional
        What separates columns: by default a tab in a ``.tsv`` file, else what cuts the first line into the most.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it does not hold such a table. The message names the line and the column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if delimiter is None:
                delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(file.readline())
                file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            return _read(path, reader, target, drop, columns, header)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not text in UTF-8 ({error.reason} at byte {error.start}); save it as CSV in "
                         "UTF-8") from error
    except csv.Error as error:
        raise ValueError(f"{path}: not a table in text: {error}") from error


def _read(path: Path, reader: Any, target: Column | None, drop: Sequence[Column], columns: Sequence[str] | None,
          header: bool | None) -> Table:
    rows = _rows(path, reader)
    first = list(itertools.islice(rows, LOOKED_AT))
    if not first:
        raise ValueError(f"{path}: the file is empty; expected a line for each sample")
    named = _is_header([row for _, row in first]) if header is None else header
    names = [cell.strip() for cell in first[0][1]] if named else [str(i) for i in range(len(first[0][1]))]
    goal = None if target is None else _find(path, target, names, named)
    left_out = {goal, *(_find(path, column, names, named) for column in drop)}
    if named and not names[0] and len(names) > 1:
        left_out.add(0)
    if columns is None:
        chosen = [i for i in range(len(names)) if i not in left_out]
    else:
        chosen = [_find(path, column, names, named) for column in columns]
    if not chosen:
        raise ValueError(f"{path}: no column is left for the inputs; it has {len(names)} ({', '.join(names)})")
    numbers, cells, lines = array("d"), [], array("q")
    for line, row in itertools.chain(first[named:], rows):
        if len(row) != len(names):
            raise ValueError(f"{path}: line {line} has {len(row)} columns, the first line has {len(names)}")
        try:
            values = [float(row[i]) for i in chosen]
        except ValueError:
            values = [math.nan]
        if not math.isfinite(sum(values)):
            _complain(path, line, row, chosen, names)
        numbers.extend(values)
        lines.append(line)
        if goal is not None:
            cell = row[goal].strip()
            if cell.lower() in MISSING:
                raise ValueError(f"{path}: line {line} has no target, {cell!r} in column {names[goal]!r}; leave the "
                                 "line out")
            cells.append(cell)
    if not lines:
        raise ValueError(f"{path}: there are names of columns, but no line of numbers below them")
    inputs: NDArray[Any] = np.frombuffer(numbers, np.float64).reshape(len(lines), len(chosen))
    if inputs.min() >= 0 and inputs.max() <= 255 and (inputs == (small := inputs.astype(np.uint8))).all():
        inputs = small                                   # pixels, counts, flags: an eighth of the memory
    return Table(inputs, tuple(names[i] for i in chosen), cells if goal is not None else None,
                 None if goal is None else names[goal], np.frombuffer(lines, np.int64))


def _rows(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that hold something, with their numbers."""
    for row in reader:
        if row:
            yield reader.line_num, row


def _delimiter(line: str) -> str:
    """Return what cuts a line into the most parts; of two, the semicolon: a comma beside it is a decimal one."""
    return max(";\t,", key=lambda mark: len(next(csv.reader([line], delimiter=mark), [])))


def _is_header(rows: list[list[str]]) -> bool:
    """Tell if the first line is text where numbers follow, in most of such columns, or counts the columns from 0."""
    first = rows[0]
    if len(rows) < 2:
        return not any(map(_is_number, first))
    if len(first) > 1 and first == [str(i) for i in range(len(first))]:
        return True
    numeric = [i for i in range(len(first)) if any(i < len(row) and _is_number(row[i]) for row in rows[1:])]
    texts = [i for i in numeric if not _is_number(first[i]) and first[i].strip().lower() not in MISSING - {""}]
    return 2 * len(texts) > len(numeric)


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _find(path: Path, column: Column, names: list[str], named: bool) -> int:
    """Return the number of a column, from its name or its number."""
    if isinstance(column, str) and column in names:
        if names.count(column) > 1:
            raise ValueError(f"{path}: {names.count(column)} columns have the name {column!r}; give the number of "
                             "one, from 0")
        return names.index(column)
    if isinstance(column, int) or re.fullmatch(r"-?\d+", column):
        if not -len(names) <= int(column) < len(names):
            raise ValueError(f"{path}: there is no column {column}; it has {len(names)}, counted from 0")
        return int(column) % len(names)
    if not named:
        raise ValueError(f"{path}: no column can be {column!r}, as the first line holds no names; give its number, "
                         "from 0")
    near = difflib.get_close_matches(column, names, n=1)
    raise ValueError(f"{path}: there is no column {column!r}{f'; did you mean {near[0]!r}?' if near else '.'} There "
                     f"are {', '.join(names)}")


def _complain(path: Path, line: int, row: list[str], chosen: list[int], names: list[str]) -> None:
    """Say which cell of a line is not a finite number, and what to do about it."""
    for i in chosen:
        cell, where = row[i].strip(), f"line {line}, column {names[i]!r}"
        if cell.lower() in MISSING:
            raise ValueError(f"{path}: {where}: the value is missing ({cell!r}). Leave such lines out, or fill the "
                             "gaps (with the mean of the column, say)")
        if re.fullmatch(r"[+-]?\d+,\d+", cell):
            raise ValueError(f"{path}: {where}: met {cell!r}; write numbers with a decimal point")
        try:
            value = float(cell)
        except ValueError:
            raise ValueError(f"{path}: {where}: met the text {cell!r}, expected a number. Leave the column out "
                             "(drop), or make numbers of it first: a column of 0 and 1 for each value") from None
        if not math.isfinite(value):
            raise ValueError(f"{path}: {where}: met {cell!r}, expected a finite number")
