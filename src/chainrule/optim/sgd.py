"""Stochastic gradient descent."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Optimizer
from .terms import descent

__all__ = ["SGD"]


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum if wanted.

    .. math::
        g_t &= \nabla L(p_{t-1}) + \lambda\, p_{t-1} \\
        b_t &= \mu\, b_{t-1} + (1 - \tau)\, g_t, \qquad b_1 = g_1 \\
        p_t &= p_{t-1} - \gamma\, b_t
        \qquad\text{or, with Nesterov's momentum,}\qquad p_{t-1} - \gamma\, (g_t + \mu\, b_t)

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to update; see `Optimizer`.
    lr : float
        The learning rate :math:`\gamma \ge 0`.
    momentum : float
        :math:`\mu \ge 0`; how much of the last update goes on.
    dampening : float
        :math:`\tau`; how much of a gradient, after the first, is kept out of the momentum.
    weight_decay : float
        :math:`\lambda \ge 0`; the factor of an L2 penalty.
    nesterov : bool
        Look ahead along the momentum. Needs momentum, and no dampening.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    ValueError, TypeError
        If there are no parameters, or a setting is out of range or no number.

    Notes
    -----
    Sources: Polyak, Some Methods of Speeding up the Convergence of Iteration Methods, 1964; Sutskever, Martens, Dahl
    and Hinton, On the Importance of Initialization and Momentum in Deep Learning, ICML 2013 (Nesterov's momentum).
    The learning rate stands outside the momentum, as in PyTorch, not inside, as in the second of these.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([1.0], requires_grad=True)
    >>> optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w                                                # 1 - 0.1·2 = 0.8, then 0.8 - 0.1·(0.9·2 + 1.6)
    Tensor([0.46], requires_grad=True)
    """

    switches = frozenset({"momentum", "dampening", "weight_decay", "nesterov", "maximize"})

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
                 weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize})

    def check(self, group: dict[str, Any]) -> None:
        """Raise if a setting is out of range (ValueError) or no number (TypeError)."""
        self.at_least_zero(group, "lr", "momentum", "weight_decay")
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov=True needs a momentum above 0 and dampening=0, got "
                             f"momentum={group['momentum']}, dampening={group['dampening']}")

    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Name the momentum buffer, if there is momentum."""
        return ("momentum_buffer",) if group["momentum"] else ()

    def rule(self, p: Any, g: Any, s: Any, *, lr: Any, momentum: Any, dampening: Any, weight_decay: Any, nesterov: Any,
             maximize: Any) -> Any:
        """Return the updated parameter."""
        g = descent(p, g, lr, weight_decay, maximize)
        if momentum is not None:
            s.momentum_buffer *= momentum
            s.momentum_buffer += g if dampening is None else (1 - dampening * (s.step > 1)) * g    # the first is whole
            g = g + momentum * s.momentum_buffer if nesterov else s.momentum_buffer
        p -= lr * g
        return p
