"""`compile(check=N)`: a replay and an eager run of the same step, from the same state, compared."""
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..gate import Gate
from ..mode import UnforeseenError
from ..tensor import Dropped, Tensor
from ..tree import parts
from .program import Application, Cell, Program, Value
from .recording.captured import Captured
from .recording.record_arrays import ArrayRecorder
from .recording.recording import Recording

if TYPE_CHECKING:
    from .compiled import Compiled
    from .variant import Variant

__all__ = ["DifferenceError", "checked"]

Key = tuple[int, str, int | None]
#: How far apart results may lie, in units of their norm.
TOLERANCE = {np.dtype(np.float16): 1e-2, np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-9}


class DifferenceError(RuntimeError):
    """A compiled step did something else than the eager one; the message names the first gate that differs."""


class Values(ArrayRecorder):
    """A recorder that keeps what every gate made."""

    def __init__(self, arguments: list[Tensor], captured: Captured) -> None:
        super().__init__(arguments, captured)
        self.made: list[Any] = []

    def apply(self, gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any], array: Any) -> Value:
        """Add a step, and keep its result."""
        self.made.append(array)
        return super().apply(gate, inputs, options, array)


def checked(compiled: Compiled, variant: Variant, arrays: list[Any], arguments: tuple[Any, ...],
            options: Mapping[str, Any]) -> Any:
    """Run a step eagerly, put everything back, and replay it; return what the replay returned.

    Raises
    ------
    DifferenceError
        If they differ by more than rounding. All state is then as it was before the step.
    """
    assert variant.run is not None
    program = variant.recorded.program
    before = _state(program)
    found, result, values = compiled.record(arguments, options, Values, variant.recorded.sources.values())
    if values.generally and not compiled.generally:
        values.undo()
        raise UnforeseenError("the step went another way than when it was recorded")
    expected = [*_state(found.program).values(), *_leaves(result)]
    titles = [*map(values.title, _cells(found.program).values()), *[f"result{path}" for path, _ in parts(result)]]
    ran = _interpreted(program, arrays, before)
    values.undo()
    try:
        outcome = variant.run(arrays)
    except Exception as error:
        raise DifferenceError(f"the eager step ran, its program did not: {error}") from error
    got = [*_state(found.program).values(), *_leaves(outcome)]
    wrong = next((title for title, x, y in zip(titles, got, expected, strict=True)
                  if not (title.endswith(".gradient") and x is None) and not _close(x, y)), None)
    if wrong is None:
        return outcome
    _put_back(found.program, before)
    raise DifferenceError(_blame(wrong, program, found, values.made, ran))


def _blame(wrong: str, program: Program, found: Recording, made: list[Any], ran: list[Any]) -> str:
    """Say where a program and an eager run went different ways."""
    start = f"the compiled step is not what the eager one is now: {wrong} differs"
    remedy = ("Something that the step reads was a constant when it was recorded; pass it as an argument, or keep it "
              "in chainrule.cell(...)")
    for i, (ours, theirs) in enumerate(zip(program.steps, found.program.steps, strict=False)):
        if ours.gate is not theirs.gate:
            return f"{theirs.place}: {start}. {theirs.gate.name} is applied where {ours.gate.name} was. {remedy}"
        if not _close(ran[i], made[i]):
            return (f"{theirs.place}: {start}. The first gate that differs is {theirs.gate.name}"
                    f"{_inputs(ours, theirs)}. {remedy}")
    if len(program.steps) != len(found.program.steps):
        return f"{start}. It has {len(found.program.steps)} gates now, and had {len(program.steps)}. {remedy}"
    return (f"{start}, though every gate of the program, run by itself, agrees: this is an error of the passes or of "
            "the executor; please report it")


def _inputs(ours: Application, theirs: Application) -> str:
    """Say which constant among the inputs has changed."""
    for x, y in zip(ours.inputs, theirs.inputs, strict=False):
        if not isinstance(x, Value) and not isinstance(y, Value) and repr(x) != repr(y):
            return f": it takes {y!r:.60} now, and {x!r:.60} was recorded"
    return ""


def _cells(program: Program) -> dict[Key, Cell]:
    """Return all cells of a program, each once."""
    return {(id(cell.owner), cell.name, cell.item): cell for cell, _ in (*program.reads, *program.writes)}


def _state(program: Program) -> dict[Key, Any]:
    """Return what stands in all cells of a program, in memory of its own."""
    return {key: _copied(_content(cell)) for key, cell in _cells(program).items()}


def _put_back(program: Program, state: Mapping[Key, Any]) -> None:
    """Write a state that was copied back into the cells."""
    for key, cell in _cells(program).items():
        held = state.get(key)
        if cell.item is None:
            cell.put(Tensor.of(np.array(held)) if isinstance(held, np.ndarray) else held)


def _content(cell: Cell) -> Any:
    held = cell.get()
    return None if isinstance(held, Dropped) else held


def _copied(x: Any) -> Any:
    return np.array(x) if isinstance(x, np.ndarray) else x


def _leaves(tree: Any) -> list[Any]:
    return [x.array if isinstance(x, Tensor) else x for _, x in parts(tree)]


def _interpreted(program: Program, arguments: list[Any], state: Mapping[Any, Any]) -> list[Any]:
    """Run a program one gate after the other, from a state that is given; return what each made."""
    known: dict[Value, Any] = dict(zip(program.arguments, arguments, strict=True))
    known.update(program.constants)
    known.update((value, state[id(cell.owner), cell.name, cell.item]) for cell, value in program.reads)
    made: list[Any] = []
    with np.errstate(all="ignore"):
        for a in program.applications:
            try:
                z = a.gate.value(*[known.get(x) if isinstance(x, Value) else x for x in a.inputs], **a.options)
            except Exception:                            # of other constants than now: it differs from here on
                made += [None] * (len(program.steps) - len(made))
                break
            known[a.result] = z if isinstance(a.result.kind, tuple) else np.asarray(z).item()
            made.append(known[a.result])
    return made


def _close(x: Any, y: Any) -> bool:
    """Tell whether two results are the same but for rounding."""
    x, y = np.asarray(x), np.asarray(y)
    if x.shape != y.shape or x.dtype.kind != y.dtype.kind:
        return False
    if x.dtype.kind != "f":
        return np.array_equal(x, y)
    finite = np.isfinite(y)
    if not np.array_equal(np.isfinite(x), finite) or not np.array_equal(x[~finite], y[~finite], equal_nan=True):
        return False
    away = np.linalg.norm((x[finite] - y[finite]).astype(np.float64))
    return bool(away <= TOLERANCE.get(y.dtype, 1e-9) * np.linalg.norm(y[finite].astype(np.float64)) + 1e-300)

