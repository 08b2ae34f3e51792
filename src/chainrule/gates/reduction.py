"""Gates that combine elements along axes."""
from __future__ import annotations

from functools import lru_cache
from math import prod as product
from typing import Any

import numpy as np

from ..gate import gate
from .comparison import equal
from .elementwise import cast, exp, where
from .shaping import broadcast_to, concatenate, expand_dims, flip, moveaxis, reshape

__all__ = ["cumsum", "log_softmax", "logsumexp", "max", "mean", "min", "prod", "softmax", "std", "sum", "sum_to", "var"]

Axis = int | tuple[int, ...] | None
ALONG = "an axis, a tuple of axes, or None for all of them"


def _spread(dz: Any, axis: Axis, keepdims: bool) -> Any:
    """Give a reduced value its axes back, so that it broadcasts against what was reduced."""
    return dz if axis is None or keepdims else expand_dims(dz, axis=axis)


def _count(x: Any, axis: Axis) -> int:
    """Count the elements that go into one."""
    if axis is None:
        return int(x.size)
    return product(x.shape[i] for i in ((axis,) if isinstance(axis, int) else axis))


# ------------------------------------------------------------------ sums
def _sum(x: Any, axis: Axis = None, keepdims: bool = False, out: Any = None) -> Any:
    return np.add.reduce(x, axis=axis, keepdims=keepdims, out=out)


def _d_sum(dz: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return broadcast_to(_spread(dz, axis, keepdims), shape=x.shape)


sum = gate(
    "sum", _sum, (_d_sum,), formula=r"z = \sum_i x_i", partials=("1",), shapes=ALONG, numpy=(np.sum,), method=True,
    out=True, summary="The sum along axes. It hands the gradient to every element.",
    example=">>> float(cr.sum([1.0, 2.0, 3.0]))\n6.0")


@lru_cache(64)
def _ones(n: int, dtype: Any) -> Any:
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


def _sum_to(x: Any, shape: tuple[int, ...], out: Any = None) -> Any:
    lead = x.ndim - len(shape)
    if lead == 1 and x.ndim == 2 and x.dtype.char in "fd" and shape == x.shape[1:]:
        return np.dot(_ones(x.shape[0], x.dtype), x, out=out)      # the gradient of a bias: 2 to 5 times faster so
    if shape == x.shape[lead:]:
        return np.add.reduce(x, axis=0 if lead == 1 else tuple(range(lead)), out=out)
    axes = tuple(i for i in range(x.ndim) if i < lead or (shape[i - lead] == 1 != x.shape[i]))
    if out is None:
        return np.add.reduce(x, axis=axes).reshape(shape)
    kept = out.reshape([1 if i in axes else n for i, n in enumerate(x.shape)])
    np.add.reduce(x, axis=axes, out=kept, keepdims=True)
    return out


sum_to = gate(
    "sum_to", _sum_to, (lambda dz, z, x, shape: broadcast_to(dz, shape=x.shape),), formula=r"z = \sum_i x_i",
    partials=("1",), out=True,
    summary="The sum over whatever was broadcast, back to a smaller shape: the transpose of broadcasting.",
    example=">>> cr.sum_to(np.ones((3, 2)), (2,))\narray([3., 3.])")


def _cumsum(x: Any, axis: int | None = None, out: Any = None) -> Any:
    return np.cumsum(x, axis=axis, out=out)


def _d_cumsum(dz: Any, z: Any, x: Any, axis: int | None = None) -> Any:
    along = 0 if axis is None else axis
    return reshape(flip(cumsum(flip(dz, axis=along), axis=along), axis=along), shape=x.shape)


cumsum = gate(
    "cumsum", _cumsum, (_d_cumsum,), formula=r"z_i = \sum_{j \le i} x_j", partials=(r"[j \le i]",), method=True,
    out=True, numpy=(np.cumsum,), summary="The running sum along an axis, or of the flattened array.",
    example=">>> cr.cumsum([1.0, 2.0, 3.0])\narray([1., 3., 6.])")

# ------------------------------------------------------------------ moments


def _mean(x: Any, axis: Axis = None, keepdims: bool = False, out: Any = None) -> Any:
    x = np.asarray(x)
    return np.true_divide(np.add.reduce(x, axis=axis, keepdims=keepdims), _count(x, axis), out=out)


def _d_mean(dz: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return broadcast_to(_spread(dz, axis, keepdims) / _count(x, axis), shape=x.shape)


mean = gate(
    "mean", _mean, (_d_mean,), formula=r"z = \frac1n \sum_i x_i", partials=("1/n",), shapes=ALONG, numpy=(np.mean,),
    method=True, out=True, summary="The mean along axes.", example=">>> float(cr.mean([1.0, 2.0, 3.0]))\n2.0")


def _var(x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return np.var(x, axis=axis, ddof=ddof, keepdims=keepdims)


def _d_var(dz: Any, z: Any, x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    away = x - mean(x, axis=axis, keepdims=True)
    return _spread(dz, axis, keepdims) * (away * (2 / (_count(x, axis) - ddof)))


var = gate(
    "var", _var, (_d_var,), formula=r"z = \frac{1}{n - d} \sum_i (x_i - \bar x)^2", shapes=ALONG, method=True,
    partials=(r"\frac{2}{n-d} (x - \bar x)",), numpy=(np.var,),
    summary="The variance along axes; `ddof` is what is taken off the count (NumPy's default 0, unbiased with 1).",
    example=">>> float(cr.var([1.0, 3.0]))\n1.0")


def _std(x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return np.std(x, axis=axis, ddof=ddof, keepdims=keepdims)


def _d_std(dz: Any, z: Any, x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    z = _spread(z, axis, keepdims)
    away = x - mean(x, axis=axis, keepdims=True)
    return _spread(dz, axis, keepdims) * (away / ((_count(x, axis) - ddof) * where(equal(z, 0), 1, z)))


std = gate(
    "std", _std, (_d_std,), formula=r"z = \sqrt{\frac{1}{n - d} \sum_i (x_i - \bar x)^2}", shapes=ALONG, method=True,
    partials=(r"\frac{x - \bar x}{(n-d)\,z}",), numpy=(np.std,), ties="0 where all elements are equal",
    summary="The standard deviation along axes; `ddof` as for `var`.", example=">>> float(cr.std([1.0, 3.0]))\n1.0")

# ------------------------------------------------------------------ extremes and products


def _max(x: Any, axis: Axis = None, keepdims: bool = False, out: Any = None) -> Any:
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims, out=out)


def _min(x: Any, axis: Axis = None, keepdims: bool = False, out: Any = None) -> Any:
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims, out=out)


def _d_extreme(dz: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    winners = cast(equal(x, _spread(z, axis, keepdims)), dtype=x.dtype)
    return _spread(dz, axis, keepdims) * (winners / sum(winners, axis=axis, keepdims=True))


max = gate(
    "max", _max, (_d_extreme,), formula=r"z = \max_i x_i", partials=("[x = z]/n",), shapes=ALONG, method=True,
    numpy=(np.max, np.amax), out=True, ties="shared equally among the n elements that attain the maximum",
    summary="The largest element along axes.", example=">>> float(cr.max([1.0, 3.0, 2.0]))\n3.0")
min = gate(
    "min", _min, (_d_extreme,), formula=r"z = \min_i x_i", partials=("[x = z]/n",), shapes=ALONG, method=True,
    numpy=(np.min, np.amin), out=True, ties="shared equally among the n elements that attain the minimum",
    summary="The smallest element along axes.", example=">>> float(cr.min([1.0, 3.0, 2.0]))\n1.0")


def _prod(x: Any, axis: Axis = None, keepdims: bool = False, out: Any = None) -> Any:
    return np.multiply.reduce(x, axis=axis, keepdims=keepdims, out=out)


def _others(x: Any) -> Any:
    """Give for each element the product of all the others along the last axis.

    Pairs are multiplied up a binary tree; on the way down each node passes on what it was given times its sibling. No
    division, so zeros are no special case, nor are their second derivatives.
    """
    n = x.shape[-1]
    if n == 1:
        return x * 0 + 1
    if n % 2:
        x = concatenate([x, broadcast_to(cast(1, dtype=x.dtype), shape=(*x.shape[:-1], 1))], axis=-1)
    pairs = reshape(x, shape=(*x.shape[:-1], -1, 2))
    above = _others(pairs[..., 0] * pairs[..., 1])
    return reshape(expand_dims(above, axis=-1) * flip(pairs, axis=-1), shape=x.shape)[..., :n]


def _d_prod(dz: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    if not x.size:
        return dz * x if axis is None else _spread(dz, axis, keepdims) * x
    ndim = len(x.shape)
    axes = tuple(range(ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    last = tuple(range(ndim - len(axes), ndim))
    moved = moveaxis(x, source=axes, destination=last)
    others = reshape(_others(reshape(moved, shape=(*moved.shape[:ndim - len(axes)], _count(x, axes)))),
                     shape=moved.shape)
    return _spread(dz, axis, keepdims) * moveaxis(others, source=last, destination=axes)


prod = gate(
    "prod", _prod, (_d_prod,), formula=r"z = \prod_i x_i", partials=(r"\prod_{j \ne i} x_j",), shapes=ALONG,
    method=True, out=True, numpy=(np.prod,), summary="The product along axes; right for zeros too.",
    example=">>> float(cr.prod([2.0, 3.0, 4.0]))\n24.0")

# ------------------------------------------------------------------ exponentials and their sums


def _logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    x = np.asarray(x)
    top = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf if x.size == 0 else np._NoValue)
    top = np.where(np.isfinite(top), top, 0)                       # ∞ - ∞ would be NaN
    with np.errstate(divide="ignore"):
        z = np.log(np.add.reduce(np.exp(x - top), axis=axis, keepdims=True)) + top
    return z if keepdims else np.squeeze(z, axis=axis)[()]


logsumexp = gate(
    "logsumexp", _logsumexp,
    (lambda dz, z, x, axis=None, keepdims=False: _spread(dz, axis, keepdims) * exp(x - _spread(z, axis, keepdims)),),
    formula=r"z = \ln \sum_i e^{x_i}", partials=("e^{x_i - z}",), shapes=ALONG, method=True,
    summary="The logarithm of a sum of exponentials, exact for arguments of any size.",
    example=">>> float(cr.logsumexp([1000.0, 1000.0]) - 1000.0) == np.log(2)\nTrue")


def _log_softmax(x: Any, axis: int = -1, out: Any = None) -> Any:
    z = np.subtract(x, np.maximum.reduce(x, axis=axis, keepdims=True), out=out)
    return np.subtract(z, np.log(np.add.reduce(np.exp(z), axis=axis, keepdims=True)), out=z)


log_softmax = gate(
    "log_softmax", _log_softmax, (lambda dz, z, x, axis=-1: dz - exp(z) * sum(dz, axis=axis, keepdims=True),),
    formula=r"z_i = x_i - \ln \sum_j e^{x_j}", partials=(r"\delta_{ij} - e^{z_j}",), method=True, out=True,
    summary="The logarithm of softmax, exact for scores of any size.",
    example=">>> float(cr.log_softmax([0.0, 0.0])[0]) == -np.log(2)\nTrue")


def _softmax(x: Any, axis: int = -1) -> Any:
    z = np.exp(np.subtract(x, np.maximum.reduce(x, axis=axis, keepdims=True)))
    z /= np.add.reduce(z, axis=axis, keepdims=True)
    return z


softmax = gate(
    "softmax", _softmax, (lambda dz, z, x, axis=-1: z * (dz - sum(dz * z, axis=axis, keepdims=True)),),
    formula=r"z_i = e^{x_i} / \sum_j e^{x_j}", partials=(r"z_i (\delta_{ij} - z_j)",), method=True,
    summary="Probabilities from scores, along an axis; exact for scores of any size.",
    example=">>> cr.softmax([0.0, 0.0])\narray([0.5, 0.5])")

