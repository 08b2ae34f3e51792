"""What a run is shown on: a line for each epoch, or one live line of a terminal (drawn by rich)."""
from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

from .callback import Row

__all__ = ["Bar", "Lines", "Screen", "bar"]

WIDTH = 80                           #: of a line where nobody knows it
BAR = 4                              #: as narrow as a bar can be
GAP = "  "


class Screen:
    """What `Display` shows a run on."""

    pause: float | None = None           #: seconds between two changes within an epoch; None if there are none
    width: int                           #: how many characters there are for the figures

    def change(self, label: str, parts: Sequence[str], done: int) -> None:
        """Show how far it is, as far as that is possible."""

    def epoch(self, label: str, parts: Sequence[str], done: int, rows: Sequence[Row]) -> None:
        """Show the figures of a whole epoch."""
        self.change(label, parts, done)

    def end(self, note: str) -> None:
        """Leave everything as it was, and say a last word if there is one."""


class Lines(Screen):
    """A line for each epoch, for files, pipes and logs; figures without room in it go on in the next, indented."""

    def __init__(self, file: IO[str], label: str) -> None:
        self.file, self.width = file, WIDTH - len(label) - len(GAP)

    def epoch(self, label: str, parts: Sequence[str], done: int, rows: Sequence[Row]) -> None:
        """Print the line."""
        lines = [parts[0]]
        for part in parts[1:]:
            if len(lines[-1]) + len(GAP) + len(part) <= self.width:
                lines[-1] += GAP + part
            else:
                lines.append(part)
        print(f"{label}{GAP}" + f"\n{' ' * (len(label) + len(GAP))}".join(lines), file=self.file, flush=True)

    def end(self, note: str) -> None:
        """Print the note."""
        if note:
            print(note, file=self.file, flush=True)


class Bar(Screen):
    """One line of a terminal, with a bar if it is wide enough; figures without room in it are left out."""

    pause = 0.05

    def __init__(self, console: Any, label: str, done: int, total: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column
        self.console = console
        columns = [TextColumn("{task.fields[label]}", markup=False,
                              table_column=Column(no_wrap=True, min_width=len(label))),
                   BarColumn(bar_width=None), TextColumn("{task.description}", markup=False)]
        self.width = console.width - len(label) - 1
        if console.width < WIDTH:                        # the figures need the room
            del columns[1]
        else:
            self.width -= BAR + 1
        self.progress = Progress(*columns, console=console, expand=True)
        self.task = self.progress.add_task("", total=total, completed=done, label=label)
        self.progress.start()

    def change(self, label: str, parts: Sequence[str], done: int) -> None:
        """Move the bar."""
        parts = list(parts)
        if len(GAP.join(parts)) > self.width:
            parts.insert(-1, "…")
            while len(GAP.join(parts)) > self.width and len(parts) > 3:
                del parts[-3]
        self.progress.update(self.task, completed=done, label=label, description=GAP.join(parts))

    def end(self, note: str) -> None:
        """Let go of the terminal, and print the note."""
        self.progress.stop()
        if note:
            self.console.print(note, markup=False, highlight=False)


def bar(file: IO[str], label: str, done: int, total: int) -> Bar | None:
    """Return the live line if the file is a terminal that can have one."""
    if not file.isatty():
        return None
    from rich.console import Console
    console = Console(file=file, force_jupyter=False)
    return None if console.is_dumb_terminal else Bar(console, label, done, total)
