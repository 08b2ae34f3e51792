"""Arrays, and what stands for them while a step is recorded (see `chainrule.compile`)."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..mode import recorder
from ..nn.calls import lowered
from ..tensor import Tensor

__all__ = ["alone", "as_array", "is_recorded", "truth"]


def as_array(x: Any, *, copy: bool = False) -> Any:
    """Return something as an array, or a copy of it; while a step is recorded, the tensor that stands for it.

    Examples
    --------
    >>> from chainrule.by_hand.arrays import as_array
    >>> as_array([1.0, 2.0])
    array([1., 2.])
    """
    if is_recorded(x):
        return lowered(x) if copy or x.tracked else x
    return np.array(x) if copy else np.asarray(x)


def alone(x: Any) -> Any:
    """Return a result that nobody looks at otherwise, so that a recorded step may write into it."""
    return lowered(x) if is_recorded(x) else x


def is_recorded(x: Any) -> bool:
    """Tell whether something stands for an array in a step that is being recorded."""
    return isinstance(x, Tensor) and recorder() is not None


def truth(x: Any) -> Any:
    """Return the values of an array, for a check that decides nothing but whether to raise an error."""
    return x.array if isinstance(x, Tensor) else x
