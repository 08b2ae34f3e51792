"""The schedules that ``chainrule train`` knows by name, over the length of a run."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..optim import Optimizer
from ..optim import schedule as of

__all__ = ["SCHEDULES"]

#: What makes one, for an optimizer.
SCHEDULES: dict[str, Callable[[Optimizer], Any]] = {
    "one-cycle": lambda _: of.one_cycle(),
    "cosine": lambda _: of.cosine(),
    "constant": lambda _: of.constant(),
}
