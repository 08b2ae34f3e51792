"""RAdam: Adam that waits until it knows the scale of the gradient."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..gates import sqrt, where
from .optimizer import Optimizer
from .terms import descent, mean, mean_square

__all__ = ["RAdam"]


class RAdam(Optimizer):
    r"""RAdam: Adam that follows its momentum plainly until enough steps have shown how large the gradients are.

    .. math::
        g_t &= \nabla L(p_{t-1}) + \lambda\, p_{t-1} \\
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad
        v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2 \\
        \rho_\infty &= \frac{2}{1 - \beta_2} - 1, \qquad
        \rho_t = \rho_\infty - \frac{2 t\, \beta_2^t}{1 - \beta_2^t}, \qquad
        r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2)\, \rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2)\, \rho_t}} \\
        p_t &= p_{t-1} - \gamma\, \frac{m_t}{1 - \beta_1^t} \cdot
        \begin{cases} r_t \sqrt{1 - \beta_2^t} \,/ \left(\sqrt{v_t} + \epsilon\right) & \rho_t > 5 \\
        1 & \text{else} \end{cases}

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to update; see `Optimizer`.
    lr : float
        The learning rate :math:`\gamma \ge 0`.
    betas : (float, float)
        :math:`\beta_1` and :math:`\beta_2`, at least 0 and below 1: how much of the running means is kept.
    eps : float
        :math:`\epsilon \ge 0`; keeps the quotient finite.
    weight_decay : float
        :math:`\lambda \ge 0`; the factor of an L2 penalty.
    decoupled_weight_decay : bool
        Shrink the parameters by :math:`1 - \gamma\lambda` instead, as `AdamW` does.
    maximize : bool
        Climb instead of descend.

    Raises
    ------
    ValueError, TypeError
        If there are no parameters, or a setting is out of range or no number.

    Notes
    -----
    Source: Liu, Jiang, He, Chen, Liu, Gao and Han, On the Variance of the Adaptive Learning Rate and Beyond, ICLR 2020,
    algorithm 2, with a bound of 5 in place of 4, as in the authors' program and in PyTorch.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([1.0], requires_grad=True)
    >>> optimizer = optim.RAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w                                                # at first a step along the gradient, 1 - 0.1·2
    Tensor([0.8], requires_grad=True)
    """

    switches = frozenset({"weight_decay", "decoupled_weight_decay", "maximize"})

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, decoupled_weight_decay: bool = False, *,
                 maximize: bool = False) -> None:
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize})

    def check(self, group: dict[str, Any]) -> None:
        """Raise if a setting is out of range (ValueError) or no number (TypeError)."""
        self.at_least_zero(group, "lr", "eps", "weight_decay")
        self.two_fractions(group, "betas")

    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Name the running means."""
        return "exp_avg", "exp_avg_sq"

    def rule(self, p: Any, g: Any, s: Any, *, lr: Any, betas: Any, eps: Any, weight_decay: Any,
             decoupled_weight_decay: Any, maximize: Any) -> Any:
        """Return the updated parameter."""
        beta1, beta2 = betas
        g = descent(p, g, lr, weight_decay, maximize, decoupled_weight_decay)
        mean(s.exp_avg, beta1, g)
        mean_square(s.exp_avg_sq, beta2, g)
        power = beta2 ** s.step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * s.step * power / (1 - power)
        known = length > 5                                 # a number to compute with: a recorded step cannot branch
        rectified = _share(length, known) / _share(longest, known) * (1 - power) * known + (1 - known)
        scale = sqrt(s.exp_avg_sq)
        scale += eps
        change = s.exp_avg / where(known, scale, 1)
        change *= lr / (1 - beta1 ** s.step) * rectified ** 0.5
        p -= change
        return p


def _share(length: Any, known: Any) -> Any:
    """Return (ρ - 4)(ρ - 2)/ρ, and 1 where it does not count and might be 0 or negative."""
    length = length * known + (1 - known)
    return (length - 4 * known) * (length - 2 * known) / length
