"""Layers whose author wrote `backward` himself: one opaque gate, first order only."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..gate import gate
from ..mode import mode
from ..tensor import Tensor

__all__ = ["handwritten"]


def _forward(*inputs: Any, layer: Any) -> Any:
    return np.array(layer.forward(*inputs))              # a copy: the layer may keep its own and write into it


def _back(dz: Any, z: Any, wanted: list[bool], *inputs: Any, layer: Any) -> list[Any]:
    if isinstance(dz, Tensor):
        if mode.record:
            raise NotImplementedError(f"{type(layer).__name__}.backward is written by hand, so it can be differentiated "
                                      "once only; write its forward with tensors, without a backward, for more")
        parts: Any = [_way_back(dz, layer=layer, argument=i) for i in range(len(inputs))]
    else:
        parts = layer.backward(dz)
        parts = parts if isinstance(parts, tuple | list) else [parts]
    if len(parts) != len(inputs):
        raise ValueError(f"{type(layer).__name__}.backward returned {len(parts)} gradients for {len(inputs)} inputs")
    checked: list[Any] = []
    for x, part, want in zip(inputs, parts, wanted, strict=True):
        if part is not None and tuple(np.shape(part)) != tuple(x.shape):
            raise ValueError(f"{type(layer).__name__}.backward returned a gradient of shape {np.shape(part)} for an "
                             f"input of shape {x.shape}")
        checked.append(part if want else None)
    return checked


def _host(dz: Any, layer: Any, argument: int) -> Any:
    parts = layer.backward(dz)
    return np.array(parts[argument] if isinstance(parts, tuple | list) else parts)


handwritten = gate(
    "handwritten", _forward, joint=_back, formula=r"z = \text{layer}(x)",
    summary="A layer with a backward of its own, as one gate; its derivative is what that method returns.")
_way_back = gate("handwritten_backward", _host, summary="The gradient that a layer's own backward returns.")
