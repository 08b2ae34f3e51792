"""NAdam: Adam with Nesterov's momentum."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from ..gates import sqrt
from .optimizer import Optimizer
from .terms import descent, mean, mean_square

__all__ = ["NAdam"]


class NAdam(Optimizer):
    r"""NAdam: Adam that looks ahead along its momentum, which itself is warmed up.

    .. math::
        g_t &= \nabla L(p_{t-1}) + \lambda\, p_{t-1}, \qquad
        \mu_t = \beta_1 \left(1 - \tfrac12\, 0.96^{\,t \psi}\right) \\
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad
        v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2 \\
        \hat m_t &= \frac{\mu_{t+1}\, m_t}{1 - \prod_{i=1}^{t+1} \mu_i}
        + \frac{(1 - \mu_t)\, g_t}{1 - \prod_{i=1}^{t} \mu_i} \\
        p_t &= p_{t-1} - \gamma\, \frac{\hat m_t}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

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
    momentum_decay : float
        :math:`\psi \ge 0`; how fast the momentum warms up, from :math:`\beta_1 / 2` to :math:`\beta_1`.
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
    Source: Dozat, Incorporating Nesterov Momentum into Adam, ICLR 2016 workshop, algorithm 2 and section 3, as in
    PyTorch: the running mean is kept with :math:`\beta_1`, not with :math:`\mu_t`. The product of the :math:`\mu_i` is
    state (``"mu_product"``), since a new setting acts on the later ones only.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([1.0], requires_grad=True)
    >>> optimizer = optim.NAdam([w], lr=0.1, betas=(0.0, 0.999))
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w                                                # no momentum: the first step is lr
    Tensor([0.9], requires_grad=True)
    """

    switches = frozenset({"weight_decay", "decoupled_weight_decay", "maximize"})
    scalars: ClassVar[dict[str, int | float]] = {**Optimizer.scalars, "mu_product": 1.0}

    def __init__(self, params: Iterable[Any], lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0, momentum_decay: float = 4e-3,
                 decoupled_weight_decay: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize})

    def check(self, group: dict[str, Any]) -> None:
        """Raise if a setting is out of range (ValueError) or no number (TypeError)."""
        self.at_least_zero(group, "lr", "eps", "weight_decay", "momentum_decay")
        self.two_fractions(group, "betas")

    def moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Name the running means."""
        return "exp_avg", "exp_avg_sq"

    def rule(self, p: Any, g: Any, s: Any, *, lr: Any, betas: Any, eps: Any, weight_decay: Any, momentum_decay: Any,
             decoupled_weight_decay: Any, maximize: Any) -> Any:
        """Return the updated parameter."""
        beta1, beta2 = betas
        g = descent(p, g, lr, weight_decay, maximize, decoupled_weight_decay)
        mean(s.exp_avg, beta1, g)
        mean_square(s.exp_avg_sq, beta2, g)
        now, ahead = (beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in (s.step, s.step + 1))
        s.mu_product = s.mu_product * now
        root = (1 - beta2 ** s.step) ** 0.5
        scale = sqrt(s.exp_avg_sq)
        scale += eps * root
        change = (ahead / (1 - s.mu_product * ahead)) * s.exp_avg
        change += ((1 - now) / (1 - s.mu_product)) * g
        change /= scale
        change *= lr * root
        p -= change
        return p
