"""The by-hand style: `forward` on plain arrays, and the way back through each call.

The cache belongs to the call, not to the layer, so a layer that is used twice is right both times. While a step is
recorded, tensors stand for its arrays (`Observer.is_array`): they are treated as arrays, and their values never read.
"""
from __future__ import annotations

import functools
import inspect
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..mode import mode, no_grad, recorder, setting
from ..reverse import accumulate, history, pullback
from ..state import reach
from ..tensor import Tensor

if TYPE_CHECKING:
    from .layer import Layer

__all__ = ["Call", "Calls", "by_hand", "is_value", "leaf", "raw", "run", "run_back"]

MOST_CALLS = 1_000                   #: how many calls a layer keeps for `backward`
MOST_BYTES = 256 * 2**20             #: and how much memory they may hold


class Call:
    """One `forward` on plain arrays, and the way back through it."""

    __slots__ = ("inputs", "name", "numbers", "result", "size")

    def __init__(self, name: str, inputs: list[Tensor], result: Any, numbers: bool) -> None:
        self.name, self.inputs, self.result, self.numbers = name, inputs, result, numbers
        given = set(inputs)
        self.size = sum(t.array.nbytes for t in history(*_tensors(result)) if t.gate is not None or t in given)

    def back(self, dout: Any = None) -> Any:
        """Add to the gradients of the parameters, and return those of the inputs; `Layer.call` documents it."""
        results = _tensors(self.result)
        if not any(z.tracked for z in results):
            raise TypeError(f"{self.name}.backward: nothing that went in has a gradient; pass floating-point arrays "
                            "(1.0 instead of 1, or .astype(float))")
        seeds: dict[Tensor, Any] = {}
        for z, d in self._paired(self.result, dout):
            d = np.ones(z.shape, z.dtype) if d is None else raw(d, z.dtype)
            if d.shape != z.shape:
                raise ValueError(f"{self.name}.backward: dout has shape {d.shape}, but forward returned {z.shape}")
            if z.tracked:
                seeds[z] = seeds[z] + d if z in seeds else d
        mine, found = set(self.inputs), pullback(seeds, retain_graph=True)
        for leaf, d in found.items():
            if leaf not in mine:
                accumulate(leaf, d)
        grads = [lowered(found.get(x, np.zeros_like(x.array)), self.numbers) for x in self.inputs]
        return None if not grads else grads[0] if len(grads) == 1 else tuple(grads)

    def _paired(self, result: Any, dout: Any) -> list[tuple[Tensor, Any]]:
        """Give each tensor of the result its part of `dout`."""
        if isinstance(result, Tensor):
            return [(result, dout)]
        if not isinstance(result, tuple | list):
            return []
        parts = [None] * len(result) if dout is None else dout
        if not isinstance(parts, tuple | list) or len(parts) != len(result):
            raise ValueError(f"{self.name}.backward: forward returned {len(result)} results, so dout is a tuple of as "
                             f"many gradients, got {type(dout).__name__}")
        return [pair for z, d in zip(result, parts, strict=True) for pair in self._paired(z, d)]


class Calls:
    """The calls that a layer can still be taken back through, the newest last; bounded in number and in bytes."""

    def __init__(self, most: tuple[int, int] | None = None) -> None:
        self.most = most                 # other bounds than MOST_CALLS and MOST_BYTES
        self.kept: deque[Any] = deque()
        self.bytes = 0
        self.went_back = False           # whether a backward came last

    def keep(self, call: Any) -> None:
        """Keep a call. The first after a backward begins a new pass, and drops what is left of the old one."""
        if self.went_back:
            self.forget()
            self.went_back = False
        self.kept.append(call)
        self.bytes += call.size
        most_calls, most_bytes = self.most or (MOST_CALLS, MOST_BYTES)
        while len(self.kept) > most_calls or (self.bytes > most_bytes and len(self.kept) > 1):
            self.bytes -= self.kept.popleft().size

    def take(self) -> Any:
        """Take the newest call out."""
        call = self.kept.pop()
        self.bytes -= call.size
        return call

    def forget(self) -> None:
        """Drop all calls."""
        self.kept.clear()
        self.bytes = 0

    def __copy__(self) -> Calls:
        twin = Calls(self.most)
        twin.kept, twin.bytes, twin.went_back = self.kept.copy(), self.bytes, self.went_back
        return twin


def run(layer: Layer, inputs: tuple[Any, ...], options: dict[str, Any], record: bool = True) -> tuple[Any, Call | None]:
    """Run a layer on plain values; return its result as plain values, and the call if it was recorded."""
    step = recorder()
    if any(isinstance(x, np.ndarray | Tensor) for x in options.values()):
        bound = inspect.signature(layer.forward).bind(*inputs, **options)
        inputs, options = bound.args, bound.kwargs
    numbers = all(isinstance(x, int | float) for x in inputs)
    leaves: list[Tensor] = []
    given = []
    with setting(record=record):
        dtype = layer._dtype()
        for place, x in enumerate(inputs):
            t = layer._leaf(x if step is None else leaf(x), place, numbers)
            if isinstance(t, Tensor) and t.dtype.kind == "f" and not layer.is_constant(place):
                if record:
                    t.requires_grad = True
                    leaves.append(t)
                if dtype is not None and t.dtype != dtype:
                    t = t.astype(dtype)                  # a gate, so the gradient comes back in the caller's dtype
            given.append(t)
        result = layer(*given, **options)
    call = Call(type(layer).__name__, leaves, result, numbers) if record else None
    return lowered(result, numbers), call


def by_hand(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Let a `forward` that is written with tensors serve plain values too, when it is called from outside any layer."""
    @functools.wraps(forward)
    def wrapped(self: Layer, *inputs: Any, **options: Any) -> Any:
        if mode.inside or not all(map(is_value, (*inputs, *options.values()))):
            return forward(self, *inputs, **options)
        reach(self)
        if self.is_handwritten:
            return lowered(forward(self, *inputs, **options), all(isinstance(x, int | float) for x in inputs))
        record = mode.record and self.training
        result, call = run(self, inputs, options, record)
        if call is not None:
            self._calls.keep(call)
        return result
    return wrapped


def run_back(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Let a `backward` written by hand use parameters as plain numbers: nothing is recorded, arrays come out."""
    @functools.wraps(backward)
    def wrapped(self: Layer, *douts: Any, **options: Any) -> Any:
        with no_grad():
            return lowered(backward(self, *douts, **options), all(isinstance(d, int | float) for d in douts))
    return wrapped


def lowered(result: Any, numbers: bool = False) -> Any:
    """Give plain values back to the by-hand caller: arrays of his own, or numbers to one who gave numbers."""
    if isinstance(result, tuple | list):
        parts = [lowered(z, numbers) for z in result]
        return parts if isinstance(result, list) else tuple(parts)
    step = recorder()
    if step is not None and isinstance(result, Tensor):
        return step.lowered(result)
    value = result.array if isinstance(result, Tensor) else result
    if not isinstance(value, np.ndarray | np.generic):
        return value
    return np.array(value) if value.ndim else value.item() if numbers else np.asarray(value)[()]


def is_value(x: Any) -> bool:
    """Tell whether something is no tensor, or one that stands for an array in a step that is being recorded."""
    if not isinstance(x, Tensor):
        return True
    step = recorder()
    return step is not None and step.is_array(x)


def leaf(x: Any) -> Any:
    """Return a leaf of its own for what stands for an array in a step that is being recorded; all else as it is."""
    return Tensor(x) if isinstance(x, Tensor) and is_value(x) else x


def raw(x: Any, dtype: Any = None) -> Any:
    """Return something as an array, perhaps in another dtype; in a step that is being recorded, as a tensor."""
    if isinstance(x, Tensor) and recorder() is not None:
        x = Tensor(x)
        return x if dtype is None or x.dtype == dtype else x.astype(dtype)
    return np.asarray(x.array if isinstance(x, Tensor) else x, dtype)


def _tensors(result: Any) -> list[Tensor]:
    if isinstance(result, tuple | list):
        return [t for part in result for t in _tensors(part)]
    return [result] if isinstance(result, Tensor) else []
