"""Casts: where arrays of several dtypes meet, each is cast beforehand to the one that is computed in."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ... import gates as g
from ..planning.facts import is_array
from ..program import NUMBERS, Application, Program, Value

__all__ = ["casts"]


def casts(program: Program) -> Program:
    """Make a step of each cast that NumPy's functions would make on the way, a few elements at a time.

    A mask times an array is the common case. The values are the same; the cast can have memory that is planned, and be
    shared by several steps.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.compiler.passes import casts
    >>> step = cr.compile(lambda x: x * (x > 0))
    >>> _ = step(np.ones(2, np.float32))
    >>> [a.gate.name for a in casts(step.recorded).applications]
    ['greater', 'cast', 'multiply']
    """
    program = replace(program)
    known: dict[tuple[Value, Any], Value] = {}
    steps: list[Application] = []
    for a in program.applications:
        inputs = list(a.inputs)
        for i, dtype in enumerate(_dtypes(a)):
            x = inputs[i]
            if not is_array(x) or x.kind[1] == dtype:
                continue
            if (x, dtype) not in known:
                known[x, dtype] = Value(program.size, (x.kind[0], dtype))
                program.size += 1
                steps.append(Application(g.cast, (x,), {"dtype": dtype}, known[x, dtype], a.place))
            inputs[i] = known[x, dtype]
        steps.append(replace(a, inputs=tuple(inputs)))
    return replace(program, steps=steps)


def _dtypes(a: Application) -> tuple[Any, ...]:
    """Return the dtypes that a NumPy function computes in, one for each argument; none for other gates."""
    function, arrays = a.gate.forward, [x for x in a.inputs if is_array(x)]
    if not isinstance(function, np.ufunc) or len(arrays) < 2 or len({x.kind[1] for x in arrays}) == 1:
        return ()
    given = [x.kind if isinstance(x, Value) else type(x) for x in a.inputs]
    known = [k[1] if isinstance(k, tuple) else np.dtype(bool) if k is bool else k if k in NUMBERS else np.dtype(k)
             for k in given]
    return tuple(function.resolve_dtypes((*known, None)))[:len(given)]
