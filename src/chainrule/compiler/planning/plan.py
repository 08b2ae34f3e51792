"""Where the values of a program live: which steps write into planned memory, and which memory serves several values."""
from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..program import Application, Fused, Program, Step, Value, each
from .blocks import Cut, cut
from .columns import in_columns
from .facts import arrays, in_place_over, is_array, is_number, is_view
from .together import Together, together

__all__ = ["Plan", "plan"]

LINE = 64                                #: bytes: what begins at a multiple of it begins a line of the cache
#: Views whose elements still lie one after the other, if those of the argument do.
SAME_ROW = frozenset({"detach", "expand_dims", "reshape", "squeeze"})


@dataclass(frozen=True)
class Plan:
    """Memory for the values of a program.

    Attributes
    ----------
    slots : dict of Value to int
        Which block of memory the result of a step is written into. Results that are not here are views, are computed
        into the memory of a cell (`Program.homes`), or are new arrays, since their gate cannot write into memory.
    sizes : list of int
        Of the blocks, in bytes.
    cuts : dict of Fused to Cut
        The steps that are run a block of elements at a time.
    partial : dict of Value to tuple of int
        The values that never need memory of their whole size, and the shape of what they need.
    columns : frozenset of Value
        The matrices that lie in memory column by column.
    in_rows : frozenset of Value
        The arguments and cells whose elements have to lie one after the other, since a view or a cut rests on it.
    roots : dict of Value to frozenset of Value
        For each array that a step makes, the values whose memory it may be.
    groups : dict of Step to Together
        The steps that are run as one with others, each with its group; it is run where the last of them stands.
    beside : dict of Value to (Value, slice)
        The arrays that lie in a row with others, with their place in it.
    """

    slots: dict[Value, int]
    sizes: list[int]
    cuts: dict[Fused, Cut]
    partial: dict[Value, tuple[int, ...]]
    columns: frozenset[Value]
    in_rows: frozenset[Value]
    roots: dict[Value, frozenset[Value]]
    groups: dict[Step, Together]
    beside: dict[Value, tuple[Value, slice]]

    @property
    def bytes(self) -> int:
        """How much memory the blocks take."""
        return sum(self.sizes)

    def is_by_columns(self, a: Application) -> bool:
        """Tell whether a gate works on matrices that lie column by column."""
        return not self.columns.isdisjoint((a.result, *arrays(a)))

    def is_seen(self, a: Application) -> bool:
        """Tell whether a gate makes a view, and does not have to copy into memory of its own."""
        return is_view(a) and a.result not in self.slots and a.result not in self.beside

    def buffers(self) -> dict[Value, NDArray[Any]]:
        """Make the blocks, and in each an array for every value that it is for."""
        memory = np.empty(sum(map(_padded, self.sizes)) + LINE, np.uint8)
        start = -memory.ctypes.data % LINE
        starts = []
        for size in self.sizes:
            starts.append(start)
            start += _padded(size)
        made = {}
        for value, slot in self.slots.items():
            shape, dtype = self.partial.get(value, value.kind[0]), value.kind[1]
            order: Any = "F" if value in self.columns else "C"
            made[value] = np.ndarray(shape, dtype, memory, starts[slot], order=order)
        for value, (row, span) in self.beside.items():
            if row in made:
                made[value] = made[row][span].reshape(value.kind[0])
        return made


def plan(program: Program) -> Plan:
    """Plan the memory of a program.

    A value lives from the step that makes it to the last step that takes it, or a view of it. Its memory is free again
    after that; an elementwise step may write over an argument that ends with it. What is returned, or written to a
    cell, lives to the end.

    Parameters
    ----------
    program : Program

    Returns
    -------
    Plan
    """
    return _Planner(program).plan()


class _Planner:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.given = {*program.arguments, *(value for _, value in program.reads)}
        self.in_row = self.given | {value for value, _ in program.constants}     # the elements lie one after the other
        self.roots: dict[Value, frozenset[Value]] = {}
        self.in_rows: set[Value] = set()
        self.columns = in_columns(program)
        self.made: set[Value] = set()                    # written into memory that is planned, or that of a cell
        self.cuts: dict[Fused, Cut] = {}
        self.partial: dict[Value, tuple[int, ...]] = {}
        self.order: list[tuple[Application, Cut | None]] = []
        for step in program.steps:
            for a in step.applications:
                if not is_number(a):
                    self.look(a)
            found = cut(step, self.in_row.__contains__)
            if found is not None and isinstance(step, Fused):
                self.divide(step, found)
        self.groups: dict[Step, Together] = {}
        self.beside: dict[Value, tuple[Value, slice]] = {}
        self.homes = {*program.homes}
        for group in together(program, self.may_move):
            self.join(group)
        for step in program.steps:
            self.order += self.ordered(step)
        self.last = self.lives()
        self.slots: dict[Value, int] = {}
        self.sizes: list[int] = []
        self.free: list[int] = []

    def look(self, a: Application) -> None:
        """Find out whose memory the result of a gate is, and whether its elements lie one after the other."""
        z, behind = a.result, frozenset[Value]().union(*(self.roots.get(x, {x}) for x in arrays(a)))
        in_row = any(x in self.in_row for x in arrays(a)[:1])
        if is_view(a) and (in_row or a.gate.name != "reshape"):
            self.roots[z] = self.roots.get(a.inputs[0], frozenset({a.inputs[0]}))
            if in_row and a.gate.name in SAME_ROW:
                self.in_row.add(z)
            if a.gate.name == "reshape":
                self.in_rows |= self.roots[z] & self.given
        elif a.gate.takes_out or is_view(a):             # a reshape that has to copy
            self.roots[z] = frozenset({z})
            self.made.add(z)
            if z not in self.columns:
                self.in_row.add(z)
        else:
            self.roots[z] = behind | {z}                 # who knows

    def divide(self, step: Fused, found: Cut) -> None:
        """Take note of a cut."""
        self.cuts[step] = found
        for a in found.inside:
            if a.result not in found.whole and a.result not in self.program.homes:
                self.partial[a.result] = found.block
            if found.flat:
                self.in_rows |= {root for x in arrays(a) for root in self.roots.get(x, {x})} & self.given

    def may_move(self, x: Value) -> bool:
        """Tell whether an array is computed into planned memory, whole and row by row, and may lie anywhere there."""
        return (x in self.made and self.roots[x] == {x} and x not in self.columns and x not in self.partial
                and x not in self.homes)

    def join(self, group: Together) -> None:
        """Take note of steps that are run as one."""
        self.groups |= dict.fromkeys(group.steps, group)
        self.homes |= group.homes
        for row, values in group.rows.items():
            self.roots[row] = frozenset({row})
            self.beside |= {x: (row, span) for x, span in zip(values, group.spans, strict=True) if is_array(x)}
        self.made |= {a.result for a in group.applications}
        moved = {x: row for x, (row, _) in self.beside.items() if x in self.made and x not in self.homes}
        self.roots = {x: frozenset([moved.get(root, root) for root in roots]) for x, roots in self.roots.items()}

    def ordered(self, step: Step) -> list[tuple[Application, Cut | None]]:
        """Return the gates of a step in the order in which they are run, each with its cut."""
        found = self.cuts.get(step) if isinstance(step, Fused) else None
        if step in self.groups:
            group = self.groups[step]
            return [(a, None) for a in group.applications] if step is group.steps[-1] else []
        return [(a, found) for a in ((*found.inside, *found.after) if found else step.applications)]

    def lives(self) -> dict[Value, int]:
        """Return for each value whose memory is planned the place of the last gate that takes it."""
        last: dict[Value, int] = {}
        for i, (a, _) in enumerate(self.order):
            last[a.result] = i
            for x in arrays(a):
                last.update(dict.fromkeys(self.roots.get(x, ()), i))

        def keep(x: Any) -> Any:
            if isinstance(x, Value):
                last.update(dict.fromkeys(self.roots.get(x, ()), len(self.order)))
            return x

        each(keep, self.program.result)
        for _, x in self.program.writes:
            keep(x)
        return last

    def plan(self) -> Plan:
        ends: dict[int, list[Value]] = defaultdict(list)
        for value, i in self.last.items():
            ends[i].append(value)
        blocks: list[int] = []                           # what is free for a block, and for nothing else:
        wholes: list[int] = []                           # these are free when the last block has been done
        for i, (a, found) in enumerate(self.order):
            z, inside = a.result, found is not None and a in found.inside
            if z in self.beside and z in self.made:
                z = self.beside[z][0]                    # its place is in the row
                if z not in self.slots:
                    self.slots[z] = self.take(self.size(z), [self.free])
            elif z in self.made and z not in self.homes:
                over = self.over(a, i, found.inside if found is not None and inside else (a,))
                if over is not None:
                    ends[i].remove(over)
                    self.slots[z] = self.slots[over]
                else:
                    self.slots[z] = self.take(self.size(z), [blocks, self.free] if z in self.partial else [self.free])
            for value in ends[i]:
                if value in self.slots:
                    free = self.free if not inside else blocks if value in self.partial else wholes
                    free.append(self.slots[value])
            if found is not None and a is found.inside[-1]:
                self.free += blocks + wholes
                blocks, wholes = [], []
        return Plan(self.slots, self.sizes, self.cuts, self.partial, self.columns, frozenset(self.in_rows), self.roots,
                    self.groups, self.beside)

    def over(self, a: Application, i: int, beside: tuple[Application, ...]) -> Value | None:
        """Return an argument that ends here, and that the result may be written over.

        Nobody looks at it another way, neither this gate nor one `beside` it, whose next block would come too late.
        """
        views = {root for other in beside for y in arrays(other) for root in self.roots.get(y, ()) if root is not y}
        for x in arrays(a):
            if x in self.slots and self.last[x] == i and x not in views and in_place_over(
                    a, x, by_columns=a.result in self.columns) and (
                    (x in self.partial) == (a.result in self.partial)) and (
                    (x in self.columns) == (a.result in self.columns)):
                return x
        return None

    def take(self, size: int, free: list[list[int]]) -> int:
        """Return a block of memory that is free: one of about this size, else a new one."""
        for slots in free:
            fits = [slot for slot in slots if size / 2 <= self.sizes[slot] <= 2 * size]
            if fits:
                slot = min(fits, key=lambda slot: abs(self.sizes[slot] - size))
                slots.remove(slot)
                self.sizes[slot] = max(self.sizes[slot], size)
                return slot
        self.sizes.append(size)
        return len(self.sizes) - 1

    def size(self, value: Value) -> int:
        """Return how many bytes a value needs."""
        shape, dtype = value.kind
        return int(math.prod(self.partial.get(value, shape)) * dtype.itemsize)


def _padded(size: int) -> int:
    return -(-size // LINE) * LINE
