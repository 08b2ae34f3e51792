"""Down along a cosine, once or again and again."""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .. import schedule
from ..optimizer import Optimizer
from .base import LRScheduler, per_group, whole

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]


class CosineAnnealingLR(LRScheduler):
    r"""Down along half a cosine: :math:`\gamma_t = e + (\gamma_0 - e)\,(1 + \cos \pi t / T) / 2`.

    After :math:`T` steps it goes up again, as slowly as it came down.

    Parameters
    ----------
    optimizer : Optimizer
    T_max : int
        :math:`T \ge 1`.
    eta_min : float
        :math:`e \ge 0`, the lowest rate.
    last_epoch : int
        See `LRScheduler`.

    Notes
    -----
    Source: I. Loshchilov and F. Hutter, SGDR, 2017, eq. 5; the formula is that of `chainrule.optim.schedule.cosine`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    >>> for _ in range(6):
    ...     print(round(scheduler.get_last_lr()[0], 3), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    1.0 0.854 0.5 0.146 0.0 0.146
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self._floors = per_group("CosineAnnealingLR", "eta_min", eta_min, optimizer)
        super().__init__(optimizer, last_epoch,
                         schedule=schedule.cosine(T_max=whole("CosineAnnealingLR", "T_max", T_max)))


class CosineAnnealingWarmRestarts(LRScheduler):
    r"""Cosines one after the other: :math:`\gamma_t = e + (\gamma_0 - e)\,(1 + \cos \pi t_i / T_i) / 2`.

    Each begins with the whole rate. The first takes :math:`T_0` steps, each other :math:`m` times as many as the one
    before it; :math:`t_i` counts the steps since the last restart.

    Parameters
    ----------
    optimizer : Optimizer
    T_0 : int
        At least 1.
    T_mult : int
        :math:`m \ge 1`.
    eta_min : float
        :math:`e \ge 0`, the lowest rate.
    last_epoch : int
        See `LRScheduler`.

    Notes
    -----
    Source: I. Loshchilov and F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017, eq. 5; the formula
    is that of `chainrule.optim.schedule.cosine_restarts`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
    >>> for _ in range(7):
    ...     print(round(scheduler.get_last_lr()[0], 3), end=" ")
    ...     optimizer.step()
    ...     scheduler.step()
    1.0 0.5 1.0 0.854 0.5 0.146 1.0
    """

    chains = False
    _fraction = 0.0                      # how far into a step the schedule stands, after step(2.5)

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0,
                 last_epoch: int = -1) -> None:
        title = type(self).__name__
        self._floors = per_group(title, "eta_min", eta_min, optimizer)
        super().__init__(optimizer, last_epoch, schedule=schedule.cosine_restarts(
            whole(title, "T_0", T_0), whole(title, "T_mult", T_mult)))

    def step(self, epoch: float | None = None) -> None:
        """Move the rates on by one step, or to any point of the schedule.

        Parameters
        ----------
        epoch : float, optional
            Where to go, at least 0, such as ``epoch + batch / batches``.
        """
        if epoch is None:
            super().step()
            return
        if not epoch >= 0 or math.isinf(epoch):
            raise ValueError(f"CosineAnnealingWarmRestarts.step: expected a finite number from 0 on, got {epoch}")
        self._fraction = epoch % 1
        count = self._step_count
        self._stand(math.floor(epoch))
        self._step_count = count + 1

    def state_dict(self) -> dict[str, Any]:
        """Return where the schedule stands, between two steps as well."""
        return {**super().state_dict(), "_fraction": self._fraction}

    def _rates(self, step: float) -> list[float]:
        return super()._rates(step + self._fraction)    # type: ignore[arg-type]

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._fraction = float(state.get("_fraction", state.get("T_cur", 0.0) % 1))
