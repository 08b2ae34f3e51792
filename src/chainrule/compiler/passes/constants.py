"""Constants: what is the same at each replay is computed once."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..program import NUMBERS, Program, Value
from .rewriting import pure, rewritten

__all__ = ["constants"]

MOST = 2**20                         #: bytes: a larger result is computed anew rather than kept


def constants(program: Program) -> Program:
    """Compute steps all of whose inputs are constants, and keep the results as constants.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> from chainrule.compiler.passes import constants
    >>> step = cr.compile(lambda x: x * cr.exp(cr.Tensor(np.zeros(2))))
    >>> _ = step(np.ones(2))
    >>> [each.gate.name for each in step.recorded.steps], [each.gate.name for each in constants(step.recorded).steps]
    (['exp', 'multiply'], ['multiply'])
    """
    known: dict[Value, Any] = dict(program.constants)
    made: list[tuple[Value, NDArray[Any]]] = []
    steps = []
    for step in program.steps:
        given = [known.get(x) if isinstance(x, Value) else x for x in step.inputs]
        if not pure(step) or any(isinstance(x, Value) and x not in known for x in step.inputs) or not any(
                isinstance(x, Value) for x in step.inputs):
            steps.append(step)
            continue
        with np.errstate(all="ignore"):
            z = step.gate.value(*given, **step.options)
        if np.asarray(z).nbytes > MOST:
            steps.append(step)
            continue
        value = z.item() if step.result.kind in NUMBERS and isinstance(z, np.generic | np.ndarray) else np.array(z)
        known[step.result] = value
        made.append((step.result, value))
    return replace(rewritten(program, steps, {}), constants=[*program.constants, *made])
