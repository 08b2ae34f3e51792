"""Lion: steps of one size, in the direction of the sign of a momentum."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..gates import sign
from .optimizer import Optimizer
from .terms import descent, mean

__all__ = ["Lion"]


class Lion(Optimizer):
    r"""Lion: every element moves by the learning rate, up or down, as a momentum and the gradient say.

    .. math::
        c_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t \\
        p_t &= (1 - \gamma \lambda)\, p_{t-1} - \gamma \operatorname{sign}(c_t) \\
        m_t &= \beta_2 m_{t-1} + (1 - \beta_2)\, g_t

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to update; see `Optimizer`.
    lr : float
        The learning rate :math:`\gamma \ge 0`, the size of each change. The authors take a third to a tenth of Adam's,
        and a weight decay that is so many times larger.
    betas : (float, float)
        At least 0 and below 1: how much the momentum counts in the direction, and how much of it is kept.
    weight_decay : float
        :math:`\lambda \ge 0`; decoupled, as in `AdamW`.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    ValueError, TypeError
        If there are no parameters, or a setting is out of range or no number.

    Notes
    -----
    Source: Chen et al., Symbolic Discovery of Optimization Algorithms, NeurIPS 2023, algorithm 2. PyTorch has no Lion.
    Where :math:`c_t = 0` only the decay is left.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([1.0, -100.0], requires_grad=True)
    >>> optimizer = optim.Lion([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    Tensor([  0.9, -99.9], requires_grad=True)
    """

    switches = frozenset({"weight_decay", "maximize"})

    def __init__(self, params: Iterable[Any], lr: float = 1e-4, betas: tuple[float, float] = (0.9, 0.99),
                 weight_decay: float = 0, *, maximize: bool = False) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize})

    def check(self, group: dict[str, Any]) -> None:
        """Raise if a setting is out of range (ValueError) or no number (TypeError)."""
        self.at_least_zero(group, "lr", "weight_decay")
        self.two_fractions(group, "betas")

    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Name the momentum."""
        return ("exp_avg",)

    def rule(self, p: Any, g: Any, s: Any, *, lr: Any, betas: Any, weight_decay: Any, maximize: Any) -> Any:
        """Return the updated parameter."""
        beta1, beta2 = betas
        g = descent(p, g, lr, weight_decay, maximize, decoupled_weight_decay=True)
        direction = beta1 * s.exp_avg
        direction += (1 - beta1) * g
        p -= lr * sign(direction)
        mean(s.exp_avg, beta2, g)
        return p
