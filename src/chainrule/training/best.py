"""Keeping the weights of the best epoch."""
from __future__ import annotations

from typing import Any

import numpy as np

from .callback import Callback, Row
from .monitor import Monitor
from .run import Run

__all__ = ["KeepBest"]


class KeepBest(Callback):
    """Gives the model, at the end of a run, the weights of its best epoch.

    Parameters
    ----------
    monitor : str
        The figure of the history that tells which epoch is the best; the earliest of equal ones.
    mode : {"auto", "min", "max"}
        Whether less is better, or more; "auto" takes less for losses and errors, more for the rest.

    Attributes
    ----------
    best_epoch : int
        Its number; 0 before the first.

    Raises
    ------
    ValueError
        If `mode` is none of these; and at the end of the first epoch, if there is no such figure.

    Notes
    -----
    The optimizer's moments stay those of the last epoch. If the trainer keeps an average of the weights, the average is
    what was evaluated, and so what is kept. Data that choose an epoch are validation data: keep test data apart.

    Examples
    --------
    >>> from chainrule import Trainer, data, nn, optim
    >>> from chainrule.training import KeepBest
    >>> train, _ = data.digits()
    >>> train, validation = data.split(train, 0.2)
    >>> model = nn.Linear(64, 10)
    >>> trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.3))
    >>> best = KeepBest()
    >>> history = trainer.fit(train, validation, epochs=10, callbacks=[best])
    >>> trainer.evaluate(validation)["loss"] == min(history["validation_loss"])
    True
    """

    def __init__(self, monitor: str = "validation_loss", *, mode: str = "auto") -> None:
        self.monitor = Monitor(monitor, mode)
        self.weights: dict[str, Any] | None = None

    @property
    def best_epoch(self) -> int:
        """The number of the best epoch."""
        return self.monitor.epoch

    def begin(self, run: Run) -> None:
        """Begin with no epoch."""
        if run.trainer is None:
            raise ValueError("KeepBest: this run has no trainer, so there is no model to keep")
        self.trainer, self.weights = run.trainer, None
        self.monitor.best, self.monitor.epoch = None, 0

    def epoch(self, row: Row) -> None:
        """Copy the weights if they are better than any before."""
        if self.monitor.better(row):
            with self.trainer.evaluated():
                self.weights = {name: np.array(array) for name, array in self.trainer.model.state_dict().items()}

    def finish(self) -> None:
        """Give the model the weights of the best epoch."""
        if self.weights is not None:
            self.trainer.set_weights(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the best figure and the weights."""
        return {"best": self.monitor.best, "epoch": self.monitor.epoch, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them over."""
        self.monitor.best, self.monitor.epoch, self.weights = state["best"], state["epoch"], state["weights"]
