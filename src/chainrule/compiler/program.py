"""A program: a step as a flat list of gates in single-assignment form. It says what is computed, not how.

It begins with what it is given: arguments, constants, and the values of state cells. Then each gate makes one new value
out of older ones. It ends with what is written back to the cells, and what the step returns.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..gate import Gate
from ..mode import tick
from ..state import get, holds, put
from ..tensor import Tensor

__all__ = ["NUMBERS", "Application", "Cell", "Program", "Value", "each", "kind"]

NUMBERS = frozenset({bool, int, float})              #: Python's own; NumPy's float64 is a subclass, but widens float32


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """What a program computes with: an array of known shape and dtype, or a Python number of known type."""

    number: int
    kind: Any

    def __str__(self) -> str:
        return f"%{self.number}"


@dataclass(frozen=True, eq=False, slots=True)
class Application:
    """A gate, what goes into it (values, or plain constants such as numbers and slices), and the value it makes."""

    gate: Gate
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    result: Value

    def __str__(self) -> str:
        said = [*map(_said, self.inputs), *(f"{name}={_said(value)}" for name, value in self.options.items())]
        return f"{self.gate.name}({', '.join(said)})"


@dataclass(frozen=True, eq=False, slots=True)
class Cell:
    """A place of state that outlives the step: an attribute or a key of an object, or one item of a tuple there."""

    owner: Any
    name: str
    item: int | None = None

    def get(self) -> Any:
        """Return what stands there now: an array, a number, a tuple of numbers, or None."""
        value = get(self.owner, self.name)
        if self.item is not None:
            return value[self.item]
        return value.array if isinstance(value, Tensor) else value

    def put(self, value: Any) -> None:
        """Set it. It goes on holding what it held: a tensor, an array of its own, or a number."""
        before, raw = get(self.owner, self.name), value.array if isinstance(value, Tensor) else value
        if isinstance(self.owner, Tensor) and self.name == "array":
            self.owner.array, self.owner.lent, self.owner.moment = np.asarray(raw), True, tick()
        elif isinstance(before, np.ndarray):
            put(self.owner, self.name, np.array(raw))
        elif isinstance(before, int | float) or value is None:
            put(self.owner, self.name, raw)
        else:
            put(self.owner, self.name, value if isinstance(value, Tensor) else Tensor.of(value, lent=True))


def kind(value: Any) -> Any:
    """Return what has to be the same for a program to apply: shape and dtype, a number's type, or None, False, True."""
    if isinstance(value, np.ndarray | np.generic):
        return value.shape, value.dtype
    if value is None or isinstance(value, bool):
        return value
    if type(value) in NUMBERS:
        return type(value)
    if isinstance(value, tuple | list):
        return tuple(map(kind, value))
    raise TypeError(f"a recorded step computes with arrays, numbers and tuples of them, got {type(value).__name__}")


def each(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply a function to everything inside nested tuples, lists and dicts."""
    if isinstance(tree, dict):
        return {name: each(function, item) for name, item in tree.items()}
    return type(tree)([each(function, item) for item in tree]) if type(tree) in (tuple, list) else function(tree)


@dataclass(eq=False)
class Program:
    """A step as a flat list of gates; ``print`` lists it.

    Attributes
    ----------
    arguments : list of Value
    constants : list of (Value, array)
    reads : list of (Cell, Value)
        The cells whose values the step begins with.
    steps : list of Application
        In an order in which each gate's inputs have been made.
    writes : list of (Cell, Value or number or None)
        The cells that the step changes, and what they end with.
    result : Value, or any nest of tuples, lists and dicts of them
        What the step returns.
    guards : list of (test, Cell, answer)
        What was taken for granted while recording: where ``test(cell.get())`` gives another answer, the program does
        not apply.
    size : int
        The number of values.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.compiler import record
    >>> step = record(lambda x: (x * x).sum())
    >>> step(np.array([1.0, 2.0]))
    Tensor(5.)
    >>> [application.gate.name for application in step.program.steps]
    ['multiply', 'sum']
    """

    arguments: list[Value] = field(default_factory=list)
    constants: list[tuple[Value, NDArray[Any]]] = field(default_factory=list)
    reads: list[tuple[Cell, Value]] = field(default_factory=list)
    steps: list[Application] = field(default_factory=list)
    writes: list[tuple[Cell, Any]] = field(default_factory=list)
    result: Any = None
    guards: list[tuple[Callable[[Any], Any], Cell, Any]] = field(default_factory=list)
    size: int = 0

    def new(self, array: Any) -> Value:
        """Make the next value, of the kind of an example."""
        self.size += 1
        return Value(self.size - 1, type(array) if type(array) in NUMBERS else kind(array))

    def applies(self) -> bool:
        """Tell whether all that was taken for granted still holds."""
        return all(test(cell.get()) == answer for test, cell, answer in self.guards)

    def __str__(self) -> str:
        titles: dict[int, str] = {}                    # of the owners of cells

        def say(cell: Cell) -> str:
            owner = cell.owner
            named = isinstance(owner, Tensor) and owner.name
            title = titles.setdefault(id(owner), owner.name if named else f"{type(owner).__name__}#{len(titles)}")
            path = f"[{cell.name!r}]" if isinstance(owner, dict) else f".{cell.name}"
            return title + path + ("" if cell.item is None else f"[{cell.item}]")

        made = [(v, "argument") for v in self.arguments] + [(v, "constant") for v, _ in self.constants]
        made += [(v, say(cell)) for cell, v in self.reads]
        made = sorted(made, key=lambda pair: pair[0].number) + [(step.result, str(step)) for step in self.steps]
        lines = [f"{v!s:>5}: {_kind(v.kind):20} = {origin}" for v, origin in made]
        lines += [f"{say(cell)} ← {_said(value)}" for cell, value in self.writes]
        lines.append(f"return {each(_said, self.result)}".replace("'", ""))
        lines += [f"assuming {say(cell)} is {'something' if answer else 'None, False or 0'}"
                  for test, cell, answer in self.guards if test is holds]
        return "\n".join(lines)


def _kind(kind: Any) -> str:
    return f"{kind[1]}{list(kind[0])}" if isinstance(kind, tuple) else kind.__name__


def _said(x: Any) -> str:
    return str(x) if isinstance(x, Value | np.dtype) else repr(x)[:60]
