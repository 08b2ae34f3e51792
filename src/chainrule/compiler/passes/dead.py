"""Dead code: what nothing needs is not computed."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..program import Program, Value, each
from .rewriting import pure

__all__ = ["dead"]


def dead(program: Program) -> Program:
    """Leave out steps, constants and reads whose values reach no cell and no result.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> from chainrule.compiler.passes import dead
    >>> step = cr.compile(lambda x: (x.exp(), x + 1)[1])
    >>> _ = step(np.zeros(2))
    >>> [each.gate.name for each in step.recorded.steps], [each.gate.name for each in dead(step.recorded).steps]
    (['exp', 'add'], ['add'])
    """
    needed: set[Value] = set()

    def need(x: Any) -> Any:
        if isinstance(x, Value):
            needed.add(x)
        return x

    each(need, program.result)
    for _, x in program.writes:
        need(x)
    steps = []
    for step in reversed(program.steps):
        if step.result in needed or not pure(step):
            steps.append(step)
            for x in step.inputs:
                need(x)
    return replace(program, steps=steps[::-1],
                   constants=[(v, array) for v, array in program.constants if v in needed],
                   reads=[(cell, v) for cell, v in program.reads if v in needed])
