"""What one call of a program costs, counted from shapes alone: arithmetic, memory that is read and written, buffers."""
from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...gate import Gate
from ...nn.summary import COUNTS
from ..planning.facts import HOST, arrays, is_array, is_number, is_view
from ..planning.plan import plan
from ..planning.twins import apart
from ..program import Application, Program, Value, each

__all__ = ["Cost", "Row", "classified", "cost"]

#: What a gate does, for those that the rules of `classified` do not tell.
CLASSES = {
    "elementwise": ("cast", "class_index", "clip", "erf", "index_places", "log_loss", "philox_bernoulli",
                    "philox_normal", "philox_uniform", "relu", "round", "sigmoid", "sigmoid_cross_entropy", "softplus",
                    "where"),
    "along axes": ("all", "any", "argmax", "argmin", "argsort", "cumsum", "log_softmax", "logsumexp", "max", "mean",
                   "min", "norm2", "prod", "softmax", "softmax_cross_entropy", "sort", "std", "sum", "sum_to", "var"),
    "moving": ("concatenate", "pad", "put_places", "roll", "scatter_add", "scatter_along_axis", "take_along_axis",
               "take_places"),
    "host": (*HOST, "released"),
}
#: Gates that read of their first argument only what they pick.
PICKING = frozenset({"getitem", "take_along_axis", "take_places"})
#: Gates that multiply and add, with how often.
PRODUCTS = {**COUNTS, "contraction": COUNTS["einsum"]}


@dataclass
class Row:
    """What one gate adds up to in a program.

    Attributes
    ----------
    count : int
        How often it is applied.
    multiply_adds, operations, bytes : int
        As in `Cost`.
    """

    count: int = 0
    multiply_adds: int = 0
    operations: int = 0
    bytes: int = 0


@dataclass
class Cost:
    """What one call of a program costs; prints as a table.

    Everything is counted from the shapes of the values, so it is the same on every machine and for every executor.

    Attributes
    ----------
    multiply_adds : int
        Of the products matmul, linear and einsum: for each element of the result as many as there are terms in its sum.
        A product of (n, k) and (k, m) has n·m·k, forward as well as backward.
    operations : int
        Of all other gates. Elementwise gates and random draws: one for each element of the result, whether it is a sum
        or a sine. Gates along axes (sums, extremes, softmax, sorting): one for each element of the argument. The bias
        of linear: one for each element of the result. Code that is unknown, such as hand-written layers: one for each
        element of the result. Numbers of Python's, such as a learning rate, count nothing, nor do gates that only move
        elements.
    bytes : int
        Read and written by all steps. A step reads each array that it takes once, and writes each array that it makes
        for others once; between the gates of one fused step nothing is read or written. A view costs nothing, and who
        reads it reads no more than the memory behind it; who picks elements reads those.
    calls : int
        Steps that are run as one: fused gates count once, views and numbers are calls too.
    buffers, buffer_bytes : int
        Blocks of memory that are planned, in which all calls have their values, and their size.
    peak_bytes : int
        The most that there is at a time beside arguments and cells: the buffers, the constants, what is returned, and
        whatever else is a new array at each call.
    gates : dict of str to Row
        The share of each gate in the first three, by its name.
    """

    multiply_adds: int = 0
    operations: int = 0
    bytes: int = 0
    calls: int = 0
    buffers: int = 0
    buffer_bytes: int = 0
    peak_bytes: int = 0
    gates: dict[str, Row] = field(default_factory=dict)

    def __str__(self) -> str:
        rows = sorted(self.gates.items(), key=lambda row: (-row[1].multiply_adds, -row[1].bytes, row[0]))
        table: list[tuple[str, ...]] = [("gate", "count", "multiply-adds", "operations", "bytes")]
        table += [_numbers(name, row) for name, row in rows]
        count = sum(row.count for row in self.gates.values())
        table.append(_numbers("total", Row(count, self.multiply_adds, self.operations, self.bytes)))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join([row[0].ljust(widths[0]), *(x.rjust(w) for x, w in zip(row[1:], widths[1:], strict=True))])
                 for row in table]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1],
                          f"{_of(self.calls, 'call')}; {_of(self.buffers, 'buffer')} of {self.buffer_bytes:,} bytes; "
                          f"{self.peak_bytes:,} bytes with constants and results"])


def cost(program: Program) -> Cost:
    """Count what one call of a program costs.

    Parameters
    ----------
    program : Program

    Returns
    -------
    Cost
        Which says how each figure is counted.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> step = cr.compile(lambda x, w: ((x @ w) * 2).sum())
    >>> _ = step(np.ones((5, 3)), np.ones((3, 4)))
    >>> print(step.recorded.cost())
    gate      count  multiply-adds  operations  bytes
    -------------------------------------------------
    matmul        1             60           0    376
    multiply      1              0          20    320
    sum           1              0          20    168
    -------------------------------------------------
    total         3             60          40    864
    3 calls; 2 buffers of 168 bytes; 176 bytes with constants and results
    """
    layout = plan(apart(program))                      # as it is run
    found = Cost(calls=len(program.steps), buffers=len(layout.sizes), buffer_bytes=sum(layout.sizes))
    memory = _memory(program)
    for step in program.steps:
        read: set[Value] = set()                       # what this step has read already, or makes itself
        for a in step.applications:
            row = found.gates.setdefault(a.gate.name, Row())
            row.count += 1
            multiply_adds, operations = _arithmetic(a)
            row.multiply_adds += multiply_adds
            row.operations += operations
            if not _is_free(a):
                row.bytes += sum(_read(a, x, memory) for x in dict.fromkeys(arrays(a)) if x not in read)
                row.bytes += memory[a.result] if a.result in step.results else 0
            read.update(arrays(a), a.results)
    for name in ("multiply_adds", "operations", "bytes"):
        setattr(found, name, sum(getattr(row, name) for row in found.gates.values()))
    placed = layout.slots.keys() | layout.beside.keys() | program.homes.keys()
    anew = {a.result for step in program.steps for a in step.applications if a.result in step.results
            and not _is_free(a) and a.result not in placed}
    each(lambda x: anew.add(x) if isinstance(x, Value) else None, program.result)
    found.peak_bytes = found.buffer_bytes + sum(map(_bytes, anew))
    found.peak_bytes += sum(np.asarray(array).nbytes for _, array in program.constants)
    return found


# ------------------------------------------------------------------ what a gate does
def classified(gate: Gate) -> str:
    """Say what a gate does: a product, something elementwise or along axes, a view, moving, a host call; or nothing.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.compiler.views.cost import classified
    >>> [classified(cr.GATES[name]) for name in ("linear", "exp", "sum", "reshape", "concatenate")]
    ['product', 'elementwise', 'along axes', 'view', 'moving']
    """
    if gate.name in PRODUCTS:
        return "product"
    if isinstance(gate.forward, np.ufunc) and gate.forward.signature is None:
        return "elementwise"
    if gate.is_view:
        return "view"
    return next((name for name, gates in CLASSES.items() if gate.name in gates), "")


def _arithmetic(a: Application) -> tuple[int, int]:
    """Count the multiply-adds of a gate, and its other operations."""
    kind, size = classified(a.gate), _size(a.result)
    if is_number(a) or kind in ("view", "moving"):
        return 0, 0
    if kind == "product":
        inputs = tuple([SimpleNamespace(shape=_shape(x)) for x in a.inputs if x is not None])
        z: Any = SimpleNamespace(shape=_shape(a.result), size=size)
        products = PRODUCTS[a.gate.name](inputs, a.options, z)
        if len(inputs) == 1:                           # an einsum that only sums
            return products, _size(a.inputs[0])
        return products, size if a.gate.name == "linear" and len(inputs) > 2 else 0
    return 0, _size(a.inputs[0]) if kind == "along axes" else size


def _is_free(a: Application) -> bool:
    """Tell whether a gate reads and writes no memory: it works on numbers, or only looks at its argument otherwise."""
    return is_number(a) or is_view(a) or (a.gate.name == "sum_to" and a.inputs[0].kind == a.result.kind)


# ------------------------------------------------------------------ memory
def _memory(program: Program) -> dict[Value, int]:
    """Say for each value how many bytes are behind it: those of a view are some of its argument's."""
    given = [*program.arguments, *(v for v, _ in program.constants), *(v for _, v in program.reads)]
    memory = {v: _bytes(v) for v in given}
    for a in program.applications:
        memory[a.result] = _bytes(a.result)
        if is_view(a):
            memory[a.result] = min(memory[a.result], memory[a.inputs[0]])
    return memory


def _read(a: Application, x: Value, memory: dict[Value, int]) -> int:
    return min(memory[x], _bytes(a.result)) if a.gate.name in PICKING and x is a.inputs[0] else memory[x]


def _shape(x: Any) -> tuple[int, ...]:
    if isinstance(x, Value):
        return tuple(x.kind[0]) if is_array(x) else ()
    return np.shape(x)


def _size(x: Any) -> int:
    return prod(_shape(x))


def _bytes(value: Value) -> int:
    return _size(value) * int(value.kind[1].itemsize) if is_array(value) else 0


# ------------------------------------------------------------------ words
def _numbers(name: str, row: Row) -> tuple[str, ...]:
    return name, *(f"{getattr(row, each.name):,}" for each in fields(Row))


def _of(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
