"""How each part of a program is run, and why: what `Program.report` prints."""
from __future__ import annotations

import numpy as np

from ..planning.facts import HOST, is_number, is_view
from ..planning.plan import Plan, plan
from ..planning.twins import apart
from ..program import Application, Fused, Program, Step, Value
from .calls import calls
from .numbers import OPERATORS
from .scalars import scalars

__all__ = ["parts"]


def parts(program: Program) -> list[tuple[str, str, str]]:
    """Say of each part of a program how this executor runs it, and why.

    Parameters
    ----------
    program : Program

    Returns
    -------
    list of (what, how, why)

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.compiler.numpy_executor import parts
    >>> step = cr.compile(lambda x: cr.cumsum(x.T.reshape(2, 1, -1) * 2, axis=2))
    >>> for _ in range(3):
    ...     _ = step(np.ones((3, 2)))
    >>> for what, how, why in parts(step.program):
    ...     print(f"{what}: {how}, since {why}")
    %1 transpose: a view, since it is made when its array is another
    %2 reshape: NumPy's functions, since the elements have to be put in order
    %3 multiply: NumPy's functions, since its memory is planned
    %4 cumsum: a Python function, since the gate is written in Python, and writes into memory that is planned
    """
    program = apart(program)
    layout = plan(program)
    numbers = scalars(program, layout)
    return [part for step in program.steps for part in _parts(step, program, layout, numbers)]


def _parts(step: Step, program: Program, layout: Plan, numbers: frozenset[Value]) -> list[tuple[str, str, str]]:
    cut = layout.cuts.get(step) if isinstance(step, Fused) else None
    if step in layout.groups:
        count = len(layout.groups[step].steps)
        return [(f"{a.result} {a.gate.name}", f"NumPy's functions, once for {count} arrays",
                 "they are small, and lie side by side") for a in step.applications]
    if cut is None:
        return [(f"{a.result} {a.gate.name}", *_how(a, program, layout, numbers)) for a in step.applications]
    names = ", ".join(f"{a.result} {a.gate.name}" for a in cut.inside)
    rows = "elements" if cut.flat else "rows"
    found = [(names, f"NumPy's functions on {len(cut.spans)} blocks of {cut.size:,} {rows}",
              "what they work on then stays in the cache")]
    return found + [(f"{a.result} {a.gate.name}", *_how(a, program, layout, numbers)) for a in cut.after]


def _how(a: Application, program: Program, layout: Plan, numbers: frozenset[Value]) -> tuple[str, str]:
    if is_number(a):
        return ("a Python operator" if a.gate.name in OPERATORS else "the gate itself"), "it computes with numbers"
    if a.gate.name in HOST:
        return "the user's own code", "a layer with a backward of its own may do anything"
    if layout.is_seen(a):
        return "a view", "it is made when its array is another"
    if is_view(a):
        return "NumPy's functions", "the elements have to be put in order"
    if a.result in numbers:
        return "a Python operator", "it computes with numbers, and no array is made of the result"
    found = calls(a, by_columns=layout.is_by_columns(a))
    if found is None:
        return "the gate itself", "it makes a new array each time, since it cannot write into memory"
    if any(c.keyword and not isinstance(c.function, np.ufunc) for c in found):
        return "a Python function", "the gate is written in Python, and writes into memory that is planned"
    if a.result in program.homes:
        return "NumPy's functions", "it is computed into the memory of its cell"
    return "NumPy's functions", "its memory is planned"
