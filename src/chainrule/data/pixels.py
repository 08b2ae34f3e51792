"""Images of whole numbers, scaled to floats when they are used and not before."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pixels"]


class Pixels:
    """Scales pixels to float32 from 0 to 1, and shapes each image; a transform of `ArrayDataset`.

    x = pixel / maximum, rounded once.

    Parameters
    ----------
    maximum : int
        The value of a white pixel: 255 for images of one byte a pixel.
    shape : tuple of int, optional
        Of each image in the result; by default it is kept.

    Raises
    ------
    ValueError
        If `maximum` is not positive; when called, if the images have another number of pixels than `shape`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.data import Pixels
    >>> scale = Pixels(255, shape=(4,))
    >>> scale(np.array([[[0, 51], [102, 255]]], np.uint8))
    array([[0. , 0.2, 0.4, 1. ]], dtype=float32)
    """

    def __init__(self, maximum: int = 255, shape: tuple[int, ...] | None = None) -> None:
        if not maximum > 0:
            raise ValueError(f"Pixels: maximum is the value of a white pixel, from 1 on; got {maximum!r}")
        self.maximum, self.shape = maximum, shape

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Return images of shape (samples, ...) as new float32 numbers that nobody can write, the owner included."""
        scaled: NDArray[np.float32] = np.divide(images, np.float32(self.maximum), dtype=np.float32, casting="same_kind")
        scaled.flags.writeable = False
        if self.shape is None:
            return scaled
        try:
            return scaled.reshape(len(images), *self.shape)
        except ValueError:
            raise ValueError(f"Pixels: images of the shape {images.shape[1:]} do not fit the shape {self.shape}; they "
                             "need as many pixels") from None

    def __repr__(self) -> str:
        return f"Pixels(maximum={self.maximum}{f', shape={self.shape}' if self.shape is not None else ''})"
