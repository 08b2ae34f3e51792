"""The plainest way to run a program: a flat list of calls of the gates' NumPy functions, into planned memory."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..tensor import Tensor
from .plan import Plan, plan
from .program import Application, Program, Value, each

__all__ = ["flat"]

Run = Callable[[Sequence[Any]], Any]


def flat(program: Program) -> Run:
    """Return a function that runs a program on its arguments: reads the cells, makes every call, writes the cells.

    Nothing but the gates' forward functions is called: no graph, no tensors, no dispatch. Results between the steps are
    written into memory that was planned beforehand. The cells are written at the end, so a step that fails has changed
    none of them. Threads that run it at the same time have memory of their own.
    """
    layout = plan(program)
    idle: list[Run] = [_bound(program, layout)]

    def run(arguments: Sequence[Any]) -> Any:
        try:
            bound = idle.pop()
        except IndexError:                               # another thread is in the middle of it
            bound = _bound(program, layout)
        try:
            return bound(arguments)
        finally:
            idle.append(bound)

    return run


def _bound(program: Program, layout: Plan) -> Run:
    """Bind a program to memory of its own."""
    buffers = layout.buffers()
    start: list[Any] = [None] * program.size           # one for each value; what is known beforehand is filled in
    for value, array in program.constants:
        start[value.number] = array

    def place(x: Any) -> int:
        if isinstance(x, Value):
            return x.number
        start.append(x)
        return len(start) - 1

    reads = [(cell.get, value.number) for cell, value in program.reads]
    calls = [(_function(step, buffers.get(step.result)), [place(x) for x in step.inputs], step.result.number)
             for step in program.steps]
    writes = [(cell.put, place(x)) for cell, x in program.writes]
    r = start.copy()

    def run(arguments: Sequence[Any]) -> Any:
        try:
            r[:len(arguments)] = arguments
            for get, k in reads:
                r[k] = get()
            for function, places, k in calls:
                r[k] = function(*[r[i] for i in places])
            for put, k in writes:
                put(r[k])
            return each(lambda x: Tensor.of(r[x.number], lent=True) if isinstance(x, Value) else x, program.result)
        finally:
            r[:] = start                                 # nobody's arrays are held between the steps

    return run


def _function(step: Application, buffer: Any) -> Callable[..., Any]:
    """Return what computes a step on arrays. Python numbers stay Python numbers, so that they never widen a float32."""
    options = step.options | ({} if buffer is None else {"out": buffer})
    value = partial(step.gate.value, **options) if options else step.gate.value
    return value if isinstance(step.result.kind, tuple) else lambda *x: value(*x).item()
