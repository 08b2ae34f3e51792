"""The gradient check of a whole network: all parameters in one vector, the cost as its function."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...check import numerical_gradient
from .cost import losses_of_logits
from .network import L_model_forward
from .shapes import Array, columns, depth, known_gradients, like

__all__ = ["dictionary_to_vector", "gradient_check", "gradients_to_vector", "vector_to_dictionary"]

ENOUGH = 2e-7                                    # a relative difference below this is rounding


def dictionary_to_vector(parameters: Mapping[str, ArrayLike]) -> tuple[Array, list[str]]:
    """Put all parameters into one column, W1 row by row, then b1, W2 and so on.

    Parameters
    ----------
    parameters : dict
        W1, b1, …, in any order.

    Returns
    -------
    theta : array, shape (n, 1)
        A copy.
    keys : list of str
        For each element the name of the parameter it belongs to.

    Raises
    ------
    ValueError
        If a parameter is missing, or has another name.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import dictionary_to_vector
    >>> theta, keys = dictionary_to_vector({"W1": np.array([[1.0, 2.0]]), "b1": np.array([[3.0]])})
    >>> theta.ravel(), keys
    (array([1., 2., 3.]), ['W1', 'W1', 'b1'])
    """
    names = _names(depth("dictionary_to_vector", parameters))
    return _column(parameters, names), [name for name in names for _ in range(np.size(parameters[name]))]


def gradients_to_vector(gradients: Mapping[str, ArrayLike]) -> Array:
    """Put all gradients of parameters into one column, in the order of `dictionary_to_vector`.

    Parameters
    ----------
    gradients : dict
        dW1, db1, …; what else is in it, such as dA0, is left out.

    Returns
    -------
    array, shape (n, 1)

    Raises
    ------
    ValueError
        If a gradient is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import gradients_to_vector
    >>> gradients_to_vector({"db1": np.array([[3.0]]), "dW1": np.array([[1.0, 2.0]])}).ravel()
    array([1., 2., 3.])
    """
    return _column(gradients, [f"d{name}" for name in _names(known_gradients("gradients_to_vector", gradients))])


def vector_to_dictionary(theta: ArrayLike, keys: Sequence[str] | Sequence[int]) -> dict[str, Array]:
    """Take the column of `dictionary_to_vector` apart again.

    Parameters
    ----------
    theta : array, shape (n, 1) or (n,)
    keys : sequence of str or of int
        The keys that `dictionary_to_vector` returned, or the sizes of the layers, such as ``[2, 4, 1]``.

    Returns
    -------
    dict of str to array
        Copies: W1 (n_1, n_0), b1 (n_1, 1), …

    Raises
    ------
    ValueError
        If the vector has another length than the keys say.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import vector_to_dictionary
    >>> vector_to_dictionary(np.array([[1.0], [2.0], [3.0]]), [2, 1])
    {'W1': array([[1., 2.]]), 'b1': array([[3.]])}
    """
    theta = np.asarray(theta)
    counts: list[tuple[str, int]]
    if all(isinstance(key, str) for key in keys):
        counts = [(str(key), len(list(same))) for key, same in groupby(keys)]
    else:
        sizes = [(inputs * outputs, outputs) for inputs, outputs in pairwise(map(int, keys))]
        counts = list(zip(_names(len(sizes)), [n for pair in sizes for n in pair], strict=True))
    if theta.size != sum(n for _, n in counts) or theta.size != len(theta):
        raise ValueError(f"vector_to_dictionary: theta has shape {theta.shape}, and the keys are those of "
                         f"{sum(n for _, n in counts)} numbers; expected a column, as dictionary_to_vector gives it")
    ends = np.cumsum([n for _, n in counts])
    pieces = dict(zip([name for name, _ in counts], np.split(theta.reshape(-1), ends[:-1]), strict=True))
    units = {name[1:]: piece.size for name, piece in pieces.items() if name[0] == "b"}
    return {name: piece.reshape(units[name[1:]], -1).copy() for name, piece in pieces.items()}


def gradient_check(X: ArrayLike, Y: ArrayLike, parameters: Mapping[str, Array], gradients: Mapping[str, Array],
                   epsilon: float = 1e-7) -> float:
    r"""Compare gradients with central differences of the cost, and print what came out.

    .. math:: \frac{\|a - n\|}{\|a\| + \|n\|}, \qquad
              n_i = \frac{J(\theta + \epsilon e_i) - J(\theta - \epsilon e_i)}{2\epsilon}

    Parameters
    ----------
    X : array, shape (features, samples)
    Y : array, shape (outputs, samples)
    parameters : dict
        Not written into; the differences are taken in float64.
    gradients : dict
        What `L_model_backward` returned at these parameters, or the learner's own.
    epsilon : float

    Returns
    -------
    float
        About 1e-9 where all is well; beyond 2e-7 the print says where, and what the reason may be.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    The check means something only where the cost has a derivative. Where a unit's Z is exactly 0, on the kink of relu,
    the two sides differ and the check fails though the gradients are right; such elements are counted and named. With
    biases of 0 they are common: a layer whose input is all 0 gives 0. Draw the biases at random for a check.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.by_hand.l_layer import L_model_backward, L_model_forward, gradient_check
    >>> X, Y = np.array([[-1.0, 2.0]]), np.array([[0, 1]])
    >>> parameters = {"W1": np.array([[0.5]]), "b1": np.array([[0.1]])}
    >>> AL, caches = L_model_forward(X, parameters)
    >>> gradient_check(X, Y, parameters, L_model_backward(AL, Y, caches)) < 1e-7
    gradient check: relative difference ... over 2 parameters: the gradients are right
    True
    """
    theta, keys = dictionary_to_vector(parameters)
    theta = theta.astype(np.float64)
    analytic = like("gradient_check", "the vector of the gradients", gradients_to_vector(gradients), "that of the "
                    "parameters", theta.shape)
    X = columns("gradient_check", "X", X)
    forward = L_model_forward(X, parameters)
    Y = like("gradient_check", "Y", Y, "AL", forward[0].shape)

    def losses(theta: Array) -> Any:             # each by itself: the difference of their sums would be half rounding
        return losses_of_logits(L_model_forward(X, vector_to_dictionary(theta, keys))[1][-1][1], Y, "none")

    numeric = numerical_gradient(losses, theta, step=epsilon, dout=np.full(Y.shape, 1 / Y.shape[1]))
    size = float(np.linalg.norm(analytic) + np.linalg.norm(numeric))
    difference = float(np.linalg.norm(analytic - numeric)) / size if size else 0.0
    said = f"gradient check: relative difference {difference:.3g} over {len(keys)} parameters: "
    if difference <= ENOUGH:
        print(said + "the gradients are right")  # noqa: T201
        return difference
    worst = int(np.abs(analytic - numeric).argmax())
    name, place = keys[worst], worst - keys.index(keys[worst])
    index = tuple(int(i) for i in np.unravel_index(place, np.shape(parameters[name])))
    print(f"{said}more than {ENOUGH:g}, most of all in {name}{list(index)}: "  # noqa: T201
          f"{float(analytic[worst, 0]):.6g} by backward, {float(numeric[worst, 0]):.6g} by differences")
    for layer, (_, Z) in enumerate(forward[1][:-1], 1):
        if (Z == 0).any():
            print(f"  {int((Z == 0).sum())} of the {Z.size} Z of layer {layer} are exactly 0, on the kink of relu, "  # noqa: T201
                  "where there is no derivative: check with random biases before you look for a mistake")
    return difference


def _names(layers: int) -> list[str]:
    return [f"{kind}{layer}" for layer in range(1, layers + 1) for kind in "Wb"]


def _column(arrays: Mapping[str, ArrayLike], names: Sequence[str]) -> Array:
    return np.concatenate([np.reshape(arrays[name], (-1, 1)) for name in names])
