"""How many of all samples are right."""
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .decisions import counted, decisions, labelled

__all__ = ["Accuracy", "TopKAccuracy", "accuracy"]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """The share of samples whose class is the one with the highest score.

    Parameters
    ----------
    ignore_index : int
        Samples of this class are not counted.
    threshold : float
        Above it a single score stands for class 1: 0 for scores, as `BCEWithLogitsLoss` takes them, 0.5 for
        probabilities.

    Attributes
    ----------
    additive : bool
        Whether the mean over batches, weighted by samples, is the figure of all samples: it is, if none is ignored.

    Examples
    --------
    >>> from chainrule.training import metrics
    >>> accuracy = metrics.Accuracy()
    >>> accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5
    >>> accuracy([[-0.3], [1.2]], [[0.0], [1.0]])        # one score for each sample
    1.0
    """

    ignore_index: int = -100
    threshold: float = 0.0
    additive: ClassVar[bool] = True

    def __call__(self, outputs: ArrayLike, targets: ArrayLike) -> float:
        """Return it, from 0 to 1; nan if no sample counts.

        Parameters
        ----------
        outputs : array_like, shape (N, classes, ...) or (classes,)
            Scores, or probabilities; or a single score for each sample, of shape (N,) or (N, 1).
        targets : array_like, shape (N, ...) or ()
            The classes, whole numbers; or, of the shape of `outputs`, a probability for each class, or 0 and 1 beside
            single scores.
        """
        predicted, true, _ = decisions("Accuracy", outputs, targets, self.ignore_index, self.threshold)
        return float(np.count_nonzero(predicted == true) / true.size) if true.size else float("nan")


@dataclass(frozen=True)
class TopKAccuracy:
    """The share of samples whose class is among the k with the highest scores.

    Of equal scores the first classes come first, so that k = 1 is `Accuracy`.

    Parameters
    ----------
    k : int
    ignore_index : int
        Samples of this class are not counted.

    Raises
    ------
    ValueError
        If `k` is less than 1; when called, if there are not more than k classes.

    Examples
    --------
    >>> from chainrule.training import metrics
    >>> metrics.TopKAccuracy(2)([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2])
    0.5
    """

    k: int = 5
    ignore_index: int = -100
    additive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.k, int | np.integer) or self.k < 1:
            raise ValueError(f"TopKAccuracy: k is a whole number from 1 on, got {self.k!r}")

    def __call__(self, outputs: ArrayLike, targets: ArrayLike) -> float:
        """Return it, from 0 to 1; nan if no sample counts. Arguments are those of `Accuracy`, without single scores."""
        scores, true, axis = labelled("TopKAccuracy", np.asarray(outputs), np.asarray(targets))
        classes = scores.shape[axis]
        if classes <= self.k:
            raise ValueError(f"TopKAccuracy: the right one of {classes} classes is always among {self.k}; take k from "
                             f"1 to {classes - 1}")
        counts = counted("TopKAccuracy", true, self.ignore_index, classes)
        if counts is not None:
            true = np.where(counts, true, 0)
        place = np.expand_dims(true, axis)
        own = np.take_along_axis(scores, place, axis)
        column = np.arange(classes).reshape(-1, *(1,) * (scores.ndim - 1 - axis))
        before = (scores > own) | (scores == own) & (column < place)
        right = before.sum(axis) < self.k
        right = right if counts is None else right[counts]
        return float(np.count_nonzero(right) / right.size) if right.size else float("nan")


def accuracy(outputs: ArrayLike, targets: ArrayLike, *, ignore_index: int = -100) -> float:
    """Return the share of samples whose highest score is that of their class: `Accuracy`, as a function.

    Parameters
    ----------
    outputs : array_like, shape (N, classes, ...) or (classes,)
        Scores, or probabilities.
    targets : array_like, shape (N, ...) or ()
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
    return Accuracy(ignore_index=ignore_index)(outputs, targets)
