"""Record a step while it runs: every gate of forward, backward and update, and the state that it reads and writes.

Recording runs the step in the mode `symbolic`: derivatives and update rules run on tensors too, so that every gate of
the step passes the recorder. State is read and written through cells (see `chainrule.state`); a tensor or an array that
the step did not make is a cell as well. What code by hand does with arrays is recorded on top of this, in
`record_arrays`.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ... import gates as g
from ...gate import Gate, describe, own
from ...mode import Observer, tick
from ...source import Place, place
from ...state import get, holds, put
from ...tensor import Dropped, Tensor
from ..errors import RecordingError
from ..program import NUMBERS, Application, Cell, Program, Value, each, kind
from .captured import Captured
from .guards import Guards
from .recording import Recording
from .snapshot import Snapshot, Stood
from .spots import Live, Spot

__all__ = ["Recorder"]

Key = tuple[int, str]
PICKING = frozenset({"getitem", "scatter_add"})        #: gates that take an index in parts


class Recorder(Observer):
    """Writes down every gate that is applied, and what is read from and written to the cells.

    Parameters
    ----------
    arguments : list of Tensor
        What stands for the arguments of the program.
    captured : Captured
        What the step finds outside.
    """

    def __init__(self, arguments: list[Tensor], captured: Captured) -> None:
        self.program = Program()
        self.program.arguments = [self.program.new(x.array) for x in arguments]
        self.arguments = set(arguments)
        self.values = dict(zip(arguments, self.program.arguments, strict=True))    # what stands behind a tensor
        self.cells: dict[Key, Cell] = {}
        self.before: dict[Key, Stood] = {}             # what stood in a cell when the step began, to be put back
        self.first: dict[Key, Any] = {}                # the value it had then, for those that were read
        self.current: dict[Key, Any] = {}              # what it holds now, as the step sees it
        self.arrays: dict[int, Value] = {}             # the value behind an array, by its id
        self.copies: list[Any] = []                    # they must live, or another array would have their id
        self.sources: dict[Value, Spot] = {}           # where the plain arrays behind values stand
        self.accumulates: set[int] = set()
        self.live: set[Key] = set()                    # variables and attributes whose arrays are read anew
        self.captured = captured
        self.generally = False                         # whether it goes the ways that hold for all values
        self.guards = Guards()
        self.snapshots: dict[int, Snapshot] = captured.snapshots()
        self.used: dict[int, None] = {}                # the objects on whose attributes the program rests
        self.began = tick()

    # ------------------------------------------------------------------ gates
    def applied(self, gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any], result: Tensor) -> None:
        """Write down a gate."""
        given = [x.array if isinstance(x, Tensor) else x for x in inputs]
        if all(type(x) in NUMBERS for x in given) and not np.ndim(result.array) and "dtype" not in options:
            result.array = result.array.item()         # numbers make a number, as they do in eager code
        if gate.name in PICKING and any(_is_mask(x) for x in given[1:]):
            self.refuse("a boolean mask picks as many elements as it has true ones, and a program has fixed shapes; "
                        "use where(mask, x, 0), or multiply by the mask")
        self.values[result] = self.apply(gate, tuple([self.value(x) if isinstance(x, Tensor | np.ndarray) else x
                                                      for x in inputs]), options, result.array)
        for x, kept in zip(inputs, result.inputs, strict=False):
            if kept is not x:                          # the graph has a copy of the user's array, for derivatives
                self.arrays[id(kept)] = self.value(x)
                self.copies.append(kept)

    def apply(self, gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any], array: Any) -> Value:
        """Add a step, whose result is like an array; give its value."""
        value = self.program.new(array)
        self.program.steps.append(Application(gate, inputs, options, value, place(3)))
        return value

    def value(self, x: Any) -> Value:
        """Return the value behind an operand."""
        if isinstance(x, np.ndarray):
            return self.array(x)
        if (id(x), "array") in self.cells:
            x = self.current[id(x), "array"]           # what was last written into it
        elif x not in self.values and x.moment < self.began:
            x = self.read(x, "array")                  # from outside the step: its value is read at each replay
        if x not in self.values:
            self.values[x] = self.constant(x.array)    # made in the step, by no gate
        return self.values[x]

    def array(self, x: Any) -> Value:
        """Return the value behind a plain array: a cell if the step captured it, else a constant."""
        if id(x) not in self.arrays:
            found = self.captured.home(x) or next(filter(None, [s.home(x) for s in self.snapshots.values()]), None)
            if found is None:
                value, spot = self.constant(x), Spot(Live(x), "array", f"an array of {describe(x)}")
            else:
                home, title = found
                value = self.program.new(x)
                self.program.reads.append((home, value))
                self.guards.cell(home)
                self.live.add(home.key)
                spot = Spot(home.owner, home.name, title)
            self.arrays[id(x)], self.sources[value] = value, spot
        return self.arrays[id(x)]

    def constant(self, array: Any) -> Value:
        """Make a value that is the same at each replay."""
        value = self.program.new(array)
        self.program.constants.append((value, own(array) if isinstance(array, np.ndarray) else array))
        return value

    def lifted(self, source: Any, result: Tensor) -> None:
        """Let a tensor that was made of an array or a tensor, by no gate, have the value of that."""
        if isinstance(source, Tensor | np.ndarray):
            value = self.value(source)
            if value.kind != kind(result.array) and isinstance(value.kind, tuple):
                value = self.apply(g.cast, (value,), {"dtype": result.dtype}, result.array)
            self.values[result] = value

    # ------------------------------------------------------------------ cells
    def read(self, owner: Any, name: str) -> Any:
        """Return what stands for the content of a cell: a tensor, a tuple of them, or None, False or True."""
        key = id(owner), name
        if self.is_own(owner):
            return get(owner, name)
        if key not in self.cells:
            cell = self.cell(owner, name)
            held = get(owner, name)
            if isinstance(held, Dropped):              # a step before this one left it; this one goes on from there
                if held.held is None:
                    held.missed()
                put(owner, name, held.held)
            if name == "gradient" and held is not None:
                self.accumulates.add(id(owner))
            now = cell.get()
            try:
                self.guards.cell(cell)
            except TypeError as error:
                raise RecordingError(f"{name}: {error}", place(2)) from None
            if isinstance(owner, Tensor) and name == "array":
                self.guards.cell(Cell(owner, "tracked"))        # whether a gradient comes to it
            if isinstance(now, tuple | list):
                self.current[key] = tuple([self.stand_in(Cell(owner, name, i)) for i in range(len(now))])
            else:
                self.current[key] = now if now is None or isinstance(now, bool) else self.stand_in(cell)
            self.first[key] = self.settled(self.current[key])
        return self.current[key]

    def is_own(self, owner: Any) -> bool:
        """Tell whether a tensor was made by the step: what it holds ends with the step, and is no state."""
        return isinstance(owner, Tensor) and (id(owner), "array") not in self.cells and (
            owner in self.values or owner.moment > self.began)

    def cell(self, owner: Any, name: str) -> Cell:
        """Take note of a cell, and of what stands in it."""
        key = id(owner), name
        if key not in self.cells:
            cell = self.cells[key] = Cell(owner, name)
            self.before[key] = Stood(cell)
        return self.cells[key]

    def stand_in(self, cell: Cell) -> Tensor:
        """Return a tensor in place of what a cell holds: the one that stands there, or a new one around it."""
        held = get(cell.owner, cell.name)
        tensor = held if isinstance(held, Tensor) else Tensor.of(cell.get())
        self.values[tensor] = self.program.new(tensor.array)
        self.program.reads.append((cell, self.values[tensor]))
        return tensor

    def given(self, owner: Any, name: str) -> bool:
        """Answer by what the cell holds, and write down that this was taken for granted."""
        key = id(owner), name
        if key in self.cells and self.settled(self.current[key]) is not self.first.get(key):
            now = self.current[key]                    # written by this step, hence no matter of state
            if isinstance(now, Tensor) and type(now.array) in NUMBERS:
                self.refuse(f"{name} is computed in the recorded step, which cannot branch on it; use where()")
            return holds(now)
        return self.guards.given(Cell(owner, name))

    def write(self, owner: Any, name: str, value: Any) -> None:
        """Set a cell, now and at the end of each replay; or only note the new value of a tensor of the step's own."""
        before = get(owner, name)
        if isinstance(owner, Tensor) and name == "array" and owner in self.arguments:
            self.refuse("the step writes into its argument, and a replay would not; make a new tensor, or keep what "
                        "changes in a cell")
        if isinstance(before, np.ndarray | np.generic):
            value = self.fitted(value, before, name)
        self.assign(owner, name, value)

    def assign(self, owner: Any, name: str, value: Any) -> None:
        """Set a cell to what fits there."""
        if self.is_own(owner):
            if name == "array":
                self.values[owner], owner.array = self.value(value), value.array
            else:
                put(owner, name, value)
            return
        cell = self.cell(owner, name)
        if isinstance(get(owner, name), Dropped) and value is not None:
            self.accumulates.discard(id(owner))
        self.current[id(owner), name] = value
        cell.put(value)                                # what comes later in the step sees it

    def fitted(self, value: Any, before: Any, name: str) -> Tensor:
        """Return a value in the shape and dtype of the array it takes the place of, as writing in place would."""
        if not isinstance(value, Tensor):
            array = value
            value = Tensor.of(own(array) if isinstance(array, np.ndarray) else np.array(array, before.dtype), lent=True)
            if isinstance(array, np.ndarray):
                self.values[value] = self.array(array)
        if np.shape(value.array) != before.shape:
            raise ValueError(f"cannot write {describe(value.array)} into {name}, which is {describe(before)}")
        if kind(value.array) == kind(before):
            return value                               # type: ignore[no-any-return]
        if not np.can_cast(value.dtype, before.dtype, "same_kind"):
            raise TypeError(f"cannot write {describe(value.array)} into {name}, which is {describe(before)}; convert "
                            "it with .astype")
        return g.cast(value, dtype=before.dtype)       # type: ignore[no-any-return]

    # ------------------------------------------------------------------ what the step rests on
    def reached(self, owner: Any) -> None:
        """Take note of what stands in the attributes of a layer, a loss or an optimizer."""
        if id(owner) not in self.snapshots:
            self.snapshots[id(owner)] = Snapshot(owner, self.captured.title(owner))
        self.used[id(owner)] = None

    def hooked(self, hook: Callable[..., Any], answer: Any) -> None:
        """Refuse a hook that is there for what it does in Python."""
        if answer is None:
            name = getattr(hook, "__qualname__", type(hook).__name__)
            code = getattr(hook, "__code__", None)
            raise RecordingError(
                f"the hook {name} returned nothing, so it is there for what it does in Python, which a replay would "
                "not do; let it return what it makes of its argument, in gates, or take it away while the step is "
                "compiled", place(2) if code is None else Place(code, 0))

    def general(self, needed: bool = False) -> bool:
        """Go the way that holds for all values from the first time on that it is needed."""
        self.generally = self.generally or needed
        return self.generally

    def refuse(self, why: str) -> NoReturn:
        """Say that the step cannot be recorded, and why."""
        raise RecordingError(why, place(2))

    # ------------------------------------------------------------------ the end
    def settled(self, x: Any) -> Any:
        """Return the value behind a tensor, and anything else as it is."""
        return self.value(x) if isinstance(x, Tensor) else x

    def finish(self, result: Any) -> Recording:
        """Note what the step leaves behind."""
        for key, cell in self.cells.items():
            if key in self.current and not cell.shows(self.current[key]):
                names = self.captured.names(self.snapshots.values())
                raise RecordingError(
                    f"{cell.name} of {names.get(id(cell.owner)) or self.captured.title(cell.owner)} was set by plain "
                    "Python in the step, which a replay would not repeat; do that outside the step (schedules and "
                    "counters belong there), or use chainrule.cell", self.captured.line(cell.name, cell.owner))
        written = self.accounted()
        self.captured.settle(written)
        kept = [pair for snapshot in self.snapshots.values()
                for pair in snapshot.settle(self.values, written, self.captured.line)]
        for cell, _ in kept:
            before = self.snapshots[id(cell.owner)].before
            if cell.name in before and not isinstance(before[cell.name], np.ndarray):
                self.carry(cell, before[cell.name])
            written.add(cell.key)
        noted = [pair for snapshot in self.snapshots.values() for pair in snapshot.set]
        written |= {cell.key for cell, _ in noted}
        self.leave(kept, result)
        self.program.names |= self.captured.names(self.snapshots.values())
        self.program.guards = self.guards.taken
        watches = [*self.captured.watches(written), *[w for i in self.used for w in self.snapshots[i].watches(written)]]
        self.guards.seal(watches, self.title)
        return Recording(self.program, self.guards, self.sources, self.accumulates, [], noted)

    def accounted(self) -> set[Key]:
        """Return the cells, and the variables and attributes that are as good as such: what the step may change."""
        return {*self.cells, *self.live}

    def leave(self, kept: list[tuple[Cell, Tensor]], result: Any) -> None:
        """Write down what the cells and the attributes end with, and what is returned."""
        for key, cell in self.cells.items():
            if key in self.current:
                last = self.settled(self.current[key])
                if key not in self.first or last is not self.first[key]:
                    self.program.writes.append((cell, last))
        self.program.writes += [(cell, self.value(x)) for cell, x in kept]
        self.program.result = each(self.outcome, result)

    def title(self, cell: Cell) -> str:
        """Return what messages call a cell, once the step has ended."""
        return f"{self.program.names.get(id(cell.owner)) or type(cell.owner).__name__}.{cell.name}"

    def carry(self, cell: Cell, before: Any) -> None:
        """Let an attribute that the step sets be a cell: what it held before is read there as well."""
        if isinstance(before, Tensor):
            self.program.reads = [(cell if c.owner is before else c, value) for c, value in self.program.reads]
            self.guards.forget(before)
        self.guards.kinds.append((cell, before))

    def outcome(self, x: Any) -> Any:
        """Return the value behind a part of the result."""
        if isinstance(x, Tensor | np.ndarray):
            return self.value(x)
        if isinstance(x, str | bytes | type(None)) or type(x) in NUMBERS or isinstance(x, np.generic):
            return x
        raise RecordingError(f"a step returns tensors, arrays, numbers, and lists, tuples and dicts of them, got "
                            f"{type(x).__name__}", self.captured.returns())

    def undo(self) -> None:
        """Put everything back as it was before the step."""
        for stood in self.before.values():
            stood.undo()
        for snapshot in self.snapshots.values():
            snapshot.undo()
        self.captured.undo()


def _is_mask(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "b" and x.ndim > 0
