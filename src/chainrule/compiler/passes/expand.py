"""Expansion: gates that are made of smaller gates are replaced by those."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...gate import Gate
from ...mode import Observer, setting
from ...tensor import Tensor
from ..program import NUMBERS, Application, Program, Value, kind
from .rewriting import rewritten

__all__ = ["expand"]


def expand(program: Program) -> Program:
    """Replace each gate that says what its parts are (see `Gate`) by these, and parts of parts again.

    Smaller gates can be fused with their neighbours, write into planned memory, and be shared. A step whose result is a
    Python number stays as it is. This is the one pass that may change results, by rounding.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.compiler.passes import expand
    >>> step = cr.compile(lambda x: cr.softplus(x))
    >>> _ = step(np.ones(2))
    >>> [each.gate.name for each in expand(step.recorded).steps]
    ['maximum', 'abs', 'subtract', 'exp', 'log1p', 'add']
    """
    writer = _Writer(replace(program, constants=[*program.constants]))
    steps = [each for step in program.steps for each in writer.steps(step)]
    return rewritten(writer.program, steps, writer.instead)


class _Writer:
    """Writes the steps that stand for others.

    Parameters
    ----------
    program : Program
        Where new values are numbered and constants are put.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.instead: dict[Value, Any] = {}            # the results that parts do not make: they were there before
        self.constants: dict[int, Value] = {}          # by the id of their array

    def steps(self, step: Application) -> Iterator[Application]:
        """Give the steps that stand for one."""
        tape = _Tape(step) if step.gate.parts is not None and step.result.kind not in NUMBERS else None
        if tape is None or not isinstance(tape.result, Tensor) or kind(tape.result.array) != step.result.kind:
            yield step
            return
        values = {tensor: x for tensor, x in zip(tape.inputs, step.inputs, strict=True) if isinstance(tensor, Tensor)}
        for gate, inputs, options, result in tape.lines:
            given = tuple([self.constant(x) if isinstance(x, np.ndarray) else values[x] if isinstance(x, Tensor) else x
                           for x in inputs])
            values[result] = step.result if result is tape.result else self.program.new(result.array)
            yield from self.steps(Application(gate, given, options, values[result], step.place))
        if values[tape.result] is not step.result:
            self.instead[step.result] = values[tape.result]

    def constant(self, array: NDArray[Any]) -> Value:
        """Return the value of an array that the parts bring with them."""
        if id(array) not in self.constants:
            self.constants[id(array)] = self.program.new(array)
            self.program.constants.append((self.constants[id(array)], array))
        return self.constants[id(array)]


class _Tape(Observer):
    """What the parts of a step do, written down while they run on stand-ins for its inputs."""

    def __init__(self, step: Application) -> None:
        self.lines: list[tuple[Gate, tuple[Any, ...], dict[str, Any], Tensor]] = []
        self.inputs = [_stand_in(x) if isinstance(x, Value) else x for x in step.inputs]
        with setting(observer=self, symbolic=True, record=False), np.errstate(all="ignore"):
            try:
                self.result = step.gate.parts(*self.inputs, **step.options)    # type: ignore[misc]
            except (TypeError, ValueError):            # of booleans, say: the gate itself takes more than its parts
                self.result = NotImplemented

    def applied(self, gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any], result: Tensor) -> None:
        """Write down a gate; numbers make a number, as in eager code."""
        given = [x.array if isinstance(x, Tensor) else x for x in inputs]
        if all(type(x) in NUMBERS for x in given) and not np.ndim(result.array) and "dtype" not in options:
            result.array = result.array.item()
        self.lines.append((gate, inputs, options, result))


def _stand_in(x: Value) -> Tensor:
    """Return a tensor of a value's kind. Zeros are not touched by the operating system until they are written."""
    return Tensor.of(np.zeros(*x.kind) if isinstance(x.kind, tuple) else x.kind(0))
