"""Which fused steps are run a block of elements at a time, so that what they work on stays in the cache."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from ..program import Application, Fused, Step, Value
from .facts import arrays, is_elementwise, is_reduction

__all__ = ["BLOCK", "Cut", "cut"]

BLOCK = 32_768                           #: elements; up to twice as many are not worth cutting up


@dataclass(frozen=True)
class Cut:
    """How a fused step is cut into blocks.

    Attributes
    ----------
    flat : bool
        Whether the elements are taken in one row. Else an array is cut along its first axis.
    shape : tuple of int
        Of the arrays.
    length : int
        How many elements, or rows.
    size : int
        How many in a block; the last may have fewer.
    inside : tuple of Application
        What is done block by block.
    after : tuple of Application
        What is done with whole arrays when all blocks are done: sums over the rows, and views.
    whole : frozenset of Value
        The results of `inside` that need memory of their whole size.
    """

    flat: bool
    shape: tuple[int, ...]
    length: int
    size: int
    inside: tuple[Application, ...]
    after: tuple[Application, ...]
    whole: frozenset[Value]

    @property
    def block(self) -> tuple[int, ...]:
        """The shape of a block."""
        return (self.size,) if self.flat else (self.size, *self.shape[1:])

    @property
    def spans(self) -> list[slice]:
        """Where each block begins and ends."""
        return [slice(start, min(start + self.size, self.length)) for start in range(0, self.length, self.size)]


def cut(step: Step, in_one_row: Callable[[Value], bool]) -> Cut | None:
    """Cut a step into blocks, if it is worth it.

    Parameters
    ----------
    step : Application or Fused
    in_one_row : callable
        Tells whether the elements of an array lie one after the other.

    Returns
    -------
    Cut or None
    """
    if not isinstance(step, Fused):
        return None
    shape: tuple[int, ...] = next((a.result.kind[0] for a in step.applications if is_elementwise(a)), ())
    if prod(shape) <= 2 * BLOCK:
        return None
    flat = all(prod(x.kind[0]) == 1 or (x.kind[0] == shape and in_one_row(x))
               for a in step.applications if is_elementwise(a) for x in (*arrays(a), a.result))
    row = 1 if flat else prod(shape[1:])
    if row > 2 * BLOCK:
        return None
    inside = [a for a in step.applications if is_elementwise(a) or (not flat and _by_rows(a))]
    if len(inside) < 2:
        return None
    after = [a for a in step.applications if a not in inside]
    needed = {*step.results}.union(*(a.inputs[:1] for a in after))
    return Cut(flat, shape, prod(shape) if flat else shape[0], max(1, BLOCK // row), tuple(inside), tuple(after),
               frozenset(a.result for a in inside if a.result in needed or is_reduction(a)))


def _by_rows(a: Application) -> bool:
    """Tell whether a gate makes each row of its result from the same row of its argument."""
    axis = a.options.get("axis")
    axes = axis if isinstance(axis, tuple) else (axis,)
    return is_reduction(a) and a.gate.name != "sum_to" and axis is not None and all(
        i % len(a.inputs[0].kind[0]) for i in axes)
