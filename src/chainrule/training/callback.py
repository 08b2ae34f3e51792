"""What a run tells whoever listens."""
from __future__ import annotations

from typing import Any

from .run import Run

__all__ = ["Callback", "Row"]

#: The figures of one epoch: ``"epoch"``, ``"train_loss"``, ``"validation_accuracy"`` and so on.
Row = dict[str, Any]


class Callback:
    """Is told how `Trainer.fit` goes on. Every method may be left as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Trainer, data, nn, optim, training
    >>> class Losses(training.Callback):
    ...     def begin(self, run):
    ...         self.run = run
    ...     def epoch(self, row):
    ...         print(row["epoch"], round(row["train_loss"], 2))
    ...         if row["train_loss"] < 1:
    ...             self.run.stop("it is good enough")
    >>> x = np.linspace(0, 1, 8, dtype=np.float32)[:, None]
    >>> model = nn.Linear(1, 1)
    >>> _ = model.load_state_dict({"weight": [[0.0]], "bias": [0.0]})
    >>> trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1))
    >>> history = trainer.fit(data.ArrayDataset(x, 2 * x), epochs=9, batch_size=8, callbacks=[Losses()])
    1 1.43
    2 0.9
    """

    def begin(self, run: Run) -> None:
        """The data have been looked at, and the first step comes next. ``run.stop(why)`` will end it early."""

    def step(self, loss: float) -> None:
        """A step has been taken; `loss` is that of its batch, before the update."""

    def epoch(self, row: Row) -> None:
        """An epoch is over; `row` is its row in the history."""

    def finish(self) -> None:
        """The run has come to its end: no error, no Ctrl-C. The model may be given the weights it shall have."""

    def end(self) -> None:
        """The run is over: at its end, after an error, or after Ctrl-C."""

    def state_dict(self) -> dict[str, Any]:
        """Return what goes into a checkpoint: arrays, numbers, text, None, and dicts, lists and tuples of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; called after `begin` when a run goes on from a checkpoint."""
