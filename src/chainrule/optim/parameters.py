"""What optimizers and averages are given: leaf tensors in an order that stays, with names or without."""
from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from ..tensor import Tensor

__all__ = ["collected", "listed"]


def listed(params: Any) -> list[Any]:
    """Return as a list what may be a single tensor or a generator."""
    if isinstance(params, set | frozenset):
        raise TypeError("the parameters of a group need an order that stays the same; use a list instead of a set")
    return [params] if isinstance(params, Tensor) else list(params)


def collected(params: Iterable[Any], title: str, taken: Collection[Tensor] = ()) -> tuple[list[str], list[Tensor]]:
    """Return the names (none if there are none) and the tensors among parameters, or say what is wrong with them.

    Parameters
    ----------
    params : iterable of Tensor, or of (name, Tensor)
    title : str
        Who asks; errors begin with it.
    taken : collection of Tensor
        Those that must not come again.

    Raises
    ------
    TypeError
        If one is not a tensor.
    ValueError
        If one is the result of a gate or comes twice, or if only some have names.
    """
    pairs = [entry if isinstance(entry, tuple) and len(entry) == 2 else (None, entry) for entry in listed(params)]
    seen = set(taken)
    for i, (name, p) in enumerate(pairs):
        if not isinstance(p, Tensor):
            raise TypeError(f"{title}: expected parameters (tensors), got {type(p).__name__} at position {i}"
                            + ("; use nn.Parameter(array)" if isinstance(p, np.ndarray) else ""))
        label = name or p.name or f"the parameter of shape {p.shape} at position {i}"
        if p.gate is not None:
            raise ValueError(f"{title}: {label} came out of {p.gate.name}, so an update would not last; pass the "
                             "leaf tensors it was made from, or .detach() it")
        if p in seen:
            raise ValueError(f"{title}: {label} appears twice; it would be updated twice in each step")
        seen.add(p)
    names = [name for name, _ in pairs if name]
    if names and len(names) < len(pairs):
        raise ValueError(f"{title}: name all parameters of a group, or none")
    return names, [p for _, p in pairs]
