"""Batches of a data set, in order or shuffled."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..random import Generator
from ..random import shuffle as shared
from .dataset import Dataset

__all__ = ["DataLoader"]


class DataLoader:
    """Cuts a data set into batches; each pass over it is an epoch.

    Parameters
    ----------
    dataset : Dataset
        An `ArrayDataset` is gathered once per batch and array; of other data sets the samples are stacked.
    batch_size : int
        Samples per batch; the last one may be smaller.
    shuffle : bool
        Whether each epoch has a new order.
    drop_last : bool
        Whether a last batch that is smaller is left out.
    generator : Generator or int, optional
        What the orders are drawn from; an integer is the seed of a stream of this loader's own. By default the stream
        `chainrule.random.shuffle`, which `chainrule.random.seed` sets.
    collate : callable, optional
        Makes a batch of a list of samples, each what ``dataset[i]`` returns: for samples that do not stack.

    Yields
    ------
    tuple of array
        Read-only, so that tensors share their memory. Without `shuffle` they are views of the data set's arrays, if it
        has no transform. What `collate` returns is passed on as it is.

    Raises
    ------
    ValueError
        If `batch_size` is less than 1, or no batch would be left.
    TypeError
        If `dataset` is not a data set, or `collate` not a function.

    Examples
    --------
    >>> from chainrule import data
    >>> train, _ = data.digits()
    >>> loader = data.DataLoader(train, batch_size=64, shuffle=True, generator=0)
    >>> len(loader)
    23
    >>> x, y = next(iter(loader))
    >>> x.shape, y.shape
    ((64, 64), (64,))

    Sequences of unequal length, padded with zeros to the longest of their batch:

    >>> import numpy as np
    >>> sentences = [([3, 1, 4], 0), ([1], 1), ([5, 9], 0)]
    >>> def padded(samples):
    ...     words = np.zeros((len(samples), max(len(sentence) for sentence, _ in samples)), int)
    ...     for row, (sentence, _) in zip(words, samples):
    ...         row[:len(sentence)] = sentence
    ...     return words, np.array([label for _, label in samples])
    >>> for words, labels in data.DataLoader(sentences, batch_size=2, collate=padded):
    ...     print(words.tolist(), labels)
    [[3, 1, 4], [1, 0, 0]] [0 1]
    [[5, 9]] [0]
    """

    def __init__(self, dataset: Dataset, batch_size: int = 1, shuffle: bool = False, *, drop_last: bool = False,
                 generator: Generator | int | None = None,
                 collate: Callable[[list[Any]], Any] | None = None) -> None:
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise ValueError(f"DataLoader: batch_size is a whole number of samples from 1 on, got {batch_size!r}")
        if not isinstance(dataset, Dataset):
            raise TypeError(f"DataLoader: expected a data set, which has a length and an index, got "
                            f"{type(dataset).__name__}; arrays become one with ArrayDataset(inputs, targets)")
        if not len(dataset):
            raise ValueError("DataLoader: the data set is empty")
        if drop_last and len(dataset) < batch_size:
            raise ValueError(f"DataLoader: drop_last leaves no batch of {batch_size} from {len(dataset)} samples; "
                             "use a smaller batch_size")
        if collate is not None and not callable(collate):
            raise TypeError(f"DataLoader: collate is a function that makes a batch of a list of samples, got "
                            f"{type(collate).__name__}")
        self.dataset, self.batch_size = dataset, int(batch_size)
        self.shuffle, self.drop_last, self.collate = shuffle, drop_last, collate
        if generator is None:
            generator = shared
        self.generator = generator if isinstance(generator, Generator) else Generator(generator, stream=1)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], ...]]:
        return self.batches(self.order())

    def order(self) -> NDArray[np.intp] | None:
        """Draw the order of the samples in the next epoch; None, and nothing drawn, without `shuffle`."""
        return self.generator.permutation(len(self.dataset)) if self.shuffle else None

    def batches(self, order: NDArray[np.intp] | None = None, start: int = 0) -> Iterator[tuple[NDArray[Any], ...]]:
        """Return the batches of an epoch whose order is known, from the one of number `start` on.

        This is how a run goes on in the middle of an epoch: where the generator stood when `order` was called, and how
        many batches are done, say it all.

        Parameters
        ----------
        order : array of int, shape (samples,), optional
            What `order` returned; without it the samples come as they lie.
        start : int
            How many batches to leave out, at most all.

        Returns
        -------
        iterator of tuple of array

        Raises
        ------
        ValueError
            If `order` has another length than the data set, or `start` is not among the batches.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule import data
        >>> loader = data.DataLoader(data.ArrayDataset(np.arange(100)), 10, shuffle=True, generator=7)
        >>> position = loader.generator.position         # what a checkpoint holds, beside the number 4
        >>> rest = [x.tolist() for x, in loader][4:]
        >>> loader.generator.position = position
        >>> [x.tolist() for x, in loader.batches(loader.order(), start=4)] == rest
        True
        """
        if order is not None and len(order) != len(self.dataset):
            raise ValueError(f"DataLoader: an order of {len(order)} samples does not fit a data set of "
                             f"{len(self.dataset)}; it was drawn for other data")
        if not 0 <= start <= len(self):
            raise ValueError(f"DataLoader: an epoch has {len(self)} batches, so it cannot go on after {start}; the "
                             "data or batch_size were others")
        return (self._batch(order, i) for i in range(start, len(self)))

    def _batch(self, order: NDArray[np.intp] | None, number: int) -> tuple[NDArray[Any], ...]:
        part = slice(number * self.batch_size, min((number + 1) * self.batch_size, len(self.dataset)))
        indices = part if order is None else order[part]
        if self.collate is None:
            return _gather(self.dataset, indices)
        return self.collate([self.dataset[i] for i in _places(indices)])      # type: ignore[no-any-return]


def _places(indices: NDArray[np.intp] | slice) -> Iterable[int]:
    return range(indices.start, indices.stop) if isinstance(indices, slice) else indices.tolist()


def _gather(dataset: Any, indices: NDArray[np.intp] | slice) -> tuple[NDArray[Any], ...]:
    """Make a batch: in one go where the data set knows how (`batch`), else by stacking its samples."""
    if hasattr(dataset, "batch"):
        return dataset.batch(indices)                    # type: ignore[no-any-return]
    samples = [sample if isinstance(sample, tuple) else (sample,) for sample in (dataset[i] for i in _places(indices))]
    try:
        batch = tuple(np.stack([np.asarray(part) for part in column]) for column in zip(*samples, strict=True))
    except ValueError as error:
        raise ValueError(f"DataLoader: the samples of {type(dataset).__name__} do not stack into a batch: {error}; "
                         "each sample needs the same parts, of the same shapes; collate= makes batches of "
                         "others") from error
    for array in batch:
        array.flags.writeable = False
    return batch
