"""Record a step while it runs: every gate of forward, backward and update, and the state that it reads and writes.

Recording runs the step in the mode `symbolic`: derivatives and update rules run on tensors too, so that every gate of
the step passes the recorder. State is read and written through cells (see `chainrule.state`); a tensor or an array that
the step did not make is a cell as well. The call is a real step: it leaves everything as an eager one would. If it
fails, every cell holds again what it held before.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from operator import is_
from typing import Any, NoReturn

import numpy as np

from .. import gates as g
from ..gate import Gate, describe, own
from ..mode import Observer, mode, setting, tick
from ..source import Place, place
from ..state import get, holds, put
from ..tensor import Dropped, Tensor
from .captured import Captured
from .errors import RecordingError
from .guards import Guards
from .program import NUMBERS, Application, Cell, Program, Value, each, kind
from .snapshot import Snapshot
from .spots import Held, Kept, StandIns, Written, owner_of

__all__ = ["Recorder", "Recording", "recording"]

Key = tuple[int, str]
PICKING = frozenset({"getitem", "scatter_add"})        #: gates that take an index in parts


@dataclass(eq=False)
class Recording:
    """What was recorded of one call.

    Attributes
    ----------
    program : Program
        Every gate as it was applied.
    guards : Guards
        What was taken for granted.
    sources : dict of Value to array
        For each constant that was an array of the user's, that very array.
    accumulates : set of int
        The ids of the tensors whose gradient from before the call was read.
    moved : list of str
        Where another array of the user's stands now than before the call.
    set : list of (Cell, number)
        What layers by hand have noted in attributes.
    """

    program: Program
    guards: Guards
    sources: dict[Value, Any]
    accumulates: set[int]
    moved: list[str]
    set: list[tuple[Cell, Any]]


def recording(step: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any], recorder: Recorder
              ) -> tuple[Recording, Any]:
    """Run a step, and write down what it does.

    Parameters
    ----------
    step : callable
    arguments, options
        What it is called with: tensors that the recorder knows stand there for arrays.
    recorder : Recorder

    Returns
    -------
    Recording
    result
        What the step returned.

    Raises
    ------
    RecordingError
        If the step does what a program cannot hold.
    """
    given = [(x, copy(x)) for x in _containers((arguments, options))]
    try:
        with recorder.stand_ins, setting(observer=recorder, symbolic=True):
            result = step(*arguments, **options)
        returned = [*map(id, _containers((result,)))]
        for x, before in given:
            if id(x) not in returned and not _alike(x, before):
                raise RecordingError(f"the step changes the {type(x).__name__} that is its argument, and a replay "
                                     "would not; return it, or let the step reach it as a variable",
                                     recorder.captured.returns())
        return recorder.finish(result), result
    except BaseException:
        recorder.undo()
        raise


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
        self.plain: set[Tensor] = set()                # what stands for arrays: those, and what is computed from them
        self.bases: dict[Tensor, Tensor] = {}          # of what looks at the memory of another one: that one
        self.written: dict[Tensor, int] = {}           # when those that stand for arrays were last written into
        self.by_hand: dict[Any, Any] = {}              # what keeps the by-hand calls of a layer, in eager code and here
        self.stand_ins = StandIns(captured.spots)
        self.stood: dict[Tensor, Value] = {}           # what they stood for when the step began, if it was used
        self.values = dict(zip(arguments, self.program.arguments, strict=True))    # what stands behind a tensor
        self.cells: dict[Key, Cell] = {}
        self.before: dict[Key, Any] = {}               # what stood in a cell when the step began, to be put back
        self.first: dict[Key, Any] = {}                # the value it had then, for those that were read
        self.current: dict[Key, Any] = {}              # what it holds now, as the step sees it
        self.arrays: dict[int, Value] = {}             # the value behind an array, by its id
        self.copies: list[Any] = []                    # they must live, or another array would have their id
        self.sources: dict[Value, Any] = {}
        self.accumulates: set[int] = set()
        self.live: set[Key] = set()                    # variables and attributes whose arrays are read anew
        self.captured = captured
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
        if not mode.inside and not result.tracked:
            self.computed(gate, [x for x in inputs if isinstance(x, Tensor)], result)
        for x, kept in zip(inputs, result.inputs, strict=False):
            if kept is not x:                          # the graph has a copy of the user's array, for derivatives
                self.arrays[id(kept)] = self.value(x)
                self.copies.append(kept)
        if result.tracked:                             # it also has one where an array has a stand-in
            result.inputs = tuple([self.copied(x) if isinstance(x, Tensor) and self.is_array(x) else x
                                   for x in result.inputs])

    def apply(self, gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any], array: Any) -> Value:
        """Add a step, whose result is like an array; give its value."""
        value = self.program.new(array)
        self.program.steps.append(Application(gate, inputs, options, value, place(3)))
        return value

    def value(self, x: Any) -> Value:
        """Return the value behind an operand."""
        if isinstance(x, np.ndarray):
            stands = self.stand_ins.of(x)
            return self.array(x) if stands is None else self.value(stands)
        if self.written.get(self.bases.get(x, x), 0) > x.moment:
            self.refuse("this is a view of an array that was written into since it was taken; take it anew, or copy it")
        if x in self.stand_ins.arrays and x not in self.values:
            self.values[x] = self.stood[x] = self.program.new(x.array)
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
            home = self.captured.home(x) or next(filter(None, [s.home(x) for s in self.snapshots.values()]), None)
            if home is None:
                value = self.constant(x)
            else:
                value = self.program.new(x)
                self.program.reads.append((home, value))
                self.guards.cell(home)
                self.live.add((id(home.owner), home.name))
            self.arrays[id(x)], self.sources[value] = value, x
        return self.arrays[id(x)]

    def constant(self, array: Any) -> Value:
        """Make a value that is the same at each replay."""
        value = self.program.new(array)
        self.program.constants.append((value, own(array) if isinstance(array, np.ndarray) else array))
        return value

    # ------------------------------------------------------------------ code by hand, which computes with arrays
    def computed(self, gate: Gate, inputs: list[Tensor], result: Tensor) -> None:
        """Take note of a result that stands for an array, if all that it was computed from does."""
        if not all(map(self.is_array, inputs)):
            return
        self.plain.add(result)
        if gate.is_view and inputs and np.may_share_memory(result.array, inputs[0].array):
            self.bases[result] = self.bases.get(inputs[0], inputs[0])

    def is_array(self, x: Tensor) -> bool:
        """Tell whether a tensor stands for an array: of the arguments, of the user's, or computed from such."""
        return not x.tracked and (x in self.plain or x in self.stand_ins.arrays)

    def in_place(self, x: Tensor) -> bool:
        """Tell whether an operator such as ``x -= y`` changes `x` itself, as it does an array, but not a number."""
        return x in self.stand_ins.arrays or (x in self.plain and (np.ndim(x.array) > 0 or x in self.bases))

    def lowered(self, x: Tensor) -> Tensor:
        """Return what stands for the value of a tensor as an array of its own."""
        t = Tensor.of(np.array(x.array) if isinstance(x.array, np.ndarray) else x.array)
        self.values[t] = self.value(x)
        self.plain.add(t)
        return t

    def copied(self, x: Tensor) -> Tensor:
        """Return what stands for the value of an array as it is now, whatever is written into that afterwards."""
        twin = Tensor.of(x.array, lent=True)
        twin.moment, self.values[twin] = x.moment, self.value(x)
        return twin

    def calls(self, kept: Any) -> Any:
        """Return what keeps the by-hand calls of a layer: those of the step, which end with it."""
        if kept not in self.by_hand:
            self.by_hand[kept] = type(kept)(kept.most)
        return self.by_hand[kept]

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
            self.cells[key], self.before[key] = Cell(owner, name), _held(owner, name)
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
        key, before = (id(owner), name), get(owner, name)
        if isinstance(owner, Tensor) and name == "array" and owner in self.arguments:
            self.refuse("the step writes into its argument, and a replay would not; make a new tensor, or keep what "
                        "changes in a cell")
        if isinstance(before, np.ndarray | np.generic):
            value = self.fitted(value, before, name)
        if isinstance(owner, Tensor) and name == "array" and self.in_place(owner):
            self.overwrite(owner, value)
            return
        if self.is_own(owner):
            if name == "array":
                self.values[owner], owner.array = self.value(value), value.array
            else:
                put(owner, name, value)
            return
        if isinstance(value, Tensor) and self.is_array(value):       # a copy is written, which is no array
            value, source = Tensor.of(value.array, lent=True), value
            self.values[value] = self.value(source)
        cell = self.cell(owner, name)
        if isinstance(before, Dropped) and value is not None:
            self.accumulates.discard(id(owner))
        self.current[key] = value
        cell.put(value)                                # what comes later in the step sees it

    def overwrite(self, owner: Tensor, value: Tensor) -> None:
        """Write into what stands for an array."""
        array = self.stand_ins.arrays.get(owner)
        if value.tracked:
            self.refuse("a tensor that remembers where it came from is written into an array, where its gradient would "
                        "be lost; pass .detach()")
        if owner in self.bases:
            self.refuse("the step writes into a view of an array; write the whole: a = ...")
        if array is not None:
            title = self.stand_ins.spots[owner][0].title
            if not (array.flags.c_contiguous and array.flags.writeable):
                self.refuse(f"the step writes into {title}, whose elements do not lie one after the other, or must not "
                            "be written; make it an array of its own: np.array(..., order='C')")
            if self.stand_ins.shares(owner):
                self.refuse(f"the step writes into {title}, whose memory another array looks at as well; make them "
                            "arrays of their own, with .copy()")
            self.value(owner)                          # the program reads it, also if nothing else does
        self.values[owner], owner.array = self.value(value), np.asarray(value.array)      # also without axes an array
        owner.moment = self.written[owner] = tick()

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
        written = {*self.cells, *self.live, *(spot.key for spot in self.stand_ins.all
                                              if not isinstance(spot.get(), Tensor))}
        self.captured.settle(written)
        kept = [pair for snapshot in self.snapshots.values()
                for pair in snapshot.settle(self.values, written, self.captured.line)]
        for cell, _ in kept:
            before = self.snapshots[id(cell.owner)].before
            if cell.name in before and not isinstance(before[cell.name], np.ndarray):
                self.carry(cell, before[cell.name])
            written.add((id(cell.owner), cell.name))
        noted = [pair for snapshot in self.snapshots.values() for pair in snapshot.set]
        written |= {(id(cell.owner), cell.name) for cell, _ in noted}
        for key, cell in self.cells.items():
            if key in self.current:
                last = self.settled(self.current[key])
                if key not in self.first or last is not self.first[key]:
                    self.program.writes.append((cell, last))
        self.program.writes += [(cell, self.value(x)) for cell, x in kept]
        self.program.result = each(self.outcome, result)
        homes = self.at_home()
        for calls in self.by_hand:                     # in eager code they would not be the latest any more
            calls.forget()
        for cell, x in kept:
            if self.is_array(x):                       # in eager code, it is one
                put(cell.owner, cell.name, np.array(x.array)[()])
        names = self.captured.names(self.snapshots.values())
        self.program.names, self.program.guards = names | homes, self.guards.taken
        watches = [*self.captured.watches(written), *[w for i in self.used for w in self.snapshots[i].watches(written)]]
        self.guards.seal(watches, lambda cell: homes.get(id(cell.owner)) or (
            f"{names.get(id(cell.owner)) or type(cell.owner).__name__}.{cell.name}"))
        return Recording(self.program, self.guards, self.sources, self.accumulates,
                         [spot.title for spot in self.stand_ins.moved], noted)

    def at_home(self) -> dict[int, str]:
        """Let the arrays that tensors stood for be cells; return what these are called."""
        names: dict[int, str] = {}

        def cell(kind: type[Held], spot: Any) -> Cell:
            owner = owner_of(kind, spot)
            names[id(owner)] = spot.title
            return Cell(owner, "array")

        arrays, writes = self.stand_ins.arrays, []
        anew = {spot.key for spot, _ in self.stand_ins.rebound}
        for spot, t in self.stand_ins.rebound:
            writes.append((cell(Kept, spot), self.value(t)))
        for t, value in self.stood.items():
            spots = self.stand_ins.spots[t]
            spot = next((each for each in spots if each.get() is arrays[t]), spots[0])
            is_written = self.values[t] is not value
            home = cell(Written if is_written else Kept if spot.key in anew else Held, spot)
            self.program.reads.append((home, value))
            self.guards.kinds.append((home, arrays[t]))
            if is_written:
                self.program.writes.append((home, self.values[t]))
        self.program.writes += writes
        self.stand_ins.commit([*self.values])
        if self.stood:
            self.guards.watches.append(self.stand_ins.watch(self.stood))
        return names

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
        for where, cell in self.cells.items():
            _put_back(cell, self.before[where])
        self.stand_ins.undo()
        for snapshot in self.snapshots.values():
            snapshot.undo()
        self.captured.undo()


def _containers(tree: Any) -> Iterator[Any]:
    """Yield the dicts and lists in something, at any depth."""
    if isinstance(tree, dict | list):
        yield tree
    if isinstance(tree, dict | list | tuple):
        for x in tree.values() if isinstance(tree, dict) else tree:
            yield from _containers(x)


def _alike(x: Any, before: Any) -> bool:
    """Tell whether the same objects stand in a dict or a list as before."""
    if isinstance(x, dict) and list(x) != list(before):
        return False
    mine, theirs = (y.values() if isinstance(y, dict) else y for y in (x, before))
    return len(x) == len(before) and all(map(is_, mine, theirs))


def _is_mask(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "b" and x.ndim > 0


def _held(owner: Any, name: str) -> Any:
    """Return all that has to be put back to make a cell what it is now."""
    if isinstance(owner, Tensor) and name == "array":
        return owner.array, owner.lent, owner.moment
    return owner.get(name, _held) if isinstance(owner, dict) else getattr(owner, name)


def _put_back(cell: Cell, held: Any) -> None:
    owner = cell.owner
    if isinstance(owner, Tensor) and cell.name == "array":
        if owner.array is not held[0]:
            owner.array, owner.lent, owner.moment = held[0], held[1], tick()
    elif held is _held:
        owner.pop(cell.name, None)
    else:
        put(owner, cell.name, held)

