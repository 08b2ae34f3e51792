"""Adam, and Adam with decoupled weight decay."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..gates import maximum, sqrt
from .optimizer import Optimizer
from .terms import descent, mean, mean_square

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    r"""Adam: each element's step is scaled by running means of its gradient and of the gradient's square.

    .. math::
        g_t &= \nabla L(p_{t-1}) + \lambda\, p_{t-1} \\
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad
        v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2 \\
        p_t &= p_{t-1} - \gamma\, \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to update; see `Optimizer`.
    lr : float
        The learning rate :math:`\gamma \ge 0`: about the largest change of an element in a step.
    betas : (float, float)
        :math:`\beta_1` and :math:`\beta_2`, at least 0 and below 1: how much of the running means is kept.
    eps : float
        :math:`\epsilon \ge 0`; keeps the quotient finite.
    weight_decay : float
        :math:`\lambda \ge 0`; the factor of an L2 penalty, which goes through the running means.
    amsgrad : bool
        Divide by the largest :math:`v` so far instead of the present one.
    maximize : bool
        Climb instead of descend.
    decoupled_weight_decay : bool
        Decay the parameters themselves instead, as `AdamW` does.

    Raises
    ------
    ValueError, TypeError
        If there are no parameters, or a setting is out of range or no number.

    Notes
    -----
    Sources: Kingma and Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, algorithm 1, computed in the order
    that the end of their section 2 proposes, with :math:`\hat\epsilon = \epsilon \sqrt{1 - \beta_2^t}`; Reddi, Kale
    and Kumar, On the Convergence of Adam and Beyond, ICLR 2018, for `amsgrad`, which as in PyTorch compares the
    :math:`v` before their correction.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([1.0, -100.0], requires_grad=True)
    >>> optimizer = optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w                                                # the first step is lr, whatever the gradient's size
    Tensor([  0.9, -99.9], requires_grad=True)
    """

    switches = frozenset({"weight_decay", "amsgrad", "maximize", "decoupled_weight_decay"})

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, amsgrad: bool = False, *, maximize: bool = False,
                 decoupled_weight_decay: bool = False) -> None:
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay})

    def check(self, group: dict[str, Any]) -> None:
        """Raise if a setting is out of range (ValueError) or no number (TypeError)."""
        self.at_least_zero(group, "lr", "eps", "weight_decay")
        self.two_fractions(group, "betas")

    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Name the running means, and their maximum with `amsgrad`."""
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def rule(self, p: Any, g: Any, s: Any, *, lr: Any, betas: Any, eps: Any, weight_decay: Any, amsgrad: Any,
             maximize: Any, decoupled_weight_decay: Any) -> Any:
        """Return the updated parameter."""
        beta1, beta2 = betas
        g = descent(p, g, lr, weight_decay, maximize, decoupled_weight_decay)
        mean(s.exp_avg, beta1, g)
        mean_square(s.exp_avg_sq, beta2, g)
        largest = s.exp_avg_sq
        if amsgrad:
            largest = s.max_exp_avg_sq = maximum(s.max_exp_avg_sq, s.exp_avg_sq)
        root = (1 - beta2 ** s.step) ** 0.5
        scale = sqrt(largest)
        scale += eps * root
        change = s.exp_avg / scale
        change *= lr * root / (1 - beta1 ** s.step)
        p -= change
        return p


class AdamW(Adam):
    r"""Adam with decoupled weight decay: the parameters shrink by :math:`1 - \gamma \lambda` before each step.

    .. math::
        p_t = (1 - \gamma \lambda)\, p_{t-1}
        - \gamma\, \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    params, lr, betas, eps, amsgrad, maximize
        As for `Adam`.
    weight_decay : float
        :math:`\lambda \ge 0`; it does not go through the running means, so it acts on every parameter alike.

    Raises
    ------
    ValueError, TypeError
        If there are no parameters, or a setting is out of range or no number.

    Notes
    -----
    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019, algorithm 2, with the decay
    multiplied by the learning rate, as in PyTorch.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([2.0], requires_grad=True)
    >>> optimizer = optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (0 * w).sum().backward()                         # a gradient of 0: only the decay is left
    >>> optimizer.step()
    >>> w
    Tensor([1.9], requires_grad=True)
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *,
                 maximize: bool = False) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)
