"""A parameter: a tensor that belongs to the layer it is assigned to, and is trained."""
from __future__ import annotations

from numpy.typing import ArrayLike, DTypeLike

from ..tensor import Tensor

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A tensor that belongs to the layer it is assigned to, and is trained.

    Parameters
    ----------
    value : array_like or Tensor
        Copied; its dtype is kept.
    requires_grad : bool
        False freezes it: it stays in the `state_dict` and among the parameters.
    dtype : dtype, optional
    name : str

    Examples
    --------
    >>> from chainrule import nn
    >>> nn.Parameter([1.0, 2.0])
    Tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, value: ArrayLike | Tensor, requires_grad: bool = True, dtype: DTypeLike | None = None,
                 name: str = "") -> None:
        super().__init__(value, requires_grad, dtype, name)
