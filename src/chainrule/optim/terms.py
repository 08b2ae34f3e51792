"""The terms that update rules have in common, on arrays in place and on tensors under a recorder alike."""
from __future__ import annotations

from typing import Any

__all__ = ["descent", "mean", "mean_square"]


def descent(p: Any, g: Any, lr: Any, weight_decay: Any, maximize: Any, decoupled_weight_decay: Any = None) -> Any:
    r"""Return the gradient of what is to become small: turned over to climb, with the weight decay in it.

    .. math:: \pm g + \lambda\, p

    or, with decoupled weight decay, :math:`\pm g`, while the parameter shrinks at once by :math:`1 - \gamma\lambda`.
    The switches are None where they are off.
    """
    if maximize:
        g = -g
    if weight_decay is None:
        return g
    if decoupled_weight_decay is None:
        return g + weight_decay * p
    p *= 1 - lr * weight_decay
    return g


def mean(average: Any, keep: Any, value: Any) -> None:
    r"""Move a running mean: :math:`a \leftarrow \beta a + (1 - \beta)\, x`."""
    average *= keep
    average += (1 - keep) * value


def mean_square(average: Any, keep: Any, value: Any) -> None:
    r"""Move a running mean of squares: :math:`a \leftarrow \beta a + (1 - \beta)\, x^2`."""
    square = value * value
    square *= 1 - keep
    average *= keep
    average += square
