"""Schedules: how the learning rate goes up and down in the course of a run, as functions without state.

A schedule gives, for each step of a run, the factor by which the learning rates of the optimizer are multiplied. Any
function ``(step, steps) -> factor`` is one; those here are made of two settings or three.
"""
from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["Schedule", "constant", "cosine", "one_cycle"]

#: The number of the step, from 0, and how many there are in all -> what the learning rates are multiplied by.
Schedule = Callable[[int, int], float]


def constant() -> Schedule:
    """Keep the learning rate as it is."""
    return lambda step, steps: 1.0


def cosine(end: float = 0.0) -> Schedule:
    r"""Go down along half a cosine: :math:`e + (1 - e)\,(1 + \cos \pi t / T)/2` at step t of T.

    Parameters
    ----------
    end : float
        What is left of the learning rate at the end, from 0 to 1.

    Notes
    -----
    Source: I. Loshchilov and F. Hutter, SGDR, 2017, eq. 5, without restarts. The same as PyTorch's CosineAnnealingLR.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.cosine()
    >>> [round(lr(step, 4), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    return lambda step, steps: _between(1.0, end, step / steps)


def one_cycle(pct_start: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4) -> Schedule:
    """Warm up to the learning rate, then cool down far below where it began, along half a cosine each.

    Parameters
    ----------
    pct_start : float
        The share of the run that is warm-up, between 0 and 1.
    div_factor : float
        The first learning rate is the learning rate of the optimizer divided by this.
    final_div_factor : float
        The last is the first divided by this.

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
    if not 0 < pct_start < 1:
        raise ValueError(f"one_cycle: pct_start is a share of the run, between 0 and 1, got {pct_start}")
    if div_factor <= 0 or final_div_factor <= 0:
        raise ValueError("one_cycle: div_factor and final_div_factor are above 0, got "
                         f"{div_factor} and {final_div_factor}")
    first = 1 / div_factor

    def factor(step: int, steps: int) -> float:
        peak, last = pct_start * steps - 1, steps - 1
        if step <= peak:
            return _between(first, 1.0, step / peak if peak > 0 else 1.0)
        return _between(1.0, first / final_div_factor, (step - peak) / (last - peak))

    return factor


def _between(start: float, end: float, share: float) -> float:
    """Go from `start` to `end` along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
