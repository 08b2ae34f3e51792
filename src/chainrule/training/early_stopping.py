"""Ending a run that has stopped getting better."""
from __future__ import annotations

from typing import Any

from .callback import Callback, Row
from .monitor import Monitor
from .run import Run

__all__ = ["EarlyStopping"]


class EarlyStopping(Callback):
    """Ends a run once a figure has not become better for some epochs.

    Parameters
    ----------
    monitor : str
        The figure of the history that is watched.
    patience : int
        How many epochs in a row without a better figure end the run; at least 1.
    min_delta : float
        By how much a figure must be better to count.
    mode : {"auto", "min", "max"}
        Whether less is better, or more; "auto" takes less for losses and errors, more for the rest.

    Raises
    ------
    ValueError
        If a setting is out of range; and at the end of the first epoch, if there is no such figure.

    Notes
    -----
    Source: L. Prechelt, Early Stopping - But When?, 1998, the criterion of successive strips, with single epochs. Data
    that decide when a run ends are validation data: keep test data apart from them.

    Examples
    --------
    >>> from chainrule import Trainer, data, nn, optim
    >>> from chainrule.training import EarlyStopping
    >>> train, _ = data.digits()
    >>> train, validation = data.split(train, 0.2)
    >>> model = nn.Linear(64, 10)
    >>> trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.1))
    >>> history = trainer.fit(train, validation, epochs=100, callbacks=[EarlyStopping(patience=3)])
    >>> len(history) < 100
    True
    """

    def __init__(self, monitor: str = "validation_loss", *, patience: int = 5, min_delta: float = 0.0,
                 mode: str = "auto") -> None:
        if patience < 1:
            raise ValueError(f"EarlyStopping: patience is a number of epochs from 1 on, got {patience}")
        self.patience, self.monitor, self.waited = patience, Monitor(monitor, mode, min_delta), 0

    def begin(self, run: Run) -> None:
        """Begin to count."""
        self.run, self.waited, self.monitor.best = run, 0, None

    def epoch(self, row: Row) -> None:
        """Count."""
        self.waited = 0 if self.monitor.better(row) else self.waited + 1
        if self.waited >= self.patience:
            best, m = self.monitor.best, self.monitor
            self.run.stop(f"{m.name} has not got better for {self.waited} epochs"
                          + (f"; the best was {best:.4g}, in epoch {m.epoch}" if best is not None else ""))

    def state_dict(self) -> dict[str, Any]:
        """Return the best figure and how long it has been the best."""
        return {"best": self.monitor.best, "epoch": self.monitor.epoch, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them over."""
        self.monitor.best, self.monitor.epoch, self.waited = state["best"], state["epoch"], state["waited"]
