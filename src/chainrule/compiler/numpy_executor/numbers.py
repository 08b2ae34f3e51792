"""Python numbers in a program: computed with Python's operators before anything else, as eager code does."""
from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from ..facts import is_number
from ..program import NUMBERS, Application, Cell, Program, Value

__all__ = ["Numbers"]

OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "power": operator.pow, "negative": operator.neg, "greater": operator.gt, "greater_equal": operator.ge,
    "less": operator.lt, "less_equal": operator.le, "equal": operator.eq, "not_equal": operator.ne}


class Numbers:
    """The Python numbers of a program, one place for each.

    Attributes
    ----------
    now : list
        What they are.
    """

    def __init__(self, program: Program) -> None:
        self.places: dict[Value, int] = {}
        self.now: list[Any] = []
        self.reads = [(_reader(cell), self.place(x)) for cell, x in program.reads if x.kind in NUMBERS]
        for x, number in program.constants:
            if x.kind in NUMBERS:
                self.now[self.place(x)] = number
        self.steps = [(_function(a), [self.place(x) for x in a.inputs], self.place(a.result))
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

    def compute(self) -> list[Any]:
        """Read the cells, and compute everything."""
        now = self.now
        for read, i in self.reads:
            now[i] = read()
        for function, places, i in self.steps:
            now[i] = function(*[now[k] for k in places])
        return now


def _reader(cell: Cell) -> Callable[[], Any]:
    """Return what reads a number from a cell; one of NumPy's comes as Python's."""
    owner, name, item = cell.owner, cell.name, cell.item

    def key() -> Any:
        x = owner[name] if item is None else owner[name][item]
        return x if type(x) in NUMBERS else cell.get()

    def attribute() -> Any:
        x = getattr(owner, name)
        return x if item is None and type(x) in NUMBERS else cell.get()

    return key if isinstance(owner, dict) else attribute


def _function(a: Application) -> Callable[..., Any]:
    """Return what computes a number: Python's operator, or else the gate."""
    found = OPERATORS.get(a.gate.name)
    if found is not None and not a.options and all(getattr(x, "kind", type(x)) in (int, float) for x in a.inputs):
        return found

    def compute(*numbers: Any) -> Any:
        z = a.gate.value(*numbers, **a.options)
        return z.item() if hasattr(z, "item") else z

    return compute
