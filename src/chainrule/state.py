"""State cells: whatever a training step reads and writes that outlives it.

A cell is an attribute or a key of some object: a moment, a learning rate, a step count, a position in a random stream.
Code reads and writes cells through these functions. When it runs eagerly they are plain attribute accesses; a recorder
sees them, so nothing of the kind is baked into a recorded step, and a schedule, a checkpoint or a new seed simply
works.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from .mode import mode, settings

__all__ = ["ask", "get", "given", "holds", "put", "read", "write"]


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
