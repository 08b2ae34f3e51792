"""Up and down: one cycle over the whole run, or many."""
# ruff: noqa: N801 - a schedule is used as a function
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .curve import Curve, glide, power

__all__ = ["cyclic", "one_cycle"]


@dataclass(frozen=True, repr=False)
class one_cycle(Curve):
    r"""Warm up to the learning rate, then cool down far below where it began.

    From :math:`1/d` to 1 until step :math:`pT - 1`, then to :math:`1/(d f)` at step :math:`T - 1`, the last; in three
    phases, back to :math:`1/d` until step :math:`2pT - 2` before that.

    Parameters
    ----------
    pct_start : float
        :math:`p`, the share of the run that is warm-up, from 0 to 1.
    div_factor : float
        :math:`d > 0`: the first learning rate is the learning rate of the optimizer divided by this.
    final_div_factor : float
        :math:`f > 0`: the last is the first divided by this.
    three_phase : bool
        Come down as fast as it went up, and use the rest of the run to go far below.
    anneal_strategy : str
        ``"cos"``, along half a cosine in each phase, or ``"linear"``.

    Raises
    ------
    ValueError
        If a setting is out of range.

    Notes
    -----
    Source: L. N. Smith and N. Topin, Super-Convergence, 2018. The same as PyTorch's OneCycleLR, whose `max_lr` is the
    learning rate of the optimizer here. Momentum is left alone.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.one_cycle()
    >>> [round(lr(step, 11), 3) for step in range(0, 11, 2)]
    [0.04, 0.96, 0.884, 0.531, 0.157, 0.0]
    """

    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False
    anneal_strategy: str = "cos"

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        self.check_number("pct_start", high=1)
        self.check_number("div_factor", "final_div_factor", above=True)
        self.check_choice("anneal_strategy", "cos", "linear")

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        first = 1 / self.div_factor
        return self.between(first, 1.0, first / self.final_div_factor, step, steps)

    def between(self, low: float, high: float, last: float, step: int, steps: int) -> float:
        """Return where a quantity is that goes from `low` to `high` and then, by way of `low` or not, to `last`."""
        total = self.count(None, steps)
        ends = [(self.pct_start * total - 1, high)]
        if self.three_phase:
            ends.append((2 * self.pct_start * total - 2, low))
        ends.append((total - 1, last))
        start, value = 0.0, low
        for end, goal in ends[:-1]:
            if step <= end:
                break
            start, value = end, goal
        else:
            end, goal = ends[-1]
        return glide(value, goal, (step - start) / (end - start) if end > start else 1.0, self.anneal_strategy)


@dataclass(frozen=True, repr=False)
class cyclic(Curve):
    r"""Up and down along straight lines, again and again: :math:`b + (1 - b)\, h(t)\, s(t)`.

    :math:`h` goes from 0 to 1 in :math:`u` steps and back in :math:`d`.

    Parameters
    ----------
    base : float
        :math:`b`, the factor in the valleys, from 0 to 1. On the peaks it is 1 where :math:`s` is.
    step_size_up, step_size_down : int or float, optional
        :math:`u` and :math:`d`, in steps or as shares of the run; down takes as long as up by default.
    mode : str
        What :math:`s` is in cycle :math:`c = 1, 2, \dots`: 1 for ``"triangular"``, :math:`2^{1 - c}` for
        ``"triangular2"``, :math:`\gamma^t` for ``"exp_range"``.
    gamma : float
        :math:`\gamma \ge 0`.
    scale_fn : callable, optional
        Another :math:`s`; `mode` is then ignored.
    scale_mode : str
        Whether `scale_fn` is a function of :math:`c` (``"cycle"``) or of :math:`t` (``"iterations"``).

    Notes
    -----
    Source: L. N. Smith, Cyclical Learning Rates for Training Neural Networks, 2017. The same as PyTorch's CyclicLR,
    whose `max_lr` is the learning rate of the optimizer here. Momentum is left alone.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.cyclic(0.0, 2, mode="triangular2")
    >>> [lr(step, 8) for step in range(8)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.25, 0.5, 0.25]
    """

    base: float
    step_size_up: float = 2000
    step_size_down: float | None = None
    mode: str = "triangular"
    gamma: float = 1.0
    scale_fn: Callable[[float], float] | None = None
    scale_mode: str = "cycle"

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        self.check_number("base", high=1)
        self.check_count("step_size_up", "step_size_down")
        self.check_number("gamma")
        if self.scale_fn is None:
            self.check_choice("mode", "triangular", "triangular2", "exp_range")
        self.check_choice("scale_mode", "cycle", "iterations")

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        up = self.count(self.step_size_up, steps)
        down = up if self.step_size_down is None else self.count(self.step_size_down, steps)
        cycle, t = divmod(step, up + down)
        height = t / up if t <= up else (up + down - t) / down
        return float(self.base + (1.0 - self.base) * height * self._scale(cycle + 1, step))

    def _scale(self, cycle: int, step: int) -> float:
        if self.scale_fn is not None:
            return float(self.scale_fn(cycle if self.scale_mode == "cycle" else step))
        if self.mode == "exp_range":
            return power(self.gamma, step)
        return power(2.0, 1 - cycle) if self.mode == "triangular2" else 1.0
