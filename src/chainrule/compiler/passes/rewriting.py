"""What passes share: which steps may be moved or left out, and how a program is written anew."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..planning.facts import HOST
from ..program import Application, Program, Value, each

__all__ = ["pure", "rewritten", "step_with"]


def pure(step: Application) -> bool:
    """Tell whether a step does nothing but compute its value from its inputs."""
    return step.gate.name not in HOST


def step_with(step: Application, inputs: tuple[Any, ...]) -> Application:
    """Return a step that takes something else."""
    return replace(step, inputs=inputs)


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
        steps=[step_with(step, tuple([resolved(x) for x in step.inputs])) for step in steps],
        writes=[(cell, resolved(x)) for cell, x in program.writes],
        result=each(resolved, program.result))
