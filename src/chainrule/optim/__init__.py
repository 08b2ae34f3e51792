"""Optimizers: rules that turn gradients into better parameters; gradient clipping; averages of parameters.

Names, arguments, defaults, state and trajectories are PyTorch's (`Lion`, which it lacks, is its paper's). Left out is
what chooses among PyTorch's own implementations of one rule: ``foreach``, ``fused``, ``capturable``,
``differentiable``. There is one implementation here.
"""
from typing import TYPE_CHECKING, Any

from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .adamax import Adamax
from .average import ExponentialMovingAverage
from .clip import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .lion import Lion
from .nadam import NAdam
from .optimizer import Optimizer
from .radam import RAdam
from .rmsprop import RMSprop
from .sgd import SGD

if TYPE_CHECKING:
    from . import lr_scheduler, schedule

__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "ExponentialMovingAverage", "Lion", "NAdam", "Optimizer",
    "RAdam", "RMSprop", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm",
    "lr_scheduler", "schedule",
]


def __getattr__(name: str) -> Any:
    """Load the schedules when they are first used."""
    if name in ("lr_scheduler", "schedule"):
        from importlib import import_module
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
