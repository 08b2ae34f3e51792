"""A recording: what was written down of one call of a step, and how it comes about."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...mode import setting
from ..errors import RecordingError
from ..program import Cell, Program, Value
from .guards import Guards
from .snapshot import alike
from .spots import Spot

if TYPE_CHECKING:
    from .record_arrays import ArrayRecorder

__all__ = ["Recording", "recording"]


@dataclass(eq=False)
class Recording:
    """What was recorded of one call.

    Attributes
    ----------
    program : Program
        Every gate as it was applied.
    guards : Guards
        What was taken for granted.
    sources : dict of Value to Spot
        Where the arrays of the user's stand that it computes with as they are.
    accumulates : set of int
        The ids of the tensors whose gradient from before the call was read.
    moved : list of str
        Where another array of the user's stands now than before the call.
    set : list of (Cell, number)
        What layers by hand have noted in attributes.
    """

    program: Program
    guards: Guards
    sources: dict[Value, Spot]
    accumulates: set[int]
    moved: list[str]
    set: list[tuple[Cell, Any]]


def recording(step: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any], recorder: ArrayRecorder
              ) -> tuple[Recording, Any]:
    """Run a step, and write down what it does.

    It is a real step, which leaves everything as an eager one would. If it fails, all state is as it was before.

    Parameters
    ----------
    step : callable
    arguments, options
        What it is called with: tensors that the recorder knows stand there for arrays.
    recorder : ArrayRecorder

    Returns
    -------
    Recording
    result
        What the step returned.

    Raises
    ------
    RecordingError
        If the step does what a program cannot hold.
    """
    given = [(x, copy(x)) for x in _containers((arguments, options))]
    try:
        with recorder.stand_ins, setting(observer=recorder, symbolic=True):
            result = step(*arguments, **options)
        returned = [*map(id, _containers((result,)))]
        for x, before in given:
            if id(x) not in returned and not alike(x, before):
                raise RecordingError(f"the step changes the {type(x).__name__} that is its argument, and a replay "
                                     "would not; return it, or let the step reach it as a variable",
                                     recorder.captured.returns())
        return recorder.finish(result), result
    except BaseException:
        recorder.undo()
        raise


def _containers(tree: Any) -> Iterator[Any]:
    """Yield the dicts and lists in something, at any depth."""
    if isinstance(tree, dict | list):
        yield tree
    if isinstance(tree, dict | list | tuple):
        for x in tree.values() if isinstance(tree, dict) else tree:
            yield from _containers(x)
