"""What is known of a gate in a program before it is run: how it goes about the elements of its arguments."""
from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..program import Application, Value

__all__ = ["HOST", "arrays", "in_place_over", "is_array", "is_elementwise", "is_number", "is_reduction", "is_view",
           "may_fail", "repeated"]

#: Gates that run a user's own code, which may do more than compute a value.
HOST = frozenset({"handwritten", "handwritten_backward"})
LONG = 256                               #: elements: a row of as many is worth a loop of its own
#: Elementwise gates that are no ufuncs.
ELEMENTWISE = frozenset({"cast", "clip", "relu", "sigmoid", "where"})
#: Gates that combine elements along axes into fewer.
REDUCTIONS = frozenset({"max", "mean", "min", "prod", "sum", "sum_to"})
#: Gates whose result is a view of their first argument; `getitem` is one if it is given no arrays of indices.
VIEWS = frozenset({"broadcast_to", "detach", "expand_dims", "flip", "getitem", "moveaxis", "reshape", "squeeze",
                   "swapaxes", "transpose"})


def is_array(x: Any) -> bool:
    """Tell an array of a program from its numbers, and from plain constants."""
    return isinstance(x, Value) and isinstance(x.kind, tuple)


def is_number(a: Application) -> bool:
    """Tell whether a gate makes a Python number: then it is given nothing but numbers."""
    return not isinstance(a.result.kind, tuple)


def arrays(a: Application) -> list[Value]:
    """Return the arrays that a gate takes."""
    return [x for x in a.inputs if is_array(x)]


def is_elementwise(a: Application) -> bool:
    """Tell whether each element of the result comes from the elements at the same place, of broadcast arguments."""
    forward = a.gate.forward
    if is_number(a) or not arrays(a):
        return False
    return a.gate.name in ELEMENTWISE or (isinstance(forward, np.ufunc) and forward.signature is None)


def is_reduction(a: Application) -> bool:
    """Tell whether a gate combines the elements of an array along axes."""
    return a.gate.name in REDUCTIONS and bool(arrays(a)) and not is_number(a)


def is_view(a: Application) -> bool:
    """Tell whether the result is another way to look at the memory of the first argument."""
    return a.gate.name in VIEWS and is_array(a.inputs[0]) and not any(
        isinstance(x, Value | np.ndarray | list | bool | np.bool_) for x in a.inputs[1:])


def may_fail(a: Application) -> bool:
    """Tell whether a gate may raise, or run Python code, at which Python may look after an interrupt."""
    if is_view(a) or a.gate.name == "cast":
        return False
    if a.gate.name == "where":
        return not (is_array(a.inputs[0]) and a.inputs[0].kind[1].kind == "b")
    if not is_elementwise(a) or not isinstance(a.gate.forward, np.ufunc):
        return True
    return a.gate.name == "power" and a.result.kind[1].kind in "iu"      # of integers to a negative one


def repeated(a: Application) -> Value | None:
    """Return the argument of an elementwise NumPy function that is repeated for each of many short rows, or in them.

    NumPy's innermost loop would be as short as a row. So the argument is first written out where the result will be.
    """
    found, shape = arrays(a), a.result.kind[0]
    if not isinstance(a.gate.forward, np.ufunc) or len(found) != 2 or len(shape) < 2 or shape[-1] >= LONG:
        return None
    small = [x for x in found if x.kind[0] != shape]
    return small[0] if len(small) == 1 and prod(small[0].kind[0]) > 1 and small[0].kind[1] == a.result.kind[1] else None


def in_place_over(a: Application, x: Value, *, by_columns: bool = False) -> bool:
    """Tell whether an elementwise gate may write its result over an argument: each element is read before."""
    if x.kind != a.result.kind or not is_elementwise(a):
        return False
    if a.gate.name == "where":                           # the third argument is copied, then some of the second
        return x is a.inputs[2] and x not in a.inputs[:2]
    return isinstance(a.gate.forward, np.ufunc) and (by_columns or repeated(a) is None)
