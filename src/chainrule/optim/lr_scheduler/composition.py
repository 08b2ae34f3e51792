"""Schedulers made of others."""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from ...state import get
from ..optimizer import Optimizer
from .base import LRScheduler, whole
from .plateau import ReduceLROnPlateau

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Composed(LRScheduler):
    """Schedulers of one optimizer."""

    def __init__(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler]) -> None:
        title = type(self).__name__
        if not schedulers:
            raise ValueError(f"{title}: expected at least one scheduler, got none")
        for i, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"{title}: expected schedulers, got {type(scheduler).__name__} at index {i}"
                                + ("; join schedules by those of chainrule.optim.schedule" * callable(scheduler)))
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"{title}: the one at index {i} is a ReduceLROnPlateau, whose step needs a metric; "
                                 "call its step(metric) beside this one's")
            if scheduler.optimizer is not (optimizer or schedulers[0].optimizer):
                raise ValueError(f"{title}: the scheduler at index {i} belongs to another optimizer")
        self._schedulers = list(schedulers)
        self.optimizer, self.last_epoch = schedulers[0].optimizer, 0
        self.base_lrs, self._step_count = list(schedulers[0].base_lrs), 1

    def _noted(self) -> None:
        """Note the rates that the schedulers have set."""
        self._last_lr = [float(get(group, "lr")) for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float]:
        """Return the rate of each group."""
        return self.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Return where the schedule stands, and the states of its parts."""
        return {**super().state_dict(), "_schedulers": [part.state_dict() for part in self._schedulers]}

    def _load(self, state: Mapping[str, Any]) -> None:
        saved = state.get("_schedulers", ())
        if len(saved) != len(self._schedulers):
            raise ValueError(f"{type(self).__name__}: the saved state is of {len(saved)} schedulers, this is one of "
                             f"{len(self._schedulers)}")
        for part, values in zip(self._schedulers, saved, strict=True):
            part._load(values)
        super()._load({"last_epoch": self._schedulers[0].last_epoch, **state})

    def __repr__(self) -> str:
        return f"{type(self).__name__}([{', '.join(map(repr, self._schedulers))}], last_epoch={self.last_epoch})"


class SequentialLR(_Composed):
    """One scheduler after the other.

    Parameters
    ----------
    optimizer : Optimizer
    schedulers : list of LRScheduler
        Each begins at its own step 0, with the rates at the start.
    milestones : list of int
        The steps at which one gives way to the next: one less than there are schedulers, in rising order.
    last_epoch : int
        See `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        If a scheduler is none, belongs to another optimizer, or needs a metric; if the milestones do not fit.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> from chainrule.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> warm, cool = LinearLR(optimizer, 0.25, total_iters=3), CosineAnnealingLR(optimizer, T_max=4)
    >>> scheduler = SequentialLR(optimizer, [warm, cool], milestones=[3])
    >>> for _ in range(7):
    ...     print(round(scheduler.get_last_lr()[0], 3), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    0.25 0.5 0.75 1.0 0.854 0.5 0.146
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int],
                 last_epoch: int = -1) -> None:
        super().__init__(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: {len(schedulers)} schedulers have {len(schedulers) - 1} milestones "
                             f"between them, got {milestones!r}")
        self._milestones = [whole("SequentialLR", "a milestone", milestone, 0) for milestone in milestones]
        if self._milestones != sorted(self._milestones):
            raise ValueError(f"SequentialLR: the milestones do not rise: {milestones!r}")
        self._stand(last_epoch + 1)

    def step(self) -> None:
        """Move the rates on, after a step of the optimizer, or after an epoch of them."""
        before = self._part(self.last_epoch)
        self.last_epoch += 1
        self._step_count += 1
        part, step = self._part(self.last_epoch)
        if part is before[0]:
            part.step()
        else:
            part._stand(step)
        self._noted()

    def _part(self, step: int) -> tuple[LRScheduler, int]:
        """Return which scheduler a step belongs to, and which of its own steps that is."""
        i = bisect_right(self._milestones, step)
        return self._schedulers[i], step - (self._milestones[i - 1] if i else 0)

    def _stand(self, step: int, previous: int | None = None) -> None:
        part, own = self._part(step)
        part._stand(own, previous)
        self.last_epoch = step
        self._noted()

    def _resume(self) -> None:
        self._part(self.last_epoch)[0]._resume()
        super()._resume()


class ChainedScheduler(_Composed):
    """Several schedulers at once; their factors are multiplied.

    Parameters
    ----------
    schedulers : sequence of LRScheduler
        `LambdaLR` and those that cycle or restart set the rates whatever they were, so they stand first.
    optimizer : Optimizer, optional
        That of the schedulers.

    Raises
    ------
    TypeError, ValueError
        If a scheduler is none, belongs to another optimizer, or needs a metric.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> from chainrule.optim.lr_scheduler import ChainedScheduler, ConstantLR, ExponentialLR
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = ChainedScheduler([ConstantLR(optimizer, 0.5, total_iters=2), ExponentialLR(optimizer, 0.5)])
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    [0.5] [0.25] [0.25] [0.125]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        super().__init__(optimizer, schedulers)
        self.last_epoch = schedulers[0].last_epoch
        self._noted()

    def step(self) -> None:
        """Move the rates on, after a step of the optimizer, or after an epoch of them."""
        self.last_epoch += 1
        self._step_count += 1
        for part in self._schedulers:
            part.step()
        self._noted()

    def _stand(self, step: int, previous: int | None = None) -> None:
        for i, part in enumerate(self._schedulers):
            part._stand(step, -1 if i else previous)
        self.last_epoch = step
        self._noted()

    def _resume(self) -> None:
        for part in self._schedulers:
            part._resume()
        super()._resume()
