"""Algebra: steps that give back what they were given."""
from __future__ import annotations

from typing import Any

from ..program import Application, Program, Value
from .rewriting import rewritten, step_with

__all__ = ["algebra"]

#: Gates that, with this number as second argument, give the first, to the last bit (x + 0 does not: -0 + 0 is 0).
NEUTRAL = {"multiply": 1, "divide": 1, "power": 1}
#: Gates that give their argument where the result has its shape and dtype.
SAME = frozenset({"cast", "reshape", "broadcast_to", "sum_to", "squeeze", "expand_dims", "detach"})
#: Gates that undo themselves.
INVOLUTIONS = frozenset({"negative", "logical_not"})


def algebra(program: Program) -> Program:
    """Leave out products with 1, casts to the same dtype, shapes to the same shape, and a sign turned twice.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> from chainrule.compiler.passes import algebra
    >>> step = cr.compile(lambda x: -(-(x * 1.0)))
    >>> _ = step(np.ones(2))
    >>> [each.gate.name for each in algebra(step.recorded).steps]
    ['negative']
    """
    made: dict[Value, Application] = {}
    instead: dict[Value, Any] = {}
    steps = []
    for step in program.steps:
        inputs = tuple([instead.get(x, x) if isinstance(x, Value) else x for x in step.inputs])
        same = _same(step, inputs, made)
        if same is not None:
            instead[step.result] = same
            continue
        made[step.result] = step_with(step, inputs)
        steps.append(step)
    return rewritten(program, steps, instead)


def _same(step: Application, inputs: tuple[Any, ...], made: dict[Value, Application]) -> Value | None:
    """Return the value that a step would give again, if it would."""
    name, x = step.gate.name, inputs[0] if inputs else None
    if name == "multiply" and _is(inputs[0], 1) and isinstance(inputs[1], Value):
        x = inputs[1]
    elif name in NEUTRAL:
        if not _is(inputs[1], NEUTRAL[name]):
            return None
    elif name in INVOLUTIONS:
        before = made.get(x) if isinstance(x, Value) else None
        if before is None or before.gate.name != name:
            return None
        x = before.inputs[0]
    elif name not in SAME:
        return None
    return x if isinstance(x, Value) and x.kind == step.result.kind else None


def _is(x: Any, number: int) -> bool:
    return type(x) in (int, float) and x == number
