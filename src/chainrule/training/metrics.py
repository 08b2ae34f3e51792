"""Figures that say how good a model is, beside its loss."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["accuracy"]


def accuracy(outputs: NDArray[Any], targets: NDArray[Any], *, ignore_index: int = -100) -> float:
    """Return the share of samples whose highest score is that of their class.

    Parameters
    ----------
    outputs : array, shape (N, classes, ...) or (classes,)
        Scores, or probabilities.
    targets : array, shape (N, ...) or ()
        The classes, integers; or a probability for each class, of the shape of `outputs`.
    ignore_index : int
        Samples of this class are not counted.

    Returns
    -------
    float
        From 0 to 1; nan if no sample counts.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.training import accuracy
    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    axis = 1 if outputs.ndim > 1 else 0
    if targets.dtype.kind == "f" and targets.shape == outputs.shape:
        targets = targets.argmax(axis)
    right = outputs.argmax(axis) == targets
    counted = np.asarray(targets != ignore_index)
    return float((right & counted).sum() / counted.sum()) if counted.any() else float("nan")
