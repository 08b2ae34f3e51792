"""A program as a Mermaid flowchart, which GitHub and many editors draw."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...view.mermaid import escape
from ..program import Program, Value
from .listing import Titles, applied, constant, said, spelled

__all__ = ["flowchart"]


def flowchart(program: Program, constants: bool = True, numbers: bool = True) -> str:
    """Write a program as a Mermaid flowchart. The same program gives the same text.

    Arguments are rounded, constants hexagons, cells cylinders, gates rectangles; gates that are run as one stand in a
    frame. A cell that the program sets has a second cylinder at the end, with a dotted arrow where the value is
    computed straight into it. What is returned is rounded again.

    Parameters
    ----------
    program : Program
    constants : bool
        Whether constants are drawn.
    numbers : bool
        Whether single numbers are drawn, such as a learning rate and what is computed of it.

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> step = cr.compile(lambda x: x * x + 1)
    >>> for _ in range(2):                                                   # it is recorded twice
    ...     _ = step(np.array([1.0, 2.0]))
    >>> print(step.recorded.to_mermaid())
    flowchart TD
        v0(["%0 x<br/>float64[2]"])
        v1["%1 multiply(%0, %0)<br/>float64[2]"]
        v2["%2 add(%1, 1)<br/>float64[2]"]
        r0(["returned"])
        v0 --> v1
        v1 --> v2
        v2 --> r0
    """
    titles = Titles(program)
    given = [(v, "([", titles.argument(v)) for v in program.arguments]
    given += [(v, "{{", constant(array)) for v, array in program.constants if constants]
    given += [(v, "[(", titles.cell(cell)) for cell, v in program.reads]
    shown = {v for v, _, _ in given} | {a.result for a in program.applications}
    if not numbers:
        shown = {v for v in shown if isinstance(v.kind, tuple)}

    boxes = [_id(v) + _box(shape, f"{v} {text}".rstrip(), spelled(v.kind))
             for v, shape, text in sorted(given, key=lambda box: box[0].number) if v in shown]
    boxes += _gates(program, shown)
    edges = [f"{_id(x)} --> {_id(a.result)}" for a in program.applications if a.result in shown
             for x in dict.fromkeys(x for x in a.inputs if isinstance(x, Value)) if x in shown]
    for i, (cell, x) in enumerate(program.writes):
        if x in shown:
            boxes.append(f"w{i}" + _box("[(", titles.cell(cell)))
            home = program.homes.get(x)
            there = home is not None and home.owner is cell.owner and home.name == cell.name
            edges.append(f"{_id(x)} {'-.->' if there else '-->'} w{i}")
        elif not isinstance(x, Value):
            boxes.append(f"w{i}" + _box("[(", titles.cell(cell), f"← {said(x)}"))
    for i, (path, x) in enumerate(_leaves("", program.result)):
        boxes.append(f"r{i}" + _box("([", f"returned {path}".rstrip(), *([] if x in shown else [said(x)])))
        if x in shown:
            edges.append(f"{_id(x)} --> r{i}")
    return "\n".join(["flowchart TD", *(f"    {line}" for line in (*boxes, *edges))])


def _gates(program: Program, shown: set[Value]) -> Iterator[str]:
    """Yield a box for each gate, and a frame around those that are run as one."""
    for i, step in enumerate(program.steps):
        several = len(step.applications) > 1
        boxes = [f"{_id(a.result)}{_box('[', f'{a.result} {applied(a)}', spelled(a.result.kind))}"
                 for a in step.applications if a.result in shown]
        if several:
            yield f"subgraph f{i}" + _box("[", f"{len(step.applications)} gates as one")
            yield from (f"    {box}" for box in boxes)
            yield "end"
        else:
            yield from boxes


def _box(opening: str, *words: str) -> str:
    """Write the box of a node: its shape by the opening brackets, a line for each text."""
    closing = opening[::-1].translate(str.maketrans("([{", ")]}"))
    return f'{opening}"{"<br/>".join(map(escape, words))}"{closing}'


def _id(value: Value) -> str:
    return f"v{value.number}"


def _leaves(path: str, result: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is returned, piece by piece, with the index of each."""
    if isinstance(result, Mapping):
        for key, item in result.items():
            yield from _leaves(f"{path}[{key!r}]", item)
    elif isinstance(result, tuple | list):
        for i, item in enumerate(result):
            yield from _leaves(f"{path}[{i}]", item)
    elif result is not None or path:
        yield path, result
