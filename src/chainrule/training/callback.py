"""What a run tells whoever listens."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Callback", "Plan"]

#: The figures of one epoch: ``"epoch"``, ``"train_loss"``, ``"validation_accuracy"`` and so on.
Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What a run is going to be."""

    first: int           #: the number of its first epoch
    epochs: int          #: how many epochs it has
    steps: int           #: how many steps there are in an epoch

    @property
    def last(self) -> int:
        """The number of its last epoch."""
        return self.first + self.epochs - 1


class Callback:
    """Is told how `Trainer.fit` goes on. Every method may be left as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Trainer, data, nn, optim, training
    >>> class Losses(training.Callback):
    ...     def epoch(self, row):
    ...         print(row["epoch"], round(row["train_loss"], 2))
    >>> x = np.linspace(0, 1, 8, dtype=np.float32)[:, None]
    >>> model = nn.Linear(1, 1)
    >>> _ = model.load_state_dict({"weight": [[0.0]], "bias": [0.0]})
    >>> trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1))
    >>> history = trainer.fit(data.ArrayDataset(x, 2 * x), epochs=2, batch_size=8, callbacks=[Losses()])
    1 1.43
    2 0.9
    """

    def begin(self, plan: Plan) -> None:
        """The data have been looked at, and the first step comes next."""

    def step(self, loss: float) -> None:
        """A step has been taken; `loss` is that of its batch, before the update."""

    def epoch(self, row: Row) -> None:
        """An epoch is over; `row` is its row in the history."""

    def end(self) -> None:
        """The run is over: at its end, after an error, or after Ctrl-C."""
