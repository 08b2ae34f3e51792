"""Smaller rates once a figure has stopped getting better."""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...state import get
from ...tensor import Tensor
from ..optimizer import Optimizer
from .base import LRScheduler, per_group, whole

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    r"""Multiply the rates by a factor whenever a figure has not got better for some epochs.

    Better means, for ``"min"``, below :math:`b\,(1 - \theta)` (relative) or :math:`b - \theta` (absolute), where
    :math:`b` is the best so far; for ``"max"``, above :math:`b\,(1 + \theta)` or :math:`b + \theta`.

    Parameters
    ----------
    optimizer : Optimizer
    mode : str
        ``"min"`` for a loss, ``"max"`` for an accuracy.
    factor : float
        At least 0 and below 1.
    patience : int
        How many epochs without progress are let pass; the next one makes the rates smaller.
    threshold : float
        :math:`\theta \ge 0`.
    threshold_mode : str
        ``"rel"`` or ``"abs"``.
    cooldown : int
        How many epochs after a change do not count as without progress.
    min_lr : float or list of one for each group
        No rate goes below this.
    eps : float
        A change that is not larger than this is not made.

    Attributes
    ----------
    best : float
        The best figure so far.
    num_bad_epochs, cooldown_counter : int
        Epochs without progress, and epochs that are left of the cooldown.

    Raises
    ------
    ValueError
        If a setting is out of range.

    Notes
    -----
    The same as PyTorch's. A figure that is NaN or infinite is never better, so it counts as an epoch without progress,
    and `best` stays finite.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (0.9, 0.5, 0.6, 0.5, 0.4):
    ...     scheduler.step(loss)
    ...     print(scheduler.get_last_lr(), end=" ")
    [1.0] [1.0] [1.0] [0.1] [0.1]
    """

    def __init__(self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
                 threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0,
                 min_lr: float | list[float] = 0, eps: float = 1e-8) -> None:
        title = type(self).__name__
        if mode not in ("min", "max"):
            raise ValueError(f"{title}: mode is 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"{title}: threshold_mode is 'rel' or 'abs', got {threshold_mode!r}")
        if not 0 <= factor < 1:
            raise ValueError(f"{title}: factor is at least 0 and below 1, got {factor!r}")
        if not threshold >= 0 or not eps >= 0:
            raise ValueError(f"{title}: threshold and eps are at least 0, got {threshold!r} and {eps!r}")
        self.min_lrs = per_group(title, "min_lr", min_lr, optimizer)
        self.optimizer, self.mode, self.factor, self.eps = optimizer, mode, factor, eps
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.patience, self.cooldown = (whole(title, "patience", patience, 0), whole(title, "cooldown", cooldown, 0))
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = [float(get(group, "lr")) for group in optimizer.param_groups]
        self.base_lrs = list(self._last_lr)

    @property
    def in_cooldown(self) -> bool:
        """Whether a change is so fresh that no epoch counts as without progress."""
        return self.cooldown_counter > 0

    def step(self, metrics: Any) -> None:                                          # type: ignore[override]
        """Take note of an epoch's figure, and make the rates smaller if it is time.

        Parameters
        ----------
        metrics : float, or tensor or array of one element
        """
        self._ready()
        value = float(metrics.item() if isinstance(metrics, Tensor) else metrics)
        self.last_epoch += 1
        if self._better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        rates = [float(get(group, "lr")) for group in self.optimizer.param_groups]
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            smaller = [max(rate * self.factor, least) for rate, least in zip(rates, self.min_lrs, strict=True)]
            rates = [new if old - new > self.eps else old for old, new in zip(rates, smaller, strict=True)]
        self._write(rates)

    def get_lr(self) -> list[float]:
        """Return the rate of each group."""
        return self.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Return what is remembered.

        Returns
        -------
        dict
            Numbers and lists of them; ``"best"`` is None before the first figure. Settings are not in it.
        """
        return {"last_epoch": self.last_epoch, "best": self.best if math.isfinite(self.best) else None,
                "num_bad_epochs": self.num_bad_epochs, "cooldown_counter": self.cooldown_counter,
                "_last_lr": list(self._last_lr)}

    def _better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if math.isinf(self.best):                      # the first
            return True
        sign = 1 if self.mode == "min" else -1
        margin = self.best * (1 - sign * self.threshold) if self.threshold_mode == "rel" else (
            self.best - sign * self.threshold)
        return value < margin if self.mode == "min" else value > margin

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        best = state.get("best")
        self.best = (math.inf if self.mode == "min" else -math.inf) if best is None else float(best)
        self.num_bad_epochs, self.cooldown_counter = int(state["num_bad_epochs"]), int(state["cooldown_counter"])

    def __repr__(self) -> str:
        return (f"ReduceLROnPlateau(mode={self.mode!r}, factor={self.factor}, patience={self.patience}, "
                f"best={self.best}, num_bad_epochs={self.num_bad_epochs}, lr={self._last_lr})")
