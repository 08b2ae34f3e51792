"""Losses: layers with two inputs, scores and a target, whose result is one number."""
from __future__ import annotations

from typing import Any

from .. import functional as F
from ..tensor import Tensor
from .layer import Layer

__all__ = ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "Loss", "MSELoss"]


class Loss(Layer):
    """The base of the losses.

    By hand, ``loss.forward(scores, target)`` gives a number and ``loss.backward()`` the gradient of the scores alone:
    the target is data.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        What is returned: the mean or the sum of the losses, or each of them.

    Raises
    ------
    ValueError
        If the reduction is none of these.
    """

    constants = ("target",)

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"{type(self).__name__}: reduction is 'mean', 'sum' or 'none', got {reduction!r}")
        self.reduction = reduction

    def extra_repr(self) -> str:
        """Return the arguments it was made with."""
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class MSELoss(Loss):
    r"""The mean squared error, :math:`\frac1n \sum (x - t)^2`; see `functional.mse_loss`.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> loss = nn.MSELoss()
    >>> float(loss.forward(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    >>> loss.backward()
    array([ 0., -2.])
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare tensors of one shape."""
        return F.mse_loss(input, target, reduction=self.reduction)  # type: ignore[no-any-return]


class BCELoss(Loss):
    r"""Binary cross-entropy of probabilities; see `functional.binary_cross_entropy`.

    Parameters
    ----------
    weight : array_like, optional
        Factors that broadcast to the losses.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> from chainrule import nn
    >>> round(nn.BCELoss()([0.5], [1.0]).item(), 6)
    0.693147
    """

    weight: Tensor | None

    def __init__(self, weight: Any = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare probabilities with a target of their shape."""
        return F.binary_cross_entropy(  # type: ignore[no-any-return]
            input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    r"""Binary cross-entropy of scores; see `functional.binary_cross_entropy_with_logits`.

    Parameters
    ----------
    weight : array_like, optional
        Factors that broadcast to the losses.
    reduction : {"mean", "sum", "none"}
    pos_weight : array_like, optional
        How much more a positive counts than a negative.

    Examples
    --------
    >>> from chainrule import nn
    >>> round(nn.BCEWithLogitsLoss()([0.0], [1.0]).item(), 6)
    0.693147
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare scores with a target of their shape."""
        return F.binary_cross_entropy_with_logits(  # type: ignore[no-any-return]
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight)


class CrossEntropyLoss(Loss):
    r"""Cross-entropy of scores, softmax included; see `functional.cross_entropy`.

    Parameters
    ----------
    weight : array_like, shape (C,), optional
        A factor for each class.
    ignore_index : int
        A class that counts nothing.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        From 0 to 1: the share of the target that is spread over all classes.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> loss = nn.CrossEntropyLoss()
    >>> round(float(loss.forward(np.array([[0.0, 0.0]]), np.array([1]))), 6)
    0.693147
    >>> loss.backward()
    array([[ 0.5, -0.5]])
    """

    weight: Tensor | None

    def __init__(self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean",
                 label_smoothing: float = 0.0) -> None:
        super().__init__(reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss: label_smoothing lies between 0 and 1, got {label_smoothing}")
        self.register_buffer("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare scores (N, C, ...) with classes (N, ...) or probabilities (N, C, ...)."""
        return F.cross_entropy(  # type: ignore[no-any-return]
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
            label_smoothing=self.label_smoothing)
