"""State cells: whatever a training step reads and writes that outlives it.

A cell is an attribute or a key of some object: a moment, a learning rate, a step count, a position in a random stream.
Code reads and writes cells through these two functions. When it runs eagerly they are plain attribute accesses; a
recorder sees them, so nothing of the kind is baked into a recorded step, and a schedule, a checkpoint or a new seed
simply works.
"""
from __future__ import annotations

from typing import Any

from .mode import mode

__all__ = ["get", "put", "read", "write"]


def get(owner: Any, name: str) -> Any:
    """Return what stands in a cell now."""
    return owner[name] if isinstance(owner, dict) else getattr(owner, name)


def put(owner: Any, name: str, value: Any) -> None:
    """Set a cell."""
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)


def read(owner: Any, name: str) -> Any:
    """Read a cell: its value when eager, what stands for it when a step is being recorded."""
    if mode.symbolic and mode.observer is not None:
        return mode.observer.read(owner, name)
    return get(owner, name)


def write(owner: Any, name: str, value: Any) -> None:
    """Write a cell, or record that it is written."""
    if mode.symbolic and mode.observer is not None:
        mode.observer.write(owner, name, value)
    else:
        put(owner, name, value)
