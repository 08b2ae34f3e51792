"""Which line of the user's code applied a gate.

An observer notes the code object and the instruction, which costs next to nothing; file, line and text are worked out
when somebody asks.
"""
from __future__ import annotations

import linecache
import os
import sys
import weakref
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from .gate import Gate
from .mode import Observer
from .tensor import Tensor

__all__ = ["Lines", "Place", "place"]

#: Frames of these folders are not the user's.
OURS = tuple(os.path.join(os.path.dirname(file), "") for file in (__file__, np.__file__))


class Place(NamedTuple):
    """An instruction in somebody's code; as a string, its file, line and function."""

    code: CodeType
    instruction: int

    @property
    def file(self) -> str:
        """The path of the file."""
        return self.code.co_filename

    @property
    def line(self) -> int:
        """The line number."""
        for start, end, line in self.code.co_lines():
            if start <= self.instruction < end and line is not None:
                return line
        return self.code.co_firstlineno

    @property
    def text(self) -> str:
        """The line itself; empty where its file cannot be read."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return where if self.code.co_name == "<module>" else f"{where} in {self.code.co_name}"


def place(depth: int = 1) -> Place:
    """Return where the user's code stands: in the innermost frame that is neither this package's nor NumPy's.

    Parameters
    ----------
    depth : int
        How many of the innermost frames need not be looked at.
    """
    frame = innermost = sys._getframe(depth)
    while frame.f_code.co_filename.startswith(OURS):
        if frame.f_back is None:                       # nobody else is there: the command line, for example
            frame = innermost
            break
        frame = frame.f_back
    return Place(frame.f_code, frame.f_lasti)


class Lines(Observer):
    """Notes where each gate was applied, for as long as its result lives.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.source import Lines
    >>> lines = Lines()
    >>> with cr.observe(lines):
    ...     y = cr.Tensor(2.0) * 3.0
    >>> lines.of(y).line
    2
    """

    def __init__(self) -> None:
        self.places: dict[int, tuple[Place, weakref.ref[Tensor]]] = {}     # by id: tensors do not compare as keys do

    def applied(self, gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any], result: Tensor) -> None:
        """Note where `result` was made."""
        key = id(result)
        self.places[key] = place(2), weakref.ref(result, lambda _: self.forget(key))

    def forget(self, key: int) -> None:
        """Drop the notes on a result that is gone."""
        self.places.pop(key, None)

    def of(self, t: Tensor) -> Place | None:
        """Return where a tensor was made, if that was seen."""
        found = self.places.get(id(t))
        return found[0] if found is not None else None
