"""Straight lines: constant rates, linear ones, and the warm-up with which many runs begin."""
# ruff: noqa: N801 - a schedule is used as a function
from __future__ import annotations

from dataclasses import dataclass

from .curve import Curve, Schedule, glide, rest

__all__ = ["constant", "linear", "warmup"]


@dataclass(frozen=True, repr=False)
class constant(Curve):
    r"""One factor: :math:`c` for the first :math:`T` steps, and 1 from then on.

    Parameters
    ----------
    factor : float
        :math:`c \ge 0`.
    total_iters : int or float, optional
        :math:`T`, in steps or as a share of the run; by default for good.

    Notes
    -----
    Source: PyTorch's ConstantLR.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> schedule.constant()(7, 10)
    1.0
    >>> lr = schedule.constant(0.1, 2)
    >>> [lr(step, 4) for step in range(4)]
    [0.1, 0.1, 1.0, 1.0]
    """

    factor: float = 1.0
    total_iters: float | None = None

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        self.check_number("factor")
        self.check_count("total_iters", least=0)

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        lasts = self.total_iters is None or step < self.count(self.total_iters, steps)
        return float(self.factor) if lasts else 1.0


@dataclass(frozen=True, repr=False)
class linear(Curve):
    r"""Along a straight line: :math:`a + (b - a) \min(t / T, 1)` at step t.

    Parameters
    ----------
    start_factor, end_factor : float
        :math:`a` and :math:`b`, at least 0; by default all of the learning rate, and nothing.
    total_iters : int or float, optional
        :math:`T`, in steps or as a share of the run; by default the whole run.

    Notes
    -----
    Source: PyTorch's LinearLR, whose defaults are those of a warm-up: see `warmup`.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.linear()
    >>> [lr(step, 4) for step in range(5)]
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """

    start_factor: float = 1.0
    end_factor: float = 0.0
    total_iters: float | None = None

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        self.check_number("start_factor", "end_factor")
        self.check_count("total_iters", least=0)

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        total = self.count(self.total_iters, steps)
        return float(glide(self.start_factor, self.end_factor, step / total if total else 1.0, "linear"))


@dataclass(frozen=True, repr=False)
class warmup(Curve):
    r"""Begin with small steps: :math:`a + (1 - a)\, t / T` at step t < T, and from then on another schedule.

    Parameters
    ----------
    steps : int or float
        :math:`T`, in steps or as a share of the run; 0 for no warm-up.
    start_factor : float
        :math:`a \ge 0`, what the learning rate begins with.
    then : callable, optional
        The schedule of the remaining steps, which begin at 0 for it and are all that it knows of the run; by default
        the learning rate stays whole.

    Notes
    -----
    Sources: P. Goyal et al., Accurate, Large Minibatch SGD, 2017, section 2.2 (gradual warm-up); PyTorch's LinearLR.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.warmup(3, start_factor=0.25, then=schedule.cosine())
    >>> [round(lr(step, 8), 3) for step in range(9)]
    [0.25, 0.5, 0.75, 1.0, 0.905, 0.655, 0.345, 0.095, 0.0]
    """

    steps: float
    start_factor: float = 1 / 3
    then: Schedule | None = None

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        self.check_count("steps", least=0)
        self.check_number("start_factor")
        if self.then is not None:
            self.check_schedule("then")

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        total = self.count(self.steps, steps)
        if step < total:
            return glide(self.start_factor, 1.0, step / total, "linear")
        return 1.0 if self.then is None else float(self.then(step - total, rest(total, steps)))
