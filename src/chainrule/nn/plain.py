"""Objects with a forward and a backward on arrays that know nothing of this library, as layers."""
from __future__ import annotations

import inspect
from typing import Any

from .layer import Layer

__all__ = ["Plain", "is_plain"]


class Plain(Layer):
    """An object with `forward` and `backward` on arrays, as a layer: one gate, which can be differentiated once.

    `Sequential` makes it around whatever is no `Layer`. The object's own arrays stay its own: what its backward leaves
    in ``dW`` is for its author to use (``layer.W -= lr * layer.dW``), and no optimizer sees it. Where one should, write
    a `Layer` with a `Parameter`. If the object's `forward` takes ``train_flg``, it gets `training`.

    Parameters
    ----------
    thing : object

    Attributes
    ----------
    thing : object

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> class Double:
    ...     def forward(self, x):
    ...         return 2 * x
    ...     def backward(self, dout):
    ...         return 2 * dout
    >>> model = nn.Sequential(Double(), nn.ReLU())
    >>> model.forward(np.array([-1.0, 3.0]))
    array([0., 6.])
    >>> model.backward(np.array([1.0, 1.0]))
    array([0., 2.])
    """

    def __new__(cls, thing: Any) -> Plain:
        """Make a layer that goes by the name of the object's class, in errors and pictures."""
        return object.__new__(type(type(thing).__name__, (Plain,), {"__module__": type(thing).__module__}))

    def __init__(self, thing: Any) -> None:
        self.thing = thing
        self._flag = "train_flg" in inspect.signature(thing.forward).parameters

    def forward(self, *inputs: Any) -> Any:
        """Call the object's `forward`."""
        return self.thing.forward(*inputs, **({"train_flg": self.training} if self._flag else {}))

    def backward(self, dout: Any = None) -> Any:
        """Call the object's `backward`."""
        return self.thing.backward(dout)

    def __reduce__(self) -> tuple[Any, ...]:
        return Plain, (self.thing,), self.__getstate__()


def is_plain(thing: Any) -> bool:
    """Tell whether something has `forward` and `backward`, and is an object, not a class."""
    return not isinstance(thing, type) and all(callable(getattr(thing, name, None)) for name in ("forward", "backward"))
