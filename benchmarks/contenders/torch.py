"""PyTorch on the CPU, as a user writes it: eager, and with `torch.compile`."""
from __future__ import annotations

from typing import Any

from ..workloads import Workload
from .contender import Made

__all__ = ["compiled", "eager"]


def eager(workload: Workload, *, threads: int | None = None, fused: bool = False, compile: bool = False) -> Made:
    """Layers, a loss and an optimizer."""
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

    def forward(x: Any, y: Any) -> Any:
        return loss_function(model(x), y)

    forward = torch.compile(forward) if compile else forward

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = forward(x, y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    x, y = map(torch.tensor, workload.data())
    return Made(step, x, y, lambda: [p.detach().numpy().copy() for p in model.parameters()])


def compiled(workload: Workload) -> Made:
    """Network and loss compiled, forward and backward, beside the fused optimizer.

    The fastest of the ways that its documentation shows: an optimizer's step that is compiled too, by itself or in one
    with the rest, was slower than the fused one on each of the workloads, and one thread no faster than two.
    """
    return eager(workload, fused=True, compile=True)
