"""Down in jumps or by powers."""
from __future__ import annotations

from collections.abc import Iterable

from .. import schedule
from ..optimizer import Optimizer
from .base import LRScheduler, whole

__all__ = ["ExponentialLR", "MultiStepLR", "PolynomialLR", "StepLR"]


class StepLR(LRScheduler):
    r"""A jump each so many steps: :math:`\gamma_t = \gamma_0\, g^{\lfloor t / s \rfloor}`.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int
        :math:`s \ge 1`.
    gamma : float
        :math:`g \ge 0`, what is left at a jump.
    last_epoch : int
        See `LRScheduler`.

    Notes
    -----
    The formula is that of `chainrule.optim.schedule.step`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=0.5)
    >>> scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2)
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    [0.5] [0.5] [0.05] [0.05]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        super().__init__(optimizer, last_epoch,
                         schedule=schedule.step(whole("StepLR", "step_size", step_size), gamma))


class MultiStepLR(LRScheduler):
    r"""A jump at each milestone: :math:`\gamma_t = \gamma_0\, g^k`, where :math:`k` milestones are not above t.

    Parameters
    ----------
    optimizer : Optimizer
    milestones : iterable of int
        In any order; one that is there twice counts twice.
    gamma : float
        :math:`g \ge 0`, what is left at a jump.
    last_epoch : int
        See `LRScheduler`.

    Notes
    -----
    The formula is that of `chainrule.optim.schedule.multistep`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=0.5)
    >>> scheduler = optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3])
    >>> for _ in range(4):
    ...     print(round(scheduler.get_last_lr()[0], 6), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    0.5 0.05 0.05 0.005
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1,
                 last_epoch: int = -1) -> None:
        whole_ones = tuple([whole("MultiStepLR", "a milestone", milestone, 0) for milestone in milestones])
        super().__init__(optimizer, last_epoch, schedule=schedule.multistep(whole_ones, gamma))


class ExponentialLR(LRScheduler):
    r"""The same share less at each step: :math:`\gamma_t = \gamma_0\, g^t`.

    Parameters
    ----------
    optimizer : Optimizer
    gamma : float
        :math:`g \ge 0`, what is left after a step.
    last_epoch : int
        See `LRScheduler`.

    Notes
    -----
    The formula is that of `chainrule.optim.schedule.exponential`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    [1.0] [0.5] [0.25] [0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        super().__init__(optimizer, last_epoch, schedule=schedule.exponential(gamma))


class PolynomialLR(LRScheduler):
    r"""Along a power of what is left: :math:`\gamma_t = \gamma_0\, (1 - \min(t / T, 1))^p`.

    Parameters
    ----------
    optimizer : Optimizer
    total_iters : int
        :math:`T \ge 1`.
    power : float
        :math:`p \ge 0`.
    last_epoch : int
        See `LRScheduler`.

    Notes
    -----
    The formula is that of `chainrule.optim.schedule.polynomial`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4, power=2)
    >>> for _ in range(6):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    [1.0] [0.5625] [0.25] [0.0625] [0.0] [0.0]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        total = whole("PolynomialLR", "total_iters", total_iters)
        super().__init__(optimizer, last_epoch, schedule=schedule.polynomial(power, total_iters=total))
