"""What is raised where a step cannot be recorded."""
from __future__ import annotations

from ..source import Place

__all__ = ["RecordingError"]


class RecordingError(TypeError):
    """A step does what a program cannot hold; the message names the line and the remedy.

    Parameters
    ----------
    why : str
    place : Place, optional
        The user's line.

    Attributes
    ----------
    place : Place or None
    """

    def __init__(self, why: str, place: Place | None = None) -> None:
        super().__init__(why if place is None else f"{place}: {why}")
        self.place = place
