"""Making more of few images: changes that leave their meaning as it is."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..random import Generator

__all__ = ["Shift"]


@dataclass(frozen=True)
class Shift:
    """Moves each image of a batch by up to some pixels along either axis; what comes in at the edge is 0.

    For `Trainer(augment=...)`. All (2 · pixels + 1)² moves are equally likely.

    Parameters
    ----------
    pixels : int
        At least 1.
    image : (int, int)
        Height and width.

    Raises
    ------
    ValueError
        If `pixels` is not such a number, or, when called, inputs are no images of this size.

    Notes
    -----
    Source: P. Y. Simard, D. Steinkraus and J. C. Platt, Best Practices for Convolutional Neural Networks Applied to
    Visual Document Analysis, 2003, section 2 (translations of the training images).

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import data
    >>> from chainrule.random import Generator
    >>> images = np.ones((5, 9), np.float32)             # of 3×3 pixels, each a row
    >>> moved = data.Shift(1, image=(3, 3))(images, Generator(0))
    >>> sorted(moved.sum(1).tolist())                    # 9 unmoved, 6 along one axis, 4 along both
    [4.0, 6.0, 6.0, 9.0, 9.0]
    """

    pixels: int = 1
    image: tuple[int, int] = (28, 28)

    def __post_init__(self) -> None:
        if not isinstance(self.pixels, int | np.integer) or self.pixels < 1:
            raise ValueError(f"Shift: pixels is a whole number from 1 on, got {self.pixels!r}")

    def __call__(self, inputs: NDArray[Any], generator: Generator) -> NDArray[Any]:
        """Return moved copies of images.

        Parameters
        ----------
        inputs : array, shape (N, ...)
            Whose last axes are those of an image, or one axis of its pixels row by row.
        generator : Generator
            Of which 2N numbers are taken.
        """
        height, width = self.image
        if inputs.shape[-2:] != (height, width) and inputs.shape[-1] != height * width:
            raise ValueError(f"Shift: expected images of {height}×{width} pixels, (..., {height}, {width}) or "
                             f"(..., {height * width}), got {inputs.shape}; say their size with image=(height, width)")
        n, k = len(inputs), self.pixels
        planes = inputs.reshape(n, -1, height, width)
        room = np.zeros((*planes.shape[:2], height + 2 * k, width + 2 * k), inputs.dtype)
        room[:, :, k:-k, k:-k] = planes
        moves = (generator.uniform(size=(2, n)).array * (2 * k + 1)).astype(np.intp)
        stride = width + 2 * k
        plane = np.arange(height)[:, None] * stride + np.arange(width)
        first = np.arange(n * planes.shape[1]).reshape(n, -1) * ((height + 2 * k) * stride)
        first = first + (moves[0] * stride + moves[1])[:, None]
        moved: NDArray[Any] = room.reshape(-1).take(first[:, :, None, None] + plane)
        return moved.reshape(inputs.shape)
