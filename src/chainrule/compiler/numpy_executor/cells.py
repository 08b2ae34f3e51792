"""The cells of a program: their arrays are looked at before everything else, and all of them written after it."""
from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...mode import tick
from ...state import get
from ...tensor import Tensor
from ..code import Code
from ..passes.in_place import keeps_its_array
from ..places import place
from ..planning.facts import is_array
from ..planning.plan import Plan
from ..program import Cell, Program, Value, each
from .holder import Holder
from .made import Made
from .operands import Operands
from .rows import Row, memory

__all__ = ["Cells"]

Calls = list[Made]


class Cells:
    """What a program reads and writes beside its arguments.

    Attributes
    ----------
    held : list of (Cell, Holder, callable)
        The cells whose arrays are written into, what holds the array, and what makes it hold another.
    seen : list of (Cell, Holder, bool)
        The arrays in other cells; and whether their elements have to lie one after the other.
    new : list of (kind, Holder, Holder)
        What cells are given anew: holders of the array and of that or a tensor around it.
    still : list of (Cell, object, Made)
        The gradients that are always left alike, such as none, and the calls that set them.
    puts : list of (cell, tree of callables)
        What is left to be written by Python code, one after the other, and what makes each part of it.
    """

    def __init__(self, program: Program, layout: Plan, operands: Operands) -> None:
        self.program, self.operands = program, operands
        self.held: list[tuple[Cell, Holder, Callable[[], None]]] = []
        self.seen: list[tuple[Cell, Holder, bool]] = []
        self.new: list[tuple[Any, Holder, Holder]] = []
        self.still: list[tuple[Cell, Any, Made]] = []
        self.puts: list[tuple[Cell, Any]] = []
        self.old: dict[Any, Value] = {}                  # what is in the cells that are written into
        last = {cell.key: x for cell, x in program.writes if isinstance(x, Value)}
        held: list[Cell] = []
        for cell, x in program.reads:
            if not is_array(x):
                continue
            new = last.get(cell.key)
            if new is not None and new.kind == x.kind and keeps_its_array(cell):
                held.append(cell)
                self.old[cell.key] = x
            else:
                self.seen.append((cell, operands.places[x], x in layout.in_rows))
        for x, cell in program.homes.items():
            operands.places[x] = operands.places[self.old[cell.key]]
        rows = self.rows(layout)
        for row in dict.fromkeys(rows.values()):
            row.lay()
        for cell in held:
            holder = operands.places[self.old[cell.key]]
            renew = rows[cell.key].lay if cell.key in rows else partial(_renew, cell, holder)
            self.held.append((cell, holder, renew))

    def rows(self, layout: Plan) -> dict[Any, Row]:
        """Make the rows of cells, and give them and the rows of numbers their places; return the row of each cell."""
        homes, places, found = self.program.homes, self.operands.places, dict[Any, Row]()
        for group in dict.fromkeys(layout.groups.values()):
            for row in group.homes:
                cells = [homes[x] for x in group.rows[row]]
                made = Row(cells, [places[x] for x in group.rows[row]], group.spans)
                found |= {cell.key: made for cell in cells}
            behind = {self.old[key]: row.whole for key, row in found.items()}
            behind |= {x: found[cell.key].whole for x, cell in homes.items() if cell.key in found}
            for row, values in group.rows.items():
                if values[0] in behind:
                    places[row] = behind[values[0]]
                elif not is_array(values[0]):
                    self.operands.row(row, values, group.spans)
        return found

    def write_look(self, code: Code) -> None:
        """Write what looks at the arrays that stand in the cells now."""
        for cell, holder, in_row in self.seen:
            code.line(f"x = {_reading(cell, code)}")
            code.line(f"if x is not {code.name(holder)}.held: {code.name(partial(_see, holder, in_row))}(x)")
        for cell, holder, renew in self.held:
            code.line(f"if {_reading(cell, code)} is not {code.name(holder)}.held: {code.name(renew)}()")

    def write_prepare(self, code: Code) -> None:
        """Write what has memory ready for all that is written."""
        code.line(f"moment = {code.name(tick)}()")
        for cell, holder, renew in self.held:
            if isinstance(cell.owner, Tensor):           # if somebody looks at the array, there is another now
                x = code.name(cell.owner)
                code.line(f"if {x}.lent or {x}.gate is not None or {x}.array is not {code.name(holder)}.held: "
                          f"{code.name(renew)}()")
                code.line(f"else: {x}.moment = moment")
        if self.new:
            code.line(f"{code.name(self.make)}()")

    def bind(self, roots: Callable[[Value], frozenset[Value]], is_late: Callable[[Value], bool],
             result: Callable[[Value], Callable[[], Any]]) -> tuple[Calls, ...]:
        """Make the calls that write the cells.

        Parameters
        ----------
        roots : callable
            Gives the values whose memory a value may look at.
        is_late : callable
            Tells whether a value is computed only when cells are being written.
        result : callable
            Gives what makes a copy of a value.

        Returns
        -------
        four lists of calls
            Copies of what will be overwritten, into memory of their own; copies that have to be made before any cell is
            written; the writing; and such writing as may run Python code.
        """
        kept: Calls = []
        first: Calls = []
        writing: Calls = []
        last: Calls = []
        places, old = self.operands.places, {*self.old.values()}
        for cell, x in self.program.writes:
            home = self.old.get(cell.key)
            sets = last if _runs_python(cell) else writing
            if is_array(x) and (self.program.homes.get(x) is cell or x is home):
                continue                                 # it is made there, or there already
            if isinstance(x, tuple | list | dict) or (isinstance(x, Value) and is_array(x) == isinstance(
                    get(cell.owner, cell.name), int | float)):
                self.puts.append((cell, each(lambda x: result(x) if isinstance(x, Value) else x, x)))
            elif not is_array(x):
                sets.append(_setting(cell, self.operands.number(x) if isinstance(x, Value) else x))
                if isinstance(cell.owner, Tensor) and cell.name == "gradient":
                    self.still.append((cell, x, sets[-1]))
            elif home is not None:
                source = places[x]
                if roots(x) & old:                       # it looks at a cell that is written as well
                    source = np.empty(*x.kind)
                    kept.append(_copying(source, places[x]))
                writing.append(_copying(places[home], source))
            else:
                array, holder = Holder(), Holder()
                self.new.append((x.kind, array, array if keeps_its_array(cell) else holder))
                (writing if is_late(x) else first).append(_copying(array, places[x]))
                sets.append(_setting(cell, self.new[-1][2]))
        return kept, first, writing, last

    def make(self) -> None:
        """Make what cells are given anew."""
        for (shape, dtype), array, holder in self.new:
            array.hold(np.empty(shape, dtype))
            if holder is not array:
                holder.hold(Tensor.of(array.held))

    def is_still(self, code: Code) -> str:
        """Return an expression that is true if the gradients that are always left alike are there already."""
        return " and ".join([f"{code.attribute(cell.owner, cell.name)} is {code.name(x)}" for cell, x, _ in self.still])

    def write_finish(self, code: Code) -> None:
        """Write what does the rest."""
        if self.puts or self.new:
            code.line(f"{code.name(self.finish)}()")

    def finish(self) -> None:
        """Write what is left, and let go of what is other people's now."""
        for cell, x in self.puts:
            cell.put(each(lambda x: x() if callable(x) else x, x))
        for _, array, holder in self.new:
            array.hold(None)
            holder.hold(None)


def _reading(cell: Cell, code: Code) -> str:
    """Return the expression that reads an array from a cell."""
    owner, name = cell.owner, cell.name
    if (isinstance(owner, Tensor) and name == "array") or (
            isinstance(owner, dict) and cell.item is None and isinstance(get(owner, name), np.ndarray)):
        return place(owner, name).text(code)
    return f"{code.name(cell.get)}()"


def _see(holder: Holder, in_row: bool, array: Any) -> None:
    """Hold another array of a cell that is not written into."""
    holder.hold(array if not in_row or array.flags.c_contiguous else array.copy())


def _renew(cell: Cell, holder: Holder) -> None:
    """Hold the array that stands in a cell now."""
    holder.hold(memory(cell))


def _copying(there: Any, array: Any) -> Made:
    """Return the call that copies an array into another."""
    return Made(operator.setitem, (there, ..., array))


def _setting(cell: Cell, x: Any) -> Made:
    """Return the call that sets a cell."""
    return Made(operator.setitem if isinstance(cell.owner, dict) else setattr, (cell.owner, cell.name, x))


def _runs_python(cell: Cell) -> bool:
    """Tell whether setting it runs Python code: that of a property, or of a class that looks at what is set."""
    kind = type(cell.owner)
    looks = any("__setattr__" in vars(base) for base in kind.__mro__[:-1])
    return not isinstance(cell.owner, dict) and (looks or isinstance(getattr(kind, cell.name, None), property))
