"""Gates that pick elements, and their transposes, which put gradients back where the elements came from."""
from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..gate import Gate, accumulates, gate
from .comparison import argsort
from .shaping import broadcast_to, reshape

__all__ = ["getitem", "scatter_add", "scatter_along_axis", "sort", "take_along_axis"]

# ------------------------------------------------------------------ the parts of what follows


@lru_cache
def _unsigned(dtype: Any) -> Any:
    return np.dtype(f"{dtype.byteorder}u{dtype.itemsize}")


def largest(indices: Any) -> Any:
    """Return the largest of some integers, among which a negative one counts as huge: one look finds both ends."""
    row = indices.reshape(-1).view(_unsigned(indices.dtype))
    return row[row.argmax()] if row.size else -1


def _index_places(indices: Any, start: Any, *, length: int, stride: int = 1, out: Any = None) -> Any:
    indices = np.asarray(indices)
    z = np.empty(np.broadcast_shapes(indices.shape, np.shape(start)), np.intp) if out is None else out
    if largest(indices) >= length:
        for end in (indices.min(), indices.max()):
            if not -length <= end < length:
                raise IndexError(f"index {end} is out of bounds for an axis of length {length}")
        np.copyto(z, indices)
        indices = np.remainder(z, length, out=z)
    if stride != 1:
        indices = np.multiply(indices, stride, out=z, dtype=np.intp)
    return np.add(indices, start, out=z, dtype=np.intp)


index_places: Gate = gate(
    "index_places", _index_places, out=True, formula="z = s i + z_0",
    about={"length": "int\n    Of the axis.", "stride": "int\n    How many places lie from one index to the next."},
    summary="Where the elements at some indices of an axis lie: from a start, in strides; negative indices count back.",
    example=">>> cr.GATES['index_places'](np.array([0, -1]), 10, length=3)\narray([10, 12])")


def _take_places(x: Any, indices: Any, *, axis: int = 0, out: Any = None) -> Any:
    return np.asarray(x).take(indices, axis, out, "clip")          # without a mode, NumPy would make a copy first


take_places: Gate = gate(
    "take_places", _take_places, out=True, formula="z = x_i", about={"axis": "int\n    Along which axis."},
    summary="The elements at indices that are known to lie within the axis: after `index_places`.",
    example=">>> cr.GATES['take_places'](np.array([5.0, 6.0]), np.array([1, 1]))\narray([6., 6.])")


def _put_places(x: Any, places: Any, *, length: int, out: Any = None) -> Any:
    z = np.empty(length, x.dtype) if out is None else out
    z[:] = 0
    z[places] = x
    return z


put_places = gate(
    "put_places", _put_places, out=True, formula="z_i = x", about={"length": "int\n    Of the result."},
    summary="Zeros in a row, with values at places none of which is met twice.",
    example=">>> cr.GATES['put_places'](np.array([5.0]), np.array([1]), length=3)\narray([0., 5., 0.])")


def _merged(shape: tuple[int, ...], indices: Any) -> Any:
    """Give the place of each element when the axes of this shape are one; the indices of the axes broadcast."""
    z: Any = 0
    for i, n, stride in zip(indices, shape, (prod(shape[k + 1:]) for k in range(len(shape))), strict=True):
        z = index_places(i, z, length=n, stride=stride)
    return z


# ------------------------------------------------------------------ any index


def _add_at(total: Any, dz: Any, index: tuple[Any, ...]) -> None:
    """Add in place; an element that was picked twice gets both gradients."""
    if any(isinstance(i, np.ndarray) and i.dtype.kind != "b" for i in index):
        np.add.at(total, index, dz)
    else:                                              # slices, integers and masks pick no element twice
        total[index] += dz


def _scatter_add(dz: Any, *index: Any, shape: tuple[int, ...], out: Any = None) -> Any:
    z = np.zeros(shape, dz.dtype) if out is None else out
    if out is not None:
        z[...] = 0
    _add_at(z, dz, index)
    return z


@accumulates(lambda total, dz, z, x, *index: _add_at(total, dz, index))
def _d_getitem(dz: Any, z: Any, x: Any, *index: Any) -> Any:
    return scatter_add(dz, *index, shape=x.shape)


def _parts_of_getitem(x: Any, *index: Any) -> Any:
    """Pick along the axes that arrays of integers index, taken as one, of what the rest of the index gives."""
    arrays = [i for i in index if getattr(i, "dtype", None) is not None and not isinstance(i, np.integer)]
    if not arrays or any(i.dtype.kind not in "iu" for i in arrays) or any(isinstance(i, bool) for i in index):
        return NotImplemented                                      # a view, or masks, whose results have any length
    dots = [k for k, i in enumerate(index) if i is Ellipsis] or [len(index)]
    free = len(x.shape) - sum(i is not None and i is not Ellipsis for i in index)
    index = (*index[:dots[0]], *(slice(None),) * free, *index[dots[0] + 1:])
    at = [k for k, i in enumerate(index) if not (i is None or isinstance(i, slice))]
    first, last = at[0], at[-1] + 1
    if len(at) != last - first:                                    # a slice between arrays: NumPy moves axes then
        return NotImplemented
    rest = tuple([slice(None) if k in at else i for k, i in enumerate(index)])
    if any(i != slice(None) for i in rest):
        x = x[rest]
    if len(at) > 1:
        shape = x.shape
        x = reshape(x, shape=(*shape[:first], prod(shape[first:last]), *shape[last:]))
        return take_places(x, _merged(shape[first:last], index[first:last]), axis=first)
    return take_places(x, index_places(index[first], 0, length=x.shape[first]), axis=first)


getitem = gate(
    "getitem", lambda x, *index: x[index], (_d_getitem,), formula="z = x_i", partials=(r"[\text{picked}]",), view=True,
    parts=_parts_of_getitem,
    summary="""The elements at an index: ``x[i]`` as NumPy has it, one argument for each part of the index.

Slices, integers, Ellipsis, None, arrays of integers and of booleans; a view for the first four.""",
    example=">>> cr.Tensor([1.0, 2.0, 3.0])[1:]\nTensor([2., 3.])")
scatter_add = gate(
    "scatter_add", _scatter_add, (lambda dz, z, x, *index, shape: dz[index],), formula=r"z_i \mathrel{+}= x",
    partials=(r"[\text{put}]",), about={"shape": "tuple of int\n    Of the result."}, out=True,
    summary="Zeros of a shape, with values added at an index: the transpose of `getitem`.",
    example=">>> cr.scatter_add(np.array([1.0, 2.0]), np.array([0, 0]), shape=(3,))\narray([3., 0., 0.])")


# ------------------------------------------------------------------ one index per row
PLACES = "an array of integers with as many dimensions as x; the other axes broadcast"
AXIS = "int or None\n    Along which axis; None for the flattened array."


def _along(indices: Any, axis: int, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Write the indices of one axis as a full index of an array of this shape: the other axes count through."""
    if indices.ndim != len(shape):
        raise ValueError("there are not as many dimensions of indices as of elements")
    axis = normalize_axis_index(axis, len(shape))
    return tuple([indices if i == axis else np.arange(n).reshape((n,) + (1,) * (len(shape) - i - 1))
                  for i, n in enumerate(shape)])


def _take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Any:
    if axis is None:
        return x.reshape(-1)[indices]
    return x[_along(indices, axis, x.shape)]


def _scatter_along_axis(x: Any, indices: Any, axis: int | None = -1, *, shape: tuple[int, ...]) -> Any:
    z = np.zeros(shape, x.dtype)
    if axis is None:
        np.add.at(z.reshape(-1), indices, x)
    elif x.shape == (*shape[:axis], 1, *shape[axis:][1:]):          # one element a row: no place is met twice
        z[_along(indices, axis, shape)] = x
    else:
        np.add.at(z, _along(indices, axis, shape), x)
    return z


@lru_cache(64)
def _starts(shape: tuple[int, ...], axis: int) -> Any:
    """Give the places at which rows along an axis begin, when all axes are one."""
    others = [np.arange(n if i != axis else 1) * prod(shape[i + 1:]) for i, n in enumerate(shape)]
    starts: Any = sum(np.ix_(*others))
    starts.flags.writeable = False
    return starts


def _places_along(indices: Any, axis: int | None, shape: tuple[int, ...]) -> Any:
    """Give the same places as `_along` does, of an array whose axes are one."""
    if axis is None:
        return index_places(indices, 0, length=prod(shape))
    axis = normalize_axis_index(axis, len(shape))
    return index_places(indices, _starts(shape, axis), length=shape[axis], stride=prod(shape[axis + 1:]))


def _parts_of_take(x: Any, indices: Any, axis: int | None = -1) -> Any:
    if axis is not None and len(indices.shape) != len(x.shape):
        return NotImplemented                                      # an error, which the forward raises
    return take_places(reshape(x, shape=(-1,)), _places_along(indices, axis, x.shape))


def _parts_of_scatter(x: Any, indices: Any, axis: int | None = -1, *, shape: tuple[int, ...]) -> Any:
    if axis is not None and len(indices.shape) != len(shape):
        return NotImplemented
    once = axis is not None and x.shape == (*shape[:axis], 1, *shape[axis:][1:])
    at, length = _places_along(indices, axis, shape), prod(shape)
    if x.shape != at.shape:
        x = broadcast_to(x, shape=at.shape)
    return reshape(put_places(x, at, length=length) if once else scatter_add(x, at, shape=(length,)), shape=shape)


take_along_axis = gate(
    "take_along_axis", _take_along_axis,
    (lambda dz, z, x, indices, axis=-1: scatter_along_axis(dz, indices, axis=axis, shape=x.shape), None),
    formula="z_{nk} = x_{n, i_{nk}}", partials=(r"[\text{picked}]", ""), numpy=(np.take_along_axis,),
    parts=_parts_of_take,
    shapes=PLACES, about={"axis": AXIS}, summary="The elements at one index per row along an axis.",
    example=">>> cr.take_along_axis(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0]]), axis=1)\n"
            "array([[2.],\n       [3.]])")
scatter_along_axis: Gate = gate(
    "scatter_along_axis", _scatter_along_axis,
    (lambda dz, z, x, indices, axis=-1, *, shape: take_along_axis(dz, indices, axis=axis), None),
    formula=r"z_{n, i_{nk}} \mathrel{+}= x_{nk}", partials=(r"[\text{put}]", ""),
    shapes=PLACES, about={"axis": AXIS, "shape": "tuple of int\n    Of the result."}, parts=_parts_of_scatter,
    summary="Zeros with values added at one index per row along an axis: the transpose of `take_along_axis`.",
    example=">>> cr.scatter_along_axis(np.array([[5.0]]), np.array([[2]]), axis=1, shape=(1, 3))\n"
            "array([[0., 0., 5.]])")


# ------------------------------------------------------------------ order
def _sort(x: Any, axis: int | None = -1, out: Any = None) -> Any:
    if out is not None:                                            # for executors, which have no use for the order
        np.copyto(out, x if axis is not None else np.reshape(x, -1))
        out.sort(axis=-1 if axis is None else axis, kind="stable")
        return out, None
    order = np.argsort(x, axis=axis, kind="stable")
    return np.take_along_axis(np.asarray(x), order, axis), order


def _d_sort(dz: Any, z: Any, x: Any, axis: int | None = -1, kept: Any = None) -> Any:
    order = argsort(x, axis=axis) if kept is None else kept
    return scatter_along_axis(dz, order, axis=axis, shape=x.shape)


sort = gate(
    "sort", _sort, (_d_sort,), formula=r"z_i = x_{\pi_i},\; z_1 \le z_2 \le \dots", partials=(r"[j = \pi_i]",),
    numpy=(np.sort,), keeps=True, out=True, ties="equal elements keep their order, and with it their gradients",
    method=True, about={"axis": AXIS}, summary="The elements in ascending order along an axis.",
    example=">>> cr.sort([3.0, 1.0, 2.0])\narray([1., 2., 3.])")
