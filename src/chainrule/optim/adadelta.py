"""Adadelta: steps in the units of the parameters, scaled by two running means."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..gates import sqrt
from .optimizer import Optimizer
from .terms import descent, mean_square

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    r"""Adadelta: each element's step is its gradient times the ratio of the usual change to the usual gradient.

    .. math::
        g_t &= \nabla L(p_{t-1}) + \lambda\, p_{t-1}, \qquad
        v_t = \rho\, v_{t-1} + (1 - \rho)\, g_t^2 \\
        \Delta_t &= \frac{\sqrt{u_{t-1} + \epsilon}}{\sqrt{v_t + \epsilon}}\, g_t, \qquad
        u_t = \rho\, u_{t-1} + (1 - \rho)\, \Delta_t^2 \\
        p_t &= p_{t-1} - \gamma\, \Delta_t

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to update; see `Optimizer`.
    lr : float
        :math:`\gamma \ge 0`; 1 in the paper, which has no learning rate.
    rho : float
        :math:`\rho`, from 0 to 1: how much of the running means is kept.
    eps : float
        :math:`\epsilon \ge 0`; it makes the first steps, since :math:`u_0 = 0`.
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
    Source: Zeiler, ADADELTA: An Adaptive Learning Rate Method, 2012, algorithm 1.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([1.0], requires_grad=True)
    >>> optimizer = optim.Adadelta([w], rho=0.75, eps=1.0)
    >>> (w * 1.0).sum().backward()
    >>> optimizer.step()
    >>> w                                                # 1 - 1·√(0 + 1) / √(1/4 + 1)
    Tensor([0.10557281], requires_grad=True)
    """

    switches = frozenset({"weight_decay", "maximize"})

    def __init__(self, params: Iterable[Any], lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6,
                 weight_decay: float = 0, *, maximize: bool = False) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def check(self, group: dict[str, Any]) -> None:
        """Raise if a setting is out of range (ValueError) or no number (TypeError)."""
        self.at_least_zero(group, "lr", "eps", "weight_decay")
        self.from_zero_to_one(group, "rho")

    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Name the mean squares of the gradient and of the change."""
        return "square_avg", "acc_delta"

    def rule(self, p: Any, g: Any, s: Any, *, lr: Any, rho: Any, eps: Any, weight_decay: Any, maximize: Any) -> Any:
        """Return the updated parameter."""
        g = descent(p, g, lr, weight_decay, maximize)
        mean_square(s.square_avg, rho, g)
        change = sqrt(s.acc_delta + eps)
        change /= sqrt(s.square_avg + eps)
        change *= g
        mean_square(s.acc_delta, rho, change)
        p -= lr * change
        return p
