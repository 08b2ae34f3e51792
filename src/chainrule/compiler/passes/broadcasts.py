"""Broadcasts: elementwise gates repeat an argument by themselves."""
from __future__ import annotations

from dataclasses import replace

from ..planning.facts import is_array, is_elementwise, is_view
from ..program import Application, Program, Value
from .rewriting import step_with

__all__ = ["broadcasts"]


def broadcasts(program: Program) -> Program:
    """Let elementwise gates take what was broadcast, where another argument has the shape of the result anyway.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.compiler.passes import broadcasts, dead
    >>> step = cr.compile(lambda x: cr.broadcast_to(cr.sum(x), (2,)) * x)
    >>> _ = step(np.ones(2))
    >>> [a.gate.name for a in dead(broadcasts(step.recorded)).applications]
    ['sum', 'multiply']
    """
    source: dict[Value, Value] = {}
    steps: list[Application] = []
    for a in program.applications:
        if a.gate.name == "broadcast_to" and is_view(a):
            source[a.result] = source.get(a.inputs[0], a.inputs[0])
        elif is_elementwise(a):
            inputs = list(a.inputs)
            for i, x in enumerate(inputs):
                others = [y for k, y in enumerate(inputs) if k != i and is_array(y)]
                if isinstance(x, Value) and x in source and any(y.kind[0] == a.result.kind[0] for y in others):
                    inputs[i] = source[x]
            a = step_with(a, tuple(inputs))
        steps.append(a)
    return replace(program, steps=steps)
