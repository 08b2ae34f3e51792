"""Arrays, a block at a time: what is worked on at once stays in the second-level cache."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

__all__ = ["BLOCK", "blocks"]

BLOCK = 65_536                       #: elements; up to twice as many are not worth cutting up


def blocks(written: Sequence[NDArray[Any]], read: Any) -> Iterator[tuple[Sequence[NDArray[Any]], Any]]:
    """Yield the blocks of arrays of one size, each as a view, so that it can be written into.

    Parameters
    ----------
    written : sequence of array
        Those to be written into. Only where they lie in C order can they be cut up; otherwise they come whole.
    read : array
        One more, which is only read.

    Yields
    ------
    blocks of those written, block of the one read
    """
    if read.size <= 2 * BLOCK or not all(array.flags.c_contiguous for array in written):
        yield written, read
        return
    written, read = [array.reshape(-1) for array in written], read.reshape(-1)
    for start in range(0, read.size, BLOCK):
        block = slice(start, start + BLOCK)
        yield [array[block] for array in written], read[block]
