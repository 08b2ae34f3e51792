"""From what a network finds easy to give to the units of what it predicts."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import nn
from ..tensor import Tensor

__all__ = ["Units"]


class Units(nn.Layer):
    r"""Scales outputs: :math:`y = s\,x + m`, with fixed :math:`m` and :math:`s` for each of them.

    A network begins with outputs near 0 and of size 1; targets may lie anywhere. With their mean and deviation here,
    the learning rates that suit one suit the other. Both are buffers, so they are saved with the weights.

    Parameters
    ----------
    outputs : int

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.cli.units import Units
    >>> layer = Units(1)
    >>> layer.fit(np.array([[10.0], [14.0]]))
    >>> layer([[0.5]])
    Tensor([[13.]])
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, outputs: int) -> None:
        self.register_buffer("mean", np.zeros(outputs, np.float32))
        self.register_buffer("scale", np.ones(outputs, np.float32))

    def fit(self, targets: NDArray[np.floating]) -> None:
        """Take mean and deviation from targets, of shape (samples, outputs). What is constant is not scaled."""
        deviation = targets.std(0)
        self.mean.assign(targets.mean(0))
        self.scale.assign(np.where(deviation > 0, deviation, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Scale outputs of shape (N, outputs)."""
        return x * self.scale + self.mean  # type: ignore[no-any-return]
