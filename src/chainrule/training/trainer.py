"""The training loop: forward, loss, backward, update, for each batch of each epoch."""
from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import nn
from ..data import ArrayDataset, DataLoader, Dataset
from ..mode import no_grad
from ..optim import Optimizer
from ..optim.schedule import Schedule
from ..random import Generator, dropout
from ..state import write
from .callback import Callback, Plan
from .checks import check_data, check_optimizer
from .display import Display
from .history import History
from .metrics import accuracy

__all__ = ["Metric", "Trainer"]

#: ``(outputs, targets) -> number``, on the arrays of a batch or of a whole data set.
Metric = Callable[[NDArray[Any], NDArray[Any]], float]


class Trainer:
    """Fits a model to data.

    Parameters
    ----------
    model : Layer
    loss : Layer or callable
        ``loss(outputs, targets)``, a tensor with one element, to be made small.
    optimizer : Optimizer
        Of the parameters of `model`.
    seed : int
        Of the orders in which the samples come and of dropout. The model's first weights are drawn before, when it is
        made: `chainrule.random.seed` sets those.
    schedule : callable, optional
        ``(step, steps) -> factor`` of the learning rates, over the length of a `fit`: see `chainrule.optim.schedule`.
    metrics : mapping of str to callable, optional
        Figures beside the loss, ``(outputs, targets) -> number`` on arrays. By default the accuracy if the loss is
        `CrossEntropyLoss`, else none.

    Attributes
    ----------
    history : History
        The figures of all epochs so far.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import Trainer, data, nn, optim
    >>> train, test = data.digits()
    >>> model = nn.Linear(64, 10)
    >>> trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.01))
    >>> history = trainer.fit(train, validation=test, epochs=3, callbacks=())
    >>> trainer.evaluate(test)["accuracy"] > 0.9
    True
    >>> trainer.predict(test.arrays[0]).shape
    (360, 10)
    """

    def __init__(self, model: nn.Layer, loss: Callable[..., Any], optimizer: Optimizer, *, seed: int = 0,
                 schedule: Schedule | None = None, metrics: Mapping[str, Metric] | None = None) -> None:
        if metrics is None:
            metrics = {}
            if isinstance(loss, nn.CrossEntropyLoss):
                metrics = {"accuracy": partial(accuracy, ignore_index=loss.ignore_index)}
        if "loss" in metrics:
            raise ValueError('Trainer: a metric needs another name than "loss", which is the loss\'s own')
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.schedule, self.metrics = schedule, dict(metrics)
        self.order, self.dropout = Generator(seed, stream=1), Generator(seed, stream=2)
        self.history = History()

    def fit(self, train: Dataset, validation: Dataset | None = None, *, epochs: int = 1, batch_size: int = 32,
            callbacks: Sequence[Callback] | None = None) -> History:
        """Train for some epochs.

        Parameters
        ----------
        train : Dataset
            Of pairs (input, target); shuffled anew for each epoch.
        validation : Dataset, optional
            Evaluated after each epoch. Nothing is decided by it.
        epochs : int
        batch_size : int
            Samples per step; the last batch of an epoch may be smaller.
        callbacks : sequence of Callback, optional
            By default one `Display`; ``()`` for silence.

        Returns
        -------
        History
            All epochs so far, those of earlier calls included. ``train_`` figures are means over the batches of the
            epoch, each taken before its update and with dropout on; ``validation_`` figures are what `evaluate` gives
            at its end.

        Raises
        ------
        ValueError, TypeError
            Before the first step: if a data set is empty or does not hold pairs, if a number is not finite, a label is
            out of range, or the output of the model does not fit the loss.
        FloatingPointError
            If the loss stops being finite.
        """
        if not isinstance(epochs, int | np.integer) or epochs < 1:
            raise ValueError(f"fit: epochs is a whole number from 1 on, got {epochs!r}")
        check_optimizer(self.optimizer, self.model)
        loader = self._looked_at("the training data", train, batch_size, shuffle=True)
        held_out = None
        if validation is not None:
            held_out = self._looked_at("the validation data", validation, batch_size)
        plan = Plan(len(self.history) + 1, int(epochs), len(loader))
        listeners: list[Callback] = [Display()] if callbacks is None else list(callbacks)
        with self._learning_rates(plan) as next_rate, _drawing_from(self.dropout), \
                _switched(self.model, True), np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            try:
                for listener in listeners:
                    listener.begin(plan)
                for epoch in range(plan.first, plan.last + 1):
                    start = time.perf_counter()
                    row = {"epoch": epoch, **self._epoch(loader, epoch, next_rate, listeners)}
                    if held_out is not None:
                        found = self._measure(held_out)
                        _finite(found["loss"], f"on the validation data after epoch {epoch}", row["lr"])
                        row |= {f"validation_{name}": value for name, value in found.items()}
                    row["seconds"] = round(time.perf_counter() - start, 6)
                    self.history.rows.append(row)
                    for listener in listeners:
                        listener.epoch(row)
            finally:
                for listener in listeners:
                    listener.end()
        return self.history

    def evaluate(self, dataset: Dataset, *, batch_size: int = 1024) -> dict[str, float]:
        """Return the loss and the metrics on a data set, with dropout off.

        Parameters
        ----------
        dataset : Dataset
            Of pairs (input, target).
        batch_size : int
            How many samples run through the model at once. Loss and metrics are of all of them together.

        Returns
        -------
        dict of str to float
            ``"loss"`` and the metrics by name.
        """
        return self._measure(self._looked_at("the data", dataset, batch_size))

    def predict(self, x: ArrayLike, *, batch_size: int = 1024) -> NDArray[Any]:
        """Return what the model makes of inputs, with dropout off.

        Parameters
        ----------
        x : array_like, shape (samples, ...)
        batch_size : int
            How many samples run through the model at once.

        Returns
        -------
        array, shape (samples, ...)
        """
        return np.concatenate([self._outputs(part) for part, in DataLoader(ArrayDataset(x), batch_size)])

    # ------------------------------------------------------------------ inside
    def _epoch(self, loader: DataLoader, epoch: int, next_rate: Callable[[], float],
               listeners: list[Callback]) -> dict[str, float]:
        """Take the steps of one epoch; give its learning rate and its mean loss and metrics."""
        sums, samples, rate = dict.fromkeys(("loss", *self.metrics), 0.0), 0, 0.0
        for step, (x, y) in enumerate(loader, 1):
            rate = next_rate()
            outputs = self.model(x)
            loss = self.loss(outputs, y)
            value = float(loss.item())
            _finite(value, f"at step {step} of epoch {epoch}", rate)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            sums["loss"] += value * len(x)
            for name, metric in self.metrics.items():
                sums[name] += metric(outputs.array, y) * len(x)
            samples += len(x)
            for listener in listeners:
                listener.step(value)
        return {"lr": rate} | {f"train_{name}": total / samples for name, total in sums.items()}

    def _measure(self, loader: DataLoader) -> dict[str, float]:
        """Return the loss and the metrics on all that a loader gives."""
        batches = [(self._outputs(x), y) for x, y in loader]
        outputs, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        with no_grad():
            found = {"loss": float(self.loss(outputs, targets).item())}
        return found | {name: float(metric(outputs, targets)) for name, metric in self.metrics.items()}

    def _outputs(self, x: NDArray[Any]) -> NDArray[Any]:
        with _switched(self.model, False), no_grad():
            return self.model(x).numpy()                 # type: ignore[no-any-return]

    def _looked_at(self, what: str, dataset: Dataset, batch_size: int, shuffle: bool = False) -> DataLoader:
        """Return a loader for a data set that fits the model and the loss, or say what does not."""
        with _switched(self.model, False):
            check_data(what, dataset, self.model, self.loss)
        return DataLoader(dataset, batch_size, shuffle, generator=self.order)

    @contextmanager
    def _learning_rates(self, plan: Plan) -> Iterator[Callable[[], float]]:
        """Give a function that sets the learning rates of the next step; at the end they are what they were."""
        groups = self.optimizer.param_groups
        rates = [group["lr"] for group in groups]
        steps, step = plan.epochs * plan.steps, iter(range(plan.epochs * plan.steps))

        def next_rate() -> float:
            if self.schedule is not None:
                factor = self.schedule(next(step), steps)
                for group, rate in zip(groups, rates, strict=True):
                    write(group, "lr", rate * factor)
            return float(groups[0]["lr"])

        try:
            yield next_rate
        finally:
            for group, rate in zip(groups, rates, strict=True) if self.schedule is not None else ():
                write(group, "lr", rate)


def _finite(loss: float, where: str, rate: float) -> None:
    """Stop a run that has gone astray."""
    if not math.isfinite(loss):
        raise FloatingPointError(f"the loss became {loss} {where}. A smaller learning rate (it was {rate:.3g}) is the "
                                 "usual remedy; `with chainrule.detect_anomaly():` names the gate in which it began")


@contextmanager
def _switched(model: nn.Layer, training: bool) -> Iterator[None]:
    """Switch a model to training or evaluation; each of its layers is put back as it was."""
    before = [(layer, layer.training) for layer in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for layer, was in before:
            layer.training = was


@contextmanager
def _drawing_from(stream: Generator) -> Iterator[None]:
    """Let dropout draw from a trainer's own stream, so that nothing else moves it, nor is moved by it."""
    outer = dropout.seed, dropout.position
    dropout.seed, dropout.position = stream.seed, stream.position
    try:
        yield
    finally:
        stream.seed, stream.position = dropout.seed, dropout.position
        dropout.seed, dropout.position = outer
