"""chainrule: a deep-learning framework you can see through."""
from . import linalg, nn, random
from .gate import GATES, Gate
from .gates import *
from .mode import enable_grad, no_grad, observe
from .tensor import Tensor, as_tensor
