"""Arrays of one element at the end of a program, such as a mean loss: they are computed as numbers of their dtype."""
from __future__ import annotations

from itertools import takewhile
from typing import Any, NamedTuple

from ..code import Code
from ..planning.facts import is_array
from ..planning.plan import Plan
from ..program import Application, Program, Value, each
from .holder import Holder
from .numbers import OPERATORS

__all__ = ["Scalar", "scalars"]

EXACT = frozenset({"add", "divide", "multiply", "negative", "subtract"})     #: as a number and as an array, to the bit


class Scalar(NamedTuple):
    """The call of a gate as an operator between numbers, which takes less time than a call that makes an array.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.compiler.code import Code
    >>> from chainrule.compiler.numpy_executor.holder import Holder
    >>> from chainrule.compiler.numpy_executor.scalars import Scalar
    >>> total, code, mean = np.array(6.0), Code(), Holder()
    >>> code.line(Scalar("divide", (total, 4), mean).written(code))
    >>> code.function()()
    >>> mean.held
    np.float64(1.5)
    """

    name: str
    operands: tuple[Any, ...]
    result: Holder

    def written(self, code: Code) -> str:
        """Return the call as text."""
        def text(x: Any) -> str:
            return f"{code.name(x)}.held" if isinstance(x, Holder) else code.name(x) + "[()]" * hasattr(x, "dtype")

        return f"{code.name(self.result)}.held = {OPERATORS[self.name].format(*map(text, self.operands))}"


def scalars(program: Program, layout: Plan) -> frozenset[Value]:
    """Return the arrays of one element that nothing but a result of the program, or another of them, is made of.

    Only such as are computed before a cell is written: what comes after may run no Python code. What lies side by side
    with another array is computed with it.

    Parameters
    ----------
    program : Program
    layout : Plan
    """
    early = takewhile(lambda step: not any(a.result in program.homes for a in step.applications), program.steps)
    found = {a.result for step in early if step not in layout.groups for a in step.applications if _is_scalar(a)}
    wanted: set[Any] = set()                             # by something else
    each(wanted.add, [x for _, x in program.writes])
    for a in reversed(list(program.applications)):
        if a.result not in found or a.result in wanted:
            wanted.update(x for x in a.inputs if isinstance(x, Value))
    return frozenset(found - wanted)


def _is_scalar(a: Application) -> bool:
    given = [x for x in a.inputs if isinstance(x, Value)]
    return (a.gate.name in EXACT and is_array(a.result) and a.result.kind[0] == () and a.result.kind[1].char in "fd"
            and not a.options and any(map(is_array, given))
            and all(x.kind == a.result.kind for x in given if is_array(x)))
