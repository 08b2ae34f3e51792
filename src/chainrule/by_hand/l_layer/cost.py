"""The cost of a network that gives probabilities: the mean cross-entropy."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ... import functional as F
from ...reverse import pullback
from ...tensor import Tensor
from ..arrays import as_array
from .shapes import Array, columns, like

__all__ = ["compute_cost", "losses_of_logits", "slope_of_losses"]


def compute_cost(AL: ArrayLike, Y: ArrayLike, caches: Sequence[Any] | None = None) -> Any:
    r"""Return the cross-entropy, :math:`J = -\frac1m \sum \bigl(Y \ln A_L + (1 - Y) \ln(1 - A_L)\bigr)`.

    Parameters
    ----------
    AL : array, shape (outputs, samples)
        Probabilities.
    Y : array, the same shape
        0 or 1, or probabilities.
    caches : list of tuple, optional
        What `L_model_forward` returned beside AL. The cost is then computed from the logits Z of the last layer, exact
        also for a network that is sure and wrong.

    Returns
    -------
    float
        Never NaN and never infinite. From AL alone, a loss is at most 100, since a probability of 1 to the last digit
        says no more than that; from logits it has no bound. (In a compiled step, a tensor.)

    Raises
    ------
    ValueError
        If the shapes differ, or an element of AL is not a probability.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import compute_cost
    >>> round(compute_cost(np.array([[0.5, 0.5]]), np.array([[1, 0]])), 5)
    0.69315
    >>> compute_cost(np.array([[1.0]]), np.array([[0]]))
    100.0
    """
    AL = columns("compute_cost", "AL", AL)
    Y = like("compute_cost", "Y", Y, "AL", AL.shape)
    if caches is not None:
        Z = like("compute_cost", "Z of the last layer", caches[-1][1], "AL", AL.shape)
        return _number(losses_of_logits(Z, Y) / AL.shape[1])
    return _number(F.binary_cross_entropy(AL, Y, reduction="sum") / AL.shape[1])


def losses_of_logits(Z: Any, Y: Array, reduction: str = "sum") -> Any:
    """Return the losses of the last layer's Z, before its sigmoid: added up, or each by itself ("none")."""
    return F.binary_cross_entropy_with_logits(Z, Y, reduction=reduction)


def slope_of_losses(Z: Array, Y: Array) -> Any:
    """Return the derivative of the losses, each sample's own, by the last layer's Z."""
    logits = Tensor(Z, requires_grad=True)
    losses = losses_of_logits(logits, Y)
    return as_array(pullback({losses: np.ones((), losses.dtype)})[logits], copy=True)


def _number(x: Any) -> Any:
    return x if isinstance(x, Tensor) else float(x)
