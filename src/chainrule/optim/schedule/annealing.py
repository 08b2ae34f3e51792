"""Down along a cosine, once or again and again."""
# ruff: noqa: N801 - a schedule is used as a function
from __future__ import annotations

import math
from dataclasses import dataclass

from .curve import Curve, glide

__all__ = ["cosine", "cosine_restarts"]


@dataclass(frozen=True, repr=False)
class cosine(Curve):
    r"""Go down along half a cosine: :math:`e + (1 - e)\,(1 + \cos \pi t / T)/2` at step t.

    Parameters
    ----------
    end : float
        :math:`e`, what is left of the learning rate at the end, from 0 to 1.
    T_max : int or float, optional
        :math:`T`, in steps or as a share of the run; by default the whole run. After it the cosine goes up again, as in
        PyTorch; for a rate that stays down, see the example.

    Notes
    -----
    Source: I. Loshchilov and F. Hutter, SGDR, 2017, eq. 5, without restarts. The same as PyTorch's CosineAnnealingLR,
    whose `eta_min` is a learning rate, not a share of it.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.cosine()
    >>> [round(lr(step, 4), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    >>> lr = schedule.sequential([schedule.cosine(0.1), schedule.constant(0.1)], milestones=[2])
    >>> [round(lr(step, 4), 3) for step in range(4)]
    [1.0, 0.55, 0.1, 0.1]
    """

    end: float = 0.0
    T_max: float | None = None

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        self.check_number("end", high=1)
        self.check_count("T_max")

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        total = self.count(self.T_max, steps)
        if self.T_max is None:
            return glide(1.0, self.end, step / total)
        return self.end + (1.0 - self.end) * (1 + math.cos(math.pi * step / total)) / 2


@dataclass(frozen=True, repr=False)
class cosine_restarts(Curve):
    r"""Cosines one after the other: :math:`e + (1 - e)\,(1 + \cos \pi t_i / T_i)/2`, :math:`t_i` steps into the i-th.

    Each begins with the whole learning rate. The first takes :math:`T_0` steps, each other :math:`m` times as many as
    the one before it.

    Parameters
    ----------
    T_0 : int or float
        In steps or as a share of the run.
    T_mult : int
        :math:`m`, from 1 on.
    end : float
        :math:`e`, what is left of the learning rate before a restart, from 0 to 1.

    Notes
    -----
    Source: I. Loshchilov and F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017, eq. 5. The same as
    PyTorch's CosineAnnealingWarmRestarts, whose `eta_min` is a learning rate, not a share of it.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.cosine_restarts(2, T_mult=2)
    >>> [round(lr(step, 7), 3) for step in range(7)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    T_0: float
    T_mult: int = 1
    end: float = 0.0

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        self.check_count("T_0")
        if not isinstance(self.T_mult, int) or isinstance(self.T_mult, bool) or self.T_mult < 1:
            raise ValueError(f"cosine_restarts: T_mult is a whole number from 1 on, got {self.T_mult!r}")
        self.check_number("end", high=1)

    def __call__(self, step: float, steps: int) -> float:
        """Return the factor of the learning rates at a step, which may lie between two."""
        period = self.count(self.T_0, steps)
        if self.T_mult == 1:
            step %= period
        while step >= period:
            step, period = step - period, period * self.T_mult
        return glide(1.0, self.end, step / period)
