"""The table of a run: a line for each epoch, as text and as HTML."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from .callback import Row
from .figures import KINDS, columns, measures, said, share

__all__ = ["html", "text"]

WIDTH = 80
FIRST, LAST = 3, 5                   #: so many epochs of a long run are shown
HEAD = "text-align: center; padding: 0.1em 0.6em"
CELL = "text-align: right; padding: 0.1em 0.6em; font-variant-numeric: tabular-nums"


@dataclass
class Group:
    """Columns that belong together: a figure of the training and of the validation data."""

    name: str
    heads: list[str]
    cells: list[list[str]]               #: one list for each column

    @property
    def widths(self) -> list[int]:
        """How wide each column is, wide enough for the name of the group together."""
        found = [max(map(len, [head, *cells])) for head, cells in zip(self.heads, self.cells, strict=True)]
        found[-1] += max(0, len(self.name) - sum(found) - 2 * (len(found) - 1))
        return found

    @property
    def width(self) -> int:
        """How wide it is, with the gap before it."""
        return sum(self.widths) + 2 * len(self.heads)


def text(rows: Sequence[Row], validation: str = "validation", width: int = WIDTH) -> str:
    """Return the table as lines of at most `width` characters; figures for which there is no room are named."""
    groups: list[Group] = []
    left_out, room, kept = [], width + 2, _shown(rows)
    for group in _groups(rows, kept, validation):
        if group.width <= room or not groups:
            groups.append(group)
            room -= group.width
        else:
            left_out.append(group.name or group.heads[0])
    widths = [width for group in groups for width in group.widths]
    heads = [head for group in groups for head in group.heads]
    cells = [column for group in groups for column in group.cells]
    lines = ["  ".join(group.name.ljust(group.width - 2) for group in groups), _line(heads, widths)]
    for i, number in enumerate(kept):
        if number is None:
            lines.append("…".rjust(widths[0]))
        else:
            lines.append(_line([column[i] for column in cells], widths))
    if left_out:
        lines.append(f"and {', '.join(left_out)}")
    return "\n".join(line.rstrip() for line in lines if line.strip())


def html(rows: Sequence[Row], validation: str = "validation") -> str:
    """Return the table as HTML."""
    kept = _shown(rows)
    groups = _groups(rows, kept, validation)
    top = "".join(f'<th colspan="{len(group.heads)}" style="{HEAD}">{escape(group.name)}</th>' for group in groups)
    heads = "".join(f'<th style="{CELL}">{escape(head)}</th>' for group in groups for head in group.heads)
    lines = []
    for i, number in enumerate(kept):
        cells = [column[i] if number is not None else "…" for group in groups for column in group.cells]
        lines.append("<tr>" + "".join(f'<td style="{CELL}">{escape(cell)}</td>' for cell in cells) + "</tr>")
    return (f"<table><thead><tr>{top}</tr><tr>{heads}</tr></thead>"
            f"<tbody>{''.join(lines)}</tbody></table>")


def _shown(rows: Sequence[Row]) -> list[int | None]:
    """Return the numbers of the rows that are shown; None stands for those between."""
    if len(rows) <= FIRST + LAST + 1:
        return list(range(len(rows)))
    return [*range(FIRST), None, *range(len(rows) - LAST, len(rows))]


def _groups(rows: Sequence[Row], kept: list[int | None], validation: str) -> list[Group]:
    """Return all columns: the epoch, each figure, and the rest."""
    names, groups, labels = columns(rows), [], dict(zip(KINDS, ("train", validation), strict=True))

    def cells(name: str, percent: bool = False) -> list[str]:
        return ["" if i is None else said(rows[i].get(name), percent) for i in kept]

    used: set[str] = set()
    for measure in measures(rows):
        both = [(kind, f"{kind}_{measure}") for kind in KINDS if f"{kind}_{measure}" in names]
        percent = share(measure, [row.get(name) for _, name in both for row in rows])
        groups.append(Group(measure.replace("_", " "), [labels[kind] for kind, _ in both],
                            [cells(name, percent) for _, name in both]))
        used |= {name for _, name in both}
    single: dict[str, Any] = {name: Group("", [name], [cells(name)]) for name in names if name not in used}
    first = [single.pop("epoch")] if "epoch" in single else []
    return [*first, *groups, *single.values()]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
