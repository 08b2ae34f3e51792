"""What moves the learning rates in the course of a run."""
from __future__ import annotations

from typing import Any

from ..optim import Optimizer
from ..state import write
from .callback import Row
from .run import Run

__all__ = ["Rates"]


class Rates:
    """Sets the learning rates of an optimizer, step by step or epoch by epoch.

    Parameters
    ----------
    schedule : callable, object or None
        A function ``(step, steps) -> factor`` of the learning rates that the optimizer was given; or an object of
        `chainrule.optim.lr_scheduler`, which sets them itself.
    per : {"step", "epoch"} or None
        When; None stands for each step with a function, and for each epoch with an object.
    monitor : str or None
        The figure that is handed to an object such as `ReduceLROnPlateau`, which goes by one.
    optimizer : Optimizer
    run : Run
    """

    def __init__(self, schedule: Any, per: str | None, monitor: str | None, optimizer: Optimizer, run: Run) -> None:
        self.groups, self.run, self.monitor = optimizer.param_groups, run, monitor
        self.scheduler = schedule if hasattr(schedule, "load_state_dict") else None
        self.function = schedule if self.scheduler is None else None
        self.per = per or ("step" if self.scheduler is None else "epoch")
        self.base = [group["lr"] for group in self.groups]

    @property
    def now(self) -> float:
        """The learning rate of the first group."""
        return float(self.groups[0]["lr"])

    def before_step(self) -> None:
        """Set what the next step takes, if a function says it."""
        run = self.run
        if self.function is not None:
            factor = (self.function(run.done, run.total) if self.per == "step"
                      else self.function(run.epoch - run.first, run.epochs))
            self._set([rate * factor for rate in self.base])

    def after_step(self) -> None:
        """Let an object go on by a step."""
        if self.scheduler is not None and self.per == "step":
            self.scheduler.step()

    def after_epoch(self, row: Row) -> None:
        """Let an object go on by an epoch."""
        if self.scheduler is None or self.per == "step":
            return
        if not watches(self.scheduler):
            self.scheduler.step()
            return
        name = self.monitor or ("validation_loss" if "validation_loss" in row else "train_loss")
        if name not in row:
            raise ValueError(f"Trainer: there is no figure {name!r} for the schedule to go by; there are "
                             f"{', '.join(row)}")
        self.scheduler.step(row[name])

    def put_back(self) -> None:
        """At the end, give the optimizer the rates that it had, if a function multiplied them."""
        if self.function is not None:
            self._set(self.base)

    def _set(self, rates: list[float]) -> None:
        for group, rate in zip(self.groups, rates, strict=True):
            write(group, "lr", rate)


def watches(scheduler: Any) -> bool:
    """Tell whether a scheduler goes by a figure."""
    from ..optim.lr_scheduler import ReduceLROnPlateau
    return isinstance(scheduler, ReduceLROnPlateau)
