"""One step of training, as a function of arrays: what is run eagerly, and what is compiled."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..nn import Layer
from ..optim import ExponentialMovingAverage, Optimizer, clip_grad_norm_, clip_grad_value_
from ..tensor import Tensor

__all__ = ["step"]


def both(outputs: Tensor, value: Tensor, targets: Any) -> Any:
    """Return the outputs and the loss of a batch as they are."""
    return outputs, value


def step(batches: Sequence[tuple[Any, Any]], look: Callable[[Tensor, Tensor, Any], Any] = both, *, model: Layer,
         loss: Callable[..., Any], optimizer: Optimizer, clip_norm: float | None = None,
         clip_value: float | None = None, average: ExponentialMovingAverage | None = None) -> list[Any]:
    """Update a model once: forward, loss and backward for each batch, then clipping, the optimizer, the average.

    Nothing in it reads a value, so it can be recorded; whoever wants to, looks.

    Parameters
    ----------
    batches : sequence of (inputs, targets)
        Several count as one, of all their samples: their gradients add up.
    look : callable
        ``look(outputs, loss, targets)``, called for each batch before its backward pass. What it returns is collected;
        by default outputs and loss themselves.
    model, loss, optimizer, clip_norm, clip_value, average
        As for `Trainer`.

    Returns
    -------
    list
        What `look` returned, for each batch.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn, optim
    >>> from chainrule.training.step import step
    >>> model = nn.Linear(1, 1, bias=False)
    >>> model.weight.assign([[2.0]])
    >>> optimizer = optim.SGD(model.parameters(), lr=0.5)
    >>> x, y = np.array([[1.0]]), np.array([[0.0]])
    >>> [[outputs, loss]] = step([(x, y)], model=model, loss=nn.MSELoss(), optimizer=optimizer)
    >>> loss.item(), model.weight.item()
    (4.0, 0.0)
    """
    total, found = sum(len(x) for x, _ in batches), []
    optimizer.zero_grad()
    for x, y in batches:
        outputs = model(x)
        value = loss(outputs, y)
        found.append(look(outputs, value, y))
        (value if len(batches) == 1 else value * (len(x) / total)).backward()
    updated = [p for group in optimizer.param_groups for p in group["params"]]
    if clip_norm is not None:
        clip_grad_norm_(updated, clip_norm)
    if clip_value is not None:
        clip_grad_value_(updated, clip_value)
    optimizer.step()
    if average is not None:
        average.update()
    return found
