"""Passes: small functions from a program to a better one that computes the same, to the last bit.

`expand` comes first and only once: gates become their parts, whose values may differ by rounding. `casts`,
`fusion` and `in_place` come last: they say how the program is run.
"""
from __future__ import annotations

from collections.abc import Callable

from ..program import Program
from .algebra import algebra
from .broadcasts import broadcasts
from .casts import casts
from .common import common
from .constants import constants
from .dead import dead
from .expand import expand
from .fusion import fusion
from .in_place import in_place

__all__ = ["PASSES", "algebra", "broadcasts", "casts", "common", "constants", "dead", "expand", "fusion", "improved",
           "in_place"]

#: In the order in which they are run.
PASSES: tuple[Callable[[Program], Program], ...] = (constants, algebra, broadcasts, common, dead)


def improved(program: Program) -> Program:
    """Run all passes, until there is nothing left to improve."""
    program, steps = expand(program), -1
    while len(program.steps) != steps:
        steps = len(program.steps)
        for each in PASSES:
            program = each(program)
    return in_place(fusion(casts(program)))
