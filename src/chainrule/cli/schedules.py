"""The schedules that ``chainrule train`` knows by name, each over the length of a run."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..optim import Optimizer, schedule
from ..optim.lr_scheduler import ReduceLROnPlateau

__all__ = ["SCHEDULES", "make"]

#: What makes one: a function of the step, or of an optimizer whose rates it sets itself.
SCHEDULES: dict[str, Callable[[], schedule.Schedule] | None] = {
    "one-cycle": schedule.one_cycle,
    "cosine": schedule.cosine,
    "cosine-restarts": lambda: schedule.cosine_restarts(0.25),
    "cyclic": lambda: schedule.cyclic(0.1, step_size_up=0.125),
    "linear": schedule.linear,
    "polynomial": lambda: schedule.polynomial(2.0),
    "step": lambda: schedule.step(0.34),
    "multistep": lambda: schedule.multistep((0.5, 0.75)),
    "constant": schedule.constant,
    "plateau": None,
}


def make(name: str, warmup: float, optimizer: Optimizer) -> Any:
    """Return the schedule of a name, after a warm-up over a share of the run."""
    makes = SCHEDULES[name]
    if makes is None:
        return ReduceLROnPlateau(optimizer, factor=0.3, patience=2)
    return schedule.warmup(warmup, then=makes()) if warmup else makes()
