"""The check of objects with a backward of their own."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np

from ..nn.calls import Calls
from ..tensor import Tensor
from ..tree import parts, rebuilt
from .numerical import Array
from .report import WRITES, WRONG, Element, relative_error
from .surroundings import argument_names, same_state


class ByHand:
    """An object with forward and backward on arrays, and arrays of its own for parameters."""

    def __init__(self, thing: Any, inputs: list[Any], names: list[str], owned: list[Array], restore: Callable[[], None]
                 ) -> None:
        self.thing, self.inputs, self.names, self.owned, self.restore = thing, inputs, names, owned, restore
        self.contents = [a.copy() for a in owned]
        self.places: list[tuple[str, Array, Array]] = []

    def reset(self) -> None:
        """Give the object the attributes and contents it had, but for the arrays that are being moved."""
        self.restore()
        moving = {id(array) for _, array, _ in self.places}
        for array, content in zip(self.owned, self.contents, strict=True):
            if id(array) not in moving:
                array[...] = content

    def evaluate(self) -> list[Array]:
        """Run `forward` on copies of the inputs."""
        self.reset()
        given = [np.array(x) if isinstance(x, np.ndarray) else x for x in self.inputs]
        z = self.thing.forward(*given)
        return [np.array(y.array if isinstance(y, Tensor) else y, np.float64)
                for y in (z if isinstance(z, tuple) else (z,))]

    def differentiate(self, weights: list[Array]) -> list[Element]:
        """Run `backward`, and pair what it returns and leaves behind with what it is the gradient of."""
        faults = []
        if len(weights) == 1:
            faults = faults_by_hand(self.thing, self.inputs, weights[0], {}, self.reset)
        self.evaluate()
        start = dict(self._arrays())
        slopes = _backward(self.thing, tuple(w.copy() for w in weights) if len(weights) > 1 else weights[0].copy())
        floating = [(name, x) for name, x in zip(self.names, self.inputs, strict=True) if isinstance(x, np.ndarray)
                    and x.dtype.kind == "f"]
        pairs = [(name, x, d) for (name, x), d in zip(floating, slopes, strict=False) if d is not None]
        left = dict(self._arrays())
        for path, array in start.items():
            slope = "grads" + path[6:] if path.startswith("params") else f"d{path}"
            if slope in left and all(array is not a for _, a, _ in pairs):
                pairs.append((path, array, left[slope]))
        for name, x, d in pairs:
            if np.shape(d) != x.shape:
                raise ValueError(f"check_gradients: {type(self.thing).__name__}.backward gave a gradient of shape "
                                 f"{np.shape(d)} for {name} of shape {x.shape}")
        self.places = [(name, x, np.array(d, np.float64)) for name, x, d in pairs]
        return faults

    def _arrays(self) -> Iterator[tuple[str, Array]]:
        for name, value in vars(self.thing).items():
            for path, leaf in parts(value, name):
                if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f":
                    yield path, leaf


def _backward(thing: Any, dout: Any) -> list[Any]:
    slopes = thing.backward(float(dout) if np.shape(dout) == () else dout)
    return [x.array if isinstance(x, Tensor) else x for x in (slopes if isinstance(slopes, tuple | list) else [slopes])]


def faults_by_hand(thing: Any, inputs: list[Any], dout: Array, options: dict[str, Any], reset: Callable[[], None]
                   ) -> list[Element]:
    """Look whether a hand-written layer writes into what it is given, and whether its backward is linear in dout."""
    name = type(thing).__name__

    def once(scale: float) -> tuple[Any, list[Any], list[Array], Array]:
        reset()
        given = [np.array(x) if isinstance(x, np.ndarray) else x for x in inputs]
        z = np.array(thing.forward(*given, **options))
        d = dout * scale
        return z, given, [np.array(s, np.float64) for s in _backward(thing, d) if s is not None], d

    z, given, single, d = once(1.0)
    faults = [e for i, (after, before) in enumerate(zip(given, inputs, strict=True)) if isinstance(before, np.ndarray)
              for e in written_over(f"input {i} of {name}", after, before)]
    faults += written_over(f"dout of {name}", d, dout)
    again, _, double, _ = once(2.0)
    if not faults and np.array_equal(z, again):
        for one, two in zip(single, double, strict=True):
            if one.size and not np.allclose(two, 2 * one, rtol=1e-6, atol=1e-12):
                i = np.unravel_index(np.argmax(np.abs(two - 2 * one)), one.shape)
                faults.append(Element(f"dout of {name} (doubled)", tuple(int(k) for k in i), float(two[i]),
                                      float(2 * one[i]), relative_error(two[i], 2 * one[i]), WRONG))
                break
    return faults


def written_over(name: str, after: Array, before: Array) -> list[Element]:
    """Return the first element of an array that was written into."""
    changed = np.argwhere(~((after == before) | (np.isnan(after) & np.isnan(before))))
    if not len(changed):
        return []
    i = tuple(int(k) for k in changed[0])
    return [Element(name, i, float(after[i]), float(before[i]), relative_error(after[i], before[i]), WRITES)]


@contextmanager
def on_arrays(thing: Any, inputs: tuple[Any, ...]) -> Iterator[ByHand]:
    """Move the arrays of an object to float64, copies all of them; it has its own again in the end."""
    arrays = [x if isinstance(x, str | bool) or x is None else np.array(x.array if isinstance(x, Tensor) else x)
              for x in inputs]
    arrays = [x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in arrays]
    before = dict(vars(thing))
    twins: dict[int, Array] = {}

    def twin(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        if id(x) not in twins:
            twins[id(x)] = np.array(x, np.float64 if x.dtype.kind == "f" else x.dtype)
        return twins[id(x)]

    start = {name: rebuilt(value, (twin(x) for _, x in parts(value)))
             if any(isinstance(x, np.ndarray) for _, x in parts(value)) else value for name, value in before.items()}

    def put_back(state: dict[str, Any]) -> None:
        vars(thing).clear()
        vars(thing).update({name: copy(value) if isinstance(value, list | dict | Calls) else value
                            for name, value in state.items()})

    with same_state([]) as streams:
        def restore() -> None:
            streams()
            put_back(start)

        try:
            restore()
            yield ByHand(thing, arrays, argument_names(thing.forward, len(inputs)), list(twins.values()), restore)
        finally:
            vars(thing).clear()
            vars(thing).update(before)
