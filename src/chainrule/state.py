"""State cells: whatever a training step reads and writes that outlives it.

A cell is an attribute or a key of some object: a moment, a learning rate, a step count, a position in a random stream.
Code reads and writes cells through these functions. When it runs eagerly they are plain attribute accesses; a recorder
sees them, so nothing of the kind is baked into a recorded step, and a schedule, a checkpoint or a new seed simply
works.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from .mode import mode, settings, tick

__all__ = ["Box", "ask", "cell", "get", "given", "holds", "put", "reach", "read", "touch", "touched", "write"]

#: When an attribute of some layer was last set, or `requires_grad` of some tensor. While it stays what it is, guards of
#: compiled steps need not look at any of them.
touched = [0]


def touch() -> None:
    """Take note that an attribute of a layer is being set."""
    touched[0] = tick()


def get(owner: Any, name: str) -> Any:
    """Return what stands in a cell now; None for a key that is missing.

    A NumPy scalar comes as a Python number, which never widens a float32; but a tensor's own array keeps its dtype.
    """
    value = owner.get(name) if isinstance(owner, dict) else getattr(owner, name)
    return value.item() if isinstance(value, np.generic) and name != "array" else value


def put(owner: Any, name: str, value: Any) -> None:
    """Set a cell."""
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)


def holds(value: Any) -> bool:
    """Tell whether a value is something: anything but None, False and 0."""
    return bool(value) if isinstance(value, int | float) else value is not None


def reach(owner: Any) -> None:
    """Tell a recorder that the attributes of an object are used, so that it notices when they change."""
    if settings and mode.symbolic and mode.observer is not None:
        mode.observer.reached(owner)


def read(owner: Any, name: str) -> Any:
    """Read a cell: its value when eager, what stands for it when a step is being recorded."""
    if settings and mode.symbolic and mode.observer is not None:
        return mode.observer.read(owner, name)
    return get(owner, name)


def given(owner: Any, name: str) -> bool:
    """Tell whether a cell holds something: anything but None, False and 0.

    This is how code decides by a cell. A recorded step takes the answer for granted; where it turns out otherwise, the
    step is recorded anew.
    """
    if settings and mode.symbolic and mode.observer is not None:
        return mode.observer.given(owner, name)
    return holds(get(owner, name))


def ask(owner: Any, name: str) -> Any:
    """Read a setting that switches something off by being None, False or 0: None then, and a decision (see `given`)."""
    if settings and mode.symbolic and mode.observer is not None:
        return read(owner, name) if given(owner, name) else None
    return get(owner, name) or None


def write(owner: Any, name: str, value: Any) -> None:
    """Write a cell, or record that it is written."""
    if settings and mode.symbolic and mode.observer is not None:
        mode.observer.write(owner, name, value)
    else:
        put(owner, name, value)


class Box:
    """A value that a compiled step reads anew at each call; `cell` makes it.

    Attributes
    ----------
    value : number, array or Tensor
        It may be set at any time, inside a step too.
    """

    __slots__ = ("__weakref__", "held")

    def __init__(self, value: Any) -> None:
        self.held = _kept(value)

    @property
    def value(self) -> Any:
        """What it holds; inside a step that is being recorded, what stands for it."""
        return read(self, "held")

    @value.setter
    def value(self, value: Any) -> None:
        if not (settings and mode.symbolic):
            value = _kept(value)
        write(self, "held", value)

    def __repr__(self) -> str:
        return f"cell({self.held!r})"


def cell(value: Any) -> Box:
    """Keep a number or an array that a compiled step shall read anew at each call.

    A plain number that a step reaches through an object of your own, such as ``config.weight``, is baked into its
    program. Kept in a cell it is not.

    Parameters
    ----------
    value : number or array_like
        Arrays are copied. A number of Python's never widens a float32.

    Returns
    -------
    Box
        With the attribute `value`, to be read and to be set, inside a step and outside.

    Raises
    ------
    TypeError
        If it is no number and no array of numbers.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> weight = cr.cell(2.0)
    >>> @cr.compile
    ... def step(x):
    ...     return (weight.value * x).sum()
    >>> x = np.array([1.0, 2.0])
    >>> [step(x).item() for _ in range(3)]
    [6.0, 6.0, 6.0]
    >>> weight.value = 0.5
    >>> step(x).item()
    1.5
    """
    return Box(value)


def _kept(value: Any) -> Any:
    """Return a value as a cell keeps it: a number of Python's, or an array of its own."""
    if isinstance(value, bool | int | float) and not isinstance(value, np.generic):
        return value
    array = np.array(getattr(value, "array", value))
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a cell holds a number or an array of numbers, got {type(value).__name__} {value!r:.60}")
    return array
