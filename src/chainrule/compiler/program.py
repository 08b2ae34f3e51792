"""A program: a step as a flat list of gates in single-assignment form. It says what is computed, not how.

It begins with what it is given: arguments, constants, and the values of state cells. Then each gate makes one new value
out of older ones. It ends with what is written back to the cells, and what the step returns.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..gate import Gate
from ..mode import tick
from ..source import Place
from ..state import get, put
from ..tensor import Dropped, Tensor

if TYPE_CHECKING:
    from .views.cost import Cost

__all__ = ["NUMBERS", "Application", "Cell", "Fused", "Program", "Step", "Value", "each", "kind"]

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
    place: Place | None = None                       #: the user's line that asked for it

    @property
    def results(self) -> tuple[Value, ...]:
        """The values it makes."""
        return (self.result,)

    @property
    def applications(self) -> tuple[Application, ...]:
        """The gates that it applies."""
        return (self,)

    def __str__(self) -> str:
        from .views.listing import applied
        return applied(self)


@dataclass(frozen=True, eq=False, slots=True)
class Fused:
    """Several gates that are run as one: a loop over the elements, or a block of them at a time.

    Attributes
    ----------
    applications : tuple of Application
        In order. Each takes what is made outside or before it.
    results : tuple of Value
        Those of its values that are needed outside. The others never need memory of their whole size.
    """

    applications: tuple[Application, ...]
    results: tuple[Value, ...]

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The values that it takes from outside, each once."""
        made = {a.result for a in self.applications}
        taken = [x for a in self.applications for x in a.inputs if isinstance(x, Value) and x not in made]
        return tuple(dict.fromkeys(taken))

    def __str__(self) -> str:
        return f"fused({', '.join(a.gate.name for a in self.applications)})"


Step = Application | Fused


@dataclass(frozen=True, eq=False, slots=True)
class Cell:
    """A place of state that outlives the step: an attribute or a key of an object, or one item of a tuple there."""

    owner: Any
    name: str
    item: int | None = None

    @property
    def key(self) -> tuple[int, str]:
        """What tells its place from others; the items of a tuple have one in common."""
        return id(self.owner), self.name

    def __repr__(self) -> str:
        return f"Cell({type(self.owner).__name__}, {self.name!r}{'' if self.item is None else f', {self.item}'})"

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
        elif isinstance(before, int | float) or value is None or isinstance(value, Dropped | tuple | str):
            put(self.owner, self.name, raw)
        else:
            put(self.owner, self.name, value if isinstance(value, Tensor) else Tensor.of(value, lent=True))

    def shows(self, believed: Any) -> bool:
        """Tell whether it holds what a recorder believes that it does."""
        return _equal(self.get(), believed)


def _equal(now: Any, believed: Any) -> bool:
    if isinstance(believed, tuple):
        return isinstance(now, tuple | list) and len(now) == len(believed) and all(map(_equal, now, believed))
    raw = believed.array if isinstance(believed, Tensor) else believed
    if isinstance(raw, np.ndarray) and isinstance(now, np.ndarray):
        return now is raw or np.array_equal(now, raw, equal_nan=raw.dtype.kind == "f")
    return now is raw or bool(now == raw) or bool(now != now and raw != raw)


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
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):             # a named one
        return type(tree)(*[each(function, item) for item in tree])
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
    steps : list of Application or Fused
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
    homes : dict of Value to Cell
        The values that are computed straight into the memory of the cell they are written to, over what it held.
    names : dict of int to str
        What arguments and the owners of cells are called where the program is shown, by the id of each.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> step = cr.compile(lambda x: (x * x).sum())
    >>> step(np.array([1.0, 2.0]))
    Tensor(5.)
    >>> [application.gate.name for application in step.program.steps]
    ['multiply', 'sum']
    """

    arguments: list[Value] = field(default_factory=list)
    constants: list[tuple[Value, NDArray[Any]]] = field(default_factory=list)
    reads: list[tuple[Cell, Value]] = field(default_factory=list)
    steps: list[Any] = field(default_factory=list)
    writes: list[tuple[Cell, Any]] = field(default_factory=list)
    result: Any = None
    guards: list[tuple[Callable[[Any], Any], Cell, Any]] = field(default_factory=list)
    size: int = 0
    homes: dict[Value, Cell] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    @property
    def applications(self) -> Iterator[Application]:
        """Every gate in order, those of fused steps one by one."""
        return (a for step in self.steps for a in step.applications)

    def new(self, array: Any) -> Value:
        """Make the next value, of the kind of an example."""
        self.size += 1
        return Value(self.size - 1, type(array) if type(array) in NUMBERS else kind(array))

    # ------------------------------------------------------------------ to be looked at
    def __str__(self) -> str:
        from .views.listing import listing
        return listing(self)

    __repr__ = __str__

    def cost(self) -> Cost:
        """Count what one call computes, reads, writes and holds; see `chainrule.compiler.views.cost`."""
        from .views.cost import cost
        return cost(self)

    def to_mermaid(self, constants: bool = True, numbers: bool = True) -> str:
        """Write it as a Mermaid flowchart; see `chainrule.compiler.views.mermaid`."""
        from .views.mermaid import flowchart
        return flowchart(self, constants, numbers)

    def report(self, executor: str = "numpy") -> str:
        """Say which executor runs each part, how and why; see `chainrule.compiler.views.report`."""
        from .views.report import report
        return report(self, executor)
