"""One `forward` of a layer by hand, and the way back through it: gate by gate, or over the tape.

Both ways ask the gates for their derivatives, through the engine.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..gate import Gate
from ..mode import recorder
from ..reverse import history, pull, pullback
from ..tensor import Tensor

__all__ = ["Call", "Chained", "Step", "Taped", "composed"]

Step = tuple[Gate, dict[str, Any]]       #: a gate and its options


class Call:
    """What a call has to remember."""

    result: Any                                          #: an array
    size: int                                            #: in bytes; parameters do not count
    count: int                                           #: how many inputs there were
    sources: Sequence[Any]                               #: the arrays of inputs and parameters
    scalars: Sequence[tuple[int, bool]] = ()             #: those that were no arrays; whether they were Python's

    def back(self, dout: Any) -> list[Any]:
        """Return the gradients of the inputs, then those of the parameters; None where none came back."""
        raise NotImplementedError


class Chained(Call):
    """Gates one after the other: each takes what came before, and as many operands as it has other arguments."""

    def __init__(self, steps: list[Step], inputs: list[Any], parameters: list[Any], constants: tuple[Any, ...]
                 ) -> None:
        self.count, self.sources, self.log = len(inputs), inputs + parameters, list[Any]()
        operands = [*self.sources, *constants]
        wanted = [True] * len(self.sources) + [False] * len(constants)
        z, used, size = inputs[0], 1, 0
        for x in inputs:
            size += x.nbytes
        for gate, options in steps:
            more = used + (gate.arity or 1) - 1
            given = (z, *operands[used:more])
            try:
                z = gate.forward(*given, **options)
            except Exception as error:
                raise gate.blame(error, list(given), options) from error
            if gate.keeps:
                z, kept = z
                options = {**options, "kept": kept}
            self.log.append((gate, z, given, options, (True, *wanted[used:more])))
            size += z.nbytes
            used = more
        self.result, self.size = z, size

    def back(self, dout: Any) -> list[Any]:
        """Take the gradient back through each gate."""
        slopes: list[Any] = []
        for gate, z, given, options, wanted in reversed(self.log):
            dout, *others = pull(gate, dout, z, given, options, wanted)
            slopes = others + slopes
        return [dout, *slopes[:len(self.sources) - 1]]


class Taped(Call):
    """Any function of tensors."""

    def __init__(self, function: Callable[..., Any], inputs: list[Any], parameters: list[Any], names: Sequence[str] = ()
                 ) -> None:
        self.count, self.sources = len(inputs), inputs + parameters
        self.leaves = [_leaf(x) for x in self.sources]
        for name, leaf in zip(names, self.leaves[len(inputs):], strict=False):
            leaf.name = name
        self.z = function(*self.leaves)
        self.result, self.size = self.z, 0
        if recorder() is None:
            self.result = self.z.array
            self.size = sum([x.nbytes for x in inputs] + [t.array.nbytes for t in history(self.z) if t.gate])

    def back(self, dout: Any) -> list[Any]:
        """Run the engine over the tape."""
        found = pullback({self.z: dout})
        return [found.get(leaf) for leaf in self.leaves]


def composed(steps: list[Step], constants: tuple[Any, ...]) -> Callable[..., Any]:
    """Return the function of tensors that gates one after the other are."""
    def function(z: Any, *operands: Any) -> Any:
        left = iter((*operands, *constants))
        for gate, options in steps:
            z = gate(z, *[next(left) for _ in range((gate.arity or 1) - 1)], **options)
        return z
    return function


def _leaf(x: Any) -> Tensor:
    leaf = Tensor.of(x) if recorder() is None else Tensor(x)       # which the recorder sees
    leaf.tracked = True
    return leaf
