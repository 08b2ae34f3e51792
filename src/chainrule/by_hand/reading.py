"""Chapters: scripts that are read from top to bottom, prose in two languages and code once.

A chapter is a Python file of cells. A cell begins with a line ``# %%``; ``# %% [en]`` and ``# %% [zh]`` are prose, each
line a comment in Markdown, side by side in both languages; the others are code. So a chapter is a script: Python runs
it, an editor steps through its cells, and `run` shows it.
"""
from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Cell", "Chapter", "chapters", "figures", "quick", "run", "save"]

FOLDER = Path(__file__).parent / "chapters"
NAME = re.compile(r"(\d\d)_(\w+)\.py")
MARK = re.compile(r"# %%(?: \[(\w+)\])?\s*")


@dataclass(frozen=True)
class Cell:
    """A piece of a chapter."""

    kind: str                            #: "en" and "zh" for prose, "code"
    text: str                            #: Markdown, or Python
    line: int                            #: the number of its first line in the file


@dataclass(frozen=True)
class Chapter:
    """One chapter."""

    number: int
    path: Path

    @property
    def cells(self) -> list[Cell]:
        """Its cells, from top to bottom."""
        return list(_cells(self.path.read_text(encoding="utf-8")))

    def title(self, language: str = "en") -> str:
        """Return the first heading in a language."""
        prose = next(cell.text for cell in self.cells if cell.kind == language)
        return prose.partition("\n")[0].lstrip("# ")


def chapters() -> dict[int, Chapter]:
    """Return the chapters by number."""
    found = [(NAME.fullmatch(path.name), path) for path in sorted(FOLDER.glob("*.py"))]
    return {int(name[1]): Chapter(int(name[1]), path) for name, path in found if name}


def quick() -> bool:
    """Tell whether a chapter shall hurry: fewer steps, the same lessons."""
    return bool(os.environ.get("CHAINRULE_QUICK"))


def figures() -> Path:
    """Return the folder of the figures."""
    return Path(os.environ.get("CHAINRULE_FIGURES", "figures"))


def save(figure: Any, name: str) -> None:
    """Save a matplotlib figure as ``name.png`` among the figures, and say so."""
    from ..files import replacing
    figures().mkdir(parents=True, exist_ok=True)
    path = figures() / f"{name}.png"
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)
    print(f"figure: {path}")  # noqa: T201


def run(chapter: int) -> tuple[dict[str, Any], str]:
    """Run a chapter; return its names, and what it printed."""
    found = chapters()[chapter]
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(found.path)}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(found.path.read_text(encoding="utf-8"), found.path, "exec"), names)
    return names, printed.getvalue()


def _cells(text: str) -> Iterator[Cell]:
    kind, lines, first = "", list[str](), 1
    for number, line in enumerate([*text.splitlines(), "# %%"], 1):
        mark = MARK.fullmatch(line)
        if mark is None:
            lines.append(line)
            continue
        content = "\n".join(lines).strip("\n")
        if kind and content:
            prose = "\n".join(line.removeprefix("#").removeprefix(" ") for line in content.splitlines())
            yield Cell(kind, content if kind == "code" else prose, first)
        kind, lines, first = mark[1] or "code", [], number + 1
