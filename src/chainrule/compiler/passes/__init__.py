"""Passes: small functions from a program to a better one that computes the same, to the last bit."""
from __future__ import annotations

from collections.abc import Callable

from ..program import Program
from .algebra import algebra
from .common import common
from .constants import constants
from .dead import dead

__all__ = ["PASSES", "algebra", "common", "constants", "dead", "improved"]

#: In the order in which they are run.
PASSES: tuple[Callable[[Program], Program], ...] = (constants, algebra, common, dead)


def improved(program: Program) -> Program:
    """Run all passes, until there is nothing left to improve."""
    steps = -1
    while len(program.steps) != steps:
        steps = len(program.steps)
        for each in PASSES:
            program = each(program)
    return program
