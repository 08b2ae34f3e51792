"""What a classifier decided, and what was right: two rows of classes, from scores and targets of several forms."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["counted", "decisions", "labelled"]

Classes = NDArray[Any]


def decisions(what: str, outputs: ArrayLike, targets: ArrayLike, ignore_index: int,
              threshold: float) -> tuple[Classes, Classes, int]:
    """Return the class predicted for each sample that counts, its true class, and how many classes there are.

    Parameters
    ----------
    what : str
        What errors begin with.
    outputs : array_like, shape (N, C, ...) or (C,), or with one score for each sample (N,) or (N, 1, ...)
        The highest score decides, of equal ones the first. A single score decides for class 1 if it is above
        `threshold`, else for class 0.
    targets : array_like, shape (N, ...) or ()
        Classes, whole numbers; or, of the shape of `outputs`, a probability for each class (the highest counts), or 0
        or 1 where there is a single score.
    ignore_index : int
        Samples of this class do not count.
    threshold : float

    Returns
    -------
    predicted, true : array of int, shape (samples,)
    classes : int

    Raises
    ------
    TypeError
        If classes are not whole numbers.
    ValueError
        If shapes do not fit, or a class is out of range.
    """
    scores, true = np.asarray(outputs), np.asarray(targets)
    if scores.shape == true.shape and (scores.ndim == 1 or (scores.ndim > 1 and scores.shape[1] == 1)):
        predicted, classes = scores > threshold, 2
        known = np.isin(true, (0, 1, ignore_index))
        if not known.all():
            raise ValueError(f"{what}: beside a single score the target is 0 or 1, got {true[~known][0]}")
    else:
        scores, true, axis = labelled(what, scores, true)
        predicted, classes = scores.argmax(axis), scores.shape[axis]
    counts = counted(what, true, ignore_index, classes)
    if counts is not None:
        predicted, true = predicted[counts], true[counts]
    return predicted.reshape(-1), true.reshape(-1).astype(np.intp, copy=False), classes


def labelled(what: str, scores: NDArray[Any], true: NDArray[Any]) -> tuple[NDArray[Any], Classes, int]:
    """Return scores, the class of each sample, and the axis of the classes among the scores."""
    axis = 1 if scores.ndim > 1 else 0
    if scores.shape == true.shape and scores.ndim > 1:
        if true.dtype.kind != "f" or not np.allclose(true.sum(axis), 1, atol=1e-3):
            raise ValueError(f"{what}: targets of the shape of the scores, {true.shape}, are probabilities that add up "
                             "to 1 over the classes (axis 1), as floats; these are not. Of one-hot whole numbers give "
                             "targets.argmax(1); several labels for one sample are not a classification")
        true = true.argmax(axis)
    elif not scores.ndim or true.shape != scores.shape[:axis] + scores.shape[axis + 1:]:
        raise ValueError(f"{what}: scores of shape {scores.shape} and targets of shape {true.shape} do not fit; "
                         "expected scores (N, classes, ...) and targets (N, ...)")
    elif true.dtype.kind not in "biu":
        raise TypeError(f"{what}: classes are whole numbers, got {true.dtype}; if they are meant so, "
                        "targets.astype(int)")
    elif scores.shape[axis] < 2:
        raise ValueError(f"{what}: scores of shape {scores.shape} are a single one for each sample, so the targets "
                         f"need the same shape, got {true.shape}; targets.reshape(scores.shape)")
    return scores, true, axis


def counted(what: str, true: Classes, ignored: int, classes: int) -> NDArray[np.bool_] | None:
    """Return which samples count, or None for all, after a look at the range of the classes."""
    keep = np.asarray(true != ignored)
    mask = None if keep.all() else keep
    of_those = true if mask is None else true[mask]
    if of_those.size and (of_those.min() < 0 or of_those.max() >= classes):
        wrong = of_those[(of_those < 0) | (of_those >= classes)]
        raise ValueError(f"{what}: met the class {wrong[0]}; with scores for {classes} classes they are 0 to "
                         f"{classes - 1}")
    return mask
