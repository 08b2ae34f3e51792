"""What is trained: the images, the networks and their first weights."""
from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BATCH", "EPOCHS", "NETWORKS", "TARGET", "TRAINED", "Images", "Task", "first_weights", "read", "write"]

BATCH = 100
EPOCHS = 3
TARGET = 0.8             #: how long chainrule may take, in units of PyTorch's usual loop
TRAINED = 20             #: steps before anything is timed, whose losses must agree
#: By name: the lengths of the input, of the hidden layers, each followed by a relu, and of the output.
NETWORKS = {"784-50-10": (784, 50, 10), "784-256-128-10": (784, 256, 128, 10)}

Weights = list[tuple[NDArray[np.float32], NDArray[np.float32]]]


@dataclass(frozen=True)
class Images:
    """Images, uint8 of shape (samples, height, width), and their labels, int64."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """A network to train, from which weights and on which data."""

    train: Images
    test: Images
    #: The order of the first samples, so many steps of them, in which the Trainer of the seed 0 takes them.
    order: NDArray[np.intp]
    weights: Weights


def first_weights(network: str) -> Weights:
    """Draw the first weights, (outputs, inputs) and uniform in ±1/√inputs, and a zero bias for each layer."""
    rng, layers = np.random.default_rng(20), []
    for inputs, outputs in pairwise(NETWORKS[network]):
        w = rng.uniform(-1, 1, (outputs, inputs)) / np.sqrt(inputs)
        layers.append((w.astype(np.float32), np.zeros(outputs, np.float32)))
    return layers


def write(path: str | os.PathLike[str], train: Images, test: Images) -> None:
    """Write the data, and the order in which a Trainer takes the first of them, where all contenders read them."""
    from chainrule import Trainer, nn, optim
    from chainrule.data import ArrayDataset, DataLoader

    model = nn.Linear(1, 1)
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters()), seed=0)
    samples = ArrayDataset(np.arange(min(TRAINED * BATCH, len(train.labels))))
    order = DataLoader(samples, BATCH, shuffle=True, generator=trainer.order).order()
    assert order is not None
    arrays: dict[str, Any] = {"images": train.images, "labels": train.labels, "test_images": test.images,
                              "test_labels": test.labels, "order": order}
    np.savez(path, **arrays)


def read(path: str | os.PathLike[str], network: str) -> Task:
    """Read what `write` wrote."""
    with np.load(path) as file:
        return Task(Images(file["images"], file["labels"]), Images(file["test_images"], file["test_labels"]),
                    file["order"], first_weights(network))
