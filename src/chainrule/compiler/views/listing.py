"""A program as text: what it is given, every gate in order, what it leaves behind, and what it takes for granted."""
from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from types import CellType, EllipsisType
from typing import Any

import numpy as np

from ... import random
from ...source import Place
from ...state import Box, holds
from ...tensor import Dropped, Tensor
from ...view.notation import literal
from ...view.text import show
from ..program import Application, Cell, Program, Value, kind
from ..recording.spots import Held

__all__ = ["Titles", "applied", "constant", "listing", "said", "spelled", "where"]

WIDTH = 120                          #: of a line of assumptions
WIDEST = 64                          #: of a column that the next ones are aligned behind
LONGEST = 40                         #: characters of an operand
#: How the user writes a cell, where the attribute has another name.
WRITTEN = {(Tensor, "array"): "", (Tensor, "gradient"): ".grad", (Box, "held"): ".value",
           (CellType, "cell_contents"): "", (Held, "array"): ""}
#: The streams of random numbers that everybody shares.
STREAMS = {id(getattr(random, name)): f"random.{name}" for name in ("init", "shuffle", "dropout", "user")}


def listing(program: Program) -> str:
    """Write a program as a table, with a line for each value.

    First what it is given: arguments, constants and what the cells hold; then the gates in order, each with its
    operands, what it makes, and the line of the user's code that asked for it (once for several gates of one line).
    Gates that are run as one stand behind a bracket; what only they see is in parentheses. ``into w`` marks a value
    that is computed straight into the memory of a cell. At the end: what the cells are set to, what is returned, and
    what was taken for granted.

    Parameters
    ----------
    program : Program

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> step = cr.compile(lambda x: (x * x).sum() / 2)
    >>> for _ in range(2):                                                   # it is recorded twice
    ...     _ = step(np.array([1.0, 2.0]))
    >>> print(step.recorded)
    %0  argument x        float64[2]
    %1  multiply(%0, %0)  float64[2]  line 1
    %2  sum(%1)           float64[]
    %3  divide(%2, 2)     float64[]
    return %3
    """
    titles = Titles(program)
    rows = [*_given(program, titles), *_gates(program, titles)]
    return "\n".join([*_aligned(rows), *_left(program, titles), *_assumed(program, titles)])


# ------------------------------------------------------------------ the parts of it
Row = tuple[str, str, str, str]                        # value, what it is, its kind, the line of code


def _given(program: Program, titles: Titles) -> Iterator[Row]:
    """Yield a row for each value that the program begins with, in the order of their numbers."""
    rows = [(v, f"argument {titles.argument(v)}".rstrip()) for v in program.arguments]
    rows += [(v, f"constant {constant(array)}") for v, array in program.constants]
    rows += [(v, f"cell {titles.cell(cell)}") for cell, v in program.reads]
    for v, text in sorted(rows, key=lambda row: row[0].number):
        yield str(v), text, spelled(v.kind), ""


def _gates(program: Program, titles: Titles) -> Iterator[Row]:
    """Yield a row for each gate, and one more above those that are run as one."""
    before = ""
    for step in program.steps:
        several = len(step.applications) > 1
        if several:
            yield "┌", f"{len(step.applications)} gates as one, for {', '.join(map(str, step.results))}", "", ""
        for a in step.applications:
            home = f" into {titles.cell(program.homes[a.result])}" if a.result in program.homes else ""
            line, shape = where(a.place), spelled(a.result.kind)
            bracket = "" if not several else "└ " if a is step.applications[-1] else "│ "
            inside = several and a.result not in step.results
            yield (f"{bracket}{a.result}", f"{applied(a)}{home}", f"({shape})" if inside else shape,
                   line if line != before else "")
            before = line


def _left(program: Program, titles: Titles) -> Iterator[str]:
    """Yield what the cells are set to, and what is returned."""
    for cell, x in program.writes:
        home = program.homes.get(x) if isinstance(x, Value) else None
        there = home is not None and home.owner is cell.owner and (home.name, home.item) == (cell.name, cell.item)
        yield f"{titles.cell(cell)} ← {said(x)}" + (" (in place)" if there else "")
    yield f"return {said(program.result)}"


def _assumed(program: Program, titles: Titles) -> Iterator[str]:
    """Yield what has to be so for the program to apply, cells with the same answer together."""
    told = {cell.key for cell, _ in program.reads}
    groups: dict[str, list[str]] = {}
    for test, cell, answer in program.guards:
        if test is kind and cell.key in told:
            continue                                   # its kind stands in the table
        words, title = _words(test, answer), titles.cell(cell)
        if title.endswith(f"[{cell.name!r}]"):         # one of several keys of a dict
            words, title = f"{words} in {titles.owner(cell.owner)}", cell.name
        groups.setdefault(words, []).append(title)
    for words, cells in groups.items():
        yield from textwrap.wrap(f"assuming {words}: {', '.join(dict.fromkeys(cells))}", WIDTH, break_long_words=False,
                                 break_on_hyphens=False, subsequent_indent="    ")


def _words(test: Any, answer: Any) -> str:
    """Say what a test must find."""
    if test is holds:
        return "something other than None, False and 0" if answer else "None, False or 0"
    if test is kind:
        return spelled(answer)
    return f"{getattr(test, '__name__', 'it')} is {said(answer)}"


def _aligned(rows: Sequence[Row]) -> Iterator[str]:
    """Yield rows as lines, with each column behind the widest of the one before, within reason."""
    widths = [min(WIDEST, max((len(row[i]) for row in rows if row[i + 1]), default=0)) for i in range(3)]
    for row in rows:
        line = ""
        for text, width in zip(row, [*widths, 0], strict=True):
            line += text.ljust(width) + "  "
        yield line.rstrip()


# ------------------------------------------------------------------ words
def applied(application: Application) -> str:
    """Write a gate with its operands and options, as in ``sum(%1, axis=0)``."""
    a = application
    if a.gate.name == "getitem":
        return f"{said(a.inputs[0])}[{', '.join(map(said, a.inputs[1:])) or '()'}]"
    return f"{a.gate.name}({', '.join([*map(said, a.inputs), *(f'{k}={said(x)}' for k, x in a.options.items())])})"


def said(x: Any) -> str:
    """Write an operand, an option, or what is returned, in few characters."""
    if isinstance(x, Value | np.dtype):
        return str(x)
    if isinstance(x, type):
        return np.dtype(x).name if issubclass(x, np.generic) else x.__name__
    if type(x) is tuple:
        return f"({', '.join(map(said, x))}{',' * (len(x) == 1)})"
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        named = zip(x._fields, x, strict=True)
        return f"{type(x).__name__}({', '.join(f'{name}={said(item)}' for name, item in named)})"
    if type(x) is list:
        return f"[{', '.join(map(said, x))}]"
    if isinstance(x, Mapping):
        return "{" + ", ".join(f"{key!r}: {said(item)}" for key, item in x.items()) + "}"
    if isinstance(x, slice | EllipsisType):
        return literal(x)
    if isinstance(x, Dropped):
        return "not kept"
    if isinstance(x, np.ndarray):
        return constant(x)
    if isinstance(x, np.generic):
        return str(x)
    text = repr(x)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST - 1]}…" if isinstance(x, str | int | float) else type(x).__name__


def constant(array: Any) -> str:
    """Write a constant in few characters: its elements, or the range of them; the dtype and shape are told elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.compiler.views.listing import constant
    >>> constant(np.float32(2.5)), constant(np.arange(3)), constant(np.zeros((50, 10)))
    ('2.5', '[0, 1, 2]', 'all 0')
    """
    if not isinstance(array, np.ndarray) or not array.ndim:
        return str(np.asarray(array)[()]) if isinstance(array, np.ndarray | np.generic) else repr(array)
    text = show(array)
    return text.removeprefix(f"{array.dtype} {array.shape}").removesuffix(f" {array.dtype}").strip() or "no number"


def spelled(kind: Any) -> str:
    """Write a kind: ``float32[100, 10]``, ``int``, None.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.compiler.views.listing import spelled
    >>> spelled(((2, 3), np.dtype("f4"))), spelled(float), spelled((float, float))
    ('float32[2, 3]', 'float', '(float, float)')
    """
    if isinstance(kind, tuple):
        if len(kind) == 2 and isinstance(kind[1], np.dtype):
            return f"{kind[1]}{list(kind[0])}"
        return f"({', '.join(map(spelled, kind))})"
    return kind.__name__ if isinstance(kind, type) else str(kind)


def where(place: Place | None) -> str:
    """Write a line of code: ``train.py:12``, or its number alone if it stands in no file; empty if it is not known."""
    if place is None:
        return ""
    file = os.path.basename(place.file)
    return f"line {place.line}" if file.startswith("<") else f"{file}:{place.line}"


class Titles:
    """What the cells and arguments of a program are called, as far as that is known; each differently.

    Parameters
    ----------
    program : Program
        Its `names` are used, and those of tensors. An owner that has none is called by its class and a number.
    """

    def __init__(self, program: Program) -> None:
        self.names = program.names
        self.owners: dict[int, str] = {}
        self.taken: dict[str, int] = {}

    def owner(self, x: Any) -> str:
        """Return the name of an owner of cells."""
        if id(x) not in self.owners:
            name = self.names.get(id(x)) or (x.name if isinstance(x, Tensor) else STREAMS.get(id(x), ""))
            title = name or ("variable" if isinstance(x, CellType) else type(x).__name__.lower())
            self.taken[title] = count = self.taken.get(title, 0) + 1
            self.owners[id(x)] = title if name and count == 1 else f"{title}#{count}"
        return self.owners[id(x)]

    def cell(self, cell: Cell) -> str:
        """Return what leads to a cell: ``w``, ``w.grad``, ``optimizer.param_groups[0]['lr']``, a variable's name."""
        owner, item = cell.owner, "" if cell.item is None else f"[{cell.item}]"
        if isinstance(owner, dict) and "__builtins__" in owner:            # the variables of a module
            return cell.name + item
        kind = next((kind for kind in (Tensor, Box, CellType, Held) if isinstance(owner, kind)), None)
        path = f"[{cell.name!r}]" if isinstance(owner, dict) else f".{cell.name}"
        return self.owner(owner) + (path if kind is None else WRITTEN.get((kind, cell.name), path)) + item

    def argument(self, value: Value) -> str:
        """Return the name of an argument; empty if it is not known."""
        return self.names.get(id(value), "")
