"""Gates of one step that do the same with two arrays: they become steps of their own, side by side."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from ..program import Application, Fused, Program, Step, Value
from .blocks import BLOCK
from .facts import arrays, is_array

__all__ = ["apart"]

Gates = list[Application]


def apart(program: Program) -> Program:
    """Return a program in which twins in a group of gates are steps that follow each other.

    The logarithms of p and of 1 - p, say, each followed by a maximum. `together` may then run the two as one.

    Parameters
    ----------
    program : Program
    """
    return replace(program, steps=[part for step in program.steps for part in _parts(step, program)])


def _parts(step: Step, program: Program) -> Iterator[Step]:
    """Yield the parts of a step: itself, if there are no twins in it."""
    if not isinstance(step, Fused) or any(a.result in program.homes for a in step.applications):
        yield step
        return
    gates = list(step.applications)
    found = _twins(gates)
    if found is None:
        yield step
        return
    before, first, second, rest = found
    yield from _parts(_step(before), program) if before else ()
    yield _step(first)
    yield _step(second)
    yield from _parts(_step(rest), program) if rest else ()


def _step(gates: Sequence[Application]) -> Step:
    return gates[0] if len(gates) == 1 else Fused(tuple(gates), tuple([a.result for a in gates]))


def _twins(gates: Gates) -> tuple[Gates, Gates, Gates, Gates] | None:
    """Find two chains of gates that do the same; return what is run before them, both, and what is run after."""
    made = {a.result: i for i, a in enumerate(gates)}
    users: dict[Value, Gates] = {}
    for a in gates:
        for x in a.inputs:
            if isinstance(x, Value):
                users.setdefault(x, []).append(a)
    alike: dict[Any, Gates] = {}
    for b in gates:
        key = _key(b)
        for a in alike.get(key, []):
            if _argument(a) is _argument(b):
                continue
            first, second = [a], [b]
            while (pair := _next(users.get(first[-1].result, []), users.get(second[-1].result, []),
                                 {*first, *second})) is not None:
                first.append(pair[0])
                second.append(pair[1])
            place = 1 + max(made.get(_argument(a), -1), made.get(_argument(b), -1))
            before, rest = _around(gates, place, {*first, *second})
            if not {_argument(a), _argument(b)} & {c.result for c in (*first, *second, *rest)}:
                return before, first, second, rest
        if key is not None:
            alike.setdefault(key, []).append(b)
    return None


def _around(gates: Gates, place: int, both: set[Application]) -> tuple[Gates, Gates]:
    """Return the other gates: those before a place that need nothing of both, and the rest."""
    before: Gates = []
    rest: Gates = []
    later = {a.result for a in both}
    for i, a in enumerate(gates):
        if a in both:
            continue
        if i < place and not any(isinstance(x, Value) and x in later for x in a.inputs):
            before.append(a)
        else:
            rest.append(a)
            later.add(a.result)
    return before, rest


def _next(after_first: Gates, after_second: Gates, known: set[Application]) -> tuple[Application, Application] | None:
    """Find two more among those that take the results of twins."""
    return next(((a, b) for a in after_first for b in after_second
                 if a is not b and known.isdisjoint((a, b)) and _key(a) is not None and _key(a) == _key(b)), None)


def _argument(a: Application) -> Value:
    """Return the one array that a gate takes."""
    return arrays(a)[0]


def _key(a: Application) -> Any:
    """Return what two gates have in common that do the same with one array each; None for another kind of gate."""
    kind = a.result.kind
    if not (isinstance(a.gate.forward, np.ufunc) and a.gate.forward.signature is None) or a.options or not (
            is_array(a.result) and kind[1].kind == "f" and 1 < prod(kind[0]) <= BLOCK):
        return None
    if [x.kind for x in a.inputs if isinstance(x, Value)] != [kind]:
        return None
    return a.gate.name, kind, tuple([None if isinstance(x, Value) else (type(x), repr(x)) for x in a.inputs])
