"""Python numbers in a program: computed with Python's operators before anything else, as eager code does."""
from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..code import Code
from ..places import place
from ..planning.facts import is_number
from ..program import NUMBERS, Application, Cell, Program, Value

__all__ = ["Numbers"]

OPERATORS = {"add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}", "power": "{} ** {}",
             "negative": "-{}", "greater": "{} > {}", "greater_equal": "{} >= {}", "less": "{} < {}",
             "less_equal": "{} <= {}", "equal": "{} == {}", "not_equal": "{} != {}"}


class Numbers:
    """The Python numbers of a program, one place for each.

    Attributes
    ----------
    now : list
        What they are, as far as anybody asks.
    stored : list of (int, array)
        The arrays that are full of one of them: the place of the number, and the array.
    """

    def __init__(self, program: Program) -> None:
        self.places: dict[Value, int] = {}
        self.now: list[Any] = []
        self.stored: list[tuple[int, Any]] = []
        self.reads = [(cell, self.place(x), x.kind) for cell, x in program.reads if x.kind in NUMBERS]
        for x, number in program.constants:
            if x.kind in NUMBERS:
                self.now[self.place(x)] = number
        self.steps = [(a, [self.place(x) for x in a.inputs], self.place(a.result))
                      for a in program.applications if is_number(a)]

    def place(self, x: Any) -> int:
        """Return where a value stands, or a plain number."""
        if not isinstance(x, Value):
            self.now.append(x)
            return len(self.now) - 1
        if x not in self.places:
            self.places[x] = len(self.now)
            self.now.append(None)
        return self.places[x]

    def write(self, code: Code, kept: Collection[int]) -> None:
        """Write what reads the cells, computes everything, fills the arrays, and keeps some numbers in `now`."""
        now = self.now
        made = {i for _, i, _ in self.reads} | {i for _, _, i in self.steps}
        for i, number in enumerate(self.now):
            if i not in made:
                code.line(f"n{i} = " + (code.key(now, i) if number is None else code.name(number)))
        for cell, i, kind in self.reads:
            code.line(f"n{i} = {_reading(cell, code)}")
            code.line(f"if type(n{i}) is not {code.name(kind)}: n{i} = {code.name(cell.get)}()")   # one of NumPy's
        for a, places, i in self.steps:
            code.line(f"n{i} = {_computing(a, [f'n{place}' for place in places], code)}")
        for i, array in self.stored:
            code.line(f"{code.name(array.fill)}(n{i})")
        for i in sorted(made & {*kept}):
            code.line(f"{code.key(now, i)} = n{i}")


def _reading(cell: Cell, code: Code) -> str:
    """Return the expression that reads what stands in a cell."""
    return place(cell.owner, cell.name).text(code) + ("" if cell.item is None else f"[{cell.item}]")


def _computing(a: Application, inputs: list[str], code: Code) -> str:
    """Return the expression that computes a number: with Python's operator, or else with the gate."""
    if a.gate.name in OPERATORS and not a.options and all(
            getattr(x, "kind", type(x)) in (int, float) for x in a.inputs):
        return OPERATORS[a.gate.name].format(*inputs)

    def compute(*numbers: Any) -> Any:
        z = a.gate.value(*numbers, **a.options)
        return z.item() if hasattr(z, "item") else z

    return f"{code.name(compute)}({', '.join(inputs)})"
