"""Layers, losses and models, with PyTorch's names, arguments and state."""
from . import init
from .activation import ReLU, Sigmoid, Softmax, Tanh
from .container import Sequential
from .dropout import Dropout
from .layer import Layer
from .linear import Flatten, Identity, Linear
from .loss import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from .norm import BatchNorm1d
from .parameter import Parameter

Module = Layer

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "BatchNorm1d", "CrossEntropyLoss", "Dropout", "Flatten", "Identity", "Layer",
    "Linear", "MSELoss", "Module", "Parameter", "ReLU", "Sequential", "Sigmoid", "Softmax", "Tanh", "init",
]
