"""The affine layer, and the layers that only pass on or reshape."""
from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from .. import gates as g
from ..tensor import Tensor
from . import init
from .layer import Layer
from .parameter import Parameter

__all__ = ["Flatten", "Identity", "Linear"]


class Linear(Layer):
    r"""An affine map: :math:`Y = X W^T + b`.

    Parameters
    ----------
    in_features, out_features : int
        The length of the last axis of the input, and of the result.
    bias : bool
        Whether there is a `bias`.
    dtype : dtype
        Of the parameters.

    Attributes
    ----------
    weight : Parameter, shape (out_features, in_features)
        Uniform in :math:`\pm 1/\sqrt{\text{in\_features}}` to begin with, as in PyTorch (Kaiming-uniform with
        :math:`a = \sqrt 5`; He et al., Delving Deep into Rectifiers, 2015, eq. 10).
    bias : Parameter, shape (out_features,), or None
        Uniform in the same range.

    Raises
    ------
    ValueError
        If the last axis of an input is not `in_features` long.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> layer = nn.Linear(3, 2)
    >>> layer(np.zeros((5, 3))).shape
    (5, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: DTypeLike = np.float32) -> None:
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear: expected at least one feature in and out, got {in_features} and {out_features}")
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(np.empty((out_features, in_features), dtype))
        self.bias = Parameter(np.empty(out_features, dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = self.in_features ** -0.5
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        try:
            return g.linear(x, self.weight, self.bias)   # type: ignore[no-any-return]
        except ValueError:
            if x.shape[-1:] != (self.in_features,):
                raise ValueError(f"got {x.shape}, the last axis must be {self.in_features}") from None
            raise

    def extra_repr(self) -> str:
        """Return the arguments it was made with."""
        return f"{self.in_features} → {self.out_features}" + ("" if self.bias is not None else ", no bias")


class Identity(Layer):
    """The input as it is.

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.Identity()([1.0, 2.0])
    Tensor([1., 2.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`."""
        return x


class Flatten(Layer):
    """The axes from `start_dim` to `end_dim` made one.

    Parameters
    ----------
    start_dim, end_dim : int
        By default all but the first, which counts the samples.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.Flatten()(np.zeros((5, 8, 8))).shape
    (5, 64)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        """Join the axes."""
        shape = x.shape
        if not shape:
            return x.reshape(1)
        if not (-len(shape) <= self.start_dim < len(shape) and -len(shape) <= self.end_dim < len(shape)):
            raise ValueError(f"got {shape}, which has no axes {self.start_dim} to {self.end_dim}")
        start, end = self.start_dim % len(shape), self.end_dim % len(shape)
        if start > end:
            raise ValueError(f"start_dim={self.start_dim} lies behind end_dim={self.end_dim} of {shape}")
        joined = int(np.prod(shape[start:end + 1], dtype=np.int64))
        return x.reshape((*shape[:start], joined, *shape[end + 1:]))

    def extra_repr(self) -> str:
        """Return the arguments it was made with."""
        return "" if (self.start_dim, self.end_dim) == (1, -1) else f"{self.start_dim}, {self.end_dim}"
