"""A table of a model: what each layer gives out, holds, and computes."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from .. import random
from ..gate import Gate
from ..mode import Observer, no_grad, observe
from ..tensor import Tensor
from .layer import Layer, _line

__all__ = ["COUNTS", "Row", "Summary", "summarize"]

#: How many multiply-adds a gate does: ``(inputs, options, result) -> int``. Gates that are not here count none.
COUNTS: dict[str, Callable[[tuple[Any, ...], dict[str, Any], Tensor], int]] = {
    "matmul": lambda inputs, options, z: z.size * (inputs[0].shape[-1] if len(inputs[0].shape) else 1),
    "linear": lambda inputs, options, z: z.size * inputs[1].shape[-1],
    "einsum": lambda inputs, options, z: _of_einsum(inputs, options["subscripts"], z),
}


def _of_einsum(operands: tuple[Any, ...], subscripts: str, z: Tensor) -> int:
    """Count one multiply-add for each element of the result and each value of the indices that are summed over."""
    left, _, right = subscripts.replace(" ", "").partition("->")
    lengths: dict[str, int] = {}
    for term, x in zip(left.split(","), operands, strict=True):
        before, dots, after = term.partition("...")
        letters = list(zip(before, x.shape, strict=False))
        letters += list(zip(after[::-1], x.shape[::-1], strict=False)) if dots else []
        lengths.update(letters)
    kept = right if "->" in subscripts else "".join(i for i in lengths if left.count(i) == 1)
    return (len(operands) - 1) * int(z.size) * prod(n for i, n in lengths.items() if i not in kept)


@dataclass
class Row:
    """What a summary says of one layer; parameters and multiply-adds of layers inside it are theirs."""

    path: str
    layer: str
    output: str = "not run"
    parameters: int = 0
    multiply_adds: int = 0


@dataclass
class Summary:
    """The rows of a summary, and their totals. Prints as a table.

    Attributes
    ----------
    rows : list of Row
        In the order of `Layer.named_layers`, the model itself first.
    """

    rows: list[Row] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        """The number of trainable and frozen parameters, shared ones counted once."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """The number of multiply-adds of one forward on the example batch."""
        return sum(row.multiply_adds for row in self.rows)

    def __str__(self) -> str:
        table = [("layer", "output", "parameters", "multiply-adds")]
        table += [(f"{row.path} {row.layer}".strip(), row.output, f"{row.parameters:,}", f"{row.multiply_adds:,}")
                  for row in self.rows]
        table.append(("total", "", f"{self.parameters:,}", f"{self.multiply_adds:,}"))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}" for a, b, c, d in table]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    __repr__ = __str__


class Counter(Observer):
    """Gives the multiply-adds of each gate to the layer that is running."""

    def __init__(self) -> None:
        self.running: list[int] = []                     # the layers that are running, the innermost last
        self.counts: dict[int, int] = {}

    def applied(self, gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any], result: Tensor) -> None:
        if self.running and gate.name in COUNTS:
            layer = self.running[-1]
            self.counts[layer] = self.counts.get(layer, 0) + int(COUNTS[gate.name](inputs, options, result))


def summarize(layer: Layer, *inputs: Any) -> Summary:
    """Run a layer once on an example batch, and say of each layer inside what it gives out, holds and computes.

    The run is one in evaluation, without gradients; modes, buffers and random streams are afterwards what they were.

    Parameters
    ----------
    layer : Layer
    *inputs : array_like
        An example batch.

    Returns
    -------
    Summary

    Notes
    -----
    Multiply-adds are counted from the gates that run (matmul, linear, einsum, and what `COUNTS` names besides), so
    layers of the user's own are counted like any other. Inside a hand-written backward's layer there are no gates.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).summary(np.zeros((5, 64)))
    layer              output   parameters  multiply-adds
    -----------------------------------------------------
    Sequential         (5, 10)           0              0
    0 Linear(64 → 32)  (5, 32)       2,080         10,240
    1 ReLU()           (5, 32)           0              0
    2 Linear(32 → 10)  (5, 10)         330          1,600
    -----------------------------------------------------
    total                            2,410         11,840
    """
    counter, outputs = Counter(), dict[int, str]()

    def enters(inner: Layer, given: tuple[Any, ...]) -> None:
        counter.running.append(id(inner))

    def leaves(inner: Layer, given: tuple[Any, ...], result: Any) -> None:
        counter.running.pop()
        outputs[id(inner)] = _shape(result)

    named = list(layer.named_layers())
    modes = [(inner, inner.__dict__.get("training")) for _, inner in named]
    buffers = [(b, b.numpy(), b.moment) for b in layer.buffers()]
    streams = [(stream, stream.seed, stream.position)
               for stream in (random.init, random.shuffle, random.dropout, random.user)]
    hooks = [undo for _, inner in named
             for undo in (inner.register_forward_pre_hook(enters), inner.register_forward_hook(leaves))]
    try:
        layer.eval()
        with no_grad(), observe(counter):
            layer(*inputs)
    finally:
        for undo in hooks:
            undo()
        for inner, training in modes:
            if training is None:
                inner.__dict__.pop("training", None)
            else:
                inner.training = training
        for b, value, moment in buffers:
            if b.moment != moment:
                b.assign(value)
        for stream, seed, position in streams:
            stream.seed, stream.position = seed, position
    rows, seen = [], set[Tensor]()
    for path, inner in named:
        own = {p for _, p in inner._own_tensors(False)} - seen
        seen |= own
        rows.append(Row(path, _line(inner), outputs.get(id(inner), "not run"), sum(p.size for p in own),
                        counter.counts.get(id(inner), 0)))
    return Summary(rows)


def _shape(result: Any) -> str:
    if isinstance(result, tuple | list):
        return f"({', '.join(map(_shape, result))})"
    return str(result.shape) if isinstance(result, Tensor) else type(result).__name__
