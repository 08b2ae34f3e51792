"""What a check finds around a function, and puts back in the end: names, layers, dtypes, buffers, random streams."""
from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import random
from ..nn.layer import Layer
from ..random import Generator
from ..state import get, put
from ..tensor import Tensor
from ..tree import parts


def nothing_to_check() -> TypeError:
    """Return the error of a check that has nothing to differentiate."""
    return TypeError("check_gradients: no input and no parameter is floating-point; write 1.0 instead of 1, or convert "
                     "with .astype(float)")


def argument_names(function: Any, count: int) -> list[str]:
    """Name the inputs as the function does, or by position."""
    try:
        signature = inspect.signature(function.forward if isinstance(function, Layer) else function)
    except (TypeError, ValueError):
        signature = inspect.Signature()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in signature.parameters.values() if p.kind in positional][:count]
    return names + [f"input {i}" for i in range(len(names), count)]


def named_by(function: Any) -> tuple[dict[str, Layer], dict[str, Tensor]]:
    """Return the layers and the leaves with requires_grad that a function is, belongs to, or names in its code."""
    if isinstance(function, Layer):
        return {"": function}, {}
    if isinstance(getattr(function, "__self__", None), Layer):
        return {"": function.__self__}, {}
    if not inspect.isfunction(function):
        return {}, {}
    try:
        found = inspect.getclosurevars(function)
    except ValueError:                                     # a name that has no value yet
        return {}, {}
    layers, tensors = {}, {}
    for name, value in {**found.globals, **found.nonlocals}.items():
        for path, leaf in parts(value):
            if isinstance(leaf, Layer):
                layers[name + path] = leaf
            elif isinstance(leaf, Tensor) and leaf.tracked and leaf.gate is None:
                tensors[name + path] = leaf
    return layers, tensors


@contextmanager
def in_float64(tensors: list[Tensor]) -> Iterator[None]:
    """Give tensors float64 memory of their own; in the end they have the old one again, with their gradients."""
    before = [(t, t.array, t.moment, t.lent, t.gradient) for t in tensors]
    try:
        for t in tensors:
            t.array = np.array(t.array, np.float64 if t.dtype.kind == "f" else t.dtype)
            t.lent, t.gradient = False, None
        yield
    finally:
        for t, array, moment, lent, gradient in before:
            t.array, t.moment, t.lent, t.gradient = array, moment, lent, gradient


@contextmanager
def same_state(layers: list[Layer]) -> Iterator[Callable[[], None]]:
    """Give a function that sets buffers and random streams back to where they are now; call it in the end, too."""
    buffers = [(b, b.array.copy()) for layer in layers for b in layer.buffers()]
    held = [value for layer in layers for inner in layer.modules() for value in inner.__dict__.values()
            if isinstance(value, Generator)]
    cells = [(generator, name, get(generator, name)) for generator in
             (random.init, random.shuffle, random.dropout, random.user, *held) for name in ("seed", "position")]

    def restore() -> None:                                 # buffers too: a running mean does not run on
        for b, array in buffers:
            b.array = array.copy()
        for generator, name, value in cells:
            put(generator, name, value)

    try:
        yield restore
    finally:
        restore()
