"""Optimizers: rules that turn gradients into better parameters. Names, arguments and defaults are PyTorch's."""
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
