"""All that a run needs to go on elsewhere, as arrays and plain values."""
from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import random
from ..data import ArrayDataset, Dataset
from ..state import write
from .run import Run

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["fingerprint", "restore", "snapshot"]

#: The common streams that a model, a loss or a data set of the user's own may draw from.
COMMON = ("init", "shuffle", "user")


def snapshot(trainer: Trainer, run: Run, rates: list[float]) -> dict[str, Any]:
    """Return the state of a trainer in the course of a run.

    Parameters
    ----------
    trainer : Trainer
    run : Run
    rates : list of float
        The learning rates of the optimizer as they were when the run began.
    """
    scheduler, average = trainer.schedule, trainer.average
    mid_epoch = run.step > 0
    return {
        "model": dict(trainer.model.state_dict()),
        "optimizer": trainer.optimizer.state_dict(),
        "rates": list(rates),
        "scheduler": scheduler.state_dict() if hasattr(scheduler, "load_state_dict") else None,
        "average": average.state_dict() if average is not None else None,
        "streams": {"order": (trainer.order.seed, run.position if mid_epoch else trainer.order.position),
                    "dropout": _place(random.dropout), "noise": _place(trainer.noise),
                    **{name: _place(getattr(random, name)) for name in COMMON}},
        "run": {name: getattr(run, name) for name in (
            "first", "epochs", "epoch", "step", "stopped", "sums", "samples", "seconds")},
        "history": [dict(row) for row in trainer.history.rows],
    }


def restore(trainer: Trainer, run: Run, state: dict[str, Any]) -> None:
    """Bring a trainer, and a run of it, into a state that `snapshot` gave."""
    scheduler, average = trainer.schedule, trainer.average
    for what, there, saved in (
            ("object that sets the rates", hasattr(scheduler, "load_state_dict"), state["scheduler"]),
            ("average of the weights", average is not None, state["average"])):
        if there != (saved is not None):
            raise ValueError(f"fit: the run in the checkpoint has {'no' if there else 'an'} {what}, this trainer "
                             f"has {'one' if there else 'none'}; make the trainer as it was made then")
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    if scheduler is not None and state["scheduler"] is not None:
        scheduler.load_state_dict(state["scheduler"])
    else:                                                # a function multiplies what the optimizer was given
        for group, rate in zip(trainer.optimizer.param_groups, state["rates"], strict=True):
            write(group, "lr", rate)
    if average is not None:
        average.load_state_dict(state["average"])
    streams = {"order": trainer.order, "dropout": trainer.dropout, "noise": trainer.noise,
               **{name: getattr(random, name) for name in COMMON}}
    for name, stream in streams.items():
        stream.seed, stream.position = state["streams"][name]
    for name, value in state["run"].items():
        setattr(run, name, value)
    trainer.history.rows[:] = state["history"]


def fingerprint(dataset: Dataset) -> int | None:
    """Return a checksum of the arrays of a data set (CRC-32), to tell another one by; None if it has none."""
    if not isinstance(dataset, ArrayDataset):
        return None
    sum = 0
    for array in dataset.arrays:
        sum = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data, sum)
    return sum


def _place(stream: random.Generator) -> tuple[int, int]:
    return stream.seed, stream.position
