"""The training loop: forward, loss, backward, update, for each batch of each epoch."""
from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import nn
from ..compiler import Compiled
from ..data import ArrayDataset, DataLoader, Dataset
from ..mode import no_grad
from ..optim import ExponentialMovingAverage, Optimizer
from ..random import Generator
from ..tensor import Tensor
from .callback import Callback
from .checkpoint import Checkpoints
from .checks import check_data, check_optimizer, check_training
from .display import Display
from .history import History
from .metrics import accuracy
from .rates import Rates
from .run import Run
from .saving import Saving
from .snapshot import restore
from .stepping import COMPILE, Stepping
from .surroundings import drawing_from, switched

__all__ = ["Augmentation", "Metric", "Trainer"]

#: ``(outputs, targets) -> number``, on the arrays of a batch or of a whole data set.
Metric = Callable[[NDArray[Any], NDArray[Any]], float]
#: ``(inputs, generator) -> inputs``: the inputs of a batch, changed at random as the generator's numbers say.
Augmentation = Callable[[NDArray[Any], Generator], NDArray[Any]]


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
    schedule : callable or object, optional
        What moves the learning rates: a function ``(step, steps) -> factor`` over the length of a `fit` (see
        `chainrule.optim.schedule`), or an object of `chainrule.optim.lr_scheduler`.
    schedule_per : {"step", "epoch"}, optional
        When it does; by default a function at each step and an object at each epoch. Per epoch, a function is given
        ``(epoch, epochs)``, counted from 0.
    monitor : str, optional
        The figure a schedule such as `ReduceLROnPlateau` goes by. By default ``"validation_loss"``, or
        ``"train_loss"`` without validation data.
    metrics : mapping of str to callable, optional
        Figures beside the loss, ``(outputs, targets) -> number`` on arrays: see `chainrule.training.metrics`. By
        default the accuracy if the loss is `CrossEntropyLoss`, else none.
    clip_norm, clip_value : float, optional
        Before each update, scale all gradients so that their norm together is at most the one, or bound each of their
        elements by the other.
    augment : callable, optional
        What is done to the inputs of each batch in training, ``(inputs, generator) -> inputs``: see
        `chainrule.data.Shift`.
    average : ExponentialMovingAverage, optional
        Of the model's parameters: brought up to date after each update, and what `evaluate` and `predict` use.
    compile : bool or "auto"
        Whether the steps are compiled (see `chainrule.compile`): recorded at first, and then run as one flat program,
        with the same results up to rounding. True raises if the model, the loss or the optimizer does something that
        a program cannot hold; "auto" warns then, once, and goes on eagerly. Callbacks, schedules and checkpoints are
        between the steps, and as without. Gradients are kept only where a callback of your own may look at them.

    Attributes
    ----------
    history : History
        The figures of all epochs so far.
    order, dropout, noise : Generator
        The streams of the orders, of dropout and of `augment`: they are its own.

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
                 schedule: Any = None, schedule_per: str | None = None, monitor: str | None = None,
                 metrics: Mapping[str, Metric] | None = None, clip_norm: float | None = None,
                 clip_value: float | None = None, augment: Augmentation | None = None,
                 average: ExponentialMovingAverage | None = None, compile: bool | str = COMPILE) -> None:
        if metrics is None:
            metrics = {}
            if isinstance(loss, nn.CrossEntropyLoss):
                metrics = {"accuracy": partial(accuracy, ignore_index=loss.ignore_index)}
        if "loss" in metrics:
            raise ValueError('Trainer: a metric needs another name than "loss", which is the loss\'s own')
        if schedule_per not in (None, "step", "epoch"):
            raise ValueError(f"Trainer: schedule_per is 'step' or 'epoch', got {schedule_per!r}")
        for name, bound in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if bound is not None and not bound > 0:
                raise ValueError(f"Trainer: {name} is a number above 0, got {bound}; None leaves gradients as they are")
        if compile not in (False, True, "auto"):
            raise ValueError(f"Trainer: compile is False, True or 'auto', got {compile!r}")
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.schedule, self.schedule_per, self.monitor = schedule, schedule_per, monitor
        self.metrics, self.clip_norm, self.clip_value, self.average = dict(metrics), clip_norm, clip_value, average
        self.augment, self.compile = augment, compile
        self._stepping = Stepping()
        self.order, self.dropout, self.noise = (Generator(seed, stream) for stream in (1, 2, 4))
        self.history = History()

    def fit(self, train: Dataset, validation: Dataset | None = None, *, epochs: int = 1, batch_size: int | None = None,
            accumulate: int = 1, drop_last: bool = False, callbacks: Sequence[Callback] | None = None,
            checkpoints: Checkpoints | str | os.PathLike[str] | None = None, resume: bool = False) -> History:
        """Train for some epochs.

        Parameters
        ----------
        train : Dataset
            Of pairs (input, target); shuffled anew for each epoch.
        validation : Dataset, optional
            Evaluated after each epoch. Nothing is decided by it, unless a callback does.
        epochs : int
        batch_size : int, optional
            Samples per batch; the last batch of an epoch may be smaller. 32 by default, or all if there are fewer.
        accumulate : int
            How many batches make a step: their gradients add up to that of one batch of so many times the size.
        drop_last : bool
            Leave out a last batch that is smaller.
        callbacks : sequence of Callback, optional
            By default one `Display`; ``()`` for silence.
        checkpoints : Checkpoints or path, optional
            Where the state of the run is saved: before the first step, after epochs, and within long ones.
        resume : bool
            Go on from the newest checkpoint, if there is one, to the very bytes that the run would have ended with if
            it had never been stopped. Everything else must be as it was: data, settings, and how the trainer was made.

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
            out of range, there is one class only, a batch is larger than the data, or the output of the model does not
            fit the loss. If `checkpoints` holds a run that is not to be resumed, or not this one.
        FloatingPointError
            If the loss stops being finite: before it is learned from, or, as a compiled step is done when its loss is
            seen, after that.
        RecordingError
            With `compile=True`, if a step cannot be compiled; a TypeError that names the line and the remedy.
        """
        for name, number in (("epochs", epochs), ("accumulate", accumulate)):
            if not isinstance(number, int | np.integer) or number < 1:
                raise ValueError(f"fit: {name} is a whole number from 1 on, got {number!r}")
        check_optimizer(self.optimizer, self.model)
        self._look_at("the training data", train)
        check_training(train, self.loss, batch_size)
        loader = DataLoader(train, min(32, len(train)) if batch_size is None else batch_size, shuffle=True,
                            drop_last=drop_last, generator=self.order)
        held_out = None
        if validation is not None:
            self._look_at("the validation data", validation)
            held_out = DataLoader(validation, loader.batch_size)
        run = Run(len(self.history) + 1, int(epochs), math.ceil(len(loader) / accumulate), self)
        listeners: list[Callback] = [Display()] if callbacks is None else list(callbacks)
        self._stepping.begin(loader.batch_size, int(accumulate), len(train),
                             keep_grads=not all(map(_is_ours, listeners)))
        saving = Saving(checkpoints, run, listeners, (loader, accumulate), train)
        state = saving.load(resume)
        if state is not None:
            restore(self, run, state)
        rates = Rates(self.schedule, self.schedule_per, self.monitor, self.optimizer, run)
        with drawing_from(self.dropout), switched(self.model, True), \
                np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            try:
                for listener in listeners:
                    listener.begin(run)
                saving.begin(rates, state)
                while run.epoch <= run.last and run.stopped is None:
                    row = self._epoch(run, loader, accumulate, held_out, rates, listeners, saving)
                    rates.after_epoch(row)
                    self.history.rows.append(row)
                    for listener in listeners:
                        listener.epoch(row)
                    run.next_epoch()
                    saving.after(epoch_is_over=True)
                for listener in listeners:
                    listener.finish()
            finally:
                rates.put_back()
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
        self._look_at("the data", dataset)
        return self._measure(DataLoader(dataset, batch_size))

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
        with self.evaluated():
            return np.concatenate([self._outputs(part) for part, in DataLoader(ArrayDataset(x), batch_size)])

    def evaluated(self) -> AbstractContextManager[Any]:
        """Return a context in which the model has the weights that `evaluate` uses: the average, if there is one.

        Examples
        --------
        >>> from chainrule import Trainer, nn, optim
        >>> model = nn.Linear(2, 1)
        >>> average = optim.ExponentialMovingAverage(model.parameters())
        >>> trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters()), average=average)
        >>> with trainer.evaluated():
        ...     weights = model.state_dict()             # what one saves
        """
        return self.average.applied() if self.average is not None else nullcontext()

    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Give the model weights, those of its best epoch say, of which it has its average too.

        Parameters
        ----------
        weights : mapping of str to array
            As `Layer.state_dict` returns them.
        """
        self.model.load_state_dict(weights)
        if self.average is not None:
            self.average.restart()

    @property
    def compiled(self) -> Compiled | None:
        """The step as it is compiled: ``print(trainer.compiled.program)`` lists what is run; None if it is not."""
        return self._stepping.compiled

    # ------------------------------------------------------------------ inside
    def _epoch(self, run: Run, loader: DataLoader, accumulate: int, held_out: DataLoader | None, rates: Rates,
               listeners: list[Callback], saving: Saving) -> dict[str, Any]:
        """Take the steps of one epoch that are left; give its row."""
        start = time.perf_counter() - run.seconds
        run.position = self.order.position
        if not run.sums:
            run.sums = dict.fromkeys(("loss", *self.metrics), 0.0)
        batches, rate = loader.batches(loader.order(), run.step * accumulate), rates.now
        for group in _groups(batches, accumulate):
            rates.before_step()
            rate = rates.now
            value = self._step(group, run, rate)
            run.step += 1
            rates.after_step()
            for listener in listeners:
                listener.step(value)
            run.seconds = time.perf_counter() - start
            if run.step < run.steps:
                saving.after(epoch_is_over=False)
        row = {"epoch": run.epoch, "lr": rate}
        row |= {f"train_{name}": total / run.samples for name, total in run.sums.items()}
        if held_out is not None:
            found = self._measure(held_out)
            _finite(found["loss"], f"on the validation data after epoch {run.epoch}", rate)
            row |= {f"validation_{name}": value for name, value in found.items()}
        row["seconds"] = round(time.perf_counter() - start, 6)
        return row

    def _step(self, group: list[tuple[NDArray[Any], ...]], run: Run, rate: float) -> float:
        """Take one step with one batch, or with several whose gradients add up; give its loss."""
        where = f"at step {run.step + 1} of epoch {run.epoch}"
        batches = [(x if self.augment is None else self.augment(x, self.noise), y) for x, y in group]

        def look(outputs: Tensor, loss: Tensor, targets: NDArray[Any], updated: bool = False) -> list[float]:
            """Return the loss and the metrics of a batch."""
            value = float(loss.item())
            _finite(value, where, rate, updated)
            return [value, *(metric(outputs.array, targets) for metric in self.metrics.values())]

        found = self._stepping(
            self.compile, batches, look, model=self.model, loss=self.loss, optimizer=self.optimizer,
            clip_norm=self.clip_norm, clip_value=self.clip_value, average=self.average)
        total, mean = sum(len(x) for x, _ in batches), 0.0
        for (x, _), figures in zip(batches, found, strict=True):
            mean += figures[0] * (len(x) / total)
            for name, figure in zip(("loss", *self.metrics), figures, strict=True):
                run.sums[name] += figure * len(x)
        run.samples += total
        return mean

    def _measure(self, loader: DataLoader) -> dict[str, float]:
        """Return the loss and the metrics on all that a loader gives."""
        with self.evaluated():
            batches = [(self._outputs(x), y) for x, y in loader]
        outputs, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        with no_grad():
            found = {"loss": float(self.loss(outputs, targets).item())}
        return found | {name: float(metric(outputs, targets)) for name, metric in self.metrics.items()}

    def _outputs(self, x: NDArray[Any]) -> NDArray[Any]:
        with switched(self.model, False), no_grad():
            return self.model(x).numpy()                 # type: ignore[no-any-return]

    def _look_at(self, what: str, dataset: Dataset) -> None:
        """Say what about a data set does not fit the model and the loss."""
        with switched(self.model, False):
            check_data(what, dataset, self.model, self.loss)


def _groups(batches: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while group := list(islice(batches, size)):
        yield group


def _finite(loss: float, where: str, rate: float, updated: bool = False) -> None:
    """Stop a run that has gone astray."""
    if not math.isfinite(loss):
        after = (". The step was compiled, so it was done when this was seen: weights and moments are those after it"
                 if updated else "")
        raise FloatingPointError(f"the loss became {loss} {where}. A smaller learning rate (it was {rate:.3g}) is the "
                                 "usual remedy; `with chainrule.detect_anomaly():` names the gate in which it began"
                                 f"{after}")


def _is_ours(listener: Callback) -> bool:
    """Tell whether a callback is of this package: none of these looks at gradients."""
    return type(listener).__module__.startswith(f"{__package__}.")
