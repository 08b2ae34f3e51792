"""A panel in a notebook that is kept up to date where it stands, and the question whether this is a notebook."""
from __future__ import annotations

import sys
from html import escape
from typing import Any

__all__ = ["Panel", "in_notebook"]


def in_notebook() -> bool:
    """Tell whether this runs in a notebook: IPython is there already, and its shell belongs to a kernel."""
    find = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return find is not None and getattr(find(), "kernel", None) is not None


class Panel:
    """A bar, a line of figures and a table, shown once and then changed in place.

    Attributes
    ----------
    done, total : int
        How far the bar is.
    line : str
        What stands beside it.
    table : str
        HTML below it.
    """

    def __init__(self, done: int, total: int) -> None:
        self.done, self.total, self.line, self.table = done, total, "", ""
        self.handle: Any = None

    def show(self) -> None:
        """Show it, or what has changed."""
        from IPython.display import display              # in_notebook: it has been imported before
        if self.handle is None:
            self.handle = display(self, display_id=True)
        else:
            self.handle.update(self)

    def __repr__(self) -> str:
        return self.line

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self.done}" max="{self.total}" style="vertical-align: middle"></progress>'
        return f"<div>{bar} <span>{escape(self.line)}</span>{self.table}</div>"
