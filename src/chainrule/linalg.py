"""Linear algebra under `numpy.linalg`'s names."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from . import gates as g
from .gate import adopt, stands_for

__all__ = ["norm"]


@stands_for(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    r"""Return the norm of a vector or matrix, or of the vectors along an axis.

    Parameters
    ----------
    x : tensor or array
    ord : {None, 0, 1, 2, inf, -inf, "fro"} or float
        None and 2 (of vectors) and "fro" (of matrices): :math:`\sqrt{\sum x^2}`; inf: the largest size; -inf: the
        smallest; 0: the count of non-zeros (no gradient); another number p: :math:`(\sum |x|^p)^{1/p}`. For matrices
        also 1 and -1 (the largest and smallest column sum) and ±inf (row sums).
    axis : int or tuple of int, optional
        One axis: vector norms along it; two: matrix norms. All axes by default.
    keepdims : bool

    Returns
    -------
    tensor or array
        Of floating-point numbers. Where the norm is 0, and where an element with an infinite derivative is, the
        gradient is 0.

    Raises
    ------
    ValueError
        If there is no such norm here; the norms by singular values (2 and "nuc" of matrices) are not.

    Examples
    --------
    >>> import chainrule as cr
    >>> float(cr.linalg.norm([3.0, 4.0]))
    5.0
    """
    x = adopt(x)
    if getattr(x, "dtype", np.dtype(float)).kind in "biu":
        x = g.cast(x, dtype=np.float64)
    ndim = np.ndim(x)
    axes = normalize_axis_tuple(range(ndim) if axis is None else axis, ndim)
    if ord is None:
        return g.norm2(x, axis=axes, keepdims=keepdims)
    if len(axes) == 1:
        if ord == 2:
            return g.norm2(x, axis=axes, keepdims=keepdims)
        if ord == np.inf:
            return g.max(g.abs(x), axis=axes, keepdims=keepdims)
        if ord == -np.inf:
            return g.min(g.abs(x), axis=axes, keepdims=keepdims)
        if ord == 0:
            return g.sum(g.cast(g.not_equal(x, 0), dtype=x.dtype), axis=axes, keepdims=keepdims)
        if ord == 1:
            return g.sum(g.abs(x), axis=axes, keepdims=keepdims)
        if isinstance(ord, int | float | np.number):
            return _power(g.sum(_power(g.abs(x), float(ord)), axis=axes, keepdims=keepdims), 1 / float(ord))
    elif len(axes) == 2:
        if ord == "fro":
            return g.norm2(x, axis=axes, keepdims=keepdims)
        rows, columns = axes
        along = {1: (rows, columns, g.max), -1: (rows, columns, g.min),
                 np.inf: (columns, rows, g.max), -np.inf: (columns, rows, g.min)}.get(ord)
        if along is not None:
            first, second, extreme = along
            z = extreme(g.sum(g.abs(x), axis=first, keepdims=True), axis=second, keepdims=True)
            return z if keepdims else g.squeeze(z, axis=(first, second))
    raise ValueError(f"norm: ord={ord!r} over {len(axes)} axes is not available; see the list in the documentation")


def _power(x: Any, p: float) -> Any:
    """Raise numbers that are not negative to a power; at 0 a derivative that would be infinite is 0."""
    if not 0 < p < 1:
        return g.power(x, p)
    nothing = g.equal(x, 0)
    return g.where(nothing, 0, g.power(g.where(nothing, 1, x), p))
