"""Learning without calculus: nudge each weight by itself, see what the loss does, and step the other way.

A network with one hidden layer of sigmoids and a linear output, samples in rows, its weights a list
``[W1, b1, W2, b2]``. A step costs one evaluation for each single weight, where backpropagation needs about two in all:
chapter 5 measures it.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import functional as F
from .. import gates as g
from ..check import numerical_gradient
from ..nn.calls import raw
from ..tensor import Tensor
from .arrays import is_recorded

__all__ = ["feed_forward", "update_weights"]

STEP = 1e-4                                      # how far a weight is nudged


def feed_forward(inputs: ArrayLike | Tensor, outputs: ArrayLike | Tensor, weights: Sequence[Any]) -> Any:
    r"""Return the mean squared error of :math:`\sigma(X W_1 + b_1) W_2 + b_2`.

    Parameters
    ----------
    inputs : array, shape (samples, features)
    outputs : array, shape (samples, outputs)
        What the network shall give.
    weights : list
        W1 (features, hidden), b1 (hidden,), W2 (hidden, outputs), b2 (outputs,).

    Returns
    -------
    float
        A tensor, if tensors are among the arguments: so backpropagation gives the exact gradient of the same function.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there are not four weights.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.finite_differences import feed_forward
    >>> weights = [np.zeros((2, 3)), np.zeros(3), np.ones((3, 1)), np.zeros(1)]
    >>> feed_forward([[1, 1]], [[0]], weights)
    2.25
    """
    x, y, (W1, b1, W2, b2) = _array(inputs), _array(outputs), _weights("feed_forward", weights)
    for name, w, before, length in (("W1", W1, "inputs", x.shape[-1:]), ("W2", W2, "W1", W1.shape[-1:])):
        if len(w.shape) != 2 or w.shape[:1] != length:
            remedy = f"; pass {name}.T" if w.shape[1:] == length else ""
            raise ValueError(f"feed_forward: {name} has shape {w.shape} and {before} "
                             f"{(x if name == 'W1' else W1).shape}: expected as many rows of {name} as columns of "
                             f"{before}{remedy}")
    hidden = g.sigmoid(g.matmul(x, W1) + b1)
    loss = F.mse_loss(g.matmul(hidden, W2) + b2, y)
    return loss if isinstance(loss, Tensor) else float(loss)


def update_weights(inputs: ArrayLike, outputs: ArrayLike, weights: Sequence[Any], lr: float) -> tuple[list[Any], float]:
    r"""Take one step of gradient descent, with the gradient by finite differences.

    .. math:: w \leftarrow w - \eta\, \frac{L(w + h) - L(w)}{h}, \qquad h = 10^{-4}

    Every weight is nudged by itself, and all of them step together in the end.

    Parameters
    ----------
    inputs, outputs, weights
        As for `feed_forward`.
    lr : float
        :math:`\eta`.

    Returns
    -------
    weights : list
        New ones, of the caller's dtypes. The list that was given, and its arrays, stay as they are.
    loss : float
        Before the step.

    Raises
    ------
    TypeError
        If a weight is an array of integers, which small steps cannot move.
    ValueError
        As `feed_forward`.

    Notes
    -----
    The losses are computed in float64: in float32 their difference would be mostly rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.finite_differences import update_weights
    >>> weights = [np.zeros((2, 3)), np.zeros(3), np.ones((3, 1)), np.zeros(1)]
    >>> weights, loss = update_weights([[1, 1]], [[0]], weights, lr=0.1)
    >>> loss, weights[3].round(3)
    (2.25, array([-0.3]))
    """
    given = _weights("update_weights", weights)
    exact: list[Any] = [raw(w, np.float64) if w.dtype.kind == "f" else w for w in given]
    updated: list[Any] = []
    for i, w in enumerate(given):
        def nudged(x: Any, i: int = i) -> Any:
            return feed_forward(inputs, outputs, [*exact[:i], x, *exact[i + 1:]])

        slope = _slope(nudged, w) if is_recorded(w) else numerical_gradient(nudged, w, method="forward", step=STEP)
        updated.append((exact[i] - float(lr) * slope).astype(w.dtype) if w.ndim else float(w - lr * slope))
    return updated, feed_forward(inputs, outputs, exact)


def _slope(f: Callable[[Any], Any], w: Any) -> Any:
    """Return the forward differences in a step that is being recorded: the same, with an array for each nudge."""
    base, slopes = f(w), []
    for index in np.ndindex(w.shape):
        nudge = np.zeros(w.shape)
        nudge[index] = STEP
        slopes.append((f(w + nudge) - base) / STEP)
    return g.reshape(g.stack(slopes), shape=w.shape)


def _array(x: Any) -> Any:
    return x if isinstance(x, Tensor) else np.asarray(x)


def _weights(what: str, weights: Sequence[Any]) -> list[Any]:
    if len(weights) != 4:
        raise ValueError(f"{what}: got {len(weights)} weights, expected the four [W1, b1, W2, b2]")
    return [_array(w) for w in weights]
