"""chainrule: a deep-learning framework you can see through.

Gates and tensors are functions of this package under NumPy's names; layers are in `chainrule.nn`, losses as functions in
`chainrule.functional`, optimizers in `chainrule.optim`, data sets in `chainrule.data`.
"""
# ruff: noqa: F403, F405
from . import compiler, data, functional, linalg, nn, optim, random
from .anomaly import AnomalyError, detect_anomaly
from .check import GradientError, check_gradients, numerical_gradient
from .differentiate import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .explain import explain
from .gate import GATES, Gate
from .gates import *
from .graph import ComputationalGraph, Graph
from .memory import keep_freed_memory
from .mode import enable_grad, no_grad, observe
from .tensor import Tensor, as_tensor
from .training import Trainer

keep_freed_memory()

#: What ``from chainrule import *`` brings: everything but the names of Python's own functions (`sum`, `max`, …).
__all__ = [
    "AnomalyError", "GATES", "Gate", "GradientError", "Tensor", "add", "arctan", "argmax", "argmin", "argsort",
    "as_tensor",
    "bitwise_and", "bitwise_or", "bitwise_xor", "broadcast_to", "cast", "ceil", "check_gradients", "clip",
    "concatenate", "cos", "cumsum", "detach", "detect_anomaly", "divide", "dot", "einsum", "enable_grad", "equal", "erf", "exp",
    "expand_dims", "expm1", "flatten", "flip", "floor", "getitem", "grad", "greater", "greater_equal", "hessian", "hvp",
    "invert", "isfinite", "isinf", "isnan", "jacobian", "jvp", "less", "less_equal", "linalg", "linear", "log", "log1p",
    "log_softmax", "logaddexp", "logical_and", "logical_not", "logical_or", "logsumexp", "matmul", "maximum", "mean", "minimum",
    "moveaxis", "multiply", "negative", "nn", "no_grad", "norm2", "not_equal", "numerical_gradient", "observe", "pad",
    "philox_bernoulli", "philox_normal", "philox_uniform", "power", "prod", "put_along_axis", "random", "ravel",
    "reciprocal", "relu", "reshape", "roll", "scatter_add", "sigmoid", "sign", "sin", "softmax", "softplus", "sort",
    "split", "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum_to", "swapaxes", "take_along_axis", "tan",
    "tanh", "transpose", "trunc", "value_and_grad", "var", "vjp", "where",
]
