"""Plain arrays that a step computes with as they are: what NumPy writes into them, nobody would record."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ...source import Place
from ..errors import RecordingError
from .spots import Spot

__all__ = ["Untouched"]


class Untouched:
    """What stands in some places before a step, and what it holds.

    Parameters
    ----------
    spots : iterable of Spot
        Of arrays; whatever else stands there is left alone.
    """

    def __init__(self, spots: Iterable[Spot]) -> None:
        found = [(spot, spot.get()) for spot in spots]
        self._held = [(spot, x, x.copy()) for spot, x in found if type(x) is np.ndarray and not x.dtype.hasobject]

    def settle(self, line: Callable[[str, Any], Place | None]) -> None:
        """Refuse a step that has written into an array, or has put another one there.

        Parameters
        ----------
        line : callable
            ``line(name, owner)``: where the user's code sets a variable or an attribute.
        """
        for spot, x, before in self._held:
            now = spot.get()
            if type(now) is np.ndarray and (now is not x or not _equal(x, before)):
                raise RecordingError(
                    f"{spot.title} was changed in the step by NumPy or by plain Python, and a replay would not repeat "
                    "it. What changes in a step is a parameter, a buffer (register_buffer), a chainrule.cell, or an "
                    "array of floats in a variable, a dict or a plain object; else change it outside the step",
                    line(spot.title.partition("[")[0].rpartition(".")[2], spot.owner))

    def undo(self) -> None:
        """Put everything back."""
        for spot, x, before in self._held:
            if spot.get() is not x:
                spot.put(x)
            if not _equal(x, before):
                np.copyto(x, before)


def _equal(x: Any, y: Any) -> bool:
    return np.array_equal(x, y, equal_nan=x.dtype.kind in "fc")
