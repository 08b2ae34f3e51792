"""Fusion: neighbours that work on the same elements become one step, which can be run a block at a time."""
from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import Any

from ..planning.facts import is_array, is_elementwise, is_number, is_reduction, is_view
from ..program import Application, Fused, Program, Step, Value, each

__all__ = ["fusion"]


def fusion(program: Program) -> Program:
    """Group chains of elementwise gates, the broadcasts that feed them and the reductions that end them.

    All gates of a group work on the elements of one shape. Only what no other work interrupts is grouped: a chain ends
    at a product of matrices, at a user's own code, and at whatever else is not elementwise. So values are computed
    where they are needed, and nothing moves past such a step.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.compiler.passes import fusion
    >>> step = cr.compile(lambda x: cr.exp(-(x * x) / 2.0).sum())
    >>> _ = step(np.zeros(2))
    >>> print(*fusion(step.recorded).steps)
    fused(multiply, negative, divide, exp, sum)
    """
    users: dict[Value, int] = {}                         # how many gates take a value, or cells and results
    steps: list[Step] = []
    stretch: list[Application] = []
    for a in program.applications:
        if _interrupts(a):
            steps += [*_grouped(stretch), a]
            stretch = []
        else:
            stretch.append(a)
    steps += _grouped(stretch)

    def use(x: Any) -> Any:
        if isinstance(x, Value):
            users[x] = users.get(x, 0) + 1
        return x

    each(use, program.result)
    for _, x in program.writes:
        use(x)
    for step in steps:
        for x in dict.fromkeys(x for a in step.applications for x in a.inputs if isinstance(x, Value)):
            use(x)
    return replace(program, steps=[_closed(step, users) for step in steps])


def _interrupts(a: Application) -> bool:
    return not (is_number(a) or is_view(a) or is_elementwise(a) or is_reduction(a))


def _closed(step: Step, users: dict[Value, int]) -> Step:
    """Say which values of a group are needed outside."""
    if not isinstance(step, Fused):
        return step
    inside = {x for a in step.applications for x in a.inputs if isinstance(x, Value)}
    return replace(step, results=tuple([a.result for a in step.applications
                                        if users.get(a.result, 0) > (a.result in inside)]))


# ------------------------------------------------------------------ groups
@dataclass(eq=False)
class Group:
    """Gates that are to become one step. Where the shape is None, the one gate in it stays alone."""

    members: list[tuple[int, Application]]               # each with its place in the program
    shape: tuple[int, ...] | None                        # of the elements they work on

    @property
    def place(self) -> int:
        return self.members[-1][0]

    def sources(self, maker: dict[Value, Group]) -> set[Group]:
        """Return the other groups that make what this one takes."""
        return {maker[x] for _, a in self.members for x in a.inputs if isinstance(x, Value) and x in maker} - {self}


def _grouped(stretch: list[Application]) -> list[Step]:
    """Group the gates of a stretch without interruptions."""
    maker: dict[Value, Group] = {}                       # the group that a value is made in
    for place, a in enumerate(stretch):
        group = maker[a.result] = Group([(place, a)], _shape(a))
        for source in sorted(group.sources(maker), key=lambda source: -source.place):
            if _joins(source, group) and not _reaches(source, group, maker):
                group.members = sorted(source.members + group.members, key=lambda member: member[0])
                maker.update((member.result, group) for _, member in source.members)
    return [a[0] if len(a) == 1 else Fused(tuple(a), ()) for a in (
        [a for _, a in group.members] for group in _sorted(list(dict.fromkeys(maker.values())), maker))]


def _shape(a: Application) -> tuple[int, ...] | None:
    """Return the shape of the elements that a gate works on, if it may belong to a group."""
    if is_reduction(a):
        return _of(a.inputs[0]) if is_array(a.inputs[0]) else None
    if is_elementwise(a) or (a.gate.name == "broadcast_to" and is_view(a)):
        return _of(a.result)
    return None


def _of(x: Value) -> tuple[int, ...]:
    return x.kind[0]                                     # type: ignore[no-any-return]


def _joins(source: Group, group: Group) -> bool:
    """Tell whether two groups work on the same elements, and the second takes nothing that was reduced in the first."""
    if source.shape is None or source.shape != group.shape:
        return False
    reduced = {a.result for _, a in source.members if is_reduction(a)}
    return not any(x in reduced for _, a in group.members for x in a.inputs if isinstance(x, Value))


def _reaches(first: Group, last: Group, maker: dict[Value, Group]) -> bool:
    """Tell whether the last group needs the first by way of a third: then they cannot be one."""
    seen = {first, last}
    ahead = list(last.sources(maker) - seen)
    while ahead:
        group = ahead.pop()
        if group not in seen:
            seen.add(group)
            sources = group.sources(maker)
            if first in sources:
                return True
            ahead += sources
    return False


def _sorted(groups: list[Group], maker: dict[Value, Group]) -> list[Group]:
    """Put groups in an order in which each comes after those it needs, and otherwise where its last gate was."""
    waits = {group: group.sources(maker) for group in groups}
    feeds: dict[Group, list[Group]] = {group: [] for group in groups}
    for group, sources in waits.items():
        for source in sources:
            feeds[source].append(group)
    ready = [(group.place, group) for group in groups if not waits[group]]
    heapify(ready)
    found = []
    while ready:
        _, group = heappop(ready)                        # no two have the same place
        found.append(group)
        for other in feeds[group]:
            waits[other].discard(group)
            if not waits[other]:
                heappush(ready, (other.place, other))
    return found
