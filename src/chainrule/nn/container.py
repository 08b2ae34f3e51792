"""Layers made of layers."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .layer import Layer
from .plain import Plain, is_plain

__all__ = ["Sequential"]


class Sequential(Layer):
    """Layers one after the other.

    Parameters
    ----------
    *layers : Layer, or one dict of them
        Their parameters are named by position (``"0.weight"``) or by key. An object of another kind that has `forward`
        and `backward` on arrays becomes a `Plain` layer.

    Raises
    ------
    TypeError
        If something is not a layer, and has no `forward` and `backward`.
    ValueError
        If a key cannot name a layer.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    >>> model(np.zeros((5, 64))).shape
    (5, 10)
    >>> len(model), model[0]
    (3, Linear(64 → 32))
    >>> list(model[1:].state_dict())                      # a slice shares its layers, and keeps their names
    ['2.weight', '2.bias']
    """

    def __init__(self, *layers: Any) -> None:
        named = layers[0] if len(layers) == 1 and isinstance(layers[0], dict) else {
            str(i): layer for i, layer in enumerate(layers)}
        for name, layer in named.items():
            self._add(name, layer)

    def forward(self, x: Any) -> Any:
        """Run the layers in order."""
        for layer in self:
            x = layer(x)
        return x

    def append(self, layer: Layer) -> Sequential:
        """Add a layer at the end, named by the next free position, and return this one."""
        taken = [int(name) for name, _ in self.named_children() if name.isdecimal()]
        self._add(str(max([len(self) - 1, *taken]) + 1), layer)
        return self

    def extend(self, layers: Iterable[Layer]) -> Sequential:
        """Add layers at the end, and return this one."""
        for layer in layers:
            self.append(layer)
        return self

    def _add(self, name: str, layer: Any) -> None:
        if is_plain(layer) and not isinstance(layer, Layer):
            layer = Plain(layer)
        if not isinstance(layer, Layer):
            raise TypeError(f"Sequential: expected layers, got {type(layer).__name__} at {name}; a function can be "
                            "wrapped in a Layer whose forward calls it")
        if not isinstance(name, str) or not name or "." in name or hasattr(Layer, name) or name in self.__dict__:
            raise ValueError(f"Sequential: {name!r} cannot name a layer: expected a string without dots that is not "
                             "taken and names no method of layers")
        setattr(self, name, layer)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Layer]:
        return iter([value for value in self.__dict__.values() if isinstance(value, Layer)])

    def __getitem__(self, index: int | slice) -> Any:
        names = [name for name, value in self.__dict__.items() if isinstance(value, Layer)]
        if isinstance(index, slice):
            return Sequential({name: self.__dict__[name] for name in names[index]})
        if not -len(names) <= index < len(names):
            raise IndexError(f"Sequential: got index {index}, there are {len(names)} layers")
        return self.__dict__[names[index]]
