"""Adagrad: steps scaled by the sum of all squares of the gradient so far."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..gates import sqrt
from .optimizer import Optimizer
from .terms import descent

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    r"""Adagrad: each element's step is scaled by the root of the sum of its gradient's squares so far.

    .. math::
        g_t &= \nabla L(p_{t-1}) + \lambda\, p_{t-1} \\
        s_t &= s_{t-1} + g_t^2, \qquad s_0 = \tau \\
        p_t &= p_{t-1} - \frac{\gamma}{1 + (t - 1)\, \eta}\, \frac{g_t}{\sqrt{s_t} + \epsilon}

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to update; see `Optimizer`.
    lr : float
        The learning rate :math:`\gamma \ge 0`.
    lr_decay : float
        :math:`\eta \ge 0`; how fast the learning rate goes down besides.
    weight_decay : float
        :math:`\lambda \ge 0`; the factor of an L2 penalty.
    initial_accumulator_value : float
        :math:`\tau \ge 0`; what the sums begin with.
    eps : float
        :math:`\epsilon \ge 0`; keeps the quotient finite.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    ValueError, TypeError
        If there are no parameters, or a setting is out of range or no number.

    Notes
    -----
    Source: Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online Learning and Stochastic Optimization, JMLR
    12, 2011, with diagonal matrices. As in PyTorch the sums exist from the beginning, before the first step.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([1.0, -100.0], requires_grad=True)
    >>> optimizer = optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w                                                # the first step is lr, whatever the gradient's size
    Tensor([  0.9, -99.9], requires_grad=True)
    """

    switches = frozenset({"weight_decay", "maximize"})

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
                 initial_accumulator_value: float = 0, eps: float = 1e-10, *, maximize: bool = False) -> None:
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                                  "initial_accumulator_value": initial_accumulator_value, "maximize": maximize})

    def check(self, group: dict[str, Any]) -> None:
        """Raise if a setting is out of range (ValueError) or no number (TypeError)."""
        self.at_least_zero(group, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Take in more parameters, with settings of their own (see `Optimizer`), and begin their sums."""
        super().add_param_group(group)
        new = self.param_groups[-1]
        for p in new["params"]:
            self._state(p, self.moments(new), new)

    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Name the sum of squares."""
        return ("sum",)

    def beginning(self, moment: str, group: dict[str, Any]) -> float:
        """Return the number that the sum is full of at first."""
        return group["initial_accumulator_value"]          # type: ignore[no-any-return]

    def rule(self, p: Any, g: Any, s: Any, *, lr: Any, lr_decay: Any, eps: Any, weight_decay: Any, maximize: Any,
             **_: Any) -> Any:
        """Return the updated parameter."""
        g = descent(p, g, lr, weight_decay, maximize)
        s.sum += g * g
        scale = sqrt(s.sum)
        scale += eps
        change = g / scale
        change *= lr / (1 + (s.step - 1) * lr_decay)
        p -= change
        return p
