"""How a gate is run: as which calls of NumPy functions that write into memory they are given."""
from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ...gates.reduction import FEW, SHORT, is_narrow
from ..planning.blocks import BLOCK
from ..planning.facts import is_array, is_view, repeated
from ..program import Application

__all__ = ["OUT", "Call", "InColumns", "Ones", "Shaped", "calls"]

OUT: Any = object()                      #: stands for the memory of the result
#: NumPy's own function, without the Python code that looks for other libraries' arrays.
copy_where = getattr(np.copyto, "__wrapped__", np.copyto)
REDUCE = {"max": np.maximum, "mean": np.add, "min": np.minimum, "prod": np.multiply, "sum": np.add, "sum_to": np.add}


@dataclass(frozen=True)
class Call:
    """A call of a function: its operands are values, numbers and other constants, `OUT`, or one of these in a shape.

    With `keyword`, the function takes the memory of the result as ``out=``.
    """

    function: Callable[..., Any]
    operands: tuple[Any, ...]
    keyword: bool = False


@dataclass(frozen=True)
class Shaped:
    """An operand, or the memory of the result, in another shape."""

    operand: Any
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Ones:
    """Ones of the dtype of the result."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class InColumns:
    """Memory for a matrix column by column, which is free again after the next call."""

    shape: tuple[int, ...]
    dtype: Any


def calls(a: Application, *, by_columns: bool = False) -> list[Call] | None:
    """Return the calls that run a gate; None if it cannot write into memory that it is given, but makes new arrays.

    With `by_columns`, the matrices that it works on lie in memory column by column.
    They may be made of blocks of elementwise gates as well. All but those of gates that are written in Python run no
    Python code.
    """
    forward, name, z, x = a.gate.forward, a.gate.name, a.result, a.inputs
    if is_view(a):                                       # one that has to copy
        return [Call(operator.setitem, (Shaped(OUT, x[0].kind[0]), ..., x[0]))]
    if isinstance(forward, np.ufunc) and forward.signature is None:
        again = None if by_columns else repeated(a)
        if again is None:
            return [_ufunc(forward, *x)]
        return [Call(operator.setitem, (OUT, ..., again)), _ufunc(forward, *(OUT if y is again else y for y in x))]
    if name == "matmul":
        return [_product(a)]
    if name == "cast":
        return [Call(operator.setitem, (OUT, ..., x[0]))]
    if name == "where" and is_array(x[0]) and x[0].kind[1].kind == "b":
        return [Call(copy_where, (OUT, x[2])), Call(copy_where, (OUT, x[1], "same_kind", x[0]))]
    if name in REDUCE and is_array(x[0]) and x[0].kind[1] == z.kind[1] and (name != "mean" or z.kind[1].kind in "fc"):
        return _reduction(a, by_columns)
    if a.gate.takes_out:
        return [Call(partial(forward, **a.options) if a.options else forward, x, keyword=True)]
    return None


def _ufunc(function: np.ufunc, *operands: Any) -> Call:
    """Return a call of an elementwise function. Of these two NumPy wants the result's memory by its name."""
    if function in (np.maximum, np.minimum):
        return Call(function, operands, keyword=True)
    return Call(function, (*operands, OUT))


def _product(a: Application) -> Call:
    """Return the product of matrices: for two of one dtype as a method of arrays, which takes half the time to call."""
    x, y = a.inputs
    if is_array(x) and is_array(y) and len(x.kind[0]) == len(y.kind[0]) == 2 and x.kind[1] == y.kind[1]:
        return Call(np.ndarray.dot, (x, y, OUT))
    return Call(np.matmul, (x, y, OUT))


def _reduction(a: Application, by_columns: bool) -> list[Call]:
    """Return how an array is combined along axes: as the gate itself does it, so that the sums are rounded alike."""
    x, target = a.inputs[0], a.result.kind[0]
    (shape, dtype), axis = x.kind, a.options.get("axis")
    lead = len(shape) - len(target)
    is_matrix = len(shape) == 2 and dtype.char in "fd"
    if a.gate.name == "sum_to":
        if is_matrix and target == shape[1:]:
            return [Call(np.ndarray.dot, (Ones(shape[:1]), x, OUT))]
        axes = tuple(i for i in range(len(shape)) if i < lead or target[i - lead] == 1 != shape[i])
    else:
        if a.gate.name in ("mean", "sum") and axis is None and not target and _is_row(x):
            found = [Call(np.ndarray.dot, (Shaped(x, (-1,)), Ones(shape[:1]), OUT))]
            return [*found, _ufunc(np.true_divide, OUT, shape[0])] if a.gate.name == "mean" else found
        if a.gate.name in ("mean", "sum") and is_matrix and axis in (1, -1) and shape[1] <= SHORT:
            found = [Call(np.ndarray.dot, (x, Ones(shape[1:]), Shaped(OUT, (-1,))))]
            return [*found, _ufunc(np.true_divide, OUT, shape[1])] if a.gate.name == "mean" else found
        given = range(len(shape)) if axis is None or not shape else axis if isinstance(axis, tuple) else (axis,)
        axes = tuple(i % len(shape) for i in given)
    some = prod(shape) > 0                               # then there may be fewer rows: those of a block
    kept = tuple(1 if i in axes else -1 if i == 0 and some else n for i, n in enumerate(shape))
    found, read = [], x
    if a.gate.name in ("max", "min") and not by_columns and is_narrow(shape, axis) and prod(shape) <= 2 * BLOCK:
        read = InColumns(shape, dtype)                   # whole: no step on so few elements is cut up
        found.append(Call(operator.setitem, (read, ..., x)))
    found.append(Call(REDUCE[a.gate.name].reduce, (read, axes, None, Shaped(OUT, kept), True)))
    return [*found, _ufunc(np.true_divide, OUT, prod(shape[i] for i in axes))] if a.gate.name == "mean" else found


def _is_row(x: Any) -> bool:
    """Tell whether an array is a row, or a column, of some floating-point numbers: then a product sums them faster."""
    shape, dtype = x.kind
    return dtype.char in "fd" and len(shape) in (1, 2) and 0 < prod(shape) == shape[0] <= FEW
