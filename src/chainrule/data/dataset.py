"""What a data set is, and the one that is made of arrays."""
from __future__ import annotations

from collections.abc import Callable
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
    transform : callable, optional
        What the inputs (the first array) go through when samples are taken out: it is given an array of shape
        (samples, ...) and returns an array with as many. So large data stay as small as they were stored, 1 byte a
        pixel, say, and only a batch at a time is made of floats.

    Attributes
    ----------
    arrays : tuple of array
        As they are stored: `transform` has not touched them.
    transform : callable or None

    Raises
    ------
    ValueError
        If there is no array, no sample, or a length that differs from the others; later, if `transform` returns more or
        fewer samples than it was given.
    TypeError
        If an array does not hold numbers; later, if `transform` does not return an array.

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
    >>> halved = ArrayDataset([[2, 4], [6, 8]], [0, 1], transform=lambda x: x / 2)
    >>> halved[0]
    (array([1., 2.]), np.int64(0))
    """

    def __init__(self, *arrays: ArrayLike, transform: Callable[[NDArray[Any]], NDArray[Any]] | None = None) -> None:
        if not arrays:
            raise ValueError("ArrayDataset: expected at least one array, got none")
        if transform is not None and not callable(transform):
            raise TypeError(f"ArrayDataset: transform is a function of an array of samples, got "
                            f"{type(transform).__name__}; a further array goes before it, without a name")
        self.arrays = tuple(_view(array, i) for i, array in enumerate(arrays))
        lengths = [len(array) for array in self.arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"ArrayDataset: the arrays have the lengths {', '.join(map(str, lengths))}; sample i is "
                             "element i of each, so they must be equal")
        if not lengths[0]:
            raise ValueError("ArrayDataset: the arrays are empty; expected at least one sample")
        self.transform = transform

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        """Return what `index` picks from each array: a sample for an integer, arrays for anything else."""
        picked = tuple(array[index] for array in self.arrays)
        if self.transform is None:
            return picked
        inputs, *rest = picked
        if inputs.ndim == self.arrays[0].ndim:
            return self._transformed(inputs), *rest
        return self._transformed(np.asarray(inputs)[None])[0], *rest         # one sample

    def batch(self, indices: NDArray[np.intp] | slice) -> tuple[NDArray[Any], ...]:
        """Return the samples at these indices, as one read-only array for each array of the data set."""
        if isinstance(indices, slice):
            return self[indices]
        picked = tuple(array.take(indices, axis=0) for array in self.arrays)
        for array in picked:
            array.flags.writeable = False
        return picked if self.transform is None else (self._transformed(picked[0]), *picked[1:])

    def subset(self, indices: Any) -> ArrayDataset:
        """Return the samples that a slice, a mask or indices pick, as a data set with the same transform.

        Examples
        --------
        >>> from chainrule import data
        >>> train, _ = data.digits()
        >>> train.subset(slice(100))
        ArrayDataset(100 samples: float32 (64,), int64 ())
        """
        return ArrayDataset(*(array[indices] for array in self.arrays), transform=self.transform)

    def __repr__(self) -> str:
        kinds = ", ".join(f"{array.dtype} {array.shape[1:]}" for array in self.arrays)
        name = getattr(self.transform, "__qualname__", None) or repr(self.transform)
        return f"ArrayDataset({len(self)} samples: {kinds}{f'; inputs through {name}' if self.transform else ''})"

    def _transformed(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Return what the transform makes of some samples, as a read-only array."""
        assert self.transform is not None
        made: Any = self.transform(inputs)
        if not isinstance(made, np.ndarray):
            raise TypeError(f"ArrayDataset: the transform returned {type(made).__name__}; expected an array of "
                            f"{len(inputs)} samples")
        if not made.ndim or len(made) != len(inputs):
            raise ValueError(f"ArrayDataset: the transform returned the shape {made.shape} for {len(inputs)} samples; "
                             "the first axis must stay what it was")
        made.flags.writeable = False
        return made


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
