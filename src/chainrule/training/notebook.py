"""How a run looks in a notebook: a panel that is kept up to date where it stands."""
from __future__ import annotations

import sys
from collections.abc import Sequence
from html import escape
from importlib import import_module
from typing import Any

from . import table
from .callback import Row
from .screen import Screen

__all__ = ["Panel", "panel"]


class Panel(Screen):
    """A bar with a line of figures, and the table of the epochs below it, shown once and then changed in place."""

    pause = 0.25
    width = 120

    def __init__(self, label: str, done: int, total: int, validation: str) -> None:
        self.line, self.done, self.total, self.validation = label, done, total, validation
        self.table = self.note = ""
        self.handle: Any = None
        self._show()

    def change(self, label: str, parts: Sequence[str], done: int) -> None:
        """Move the bar."""
        self.line, self.done = "  ".join([label, *parts]), done
        self._show()

    def epoch(self, label: str, parts: Sequence[str], done: int, rows: Sequence[Row]) -> None:
        """Show the new figures, and the table."""
        self.table = table.html(rows, self.validation)
        self.change(label, parts, done)

    def end(self, note: str) -> None:
        """Add the note."""
        if note:
            self.note = note
            self._show()

    def __repr__(self) -> str:
        return "\n".join(filter(None, [self.line, self.note]))

    def _repr_html_(self) -> str:
        """Return what the notebook shows."""
        bar = f'<progress value="{self.done}" max="{self.total}" style="vertical-align: middle"></progress>'
        note = f"<div>{escape(self.note)}</div>" if self.note else ""
        return f"<div>{bar} <span>{escape(self.line)}</span>{note}{self.table}</div>"

    def _show(self) -> None:
        display = import_module("IPython.display").display                   # it was imported before, see `panel`
        if self.handle is None:
            self.handle = display(self, display_id=True)
        else:
            self.handle.update(self)


def panel(label: str, done: int, total: int, validation: str) -> Panel | None:
    """Return a panel if this is a notebook: IPython is there already, and its shell belongs to a kernel."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return Panel(label, done, total, validation) if getattr(shell, "kernel", None) is not None else None
