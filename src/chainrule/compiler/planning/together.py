"""Which steps are run as one because they do the same with several arrays: updates of small parameters, and twins."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import numpy as np

from ...tensor import Tensor
from ..program import Application, Program, Step, Value
from .blocks import BLOCK
from .facts import is_array, is_number

__all__ = ["Together", "together"]

LIMIT = 2 * BLOCK                        #: elements of all members in one array


@dataclass(frozen=True, eq=False)
class Together:
    """Several steps that are run as one, on arrays that hold those of all members side by side.

    Attributes
    ----------
    steps : tuple of Step
        The members, in order. All of them are run where the last one stands.
    applications : tuple of Application
        What one member does, with rows in the place of its arrays.
    rows : dict of Value to tuple
        For each row the values of the members, arrays or numbers, of which it consists.
    homes : frozenset of Value
        The rows that are computed into the memory of cells.
    """

    steps: tuple[Step, ...]
    applications: tuple[Application, ...]
    rows: dict[Value, tuple[Any, ...]]
    homes: frozenset[Value]

    @property
    def spans(self) -> list[slice]:
        """Where the elements of each member begin and end."""
        ends = list(accumulate(map(_size, self.steps), initial=0))
        return [slice(start, end) for start, end in pairwise(ends)]


def together(program: Program, may_move: Callable[[Value], bool]) -> list[Together]:
    """Find steps that do the same, element by element, with arrays of their own.

    A step on a few elements costs as much as one on a few thousand: the time it takes to call a function. An optimizer
    does one for each parameter, so small parameters, and moments, lie side by side in memory and are updated as one.
    Steps that end in no cell are run as one if they follow each other (see `twins`).

    Parameters
    ----------
    program : Program
        After the pass `in_place`.
    may_move : callable
        Tells whether a value is computed into memory that may lie anywhere.

    Returns
    -------
    list of Together
    """
    return _Search(program, may_move).found()


class _Search:
    def __init__(self, program: Program, may_move: Callable[[Value], bool]) -> None:
        self.program, self.may_move = program, may_move
        self.place = {step: i for i, step in enumerate(program.steps)}
        self.users: dict[Value, int] = {}                # the first step elsewhere that takes a value
        made = {a.result: step for step in program.steps for a in step.applications}
        for i, step in enumerate(program.steps):
            for a in step.applications:
                for x in a.inputs:
                    if isinstance(x, Value) and made.get(x) is not step:
                        self.users.setdefault(x, i)
        read = {cell.key: x for cell, x in program.reads}
        self.old = {x: read.get(cell.key) for x, cell in program.homes.items()}
        # what is computed into an array of the user's own, which stays where it is:
        self.fixed = {x for x, cell in program.homes.items() if not isinstance(cell.owner, Tensor | dict)}
        self.taken: set[Value] = set()                   # what lies in a row already

    def found(self) -> list[Together]:
        """Return the groups of two steps or more."""
        alike: dict[Any, list[list[Step]]] = {}
        for step in self.program.steps:
            key = self.key(step)
            if key is None:
                continue
            groups = alike.setdefault(key, [])
            if not groups or not self.joins(step, groups[-1]):
                groups.append([])
            groups[-1].append(step)
        found = [group for groups in alike.values() for group in groups if len(group) > 1]
        return [_joined(group, self.program) for group in [*found, *self.twins()]]

    def twins(self) -> Iterator[list[Step]]:
        """Yield the pairs of steps that follow each other and end in no cell."""
        paired = None
        for before, step in pairwise(self.program.steps):
            taken = {*self.taken}
            key = None if before is paired else self.key(before, ends_in_cells=False)
            if key is not None and key == self.key(step, ends_in_cells=False) and self.joins(step, [before]):
                paired = step
                yield [before, step]
            else:
                self.taken = taken

    def joins(self, step: Step, group: list[Step]) -> bool:
        """Tell whether all of a group may wait for a step, and lie in one row with it."""
        return sum(map(_size, (*group, step))) <= LIMIT and all(
            self.users.get(a.result, len(self.place)) > self.place[step]
            for member in group for a in member.applications)

    def key(self, step: Step, ends_in_cells: bool = True) -> Any:
        """Return what two steps must have in common to be run as one; None for one that is run by itself."""
        applications = step.applications
        shape, dtype = applications[0].result.kind if not is_number(applications[0]) else ((), np.dtype(bool))
        olds = {self.old[a.result]: i for i, a in enumerate(applications) if a.result in self.old}
        if dtype.kind != "f" or bool(olds) is not ends_in_cells or prod(shape) > LIMIT or (
                self.fixed & {a.result for a in applications}):
            return None
        local = {a.result: i for i, a in enumerate(applications)}
        leaves: dict[Value, int] = {}
        key: list[Any] = [dtype]
        for a in applications:
            if not isinstance(a.gate.forward, np.ufunc) or a.gate.forward.signature is not None or a.options or (
                    a.result.kind != (shape, dtype)):
                return None
            key += [a.gate.name, a.result in self.old]
            for x in a.inputs:
                if x in local:
                    key.append(local[x])
                elif not is_array(x):
                    key.append("number")
                elif x.kind == (shape, dtype) and (x in olds or (self.may_move(x) and x not in self.taken)):
                    key.append(("leaf", leaves.setdefault(x, len(leaves)), olds.get(x)))
                elif prod(x.kind[0]) == 1 and x.kind[0] != shape and self.may_move(x):
                    key.append(x)                        # one element for all of them
                else:
                    return None
        self.taken |= leaves.keys() | local.keys()
        return tuple(key)


def _joined(steps: Iterable[Step], program: Program) -> Together:
    """Return what one of the steps does, with a row in the place of each array."""
    members = tuple(steps)
    kind = (sum(map(_size, members)),), members[0].applications[0].result.kind[1]
    rows: dict[tuple[Any, ...], Value] = {}

    def row(values: tuple[Any, ...]) -> Any:
        x = values[0]
        if all(y is x or (not isinstance(y, Value) and type(y) is type(x) and repr(y) == repr(x)) for y in values):
            return x                                     # the same for all; -0.0 is not 0.0
        return rows.setdefault(values, Value(x.number if isinstance(x, Value) else -1, kind))

    applications = []
    for alike in zip(*[member.applications for member in members], strict=True):
        inputs = tuple([row(values) for values in zip(*[a.inputs for a in alike], strict=True)])
        applications.append(replace(alike[0], inputs=inputs, result=row(tuple([a.result for a in alike]))))
    homes = frozenset(found for values, found in rows.items() if values[0] in program.homes)
    return Together(members, tuple(applications), {found: values for values, found in rows.items()}, homes)


def _size(step: Step) -> int:
    """Return how many elements a step works on."""
    return prod(step.applications[0].result.kind[0])
