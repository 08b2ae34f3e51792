"""The arguments of a compiled step: what of them is data, and what the program depends on."""
from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import numpy as np

from ..gate import describe
from ..tensor import Tensor
from .recording.guards import SCALARS, same

__all__ = ["Signature", "difference", "replaced", "signature", "titles"]

#: For each argument its path, and the shape and dtype of an array, or a constant with its type.
Signature = tuple[Any, ...]


def signature(arguments: tuple[Any, ...], options: Mapping[str, Any]) -> tuple[Signature, list[Any]]:
    """Return what a program for these arguments depends on, and the arrays among them.

    Parameters
    ----------
    arguments, options
        Tensors and arrays are data; so are those in lists, tuples and dicts. Everything else is a constant.

    Returns
    -------
    signature : tuple
        Hashable.
    arrays : list of array

    Raises
    ------
    TypeError
        If a tensor requires a gradient, or a constant is not hashable.
    """
    arrays: list[Any] = []
    key: list[Any] = []
    for x in arguments:
        if type(x) is np.ndarray:                      # most are; these lines are passed at each call
            arrays.append(x)
            key.append((x.shape, x.dtype))
        else:
            key.append(_part(x, arrays))
    for name in sorted(options):
        key.append((name, _part(options[name], arrays)))
    return tuple(key), arrays


def _part(x: Any, arrays: list[Any]) -> Hashable:
    if isinstance(x, np.ndarray | np.generic):
        arrays.append(np.asarray(x) if isinstance(x, np.ndarray) else x)
        return x.shape, x.dtype
    if isinstance(x, Tensor):
        if x.tracked:
            raise TypeError(f"an argument of a compiled step is data, but {x.name or 'a tensor'} of shape {x.shape} "
                            "requires a gradient; let the step reach parameters through its model, or pass .detach()")
        arrays.append(x.array)
        return x.array.shape, x.array.dtype
    if isinstance(x, list | tuple):
        return (type(x), *[_part(item, arrays) for item in x])
    if isinstance(x, dict):
        return (dict, *[(name, _part(item, arrays)) for name, item in x.items()])
    if isinstance(x, Hashable):
        return _Constant(x)
    raise TypeError("the arguments of a compiled step are arrays, tensors, lists, tuples and dicts of them, and "
                    f"constants such as numbers, got {type(x).__name__}; pass what it holds as arrays, or let the step "
                    "reach it as a variable")


class _Constant:
    """A constant among the arguments: 1, 1.0 and True are three, and so are 0.0 and -0.0 two."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Constant) and (same(self.value, other.value) or (
            type(self.value) is type(other.value) and not isinstance(self.value, SCALARS)
            and bool(self.value == other.value)))

    def __hash__(self) -> int:
        return hash(repr(self.value) if isinstance(self.value, float) else self.value)     # one NaN is like another

    def __repr__(self) -> str:
        return repr(self.value)[:60]


def replaced(tree: Any, stand_in: Callable[[Any], Any]) -> Any:
    """Return arguments with something in the place of each array and tensor, in the order of `signature`."""
    if isinstance(tree, np.ndarray | np.generic | Tensor):
        return stand_in(tree)
    if isinstance(tree, list | tuple):
        items = [replaced(item, stand_in) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if isinstance(tree, dict):
        return {name: replaced(item, stand_in) for name, item in tree.items()}
    return tree


def titles(names: list[str], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Iterator[str]:
    """Yield what to call each of the arrays and tensors among the arguments, in the order of `signature`.

    Parameters
    ----------
    names : list of str
        Of the positional arguments.
    arguments, options
        What was passed.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.compiler.arguments import titles
    >>> x = np.zeros(2)
    >>> list(titles(["x", "rest"], (x, [x, {"key": x}], 3), {"y": x}))
    ['x', 'rest[0]', "rest[1]['key']", 'y']
    """
    def inside(title: str, x: Any) -> Iterator[str]:
        if isinstance(x, np.ndarray | np.generic | Tensor):
            yield title
        elif isinstance(x, list | tuple | dict):
            for key, item in x.items() if isinstance(x, dict) else enumerate(x):
                yield from inside(f"{title}[{key!r}]", item)

    for i, x in enumerate(arguments):
        yield from inside(names[i] if i < len(names) else f"argument {i}", x)
    for name in sorted(options):
        yield from inside(name, options[name])


def difference(names: list[str], now: Signature, before: Signature) -> str:
    """Say which argument is another than before.

    Parameters
    ----------
    names : list of str
        Of the positional arguments.
    now, before : Signature
    """
    if len(now) != len(before):
        return f"there are {len(now)} arguments, there were {len(before)}"
    for i, (a, b) in enumerate(zip(now, before, strict=True)):
        if a != b:
            name = names[i] if i < len(names) else a[0] if isinstance(a, tuple) and a else f"argument {i}"
            return f"{name} went from {_said(b)} to {_said(a)}"
    return ""


def _said(part: Any) -> str:
    if isinstance(part, tuple) and len(part) == 2 and isinstance(part[1], np.dtype):
        return describe(np.broadcast_to(np.zeros((), part[1]), part[0]))
    if isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], str):
        return _said(part[1])
    return repr(part)[:80]
