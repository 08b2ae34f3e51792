"""RMSprop: steps scaled by a running mean of the gradient's square."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..gates import maximum, sqrt
from .optimizer import Optimizer
from .terms import descent, mean, mean_square

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    r"""RMSprop: each element's step is scaled by the root of a running mean of its gradient's square.

    .. math::
        g_t &= \nabla L(p_{t-1}) + \lambda\, p_{t-1} \\
        v_t &= \alpha v_{t-1} + (1 - \alpha)\, g_t^2, \qquad
        b_t = \mu\, b_{t-1} + \frac{g_t}{\sqrt{v_t} + \epsilon} \\
        p_t &= p_{t-1} - \gamma\, b_t

    `centered`, the mean gradient :math:`m_t = \alpha m_{t-1} + (1 - \alpha)\, g_t` is kept too, and
    :math:`v_t - m_t^2`, an estimate of the variance, stands in place of :math:`v_t` under the root.

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to update; see `Optimizer`.
    lr : float
        The learning rate :math:`\gamma \ge 0`.
    alpha : float
        :math:`\alpha`, from 0 to 1: how much of the running means is kept.
    eps : float
        :math:`\epsilon \ge 0`; keeps the quotient finite.
    weight_decay : float
        :math:`\lambda \ge 0`; the factor of an L2 penalty.
    momentum : float
        :math:`\mu \ge 0`; how much of the last update goes on.
    centered : bool
        Divide by the root of the variance instead of the mean square.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    ValueError, TypeError
        If there are no parameters, or a setting is out of range or no number.

    Notes
    -----
    Sources: Hinton, Neural Networks for Machine Learning, lecture 6e, 2012; Graves, Generating Sequences With Recurrent
    Neural Networks, 2013, eq. 38-45, for `centered`. As in PyTorch :math:`\epsilon` stands outside the root, and the
    learning rate outside the momentum. A variance that rounding has made negative counts as 0; PyTorch's steps are NaN
    there.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([1.0, -100.0], requires_grad=True)
    >>> optimizer = optim.RMSprop([w], lr=0.01)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w                                                # the first step is lr / √(1 - α), whatever the gradient's size
    Tensor([  0.9, -99.9], requires_grad=True)
    """

    switches = frozenset({"weight_decay", "momentum", "centered", "maximize"})

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 weight_decay: float = 0, momentum: float = 0, centered: bool = False, *,
                 maximize: bool = False) -> None:
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay,
                                  "momentum": momentum, "centered": centered, "maximize": maximize})

    def check(self, group: dict[str, Any]) -> None:
        """Raise if a setting is out of range (ValueError) or no number (TypeError)."""
        self.at_least_zero(group, "lr", "eps", "weight_decay", "momentum")
        self.from_zero_to_one(group, "alpha")

    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Name the mean square; the momentum and the mean gradient, if wanted."""
        return ("square_avg", *["momentum_buffer"] * bool(group["momentum"]), *["grad_avg"] * bool(group["centered"]))

    def rule(self, p: Any, g: Any, s: Any, *, lr: Any, alpha: Any, eps: Any, weight_decay: Any, momentum: Any,
             centered: Any, maximize: Any) -> Any:
        """Return the updated parameter."""
        g = descent(p, g, lr, weight_decay, maximize)
        mean_square(s.square_avg, alpha, g)
        spread = s.square_avg
        if centered:
            mean(s.grad_avg, alpha, g)
            spread = maximum(spread - s.grad_avg * s.grad_avg, 0)
        scale = sqrt(spread)
        scale += eps
        change = g / scale
        if momentum is not None:
            s.momentum_buffer *= momentum
            s.momentum_buffer += change
            change = s.momentum_buffer
        p -= lr * change
        return p
