"""A program bound to memory: calls that are ready to be made."""
from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from itertools import starmap
from typing import Any

import numpy as np

from ...tensor import Tensor
from ..code import Code, line_of
from ..facts import HOST, is_array, is_number, is_view
from ..plan import Plan
from ..program import Application, Fused, Program, Step, Value, each
from .calls import Call, calls
from .cells import Cells
from .holder import Holder
from .made import Made
from .operands import Operands

__all__ = ["Bound"]

BUFFER = 256                             #: elements: what NumPy allocates for an array whose rows are too short


class Bound:
    """A program bound to memory of its own. It does one run at a time.

    Attributes
    ----------
    early : callable
        Makes the calls that write into planned memory only: a function in which each has a line.
    late : list of sequence
        The calls that write into cells, and all that comes after, each a function and its arguments. No Python code
        runs between the first and the last, and so no interrupt is noticed there.
    """

    def __init__(self, program: Program, layout: Plan) -> None:
        self.program, self.layout = program, layout
        self.late: list[Sequence[Any]] = []
        self.origins: list[Application] = []             # the gate behind each early call that may fail
        self.operands = Operands(program, layout)
        self.cells = Cells(program, layout, self.operands)
        self.quiet = copy_context()                      # where nothing warns: to warn is to run Python code
        self.quiet.run(np.seterr, all="ignore")
        self.quiet.run(np.setbufsize, BUFFER)
        self.bind()
        self.begin, self.prepare = self.beginning(), self.preparing()
        self.returned: list[tuple[Callable[[], Any], bool]] = []   # whether each has to wait until cells are written
        each(lambda x: self.returned.append((self.result(x), self.is_late(x))) if isinstance(x, Value) else None,
             program.result)
        self.is_single = isinstance(program.result, Value)

    # ------------------------------------------------------------------ binding
    def bind(self) -> None:
        """Make the calls."""
        homes, early, late = self.program.homes, list[Made](), list[Made]()
        self.made_late: set[Value] = set(homes)
        writing = False
        for step in self.program.steps:
            writing = writing or any(a.result in homes for a in step.applications)
            for a, made in self.calls_of(step):
                if writing:
                    late.append(made)
                    self.made_late.add(a.result)
                else:
                    early.append(made)
                    self.origins.append(a)
        kept, first, rest, last = self.cells.bind(self.roots, self.is_late, self.result)
        code = Code()
        for made in early + kept:
            code.line(made.written(code))
        self.early = code.function()
        self.late = [made.listed() for made in first + late + rest + last]
        hosts = any(a.gate.name in HOST for a in self.program.applications)
        self.where: Any = _here if hosts else self.quiet.run       # a user's own code runs where he called the step

    def calls_of(self, step: Step) -> list[tuple[Application, Made]]:
        """Return the calls of a step, each with its gate."""
        made: list[tuple[Application, Made]] = []
        if step in self.layout.groups:
            group = self.layout.groups[step]
            return [] if step is not group.steps[-1] else [
                (a, self.operands.bound(c, a)) for a in group.applications for c in self.calls(a)]
        cut = self.layout.cuts.get(step) if isinstance(step, Fused) else None
        bound, whole = self.operands.bound, step.applications
        if cut is not None:
            for a in whole:
                if self.is_seen(a):                      # views first: blocks are cut from them
                    self.operands.view(a)
            made = [(a, bound(c, a, cut, span)) for span in cut.spans for a in cut.inside for c in self.calls(a)]
            whole = tuple([a for a in cut.after if not self.is_seen(a)])
        for a in whole:
            if self.is_seen(a):
                self.operands.view(a)
            elif a.result in self.operands.places:
                made += [(a, bound(c, a)) for c in self.calls(a)]
            elif not is_number(a):
                made.append((a, self.fresh(a)))
        return made

    def calls(self, a: Application) -> list[Call]:
        """Return the calls that run a gate."""
        return calls(a, by_columns=a.result in self.layout.columns) or []

    def is_seen(self, a: Application) -> bool:
        """Tell whether a gate makes a view, and does not have to copy."""
        return is_view(a) and a.result not in self.layout.slots

    def fresh(self, a: Application) -> Made:
        """Return the call of a gate that makes a new array each time."""
        value, options = a.gate.value, a.options
        given = tuple([self.operands.operand(x, a) for x in a.inputs])
        holder = self.operands.places[a.result] = Holder()

        def make(*given: Any) -> None:
            holder.hold(value(*given, **options))

        return Made(make, given)

    def beginning(self) -> Callable[[Sequence[Any]], None]:
        """Return what takes in the arguments, looks at the cells, and computes the numbers."""
        code = Code("arguments")
        for i, x in enumerate(self.program.arguments):
            if is_array(x):
                holder, given = code.name(self.operands.places[x]), f"arguments[{i}]"
                in_row = f" if {given}.flags.c_contiguous else {given}.copy()" if x in self.layout.in_rows else ""
                code.line(f"if {given} is not {holder}.held: {holder}.hold({given}{in_row})")
            else:
                code.line(f"{code.key(self.operands.numbers.now, self.operands.numbers.place(x))} = arguments[{i}]")
        self.cells.write_look(code)
        asked = [x for a in self.origins for x in a.inputs]
        each(asked.append, [self.program.result, [x for _, x in self.program.writes]])
        self.operands.write(code, asked)
        return code.function()

    def preparing(self) -> Callable[[], None]:
        """Return what has memory ready for the cells that are written."""
        code = Code()
        self.cells.write_prepare(code)
        return code.function()

    def roots(self, x: Value) -> frozenset[Value]:
        """Return the values whose memory a value may look at."""
        return self.layout.roots.get(x, frozenset({x}))

    def is_late(self, x: Value) -> bool:
        """Tell whether a value is there only when cells are being written."""
        return bool(self.roots(x) & self.made_late)

    # ------------------------------------------------------------------ a run
    def run(self, arguments: Sequence[Any]) -> Any:
        """Run the program."""
        self.begin(arguments)
        try:
            self.where(self.early)
        except Exception as error:
            raise self.blamed(error) from error
        results = [None if late else result() for result, late in self.returned]
        self.prepare()
        self.quiet.run(deque, starmap(operator.call, self.late), 0)
        self.cells.finish()
        for i, (result, late) in enumerate(self.returned):
            if late:
                results[i] = result()
        if self.is_single:
            return results[0]
        following = iter(results)
        return each(lambda x: next(following) if isinstance(x, Value) else x, self.program.result)

    def result(self, x: Value) -> Callable[[], Any]:
        """Return what makes a result: an array of its own as a tensor, or a number."""
        now, of = self.operands.now, Tensor.of
        if not is_array(x):
            return partial(now, x)
        if x.kind[0]:
            return lambda: of(np.array(now(x), order="C"))
        number: Any = self.operands.places[x]
        return (lambda: of(now(x)[()])) if isinstance(number, Holder) else lambda: of(number[()])

    def blamed(self, error: Exception) -> Exception:
        """Say of an error in an early call what eager code says, and which line of the step it belongs to."""
        a = self.origins[line_of(error, self.early)]
        said = a.gate.blame(error, [self.operands.now(x) for x in a.inputs], a.options)
        if a.place is not None:
            said.add_note(f"in a compiled step, {a.place}")
        return said


def _here(function: Any, *arguments: Any) -> Any:
    return function(*arguments)
