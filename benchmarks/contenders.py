"""Who takes part. Each contender turns a workload into a step: a function that trains once and returns the loss."""
from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workloads import Workload

__all__ = ["CONTENDERS", "Contender"]

Step = Callable[[], Any]
F = np.float32


# ------------------------------------------------------------------ chainrule, as a user writes it
def chainrule(workload: Workload) -> Step:
    """Layers, a loss and an optimizer of chainrule, run eagerly."""
    import chainrule as cr
    from chainrule import nn, optim

    activations = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
    losses = {"cross entropy": nn.CrossEntropyLoss, "squared error": lambda: nn.MSELoss(reduction="sum"),
              "binary cross entropy": nn.BCELoss}
    layers: list[Any] = []
    for (w, b), activation in zip(workload.weights(), workload.activations, strict=True):
        layer = nn.Linear(w.shape[1], w.shape[0], bias=b is not None)
        layer.load_state_dict({"weight": w} if b is None else {"weight": w, "bias": b})
        layers += [layer, activations[activation]()] if activation else [layer]
    model, loss_function = nn.Sequential(*layers), losses[workload.loss]()
    optimizer = getattr(optim, workload.optimizer)(model.parameters(), lr=workload.lr)
    x, y = map(cr.Tensor, workload.data())

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


# ------------------------------------------------------------------ PyTorch, as a user writes it
def torch(workload: Workload, *, threads: int | None = None, fused: bool = False) -> Step:
    """The same in PyTorch, eager, on the CPU."""
    import torch
    from torch import nn, optim

    if threads is not None:
        torch.set_num_threads(threads)
    activations = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
    losses = {"cross entropy": nn.CrossEntropyLoss, "squared error": lambda: nn.MSELoss(reduction="sum"),
              "binary cross entropy": nn.BCELoss}
    layers: list[Any] = []
    for (w, b), activation in zip(workload.weights(), workload.activations, strict=True):
        layer = nn.Linear(w.shape[1], w.shape[0], bias=b is not None)
        state = {"weight": w} if b is None else {"weight": w, "bias": b}
        layer.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
        layers += [layer, activations[activation]()] if activation else [layer]
    model, loss_function = nn.Sequential(*layers), losses[workload.loss]()
    settings = {"fused": True} if fused else {}
    optimizer = getattr(optim, workload.optimizer)(model.parameters(), lr=workload.lr, **settings)
    x, y = map(torch.tensor, workload.data())

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


# ------------------------------------------------------------------ NumPy by hand: what the arithmetic alone takes
def numpy(workload: Workload) -> Step:
    """Forward, backward and update written out for this kind of network, with nothing in between."""
    x, target = workload.data()
    weights = [(np.ascontiguousarray(w.T), b) for w, b in workload.weights()]      # (inputs, outputs): X @ W
    moments = [tuple(None if p is None else (np.zeros_like(p), np.zeros_like(p)) for p in pair) for pair in weights]
    rows, lr, steps = np.arange(workload.batch), workload.lr, 0

    def loss_and_gradient(z: Any) -> tuple[Any, Any]:
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

    def step() -> Any:
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
        loss, d = loss_and_gradient(h)
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

    return step


# ------------------------------------------------------------------ who starts
@dataclass(frozen=True)
class Contender:
    """Somebody who takes part, in a process of its own.

    Attributes
    ----------
    name : str
    build : callable
        Makes the step of a workload.
    family : str
        The library.
    one_thread : bool
        Whether its matrix products get one thread, instead of what the library takes by itself.
    """

    name: str
    build: Callable[[Workload], Step]
    family: str
    one_thread: bool = False

    def environment(self) -> dict[str, str]:
        """Return the environment of its process."""
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
        unset = {name: value for name, value in os.environ.items() if name not in names}
        return unset | (dict.fromkeys(names, "1") if self.one_thread else {})


CONTENDERS = {c.name: c for c in (
    Contender("chainrule", chainrule, "chainrule"),
    Contender("chainrule, one thread", chainrule, "chainrule", one_thread=True),
    Contender("torch", torch, "torch"),
    Contender("torch, one thread", lambda w: torch(w, threads=1), "torch", one_thread=True),
    Contender("torch, fused", lambda w: torch(w, fused=True), "torch"),
    Contender("torch, fused, one thread", lambda w: torch(w, threads=1, fused=True), "torch", one_thread=True),
    Contender("NumPy by hand", numpy, "numpy"),
    Contender("NumPy by hand, one thread", numpy, "numpy", one_thread=True),
)}
