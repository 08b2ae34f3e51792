"""Layers whose author wrote `backward` himself: one opaque gate, first order only.

The layer's parameters are inputs of the gate beside the layer's own. What a hand-written `backward` leaves in their
`.grad` is therefore a gradient like any other: the engine adds it up, also when the layer is used twice.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..gate import gate
from ..mode import mode, setting, tick
from ..tensor import Tensor

if TYPE_CHECKING:
    from .layer import Layer

__all__ = ["handwritten"]


def _forward(*inputs: Any, layer: Layer, count: int, settings: dict[str, Any]) -> tuple[Any, int]:
    """Run the layer on its first `count` inputs; the rest are its parameters."""
    with setting(inside=False, symbolic=False, observer=None if mode.symbolic else mode.observer):
        its_own = [x if x is None else np.array(x) for x in inputs[:count]]          # it may write into them
        z = layer.forward(*its_own, **settings)
    if isinstance(z, tuple | list):
        raise TypeError(f"{type(layer).__name__}.forward returned {len(z)} results; a layer with a backward of its own "
                        "returns one array")
    layer.__dict__["_latest"] = latest = tick()
    return np.array(z), latest           # a copy: the layer may keep its own and write into it


def _back(dz: Any, z: Any, wanted: list[bool], *inputs: Any, layer: Layer, count: int, settings: dict[str, Any],
          kept: int | None = None) -> list[Any]:
    if isinstance(dz, Tensor):
        if mode.record:
            raise NotImplementedError(f"{type(layer).__name__}.backward is written by hand, so it can be "
                                      "differentiated only once; for more, write its forward with tensors and leave "
                                      "backward out")
        return [_way_back(dz, *inputs, layer=layer, count=count, settings=settings, argument=i) if want else None
                for i, want in enumerate(wanted)]
    if layer.__dict__.get("_latest") != kept:
        _forward(*inputs, layer=layer, count=count, settings=settings)    # used again since: let it remember this call
    name, parameters = type(layer).__name__, list(layer.parameters())
    before = [p.grad for p in parameters]
    layer.zero_grad()
    try:
        with setting(inside=False):
            parts = layer.backward(np.array(dz))
        parts = list(parts) if isinstance(parts, tuple | list) else [parts]
        constant = [layer.is_constant(i) for i in range(count)]
        if len(parts) == count - sum(constant):          # as by hand, nothing is returned for constants
            left = iter(parts)
            parts = [None if is_constant else next(left) for is_constant in constant]
        if len(parts) != count:
            raise ValueError(f"{name}.backward returned {len(parts)} gradients for {count} inputs")
        parts += [None if p.grad is None else p.grad.array for p in parameters]
    finally:
        for p, grad in zip(parameters, before, strict=True):
            p.grad = grad
    checked: list[Any] = []
    for x, part, want in zip(inputs, parts, wanted, strict=True):
        if part is not None and want and np.shape(part) != x.shape:
            raise ValueError(f"{name}.backward returned a gradient of shape {np.shape(part)} for an input of shape "
                             f"{x.shape}")
        checked.append(np.asarray(part) if part is not None and want else None)
    return checked


def _host(dz: Any, *inputs: Any, layer: Layer, count: int, settings: dict[str, Any], argument: int) -> Any:
    wanted = [i == argument for i in range(len(inputs))]
    with setting(symbolic=False, observer=None):         # a recorder sees this call, and nothing of what it does
        part = _back(dz, None, wanted, *inputs, layer=layer, count=count, settings=settings)[argument]
    return np.zeros_like(inputs[argument]) if part is None else part


handwritten = gate(
    "handwritten", _forward, joint=_back, formula=r"z = \text{layer}(x)", keeps=True,
    summary="A layer with a backward of its own, as one gate; its derivative is what that method returns.")
_way_back = gate("handwritten_backward", _host, summary="The gradient that a layer's own backward returns.")
