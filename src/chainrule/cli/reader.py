"""How a chapter is shown: set in colours on a terminal, as a Markdown document elsewhere."""
from __future__ import annotations

import io
import re
from abc import ABC, abstractmethod
from functools import cache
from typing import Any, TextIO

from ..view.notation import plain

__all__ = ["Document", "Page", "Printed", "Screen", "lenient"]

WIDE = r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]"    #: Chinese characters and their punctuation
SOFT = re.compile(rf"(?<={WIDE})\n *(?={WIDE})")
FORMULA = re.compile(r"(?<!`)\$\$?([^$`]+?)\$\$?(?!`)")
FENCED = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
READABLE = 100                           #: columns of prose, however wide the terminal is
CLOSING, OPENING = "，。；：！？、）】》”’％…,.;:!?)]}%", "（【《“‘([{"


class Page(ABC):
    """Where a chapter appears, piece by piece.

    Parameters
    ----------
    file : text file
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file

    @abstractmethod
    def prose(self, text: str) -> None:
        """Show Markdown."""

    @abstractmethod
    def code(self, text: str) -> None:
        """Show Python."""

    @abstractmethod
    def printed(self, text: str) -> None:
        """Show what a cell prints, as it comes."""

    @abstractmethod
    def end(self) -> None:
        """End what a cell has printed."""


class Printed(io.TextIOBase):
    """The standard output of a chapter: it ends up on the page.

    Attributes
    ----------
    failed : OSError or None
        Why the page could not be written, which is no fault of the chapter's.
    """

    failed: OSError | None = None

    def __init__(self, page: Page) -> None:
        self.page = page

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, text: str) -> int:
        """Show it."""
        try:
            self.page.printed(text)
        except OSError as error:
            self.failed = error
            raise
        return len(text)


class Document(Page):
    """A Markdown document: fences around code and around what it prints."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self.last = ""                   # of what has been printed; nothing before the fence

    def prose(self, text: str) -> None:
        """Write it as it is."""
        self._write(f"{text}\n\n")

    def code(self, text: str) -> None:
        """Write it between fences."""
        self._write(f"```python\n{text}\n```\n\n")

    def printed(self, text: str) -> None:
        """Write it, behind a fence."""
        if text:
            self._write(text if self.last else f"```text\n{text}")
            self.last = text[-1]

    def end(self) -> None:
        """Close the fence."""
        if self.last:
            self._write("```\n\n" if self.last == "\n" else "\n```\n\n")
            self.last = ""

    def _write(self, text: str) -> None:
        self.file.write(text)
        self.file.flush()                # whoever reads it may wait for the next cell


class Screen(Page):
    """A terminal: prose set by rich, code in colours, what it prints behind a bar."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        from rich.console import Console
        self.console = Console(file=file, highlight=False)
        self.line = ""
        self.some = False

    def prose(self, text: str) -> None:
        """Set Markdown."""
        self.console.print(_markdown()(_readable(text)), width=min(self.console.width, READABLE))
        self.console.print()

    def code(self, text: str) -> None:
        """Show Python in the terminal's own colours."""
        from rich.padding import Padding
        from rich.syntax import Syntax
        syntax = Syntax(text, "python", theme="ansi_dark", background_color="default", word_wrap=True)
        self.console.print(Padding(syntax, (0, 0, 0, 4)))

    def printed(self, text: str) -> None:
        """Show whole lines."""
        *lines, self.line = (self.line + text).split("\n")
        for line in lines:
            self._bar(line)

    def end(self) -> None:
        """Show the rest, and an empty line."""
        if self.line:
            self._bar(self.line)
            self.line = ""
        self.console.print()
        self.some = False

    def _bar(self, line: str) -> None:
        from rich.text import Text
        if not self.some:
            self.console.print()
            self.some = True
        self.console.print(Text.assemble(("  ▏ ", "green"), line), soft_wrap=True)


def _readable(text: str) -> str:
    """Return Markdown whose formulas are plain text, and whose Chinese lines join without a space."""
    parts = FENCED.split(text)
    parts[::2] = [SOFT.sub("", FORMULA.sub(lambda found: re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", plain(found[1])), part))
                  for part in parts[::2]]
    return "".join(parts)


@cache
def _markdown() -> Any:
    """Make the class that sets Markdown: headings on the left, Chinese broken between characters."""
    from rich.cells import cell_len
    from rich.console import Console, ConsoleOptions
    from rich.markdown import Heading, Markdown, Paragraph
    from rich.text import Text

    def breaks(text: str, width: int) -> list[int]:
        """Return where lines end: after a space, or beside a wide character."""
        found, start, possible, filled = [0], 0, 0, 0
        for i, char in enumerate(text):
            before = text[i - 1:i]
            if before == "\n":
                start, possible, filled = i, i, 0
                found.append(i)
            elif before == " " or (2 in (cell_len(before), cell_len(char)) and char not in CLOSING
                                   and char != " " and before not in OPENING):
                possible = i
            filled += cell_len(char) if char != "\n" else 0
            if filled > width and char != " " and possible > start:
                start = possible
                found.append(start)
                filled = cell_len(text[start:i + 1])
        return found[1:]

    class OurParagraph(Paragraph):
        def __rich_console__(self, console: Console, options: ConsoleOptions) -> Any:
            if not re.search(WIDE, self.text.plain):
                yield from super().__rich_console__(console, options)
                return
            for line in self.text.divide(breaks(self.text.plain, options.max_width)):
                line.rstrip()
                yield line

    class OurHeading(Heading):
        def __rich_console__(self, console: Console, options: ConsoleOptions) -> Any:
            yield Text.assemble(self.text, style="bold underline" if self.tag == "h1" else "bold")

    class Prose(Markdown):
        elements = Markdown.elements | {"paragraph_open": OurParagraph, "heading_open": OurHeading}

    return Prose


def lenient(file: TextIO) -> TextIO:
    """Let a file write a question mark for what its encoding does not have."""
    if isinstance(file, io.TextIOWrapper):
        file.reconfigure(errors="replace")
    return file


