"""How a run looks while it goes on: a live line, a panel in a notebook, or a line for each epoch."""
from __future__ import annotations

import sys
import time
from typing import IO

from .callback import Callback, Row
from .figures import measures, said, share
from .notebook import panel
from .run import Run
from .screen import GAP, Lines, Screen, bar

__all__ = ["Display"]


class Display(Callback):
    """Shows epoch, loss, metrics and the time left; at the end of a run that was stopped early, why.

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
    The figures are those of the last whole epoch; before there is one, means over the batches so far. Metrics are shown
    of both parts of the data where there is room for it, else of the validation data. Shares are said in percent.

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
        self.screen: Screen | None = None

    def begin(self, run: Run) -> None:
        """Show that it begins, or goes on."""
        self.run, self.start, self.level = run, time.perf_counter(), 0
        self.done = self.first = run.done
        self.rows: list[Row] = list(run.trainer.history.rows) if run.trainer is not None else []
        self.row: Row = self.rows[-1] if self.rows and run.epoch > run.first else {}
        file, label = sys.stderr if self.file is None else self.file, self._label(run.epoch)
        self.screen = ((panel(label, self.done, run.total, self.validation) if self.file is None else None)
                       or bar(file, label, self.done, run.total) or Lines(file, label))
        self.changed = self.start
        if self.row:
            self._change()

    def step(self, loss: float) -> None:
        """Move the bar."""
        self.done += 1
        assert self.screen is not None
        if self.screen.pause is not None and time.perf_counter() - self.changed >= self.screen.pause:
            self._change()

    def epoch(self, row: Row) -> None:
        """Show the figures of the epoch."""
        self.row = row
        self.rows.append(row)
        assert self.screen is not None
        self.screen.epoch(self._label(row["epoch"]), self._parts(), self.done, self.rows)

    def end(self) -> None:
        """Leave the terminal as it was."""
        if self.screen is not None:
            run, screen, self.screen = self.run, self.screen, None
            screen.end(f"stopped after epoch {self.row['epoch']} of {run.last}: {run.stopped}"
                       if run.stopped is not None and self.row else "")

    # ------------------------------------------------------------------ inside
    def _change(self) -> None:
        assert self.screen is not None
        self.changed = time.perf_counter()
        epoch = self.run.first + (self.done - 1) // self.run.steps if self.done > self.first else self.run.epoch
        self.screen.change(self._label(epoch), self._parts(), self.done)

    def _label(self, epoch: int) -> str:
        last = str(self.run.last)
        return f"epoch {epoch:>{len(last)}}/{last}"

    def _parts(self) -> list[str]:
        """The figures and the time, as many as there is room for."""
        assert self.screen is not None
        spent = time.perf_counter() - self.start
        left = spent * (self.run.total - self.done) / max(self.done - self.first, 1)
        over = self.done >= self.run.total or self.run.stopped is not None
        when = f"took {_duration(spent)}" if over else f"{_duration(left)} left"
        if not self.row:
            return [*self._so_far(), when]
        levels = (self._figures, self._brief, self._briefest)
        parts = [*levels[self.level](), when]
        while len(GAP.join(parts)) > self.screen.width and self.level < len(levels) - 1:
            self.level += 1                              # and so it stays, for a steady picture
            parts = [*levels[self.level](), when]
        return parts

    def _so_far(self) -> list[str]:
        """The means over the batches of the first epoch so far."""
        means = {name: total / self.run.samples for name, total in self.run.sums.items() if self.run.samples}
        return [f"{name} {said(value, share(name, [value]))}" for name, value in means.items()]

    def _figures(self) -> list[str]:
        """The loss and the metrics, of training and of validation data."""
        parts, names = [], measures([self.row])
        for name in names:
            found = [(label, self.row[column]) for label, column in (
                ("train", f"train_{name}"), (self.validation, f"validation_{name}")) if column in self.row]
            if name == "loss" and (len(names) > 1 or len(found) == 1):
                parts.append(f"loss {said(found[0][1])}")
                continue
            percent = share(name, [value for _, value in found])
            parts.append(" ".join([name, *(f"{label} {said(value, percent)}" for label, value in found)]))
        return parts

    def _brief(self) -> list[str]:
        """The loss of the training data, and what is known of the validation data; without them, the training data."""
        kind = "validation" if "validation_loss" in self.row else "train"
        parts = [f"{name} {said(value, share(name, [value]))}" for name, value in (
            (name, self.row.get(f"{kind}_{name}")) for name in measures([self.row]))]
        if kind == "validation":
            parts[0] = f"{self.validation} {parts[0]}"
            parts.insert(0, f"loss {said(self.row['train_loss'])}")
        return parts

    def _briefest(self) -> list[str]:
        """The same without the loss of the validation data, if anything else is known of them."""
        parts = self._brief()
        if len(measures([self.row])) > 1 and "validation_loss" in self.row:
            parts[1:3] = [f"{self.validation} {parts[2]}"]
        return parts


def _duration(seconds: float) -> str:
    """Write a time as it is said: 3 s, 2:05 min, 1:02:03 h."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min" if minutes else f"{rest} s"
