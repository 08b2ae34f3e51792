"""Schedules made of others: one after the other, multiplied, or a function of the step."""
# ruff: noqa: N801 - a schedule is used as a function
from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from .curve import Curve, Schedule, rest

__all__ = ["chained", "function", "sequential"]


@dataclass(frozen=True, repr=False)
class function(Curve):
    """What a function of the step alone says.

    A function ``(step, steps) -> factor`` is a schedule already, and needs no such wrapping.

    Parameters
    ----------
    fn : callable
        ``step -> factor``.

    Notes
    -----
    Source: PyTorch's LambdaLR.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.function(lambda step: 1 / (1 + step))
    >>> [lr(step, 4) for step in range(4)]
    [1.0, 0.5, 0.3333333333333333, 0.25]
    """

    fn: Callable[[int], float]

    def check(self) -> None:
        """Raise TypeError if it is no function."""
        if not callable(self.fn):
            raise TypeError(f"function: expected a function of the step, got {self.fn!r}")

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        return float(self.fn(step))


@dataclass(frozen=True, repr=False)
class sequential(Curve):
    """One schedule after the other.

    Parameters
    ----------
    parts : sequence of callable
        The schedules. For each of them its part of the run is all there is: its steps begin at 0, its shares are
        shares of that part.
    milestones : sequence of int or float
        The steps at which one gives way to the next, in steps or as shares of the run: one less than there are parts,
        in rising order.

    Notes
    -----
    Source: PyTorch's SequentialLR.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.sequential([schedule.linear(0.5, 1), schedule.constant(), schedule.linear()], [0.25, 0.5])
    >>> [lr(step, 8) for step in range(9)]
    [0.5, 0.75, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    parts: tuple[Schedule, ...]
    milestones: tuple[float, ...]

    def check(self) -> None:
        """Raise ValueError or TypeError if there are not as many parts as the milestones make."""
        _check_parts(self)
        if not isinstance(self.milestones, tuple) or len(self.milestones) != len(self.parts) - 1:
            raise ValueError(f"sequential: {len(self.parts)} schedules have {len(self.parts) - 1} milestones between "
                             f"them, got {self.milestones!r}")
        self.check_count("milestones", least=0)

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        starts = [0, *[self.count(milestone, steps) for milestone in self.milestones]]
        if starts != sorted(starts):
            raise ValueError(f"sequential: the milestones {self.milestones} are the steps {starts[1:]} of {steps}, "
                             "which do not rise")
        i = bisect_right(starts, step) - 1
        length = starts[i + 1] - starts[i] if i + 1 < len(starts) else rest(starts[i], steps)
        return float(self.parts[i](step - starts[i], length))


@dataclass(frozen=True, repr=False)
class chained(Curve):
    """The product of several schedules, each over the whole run.

    Parameters
    ----------
    parts : sequence of callable

    Notes
    -----
    Source: PyTorch's ChainedScheduler.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.chained([schedule.constant(0.5, 2), schedule.exponential(0.5)])
    >>> [lr(step, 4) for step in range(4)]
    [0.5, 0.25, 0.25, 0.125]
    """

    parts: tuple[Schedule, ...]

    def check(self) -> None:
        """Raise ValueError or TypeError if there are no schedules."""
        _check_parts(self)

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        return float(math.prod(part(step, steps) for part in self.parts))


def _check_parts(curve: sequential | chained) -> None:
    if not isinstance(curve.parts, tuple) or not curve.parts:
        raise ValueError(f"{type(curve).__name__}: expected a list of schedules, got {curve.parts!r}")
    curve.check_schedule("parts")
