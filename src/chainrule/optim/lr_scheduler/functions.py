"""Rates by a function of one's own."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import schedule
from ..optimizer import Optimizer
from .base import LRScheduler, known

__all__ = ["LambdaLR", "MultiplicativeLR"]

Function = Callable[[int], float]


class LambdaLR(LRScheduler):
    r"""Rates by a function: :math:`\gamma_t = \gamma_0\, f(t)`.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable, or a list of one for each group
        :math:`f`, ``step -> factor``. It is not saved with the state, so it had better depend on nothing else.
    last_epoch : int
        See `LRScheduler`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    >>> for _ in range(4):
    ...     print(round(scheduler.get_last_lr()[0], 3), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    1.0 0.5 0.333 0.25
    """

    chains = False

    def __init__(self, optimizer: Optimizer, lr_lambda: Function | Sequence[Function], last_epoch: int = -1) -> None:
        super().__init__(optimizer, last_epoch, schedule=[
            schedule.function(each) for each in _listed("LambdaLR", lr_lambda, optimizer)])


class MultiplicativeLR(LRScheduler):
    r"""Rates by a function of the last one: :math:`\gamma_t = \gamma_{t-1}\, f(t)`.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable, or a list of one for each group
        :math:`f`, ``step -> factor``, asked from step 1 on. It is not saved with the state, so it had better depend on
        nothing else.
    last_epoch : int
        See `LRScheduler`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.MultiplicativeLR(optimizer, lambda step: 0.5)
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    [1.0] [0.5] [0.25] [0.125]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Function | Sequence[Function], last_epoch: int = -1) -> None:
        super().__init__(optimizer, last_epoch, schedule=[
            _Product(schedule.function(each)) for each in _listed("MultiplicativeLR", lr_lambda, optimizer)])


def _listed(title: str, lr_lambda: Function | Sequence[Function], optimizer: Any) -> list[Function]:
    """Return a function for each group."""
    if isinstance(lr_lambda, Sequence):
        return list(lr_lambda)
    return [lr_lambda] * len(known(title, optimizer).param_groups)


class _Product:
    """The product of a function's values from step 1 to step t; it knows the last one, so that it need not begin anew.

    Multiplied in the same order it is the same to the last bit, also after a resume.
    """

    def __init__(self, factor: schedule.function) -> None:
        self.factor, self.step, self.value = factor, 0, 1.0

    def __call__(self, step: int, steps: int) -> float:
        if step < self.step:
            self.step, self.value = 0, 1.0
        while self.step < step:
            self.step += 1
            self.value *= self.factor(self.step, steps)
        return self.value

    def __repr__(self) -> str:
        return f"product of {self.factor!r}"
