"""Gates that arrange elements without changing them. Most of their results are views."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..gate import Gate, gate, stands_for

__all__ = [
    "broadcast_to", "concatenate", "expand_dims", "flatten", "flip", "moveaxis", "pad", "ravel", "reshape", "roll",
    "split", "squeeze", "stack", "swapaxes", "transpose",
]

SHAPE = "tuple of int\n    Of the result."
AXES = "int, tuple of int or None\n    Which axes; all of them by default."

reshape: Gate = gate(
    "reshape", lambda x, shape: np.reshape(x, shape), (lambda dz, z, x, shape: reshape(dz, shape=x.shape),),
    formula="z = x", partials=("1",), view=True, numpy=(np.reshape,),
    about={"shape": "int or tuple of int\n    Of the result."},
    summary="The same elements, in the same order, in another shape; one length may be -1, to be worked out.",
    example=">>> cr.reshape([1.0, 2.0, 3.0, 4.0], (2, 2))\narray([[1., 2.],\n       [3., 4.]])")
transpose: Gate = gate(
    "transpose", lambda x, axes=None: np.transpose(x, axes),
    (lambda dz, z, x, axes=None: transpose(dz, axes=_inverse(axes, len(z.shape))),),
    formula="z = x^T", partials=("1",), view=True, numpy=(np.transpose,),
    about={"axes": "tuple of int or None\n    Which axis of `x` each axis of the result is."},
    summary="The axes in another order: reversed, or as `axes` says.",
    example=">>> cr.transpose([[1.0, 2.0]])\narray([[1.],\n       [2.]])")
swapaxes: Gate = gate(
    "swapaxes", lambda x, axis1, axis2: np.swapaxes(x, axis1, axis2),
    (lambda dz, z, x, axis1, axis2: swapaxes(dz, axis1=axis1, axis2=axis2),),
    formula="z = x^T", partials=("1",), view=True, method=True, numpy=(np.swapaxes,),
    about=dict.fromkeys(("axis1", "axis2"), "int\n    One of the two."),
    summary="Two axes exchanged.", example=">>> cr.swapaxes([[1.0, 2.0]], 0, 1).shape\n(2, 1)")
moveaxis: Gate = gate(
    "moveaxis", lambda x, source, destination: np.moveaxis(x, source, destination),
    (lambda dz, z, x, source, destination: moveaxis(dz, source=destination, destination=source),),
    formula="z = x^T", partials=("1",), view=True, numpy=(np.moveaxis,),
    about={"source": "int or sequence of int\n    Where the axes are in `x`.",
           "destination": "int or sequence of int\n    Where they go."},
    summary="Some axes moved to other places, the rest in their order.",
    example=">>> cr.moveaxis([[[1.0, 2.0]]], 2, 0).shape\n(2, 1, 1)")


def _expand_dims(x: Any, axis: int | tuple[int, ...]) -> Any:
    if type(axis) is int and type(x) is np.ndarray and -x.ndim <= axis <= x.ndim:        # NumPy's takes 4 times as long
        place = axis if axis >= 0 else axis + x.ndim + 1
        return x.reshape((*x.shape[:place], 1, *x.shape[place:]))
    return np.expand_dims(x, axis)


def _broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    if type(shape) is tuple and isinstance(x, np.ndarray | np.generic) and x.ndim == 0:  # NumPy's takes 5 times as long
        z: Any = np.ndarray(shape, x.dtype, x, strides=(0,) * len(shape))
        z.flags.writeable = False
        return z
    return np.broadcast_to(x, shape)


expand_dims = gate(
    "expand_dims", _expand_dims, (lambda dz, z, x, axis: reshape(dz, shape=x.shape),),
    formula="z = x", partials=("1",), view=True, numpy=(np.expand_dims,),
    about={"axis": "int or tuple of int\n    Where the new axes are in the result."},
    summary="New axes of length 1.",
    example=">>> cr.expand_dims([1.0, 2.0], 0).shape\n(1, 2)")
squeeze = gate(
    "squeeze", lambda x, axis=None: np.squeeze(x, axis), (lambda dz, z, x, axis=None: reshape(dz, shape=x.shape),),
    formula="z = x", partials=("1",), view=True, method=True, numpy=(np.squeeze,),
    about={"axis": AXES},
    summary="Without its axes of length 1, or without those that are named.",
    example=">>> cr.squeeze([[1.0, 2.0]]).shape\n(2,)")
broadcast_to = gate(
    "broadcast_to", _broadcast_to, (lambda dz, z, x, shape: dz,),
    formula="z = x", partials=("1",), view=True, numpy=(np.broadcast_to,),
    about={"shape": SHAPE},
    summary="Repeated, without copying, to a larger shape.",
    example=">>> cr.broadcast_to([1.0, 2.0], (2, 2))\narray([[1., 2.],\n       [1., 2.]])")
flip: Gate = gate(
    "flip", lambda x, axis=None: np.flip(x, axis), (lambda dz, z, x, axis=None: flip(dz, axis=axis),),
    formula="z_i = x_{n-1-i}", partials=("1",), view=True, numpy=(np.flip,), about={"axis": AXES},
    summary="The elements in the opposite order along the axes.", example=">>> cr.flip([1.0, 2.0])\narray([2., 1.])")


def _parts_of_roll(x: Any, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return reshape(_parts_of_roll(reshape(x, shape=(-1,)), int(np.sum(shift)), 0), shape=x.shape)
    for by, along in zip(*(a.ravel().tolist() for a in np.broadcast_arrays(shift, axis)), strict=True):
        length = x.shape[along]
        cut = length - by % length if length else 0
        before = (slice(None),) * (along % len(x.shape))
        x = _concatenate(x[(*before, slice(cut, None))], x[(*before, slice(cut))], axis=along)
    return x


roll: Gate = gate(
    "roll", lambda x, shift, axis=None: np.roll(x, shift, axis),
    (lambda dz, z, x, shift, axis=None: roll(dz, shift=_opposite(shift), axis=axis),),
    formula=r"z_i = x_{(i-s) \bmod n}", partials=("1",), numpy=(np.roll,), parts=_parts_of_roll,
    about={"shift": "int or tuple of int\n    By how many places.",
           "axis": "int, tuple of int or None\n    Along which axes; None rolls the flattened array."},
    summary="Moved along the axes; what leaves at one end enters at the other.",
    example=">>> cr.roll([1.0, 2.0, 3.0], 1)\narray([3., 1., 2.])")


def _inverse(axes: Sequence[int] | None, ndim: int) -> tuple[int, ...] | None:
    if axes is None:
        return None
    order = [axis % ndim for axis in axes]
    return tuple(order.index(i) for i in range(ndim))


def _opposite(shift: Any) -> Any:
    return tuple(-s for s in shift) if isinstance(shift, Sequence) else -shift


@stands_for(np.ravel)
def ravel(x: Any) -> Any:
    """Give the elements in one row.

    Parameters
    ----------
    x : tensor or array of any shape and dtype

    Returns
    -------
    tensor or array, shape (n,)
        A view where NumPy can give one.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ravel([[1.0, 2.0], [3.0, 4.0]])
    array([1., 2., 3., 4.])
    """
    return reshape(x, shape=(-1,))


flatten = ravel

# ------------------------------------------------------------------ several arrays into one, and back


def _parts(dz: Any, z: Any, wanted: list[bool], *parts: Any, axis: int = 0) -> list[Any]:
    end, gradients = 0, []
    before = (slice(None),) * (axis % len(z.shape))
    for part, want in zip(parts, wanted, strict=True):
        start, end = end, end + part.shape[axis]
        gradients.append(dz[(*before, slice(start, end))] if want else None)
    return gradients


_concatenate = gate(
    "concatenate", lambda *parts, axis=0, out=None: np.concatenate(parts, axis=axis, out=out), joint=_parts, out=True,
    formula=r"z = [x_1, x_2, \dots]", partials=("1",), shapes="shapes that are equal but along the axis",
    summary="Arrays joined along an axis that they have.", about={"axis": "int\n    The axis that becomes longer."},
    example=">>> cr.concatenate([[1.0, 2.0], [3.0]])\narray([1., 2., 3.])")


@stands_for(np.concatenate)
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Join arrays along an axis that they have.

    Parameters
    ----------
    arrays : sequence of tensors or arrays
        Their shapes are equal but along `axis`; their dtypes are promoted as NumPy does.
    axis : int or None
        With None, each is flattened first.

    Returns
    -------
    tensor or array

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.concatenate([[1.0, 2.0], [3.0]])
    array([1., 2., 3.])
    """
    if axis is None:
        arrays, axis = [ravel(x) for x in arrays], 0
    return _concatenate(*arrays, axis=axis)


@stands_for(np.stack)
def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Join arrays of one shape along a new axis.

    Parameters
    ----------
    arrays : sequence of tensors or arrays, all of one shape
    axis : int
        Where the new axis stands in the result.

    Returns
    -------
    tensor or array, one dimension more

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.stack([[1.0, 2.0], [3.0, 4.0]], axis=1)
    array([[1., 3.],
           [2., 4.]])
    """
    arrays = list(arrays)
    shapes = {tuple(np.shape(x)) for x in arrays}
    if len(shapes) > 1:
        raise ValueError(f"stack: expected arrays of one shape, got {sorted(shapes)}; concatenate joins along an axis "
                         "that the arrays have")
    return _concatenate(*[expand_dims(x, axis=axis) for x in arrays], axis=axis)


@stands_for(np.split)
def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """Cut an array into parts along an axis.

    Parameters
    ----------
    x : tensor or array
    indices_or_sections : int or sequence of int
        A number of equal parts, or the indices where to cut.
    axis : int

    Returns
    -------
    list of tensors or arrays
        Views. A backward pass through all of them costs as much as one through `x`.

    Raises
    ------
    ValueError
        If the axis cannot be cut into so many equal parts.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.split([1.0, 2.0, 3.0, 4.0], 2)
    [array([1., 2.]), array([3., 4.])]
    """
    from .indexing import getitem

    x = np.asarray(x) if isinstance(x, list | tuple) else x
    axis = normalize_axis_index(axis, x.ndim)
    length = x.shape[axis]
    if isinstance(indices_or_sections, int | np.integer):
        if indices_or_sections < 1 or length % indices_or_sections:
            raise ValueError(f"split: an axis of length {length} cannot be cut into {indices_or_sections} equal parts; "
                             "pass the indices where to cut")
        step = length // int(indices_or_sections)
        cuts = list(range(step, length, step))
    else:
        cuts = [int(i) for i in indices_or_sections]
    before = (slice(None),) * axis
    return [getitem(x, *before, slice(start, end)) for start, end in zip([0, *cuts], [*cuts, length], strict=True)]


def _widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    return [(int(a), int(b)) for a, b in np.broadcast_to(np.asarray(pad_width, dtype=int), (ndim, 2))]


def _unpad(dz: Any, z: Any, x: Any, pad_width: Any, constant_values: float = 0) -> Any:
    return dz[tuple(slice(a, a + n) for (a, _), n in zip(_widths(pad_width, len(x.shape)), x.shape, strict=True))]


def _padded(x: Any, pad_width: Any, constant_values: Any = 0, out: Any = None) -> Any:
    if out is None:
        return np.pad(x, pad_width, constant_values=constant_values)
    if np.ndim(constant_values):                       # one for each side, as NumPy takes them too
        np.copyto(out, np.pad(x, pad_width, constant_values=constant_values))
        return out
    out[...] = constant_values
    out[tuple(slice(a, a + n) for (a, _), n in zip(_widths(pad_width, np.ndim(x)), np.shape(x), strict=True))] = x
    return out


_pad = gate(
    "pad", _padded, (_unpad,),
    formula="z = [c, x, c]", partials=("1",), out=True, summary="A margin of one value around an array.",
    about={"pad_width": "int, (before, after) or one such pair per axis\n    How wide the margin is.",
           "constant_values": "float\n    What fills it."},
    example=">>> cr.pad([1.0, 2.0], 1)\narray([0., 1., 2., 0.])")


@stands_for(np.pad)
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Any:
    """Put a margin around an array.

    Parameters
    ----------
    x : tensor or array
    pad_width : int, (before, after) or one such pair per axis
        The margin's width in elements.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        What fills it: one value, the outermost element, the mirrored inside (without or with the outermost element),
        or the opposite end.
    constant_values : float
        The value for ``"constant"``.

    Returns
    -------
    tensor or array

    Raises
    ------
    ValueError
        If the mode is none of these.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.pad([1.0, 2.0, 3.0], (2, 0), mode="reflect")
    array([3., 2., 1., 2., 3.])
    """
    if mode == "constant":
        return _pad(x, pad_width=pad_width, constant_values=constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise ValueError(f"pad: mode {mode!r} is not one of constant, edge, reflect, symmetric, wrap")
    from .indexing import getitem

    x = np.asarray(x) if isinstance(x, list | tuple) else x
    for axis, width in enumerate(_widths(pad_width, x.ndim)):
        if width != (0, 0):                            # which element stands where, by NumPy's own rules
            places = np.pad(np.arange(x.shape[axis]), width, mode=mode)     # type: ignore[call-overload]
            x = getitem(x, *(slice(None),) * axis, places)
    return x
