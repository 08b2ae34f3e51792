"""What a run changes about the world while it goes on, and puts back."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .. import nn
from ..random import Generator, dropout

__all__ = ["drawing_from", "switched"]


@contextmanager
def switched(model: nn.Layer, training: bool) -> Iterator[None]:
    """Switch a model to training or evaluation; each of its layers is put back as it was."""
    before = [(layer, layer.training) for layer in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for layer, was in before:
            layer.training = was


@contextmanager
def drawing_from(stream: Generator) -> Iterator[None]:
    """Let dropout draw from a trainer's own stream, so that nothing else moves it, nor is moved by it."""
    outer = dropout.seed, dropout.position
    dropout.seed, dropout.position = stream.seed, stream.position
    try:
        yield
    finally:
        stream.seed, stream.position = dropout.seed, dropout.position
        dropout.seed, dropout.position = outer
