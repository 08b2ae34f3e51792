"""In place: a new value of a parameter or a moment is computed straight into its memory, over the old one."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...state import get
from ...tensor import Tensor
from ..planning.facts import in_place_over, is_array, is_elementwise, is_reduction, is_view, may_fail
from ..program import Application, Cell, Program, Step, Value

__all__ = ["in_place", "keeps_its_array"]


def in_place(program: Program) -> Program:
    """Find the values that need no memory of their own, and put the steps that write into cells last.

    Such a value comes out of an elementwise gate, and nothing needs the old one afterwards. What writes into cells, and
    all that depends on it, comes after every step that may fail: a step that fails has then changed nothing.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule import optim
    >>> from chainrule.compiler.passes import in_place
    >>> w = cr.Tensor([1.0], requires_grad=True)
    >>> optimizer = optim.SGD([w], lr=0.5)
    >>> @cr.compile
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     (w * x).sum().backward()
    ...     optimizer.step()
    >>> step(np.array([2.0]))
    >>> [cell.name for cell in in_place(step.recorded).homes.values()]
    ['array']
    """
    uses = _Uses(program)
    homes = uses.candidates(program)
    unwanted: set[Value] = {*homes}
    late: set[Step] = set()
    while unwanted:                                      # each home that is given up may make others possible no more
        late = uses.late(homes)
        blocked = uses.leading_to({step for step in late if any(map(may_fail, step.applications))})
        unwanted = {value for value, cell in homes.items()
                    if uses.step[value] in blocked or not uses.is_free(value, uses.old[cell], late)}
        homes = {value: cell for value, cell in homes.items() if value not in unwanted}
    early = [step for step in program.steps if step not in late]
    return replace(program, steps=early + [step for step in program.steps if step in late], homes=homes)


def keeps_its_array(cell: Cell) -> bool:
    """Tell whether what stands in a cell is an array that is written in place: a parameter, a buffer, a moment."""
    if cell.item is not None or getattr(cell.owner, "anew", False):
        return False
    return (isinstance(cell.owner, Tensor) and cell.name == "array") or isinstance(
        get(cell.owner, cell.name), np.ndarray)


class _Uses:
    """Who makes and who takes the values of a program."""

    def __init__(self, program: Program) -> None:
        self.steps = program.steps
        self.step: dict[Value, Step] = {}                # which makes a value
        self.maker: dict[Value, Application] = {}
        self.place: dict[Application, int] = {}
        self.users: dict[Value, list[Application]] = {}
        self.views: dict[Value, list[Value]] = {}        # other ways to look at its memory
        self.old: dict[Cell, Value] = {}                 # what is read from a cell that is written
        for step in program.steps:
            for a in step.applications:
                self.place[a], self.maker[a.result], self.step[a.result] = len(self.place), a, step
                for x in dict.fromkeys(x for x in a.inputs if isinstance(x, Value)):
                    self.users.setdefault(x, []).append(a)
                if is_view(a):
                    self.views.setdefault(a.inputs[0], []).append(a.result)

    def candidates(self, program: Program) -> dict[Value, Cell]:
        """Return the values that might be computed into the cell they are written to."""
        read = {cell.key: value for cell, value in program.reads if cell.item is None}
        homes: dict[Value, Cell] = {}
        for cell, x in program.writes:
            old = read.get(cell.key)
            if old is None or not is_array(x) or x not in self.maker or x in homes or x.kind != old.kind:
                continue
            if is_elementwise(self.maker[x]) and not may_fail(self.maker[x]) and keeps_its_array(cell):
                homes[x] = cell
                self.old[cell] = old
        return homes

    def late(self, homes: Mapping[Value, Cell]) -> set[Step]:
        """Return the steps that write into cells, and those that need what these make."""
        found = {self.step[value] for value in homes}
        for step in self.steps:
            if any(isinstance(x, Value) and self.step.get(x) in found for a in step.applications for x in a.inputs):
                found.add(step)
        return found

    def leading_to(self, steps: set[Step]) -> set[Step]:
        """Return these steps, and those that make what they need."""
        found = set(steps)
        for step in reversed(self.steps):
            if step in found:
                found |= {self.step[x] for a in step.applications for x in a.inputs
                          if isinstance(x, Value) and x in self.step}
        return found

    def is_free(self, new: Value, old: Value, late: set[Step]) -> bool:
        """Tell whether nothing needs the old value once the new one is there, also where both go block by block."""
        maker, step = self.maker[new], self.step[new]
        behind = [old]                                   # the old value, then views of it
        for value in behind:
            behind += self.views.get(value, [])
            for user in self.users.get(value, []):
                there = self.step[user.result]
                if is_view(user) or there not in late:
                    continue
                if there is step and is_reduction(user):           # it may be run when all blocks are done
                    return False
                if user is maker:
                    if value is not old or not in_place_over(maker, old):
                        return False
                elif self.place[user] > self.place[maker] or (there is step and value is not old):
                    return False
        return True
