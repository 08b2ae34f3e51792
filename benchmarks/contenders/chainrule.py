"""chainrule, as a user writes it: the same step, eager and compiled."""
from __future__ import annotations

from typing import Any

from ..workloads import Workload
from .contender import Made

__all__ = ["compiled", "eager"]


def eager(workload: Workload) -> Made:
    """Layers, a loss and an optimizer."""
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

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    x, y = map(cr.Tensor, workload.data())
    return Made(step, x, y, lambda: [p.numpy() for p in model.parameters()])


def compiled(workload: Workload) -> Made:
    """The same step, recorded and run as a flat list of NumPy's functions."""
    import chainrule as cr

    made = eager(workload)
    return made._replace(step=cr.compile(made.step, executor="numpy"))
