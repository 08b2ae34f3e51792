"""Record code by hand: a step that computes with the user's own arrays, and writes into them.

As in eager code, what is computed from arrays is an array. Tensors stand for them: in the places where the user keeps
them (see `spots`), and as results. They do what arrays do: ``x -= y`` changes `x` itself, a view looks at the memory of
what it was taken from, and into a cell goes a copy.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ...gate import Gate
from ...mode import mode, tick
from ...state import put
from ...tensor import Tensor
from ..program import Cell, Value
from .captured import Captured
from .record import Key, Recorder
from .recording import Recording
from .spots import Held, Kept, Spot, StandIns, Written, owner_of

__all__ = ["ArrayRecorder"]


class ArrayRecorder(Recorder):
    """A recorder that knows which tensors stand for arrays.

    It is made of what a `Recorder` is made of.
    """

    def __init__(self, arguments: list[Tensor], captured: Captured) -> None:
        super().__init__(arguments, captured)
        self.plain: set[Tensor] = set()                # what stands for arrays: arguments, and what is computed
        self.bases: dict[Tensor, Tensor] = {}          # of what looks at the memory of another one: that one
        self.written: dict[Tensor, int] = {}           # when those that stand for arrays were last written into
        self.by_hand: dict[Any, Any] = {}              # what keeps the by-hand calls of a layer, in eager code and here
        self.stand_ins = StandIns(captured.spots)
        self.stood: dict[Tensor, Value] = {}           # what they stood for when the step began, if it was used

    # ------------------------------------------------------------------ what is an array
    def is_array(self, x: Tensor) -> bool:
        """Tell whether a tensor stands for an array: of the arguments, of the user's, or computed from such."""
        return not x.tracked and (x in self.plain or x in self.stand_ins.arrays)

    def in_place(self, x: Tensor) -> bool:
        """Tell whether an operator such as ``x -= y`` changes `x` itself, as it does an array, but not a number."""
        return x in self.stand_ins.arrays or (x in self.plain and isinstance(x.array, np.ndarray))

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

    # ------------------------------------------------------------------ gates
    def applied(self, gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any], result: Tensor) -> None:
        """Write down a gate, whose result stands for an array if all that it was computed from does."""
        super().applied(gate, inputs, options, result)
        if result.tracked:                             # the graph has copies of arrays, for derivatives
            result.inputs = tuple([self.copied(x) if isinstance(x, Tensor) and self.is_array(x) else x
                                   for x in result.inputs])
            return
        tensors = [x for x in inputs if isinstance(x, Tensor)]
        if mode.inside or not all(map(self.is_array, tensors)):
            return
        self.plain.add(result)
        if gate.is_view and tensors and np.may_share_memory(result.array, tensors[0].array):
            self.bases[result] = self.bases.get(tensors[0], tensors[0])

    def value(self, x: Any) -> Value:
        """Return the value behind an operand, for which something may stand."""
        if isinstance(x, np.ndarray):
            stands = self.stand_ins.of(x)
            return super().value(x) if stands is None else self.value(stands)
        if self.written.get(self.bases.get(x, x), 0) > x.moment:
            self.refuse("this is a view of an array that was written into since it was taken; take it anew, or copy it")
        if x in self.stand_ins.arrays and x not in self.values:
            self.values[x] = self.stood[x] = self.program.new(x.array)
        return super().value(x)

    # ------------------------------------------------------------------ writing
    def assign(self, owner: Any, name: str, value: Any) -> None:
        """Set a cell to a copy, if an array is to stand there; write into what is an array itself."""
        if isinstance(owner, Tensor) and name == "array" and self.in_place(owner):
            self.overwrite(owner, value)
            return
        if isinstance(value, Tensor) and self.is_array(value) and not self.is_own(owner):
            value = self.copied(value)
        super().assign(owner, name, value)

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

    # ------------------------------------------------------------------ the end
    def finish(self, result: Any) -> Recording:
        """Note what the step leaves behind."""
        found = super().finish(result)
        found.moved = [spot.title for spot in self.stand_ins.moved]
        return found

    def accounted(self) -> set[Key]:
        """Return what the step may change: the places of arrays too."""
        return super().accounted() | {spot.key for spot in self.stand_ins.all if not isinstance(spot.get(), Tensor)}

    def leave(self, kept: list[tuple[Cell, Tensor]], result: Any) -> None:
        """Write down what everything ends with, and leave arrays where tensors stood for them."""
        super().leave(kept, result)
        self.at_home()
        for calls in self.by_hand:                     # in eager code they would not be the latest any more
            calls.forget()
        for cell, x in kept:
            if self.is_array(x):                       # in eager code, it is one
                put(cell.owner, cell.name, np.array(x.array)[()])

    def at_home(self) -> None:
        """Let the arrays that tensors stood for be cells."""
        def cell(kind: type[Held], spot: Spot) -> Cell:
            owner = owner_of(kind, spot)
            self.program.names[id(owner)] = spot.title
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

    def title(self, cell: Cell) -> str:
        """Return what messages call a cell; of an array, where it stands."""
        return self.program.names[id(cell.owner)] if isinstance(cell.owner, Held) else super().title(cell)

    def undo(self) -> None:
        """Put everything back as it was before the step."""
        super().undo()
        self.stand_ins.undo()
