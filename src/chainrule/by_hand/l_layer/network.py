"""A network of affine layers: its parameters, the way forward, the way back."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ... import gates as g
from ...reverse import pull
from ..arrays import alone, truth
from .activations import activate, activate_backward
from .cost import slope_of_losses
from .shapes import Array, columns, depth, like, matching

__all__ = [
    "L_model_backward", "L_model_forward", "initialize_parameters", "linear_activation_backward",
    "linear_activation_forward", "linear_backward", "linear_forward",
]

LinearCache = tuple[Array, Array, Array]         # (A_prev, W, b)
Cache = tuple[LinearCache, Array]                # (linear_cache, activation_cache): what went in, and Z
FAR = 1e-3                                       # beyond this, probabilities are not those of the caches


def initialize_parameters(layer_dims: Sequence[int]) -> dict[str, Array]:
    """Draw weights from the normal distribution, times 0.01; biases are 0.

    Parameters
    ----------
    layer_dims : sequence of int
        The number of features, then the number of units of each layer: at least two numbers.

    Returns
    -------
    dict of str to array, float64
        W1 (n_1, n_0), b1 (n_1, 1), W2 …

    Raises
    ------
    ValueError
        If there is no layer, or a number is not positive.

    Notes
    -----
    The numbers are those of ``np.random.randn``, W1 first: call ``np.random.seed(...)`` before for the same ones
    again. Weights as small as these make a deep network learn nothing at all; chapter 8 shows why, and the remedy.

    Examples
    --------
    >>> from chainrule.by_hand.l_layer import initialize_parameters
    >>> parameters = initialize_parameters([2, 4, 1])
    >>> {name: array.shape for name, array in parameters.items()}
    {'W1': (4, 2), 'b1': (4, 1), 'W2': (1, 4), 'b2': (1, 1)}
    """
    dims = list(layer_dims)
    if len(dims) < 2 or any(n != int(n) or n < 1 for n in dims):
        raise ValueError(f"initialize_parameters: layer_dims is {dims}, expected two positive whole numbers or more: "
                         "the number of features, then of the units of each layer")
    parameters = {}
    for layer, (inputs, outputs) in enumerate(pairwise(dims), 1):
        parameters[f"W{layer}"] = np.random.randn(outputs, inputs) * 0.01  # noqa: NPY002 - learners seed this stream
        parameters[f"b{layer}"] = np.zeros((outputs, 1))
    return parameters


# ------------------------------------------------------------------ forward


def linear_forward(A: ArrayLike, W: ArrayLike, b: ArrayLike) -> tuple[Any, LinearCache]:
    r"""Return :math:`Z = W A + b`, and what went in.

    Parameters
    ----------
    A : array, shape (inputs, samples)
    W : array, shape (outputs, inputs)
    b : array, shape (outputs, 1)

    Returns
    -------
    Z : array, shape (outputs, samples)
    cache : tuple
        (A, W, b), for `linear_backward`.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import linear_forward
    >>> Z, cache = linear_forward(np.array([[1.0], [2.0]]), np.array([[3.0, 4.0]]), np.array([[0.5]]))
    >>> Z
    array([[11.5]])
    """
    A, W, b = matching("linear_forward", A, W, b)
    return alone(g.linear(*_in_rows(A, W, b)).T), (A, W, b)


def linear_activation_forward(A_prev: ArrayLike, W: ArrayLike, b: ArrayLike, activation: str) -> tuple[Any, Cache]:
    r"""Return :math:`A = f(W A_{prev} + b)`, and what the way back needs.

    Parameters
    ----------
    A_prev : array, shape (inputs, samples)
    W : array, shape (outputs, inputs)
    b : array, shape (outputs, 1)
    activation : {"relu", "sigmoid", "tanh"}

    Returns
    -------
    A : array, shape (outputs, samples)
    cache : tuple
        ``linear_cache, activation_cache = cache``: (A_prev, W, b), and Z.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there is no such activation.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import linear_activation_forward
    >>> A, cache = linear_activation_forward(np.array([[2.0]]), np.array([[-4.0]]), np.array([[3.0]]), "relu")
    >>> A, cache[1]
    (array([[0.]]), array([[-5.]]))
    """
    Z, linear_cache = linear_forward(A_prev, W, b)
    A, activation_cache = activate(activation, Z)
    return A, (linear_cache, activation_cache)


def L_model_forward(X: ArrayLike, parameters: Mapping[str, Array]) -> tuple[Any, list[Cache]]:  # noqa: N802
    """Run the network: relu after each layer, sigmoid after the last.

    Parameters
    ----------
    X : array, shape (features, samples)
    parameters : dict
        W1, b1, …, as `initialize_parameters` gives them.

    Returns
    -------
    AL : array, shape (outputs, samples)
        Probabilities.
    caches : list of tuple
        What `linear_activation_forward` returned for each layer.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a parameter is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import L_model_forward
    >>> AL, caches = L_model_forward(np.zeros((2, 3)), {"W1": np.ones((1, 2)), "b1": np.zeros((1, 1))})
    >>> AL, len(caches)
    (array([[0.5, 0.5, 0.5]]), 1)
    """
    caches: list[Cache] = []
    A = columns("L_model_forward", "X", X)
    layers = depth("L_model_forward", parameters)
    for layer in range(1, layers + 1):
        names = ("X" if layer == 1 else f"A{layer - 1}", f"W{layer}", f"b{layer}")
        A, W, b = matching("L_model_forward", A, parameters[names[1]], parameters[names[2]], names)
        A, cache = linear_activation_forward(A, W, b, "relu" if layer < layers else "sigmoid")
        caches.append(cache)
    return A, caches


# ------------------------------------------------------------------ backward


def linear_backward(dZ: ArrayLike, cache: LinearCache) -> tuple[Any, Any, Any]:
    r"""Take a gradient back through :math:`Z = W A_{prev} + b`.

    .. math:: dA_{prev} = W^T dZ \qquad dW = \tfrac1m\, dZ A_{prev}^T \qquad db = \tfrac1m \sum_j dZ_{\cdot j}

    Parameters
    ----------
    dZ : array, shape (outputs, samples)
        Of each sample's own loss; it is not written into.
    cache : tuple
        (A_prev, W, b), as `linear_forward` returned it.

    Returns
    -------
    dA_prev : array, shape (inputs, samples)
    dW : array, shape (outputs, inputs)
        Of the mean of the losses over the m samples, as `db` is.
    db : array, shape (outputs, 1)

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import linear_backward, linear_forward
    >>> Z, cache = linear_forward(np.array([[1.0, 3.0]]), np.array([[2.0]]), np.array([[0.0]]))
    >>> linear_backward(np.ones((1, 2)), cache)
    (array([[2., 2.]]), array([[2.]]), array([[1.]]))
    """
    if not isinstance(cache, tuple) or len(cache) != 3:
        raise TypeError("linear_backward: the cache is (A_prev, W, b), as linear_forward returned it; of a layer with "
                        "an activation it is the first part: linear_cache, activation_cache = cache")
    A_prev, W, b = matching("linear_backward", *cache, names=("A_prev", "W", "b"))
    samples = A_prev.shape[1]
    dZ = like("linear_backward", "dZ", dZ, "Z", (len(W), samples))
    rows = _in_rows(A_prev, W, b)
    dA_prev, dW, db = pull(g.linear, dZ.T, None, rows, {}, (True, True, True))     # its derivatives need no Z
    return alone(dA_prev.T), dW / samples, db[:, None] / samples


def linear_activation_backward(dA: ArrayLike, cache: Cache, activation: str) -> tuple[Any, Any, Any]:
    r"""Take a gradient back through :math:`A = f(W A_{prev} + b)`.

    Parameters
    ----------
    dA : array, shape (outputs, samples)
        Of each sample's own loss; it is not written into.
    cache : tuple
        (linear_cache, activation_cache), as `linear_activation_forward` returned it.
    activation : {"relu", "sigmoid", "tanh"}

    Returns
    -------
    dA_prev, dW, db : array
        As `linear_backward` returns them.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there is no such activation.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import linear_activation_backward, linear_activation_forward
    >>> A, cache = linear_activation_forward(np.array([[1.0]]), np.array([[3.0]]), np.zeros((1, 1)), "relu")
    >>> linear_activation_backward(np.array([[5.0]]), cache, "relu")
    (array([[15.]]), array([[5.]]), array([[5.]]))
    """
    linear_cache, activation_cache = _opened("linear_activation_backward", cache)
    return linear_backward(activate_backward(activation, dA, activation_cache), linear_cache)


def L_model_backward(AL: ArrayLike, Y: ArrayLike, caches: Sequence[Cache]) -> dict[str, Any]:  # noqa: N802
    r"""Take the cost back through the whole network.

    The last layer begins with :math:`dZ_L = \sigma(Z_L) - Y`: the derivative of the losses by the logits, which is
    right also where :math:`A_L` is 0 or 1 to the last digit and :math:`dA_L` would be infinite.

    Parameters
    ----------
    AL : array, shape (outputs, samples)
        As `L_model_forward` returned it, together with `caches`.
    Y : array, the same shape
        0 or 1, or probabilities.
    caches : list of tuple

    Returns
    -------
    dict
        dA0, dW1, db1, dA1, dW2, …: dA0 is the gradient of the losses by X, dW1 and db1 of the cost by W1 and b1.

    Raises
    ------
    ValueError
        If the shapes differ, or AL is not what these caches gave.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import L_model_backward, L_model_forward
    >>> AL, caches = L_model_forward(np.ones((1, 1)), {"W1": np.zeros((1, 1)), "b1": np.zeros((1, 1))})
    >>> L_model_backward(AL, np.array([[1]]), caches)
    {'dA0': array([[0.]]), 'dW1': array([[-0.5]]), 'db1': array([[-0.5]])}
    """
    if not caches:
        raise ValueError("L_model_backward: there are no caches; pass those that L_model_forward returned beside AL")
    linear_cache, Z = _opened("L_model_backward", caches[-1])
    AL = like("L_model_backward", "AL", AL, "Z of the last layer", Z.shape)
    if (np.abs(truth(AL) - g.sigmoid(truth(Z))) > FAR).any():
        raise ValueError("L_model_backward: AL is not the sigmoid of the last Z in these caches; pass the AL and the "
                         "caches of one call of L_model_forward")
    dZ = slope_of_losses(Z, like("L_model_backward", "Y", Y, "AL", Z.shape))
    gradients: dict[str, Any] = {}
    for layer in range(len(caches), 0, -1):
        dA, dW, db = linear_backward(dZ, linear_cache)
        gradients |= {f"dA{layer - 1}": dA, f"dW{layer}": dW, f"db{layer}": db}
        if layer > 1:
            linear_cache, Z = caches[layer - 2]
            dZ = activate_backward("relu", dA, Z)
    return gradients


def _opened(what: str, cache: Any) -> Cache:
    """Take the cache of a layer with an activation apart."""
    if not isinstance(cache, tuple) or len(cache) != 2:
        raise TypeError(f"{what}: the cache of a layer is (linear_cache, activation_cache), as "
                        f"linear_activation_forward returned it; got {type(cache).__name__}"
                        + (f" of {len(cache)}" if isinstance(cache, tuple) else ""))
    return cache


def _in_rows(A: Array, W: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return what the gate `linear` takes, whose samples are rows; its weights are (outputs, inputs) as well."""
    return A.T, W, b[:, 0]
