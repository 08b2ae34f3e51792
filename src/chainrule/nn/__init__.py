"""Layers, losses and models, with PyTorch's names, arguments and state."""
from . import init
from .activation import ReLU, Sigmoid, Softmax, Tanh
from .container import Sequential
from .layer import Layer
from .linear import Flatten, Identity, Linear
from .parameter import Parameter

Module = Layer

__all__ = [
    "Flatten", "Identity", "Layer", "Linear", "Module", "Parameter", "ReLU", "Sequential", "Sigmoid", "Softmax", "Tanh",
    "init",
]
