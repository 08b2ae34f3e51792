"""Gates that pick elements, and their transposes, which put gradients back where the elements came from."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..gate import Gate, accumulates, gate
from .comparison import argsort

__all__ = ["getitem", "scatter_add", "scatter_along_axis", "sort", "take_along_axis"]


def _add_at(total: Any, dz: Any, index: tuple[Any, ...]) -> None:
    """Add in place; an element that was picked twice gets both gradients."""
    if any(isinstance(i, np.ndarray) and i.dtype.kind != "b" for i in index):
        np.add.at(total, index, dz)
    else:                                              # slices, integers and masks pick no element twice
        total[index] += dz


def _scatter_add(dz: Any, *index: Any, shape: tuple[int, ...]) -> Any:
    z = np.zeros(shape, dz.dtype)
    _add_at(z, dz, index)
    return z


@accumulates(lambda total, dz, z, x, *index: _add_at(total, dz, index))
def _d_getitem(dz: Any, z: Any, x: Any, *index: Any) -> Any:
    return scatter_add(dz, *index, shape=x.shape)


getitem = gate(
    "getitem", lambda x, *index: x[index], (_d_getitem,), formula="z = x_i", partials=(r"[\text{picked}]",), view=True,
    summary="""The elements at an index: ``x[i]`` as NumPy has it, one argument for each part of the index.

Slices, integers, Ellipsis, None, arrays of integers and of booleans; a view for the first four.""",
    example=">>> cr.Tensor([1.0, 2.0, 3.0])[1:]\nTensor([2., 3.])")
scatter_add = gate(
    "scatter_add", _scatter_add, (lambda dz, z, x, *index, shape: dz[index],), formula=r"z_i \mathrel{+}= x",
    partials=(r"[\text{put}]",), about={"shape": "tuple of int\n    Of the result."},
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


take_along_axis = gate(
    "take_along_axis", _take_along_axis,
    (lambda dz, z, x, indices, axis=-1: scatter_along_axis(dz, indices, axis=axis, shape=x.shape), None),
    formula="z_{nk} = x_{n, i_{nk}}", partials=(r"[\text{picked}]", ""), numpy=(np.take_along_axis,),
    shapes=PLACES, about={"axis": AXIS}, summary="The elements at one index per row along an axis.",
    example=">>> cr.take_along_axis(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0]]), axis=1)\n"
            "array([[2.],\n       [3.]])")
scatter_along_axis: Gate = gate(
    "scatter_along_axis", _scatter_along_axis,
    (lambda dz, z, x, indices, axis=-1, *, shape: take_along_axis(dz, indices, axis=axis), None),
    formula=r"z_{n, i_{nk}} \mathrel{+}= x_{nk}", partials=(r"[\text{put}]", ""),
    shapes=PLACES, about={"axis": AXIS, "shape": "tuple of int\n    Of the result."},
    summary="Zeros with values added at one index per row along an axis: the transpose of `take_along_axis`.",
    example=">>> cr.scatter_along_axis(np.array([[5.0]]), np.array([[2]]), axis=1, shape=(1, 3))\n"
            "array([[0., 0., 5.]])")


# ------------------------------------------------------------------ order
def _sort(x: Any, axis: int | None = -1) -> Any:
    order = np.argsort(x, axis=axis, kind="stable")
    return np.take_along_axis(np.asarray(x), order, axis), order


def _d_sort(dz: Any, z: Any, x: Any, axis: int | None = -1, kept: Any = None) -> Any:
    order = argsort(x, axis=axis) if kept is None else kept
    return scatter_along_axis(dz, order, axis=axis, shape=x.shape)


sort = gate(
    "sort", _sort, (_d_sort,), formula=r"z_i = x_{\pi_i},\; z_1 \le z_2 \le \dots", partials=(r"[j = \pi_i]",),
    numpy=(np.sort,), keeps=True, ties="equal elements keep their order, and with it their gradients",
    method=True, about={"axis": AXIS}, summary="The elements in ascending order along an axis.",
    example=">>> cr.sort([3.0, 1.0, 2.0])\narray([1., 2., 3.])")
