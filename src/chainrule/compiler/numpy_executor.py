"""The plainest way to run a program: a flat list of calls of the gates' NumPy functions."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..tensor import Tensor
from .program import Application, Program, Value, each

__all__ = ["flat"]


def flat(program: Program) -> Callable[[Sequence[Any]], Any]:
    """Return a function that runs a program on its arguments: reads the cells, makes every call, writes the cells.

    Nothing but the gates' forward functions is called: no graph, no tensors, no dispatch. The cells are written at the
    end, so a step that fails has changed none of them.
    """
    registers: list[Any] = [None] * program.size       # one for each value; what is known beforehand is filled in
    for value, array in program.constants:
        registers[value.number] = array

    def place(x: Any) -> int:
        if isinstance(x, Value):
            return x.number
        registers.append(x)
        return len(registers) - 1

    reads = [(cell.get, value.number) for cell, value in program.reads]
    calls = [(_function(step), [place(x) for x in step.inputs], step.options, step.result.number)
             for step in program.steps]
    writes = [(cell.put, place(x)) for cell, x in program.writes]

    def run(arguments: Sequence[Any]) -> Any:
        r = registers.copy()
        r[:len(arguments)] = arguments
        for get, k in reads:
            r[k] = get()
        for function, places, options, k in calls:
            r[k] = function(*[r[i] for i in places], **options)
        for put, k in writes:
            put(r[k])
        return each(lambda x: Tensor.of(r[x.number], lent=True) if isinstance(x, Value) else x, program.result)

    return run


def _function(step: Application) -> Callable[..., Any]:
    """Return what computes a step on arrays. Python numbers stay Python numbers, so that they never widen a float32."""
    value = step.gate.value
    return value if isinstance(step.result.kind, tuple) else lambda *x, **options: value(*x, **options).item()
