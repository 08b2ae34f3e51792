"""What all schedulers share: the rates at the start, where the schedule stands, and how the rates are set."""
from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ...mode import recorder
from ...state import get, write
from ..optimizer import Optimizer
from ..schedule import Schedule
from .watch import Watch

__all__ = ["LRScheduler", "known", "per_group", "whole"]

NUMBERS = (int, float, np.integer, np.floating)


class LRScheduler:
    r"""The base of schedulers, and the scheduler of any schedule.

    .. math::
        \gamma_t = \gamma_0\, f(t)

    for each group of parameters, with its own :math:`\gamma_0`, which is kept in the group as ``"initial_lr"``. If
    something else has changed the rate of a group since the last step (another scheduler, `ReduceLROnPlateau`, the
    loop itself), that stays: the rate is multiplied by :math:`f(t) / f(t - 1)`. So schedulers can be used side by side,
    as in PyTorch. Those of one cycle, of many, with warm restarts, and `LambdaLR` set the rate whatever it was.

    A subclass passes its schedule to this constructor, or defines `get_lr`.

    Parameters
    ----------
    optimizer : Optimizer
    last_epoch : int
        The number of steps that were made before, less one: -1 to begin. To go on from a checkpoint, use
        `load_state_dict`.
    schedule : callable, or a list of one for each group
        ``(step, steps) -> factor``, such as those of `chainrule.optim.schedule`.
    steps : int
        The length of the run, for schedules that depend on it.

    Attributes
    ----------
    last_epoch : int
        How many steps have been made.
    base_lrs : list of float
        The rates at the start, :math:`\gamma_0`.

    Raises
    ------
    TypeError
        If `optimizer` is something else.

    Notes
    -----
    ``step()`` warns if it is called before the optimizer has made a step: the first rate would never be used.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> from chainrule.optim import lr_scheduler, schedule
    >>> w = cr.Tensor([4.0], requires_grad=True)
    >>> optimizer = optim.SGD([w], lr=0.1)
    >>> scheduler = lr_scheduler.LRScheduler(optimizer, schedule=schedule.warmup(2, then=schedule.cosine()), steps=5)
    >>> for _ in range(5):
    ...     print(round(optimizer.param_groups[0]["lr"], 4), end=" ")
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    ...     scheduler.step()
    0.0333 0.0667 0.1 0.075 0.025
    >>> scheduler.get_last_lr(), scheduler.last_epoch
    ([0.0], 5)
    """

    chains: ClassVar[bool] = True        #: what others have done to a rate stays

    schedules: list[Schedule] | None = None            # one for each group
    _previous: int | None = None                       # the step before; None where the rates are set anew
    _floors: list[float] | None = None                 # rates go from here, instead of 0 ...
    _tops: list[float] | None = None                   # ... to here, instead of the rates at the start

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1, *,
                 schedule: Schedule | Sequence[Schedule] | None = None, steps: int = 0) -> None:
        title = type(self).__name__
        self.optimizer, self.steps = known(title, optimizer), steps
        groups = optimizer.param_groups
        for group in groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", float(get(group, "lr")))
            elif "initial_lr" not in group:
                raise KeyError(f"{title}: last_epoch={last_epoch} goes on with a run, whose first rates the groups of "
                               "the optimizer hold as 'initial_lr'; load the optimizer's state_dict first, or leave "
                               "last_epoch out and use load_state_dict")
        if schedule is not None:
            self.schedules = list(schedule) if isinstance(schedule, Sequence) else [schedule] * len(groups)
            if len(self.schedules) != len(groups):
                raise ValueError(f"{title}: expected a function for each of {len(groups)} groups of parameters, got "
                                 f"{len(self.schedules)}")
            for each in self.schedules:
                if not callable(each):
                    raise TypeError(f"{title}: expected a function, got {each!r}")
        self.base_lrs = [float(group["initial_lr"]) for group in groups]
        self.last_epoch = last_epoch
        self._last_lr: list[float] = []
        self._watch = Watch.over(optimizer)
        self._stand(last_epoch + 1, previous=-1 if last_epoch == -1 else None)

    # ------------------------------------------------------------------ what a loop calls
    def step(self) -> None:
        """Move the rates on, after a step of the optimizer, or after an epoch of them."""
        self._ready()
        if self._step_count == 1 and not self._watch.stepped and not self._watch.told:
            self._watch.told = True
            warnings.warn(f"{type(self).__name__}.step() was called before optimizer.step(), so the first rate of the "
                          "schedule is never used; call optimizer.step() first", UserWarning, stacklevel=2)
        self._step_count += 1
        self._previous, self.last_epoch = self.last_epoch, self.last_epoch + 1
        self._write(self.get_lr())

    def get_last_lr(self) -> list[float]:
        """Return the rate of each group, as it was last set."""
        return self._last_lr

    def get_lr(self) -> list[float]:
        """Return the rate of each group at `last_epoch`. Subclasses may define it; loops call `get_last_lr`."""
        if self._previous is None or not self.chains:
            return self._rates(self.last_epoch)
        before, now = self._rates(self._previous), self._rates(self.last_epoch)
        floors = self._floors or [0.0] * len(now)
        rates = []
        for group, old, new, floor in zip(self.optimizer.param_groups, before, now, floors, strict=True):
            rate = float(get(group, "lr"))
            if rate == old or old == floor:            # from the floor no factor leads away: what differs stays
                rates.append(new + (rate - old))
            else:
                rates.append(floor + (rate - floor) * ((new - floor) / (old - floor)))
        return rates

    # ------------------------------------------------------------------ saving
    def state_dict(self) -> dict[str, Any]:
        """Return where the schedule stands.

        Returns
        -------
        dict
            Numbers and lists of them. Settings and functions are not in it: they come from the constructor.
        """
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs), "_step_count": self._step_count,
                "_last_lr": list(self._last_lr)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from where another scheduler stood, and set the rates of the optimizer to what they were.

        Parameters
        ----------
        state_dict : mapping
            What `state_dict` returned, here or in PyTorch. Settings in it are not taken over.

        Raises
        ------
        ValueError
            If it is the state of something else, or of another number of groups.
        """
        self._load(state_dict)
        self._resume()

    # ------------------------------------------------------------------ inside
    def _rates(self, step: int) -> list[float]:
        """Return the rates of a step as the formula has them; before the first step, all of them."""
        if self.schedules is None:
            raise NotImplementedError(f"{type(self).__name__} has neither a schedule nor a get_lr: pass schedule=, a "
                                      "function (step, steps) -> factor")
        tops = self._tops or self.base_lrs
        floors = self._floors or [0.0] * len(tops)
        factors = [1.0 if step < 0 else float(schedule(step, self.steps)) for schedule in self.schedules]
        return [floor + (top - floor) * factor for floor, top, factor in zip(floors, tops, factors, strict=True)]

    def _stand(self, step: int, previous: int | None = None) -> None:
        """Go to a step: from `previous`, so that what others have done stays, or whatever the rates are now."""
        self._ready()
        self._step_count, self._previous, self.last_epoch = 1, previous, step
        self._write(self.get_lr())

    def _write(self, rates: Sequence[float]) -> None:
        """Set the rates; they are cells, so that a recorded step sees them."""
        self._last_lr = [float(rate) for rate in rates]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            write(group, "lr", rate)

    def _ready(self) -> None:
        """Raise an error where a step would go wrong."""
        title, groups = type(self).__name__, self.optimizer.param_groups
        step = recorder()
        if step is not None:
            step.refuse(f"{title}.step() is inside a recorded step, which would repeat this one rate for ever; call it "
                        "after the recorded step")
        if len(groups) != len(self.base_lrs):
            raise ValueError(f"{title}: the optimizer has {len(groups)} groups of parameters now, and had "
                             f"{len(self.base_lrs)} when the scheduler was made; make the scheduler after the last "
                             "add_param_group")

    def _load(self, state: Mapping[str, Any]) -> None:
        if "last_epoch" not in state:
            raise ValueError(f"{type(self).__name__}: a saved state has 'last_epoch', this one has "
                             f"{', '.join(map(str, state)) or 'nothing'}; is it the state of something else?")
        for name in ("base_lrs", "_last_lr"):
            rates = [float(rate) for rate in state.get(name, getattr(self, name))]
            if len(rates) != len(self.optimizer.param_groups):
                raise ValueError(f"{type(self).__name__}: the saved state is of {len(rates)} groups of parameters, the "
                                 f"optimizer has {len(self.optimizer.param_groups)}")
            setattr(self, name, rates)
        self.last_epoch = int(state["last_epoch"])
        self._step_count = max(int(state.get("_step_count", 1)), self.last_epoch + 1)

    def _resume(self) -> None:
        """Set the rates to what they last were."""
        self._write(self._last_lr)

    def __repr__(self) -> str:
        shown = list(dict.fromkeys(map(repr, self.schedules or ())))
        return f"{type(self).__name__}({', '.join([*shown, f'last_epoch={self.last_epoch}', f'lr={self._last_lr}'])})"


def known(title: str, optimizer: Any) -> Optimizer:
    """Return an optimizer, or raise TypeError."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{title}: expected an optimizer, got {type(optimizer).__name__}")
    return optimizer


def whole(title: str, name: str, value: Any, least: int = 1) -> int:
    """Return a number of steps, or raise ValueError; 50.0 is 50."""
    if not isinstance(value, NUMBERS) or isinstance(value, bool) or value != value // 1 or value < least:
        raise ValueError(f"{title}: {name} is a whole number from {least} on, got {value!r}")
    return int(value)


def per_group(title: str, name: str, value: Any, optimizer: Optimizer, high: float | None = None) -> list[float]:
    """Return a number for each group from one for all of them, or raise ValueError."""
    count = len(known(title, optimizer).param_groups)
    values = list(value) if isinstance(value, list | tuple) else [value] * count
    if len(values) != count:
        raise ValueError(f"{title}: {name} has {len(values)} numbers, for {count} groups of parameters")
    for each in values:
        if not isinstance(each, NUMBERS) or not math.isfinite(each) or each < 0 or (high is not None and each > high):
            raise ValueError(f"{title}: {name} is a finite number from 0 " + ("on" if high is None else f"to {high:g}")
                             + f", got {each!r}")
    return [float(each) for each in values]
