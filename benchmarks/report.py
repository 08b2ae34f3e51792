"""Training steps, as tables: for people, and for a page of the documentation."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .rows import Row
from .targets import verdicts
from .workloads import WORKLOADS, Workload

__all__ = ["as_data", "markdown", "table"]

COLUMNS = (f"    {'':32}{'µs per step':>12}{'10 % – 90 %':>21}{'× torch':>9}{'× flat':>8}{'first, s':>10}"
           f"{'MB':>6}{'more':>6}{'loss':>11}")


def table(workload: Workload, rows: Sequence[Row]) -> str:
    """Return what was measured on a workload, for people."""
    lines = [f"{workload.name}  {workload.summary}", COLUMNS]
    for row in rows:
        if row.refused:
            lines.append(f"    {row.contender:32}no row: {row.refused}")
            continue
        lines.append(f"    {row.contender:32}{row.median:12.1f}{f'{row.low:.1f} – {row.high:.1f}':>21}"
                     f"{_or_blank(row.torch, '.2f'):>9}{_or_blank(row.flat, '.2f'):>8}{row.first:10.2f}"
                     f"{_or_blank(row.peak, '.0f'):>6}{_or_blank(row.more, '.0f'):>6}{row.loss:11.5f}")
    return "\n".join(lines + [f"    target: {verdict}" for verdict in verdicts(workload.name, rows)])


def markdown(found: Mapping[str, Sequence[Row]]) -> str:
    """Return what was measured on some workloads, a column each, as tables in Markdown."""
    parts = [
        ("Median µs per step; in brackets × the fastest eager PyTorch variant.",
         lambda row: f"{_rounded(row.median)}" + (f" ({row.torch:.2f})" if row.torch is not None else "")),
        ("The same, × the flat NumPy plan with as many threads.", lambda row: _or_blank(row.flat, ".2f")),
        ("10th to 90th percentile, µs per step.", lambda row: f"{_rounded(row.low)} – {_rounded(row.high)}"),
        ("Seconds from the imports to the end of the third step.", lambda row: f"{row.first:.2f}"),
        ("Peak memory of the process, MB; in brackets how much of it came after the imports.",
         lambda row: "" if row.peak is None else f"{row.peak:.0f} ({row.more:.0f})"),
    ]
    text = "\n\n".join(f"{title}\n\n{_matrix(found, cell)}" for title, cell in parts)
    targets = [f"- {name}: {verdict}" for name, rows in found.items() for verdict in verdicts(name, rows)]
    refused = [f"- {name}, {row.contender}: {row.refused}"
               for name, rows in found.items() for row in rows if row.refused]
    return "\n\n".join([text, *(["Targets:\n\n" + "\n".join(targets)] if targets else []),
                        *(["No row:\n\n" + "\n".join(refused)] if refused else []),
                        "\n".join(f"- **{name}** {WORKLOADS[name].summary}" for name in found)])


def as_data(workload: Workload, rows: Sequence[Row]) -> dict[str, Any]:
    """Return everything that was measured on a workload; what was not is None."""
    return {"workload": asdict(workload),
            "rows": [{name: None if value != value else value for name, value in asdict(row).items()} for row in rows],
            "targets": [asdict(verdict) for verdict in verdicts(workload.name, rows)]}


def _matrix(found: Mapping[str, Sequence[Row]], cell: Callable[[Row], str]) -> str:
    contenders = dict.fromkeys(row.contender for rows in found.values() for row in rows)
    lines = ["| | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    for contender in contenders:
        cells = [next(("–" if row.refused else cell(row) for row in rows if row.contender == contender), "")
                 for rows in found.values()]
        if contender in ("chainrule", "chainrule compiled"):
            contender, cells = f"**{contender}**", [f"**{text}**" if text else "" for text in cells]
        lines.append(f"| {contender} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rounded(value: float) -> str:
    """Give three or four digits."""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _or_blank(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
