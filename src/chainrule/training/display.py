"""How a run looks while it goes on: a live line on a terminal, a panel in a notebook, a line for each epoch elsewhere."""
from __future__ import annotations

import sys
import textwrap
import time
from typing import IO, Any

from . import table
from .callback import Callback, Row
from .figures import measures, said, share
from .notebook import Panel, in_notebook
from .run import Run

__all__ = ["Display"]

WIDTH = 80                           #: of a line where the width is not known
BAR = 10                             #: at least so wide is a bar, if there is one
PAUSE = {"bar": 0.05, "panel": 0.25}                     #: seconds between two changes of what is shown


class Display(Callback):
    """Shows epoch, loss, metrics and the time left.

    Parameters
    ----------
    file : text file, optional
        Where to; by default a panel in the cell of a notebook, and elsewhere standard error, so that results on
        standard output stay clean. A terminal gets one line that is kept up to date (by rich), anything else one line
        for each epoch.
    validation : str
        What the validation data are called.

    Notes
    -----
    Each figure is shown of both parts of the data where there is room. Where there is not, metrics are shown of the
    validation data only.

    Examples
    --------
    >>> import io
    >>> from chainrule import Trainer, data, nn, optim
    >>> from chainrule.training import Display
    >>> train, _ = data.digits()
    >>> model, shown = nn.Linear(64, 10), io.StringIO()
    >>> trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()))
    >>> _ = trainer.fit(train, epochs=2, callbacks=[Display(shown)])
    >>> len(shown.getvalue().splitlines())
    2
    """

    def __init__(self, file: IO[str] | None = None, validation: str = "validation") -> None:
        self.file, self.validation = file, validation
        self.bar: Any = None
        self.panel: Panel | None = None

    def begin(self, run: Run) -> None:
        """Show that it begins, or goes on."""
        self.run, self.start = run, time.perf_counter()
        self.done = self.first = run.done
        self.rows: list[Row] = [dict(row) for row in run.trainer.history.rows] if run.trainer is not None else []
        self.row: Row = self.rows[-1] if self.rows and run.epoch > run.first else {}
        self.terse, self.width, self.pause, self.changed = False, WIDTH, 0.0, self.start
        self.out = self.file if self.file is not None else sys.stderr
        if self.file is None and in_notebook():
            self.panel, self.pause = Panel(self.done, run.total), PAUSE["panel"]
            self._change()
        elif self.out.isatty():
            self._begin_bar()

    def step(self, loss: float) -> None:
        """Move the bar."""
        self.done += 1
        if self.pause and time.perf_counter() - self.changed >= self.pause:
            self._change()

    def epoch(self, row: Row) -> None:
        """Show the figures of the epoch."""
        self.row = row
        self.rows.append(row)
        if self.pause:
            self._change()
            return
        lead = f"{self._epoch(row['epoch'])}  "
        lines = textwrap.wrap(self._figures().replace(" ", "\0").replace("\0\0", "  "), self.width - len(lead)) \
            if len(lead) + len(self._figures()) > self.width else [self._figures()]
        print(lead + f"\n{' ' * len(lead)}".join(line.replace("\0", " ") for line in lines), file=self.out, flush=True)

    def end(self) -> None:
        """Leave the terminal as it was, and say why if the run ends early."""
        ...
