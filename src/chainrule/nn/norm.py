"""Batch normalisation."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import functional as F
from .. import gates as g
from ..tensor import Tensor
from .layer import Layer
from .parameter import Parameter

__all__ = ["BatchNorm1d"]


class BatchNorm1d(Layer):
    r"""Each channel brought to mean 0 and variance 1 over the batch, then scaled and shifted.

    .. math:: y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \cdot w + b

    In training :math:`\mu` and :math:`\sigma^2` (biased) are those of the batch, and running means of them (of the
    unbiased variance) are kept for evaluation.

    Parameters
    ----------
    num_features : int
        The number of channels: the length of axis 1.
    eps : float
    momentum : float or None
        The share of each batch in the running statistics; with None, they are the plain means over all batches.
    affine : bool
        Whether there are `weight` and `bias`.
    track_running_stats : bool
        Without, the statistics are always those of the batch.
    dtype : dtype
        Of parameters and running statistics.

    Attributes
    ----------
    weight, bias : Parameter, shape (num_features,), or None
        Ones and zeros to begin with.
    running_mean, running_var : Tensor, shape (num_features,), or None
        Buffers: zeros and ones to begin with.
    num_batches_tracked : Tensor, shape (), or None
        A buffer: how many batches they have seen.

    Raises
    ------
    ValueError
        If the input is not (N, C) or (N, C, L), or in training has one value for each channel.

    Notes
    -----
    Source: Ioffe and Szegedy, Batch Normalization, ICML 2015, algorithms 1 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> layer = nn.BatchNorm1d(1, eps=0.0)
    >>> layer.forward(np.array([[1.0], [3.0]]))
    array([[-1.],
           [ 1.]], dtype=float32)
    >>> layer.running_mean, layer.running_var
    (Tensor([0.2], dtype=float32), Tensor([1.1], dtype=float32))
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, dtype: DTypeLike = np.float32) -> None:
        if num_features < 1:
            raise ValueError(f"BatchNorm1d: expected at least one channel, got {num_features}")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(np.ones(num_features, dtype)) if affine else None
        self.bias = Parameter(np.zeros(num_features, dtype)) if affine else None
        self.register_buffer("running_mean", np.zeros(num_features, dtype) if track_running_stats else None)
        self.register_buffer("running_var", np.ones(num_features, dtype) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", np.int64(0) if track_running_stats else None)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C) or (N, C, L)."""
        shape = x.shape
        if len(shape) not in (2, 3) or shape[1] != self.num_features:
            raise ValueError(f"got {shape}, expected (N, {self.num_features}) or (N, {self.num_features}, L)")
        momentum: Any = self.momentum
        batches = self.num_batches_tracked if self.training else None
        if momentum is None and batches is not None:
            momentum = 1 / g.cast(batches + 1, dtype=x.dtype)
        y = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training, momentum,
                         self.eps)
        if batches is not None:
            batches.assign(batches + 1)
        return y                                         # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """Return the arguments it was made with."""
        defaults = {"eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True}
        return ", ".join([str(self.num_features), *(f"{name}={getattr(self, name)}" for name, value in defaults.items()
                                                    if getattr(self, name) != value)])
