"""What passes share: which steps may be moved or left out, and how a program is written anew."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..program import Application, Program, Value, each

__all__ = ["pure", "rewritten"]

#: Gates that run a user's own code, which may do more than compute a value.
HOST = frozenset({"handwritten", "handwritten_backward"})


def pure(step: Application) -> bool:
    """Tell whether a step does nothing but compute its value from its inputs."""
    return step.gate.name not in HOST


def rewritten(program: Program, steps: Iterable[Application], instead: Mapping[Value, Any]) -> Program:
    """Return a program with other steps, in which some values stand for others.

    Parameters
    ----------
    program : Program
    steps : iterable of Application
        In order. What they take is replaced here.
    instead : mapping of Value to Value or number
        What stands in the place of a value that is no longer made.
    """
    def resolved(x: Any) -> Any:
        while isinstance(x, Value) and x in instead:
            x = instead[x]
        return x

    return replace(
        program,
        steps=[Application(step.gate, tuple([resolved(x) for x in step.inputs]), step.options, step.result)
               for step in steps],
        writes=[(cell, resolved(x)) for cell, x in program.writes],
        result=each(resolved, program.result))
