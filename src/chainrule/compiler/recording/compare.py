"""Two recordings of one step, compared: what is not the same both times is no constant."""
from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np

from ...state import get
from ..errors import RecordingError
from ..program import Application, Cell, Program, Value, each
from .recording import Recording

__all__ = ["differences"]

REMEDY = ("what is not the same at each call has to be an argument of the step, or in chainrule.cell(...); random "
          "numbers come from chainrule.random")


def differences(first: Recording, second: Recording) -> Recording:
    """Return the first recording, with the arrays that were the same object both times as cells.

    Raises
    ------
    RecordingError
        If the two calls did not do the same, with the same constants.
    """
    a, b = first.program, second.program
    both = list(zip_longest(a.steps, b.steps))
    for x, y in both:
        _compare(a, b, x, y)
    if a.size != b.size or len(a.writes) != len(b.writes) or str(a.result) != str(b.result):
        raise RecordingError(f"the step did not do the same in its first two calls: {REMEDY}")
    for cell, other in zip_longest([cell for cell, _ in a.reads], [cell for cell, _ in b.reads]):
        if cell is None or other is None or cell.owner is not other.owner or cell.name != other.name:
            some: Any = cell or other
            name = a.names.get(id(some.owner)) or getattr(some.owner, "name", "") or f"a {type(some.owner).__name__}"
            raise RecordingError(f"what the step reads is another object at each call: {some.name} of {name}: {REMEDY}")
    if second.moved:
        raise RecordingError(f"{second.moved[0]} holds another array after the step than before it; a replay would not "
                             "exchange them; copy the numbers: a[...] = b")
    noted = {cell.key: (cell, x) for cell, x in (*first.set, *second.set)}
    for cell, x in (*first.set, *second.set):
        now = get(cell.owner, cell.name)
        if not _equal(x, now):
            raise RecordingError(f"{cell.name} of {a.names.get(id(cell.owner)) or type(cell.owner).__name__} became "
                                 f"{x!r:.40} in the first call and {now!r:.40} in the second: {REMEDY}")
    constants, reads = [], list(a.reads)
    left = {x for _, x in a.writes if isinstance(x, Value)}
    each(left.add, a.result)
    for (value, array), (other, again) in zip(a.constants, b.constants, strict=True):
        source, same = first.sources.get(value), second.sources.get(other)
        if source is not None and same is not None and source.get() is same.get():
            reads.append((Cell(source.owner, source.name), value))
            continue
        if not _equal(array, again):
            user = next((s for s in a.steps if value in s.inputs), None)
            if user is None and value not in left:
                continue                               # memory that was filled later
            raise RecordingError(
                f"an array or a number that goes into {user.gate.name if user else 'the result'} is made by plain "
                f"Python in the step, and was {_said(array)} in the first call and {_said(again)} in the second: "
                f"{REMEDY}", user.place if user else None)
        constants.append((value, array))
    for (written, x), (_, y) in zip(a.writes, b.writes, strict=True):
        if not _equal(x, y):
            raise RecordingError(f"{written.name} became {x!r:.40} in the first call and {y!r:.40} in the second: "
                                 f"{REMEDY}")
    return replace(first, program=replace(a, constants=constants, reads=reads, writes=[*a.writes, *noted.values()]))


def _compare(a: Program, b: Program, x: Application | None, y: Application | None) -> None:
    """Raise if a step is not the same in both programs."""
    if x is None or y is None or x.gate is not y.gate:
        some: Any = y or x
        raise RecordingError(
            f"in its second call the step did {y.gate.name if y else 'nothing'} where it did "
            f"{x.gate.name if x else 'nothing'} in the first: {REMEDY}", some.place)
    for name, p, q in [*((f"argument {i}", p, q) for i, (p, q) in enumerate(zip_longest(x.inputs, y.inputs))),
                       *((name, x.options.get(name), y.options.get(name)) for name in {**x.options, **y.options})]:
        if not _equal(p, q):
            raise RecordingError(
                f"{name} of {x.gate.name} was {_said(p)} in the first call and {_said(q)} in the second: {REMEDY}",
                x.place)


def _equal(p: Any, q: Any) -> bool:
    if isinstance(p, Value) or isinstance(q, Value):
        return isinstance(p, Value) and isinstance(q, Value) and p.number == q.number and bool(p.kind == q.kind)
    if isinstance(p, np.ndarray | np.generic) or isinstance(q, np.ndarray | np.generic):
        return (type(p) is type(q) and p.dtype == q.dtype and p.shape == q.shape
                and np.array_equal(p, q, equal_nan=p.dtype.kind in "fc"))
    if isinstance(p, list | tuple) and type(p) is type(q):
        return len(p) == len(q) and all(map(_equal, p, q))
    return p is q or (type(p) is type(q) and (bool(p == q) or bool(p != p and q != q)))


def _said(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return f"{x.dtype} {x.shape} with first element {x.flat[0]}" if x.size else f"{x.dtype} {x.shape}"
    return str(x) if isinstance(x, Value) else repr(x)[:60]
