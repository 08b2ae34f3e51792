"""Linear algebra under `numpy.linalg`'s names."""
from __future__ import annotations

from typing import Any

import numpy as np

from . import gates as g
from .gate import stands_for

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
    ndim = np.ndim(x)
    axes = tuple(range(ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
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
            return g.sum(g.not_equal(x, 0), axis=axes, keepdims=keepdims)
        if ord == 1:
            return g.sum(g.abs(x), axis=axes, keepdims=keepdims)
        if isinstance(ord, int | float):
            return g.power(g.sum(g.power(g.abs(x), ord), axis=axes, keepdims=keepdims), 1 / ord)
    elif len(axes) == 2:
        if ord == "fro":
            return g.norm2(x, axis=axes, keepdims=keepdims)
        rows, columns = (a % ndim for a in axes)
        along = {1: (rows, columns, g.max), -1: (rows, columns, g.min),
                 np.inf: (columns, rows, g.max), -np.inf: (columns, rows, g.min)}.get(ord)
        if along is not None:
            first, second, extreme = along
            z = extreme(g.sum(g.abs(x), axis=first, keepdims=True), axis=second, keepdims=True)
            return z if keepdims else g.squeeze(z, axis=(first, second))
    raise ValueError(f"norm: ord={ord!r} over {len(axes)} axes is not available; see the list in the documentation")
