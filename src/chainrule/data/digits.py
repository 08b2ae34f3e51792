"""The handwritten digits that ship with the package."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dataset import ArrayDataset

__all__ = ["digits"]


def digits(*, flatten: bool = True, scale: bool = True) -> tuple[ArrayDataset, ArrayDataset]:
    """Return 1,797 handwritten digits of 8×8 pixels, split once and for all into training and test data.

    Parameters
    ----------
    flatten : bool
        Whether an image is a row of 64 numbers; otherwise it has the shape (8, 8).
    scale : bool
        Whether pixels are float32 from 0 to 1; otherwise they are as published, uint8 from 0 to 16.

    Returns
    -------
    train, test : ArrayDataset
        1,437 and 360 images and their labels, int64 from 0 to 9. The split is stratified: 35 to 37 test images of each
        digit.

    Notes
    -----
    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
    https://doi.org/10.24432/C50P49 (its test file), CC BY 4.0. No network is needed.

    Examples
    --------
    >>> from chainrule import data
    >>> train, test = data.digits()
    >>> train
    ArrayDataset(1437 samples: float32 (64,), int64 ())
    >>> image, label = data.digits(flatten=False, scale=False)[1][0]
    >>> image.shape, int(image.max()), int(label)
    ((8, 8), 16, 1)
    """
    from importlib import resources  # loads slowly

    with resources.files(__package__).joinpath("digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as z:
        images, labels, held_out = z["images"], z["labels"].astype(np.int64), z["test"]
    if flatten:
        images = images.reshape(len(images), -1)
    if scale:
        images = images.astype(np.float32) / np.float32(16)
    tests = np.zeros(len(images), bool)
    tests[held_out] = True
    return _frozen(images[~tests], labels[~tests]), _frozen(images[tests], labels[tests])


def _frozen(images: NDArray[Any], labels: NDArray[Any]) -> ArrayDataset:
    for array in (images, labels):
        array.flags.writeable = False                    # its owner included, so that batches are shared, not copied
    return ArrayDataset(images, labels)
