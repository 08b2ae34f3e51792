"""Lists, tuples and dicts of arrays, such as the parameters of a network written by hand."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["matched", "parts", "rebuilt"]


def parts(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what stands in lists, tuples and dicts, at any depth, with the path to it (``"['W'][0]"``)."""
    if isinstance(tree, dict):
        for key, branch in tree.items():
            yield from parts(branch, f"{path}[{key!r}]")
    elif isinstance(tree, list | tuple):
        for i, branch in enumerate(tree):
            yield from parts(branch, f"{path}[{i}]")
    else:
        yield path, tree


def rebuilt(tree: Any, leaves: Iterator[Any]) -> Any:
    """Return the same lists, tuples and dicts around other leaves."""
    if isinstance(tree, dict):
        return {key: rebuilt(branch, leaves) for key, branch in tree.items()}
    if isinstance(tree, list | tuple):
        branches = [rebuilt(branch, leaves) for branch in tree]
        named = hasattr(tree, "_fields")
        return branches if isinstance(tree, list) else type(tree)(*branches) if named else tuple(branches)
    return next(leaves)


def matched(tree: Any, like: Any, what: str) -> list[Any]:
    """Return the leaves of `tree`, which must be built as `like` is, in shapes and in structure."""
    given, expected = dict(parts(tree)), dict(parts(like))
    if given.keys() != expected.keys():
        if len(expected) == 1 and not isinstance(like, dict | list | tuple):      # one array, written as lists
            given = {"": np.asarray(tree)}
        else:
            raise ValueError(f"{what}: expected the structure {_sketch(like)}, got {_sketch(tree)}")
    for path, x in expected.items():
        if x is not None and np.shape(given[path]) != np.shape(x):
            raise ValueError(f"{what}{path}: expected shape {np.shape(x)}, got {np.shape(given[path])}")
    return list(given.values())


def _sketch(tree: Any) -> str:
    return str(rebuilt(tree, (_Shape(np.shape(x)) for _, x in parts(tree))))


class _Shape(tuple[int, ...]):
    __slots__ = ()

    def __repr__(self) -> str:
        return f"array{super().__repr__()}"
