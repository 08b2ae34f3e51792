"""Weights for classes that are not equally frequent."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["class_weights"]


def class_weights(labels: ArrayLike, classes: int | None = None, *, ignore_index: int = -100) -> NDArray[np.float32]:
    r"""Return a weight for each class that makes up for its frequency: :math:`w_c = n / (k\, n_c)`.

    With them every class counts the same in the loss, and an average sample counts 1.

    Parameters
    ----------
    labels : array_like of int
        Of all training samples, n in number; any shape.
    classes : int, optional
        How many classes there are (k); by default one more than the highest label.
    ignore_index : int
        Samples of this class are not counted.

    Returns
    -------
    array of float32, shape (classes,)
        For ``CrossEntropyLoss(weight=...)``.

    Raises
    ------
    TypeError
        If the labels are not whole numbers.
    ValueError
        If a class has no sample, or a label is not below `classes`.

    Notes
    -----
    The rule that scikit-learn calls "balanced", after G. King and L. Zeng, Logistic Regression in Rare Events Data,
    2001.

    Examples
    --------
    >>> from chainrule import data, nn
    >>> data.class_weights([0, 0, 0, 1])
    array([0.6666667, 2.       ], dtype=float32)
    >>> loss = nn.CrossEntropyLoss(weight=data.class_weights([0, 0, 0, 1]))
    """
    found: NDArray[Any] = np.asarray(labels)
    if found.dtype.kind not in "biu":
        raise TypeError(f"class_weights: expected labels that are whole numbers, got {found.dtype}")
    found = found[found != ignore_index].astype(np.int64)
    if not found.size:
        raise ValueError("class_weights: there is no label to count")
    k = int(found.max()) + 1 if classes is None else classes
    wrong = found[(found < 0) | (found >= k)]
    if wrong.size:
        raise ValueError(f"class_weights: met the label {wrong[0]}; the labels of {k} classes are 0 to {k - 1}")
    counts = np.bincount(found, minlength=k)
    if not counts.all():
        empty = np.flatnonzero(counts == 0)
        raise ValueError(f"class_weights: no sample of {'class' if len(empty) == 1 else 'the classes'} "
                         f"{', '.join(map(str, empty))} among {len(found)} labels, so there is no weight for it. "
                         "Number the classes without gaps, or leave the weights out")
    return (len(found) / (k * counts)).astype(np.float32)
