"""Activations and the way back through them; each is one gate."""
from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from ... import gates as g
from ...gate import Gate
from ...reverse import pull
from ..arrays import as_array
from .shapes import Array, like

__all__ = ["ACTIVATIONS", "activate", "activate_backward", "relu", "relu_backward", "sigmoid", "sigmoid_backward"]

#: What `activation` may be called.
ACTIVATIONS: dict[str, Gate] = {"relu": g.relu, "sigmoid": g.sigmoid, "tanh": g.tanh}


def activate(activation: str, Z: ArrayLike) -> tuple[Any, Array]:
    """Apply an activation by name; return its result, and what the way back needs."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r}, expected one of {', '.join(map(repr, ACTIVATIONS))}")
    z: Array = as_array(Z)
    return ACTIVATIONS[activation](z), z


def activate_backward(activation: str, dA: ArrayLike, cache: Any) -> Any:
    """Take a gradient back through an activation by name."""
    if isinstance(cache, tuple):
        raise TypeError(f"{activation}_backward: the cache is Z, what the activation was applied to, and this is a "
                        f"tuple of {len(cache)}; take it apart: linear_cache, activation_cache = cache")
    A, Z = activate(activation, cache)
    dA = like(f"{activation}_backward", "dA", dA, "the cache, Z,", Z.shape)
    return pull(ACTIVATIONS[activation], dA, A, (Z,), {}, (True,))[0]


def sigmoid(Z: ArrayLike) -> tuple[Any, Array]:
    """Return :math:`1 / (1 + e^{-Z})` of each element, and Z.

    Parameters
    ----------
    Z : array, any shape

    Returns
    -------
    A : array, the same shape
        From 0 to 1; float32 stays float32, integers become float64.
    cache : array
        Z, for `sigmoid_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import sigmoid
    >>> A, cache = sigmoid(np.array([[0.0, 800.0]]))
    >>> A
    array([[0.5, 1. ]])
    """
    return activate("sigmoid", Z)


def sigmoid_backward(dA: ArrayLike, cache: Array) -> Any:
    r"""Return :math:`dZ = dA \odot \sigma(Z) (1 - \sigma(Z))`.

    Parameters
    ----------
    dA : array
        Of the shape of Z; it is not written into.
    cache : array
        Z, as `sigmoid` returned it.

    Returns
    -------
    dZ : array, the same shape

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import sigmoid, sigmoid_backward
    >>> A, cache = sigmoid(np.array([[0.0]]))
    >>> sigmoid_backward(np.array([[2.0]]), cache)
    array([[0.5]])
    """
    return activate_backward("sigmoid", dA, cache)


def relu(Z: ArrayLike) -> tuple[Any, Array]:
    r"""Return :math:`\max(Z, 0)` of each element, and Z.

    Parameters
    ----------
    Z : array, any shape

    Returns
    -------
    A : array, the same shape and dtype
    cache : array
        Z, for `relu_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import relu
    >>> A, cache = relu(np.array([[-1.0, 2.0]]))
    >>> A
    array([[0., 2.]])
    """
    return activate("relu", Z)


def relu_backward(dA: ArrayLike, cache: Array) -> Any:
    r"""Return :math:`dZ = dA \odot [Z > 0]`; at the kink, Z = 0, it is 0.

    Parameters
    ----------
    dA : array
        Of the shape of Z; it is not written into.
    cache : array
        Z, as `relu` returned it.

    Returns
    -------
    dZ : array, the same shape

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import relu, relu_backward
    >>> A, cache = relu(np.array([[-1.0, 2.0]]))
    >>> relu_backward(np.array([[5.0, 5.0]]), cache)
    array([[0., 5.]])
    """
    return activate_backward("relu", dA, cache)
