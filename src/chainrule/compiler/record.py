"""Record a step once, forward, backward and update, and run it from then on as a program.

Recording runs the step in the mode `symbolic`: derivatives and update rules run on tensors too, so that every gate of
the step passes the recorder. State is read and written through cells (see `chainrule.state`); a tensor that the step
did not make is a cell as well. The first call is a real step: it leaves everything as an eager one would.
"""
from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from .. import gates as g
from ..gate import Gate, describe, own
from ..mode import Observer, mode, setting, tick
from ..state import get, holds
from ..tensor import Tensor
from .numpy_executor import flat
from .passes import improved
from .program import NUMBERS, Application, Cell, Program, Value, each, kind

__all__ = ["Recorded", "Recorder", "record"]

Key = tuple[int, str]


class Recorder(Observer):
    """Writes down every gate that is applied, and what is read from and written to the cells."""

    def __init__(self, arguments: list[Tensor]) -> None:
        self.program = Program()
        self.program.arguments = [self.program.new(x.array) for x in arguments]
        self.values = dict(zip(arguments, self.program.arguments, strict=True))    # what stands behind a tensor
        self.cells: dict[Key, Cell] = {}
        self.first: dict[Key, Any] = {}                # what a cell held when the step began
        self.current: dict[Key, Any] = {}              # what it holds now, as the step sees it
        self.began = tick()

    # ------------------------------------------------------------------ gates
    def applied(self, gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any], result: Tensor) -> None:
        """Write down a gate."""
        given = [x.array if isinstance(x, Tensor) else x for x in inputs]
        if all(type(x) in NUMBERS for x in given) and not np.ndim(result.array) and "dtype" not in options:
            result.array = result.array.item()         # numbers make a number, as they do in eager code
        values = tuple([self.value(x) if isinstance(x, Tensor | np.ndarray) else x for x in inputs])
        self.values[result] = self.program.new(result.array)
        self.program.steps.append(Application(gate, values, options, self.values[result]))

    def value(self, x: Any) -> Value:
        """Return the value behind an operand."""
        if isinstance(x, np.ndarray):
            return self.constant(x)
        if (id(x), "array") in self.cells:
            x = self.current[id(x), "array"]           # what was last written into it
        elif x not in self.values and x.moment < self.began:
            x = self.read(x, "array")                  # from outside the step: its value is read at each replay
        if x not in self.values:
            self.values[x] = self.constant(x.array)    # made in the step, by no gate
        return self.values[x]

    def constant(self, array: Any) -> Value:
        """Make a value that is the same at each replay."""
        value = self.program.new(array)
        self.program.constants.append((value, own(array) if isinstance(array, np.ndarray) else array))
        return value

    # ------------------------------------------------------------------ cells
    def read(self, owner: Any, name: str) -> Any:
        """Return what stands for the content of a cell: a tensor, a tuple of them, or None, False or True."""
        key = id(owner), name
        if key not in self.cells:
            cell = self.cells[key] = Cell(owner, name)
            now = cell.get()
            self.program.guards.append((kind, cell, kind(now)))
            if isinstance(now, tuple | list):
                self.current[key] = tuple([self.stand_in(Cell(owner, name, i)) for i in range(len(now))])
            else:
                self.current[key] = now if now is None or isinstance(now, bool) else self.stand_in(cell)
            self.first[key] = self.settled(self.current[key])
        return self.current[key]

    def stand_in(self, cell: Cell) -> Tensor:
        """Return a tensor in place of what a cell holds: the one that stands there, or a new one around it."""
        held = get(cell.owner, cell.name)
        tensor = held if isinstance(held, Tensor) else Tensor.of(cell.get())
        self.values[tensor] = self.program.new(tensor.array)
        self.program.reads.append((cell, self.values[tensor]))
        return tensor

    def given(self, owner: Any, name: str) -> bool:
        """Answer by what the cell holds, and write down that this was taken for granted."""
        key = id(owner), name
        if key in self.cells and self.settled(self.current[key]) is not self.first.get(key):
            now = self.current[key]                    # written by this step, hence no matter of state
            if isinstance(now, Tensor) and type(now.array) in NUMBERS:
                raise TypeError(f"{name} is computed in the recorded step, which cannot branch on it; use where()")
            return holds(now)
        cell = Cell(owner, name)
        answer = holds(cell.get())
        self.program.guards.append((holds, cell, answer))
        return answer

    def write(self, owner: Any, name: str, value: Any) -> None:
        """Set a cell, now and at the end of each replay; or only note the new value of a tensor of the step's own."""
        key, before = (id(owner), name), get(owner, name)
        if isinstance(before, np.ndarray | np.generic):
            value = self.fitted(value, before, name)
        if isinstance(owner, Tensor) and name == "array" and key not in self.cells and (
                owner in self.values or owner.moment > self.began):
            self.values[owner], owner.array = self.value(value), value.array       # a tensor of the step's own
            return
        cell = self.cells.setdefault(key, Cell(owner, name))
        self.current[key] = value
        cell.put(value)                                # what comes later in the step sees it

    def fitted(self, value: Any, before: Any, name: str) -> Tensor:
        """Return a value in the shape and dtype of the array it takes the place of, as writing in place would."""
        if not isinstance(value, Tensor):
            value = Tensor.of(np.array(value, before.dtype))
        if np.shape(value.array) != before.shape:
            raise ValueError(f"cannot write {describe(value.array)} into {name}, which is {describe(before)}")
        if kind(value.array) == kind(before):
            return value                               # type: ignore[no-any-return]
        if not np.can_cast(value.dtype, before.dtype, "same_kind"):
            raise TypeError(f"cannot write {describe(value.array)} into {name}, which is {describe(before)}; convert "
                            "it with .astype")
        return g.cast(value, dtype=before.dtype)       # type: ignore[no-any-return]

    # ------------------------------------------------------------------ the end
    def settled(self, x: Any) -> Any:
        """Return the value behind a tensor, and anything else as it is."""
        return self.value(x) if isinstance(x, Tensor) else x

    def finish(self, result: Any) -> Program:
        """Note what the step leaves behind, and return the program."""
        for key, cell in self.cells.items():
            last = self.settled(self.current[key])
            if key not in self.first or last is not self.first[key]:
                self.program.writes.append((cell, last))
        self.program.result = each(self.settled, result)
        return self.program


class Recorded:
    """A step that is recorded where it must be, and replayed where it can be; `record` makes it.

    Attributes
    ----------
    program : Program
        What was last recorded, after the passes, or run.
    recorded : Program
        What was last recorded, as it was.
    """

    program: Program
    recorded: Program

    def __init__(self, step: Callable[..., Any]) -> None:
        functools.update_wrapper(self, step)
        self.step = step
        self.recordings: dict[Any, list[tuple[Program, Callable[..., Any]]]] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Do the step."""
        if mode.observer is not None:                  # inside another recorded step, or while somebody looks on
            return self.step(*arguments)
        plain = [_array(x) for x in arguments]
        arrays = [x for x in plain if isinstance(x, np.ndarray | np.generic)]
        signature = (mode.record, *[kind(x) if isinstance(x, np.ndarray | np.generic) else (type(x), x) for x in plain])
        known = self.recordings.setdefault(signature, [])
        for program, run in known:
            if program.applies():
                self.program = program
                return run(arrays)
        lifted = [Tensor.of(x, lent=True) if isinstance(x, np.ndarray | np.generic) else x for x in plain]
        recorder = Recorder([x for x in lifted if isinstance(x, Tensor)])
        with setting(observer=recorder, symbolic=True):
            result = self.step(*lifted)
        self.recorded = recorder.finish(result)
        self.program = improved(self.recorded)
        known.append((self.program, flat(self.program)))
        return each(lambda x: Tensor.of(x.array, lent=True) if isinstance(x, Tensor) else x, result)


def _array(x: Any) -> Any:
    """Return the array of an argument, which nobody else will write into; or a constant as it is."""
    if isinstance(x, np.ndarray):
        return own(x)
    if not isinstance(x, Tensor):
        if isinstance(x, Hashable):
            return x
        raise TypeError("the arguments of a recorded step are arrays, tensors, and constants such as numbers, got "
                        f"{type(x).__name__}; pass np.array(...) for a list, and the arrays of a dict one by one")
    if x.tracked:
        raise TypeError(f"an argument of a recorded step is data, but {x.name or 'a tensor'} of shape {x.shape} "
                        "requires a gradient; let the step reach parameters through its model, or pass .detach()")
    x.lent = True
    return x.array


def record(step: Callable[..., Any]) -> Recorded:
    """Record a step at its first call, and replay it at the next ones as a flat list of calls.

    Parameters
    ----------
    step : callable
        ``step(*arguments)``. It may go forward, backward, and update. Arrays and tensors among its arguments are new
        data at each call; other arguments are part of its signature. Parameters, buffers, gradients, moments, the
        settings of optimizers and the random streams may change between calls. Everything else that it reaches (plain
        arrays and numbers that are no arguments) stays what it was when it was recorded.

    Returns
    -------
    callable
        Does what `step` does, and returns what it returns, as constants. It is recorded anew for arguments of another
        shape or dtype, and where something that it decided by has changed, such as ``training``. ``print(it.program)``
        lists what was recorded.

    Raises
    ------
    TypeError
        At the first call, if the step reads a value into Python (``float(loss)``, ``if loss < 1``), or if an argument
        requires a gradient.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule import optim
    >>> from chainrule.compiler import record
    >>> w = cr.Tensor([1.0], requires_grad=True, name="w")
    >>> optimizer = optim.SGD([w], lr=0.25)
    >>> @record
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = (w * x).sum()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> step(np.array([2.0])), step(np.array([2.0]))
    (Tensor(2.), Tensor(1.))
    >>> len(step.recorded.steps)                         # product, sum, their two derivatives, two of the update
    6
    >>> len(step.program.steps)                          # the derivative of the sum is the same each time
    5
    """
    return Recorded(step)
