"""Dropout: noise in training, nothing in evaluation."""
from __future__ import annotations

from .. import functional as F
from ..tensor import Tensor
from .layer import Layer

__all__ = ["Dropout"]


class Dropout(Layer):
    r"""In training, set each element to 0 with probability `p` and scale the rest by :math:`1/(1-p)`.

    In evaluation it is the identity. The masks come from the stream `chainrule.random.dropout`.

    Parameters
    ----------
    p : float
        From 0 to 1.

    Raises
    ------
    ValueError
        If `p` is not a probability.

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.Dropout(0.5).eval()([1.0, 2.0])
    Tensor([1., 2.])
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, from 0 to 1, got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to each element."""
        return F.dropout(x, self.p, self.training)       # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """Return the arguments it was made with."""
        return f"p={self.p}"
