"""Schedules in PyTorch's form, for loops written by hand, which call ``scheduler.step()`` after ``optimizer.step()``.

Names, arguments and defaults are PyTorch's. Each class puts the rate of every group to its own rate at the start times
a factor, which one of the functions in `chainrule.optim.schedule` gives. So a run that is resumed meets the very same
rates, and what `state_dict` returns is small and fits into JSON.
"""
from .annealing import CosineAnnealingLR, CosineAnnealingWarmRestarts
from .base import LRScheduler
from .composition import ChainedScheduler, SequentialLR
from .cycles import CyclicLR, OneCycleLR
from .decay import ExponentialLR, MultiStepLR, PolynomialLR, StepLR
from .functions import LambdaLR, MultiplicativeLR
from .plateau import ReduceLROnPlateau
from .ramp import ConstantLR, LinearLR

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR", "PolynomialLR",
    "ReduceLROnPlateau", "SequentialLR", "StepLR",
]
