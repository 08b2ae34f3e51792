"""Which classes are taken for which."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .decisions import decisions

__all__ = ["confusion_matrix", "confusion_table"]


def confusion_matrix(outputs: ArrayLike, targets: ArrayLike, *, ignore_index: int = -100,
                     threshold: float = 0.0) -> NDArray[np.int64]:
    """Count how often each class (row) is taken for each class (column).

    Parameters
    ----------
    outputs : array_like, shape (N, classes, ...) or (classes,)
        Scores, or probabilities; or a single score for each sample, of shape (N,) or (N, 1).
    targets : array_like, shape (N, ...) or ()
        The classes, whole numbers; or, of the shape of `outputs`, a probability for each class, or 0 and 1 beside
        single scores.
    ignore_index : int
        Samples of this class are not counted.
    threshold : float
        Above it a single score stands for class 1: 0 for scores, 0.5 for probabilities.

    Returns
    -------
    array of int64, shape (classes, classes)
        What is right is on the diagonal.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit each other, or a class is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.training import metrics
    >>> metrics.confusion_matrix(np.eye(2)[[0, 1, 1]], [0, 0, 1])
    array([[1, 1],
           [0, 1]])
    """
    predicted, true, classes = decisions("confusion_matrix", outputs, targets, ignore_index, threshold)
    pairs = true.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64, copy=False)


def confusion_table(matrix: ArrayLike, names: Sequence[str] | None = None) -> str:
    r"""Return a confusion matrix as text: a row for each true class, a column for each predicted one.

    Parameters
    ----------
    matrix : array_like of int, shape (classes, classes)
    names : sequence of str, optional
        Of the classes; otherwise they have their numbers.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is not a square, or there are more or fewer names.

    Examples
    --------
    >>> from chainrule.training import metrics
    >>> print(metrics.confusion_table([[12, 1], [0, 7]], ["cat", "dog"]))
    true \ predicted  cat  dog
    cat                12    1
    dog                 0    7
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"confusion_table: expected a square matrix of counts, got the shape {counts.shape}")
    labels = [str(i) for i in range(len(counts))] if names is None else list(names)
    if len(labels) != len(counts):
        raise ValueError(f"confusion_table: {len(labels)} names for {len(counts)} classes")
    head = ["true \\ predicted", *labels]
    rows = [[label, *map(str, row)] for label, row in zip(labels, counts.tolist(), strict=True)]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in
                                                          zip(row[1:], widths[1:], strict=True))])
                     for row in (head, *rows))
