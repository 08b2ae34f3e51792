"""Inputs brought to mean 0 and deviation 1, when they are used and not before."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Standardize"]

BLOCK = 4096                                             # samples that are floats at a time


class Standardize:
    r"""Subtracts a mean and divides by a deviation, giving float32; a transform of `ArrayDataset`.

    .. math:: z = (x - \mu) / \sigma

    Parameters
    ----------
    mean, std : array_like
        Numbers, or arrays of the shape of a sample. They are those of the training data, whatever is transformed.
    shape : tuple of int, optional
        Of each sample in the result; by default it is kept.

    Raises
    ------
    ValueError
        If a number is not finite or a deviation not positive; when called, if samples have another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.data import Standardize
    >>> heights = np.array([[160.0], [180.0]])
    >>> Standardize.of(heights)(heights)
    array([[-1.],
           [ 1.]], dtype=float32)
    """

    def __init__(self, mean: ArrayLike = 0.0, std: ArrayLike = 1.0, shape: tuple[int, ...] | None = None) -> None:
        self.mean, self.std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
        self.shape = shape
        if self.mean.shape != self.std.shape:
            raise ValueError(f"Standardize: mean and std have the shapes {self.mean.shape} and {self.std.shape}; "
                             "expected the same")
        if not (np.isfinite(self.mean) & np.isfinite(self.std) & (self.std > 0)).all():
            raise ValueError("Standardize: expected finite means, and finite deviations above 0")

    @classmethod
    def of(cls, x: NDArray[Any], *, together: bool = False, shape: tuple[int, ...] | None = None) -> Standardize:
        """Return the one that brings these inputs to mean 0 and deviation 1.

        Parameters
        ----------
        x : array, shape (samples, ...)
        together : bool
            Whether all numbers of a sample have one mean and one deviation, as the pixels of an image; otherwise each
            place has its own. What is always the same gets the deviation 1.
        shape : tuple of int, optional
            Of each sample in the result.

        Returns
        -------
        Standardize
        """
        axes = None if together else 0
        parts = [x[i:i + BLOCK] for i in range(0, len(x), BLOCK)]
        n = x.size if together else len(x)
        mean = sum(part.sum(axes, dtype=np.float64) for part in parts) / n
        std = np.sqrt(sum(((part - mean) ** 2).sum(axes) for part in parts) / n)
        constant = np.all([(part == (x.flat[0] if together else x[0])).all(axes) for part in parts], axis=0)
        return cls(mean, np.where(constant | (std == 0), 1.0, std), shape)

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Return samples of shape (samples, ...) as new float32 numbers that nobody can write, the owner included."""
        if self.mean.ndim and x.shape[1:] != self.mean.shape:
            if x.ndim < 1 or x[:1].size != self.mean.size * len(x[:1]):
                raise ValueError(f"Standardize: met samples of shape {x.shape[1:]}; expected {self.mean.shape}, as in "
                                 "the training data")
            x = x.reshape(len(x), *self.mean.shape)
        made: NDArray[np.float32] = np.asarray((x - self.mean) / self.std, np.float32)
        made.flags.writeable = False
        if self.shape is None:
            return made
        try:
            return made.reshape(len(x), *self.shape)
        except ValueError:
            raise ValueError(f"Standardize: samples of shape {x.shape[1:]} do not fit the shape {self.shape}; they "
                             "need as many numbers") from None

    def __repr__(self) -> str:
        each = f"of {self.mean.size} numbers each" if self.mean.ndim else f"mean={self.mean:.4g}, std={self.std:.4g}"
        return f"Standardize({each}{f', shape={self.shape}' if self.shape is not None else ''})"
