"""Networks of any depth as functions on arrays, with the samples in columns: relu in each layer, sigmoid in the last.

X is (n_x, m), one column for each of the m samples; W1 is (n_1, n_x) and b1 (n_1, 1), so that :math:`Z = W A + b`.
(In `chainrule.by_hand.layers` samples are rows and W is (in, out); in `chainrule.nn` samples are rows and W is
(out, in).) Parameters are a dict with W1, b1, W2, b2, …; gradients are one with dW1, db1, …

With J the cost, the mean of the losses over the samples, dW and db are the gradients of J. What comes back for each
sample, dA and dZ, is the gradient of the sum of the losses, m·J: `linear_backward` divides by m. So it is in most
notes, and only so do pieces of one's own fit in.

No derivative is written here: each backward takes the gate's own, with the columns turned into rows for it.
"""
from .activations import relu, relu_backward, sigmoid, sigmoid_backward
from .checking import dictionary_to_vector, gradient_check, gradients_to_vector, vector_to_dictionary
from .cost import compute_cost
from .network import (
    L_model_backward,
    L_model_forward,
    initialize_parameters,
    linear_activation_backward,
    linear_activation_forward,
    linear_backward,
    linear_forward,
)
from .normalization import batch_norm_backward, batch_norm_forward
from .spirals import load_data
from .training import L_layer_model, clip_gradients, predict, update_parameters

__all__ = [
    "L_layer_model", "L_model_backward", "L_model_forward", "batch_norm_backward", "batch_norm_forward",
    "clip_gradients", "compute_cost", "dictionary_to_vector", "gradient_check", "gradients_to_vector",
    "initialize_parameters", "linear_activation_backward", "linear_activation_forward", "linear_backward",
    "linear_forward", "load_data", "predict", "relu", "relu_backward", "sigmoid", "sigmoid_backward",
    "update_parameters", "vector_to_dictionary",
]
