"""How commands print: tables for people, one JSON object for machines."""
from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

__all__ = ["on_a_terminal", "print_aligned", "print_json", "print_table", "printable", "width"]


def on_a_terminal() -> bool:
    """Tell whether standard output is a terminal that can show more than lines."""
    if not sys.stdout.isatty():
        return False
    from rich.console import Console
    return not Console().is_dumb_terminal


def width() -> int | None:
    """Return the columns of the terminal; None if standard output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def printable(text: object) -> str:
    """Return text of others without what would move the cursor or could not be printed."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1,
                style: Callable[[int, int], str] | None = None) -> None:
    """Print a table: ruled and in colours on a terminal, aligned elsewhere.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequence of str
    left : int
        How many columns, from the first, hold text; the others are aligned on the right.
    style : callable, optional
        ``(row, column) -> str``, what a cell looks like on a terminal: ``"bold"``, ``"dim"``, ``"green"``.
    """
    if not on_a_terminal():
        print_aligned([header, *rows], "l" * left + "r")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for i, name in enumerate(header):
        table.add_column(Text(printable(name)), justify="left" if i < left else "right", overflow="fold",
                         no_wrap=i >= left)
    for i, row in enumerate(rows):
        table.add_row(*(Text(printable(cell), style=style(i, j) if style else "") for j, cell in enumerate(row)))
    Console(highlight=False).print(table)


def print_aligned(rows: Sequence[Sequence[str]], align: str) -> None:
    """Print a line for each row, its cells below each other.

    Parameters
    ----------
    rows : sequence of sequence of str
    align : str
        ``"l"`` or ``"r"``, left or right, for each column; the last is repeated.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    sides = align.ljust(len(widths), align[-1])
    for line in cells:
        click.echo("  ".join(cell.ljust(size) if side == "l" else cell.rjust(size)
                             for cell, size, side in zip(line, widths, sides, strict=False)).rstrip())


def print_json(content: dict[str, Any]) -> None:
    """Print one object on one line; numbers that are not finite become null."""
    click.echo(json.dumps(_plain(content), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
