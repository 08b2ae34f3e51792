"""Layers that apply one gate to each element, or along one axis."""
from __future__ import annotations

from .. import gates as g
from ..tensor import Tensor
from .layer import Layer

__all__ = ["ReLU", "Sigmoid", "Softmax", "Tanh"]


class ReLU(Layer):
    r"""The rectified linear unit :math:`\max(x, 0)`; its derivative at 0 is 0.

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.ReLU()([-1.0, 2.0])
    Tensor([0., 2.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to each element."""
        return g.relu(x)                                 # type: ignore[no-any-return]


class Sigmoid(Layer):
    """The logistic function :math:`1/(1 + e^{-x})`.

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.Sigmoid()([0.0])
    Tensor([0.5])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to each element."""
        return g.sigmoid(x)                              # type: ignore[no-any-return]


class Tanh(Layer):
    r"""The hyperbolic tangent.

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.Tanh()([0.0])
    Tensor([0.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to each element."""
        return g.tanh(x)                                 # type: ignore[no-any-return]


class Softmax(Layer):
    r"""Probabilities from scores, :math:`e^{x_i} / \sum_j e^{x_j}`, along one axis.

    Parameters
    ----------
    dim : int
        The axis.

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.Softmax()([[0.0, 0.0]])
    Tensor([[0.5, 0.5]])
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Apply it along the axis."""
        return g.softmax(x, axis=self.dim)               # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """Return the arguments it was made with."""
        return f"dim={self.dim}"
