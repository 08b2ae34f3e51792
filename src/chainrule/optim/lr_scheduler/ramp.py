"""Straight lines."""
from __future__ import annotations

from .. import schedule
from ..optimizer import Optimizer
from .base import LRScheduler, whole

__all__ = ["ConstantLR", "LinearLR"]


class ConstantLR(LRScheduler):
    r"""Another rate for a while: :math:`\gamma_t = c\,\gamma_0` for t < T, and :math:`\gamma_0` from then on.

    Parameters
    ----------
    optimizer : Optimizer
    factor : float
        :math:`c \ge 0`.
    total_iters : int
        :math:`T \ge 0`.
    last_epoch : int
        See `LRScheduler`.

    Notes
    -----
    The formula is that of `chainrule.optim.schedule.constant`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.ConstantLR(optimizer, factor=0.25, total_iters=2)
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    [0.25] [0.25] [1.0] [1.0]
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5,
                 last_epoch: int = -1) -> None:
        total = whole("ConstantLR", "total_iters", total_iters, 0)
        super().__init__(optimizer, last_epoch, schedule=schedule.constant(factor, total))


class LinearLR(LRScheduler):
    r"""Along a straight line, as for a warm-up: :math:`\gamma_t = \gamma_0\,(a + (b - a) \min(t / T, 1))`.

    Parameters
    ----------
    optimizer : Optimizer
    start_factor, end_factor : float
        :math:`a` and :math:`b`, at least 0.
    total_iters : int
        :math:`T \ge 0`.
    last_epoch : int
        See `LRScheduler`.

    Notes
    -----
    The formula is that of `chainrule.optim.schedule.linear`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=3)
    >>> for _ in range(5):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    [0.25] [0.5] [0.75] [1.0] [1.0]
    """

    def __init__(self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0,
                 total_iters: int = 5, last_epoch: int = -1) -> None:
        total = whole("LinearLR", "total_iters", total_iters, 0)
        super().__init__(optimizer, last_epoch, schedule=schedule.linear(start_factor, end_factor, total))
