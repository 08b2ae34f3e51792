"""Common subexpressions: what was computed before is not computed again."""
from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from ..program import Program, Value
from .rewriting import pure, rewritten

__all__ = ["common"]

MOST = 2**16                         #: bytes: larger constants are not compared


def common(program: Program) -> Program:
    """Let the first of several equal steps stand for all: the same gate, inputs and options. So with constants.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> from chainrule.compiler.passes import common
    >>> step = cr.compile(lambda x: x.exp() * x.exp())
    >>> _ = step(np.zeros(2))
    >>> [each.gate.name for each in common(step.recorded).steps]
    ['exp', 'multiply']
    """
    first: dict[Hashable, Value] = {}
    instead: dict[Value, Any] = {}
    for value, array in program.constants:
        if np.asarray(array).nbytes <= MOST:
            alike = first.setdefault(("constant", _key(array)), value)
            if alike is not value:
                instead[value] = alike
    steps = []
    for step in program.steps:
        inputs = tuple([instead.get(x, x) if isinstance(x, Value) else x for x in step.inputs])
        key = step.gate.name, _key(inputs), _key(tuple(sorted(step.options.items())))
        if pure(step) and key in first:
            instead[step.result] = first[key]
            continue
        first[key] = step.result
        steps.append(step)
    return rewritten(program, steps, instead)


def _key(x: Any) -> Hashable:
    """Return what tells operands apart: 1, 1.0 and True are three things, and so are 0.0 and -0.0."""
    if isinstance(x, Value):
        return x
    if isinstance(x, tuple | list):
        return type(x), tuple(map(_key, x))
    if isinstance(x, np.ndarray):
        return x.shape, x.dtype, x.tobytes()
    return type(x), repr(x) if isinstance(x, float | slice) else x if isinstance(x, Hashable) else id(x)
