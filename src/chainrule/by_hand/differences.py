"""The gradient of a function by differences, as textbooks have it: the array itself is moved, and put back."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..check.numerical import Along
from ..check.numerical import numerical_gradient as on_copies
from ..gate import describe

__all__ = ["numerical_gradient"]


def numerical_gradient(f: Callable[[Any], Any], x: Any, h: float | None = None) -> Any:
    r"""Return the gradient of `f` at `x` by central differences, :math:`(f(x + h e_i) - f(x - h e_i)) / 2h`.

    Each element of `x` is moved in place and put back, whatever happens in `f`, an exception and Ctrl-C included. So
    `f` may use `x` under any name: the weights of a network, say, whose loss it returns.
    (`chainrule.numerical_gradient` moves a copy, which `f` must use.)

    Parameters
    ----------
    f : callable
        Of one argument, `x` itself. Returns one number.
    x : array of floating-point numbers, or float
        In float32 expect three or four digits, in float64 nine or ten: rounding is all but the difference. float16 is
        refused.
    h : float, optional
        By default :math:`\sqrt[3]{\epsilon} \max(1, |x_i|)`, 6e-6 in float64 and 5e-3 in float32, where truncation and
        rounding are about equal.

    Returns
    -------
    array or float
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        If `x` is not an array of floating-point numbers: small steps cannot move integers.
    ValueError
        If `x` cannot be written, `h` is not above 0, or `f` returns more than one number.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.two_layer_net import numerical_gradient
    >>> numerical_gradient(lambda x: x[0] ** 2 + x[1] ** 2, np.array([3.0, 4.0])).round(8)
    array([6., 8.])
    """
    if h is not None and not h > 0:
        raise ValueError(f"numerical_gradient: h={h!r}, expected a number above 0")
    if isinstance(x, int | float):
        return on_copies(f, float(x), step=h)
    if not isinstance(x, np.ndarray):
        raise TypeError(f"numerical_gradient: x is moved in place, so it is an array, got {type(x).__name__}; "
                        "np.array(x, dtype=float) makes one")
    if x.dtype.kind != "f":
        raise TypeError(f"numerical_gradient: x has dtype {x.dtype}, and small steps are possible from floating-point "
                        "numbers only; convert it with .astype(float)")
    if x.dtype.itemsize < 4:
        raise TypeError(f"numerical_gradient: x has dtype {x.dtype}, in which differences are all rounding; convert it "
                        "with .astype(float)")
    if not x.flags.writeable:
        raise ValueError(f"numerical_gradient: x, {describe(x)}, is read-only, and it is moved in place; pass x.copy()")

    def value() -> float:
        z = f(x)
        if np.size(z) != 1:
            raise ValueError(f"numerical_gradient: f returned shape {np.shape(z)}, and a gradient is that of one "
                             "number; reduce it with np.sum")
        return float(np.reshape(z, ()))

    base, least = value(), float(np.cbrt(float(np.finfo(x.dtype).eps)))
    slopes = np.empty_like(x)
    for i in np.ndindex(x.shape):
        step = least * max(1.0, abs(float(x[i]))) if h is None else h
        slopes[i] = Along(x, i, lambda: value() - base).central(step)
    return slopes
