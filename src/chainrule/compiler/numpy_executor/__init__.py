"""The reference executor: a program as a flat list of NumPy calls, each with its memory, that are made one by one.

`flat` plans memory for the values of a program, and binds it: every gate becomes one call or a few, ``function(x, y,
out)``, in which the arrays already stand. The calls that may fail are the lines of a Python function written for the
program. Those that write the cells are a list that C code walks along (``deque`` and ``starmap``): no interrupt is
noticed there. So a run spends its time in NumPy.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..planning.plan import plan
from ..planning.twins import apart
from ..program import Program
from .binding import Bound
from .locks import turn
from .parts import parts

__all__ = ["flat", "parts"]

Run = Callable[[Sequence[Any]], Any]


def flat(program: Program) -> Run:
    """Return a function that runs a program on its arguments: reads the cells, makes every call, writes the cells.

    Nothing but the gates' forward functions, or the NumPy functions and operators that these stand for, is called: no
    graph, no tensors, no dispatch. Values between the steps are written into memory that was planned beforehand; what
    is returned is new. Threads that run it at the same time have memory of their own, and take turns if it writes
    cells.

    Until all that may fail is done, no cell is written. Then all of them are, in one go: an interrupt finds all of them
    as they were, or all as they are after the step. NumPy's floating-point warnings are off, since to warn is to run
    Python code, which may be interrupted; only if a layer has a backward of its own, what comes before is run as usual.

    Parameters
    ----------
    program : Program

    Returns
    -------
    callable
        ``run(arguments)``. It keeps hold of the latest arguments until the next run.
    """
    program = apart(program)
    layout = plan(program)
    idle = [Bound(program, layout)]
    mine = turn(cell.owner for cell, _ in program.writes)

    def run(arguments: Sequence[Any]) -> Any:
        try:
            bound = idle.pop()
        except IndexError:                               # another thread is in the middle of it
            bound = Bound(program, layout)
        result = bound.run(arguments)
        idle.append(bound)                               # after an error it is left behind
        return result

    def in_turn(arguments: Sequence[Any]) -> Any:
        with mine.lock if mine.other is None else mine.now().lock:
            bound = idle.pop() if idle else Bound(program, layout)     # none, if the step is run inside itself
            result = bound.run(arguments)
            idle.append(bound)
            return result

    return in_turn if program.writes else run
