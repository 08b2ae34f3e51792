"""One program of a compiled step: what was recorded, what it takes for granted, and what runs it."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..tensor import Dropped, Tensor
from .executors import executor as named
from .passes import improved
from .program import Value
from .recording.recording import Recording

__all__ = ["Variant"]


class Variant:
    """A program of a step, for arguments of one signature and for what was taken for granted beside them."""

    def __init__(self, recorded: Recording, recording: bool) -> None:
        self.recorded = recorded
        self.recording = recording                     # whether results remember where they came from
        self.program = recorded.program
        self.run: Any = None                           # runs the program; there is one after the second call
        self.quick: Any = None                         # runs it at calls like the one before, if they are easy to know
        self.calls = 0

    def build(self, executor: str, keep: Callable[[int], bool]) -> None:
        """Make the program that is run.

        Parameters
        ----------
        executor : str
        keep : callable
            Tells of the id of a tensor whether the gradient that the step leaves is kept.
        """
        raw = self.recorded.program
        writes = [(cell, Dropped() if cell.name == "gradient" and isinstance(x, Value) and isinstance(
            cell.owner, Tensor) and not keep(id(cell.owner)) else x) for cell, x in raw.writes]
        self.program = improved(replace(raw, writes=writes))
        self.run = named(executor).build(self.program)

    def settle(self) -> None:
        """Move what the program writes into out of the memory that the recording lent, so that no replay has to."""
        for cell, _ in self.program.writes:
            if isinstance(cell.owner, Tensor) and cell.name == "array":
                cell.owner.memory()
        self.recorded.guards.hold()                    # it has seen these arrays then
