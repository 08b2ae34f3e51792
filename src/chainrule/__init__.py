"""chainrule: a deep-learning framework you can see through."""
from . import linalg, nn, random
from .check import GradientError, check_gradients, numerical_gradient
from .differentiate import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .gate import GATES, Gate
from .gates import *
from .mode import enable_grad, no_grad, observe
from .tensor import Tensor, as_tensor
