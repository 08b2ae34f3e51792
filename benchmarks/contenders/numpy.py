"""NumPy by hand: forward, backward and update written out for this kind of network, with nothing in between."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..workloads import Workload
from .contender import Made, arrays

__all__ = ["plain"]

F = np.float32


def plain(workload: Workload) -> Made:
    """The straightforward way: an expression for each line of the mathematics."""
    weights = [(np.ascontiguousarray(w.T), b) for w, b in workload.weights()]      # (inputs, outputs): X @ W
    moments = [tuple(None if p is None else (np.zeros_like(p), np.zeros_like(p)) for p in pair) for pair in weights]
    rows, lr, steps = np.arange(workload.batch), workload.lr, 0

    def loss_and_gradient(z: Any, target: Any) -> tuple[Any, Any]:
        """Give the loss, and its gradient by the output of the last affine layer."""
        if workload.loss == "cross entropy":
            e = np.exp(z - z.max(axis=1, keepdims=True))
            p = e / e.sum(axis=1, keepdims=True)
            loss = -np.log(p[rows, target]).mean()
            p[rows, target] -= 1
            return loss, p / F(len(z))
        if workload.loss == "squared error":
            d = z - target
            return np.square(d).sum(), 2 * d
        p = 1 / (1 + np.exp(-z))                       # the sigmoid and the loss in one: their gradient is p - y
        loss = -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean()
        return loss, (p - target) / F(p.size)

    def update(p: Any, gradient: Any, moment: Any) -> None:
        if workload.optimizer == "SGD":
            p -= F(lr) * gradient
            return
        mean, square = moment                          # Adam (Kingma and Ba, 2015, algorithm 1)
        mean *= F(0.9)
        mean += F(0.1) * gradient
        square *= F(0.999)
        square += F(0.001) * gradient * gradient
        p -= F(lr / (1 - 0.9**steps)) * mean / (np.sqrt(square) / F((1 - 0.999**steps) ** 0.5) + F(1e-8))

    def step(x: Any, target: Any) -> Any:
        nonlocal steps
        steps += 1
        h, inputs = x, []
        for (w, b), activation in zip(weights, workload.activations, strict=True):
            inputs.append(h)
            h = h @ w
            if b is not None:
                h += b
            if w is not weights[-1][0]:
                h = np.maximum(h, 0) if activation == "relu" else 1 / (1 + np.exp(-h))
        loss, d = loss_and_gradient(h, target)
        for i in reversed(range(len(weights))):
            (w, b), h = weights[i], inputs[i]
            dw = h.T @ d
            db = None if b is None else d.sum(axis=0)
            if i:
                d = d @ w.T
                d *= (h > 0) if workload.activations[i - 1] == "relu" else h * (1 - h)
            update(w, dw, moments[i][0])
            if b is not None:
                update(b, db, moments[i][1])
        return loss

    return Made(step, *workload.data(), lambda: arrays(weights))
