"""Which executor runs each part of a program, how, and why."""
from __future__ import annotations

from ..executors import EXECUTORS, executor
from ..program import Program

__all__ = ["report"]

LONGEST = 40                         #: characters of the name of a part


def report(program: Program, name: str = "numpy") -> str:
    """Say in a table which executor runs each part of a program, how, and why.

    Neighbours that are run in the same way for the same reason are told together.

    Parameters
    ----------
    program : Program
    name : str
        Of the executor that is asked for.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no executor of that name.
    """
    found = executor(name)
    lines = [f"executor {found.name}" + (f", since {name} is not available: {EXECUTORS[name].available()}"
                                         if found.name != name else "")]
    groups: list[tuple[list[str], str, str]] = []
    for what, how, why in found.parts(program):
        if groups and groups[-1][1:] == (how, why):
            groups[-1][0].append(what)
        else:
            groups.append(([what], how, why))
    rows = [("part", "runs as", "because"), *((_several(what), how, why) for what, how, why in groups)]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    lines += [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in rows] if groups else ["nothing to run"]
    return "\n".join(lines)


def _several(parts: list[str]) -> str:
    """Name neighbours in few words."""
    first, last = (x if len(x) <= LONGEST else f"{x[:LONGEST - 1]}…" for x in (parts[0], parts[-1]))
    return first if len(parts) == 1 else f"{first} … {last} ({len(parts)})"
