"""Whole training steps of every sort, small, with all that stands around them: for tests of how they run."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.optim.references import OPTIMIZERS

import chainrule as cr
from chainrule import nn, optim
from chainrule.optim import lr_scheduler as lrs

__all__ = ["STEPS", "Training"]


class Training:
    """A classifier from one seed, its optimizer, and a loop's turn of one with the other.

    Parameters
    ----------
    make : callable
        The optimizer, of the parameters.
    compiled : bool
    middle : callable
        The layers between the two affine ones, of the width.
    inside : callable
        ``inside(training)``, in the step, between backward and update.
    last : callable
        The same, in the step, after the update.
    after : callable
        The same, outside the step, after each.
    accumulate : int
        How many batches a gradient is of.
    sizes : tuple of int
        Batch, inputs, width, classes.
    """

    def __init__(self, make: Callable[[Any], Any], compiled: bool, *,
                 middle: Callable[[int], list[Any]] = lambda n: [], inside: Any = lambda it: None,
                 last: Any = lambda it: None, after: Any = lambda it: None,
                 accumulate: int = 1, sizes: tuple[int, int, int, int] = (16, 6, 5, 3),
                 dtype: Any = np.float64) -> None:
        cr.random.seed(3)
        self.batch, self.inputs, width, self.classes = sizes
        self.dtype, self.after, self.accumulate, self.count = dtype, after, accumulate, 0
        self.model = nn.Sequential(nn.Linear(self.inputs, width), *middle(width), nn.Tanh(),
                                   nn.Linear(width, self.classes)).astype(dtype)
        self.optimizer = make(self.model.parameters())
        self.average = optim.ExponentialMovingAverage(self.model.named_parameters(), decay=0.9, warmup=True)
        self.scheduler = lrs.CosineAnnealingLR(self.optimizer, 60)
        model, optimizer, loss_of = self.model, self.optimizer, nn.CrossEntropyLoss()

        def forward(x: Any, y: Any) -> Any:
            loss = loss_of(model(x), y)
            loss.backward()
            return loss

        def step(x: Any, y: Any) -> Any:
            loss = forward(x, y)
            inside(self)
            optimizer.step()
            optimizer.zero_grad()
            last(self)
            return loss

        self.steps = [forward, step]
        if compiled:
            self.steps = [cr.compile(f) for f in self.steps]

    def data(self, t: int) -> tuple[Any, Any]:
        rng = np.random.default_rng(t)
        return (rng.normal(size=(self.batch, self.inputs)).astype(self.dtype),
                rng.integers(0, self.classes, size=self.batch))

    def turn(self, t: int) -> Any:
        """Do a step with the batch of a number."""
        self.count += 1
        loss = self.steps[self.count % self.accumulate == 0](*self.data(t))
        self.after(self)
        return loss

    def state(self) -> dict[str, Any]:
        """All that is left."""
        found = dict(self.model.state_dict())
        found |= {f"{name} of {i}": x for i, state in self.optimizer.state_dict()["state"].items()
                  for name, x in state.items()}
        found |= {f"average of {name}": x for name, x in self.average.state_dict()["averages"].items()}
        return found | {"updates": self.average.updates, "position": cr.random.dropout.position}


def sgd(params: Any) -> Any:
    return optim.SGD(params, lr=0.05, momentum=0.9)


#: Each makes a training, compiled or not; further options are those of `Training`.
STEPS: dict[str, Callable[..., Training]] = {
    **{name: lambda compiled, kind=kind, **o: Training(lambda params: kind(params, lr=0.01), compiled, **o)
       for name, kind in OPTIMIZERS.items()},
    "dropout": lambda compiled, **o: Training(sgd, compiled, middle=lambda n: [nn.Dropout(0.3)], **o),
    "batch norm": lambda compiled, **o: Training(sgd, compiled, middle=lambda n: [nn.BatchNorm1d(n)], **o),
    "clipping by norm": lambda compiled, **o: Training(
        sgd, compiled, inside=lambda it: optim.clip_grad_norm_(it.model.parameters(), 0.1), **o),
    "clipping by value": lambda compiled, **o: Training(
        sgd, compiled, inside=lambda it: optim.clip_grad_value_(it.model.parameters(), 0.01), **o),
    "schedule": lambda compiled, **o: Training(sgd, compiled, after=lambda it: it.scheduler.step(), **o),
    "average": lambda compiled, **o: Training(sgd, compiled, last=lambda it: it.average.update(), **o),
    "accumulation": lambda compiled, **o: Training(sgd, compiled, accumulate=3, **o),
}
