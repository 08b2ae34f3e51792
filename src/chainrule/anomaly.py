"""Where a NaN or an infinity began: the gate, the user's line, and what went in.

Forward comes first: each result is looked at as it is made, so that whatever is not finite is found where it arises
and not where it has spread to. In a backward pass each gradient is looked at as it leaves a gate.
"""
from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from types import FrameType
from typing import Any

import numpy as np

from .gate import Gate
from .mode import observe
from .reverse import pullback
from .source import Lines
from .tensor import Tensor

__all__ = ["AnomalyError", "detect_anomaly"]


class AnomalyError(FloatingPointError):
    """A value or a gradient is not finite; the message says where that began."""


class detect_anomaly(observe):  # noqa: N801
    """Inside, stop at the first value or gradient that is not finite, and say where it came from.

    The error names the gate and the line that applied it, counts the elements that are not finite, and gives the range
    of each input; if an input was not finite already, it says which. Gates on tensors are seen, and so are layers
    that are used by hand; gates on plain arrays are not. An infinity that is meant, such as a mask of -inf, counts as
    well: a large negative number serves the purpose. All this takes time; it is for finding an error, not for training.

    The memory of leaves is checksummed too: a parameter whose ``.array`` was written directly between the forward and
    the backward pass, past the tensor, is found.

    Raises
    ------
    AnomalyError
        Inside the ``with`` block (or the decorated function). It is a FloatingPointError.
    RuntimeError
        If a leaf was written past its tensor.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> p = cr.Tensor([0.5, 0.0], requires_grad=True)
    >>> with cr.detect_anomaly():                          # doctest: +ELLIPSIS
    ...     loss = -np.log(p).sum()
    Traceback (most recent call last):
        ...
    chainrule.anomaly.AnomalyError: log gave 1 of 2 elements that are not finite: -inf at (1,)
      at ...:2
        loss = -np.log(p).sum()
      x: float64 (2,) from 0 to 0.5
    """

    def __init__(self) -> None:
        super().__init__(_Watch())
        self.quiet: list[Any] = []

    def __enter__(self) -> None:
        super().__enter__()
        self.quiet.append(np.errstate(all="ignore"))         # NumPy's warnings would come first, and say less
        self.quiet[-1].__enter__()

    def __exit__(self, *error: object) -> None:
        self.quiet.pop().__exit__(*error)
        super().__exit__(*error)


class _Watch(Lines):
    """Looks at each value and gradient as it arises."""

    def __init__(self) -> None:
        super().__init__()
        self.sums: dict[int, list[tuple[Tensor, int]]] = {}     # by result: its leaves, with checksums of their memory

    def applied(self, gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any], result: Tensor) -> None:
        """Look at a value."""
        super().applied(gate, inputs, options, result)
        if not _finite(result.array):
            raise AnomalyError(self._explained(gate, inputs, result))
        if result.gate is not None:
            self.sums[id(result)] = [(x, _checksum(x)) for x in inputs if isinstance(x, Tensor) and x.gate is None]

    def pulled(self, result: Tensor, source: Tensor, gradient: Any) -> None:
        """Look at a gradient."""
        for x, before in self.sums.pop(id(result), ()):
            if _checksum(x) != before:
                raise RuntimeError("\n".join([
                    f"{x.name or 'a tensor'} of shape {x.shape} was written past its tensor, into .array, after "
                    f"{_name(result)} used it; write with in-place operators inside no_grad(), or with .assign",
                    *self._place(result)]))
        if not _finite(_array(gradient)):
            raise AnomalyError(self._explained_backward(result, source, gradient, _local("dz")))

    def forget(self, key: int) -> None:
        """Drop the notes on a result that is gone."""
        super().forget(key)
        self.sums.pop(key, None)

    def _explained(self, gate: Gate, inputs: tuple[Any, ...], result: Tensor) -> str:
        spoilt = [name for name, x in _named(gate, inputs) if not _finite(_array(x))]
        if spoilt:
            head = f"{gate.name} was given {_listed(spoilt)} that {'is' if len(spoilt) == 1 else 'are'} not finite"
        else:
            head = f"{gate.name} gave {_count(result.array)}"
        parent = _local("t")
        if isinstance(parent, Tensor) and parent.gate is not None:       # a derivative that runs on tensors
            head += f", in the derivative of {parent.gate.name}"
            return "\n".join([head, *self._place(parent), *_ranges(gate, inputs)])
        return "\n".join([head, *self._place(result), *_ranges(gate, inputs)])

    def _explained_backward(self, result: Tensor, source: Tensor, gradient: Any, dz: Any) -> str:
        gate: Any = result.gate
        name = next((name for name, x in _named(gate, result.inputs) if x is source), "an argument")
        if dz is not None and not _finite(_array(dz)):
            head = f"backward: the gradient that came in to {gate.name} is not finite already: {_count(_array(dz))}"
        else:
            head = f"backward: the derivative of {gate.name} by {name} gave {_count(_array(gradient))}"
        ranges = _ranges(gate, result.inputs)
        if dz is not None:
            ranges.append(f"  gradient that came in: {_range(_array(dz))}")
        return "\n".join([head, *self._place(result), *ranges])

    def _place(self, t: Tensor) -> list[str]:
        place = self.of(t)
        if place is None:
            return ["  applied before detect_anomaly"]
        return [f"  at {place}", *([f"    {place.text}"] if place.text else [])]


def _array(x: Any) -> Any:
    return x.array if isinstance(x, Tensor) else x


def _checksum(x: Tensor) -> int:
    return zlib.crc32(np.ascontiguousarray(x.array).tobytes() if x.ndim == 0 else np.ascontiguousarray(x.array).data)


def _name(t: Tensor) -> str:
    return t.gate.name if t.gate is not None else "a gate"


def _finite(x: Any) -> bool:
    if not hasattr(x, "dtype"):
        return not isinstance(x, float | complex) or bool(np.isfinite(x))
    if x.dtype.kind not in "fc":
        return True
    return bool(np.isfinite(x).all() if x.ndim else np.isfinite(x))


def _named(gate: Gate, inputs: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Yield the inputs of a gate with the names of its arguments, and their own."""
    names = list(gate.arguments)
    for i, x in enumerate(inputs):
        own = x.name if isinstance(x, Tensor) else ""
        yield (names[i] if i < len(names) else f"input {i}") + f" ({own})" * bool(own), x


def _listed(names: list[str]) -> str:
    return " and ".join(names)


def _count(x: Any) -> str:
    x = np.asarray(x)
    bad = np.argwhere(~np.isfinite(x))
    first = tuple(int(k) for k in bad[0])
    place = f" at {first}" if first else ""
    return f"{len(bad)} of {x.size} elements that are not finite: {x[first]}{place}" if x.ndim else f"{x[()]}"


def _range(x: Any) -> str:
    if isinstance(x, int | float) and not isinstance(x, np.generic):
        return repr(x)
    x = np.asarray(x)
    if x.size == 1 and not x.ndim:
        return f"{x.dtype} {x[()]}"
    finite = x[np.isfinite(x)] if x.dtype.kind in "fc" else x
    kind = f"{x.dtype} {x.shape}"
    span = f" from {finite.min():.6g} to {finite.max():.6g}" if finite.size and x.dtype.kind != "c" else ""
    return kind + span + (f", {x.size - finite.size} of {x.size} not finite" if finite.size < x.size else "")


def _ranges(gate: Gate, inputs: tuple[Any, ...]) -> list[str]:
    return [f"  {name}: {_range(_array(x))}" for name, x in _named(gate, inputs)
            if isinstance(x, Tensor | np.ndarray | np.generic | int | float) and not isinstance(x, bool)]


def _local(name: str) -> Any:
    """Return a local variable of the backward pass that is running, if one is; looked up after an error only."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is pullback.__code__:
            return frame.f_locals.get(name)
        frame = frame.f_back
    return None
