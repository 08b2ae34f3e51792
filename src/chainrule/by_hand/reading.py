"""Chapters: scripts that are read from top to bottom, prose in two languages and code once.

A chapter is a Python file of cells. A cell begins with a line ``# %%``; ``# %% [en]`` and ``# %% [zh]`` are prose, each
line a comment in Markdown, side by side in both languages; the others are code. So a chapter is a script: Python runs
it, an editor steps through its cells, and `run` shows it. Above the first cell it may say how long it takes:
``# about 40 s, 8 s with --quick``.
"""
from __future__ import annotations

import contextlib
import io
import linecache
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["LANGUAGES", "Cell", "Chapter", "Reading", "chapters", "figures", "quick", "run", "save"]

LANGUAGES = ("en", "zh")
FOLDER = Path(__file__).parent / "chapters"
NAME = re.compile(r"(\d\d)_(\w+)\.py")
MARK = re.compile(r"# %%(?: \[(\w+)\])?\s*")
ABOUT = re.compile(r"# about (\d+) s(?:, (\d+) s with --quick)?\s*")
DRAWS = re.compile(r"^ *(?:from|import) .*(?:\bmatplotlib\b|\bpictures\b|\bsave\b)", re.MULTILINE)


# ---------------------------------------------------------------------- what a chapter is
@dataclass(frozen=True)
class Cell:
    """A piece of a chapter."""

    kind: str                            #: "en" and "zh" for prose, "code"
    text: str                            #: Markdown, or Python
    line: int                            #: the number of its first line in the file


@dataclass(frozen=True)
class Chapter:
    """One chapter.

    Examples
    --------
    >>> from chainrule.by_hand.reading import chapters
    >>> chapter = chapters()[1]
    >>> chapter.title(), chapter.title("zh")
    ('1. The fruit shop', '1. 水果店')
    >>> [cell.kind for cell in chapter.cells][:3]
    ['en', 'zh', 'code']
    """

    number: int
    path: Path

    @property
    def text(self) -> str:
        """The file as it is."""
        return self.path.read_text(encoding="utf-8")

    @property
    def cells(self) -> list[Cell]:
        """Its cells, from top to bottom."""
        return list(_cells(self.text))

    def read(self, language: str) -> list[Cell]:
        """Return the cells in one language: its prose, and the code."""
        return [cell for cell in self.cells if cell.kind in (language, "code")]

    def title(self, language: str = "en") -> str:
        """Return the first heading in a language."""
        prose = next(cell.text for cell in self.cells if cell.kind == language)
        return prose.partition("\n")[0].lstrip("# ")

    def seconds(self, quick: bool = False) -> int | None:
        """Return about how long it takes; None if it does not say."""
        said = next(filter(None, map(ABOUT.fullmatch, self.text.partition("# %%")[0].splitlines())), None)
        return int((quick and said[2]) or said[1]) if said else None

    @property
    def draws(self) -> bool:
        """Whether it needs matplotlib."""
        return any(DRAWS.search(cell.text) for cell in self.cells if cell.kind == "code")

    @property
    def data(self) -> list[str]:
        """The data sets that it reads and that may have to be fetched."""
        return ["mnist"] if any("data.mnist(" in cell.text for cell in self.cells if cell.kind == "code") else []

    def script(self, language: str) -> str:
        """Return it as a script in one language, whose prose editors show as text."""
        parts = []
        for cell in self.read(language):
            prose = (f"# {line}".rstrip() for line in cell.text.splitlines())
            parts.append(f"# %%\n{cell.text}\n" if cell.kind == "code" else "\n".join(["# %% [markdown]", *prose, ""]))
        return "\n".join(parts)


def chapters() -> dict[int, Chapter]:
    """Return the chapters by number."""
    found = [(NAME.fullmatch(path.name), path) for path in sorted(FOLDER.glob("*.py"))]
    return {int(name[1]): Chapter(int(name[1]), path) for name, path in found if name}


def _cells(text: str) -> Iterator[Cell]:
    kind, lines, first = "", list[str](), 1
    for number, line in enumerate([*text.splitlines(), "# %%"], 1):
        mark = MARK.fullmatch(line)
        if mark is None:
            lines.append(line)
            continue
        content = "\n".join(lines).strip("\n")
        if kind and content:
            first += next(i for i, each in enumerate(lines) if each)
            prose = "\n".join(line.removeprefix("#").removeprefix(" ") for line in content.splitlines())
            yield Cell(kind, content if kind == "code" else prose, first)
        kind, lines, first = mark[1] or "code", [], number + 1


# ---------------------------------------------------------------------- what chapters use
def quick() -> bool:
    """Tell whether a chapter shall hurry: fewer steps, the same lessons."""
    return os.environ.get("CHAINRULE_QUICK", "") not in ("", "0")


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


# ---------------------------------------------------------------------- running one
class Reading:
    """A chapter that is being run, cell by cell.

    Parameters
    ----------
    chapter : Chapter

    Attributes
    ----------
    names : dict of str to object
        What the cells so far have defined.

    Examples
    --------
    >>> from chainrule.by_hand.reading import Reading, chapters
    >>> chapter = chapters()[1]
    >>> reading = Reading(chapter)
    >>> reading.run(next(cell for cell in chapter.cells if cell.kind == "code"))
    220.00000000000003
    >>> reading.names["apples"]
    2
    """

    def __init__(self, chapter: Chapter) -> None:
        self.chapter = chapter
        self.names: dict[str, Any] = {"__name__": "__main__", "__file__": str(chapter.path)}
        # Under its name alone the file is the reader's, not part of the package: gates note its lines.
        self._name = chapter.path.name
        lines = chapter.text.splitlines(keepends=True)
        linecache.cache[self._name] = (len(chapter.text), None, lines, self._name)

    def run(self, cell: Cell) -> None:
        """Run a cell of code."""
        source = "\n" * (cell.line - 1) + cell.text
        exec(compile(source, self._name, "exec", dont_inherit=True), self.names)

    def line(self, error: BaseException) -> int | None:
        """Return the line of the chapter at which an error came up."""
        if isinstance(error, SyntaxError) and error.filename == self._name:
            return error.lineno
        trace, found = error.__traceback__, None
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._name:
                found = trace.tb_lineno
            trace = trace.tb_next
        return found


def run(chapter: int) -> tuple[dict[str, Any], str]:
    """Run a chapter; return its names, and what it printed."""
    reading = Reading(chapters()[chapter])
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for cell in reading.chapter.cells:
            if cell.kind == "code":
                reading.run(cell)
    return reading.names, printed.getvalue()
