"""Gradient descent with all samples at once, and what is done with the result."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ... import gates as g
from ...nn.calls import is_value
from ...tensor import Tensor
from .cost import compute_cost
from .network import L_model_backward, L_model_forward, initialize_parameters
from .shapes import Array, columns, depth, known_gradients, like

__all__ = ["L_layer_model", "clip_gradients", "predict", "update_parameters"]

EVERY = 100                                      # iterations, from one cost that is shown to the next
FIGURE = "l-layer-cost"
missing = False                                  # whether it has been said that there is no matplotlib


def update_parameters(parameters: dict[str, Array], grads: dict[str, Array], learning_rate: float) -> dict[str, Array]:
    r"""Take one step of gradient descent, :math:`W \leftarrow W - \eta\, dW` and :math:`b \leftarrow b - \eta\, db`.

    Parameters
    ----------
    parameters : dict
        It gets new arrays; those that were in it are not written into.
    grads : dict
        With dW1, db1, …
    learning_rate : float
        :math:`\eta`.

    Returns
    -------
    dict
        The same one as `parameters`.

    Raises
    ------
    ValueError
        If a gradient is missing, or has another shape than its parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import update_parameters
    >>> update_parameters({"W1": np.ones((1, 1)), "b1": np.zeros((1, 1))},
    ...                   {"dW1": np.full((1, 1), 5.0), "db1": np.ones((1, 1))}, 0.1)
    {'W1': array([[0.5]]), 'b1': array([[-0.1]])}
    """
    layers = depth("update_parameters", parameters)
    known_gradients("update_parameters", grads, layers)
    step = float(learning_rate)                  # a NumPy float64 would widen float32 parameters
    for name, value in parameters.items():
        slope = like("update_parameters", f"d{name}", grads[f"d{name}"], name, np.shape(value))
        moved = value - step * slope
        widened = value.dtype.kind == "f" and moved.dtype != value.dtype
        parameters[name] = moved.astype(value.dtype) if widened else moved
    return parameters


def L_layer_model(X: ArrayLike, Y: ArrayLike, layers_dims: Sequence[int], learning_rate: float = 0.0075,  # noqa: N802
                  num_iterations: int = 3000, print_cost: bool = False) -> dict[str, Array]:
    """Train a network by gradient descent with all samples in each step.

    Parameters
    ----------
    X : array, shape (features, samples)
    Y : array, shape (outputs, samples)
        0 or 1.
    layers_dims : sequence of int
        The number of features, then of the units of each layer.
    learning_rate : float
    num_iterations : int
    print_cost : bool
        Print the cost each 100 iterations, and in the end save its curve to a file,
        ``figures/l-layer-cost.png`` (in the folder CHAINRULE_FIGURES, if that is set). No window is opened.

    Returns
    -------
    dict
        The parameters, W1, b1, …

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    It begins with `initialize_parameters`: ``np.random.seed(...)`` decides where.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import L_layer_model
    >>> np.random.seed(1)
    >>> parameters = L_layer_model(np.array([[-1.0, 1.0]]), np.array([[0, 1]]), [1, 1], 1.0, 100)
    >>> bool(parameters["W1"] > 3)
    True
    """
    X = columns("L_layer_model", "X", X)
    dims = list(layers_dims)
    if dims and X.shape[0] != dims[0]:
        remedy = "; are the samples in rows? They are columns here: pass X.T" if X.shape[1] == dims[0] else ""
        raise ValueError(f"L_layer_model: X has shape {X.shape}, and layers_dims is {dims}: expected ({dims[0]}, "
                         f"samples){remedy}")
    parameters = initialize_parameters(dims)
    Y = like("L_layer_model", "Y", Y, "the output of the network", (dims[-1], X.shape[1]))
    costs = []
    for i in range(num_iterations):
        AL, caches = L_model_forward(X, parameters)
        if print_cost and i % EVERY == 0:
            costs.append(compute_cost(AL, Y, caches))
            print(f"Cost after iteration {i}: {costs[-1]}")  # noqa: T201
        parameters = update_parameters(parameters, L_model_backward(AL, Y, caches), learning_rate)
    if costs:
        _draw(costs, learning_rate)
    return parameters


def predict(X: ArrayLike, y: ArrayLike, parameters: dict[str, Array]) -> Array:
    """Classify samples, and print the share of them that is right.

    Parameters
    ----------
    X : array, shape (features, samples)
    y : array, shape (1, samples)
        Their classes: 0 or 1, and from 0 to C - 1 for a network with C outputs; for that, one-hot columns of shape
        (C, samples) will do as well.
    parameters : dict

    Returns
    -------
    array, shape (1, samples)
        1.0 where the probability is more than a half, else 0.0; of several outputs, the number of the largest.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    How far a probability is from a half does not count here. Chapter 8 has a network with an accuracy near 0.8 that has
    learned nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import predict
    >>> predict(np.array([[-1.0, 1.0]]), np.array([[0, 0]]), {"W1": np.ones((1, 1)), "b1": np.zeros((1, 1))})
    Accuracy: 0.5
    array([[0., 1.]])
    """
    AL, _ = L_model_forward(X, parameters)
    y = np.asarray(y)
    if len(AL) == 1:
        predictions: Array = (AL > 0.5).astype(np.float64)
    else:
        predictions = AL.argmax(axis=0)[None]
        if y.shape == AL.shape:
            y = y.argmax(axis=0)[None]
    y = like("predict", "y", y, "the predictions", predictions.shape)
    print(f"Accuracy: {np.mean(predictions == y)}")  # noqa: T201
    return predictions


def clip_gradients(gradients: dict[str, Array], maxValue: float) -> dict[str, Array]:
    """Bring each element of the gradients between -maxValue and maxValue, in place.

    Parameters
    ----------
    gradients : dict
        Its arrays are written into. NaN stays NaN.
    maxValue : float
        From 0 on.

    Returns
    -------
    dict
        The same one.

    Raises
    ------
    TypeError
        If a gradient is no array.
    ValueError
        If `maxValue` is negative or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import clip_gradients
    >>> clip_gradients({"dW1": np.array([[-20.0, 3.0]])}, 10)
    {'dW1': array([[-10.,   3.]])}
    """
    if not maxValue >= 0:
        raise ValueError(f"clip_gradients: maxValue is {maxValue}, expected a number from 0 on")
    for name, gradient in gradients.items():
        if isinstance(gradient, Tensor) and is_value(gradient):
            gradient[...] = g.clip(gradient, -maxValue, maxValue)
            continue
        if not isinstance(gradient, np.ndarray):
            raise TypeError(f"clip_gradients: {name} is {gradient!r}, and only an array can be written into; "
                            "make it one with np.array")
        np.clip(gradient, -maxValue, maxValue, out=gradient)
    return gradients


def _draw(costs: list[float], learning_rate: Any) -> None:
    """Save the curve of the cost; what is in the way of that must not cost the parameters."""
    global missing
    try:
        from ..pictures import lines
        from ..reading import save
        iterations = np.arange(len(costs)) * EVERY
        save(lines({"cost": (iterations, costs)}, f"learning rate {learning_rate}", x="iteration", y="cost"), FIGURE)
    except ImportError:
        if not missing:
            print("the curve of the cost is not drawn: matplotlib is missing, which the extra `plot` installs, "  # noqa: T201
                  "or pip install matplotlib")
        missing = True
    except OSError as error:
        print(f"the curve of the cost is not saved: {error}")  # noqa: T201
