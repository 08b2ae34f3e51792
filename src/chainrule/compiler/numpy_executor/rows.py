"""Cells whose arrays lie side by side in one memory, so that one call writes into all of them."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...state import put
from ...tensor import Tensor
from ..program import Cell
from .holder import Holder

__all__ = ["Row", "memory"]


class Row:
    """Cells whose arrays are pieces of one array.

    Whoever sets a cell sets it to an array of its own. The row is laid out anew then.

    Parameters
    ----------
    cells : sequence of Cell
    holders : sequence of Holder
        Of the arrays in the cells.
    spans : sequence of slice
        Where they lie in the row.
    """

    def __init__(self, cells: Sequence[Cell], holders: Sequence[Holder], spans: Sequence[slice]) -> None:
        self.cells, self.holders, self.spans = cells, holders, spans
        self.whole = Holder()

    def lay(self) -> None:
        """Put the arrays that stand in the cells now side by side, unless they are."""
        arrays = [memory(cell) for cell in self.cells]
        whole = self.found(arrays)
        if whole is None:
            whole = np.empty(self.spans[-1].stop, arrays[0].dtype)
            for cell, array, span in zip(self.cells, arrays, self.spans, strict=True):
                piece = whole[span].reshape(array.shape)
                piece[...] = array
                put(cell.owner, cell.name, piece)
        for cell, holder in zip(self.cells, self.holders, strict=True):
            holder.hold(cell.get())
        self.whole.hold(whole)

    def found(self, arrays: Sequence[Any]) -> Any:
        """Return the array whose pieces these are, if they lie as they should: another program may have laid them."""
        whole, start = arrays[0].base, _start(arrays[0])
        if isinstance(whole, np.ndarray) and whole.ndim == 1 and whole.dtype == arrays[0].dtype and all(
                array.base is whole and _start(array) == start + span.start * whole.itemsize
                for array, span in zip(arrays, self.spans, strict=True)):
            first = (start - _start(whole)) // whole.itemsize
            return whole[first:first + self.spans[-1].stop]
        return None


def memory(cell: Cell) -> Any:
    """Return the array in a cell, to be written into as it lies there; it is copied first if that cannot be."""
    if isinstance(cell.owner, Tensor):
        cell.owner.memory()
    array = cell.get()
    if not (isinstance(array, np.ndarray) and array.flags.c_contiguous and array.flags.writeable):
        array = np.array(array, order="C")
        put(cell.owner, cell.name, array)
    return array


def _start(array: Any) -> int:
    """Return the address of the first element."""
    return array.__array_interface__["data"][0]          # type: ignore[no-any-return]
