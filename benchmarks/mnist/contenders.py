"""Who takes part: chainrule's Trainer, and the loops that people write with PyTorch."""
from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .task import BATCH, Images, Task

__all__ = ["CONTENDERS", "OURS", "USUAL", "Contender"]

#: ``train(task, images, epochs, seed, losses, order)``: train on images from the task's first weights, put the loss of
#: each step into `losses` if it is a list, and return the accuracy on the test data after the last epoch. `order` is
#: that of the samples, where the library lets one choose it; without it they are shuffled.
Train = Callable[..., float]


# ------------------------------------------------------------------ chainrule, as a user writes it
def chainrule(task: Task, images: Images, epochs: int, seed: int, losses: list[float] | None = None,
              order: NDArray[np.intp] | None = None) -> float:
    """`Trainer.fit` with the data that `data.mnist()` returns, and with its display."""
    from chainrule import Trainer, nn, optim
    from chainrule.data import ArrayDataset, Pixels
    from chainrule.training import Callback, Display

    class Losses(Callback):
        def step(self, loss: float) -> None:
            assert losses is not None
            losses.append(loss)

    train, test = (ArrayDataset(part.images, part.labels, transform=Pixels(255, (784,)))
                   for part in (images, task.test))
    model = _network(nn, task, np.asarray)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()), seed=seed)
    shown: list[Callback] = [Display(io.StringIO()), *([Losses()] if losses is not None else [])]
    history = trainer.fit(train, validation=test, epochs=epochs, batch_size=BATCH, callbacks=shown)
    return float(history[-1]["validation_accuracy"])


# ------------------------------------------------------------------ PyTorch, as a user writes it
def torch(task: Task, images: Images, epochs: int, seed: int, losses: list[float] | None = None,
          order: NDArray[np.intp] | None = None, *, batches: Callable[..., Any], fused: bool = False) -> float:
    """The usual loop: zero_grad, forward, loss, backward, step; then the test data, in evaluation mode."""
    import torch
    from torch import nn, optim

    torch.manual_seed(seed)
    shown = io.StringIO()
    model = _network(nn, task, torch.tensor)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), **({"fused": True} if fused else {}))
    train, test = batches(images, BATCH, True, order), batches(task.test, 1000, False, None)
    accuracy = 0.0
    for epoch in range(epochs):
        model.train()
        total = right = count = 0
        for x, y in train:
            optimizer.zero_grad()
            outputs = model(x)
            loss = criterion(outputs, y)
            loss.backward()
            optimizer.step()
            value = loss.item()
            if losses is not None:
                losses.append(value)
            total += value * len(y)
            right += (outputs.argmax(1) == y).sum().item()
            count += len(y)
        model.eval()
        with torch.no_grad():
            found = sum((model(x).argmax(1) == y).sum().item() for x, y in test)
        accuracy = found / len(task.test.labels)
        print(f"epoch {epoch + 1}  loss {total / count:.3f}  accuracy {right / count:.3f} test {accuracy:.3f}",
              file=shown)
    return accuracy


class Digits:
    """A data set as tutorials write it: an image is scaled when it is asked for."""

    def __init__(self, part: Images) -> None:
        import torch
        self.images, self.labels = torch.from_numpy(part.images), torch.from_numpy(part.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Any:
        return self.images[index].flatten() / 255, self.labels[index]


def textbook(part: Images, size: int, shuffle: bool, order: NDArray[np.intp] | None, *, workers: int = 0) -> Any:
    """A Dataset that scales an image when it is asked for, and a DataLoader."""
    from torch.utils.data import DataLoader

    return _loader(DataLoader, Digits(part), size, shuffle, order, num_workers=workers)


def in_memory(part: Images, size: int, shuffle: bool, order: NDArray[np.intp] | None) -> Any:
    """A TensorDataset of all images as floats, and a DataLoader."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    images = torch.from_numpy(part.images).flatten(1) / 255
    return _loader(DataLoader, TensorDataset(images, torch.from_numpy(part.labels)), size, shuffle, order)


class Indexed:
    """Batches by index from one tensor of floats, without a DataLoader."""

    def __init__(self, part: Images, size: int, shuffle: bool, order: NDArray[np.intp] | None) -> None:
        import torch
        self.images, self.labels = torch.from_numpy(part.images).flatten(1) / 255, torch.from_numpy(part.labels)
        self.size, self.shuffle, self.order = size, shuffle, order

    def __iter__(self) -> Iterator[Any]:
        import torch
        count = len(self.labels)
        if self.order is not None:
            order = torch.from_numpy(self.order)
        else:
            order = torch.randperm(count) if self.shuffle else torch.arange(count)
        for places in order.split(self.size):
            yield self.images[places], self.labels[places]


def _loader(kind: Any, dataset: Any, size: int, shuffle: bool, order: NDArray[np.intp] | None,
            **options: Any) -> Any:
    if order is not None:
        return kind(dataset, size, sampler=order.tolist(), **options)
    return kind(dataset, size, shuffle=shuffle, **options)


def _network(nn: Any, task: Task, tensor: Callable[[Any], Any]) -> Any:
    """Make the network; both libraries call its layers by the same names."""
    layers: list[Any] = []
    for i, (w, b) in enumerate(task.weights):
        layer = nn.Linear(w.shape[1], w.shape[0])
        layer.load_state_dict({"weight": tensor(w), "bias": tensor(b)})
        layers += [nn.ReLU(), layer] if i else [layer]
    return nn.Sequential(*layers)


# ------------------------------------------------------------------ who starts
@dataclass(frozen=True)
class Contender:
    """Somebody who takes part, in a process of its own.

    Attributes
    ----------
    name : str
    train : callable
        See `Train`.
    summary : str
        What it does.
    """

    name: str
    train: Train
    summary: str


CONTENDERS = {c.name: c for c in (
    Contender("chainrule", chainrule, "Trainer.fit(train, validation=test)"),
    Contender("torch", partial(torch, batches=textbook),
              "a Dataset that scales an image at a time, and a DataLoader: the usual loop"),
    Contender("torch, 2 workers", partial(torch, batches=partial(textbook, workers=2)),
              "the same with num_workers=2"),
    Contender("torch, TensorDataset", partial(torch, batches=in_memory, fused=True),
              "all images as floats in memory, a DataLoader, fused Adam"),
    Contender("torch, no DataLoader", partial(torch, batches=Indexed, fused=True),
              "all images as floats in memory, batches by index, fused Adam"),
)}
OURS = "chainrule"
#: The usual loop, with the number of workers that suits it better.
USUAL = ("torch", "torch, 2 workers")
