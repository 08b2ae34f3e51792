"""A program bound to memory: calls that are ready to be made."""
from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from itertools import starmap
from typing import Any

import numpy as np

from ...tensor import Tensor
from ..code import Code, line_of
from ..planning.facts import HOST, is_array, is_number
from ..planning.plan import Plan
from ..program import Application, Fused, Program, Step, Value, each
from .calls import Call, calls
from .cells import Cells
from .holder import Holder
from .made import Made
from .operands import Operands
from .scalars import Scalar, scalars

__all__ = ["Bound"]

BUFFER = 256                             #: elements: what NumPy allocates for an array whose rows are too short


class Bound:
    """A program bound to memory of its own. It does one run at a time.

    Attributes
    ----------
    early : callable
        Makes the calls that write into planned memory only: a function in which each has a line.
    run : callable
        ``run(arguments)`` does everything, and returns the results.
    late : list of sequence
        The calls that write into cells, and all that comes after, each a function and its arguments. No Python code
        runs between the first and the last, and so no interrupt is noticed there.
    shorter : list of sequence
        The same without those that set a gradient to what, as a rule, it is already.
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
        self.run = self.written()

    # ------------------------------------------------------------------ binding
    def bind(self) -> None:
        """Make the calls."""
        homes, early, late = self.program.homes, list[Made | Scalar](), list[Made]()
        self.scalars = scalars(self.program, self.layout)
        self.made_late: set[Value] = set(homes)
        writing = False
        for step in self.program.steps:
            writing = writing or any(a.result in homes for a in step.applications)
            for a, made in self.calls_of(step):
                if writing:
                    assert isinstance(made, Made)
                    late.append(made)
                    self.made_late.add(a.result)
                else:
                    early.append(made)
                    self.origins.append(a)
        kept, first, rest, last = self.cells.bind(self.roots, self.is_late, self.result)
        code = Code()
        for one in early + kept:
            code.line(one.written(code))
        self.early = code.function()
        listed = [(one, one.listed()) for one in first + late + rest + last]
        still = {id(made) for _, _, made in self.cells.still}
        self.late = [call for _, call in listed]
        self.shorter = [call for made, call in listed if id(made) not in still]

    def calls_of(self, step: Step) -> list[tuple[Application, Made | Scalar]]:
        """Return the calls of a step, each with its gate."""
        made: list[tuple[Application, Made | Scalar]] = []
        if step in self.layout.groups:
            group = self.layout.groups[step]
            return [] if step is not group.steps[-1] else [
                (a, self.operands.bound(c, a)) for a in group.applications for c in self.calls(a)]
        cut = self.layout.cuts.get(step) if isinstance(step, Fused) else None
        bound, whole = self.operands.bound, step.applications
        if cut is not None:
            for a in whole:
                if self.layout.is_seen(a):               # views first: blocks are cut from them
                    self.operands.view(a)
            made = [(a, bound(c, a, cut, span)) for span in cut.spans for a in cut.inside for c in self.calls(a)]
            whole = tuple([a for a in cut.after if not self.layout.is_seen(a)])
        for a in whole:
            if self.layout.is_seen(a):
                self.operands.view(a)
            elif a.result in self.scalars:
                made.append((a, self.scalar(a)))
            elif a.result in self.operands.places:
                made += [(a, bound(c, a)) for c in self.calls(a)]
            elif not is_number(a):
                made.append((a, self.fresh(a)))
        return made

    def calls(self, a: Application) -> list[Call]:
        """Return the calls that run a gate."""
        return calls(a, by_columns=self.layout.is_by_columns(a)) or []

    def scalar(self, a: Application) -> Scalar:
        """Return the call of a gate that computes with numbers."""
        given = tuple([self.operands.operand(x, a) for x in a.inputs])
        holder = self.operands.places[a.result] = Holder()
        return Scalar(a.gate.name, given, holder)

    def fresh(self, a: Application) -> Made:
        """Return the call of a gate that makes a new array each time."""
        value, options = a.gate.value, a.options
        given = tuple([self.operands.operand(x, a) for x in a.inputs])
        holder = self.operands.places[a.result] = Holder()

        def make(*given: Any) -> None:
            holder.hold(value(*given, **options))

        return Made(make, given)

    def written(self) -> Callable[[Sequence[Any]], Any]:
        """Return the function that runs the program on its arguments."""
        code = Code("arguments")
        self.write_beginning(code)
        hosts = any(a.gate.name in HOST for a in self.program.applications)
        quiet, early, late = code.name(self.quiet.run), code.name(self.early), code.name(self.late)
        code.line("try:")                                # a user's own code runs where he called the step
        code.line(f"    {early}()" if hosts else f"    {quiet}({early})")
        code.line("except Exception as error:")
        code.line(f"    raise {code.name(self.blamed)}(error) from error")
        returned: list[Value] = []
        each(lambda x: returned.append(x) if isinstance(x, Value) else None, self.program.result)
        results = [f"r{i} = {self.result_text(x, code)}" for i, x in enumerate(returned)]
        waiting = [self.is_late(x) for x in returned]    # until cells are written
        for line, waits in zip(results, waiting, strict=True):
            if not waits:
                code.line(line)
        self.cells.write_prepare(code)
        if self.cells.still:
            late = f"{code.name(self.shorter)} if {self.cells.is_still(code)} else {late}"
        code.line(f"{quiet}({code.name(deque)}, {code.name(starmap)}({code.name(operator.call)}, {late}), 0)")
        self.cells.write_finish(code)
        for line, waits in zip(results, waiting, strict=True):
            if waits:
                code.line(line)
        names = ", ".join(f"r{i}" for i in range(len(returned)))
        code.line(f"return {names if isinstance(self.program.result, Value) else f'{code.name(self.tree)}({names})'}")
        return code.function()

    def write_beginning(self, code: Code) -> None:
        """Write what takes in the arguments, looks at the cells, and computes the numbers."""
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

    def roots(self, x: Value) -> frozenset[Value]:
        """Return the values whose memory a value may look at."""
        return self.layout.roots.get(x, frozenset({x}))

    def is_late(self, x: Value) -> bool:
        """Tell whether a value is there only when cells are being written."""
        return bool(self.roots(x) & self.made_late)

    # ------------------------------------------------------------------ what is asked at a run
    def tree(self, *results: Any) -> Any:
        """Return the results in the containers in which the step returns them."""
        following = iter(results)
        return each(lambda x: next(following) if isinstance(x, Value) else x, self.program.result)

    def result(self, x: Value) -> Callable[[], Any]:
        """Return what makes a result."""
        code = Code()
        code.line(f"return {self.result_text(x, code)}")
        return code.function()

    def result_text(self, x: Value, code: Code) -> str:
        """Return the expression that makes a result: an array of its own as a tensor, or a number."""
        if not is_array(x):
            return code.key(self.operands.numbers.now, self.operands.numbers.places[x])
        place = self.operands.places[x]
        array = code.name(place) + ".held" * isinstance(place, Holder)
        own = f"{code.name(np.array)}({array}, order='C')" if x.kind[0] else f"{array}[()]"
        return f"{code.name(Tensor.of)}({own})"

    def blamed(self, error: Exception) -> Exception:
        """Say of an error in an early call what eager code says, and which line of the step it belongs to."""
        i = line_of(error, self.early)
        if i is None or i >= len(self.origins):          # none of a gate
            return error
        a = self.origins[i]
        said = a.gate.blame(error, [self.operands.now(x) for x in a.inputs], a.options)
        if a.place is not None:
            said.add_note(f"in a compiled step, {a.place}")
        return said
