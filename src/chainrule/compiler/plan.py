"""Where the values of a program live: which steps write into planned memory, and which memory serves several values."""
from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .program import Application, Program, Value, each

__all__ = ["Plan", "plan"]

#: Gates with ``out=`` whose result may yet be their argument, if that has its shape already.
MAY_ALIAS = frozenset({"sum_to"})


@dataclass(frozen=True)
class Plan:
    """Memory for the values of a program.

    Attributes
    ----------
    slots : dict of Value to int
        Which block of memory the result of a step is written into; results that are not here are new arrays.
    sizes : list of int
        Of the blocks, in bytes.
    """

    slots: dict[Value, int]
    sizes: list[int]

    @property
    def bytes(self) -> int:
        """How much memory the blocks take."""
        return sum(self.sizes)

    def buffers(self) -> dict[Value, NDArray[Any]]:
        """Make the blocks, and in each an array for every value that it is for."""
        blocks = [np.empty(size, np.uint8) for size in self.sizes]
        return {value: blocks[slot][:_bytes(value)].view(value.kind[1]).reshape(value.kind[0])
                for value, slot in self.slots.items()}


def plan(program: Program) -> Plan:
    """Plan the memory of a program.

    A value lives from the step that makes it to the last step that takes it, or a view of it. A block is free again
    after that; an elementwise step may write over an argument that ends with it. What is returned, or written to a
    cell, is never planned: it outlives the step.
    """
    roots: dict[Value, set[Value]] = {}                  # the values whose memory a value may look at
    for step in program.steps:
        roots[step.result] = {step.result} if _fresh(step) else {step.result}.union(
            *(roots.get(x, {x}) for x in step.inputs if isinstance(x, Value)))
    kept: set[Value] = set()

    def keep(x: Any) -> Any:
        if isinstance(x, Value):
            kept.update(roots.get(x, {x}))
        return x

    each(keep, program.result)
    for _, x in program.writes:
        keep(x)
    last: dict[Value, int] = {}
    for i, step in enumerate(program.steps):
        for x in step.inputs:
            if isinstance(x, Value):
                last.update(dict.fromkeys(roots.get(x, {x}), i))
    ends: dict[int, list[Value]] = defaultdict(list)
    for value, i in last.items():
        ends[i].append(value)
    slots: dict[Value, int] = {}
    sizes: list[int] = []
    free: dict[int, list[int]] = defaultdict(list)       # by size
    for i, step in enumerate(program.steps):
        value = step.result
        if _fresh(step) and value not in kept and isinstance(value.kind, tuple):
            over = next((x for x in step.inputs if isinstance(x, Value) and x in slots and x in ends[i]
                         and x.kind == value.kind and _elementwise(step)), None)
            size = _bytes(value)
            if over is not None:
                ends[i].remove(over)
                slots[value] = slots[over]
            elif free[size]:
                slots[value] = free[size].pop()
            else:
                slots[value] = len(sizes)
                sizes.append(size)
        for ended in ends[i]:
            if ended in slots:
                free[_bytes(ended)].append(slots[ended])
        if value in slots and value not in last:         # of host calls, and nothing else: dead code is gone
            free[_bytes(value)].append(slots[value])
    return Plan(slots, sizes)


def _fresh(step: Application) -> bool:
    """Tell whether a step can write its result into memory that it is given."""
    z = step.result
    same = any(isinstance(x, Value) and x.kind == z.kind for x in step.inputs)
    return step.gate.takes_out and isinstance(z.kind, tuple) and not (same and step.gate.name in MAY_ALIAS)


def _elementwise(step: Application) -> bool:
    """Tell whether a step reads each element of an argument before it writes that of the result, and never again."""
    forward = step.gate.forward
    return isinstance(forward, np.ufunc) and forward.signature is None


def _bytes(value: Value) -> int:
    shape, dtype = value.kind
    return int(math.prod(shape) * dtype.itemsize)
