"""Two spirals, the data on which these networks are usually shown."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["load_data"]


def load_data() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    r"""Return 400 points on two spirals around the origin, 200 of each class.

    .. math:: (r \sin t,\ r \cos t), \quad t = \text{linspace}(3.12 j,\ 3.12 (j + 1)) + 0.2\,\mathcal N(0, 1)

    with the radius r from 0 to 1, for the classes j = 0 and 1.

    Returns
    -------
    X : array, shape (2, 400)
    Y : array of int64, shape (1, 400)
        200 zeros, then 200 ones.

    Notes
    -----
    The noise is what ``np.random.randn`` gives after ``np.random.seed(1)``; the global stream itself is left where it
    is. Both spirals begin at the origin, so that one point of each class lies there, and no classifier tells more than
    399 of the 400 apart.

    Examples
    --------
    >>> from chainrule.by_hand.l_layer import load_data
    >>> X, Y = load_data()
    >>> X.shape, Y.shape, int(Y.sum())
    ((2, 400), (1, 400), 200)
    """
    draws, count = np.random.RandomState(1), 200
    radius = np.linspace(0.0, 1.0, count)
    arms: list[Any] = []
    for j in range(2):
        angle = np.linspace(3.12 * j, 3.12 * (j + 1), count) + 0.2 * draws.randn(count)
        arms.append([radius * np.sin(angle), radius * np.cos(angle)])
    return np.concatenate(arms, axis=1), np.repeat(np.arange(2, dtype=np.int64), count)[None]
