"""What a data set is, and the one that is made of arrays."""
from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ArrayDataset", "Dataset"]


@runtime_checkable
class Dataset(Protocol):
    """Anything with a length, and one sample for each index: a tuple such as ``(image, label)``.

    Examples
    --------
    >>> from chainrule.data import Dataset
    >>> class Squares:
    ...     def __len__(self):
    ...         return 100
    ...     def __getitem__(self, index):
    ...         return float(index), float(index) ** 2
    >>> isinstance(Squares(), Dataset)
    True
    """

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return one sample."""
        ...


class ArrayDataset:
    """Arrays of equal length, side by side: inputs and targets, as a rule.

    Parameters
    ----------
    *arrays : array_like, shape (samples, ...)
        Shared, not copied, and looked at through read-only views. Their dtypes are kept.

    Attributes
    ----------
    arrays : tuple of array

    Raises
    ------
    ValueError
        If there is no array, no sample, or a length that differs from the others.
    TypeError
        If an array does not hold numbers.

    Examples
    --------
    >>> from chainrule.data import ArrayDataset
    >>> points = ArrayDataset([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0, 1, 0])
    >>> points
    ArrayDataset(3 samples: float64 (2,), int64 ())
    >>> points[1]
    (array([0., 1.]), np.int64(1))
    >>> x, y = points[1:]
    >>> y
    array([1, 0])
    """

    def __init__(self, *arrays: ArrayLike) -> None:
        if not arrays:
            raise ValueError("ArrayDataset: expected at least one array, got none")
        self.arrays = tuple(_view(array, i) for i, array in enumerate(arrays))
        lengths = [len(array) for array in self.arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"ArrayDataset: the arrays have the lengths {', '.join(map(str, lengths))}; sample i is "
                             "element i of each, so they must be equal")
        if not lengths[0]:
            raise ValueError("ArrayDataset: the arrays are empty; expected at least one sample")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        """Return what `index` picks from each array: a sample for an integer, arrays for anything else."""
        return tuple(array[index] for array in self.arrays)

    def batch(self, indices: NDArray[np.intp] | slice) -> tuple[NDArray[Any], ...]:
        """Return the samples at these indices, as one read-only array for each array of the data set."""
        if isinstance(indices, slice):
            return self[indices]
        picked = tuple(array.take(indices, axis=0) for array in self.arrays)
        for array in picked:
            array.flags.writeable = False
        return picked

    def subset(self, indices: Any) -> ArrayDataset:
        """Return the samples that a slice, a mask or indices pick, as a data set.

        Examples
        --------
        >>> from chainrule import data
        >>> train, _ = data.digits()
        >>> train.subset(slice(100))
        ArrayDataset(100 samples: float32 (64,), int64 ())
        """
        return ArrayDataset(*self[indices])

    def __repr__(self) -> str:
        kinds = ", ".join(f"{array.dtype} {array.shape[1:]}" for array in self.arrays)
        return f"ArrayDataset({len(self)} samples: {kinds})"


def _view(value: ArrayLike, position: int) -> NDArray[Any]:
    """Return a read-only view of one of the arrays."""
    try:
        view = np.asarray(value).view(np.ndarray)
    except ValueError as error:
        raise ValueError(f"ArrayDataset: argument {position} is not an array: {error}") from error
    if view.dtype.kind not in "biufc":
        raise TypeError(f"ArrayDataset: argument {position} has dtype {view.dtype}; expected numbers; give each word "
                        "or category a number first")
    if not view.ndim:
        raise ValueError(f"ArrayDataset: argument {position} is a single number; expected an array with one element or "
                         "row for each sample")
    view = view.view()
    view.flags.writeable = False
    return view
