"""A data set in two: one part to learn from, one that is held out."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..random import Generator
from .dataset import ArrayDataset

__all__ = ["split"]

STREAM = 6                                               #: 0 to 3 are those of `chainrule.random`, 5 makes toys


def split(dataset: ArrayDataset, share: float = 0.2, *, stratify: bool = True,
          seed: int | Generator = 0) -> tuple[ArrayDataset, ArrayDataset]:
    """Split a data set at random into what is left and what is held out.

    Parameters
    ----------
    dataset : ArrayDataset
    share : float
        Of the samples that is held out, between 0 and 1; rounded to whole samples, at least one on either side.
    stratify : bool
        Whether, if the last array holds whole-number labels, each class is divided by the same share. Every class is
        then in both parts, even if more have to be held out for it, or fewer; but a single sample stays in the first.
    seed : int or Generator
        An integer is the seed of a stream of its own, which moves no other.

    Returns
    -------
    rest, held_out : ArrayDataset
        In the order of `dataset`. Its transform, if it has one, stays with both.

    Raises
    ------
    ValueError
        If `share` is not between 0 and 1, or there is one sample only, or one of each class.
    TypeError
        If `dataset` is not an ArrayDataset.

    Notes
    -----
    The held-out samples of the classes are counted by the method of A. Sainte-Laguë, which seats parliaments, with at
    least one for each class: the j-th sample of a class with n comes at the place (j - ½)/n, and the first are taken.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import data
    >>> rest, held_out = data.split(data.gaussians(60, centers=3), 0.25)
    >>> np.bincount(rest.arrays[1]), np.bincount(held_out.arrays[1])
    (array([15, 15, 15]), array([5, 5, 5]))
    """
    if not isinstance(dataset, ArrayDataset):
        raise TypeError(f"split: expected an ArrayDataset, got {type(dataset).__name__}; ArrayDataset(inputs, targets) "
                        "makes one of arrays")
    if not 0 < share < 1:
        raise ValueError(f"split: share lies between 0 and 1, got {share}")
    n = len(dataset)
    if n < 2:
        raise ValueError("split: a data set of one sample cannot be split; expected at least two")
    size = min(max(round(share * n), 1), n - 1)
    order = (seed if isinstance(seed, Generator) else Generator(seed, stream=STREAM)).permutation(n)
    labels = dataset.arrays[-1]
    if stratify and len(dataset.arrays) > 1 and labels.ndim == 1 and labels.dtype.kind in "biu":
        place, least, most = _places(labels[order])
        order, size = order[np.argsort(place, kind="stable")], min(max(size, least), most)
    held_out = np.zeros(n, bool)
    held_out[order[:size]] = True
    return dataset.subset(~held_out), dataset.subset(held_out)


def _places(labels: NDArray[Any]) -> tuple[NDArray[np.float64], int, int]:
    """Return for each sample how soon it is held out (the lowest first), and how many must be at least and at most."""
    _, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(counts) == len(labels):
        raise ValueError(f"split: {len(labels)} samples of {len(counts)} classes, one of each, cannot be divided class "
                         "by class; expected more samples, or stratify=False")
    place = np.empty(len(labels))
    for c, count in enumerate(counts):
        places = (np.arange(count) + 0.5) / count
        places[0], places[-1] = -1, np.inf               # one is held out, one stays; if there is only one, it stays
        place[index == c] = places
    return place, int((counts > 1).sum()), len(labels) - len(counts)
