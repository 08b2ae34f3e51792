"""Adamax: Adam with the largest gradient in place of the mean square."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..gates import abs, maximum
from .optimizer import Optimizer
from .terms import descent, mean

__all__ = ["Adamax"]


class Adamax(Optimizer):
    r"""Adamax: Adam whose steps are scaled by the largest gradient of each element, slowly forgotten.

    .. math::
        g_t &= \nabla L(p_{t-1}) + \lambda\, p_{t-1} \\
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad
        u_t = \max(\beta_2 u_{t-1},\; |g_t| + \epsilon) \\
        p_t &= p_{t-1} - \frac{\gamma}{1 - \beta_1^t}\, \frac{m_t}{u_t}

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to update; see `Optimizer`.
    lr : float
        The learning rate :math:`\gamma \ge 0`: about the largest change of an element in a step.
    betas : (float, float)
        :math:`\beta_1` and :math:`\beta_2`, at least 0 and below 1: how much of the running mean and of the maximum is
        kept.
    eps : float
        :math:`\epsilon \ge 0`; keeps the quotient finite.
    weight_decay : float
        :math:`\lambda \ge 0`; the factor of an L2 penalty.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    ValueError, TypeError
        If there are no parameters, or a setting is out of range or no number.

    Notes
    -----
    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, algorithm 2, with PyTorch's
    :math:`\epsilon`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([1.0, -100.0], requires_grad=True)
    >>> optimizer = optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w                                                # the first step is lr, whatever the gradient's size
    Tensor([  0.9, -99.9], requires_grad=True)
    """

    switches = frozenset({"weight_decay", "maximize"})

    def __init__(self, params: Iterable[Any], lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, *, maximize: bool = False) -> None:
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def check(self, group: dict[str, Any]) -> None:
        """Raise if a setting is out of range (ValueError) or no number (TypeError)."""
        self.at_least_zero(group, "lr", "eps", "weight_decay")
        self.two_fractions(group, "betas")

    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Name the running mean and the running maximum."""
        return "exp_avg", "exp_inf"

    def rule(self, p: Any, g: Any, s: Any, *, lr: Any, betas: Any, eps: Any, weight_decay: Any, maximize: Any) -> Any:
        """Return the updated parameter."""
        beta1, beta2 = betas
        g = descent(p, g, lr, weight_decay, maximize)
        mean(s.exp_avg, beta1, g)
        size = abs(g)
        size += eps
        s.exp_inf *= beta2
        s.exp_inf = maximum(s.exp_inf, size)
        change = s.exp_avg / s.exp_inf
        change *= lr / (1 - beta1 ** s.step)
        p -= change
        return p
