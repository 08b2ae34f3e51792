"""One call of `Trainer.fit`: how long it is, how far it is, and what it needs to go on elsewhere."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["Run"]


@dataclass
class Run:
    """A training run while it goes on: what callbacks are given at its beginning.

    Examples
    --------
    >>> from chainrule.training.run import Run
    >>> run = Run(first=1, epochs=10, steps=100)
    >>> run.epoch, run.step = 3, 20
    >>> run.last, run.done, run.total
    (10, 220, 1000)
    """

    first: int                           #: the number of its first epoch
    epochs: int                          #: how many epochs it has
    steps: int                           #: how many steps, that is updates, there are in an epoch
    trainer: Trainer | None = None       #: whose run it is
    epoch: int = 0                       #: the number of the epoch that is going on
    step: int = 0                        #: how many of its steps are done
    stopped: str | None = None           #: why it ends before its last epoch, if it does
    #: Sums over the samples of the epoch so far: of the loss, of each metric, and how many samples there were.
    sums: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    seconds: float = 0.0                 #: that the epoch took so far
    position: int = 0                    #: where the stream of orders stood when the epoch began

    def __post_init__(self) -> None:
        self.epoch = self.epoch or self.first

    @property
    def last(self) -> int:
        """The number of its last epoch."""
        return self.first + self.epochs - 1

    @property
    def done(self) -> int:
        """How many steps are done in all."""
        return (self.epoch - self.first) * self.steps + self.step

    @property
    def total(self) -> int:
        """How many steps it has in all."""
        return self.epochs * self.steps

    def stop(self, why: str) -> None:
        """End the run after the epoch that is going on."""
        self.stopped = why

    def next_epoch(self) -> None:
        """Begin to count anew."""
        self.epoch += 1
        self.step, self.sums, self.samples, self.seconds = 0, {}, 0, 0.0
