"""Up and down, the momentum the other way round: one cycle over the whole run, or many."""
from __future__ import annotations

from collections.abc import Callable, Sequence

from ...state import get, write
from .. import schedule
from ..optimizer import Optimizer
from .base import LRScheduler, per_group, whole

__all__ = ["CyclicLR", "OneCycleLR"]

Numbers = float | list[float]


class _Cycling(LRScheduler):
    """Rates that go up while the momentum goes down."""

    chains = False
    _momenta: list[tuple[float, float]] | None = None  # of each group, when the rate is low and when it is high

    def _cycle(self, optimizer: Optimizer, base: Numbers, top: Numbers) -> None:
        """Take over the momenta between which to go."""
        title = type(self).__name__
        if not {"momentum", "betas"} & optimizer.defaults.keys():
            raise ValueError(f"{title}: {type(optimizer).__name__} has neither momentum nor betas to cycle; pass "
                             "cycle_momentum=False")
        self._momenta = list(zip(per_group(title, "max_momentum", top, optimizer, 1),
                                 per_group(title, "base_momentum", base, optimizer, 1), strict=True))

    def _height(self, step: int) -> float:
        """Return where between low and high the schedule stands, from 0 to 1."""
        raise NotImplementedError

    def _write(self, rates: Sequence[float]) -> None:
        super()._write(rates)
        if self._momenta is None:
            return
        height = self._height(self.last_epoch)
        for group, (low, high) in zip(self.optimizer.param_groups, self._momenta, strict=True):
            momentum = low - (low - high) * height
            if "betas" in self.optimizer.defaults:
                write(group, "betas", (momentum, *get(group, "betas")[1:]))
            else:
                write(group, "momentum", momentum)


class OneCycleLR(_Cycling):
    r"""Warm up to the highest rate, then cool down far below the first one; the momentum goes the other way.

    From :math:`\gamma_{max} / d` to :math:`\gamma_{max}` until step :math:`pT - 1`, then to
    :math:`\gamma_{max} / (d f)` at step :math:`T - 1`, the last; in three phases, back to :math:`\gamma_{max} / d`
    until step :math:`2pT - 2` before that. The momentum is highest at both ends, and lowest at the peak.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float or list of one for each group
        :math:`\gamma_{max}`; the rates of the optimizer are not used.
    total_steps : int, optional
        :math:`T`; or else
    epochs, steps_per_epoch : int, optional
        whose product is :math:`T`.
    pct_start : float
        :math:`p`, the share of the run that is warm-up, from 0 to 1.
    anneal_strategy : str
        ``"cos"`` or ``"linear"``.
    cycle_momentum : bool
        Whether the momentum (the first of the betas) cycles as well.
    base_momentum, max_momentum : float or list of one for each group
        The lowest and the highest momentum.
    div_factor, final_div_factor : float
        :math:`d` and :math:`f`.
    three_phase : bool
        Come down as fast as it went up, and use the rest of the run to go far below.
    last_epoch : int
        See `LRScheduler`.

    Raises
    ------
    ValueError
        If the length of the run is not given; when it is over and more steps are made (the rate is then next to
        nothing, so nothing would be learned).

    Notes
    -----
    Source: L. N. Smith and N. Topin, Super-Convergence, 2018; the formula is that of
    `chainrule.optim.schedule.one_cycle`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], momentum=0.9)
    >>> scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=5, pct_start=0.6)
    >>> for _ in range(5):
    ...     print(*[round(optimizer.param_groups[0][name], 3) for name in ("lr", "momentum")], end="  ")
    ...     optimizer.step()
    ...     scheduler.step()
    0.04 0.95  0.52 0.9  1.0 0.85  0.5 0.9  0.0 0.95
    """

    def __init__(self, optimizer: Optimizer, max_lr: Numbers, total_steps: int | None = None,
                 epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
                 anneal_strategy: str = "cos", cycle_momentum: bool = True, base_momentum: Numbers = 0.85,
                 max_momentum: Numbers = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4,
                 three_phase: bool = False, last_epoch: int = -1) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: pass total_steps, or epochs and steps_per_epoch, so that it knows how "
                                 "long the run is")
            total_steps = (whole("OneCycleLR", "epochs", epochs)
                           * whole("OneCycleLR", "steps_per_epoch", steps_per_epoch))
        self.total_steps = whole("OneCycleLR", "total_steps", total_steps)
        self._tops = per_group("OneCycleLR", "max_lr", max_lr, optimizer)
        self._cycle_once = schedule.one_cycle(pct_start, div_factor, final_div_factor, three_phase, anneal_strategy)
        if cycle_momentum:
            self._cycle(optimizer, base_momentum, max_momentum)
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, self._tops, strict=True):
                group["initial_lr"] = top / div_factor
        super().__init__(optimizer, last_epoch, schedule=self._cycle_once, steps=self.total_steps)

    def step(self) -> None:
        """Move the rates on, after a step of the optimizer."""
        if self.last_epoch >= self.total_steps:
            raise ValueError(f"OneCycleLR: the cycle of {self.total_steps} steps is over. Is total_steps the number of "
                             "epochs, while step() is called for each batch?")
        super().step()

    def _height(self, step: int) -> float:
        return self._cycle_once.between(0.0, 1.0, 0.0, step, self.total_steps)


class CyclicLR(_Cycling):
    r"""Up and down along straight lines, again and again, the momentum the other way round.

    .. math::
        \gamma_t = \gamma_{base} + (\gamma_{max} - \gamma_{base})\, h(t)\, s(t)

    :math:`h` goes from 0 to 1 in :math:`u` steps and back in :math:`d`.

    Parameters
    ----------
    optimizer : Optimizer
    base_lr, max_lr : float or list of one for each group
        The rates in the valleys and on the peaks; those of the optimizer are not used.
    step_size_up, step_size_down : int
        :math:`u` and :math:`d`, which is as large by default.
    mode : str
        What :math:`s` is in cycle :math:`c = 1, 2, \dots`: 1 for ``"triangular"``, :math:`2^{1 - c}` for
        ``"triangular2"``, :math:`g^t` for ``"exp_range"``.
    gamma : float
        :math:`g \ge 0`.
    scale_fn : callable, optional
        Another :math:`s`; `mode` is then ignored. It is not saved with the state.
    scale_mode : str
        Whether `scale_fn` is a function of :math:`c` (``"cycle"``) or of :math:`t` (``"iterations"``).
    cycle_momentum : bool
        Whether the momentum (the first of the betas) cycles as well.
    base_momentum, max_momentum : float or list of one for each group
        The lowest and the highest momentum.
    last_epoch : int
        See `LRScheduler`.

    Notes
    -----
    Source: L. N. Smith, Cyclical Learning Rates for Training Neural Networks, 2017; the formula is that of
    `chainrule.optim.schedule.cyclic`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> optimizer = optim.SGD([cr.Tensor(1.0, requires_grad=True)], momentum=0.9)
    >>> scheduler = optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.25, max_lr=0.75, step_size_up=2)
    >>> for _ in range(6):
    ...     print(*[round(optimizer.param_groups[0][name], 3) for name in ("lr", "momentum")], end="  ")
    ...     optimizer.step()
    ...     scheduler.step()
    0.25 0.9  0.5 0.85  0.75 0.8  0.5 0.85  0.25 0.9  0.5 0.85
    """

    def __init__(self, optimizer: Optimizer, base_lr: Numbers, max_lr: Numbers, step_size_up: int = 2000,
                 step_size_down: int | None = None, mode: str = "triangular", gamma: float = 1.0,
                 scale_fn: Callable[[float], float] | None = None, scale_mode: str = "cycle",
                 cycle_momentum: bool = True, base_momentum: Numbers = 0.8, max_momentum: Numbers = 0.9,
                 last_epoch: int = -1) -> None:
        self._floors = per_group("CyclicLR", "base_lr", base_lr, optimizer)
        self._tops = per_group("CyclicLR", "max_lr", max_lr, optimizer)
        up = whole("CyclicLR", "step_size_up", step_size_up)
        down = up if step_size_down is None else whole("CyclicLR", "step_size_down", step_size_down)
        self._cycles = schedule.cyclic(0.0, up, down, mode, gamma, scale_fn, scale_mode)
        if cycle_momentum:
            self._cycle(optimizer, base_momentum, max_momentum)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, self._floors, strict=True):
                write(group, "lr", rate)
        super().__init__(optimizer, last_epoch, schedule=self._cycles)
        self.base_lrs = list(self._floors)

    def _height(self, step: int) -> float:
        return self._cycles(step, self.steps)
