"""The training steps that are timed: what is computed, from which data and first weights."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["WORKLOADS", "Workload"]

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Workload:
    """One training step of a network of affine layers, on one batch that stays the same.

    Attributes
    ----------
    name, summary : str
    sizes : tuple of int
        The lengths of the input, the hidden layers and the output.
    activations : tuple of str
        What follows each affine layer: ``"relu"``, ``"sigmoid"`` or ``""``.
    loss : str
        ``"cross entropy"`` (mean, of class indices), ``"squared error"`` (sum) or ``"binary cross entropy"`` (mean, of
        probabilities).
    optimizer : str
        ``"SGD"`` or ``"Adam"``, with PyTorch's defaults.
    lr : float
    batch : int
    bias : bool
    """

    name: str
    summary: str
    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    optimizer: str
    lr: float
    batch: int
    bias: bool = True

    def weights(self) -> list[tuple[Array, Array | None]]:
        """Draw the first weights, (outputs, inputs) and uniform in ±1/√inputs, and a zero bias for each layer."""
        rng = np.random.default_rng(20)
        layers: list[tuple[Array, Array | None]] = []
        for inputs, outputs in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            w = rng.uniform(-1, 1, (outputs, inputs)) / np.sqrt(inputs)
            layers.append((w.astype(np.float32), np.zeros(outputs, np.float32) if self.bias else None))
        return layers

    def data(self) -> tuple[Array, Array]:
        """Draw the batch: float32 inputs, and what the loss compares the outputs with."""
        rng = np.random.default_rng(26)
        inputs, outputs = self.sizes[0], self.sizes[-1]
        if self.loss == "cross entropy":
            return rng.random((self.batch, inputs), np.float32), rng.integers(0, outputs, self.batch)
        x = rng.standard_normal((self.batch, inputs), np.float32)
        if self.loss == "squared error":
            return x, rng.standard_normal((self.batch, outputs), np.float32)
        return x, (x.prod(axis=1, keepdims=True) > 0).astype(np.float32)      # exclusive or, of the signs


WORKLOADS = {w.name: w for w in (
    Workload("W1", "784-50-10, batch 100, relu, cross entropy, SGD",
             (784, 50, 10), ("relu", ""), "cross entropy", "SGD", lr=0.1, batch=100),
    Workload("W2", "1000-100-10 without bias, batch 64, sigmoid, summed squared error, SGD",
             (1000, 100, 10), ("sigmoid", ""), "squared error", "SGD", lr=1e-4, batch=64, bias=False),
    Workload("W3", "2-4-3-1, batch 400, relu, relu, sigmoid, binary cross entropy, SGD",
             (2, 4, 3, 1), ("relu", "relu", "sigmoid"), "binary cross entropy", "SGD", lr=0.1, batch=400),
    Workload("W4", "784-512-512-10, batch 128, relu, cross entropy, Adam",
             (784, 512, 512, 10), ("relu", "relu", ""), "cross entropy", "Adam", lr=1e-3, batch=128),
)}
