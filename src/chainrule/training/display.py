"""How a run looks while it goes on: one live line on a terminal, a line for each epoch elsewhere."""
from __future__ import annotations

import sys
import time
from typing import IO, Any

from .callback import Callback, Row
from .run import Run

__all__ = ["Display"]


class Display(Callback):
    """Shows epoch, loss, metrics and the time left.

    Parameters
    ----------
    file : text file, optional
        Where to; by default standard error, so that results on standard output stay clean. A terminal gets one line
        that is kept up to date (by rich), anything else one line for each epoch.
    validation : str
        What the validation data are called.

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

    def begin(self, run: Run) -> None:
        """Show that it begins, or goes on."""
        self.run, self.row, self.start = run, Row(), time.perf_counter()
        self.done = self.first = run.done
        file = self.file if self.file is not None else sys.stderr
        self.out = file
        if not file.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column
        console = Console(file=file)
        if console.is_dumb_terminal:
            return
        first = self._epoch(run.epoch)
        columns = [TextColumn("{task.fields[epoch]}", table_column=Column(no_wrap=True, min_width=len(first))),
                   BarColumn(bar_width=None), TextColumn("{task.description}")]
        if console.width < 80:                           # the figures need the room
            del columns[1]
        self.bar = Progress(*columns, console=console, expand=True)
        self.task = self.bar.add_task("", total=run.total, completed=self.done, epoch=first)
        self.bar.start()

    def step(self, loss: float) -> None:
        """Move the bar."""
        self.done += 1
        if self.bar is not None:
            epoch = self.run.first + (self.done - 1) // self.run.steps
            self.bar.update(self.task, completed=self.done, epoch=self._epoch(epoch), description=self._figures())

    def epoch(self, row: Row) -> None:
        """Show the figures of the epoch."""
        self.row = row
        if self.bar is None:
            print(f"{self._epoch(row['epoch'])}  {self._figures()}", file=self.out, flush=True)
        else:
            self.bar.update(self.task, description=self._figures())

    def end(self) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _epoch(self, number: int) -> str:
        last = str(self.run.last)
        return f"epoch {number:>{len(last)}}/{last}"

    def _figures(self) -> str:
        """The loss and the metrics of the last whole epoch, and the time left."""
        parts, labels = [], {"train": "train", "validation": self.validation}
        for name in (name.removeprefix("train_") for name in self.row if name.startswith("train_")):
            found = [(label, self.row[f"{kind}_{name}"]) for kind, label in labels.items()
                     if f"{kind}_{name}" in self.row]
            if name == "loss":
                parts.append(f"loss {found[0][1]:.3f}")
            elif name == "accuracy":
                parts.append("accuracy " + " ".join(f"{label} {100 * value:.1f} %" for label, value in found))
            else:
                parts.append(f"{name} " + " ".join(f"{label} {value:.4g}" for label, value in found))
        spent = time.perf_counter() - self.start
        left = spent * (self.run.total - self.done) / max(self.done - self.first, 1)
        over = self.done >= self.run.total or self.run.stopped is not None
        parts.append(f"took {_duration(spent)}" if over else f"{_duration(left)} left")
        return "  ".join(parts)


def _duration(seconds: float) -> str:
    """Write a time as it is said: 3 s, 2:05 min, 1:02:03 h."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min" if minutes else f"{rest} s"
