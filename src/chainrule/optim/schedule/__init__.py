"""Schedules: how the learning rate goes up and down in the course of a run, as functions without state.

A schedule gives, for each step of a run, the factor by which the learning rates of the optimizer are multiplied. Any
function ``(step, steps) -> factor`` is one: the number of the step, from 0, and how many there are in all. Those here
are functions made of a few settings, which can be compared, printed, joined, and written into a file (`describe`,
`build`). As they remember nothing, a run that is resumed goes on exactly where it was.

A number of steps may be given as such (``100``) or as a share of the run (``0.1``, a float between 0 and 1).

`chainrule.optim.lr_scheduler` has the same schedules in PyTorch's form, for loops written by hand.
"""
from .annealing import cosine, cosine_restarts
from .composition import chained, function, sequential
from .curve import Curve, Schedule, build, describe
from .cycles import cyclic, one_cycle
from .decay import exponential, multistep, polynomial, step
from .ramp import constant, linear, warmup

__all__ = [
    "Curve", "Schedule", "build", "chained", "constant", "cosine", "cosine_restarts", "cyclic", "describe",
    "exponential", "function", "linear", "multistep", "one_cycle", "polynomial", "sequential", "step", "warmup",
]
