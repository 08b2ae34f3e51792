"""Gates that combine elements along axes."""
from __future__ import annotations

from functools import lru_cache
from math import prod as product
from typing import Any

import numpy as np

from ..gate import gate
from .comparison import ALONG, equal
from .elementwise import cast, clip, exp, log, maximum, sqrt, square, where
from .shaping import broadcast_to, concatenate, expand_dims, flip, moveaxis, reshape, squeeze

__all__ = ["cumsum", "log_softmax", "logsumexp", "max", "mean", "min", "prod", "softmax", "std", "sum", "sum_to", "var"]

Axis = int | tuple[int, ...] | None
SCORES = {"axis": "int, tuple of int or None\n    Along which axes the probabilities add up to 1."}
MOMENT = {**ALONG, "ddof": "float\n    What is taken off the count: 0 as NumPy does, 1 for the unbiased estimate."}


def _spread(dz: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """Give a reduced value its axes back, so that it broadcasts against `x`, which was reduced."""
    return dz if axis is None or keepdims or not x.ndim else expand_dims(dz, axis=axis)


def _count(x: Any, axis: Axis) -> int:
    """Count the elements that go into one."""
    if axis is None or not x.ndim:
        return int(x.size)
    return product(x.shape[i] for i in (axis if isinstance(axis, tuple) else (axis,)))


# ------------------------------------------------------------------ sums
SHORT = 64                               #: rows of as many elements are summed faster by a product with ones,
FEW = 1024                               #: and so is one row of as many; of more, NumPy's sums are more precise


@lru_cache(64)
def _ones(n: int, dtype: Any) -> Any:
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


def _sum(x: Any, axis: Axis = None, keepdims: bool = False, out: Any = None) -> Any:
    if axis in (1, -1) and x.ndim == 2 and x.shape[1] <= SHORT and x.dtype.char in "fd":
        z = None if out is None else out[:, 0] if keepdims else out
        z = np.dot(x, _ones(x.shape[1], x.dtype), out=z)
        return out if out is not None else z[:, None] if keepdims else z
    if axis is None and not keepdims and x.dtype.char in "fd" and x.shape in ((x.size,), (x.size, 1)) and (
            x.size <= FEW):
        z = np.dot(x.reshape(-1), _ones(x.size, x.dtype), out=out)
        return z if out is None else out
    return np.add.reduce(x, axis=axis, keepdims=keepdims, out=out)


def _d_sum(dz: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return broadcast_to(_spread(dz, x, axis, keepdims), shape=x.shape)


sum = gate(
    "sum", _sum, (_d_sum,), formula=r"z = \sum_i x_i", partials=("1",), about=ALONG, numpy=(np.sum,), method=True,
    out=True, summary="The sum along axes. It hands the gradient to every element.",
    example=">>> float(cr.sum([1.0, 2.0, 3.0]))\n6.0")


def _sum_to(x: Any, shape: tuple[int, ...], out: Any = None) -> Any:
    lead = x.ndim - len(shape)
    if lead == 1 and x.ndim == 2 and x.dtype.char in "fd" and shape == x.shape[1:]:
        return np.dot(_ones(x.shape[0], x.dtype), x, out=out)      # the gradient of a bias: 2 to 5 times faster so
    if shape == x.shape[lead:]:
        return np.add.reduce(x, axis=0 if lead == 1 else tuple(range(lead)), out=out)
    if any(n not in (1, m) for n, m in zip(reversed(shape), reversed(x.shape), strict=False)):
        raise ValueError(f"{shape} does not broadcast to {x.shape}")
    axes = tuple(i for i in range(x.ndim) if i < lead or (shape[i - lead] == 1 != x.shape[i]))
    if out is None:
        return np.add.reduce(x, axis=axes).reshape(shape)
    kept = out.reshape([1 if i in axes else n for i, n in enumerate(x.shape)])
    np.add.reduce(x, axis=axes, out=kept, keepdims=True)
    return out


sum_to = gate(
    "sum_to", _sum_to, (lambda dz, z, x, shape: broadcast_to(dz, shape=x.shape),), formula=r"z = \sum_i x_i",
    partials=("1",), out=True, about={"shape": "tuple of int\n    One that broadcasts to the shape of `x`."},
    summary="The sum over whatever was broadcast, back to a smaller shape: the transpose of broadcasting.",
    example=">>> cr.sum_to(np.ones((3, 2)), (2,))\narray([3., 3.])")


def _cumsum(x: Any, axis: int | None = None, out: Any = None) -> Any:
    return np.cumsum(x, axis=axis, out=out)


def _d_cumsum(dz: Any, z: Any, x: Any, axis: int | None = None) -> Any:
    along = 0 if axis is None else axis
    return reshape(flip(cumsum(flip(dz, axis=along), axis=along), axis=along), shape=x.shape)


cumsum = gate(
    "cumsum", _cumsum, (_d_cumsum,), formula=r"z_i = \sum_{j \le i} x_j", partials=(r"[j \le i]",), method=True,
    out=True, numpy=(np.cumsum,), about={"axis": "int or None\n    Along which axis; None for the flattened array."},
    summary="The running sum.", example=">>> cr.cumsum([1.0, 2.0, 3.0])\narray([1., 3., 6.])")

# ------------------------------------------------------------------ moments


def _mean(x: Any, axis: Axis = None, keepdims: bool = False, out: Any = None) -> Any:
    x = np.asarray(x)
    return np.true_divide(_sum(x, axis, keepdims), _count(x, axis), out=out)


def _d_mean(dz: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return broadcast_to(_spread(dz, x, axis, keepdims) / _count(x, axis), shape=x.shape)


mean = gate(
    "mean", _mean, (_d_mean,), formula=r"z = \frac1n \sum_i x_i", partials=("1/n",), about=ALONG, numpy=(np.mean,),
    method=True, out=True, parts=lambda x, axis=None, keepdims=False: sum(x, axis, keepdims) / _count(x, axis),
    summary="The mean along axes.", example=">>> float(cr.mean([1.0, 2.0, 3.0]))\n2.0")


def _var(x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return np.var(x, axis=axis, ddof=ddof, keepdims=keepdims)


def _d_var(dz: Any, z: Any, x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    away = x - mean(x, axis=axis, keepdims=True)
    return _spread(dz, x, axis, keepdims) * 2 / (_count(x, axis) - ddof) * away


def _parts_of_var(x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    away = x - mean(x, axis=axis, keepdims=True)
    count = _count(x, axis) - ddof
    return sum(square(away), axis=axis, keepdims=keepdims) / (count if count > 0 else 0)


var = gate(
    "var", _var, (_d_var,), formula=r"z = \frac{1}{n - d} \sum_i (x_i - \bar x)^2", about=MOMENT, method=True,
    partials=(r"\frac{2}{n-d} (x - \bar x)",), numpy=(np.var,), parts=_parts_of_var,
    summary="The variance along axes.",
    example=">>> float(cr.var([1.0, 3.0]))\n1.0")


def _std(x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return np.std(x, axis=axis, ddof=ddof, keepdims=keepdims)


def _d_std(dz: Any, z: Any, x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    dz, z = _spread(dz, x, axis, keepdims), _spread(z, x, axis, keepdims)
    away = x - mean(x, axis=axis, keepdims=True)
    return dz / (where(equal(z, 0), 1, z) * (_count(x, axis) - ddof)) * away


std = gate(
    "std", _std, (_d_std,), formula=r"z = \sqrt{\frac{1}{n - d} \sum_i (x_i - \bar x)^2}", about=MOMENT, method=True,
    partials=(r"\frac{x - \bar x}{(n-d)\,z}",), numpy=(np.std,), ties="0 where all elements are equal",
    parts=lambda x, axis=None, ddof=0, keepdims=False: sqrt(var(x, axis, ddof, keepdims)),
    summary="The standard deviation along axes.", example=">>> float(cr.std([1.0, 3.0]))\n1.0")

# ------------------------------------------------------------------ extremes and products
NARROW = 32                              #: as many rows of fewer elements are compared faster down their columns


def is_narrow(shape: tuple[int, ...], axis: Axis) -> bool:
    """Tell whether these are many short rows that are each made one, and so had better lie column by column first."""
    return axis in (1, -1) and len(shape) == 2 and 1 < shape[1] < NARROW <= shape[0]


def _extreme(larger: np.ufunc, x: Any, axis: Axis, keepdims: bool, out: Any = None) -> Any:
    x = np.asarray(x)
    x = np.asfortranarray(x) if out is None and is_narrow(x.shape, axis) else x
    return larger.reduce(x, axis=axis, keepdims=keepdims, out=out)


def _max(x: Any, axis: Axis = None, keepdims: bool = False, out: Any = None) -> Any:
    return _extreme(np.maximum, x, axis, keepdims, out)


def _min(x: Any, axis: Axis = None, keepdims: bool = False, out: Any = None) -> Any:
    return _extreme(np.minimum, x, axis, keepdims, out)


def _d_extreme(dz: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    winners = cast(equal(x, _spread(z, x, axis, keepdims)), dtype=x.dtype)
    return _spread(dz, x, axis, keepdims) * (winners / sum(winners, axis=axis, keepdims=True))


max = gate(
    "max", _max, (_d_extreme,), formula=r"z = \max_i x_i", partials=("[x = z]/n",), about=ALONG, method=True,
    numpy=(np.max, np.amax), out=True, ties="shared equally among the n elements that attain the maximum",
    summary="The largest element along axes.", example=">>> float(cr.max([1.0, 3.0, 2.0]))\n3.0")
min = gate(
    "min", _min, (_d_extreme,), formula=r"z = \min_i x_i", partials=("[x = z]/n",), about=ALONG, method=True,
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
    if n < 2:
        return _one(x, x.shape)
    if n % 2:
        x = concatenate([x, _one(x, (*x.shape[:-1], 1))], axis=-1)
    pairs = reshape(x, shape=(*x.shape[:-1], (n + 1) // 2, 2))
    above = _others(pairs[..., 0] * pairs[..., 1])
    return reshape(expand_dims(above, axis=-1) * flip(pairs, axis=-1), shape=x.shape)[..., :n]


def _one(x: Any, shape: tuple[int, ...]) -> Any:
    return broadcast_to(cast(1, dtype=x.dtype), shape=shape)


def _d_prod(dz: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    axes = tuple(range(x.ndim)) if axis is None or not x.ndim else axis if isinstance(axis, tuple) else (axis,)
    last = tuple(range(x.ndim - len(axes), x.ndim))
    moved = moveaxis(x, source=axes, destination=last)
    others = _others(reshape(moved, shape=(*moved.shape[:x.ndim - len(axes)], _count(x, axes))))
    return _spread(dz, x, axis, keepdims) * moveaxis(reshape(others, shape=moved.shape), source=last, destination=axes)


prod = gate(
    "prod", _prod, (_d_prod,), formula=r"z = \prod_i x_i", partials=(r"\prod_{j \ne i} x_j",), about=ALONG,
    method=True, out=True, numpy=(np.prod,), summary="The product along axes; right for zeros too.",
    example=">>> float(cr.prod([2.0, 3.0, 4.0]))\n24.0")

# ------------------------------------------------------------------ exponentials and their sums


def _top(x: Any, axis: Axis) -> Any:
    """Give the largest element along axes, which stay; 0 where there is none."""
    return _extreme(np.maximum, x, axis, True) if np.size(x) else np.add.reduce(x, axis=axis, keepdims=True)


def _logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    top = _top(x, axis)
    top = np.where(np.isfinite(top), top, 0)                       # ∞ - ∞ would be NaN
    with np.errstate(divide="ignore", over="ignore"):
        z = np.log(np.add.reduce(np.exp(x - top), axis=axis, keepdims=True)) + top
    return z if keepdims else np.squeeze(z, axis=axis)[()]


def _d_logsumexp(dz: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    z = _spread(z, x, axis, keepdims)
    return _spread(dz, x, axis, keepdims) * exp(x - where(equal(z, -np.inf), 0, z))


def _parts_of_logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    if not x.size:
        return sum(x, axis=axis, keepdims=keepdims) - np.inf
    top = max(x, axis=axis, keepdims=True)
    least = float(np.finfo(x.dtype).min) if x.dtype.kind == "f" else None
    finite = top if least is None else clip(top, least, -least)    # ∞ - ∞ would be NaN
    total = sum(exp(x - finite), axis=axis, keepdims=True)
    z = log(maximum(total, 1)) + top                               # less than 1 only where all elements are -∞
    return z if keepdims or not x.ndim else squeeze(z, axis=axis)


logsumexp = gate(
    "logsumexp", _logsumexp, (_d_logsumexp,), formula=r"z = \ln \sum_i e^{x_i}", partials=("e^{x_i - z}",),
    about=ALONG, method=True, ties="0 where all elements are -∞", parts=_parts_of_logsumexp,
    summary="The logarithm of a sum of exponentials. No argument is too large for it.",
    example=">>> round(float(cr.logsumexp([1000.0, 1000.0])), 6)\n1000.693147")


def _log_softmax(x: Any, axis: Axis = -1, out: Any = None) -> Any:
    z = np.subtract(x, _top(x, axis), out=out)
    with np.errstate(divide="ignore"):                             # the logarithm of no sum at all
        return np.subtract(z, np.log(_sum(np.exp(z), axis, keepdims=True)), out=out)


def _parts_of_log_softmax(x: Any, axis: Axis = -1) -> Any:
    if not x.size:
        return exp(x)
    z = x - max(x, axis=axis, keepdims=True)
    return z - log(sum(exp(z), axis=axis, keepdims=True))


log_softmax = gate(
    "log_softmax", _log_softmax, (lambda dz, z, x, axis=-1: dz - exp(z) * sum(dz, axis=axis, keepdims=True),),
    formula=r"z_i = x_i - \ln \sum_j e^{x_j}", partials=(r"\delta_{ij} - e^{z_j}",), method=True, out=True,
    about=SCORES, parts=_parts_of_log_softmax,
    summary="The logarithm of softmax. No score is too large for it.",
    example=">>> cr.log_softmax([0.0, 0.0]).round(6)\narray([-0.693147, -0.693147])")


def _softmax(x: Any, axis: Axis = -1) -> Any:
    z = np.exp(np.subtract(x, _top(x, axis)))
    z /= _sum(z, axis, keepdims=True)
    return z


def _parts_of_softmax(x: Any, axis: Axis = -1) -> Any:
    if not x.size:
        return exp(x)
    z = exp(x - max(x, axis=axis, keepdims=True))
    return z / sum(z, axis=axis, keepdims=True)


softmax = gate(
    "softmax", _softmax, (lambda dz, z, x, axis=-1: z * (dz - sum(dz * z, axis=axis, keepdims=True)),),
    formula=r"z_i = e^{x_i} / \sum_j e^{x_j}", partials=(r"z_i (\delta_{ij} - z_j)",), method=True, about=SCORES,
    parts=_parts_of_softmax, summary="Probabilities from scores, along an axis. No score is too large for it.",
    example=">>> cr.softmax([0.0, 0.0])\narray([0.5, 0.5])")
