"""Layers made of layers."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from .layer import Layer

__all__ = ["Sequential"]


class Sequential(Layer):
    """Layers one after the other.

    Parameters
    ----------
    *layers : Layer, or one OrderedDict of them
        Their parameters are named by position (``"0.weight"``) or by key.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    >>> model(np.zeros((5, 64))).shape
    (5, 10)
    >>> len(model), model[0]
    (3, Linear(64 → 32))
    """

    def __init__(self, *layers: Any) -> None:
        named = layers[0] if len(layers) == 1 and isinstance(layers[0], dict) else OrderedDict(
            (str(i), layer) for i, layer in enumerate(layers))
        for name, layer in named.items():
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential: expected layers, got {type(layer).__name__} at {name}; a function can be "
                                "wrapped in a Layer whose forward calls it")
            setattr(self, name, layer)

    def forward(self, x: Any) -> Any:
        """Run the layers in order."""
        for layer in self.children():
            x = layer(x)
        return x

    def append(self, layer: Layer) -> Sequential:
        """Add a layer at the end."""
        setattr(self, str(len(self)), layer)
        return self

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[Layer]:
        return self.children()

    def __getitem__(self, index: int | slice) -> Any:
        layers = list(self.children())
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]
