"""chainrule: a deep-learning framework you can see through.

Gates and tensors are functions of this package under NumPy's names; layers are in `chainrule.nn`, losses as functions
in `chainrule.functional`, optimizers in `chainrule.optim`, data sets in `chainrule.data`.
"""
# ruff: noqa: F403
import builtins
from typing import TYPE_CHECKING, Any

from . import functional, gates, linalg, nn, optim, random
from .anomaly import AnomalyError, detect_anomaly
from .check import GradientError, check_gradients, numerical_gradient
from .differentiate import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .explain import explain
from .gate import GATES, Gate
from .gates.comparison import *
from .gates.elementwise import *
from .gates.indexing import *
from .gates.linalg import *
from .gates.loss import *
from .gates.random import *
from .gates.reduction import *
from .gates.shaping import *
from .graph import ComputationalGraph, Graph
from .memory import keep_freed_memory
from .mode import enable_grad, no_grad, observe
from .state import cell
from .tensor import Tensor, as_tensor

if TYPE_CHECKING:
    from . import compiler, data, training
    from .compiler import compile as compile
    from .training import Trainer

keep_freed_memory()

__all__ = [
    "GATES", "AnomalyError", "ComputationalGraph", "Gate", "GradientError", "Graph", "Tensor", "Trainer", "as_tensor",
    "cell", "check_gradients", "compiler", "data", "detect_anomaly", "enable_grad", "explain", "functional", "gates",
    "grad", "hessian", "hvp", "jacobian", "jvp", "linalg", "nn", "no_grad", "numerical_gradient", "observe", "optim",
    "random", "training", "value_and_grad", "vjp",
]
#: ``from chainrule import *`` brings the gates too, but hides none of Python's own functions (`sum`, `max`, `abs`, …).
__all__ += [name for name in gates.__all__ if not hasattr(builtins, name)]


def __getattr__(name: str) -> Any:
    """Load what a loop of one's own does without when it is first used: data sets, the trainer, the compiler."""
    from importlib import import_module
    if name in ("compiler", "data", "training"):
        return import_module(f"{__name__}.{name}")
    if name == "Trainer":
        return import_module(f"{__name__}.training").Trainer
    if name == "compile":                              # not in __all__: it would hide Python's own
        return import_module(f"{__name__}.compiler").compile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
