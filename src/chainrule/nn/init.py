"""First values for parameters. Every function writes into the tensor it is given, and returns it."""
from __future__ import annotations

from .. import random
from ..mode import no_grad
from ..tensor import Tensor

__all__ = ["uniform_"]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Draw from [a, b) with equal probability.

    Parameters
    ----------
    tensor : Tensor
    a, b : float

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> from chainrule import nn
    >>> w = nn.init.uniform_(nn.Parameter([0.0, 0.0]), 2.0, 3.0)
    >>> bool((w >= 2).all() & (w < 3).all())
    True
    """
    with no_grad():
        tensor.assign(random.init.uniform(a, b, tensor.shape, tensor.dtype))
    return tensor
