"""Precision, recall and their harmonic mean: figures of each class, and how they become one."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .decisions import decisions

__all__ = ["F1", "Precision", "Recall"]

Counts = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Averaged:                                         # the options and the dataclass of all three
    average: str | None = "macro"
    positive: int = 1
    zero_division: float = 0.0
    ignore_index: int = -100
    threshold: float = 0.0
    additive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.average not in ("macro", "micro", "weighted", "binary", None):
            raise ValueError(f"{name}: average is 'macro', 'micro', 'weighted', 'binary' or None, got {self.average!r}")
        if not (0 <= self.zero_division <= 1 or math.isnan(self.zero_division)):
            raise ValueError(f"{name}: zero_division is what 0/0 counts as, from 0 to 1 or nan, got "
                             f"{self.zero_division}")
        if self.average == "binary" and self.positive not in (0, 1):
            raise ValueError(f"{name}: of two classes 0 or 1 is the positive one, got {self.positive!r}")

    def __call__(self, outputs: ArrayLike, targets: ArrayLike) -> Any:
        """Return it, from 0 to 1, or an array of one for each class if `average` is None.

        Parameters
        ----------
        outputs : array_like, shape (N, classes, ...) or (classes,)
            Scores, or probabilities; or a single score for each sample, of shape (N,) or (N, 1).
        targets : array_like, shape (N, ...) or ()
            The classes, whole numbers; or, of the shape of `outputs`, a probability for each class, or 0 and 1 beside
            single scores.

        Returns
        -------
        float or array of float64, shape (classes,)
            nan if no sample counts.
        """
        name = type(self).__name__
        guesses, truth, classes = decisions(name, outputs, targets, self.ignore_index, self.threshold)
        hits, predicted, true = (np.bincount(found, minlength=classes).astype(np.float64)
                                 for found in (truth[guesses == truth], guesses, truth))
        if self.average == "micro":
            hits, predicted, true = (counts.sum(keepdims=True) for counts in (hits, predicted, true))
        each = self._of_counts(hits, predicted, true)
        if not truth.size:
            each = np.full_like(each, np.nan)
        if self.average is None:
            return each
        if self.average == "micro":
            return float(each[0])
        if self.average == "binary":
            if classes != 2:
                raise ValueError(f"{name}: average='binary' is for two classes, met scores for {classes}; take "
                                 "'macro', 'micro' or 'weighted'")
            return float(each[self.positive])
        weights = true if self.average == "weighted" else (predicted + true > 0).astype(np.float64)
        weights = np.where(np.isnan(each), 0, weights)
        total = weights.sum()
        return float((np.nan_to_num(each) * weights).sum() / total) if total else math.nan

    def _of_counts(self, hits: Counts, predicted: Counts, true: Counts) -> Counts:
        """Return the figure of each class."""
        above, below = self._ratio(hits, predicted, true)
        each: Counts = np.divide(above, below, out=np.full_like(below, self.zero_division), where=below > 0)
        return each

    def _ratio(self, hits: Counts, predicted: Counts, true: Counts) -> tuple[Counts, Counts]:
        raise NotImplementedError


class Precision(_Averaged):
    r"""Of the samples predicted to be of a class, the share that are: :math:`\text{hits} / \text{predicted}`.

    Parameters
    ----------
    average : {"macro", "micro", "weighted", "binary"} or None
        How the figures of the classes become one: their mean over the classes that occur or are predicted; that of all
        samples together, which is the accuracy; their mean weighted by how often each class occurs; that of the class
        `positive`. With None it is an array of all of them, which is not for a `Trainer`.
    positive : int
        Of two classes, the one meant by "binary".
    zero_division : float
        What 0/0 counts as (a class that is never predicted has no precision); a class with nan is left out of a mean.
    ignore_index : int
        Samples of this class are not counted.
    threshold : float
        Above it a single score stands for class 1: 0 for scores, 0.5 for probabilities.

    Attributes
    ----------
    additive : bool
        Whether the mean over batches, weighted by samples, is the figure of all samples: it is not.

    Raises
    ------
    ValueError
        If an option is none of these; when called with "binary", if there are not two classes.

    Notes
    -----
    The figures are scikit-learn's, which has "binary" as default, and warns of 0/0 unless `zero_division` is given.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.training import metrics
    >>> scores, classes = np.eye(3)[[0, 0, 1, 2]], [0, 1, 1, 2]
    >>> metrics.Precision(average=None)(scores, classes)
    array([0.5, 1. , 1. ])
    >>> round(metrics.Precision()(scores, classes), 3)
    0.833
    """

    def _ratio(self, hits: Counts, predicted: Counts, true: Counts) -> tuple[Counts, Counts]:
        return hits, predicted


class Recall(_Averaged):
    r"""Of the samples of a class, the share that are predicted to be: :math:`\text{hits} / \text{true}`.

    Parameters
    ----------
    average, positive, zero_division, ignore_index, threshold
        As of `Precision`. A class that never occurs has no recall.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.training import metrics
    >>> scores, classes = np.eye(3)[[0, 0, 1, 2]], [0, 1, 1, 2]
    >>> metrics.Recall(average=None)(scores, classes)
    array([1. , 0.5, 1. ])
    """

    def _ratio(self, hits: Counts, predicted: Counts, true: Counts) -> tuple[Counts, Counts]:
        return hits, true


class F1(_Averaged):
    r"""The harmonic mean of precision and recall: :math:`2\,\text{hits} / (\text{predicted} + \text{true})`.

    Parameters
    ----------
    average, positive, zero_division, ignore_index, threshold
        As of `Precision`. Only a class that neither occurs nor is predicted has no F1.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.training import metrics
    >>> scores, classes = np.eye(2)[[0, 0, 1, 1]], [0, 1, 1, 1]
    >>> metrics.F1(average="binary")(scores, classes)
    0.8
    >>> metrics.F1(average="micro")(scores, classes)
    0.75
    """

    def _ratio(self, hits: Counts, predicted: Counts, true: Counts) -> tuple[Counts, Counts]:
        return 2 * hits, predicted + true
