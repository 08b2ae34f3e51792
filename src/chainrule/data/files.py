"""Data of one's own: arrays in a NumPy file, or a table in a text file."""
from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import as_numbers, checked_inputs, named_arrays, opened
from .dataset import ArrayDataset
from .pixels import Pixels
from .preparation import described
from .split import split
from .standardize import Standardize
from .table import Column, read_table
from .targets import classes_of, numbered, of_cells, one_column, task_of

__all__ = ["Loaded", "load", "load_inputs"]


@dataclass(frozen=True)
class Loaded:
    r"""What `load` found in a file.

    Parameters
    ----------
    train, test : ArrayDataset
        Inputs as they were stored, brought to float32 by the transform of both, and targets: int64 classes from 0, or
        float32 of shape (samples, outputs).
    task : {"classification", "regression"}
    classes : tuple of str or None
        What class 0, 1, … is called in the file; None for regression.
    shape : tuple of int
        Of a sample as it is stored: (28, 28) for an image of 28×28 pixels.
    columns : tuple of str or None
        The names of the inputs of a table.
    target : str or None
        The name of its column of targets.

    Examples
    --------
    >>> from chainrule import data
    >>> with open("points.csv", "w") as file:
    ...     _ = file.write("x,y,colour\n" + "0,1,red\n2,5,blue\n" * 10)
    >>> found = data.load("points.csv")
    >>> found.task, found.classes, found.columns, found.target
    ('classification', ('blue', 'red'), ('x', 'y'), 'colour')
    """

    train: ArrayDataset
    test: ArrayDataset
    task: str
    classes: tuple[str, ...] | None
    shape: tuple[int, ...]
    columns: tuple[str, ...] | None = None
    target: str | None = None

    @property
    def outputs(self) -> int:
        """How many numbers a network has to give: one for each class, or for each number to be predicted."""
        return len(self.classes) if self.classes is not None else int(self.train.arrays[1].shape[1])

    @property
    def preparation(self) -> dict[str, Any]:
        """The transform of the inputs, written down; `chainrule.data.preparation` makes one of it again."""
        assert isinstance(self.train.transform, Pixels | Standardize)
        return described(self.train.transform)


def load(path: str | os.PathLike[str], *, target: Column | None = None, drop: Sequence[Column] = (),
         task: str | None = None, share: float = 0.2, seed: int = 0, standardize: bool = True, flatten: bool = True,
         header: bool | None = None, delimiter: str | None = None) -> Loaded:
    """Read data of one's own from a file, ready for training.

    A ``.npz`` file holds the arrays ``x_train``, ``y_train``, ``x_test`` and ``y_test``, or ``x`` and ``y``, which are
    then split; capitals do not matter. A ``.csv`` or ``.tsv`` file holds a table of numbers, a sample a line, which is
    split. Objects that Python would have to unpickle are never read.

    Inputs are stored as they come, and made float32 when a batch is taken: bytes (uint8) as pixels from 0 to 1, other
    numbers with the mean and deviation of the training part, of each column, or of all numbers of samples with more
    than one axis.

    Parameters
    ----------
    path : path
    target : str or int, optional
        Of a table, the column of the targets, by name or number; by default the last.
    drop : sequence of str or int
        Of a table, columns to leave out.
    task : {"classification", "regression"}, optional
        By default classification if the targets are text, whole numbers or truth values, regression if they are floats.
    share : float
        Of the samples that become the test part where the file has none. Of each class the same, in classification.
    seed : int
        Of that split.
    standardize : bool
        False leaves numbers other than bytes as they are.
    flatten : bool
        Whether a sample becomes a row of numbers; otherwise it keeps its shape.
    header, delimiter : optional
        Of a table: whether the first line holds names, and what separates columns. By default both are seen.

    Returns
    -------
    Loaded

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it does not hold such data. The message names the place, and says what to do.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import data
    >>> images = np.zeros((50, 8, 8), np.uint8)
    >>> np.savez("images.npz", x=images, y=np.arange(50) % 2)
    >>> found = data.load("images.npz")
    >>> found.train
    ArrayDataset(40 samples: uint8 (8, 8), int64 (); inputs through Pixels(maximum=255, shape=(64,)))
    >>> inputs, labels = found.test[:]
    >>> inputs.shape, inputs.dtype
    ((10, 64), dtype('float32'))
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        if target is not None or drop:
            raise ValueError(f"{path}: target and drop are columns of a table, and this is a file of arrays")
        arrays = named_arrays(path)
        names = {name: f"{path}: {name}" for name in arrays}
        (train, test), task, classes = _parts(path, arrays, names, task, share, seed)
        return _prepared(train, test, task, classes, standardize, flatten)
    if suffix not in (".csv", ".tsv"):
        raise ValueError(f"{path}: expected a file that ends in .npz, .csv or .tsv, got {suffix or 'no ending'!r}; "
                         "numpy.savez(path, x=inputs, y=targets) writes the first")
    table = read_table(path, target=-1 if target is None else target, drop=drop, header=header, delimiter=delimiter)
    assert table.cells is not None
    arrays = {"x": table.inputs, "y": of_cells(table.cells)}
    names = {"x": str(path), "y": f"{path}: the target column {table.target!r}"}
    (train, test), task, classes = _parts(path, arrays, names, task, share, seed)
    return _prepared(train, test, task, classes, standardize, flatten, table.columns, table.target)


def load_inputs(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> NDArray[Any]:
    r"""Read inputs alone, of which a trained network is to say something.

    Parameters
    ----------
    path : path
        A ``.npy`` file; a ``.npz`` file with ``x``, or ``x_test``, or one array; a ``.csv`` or ``.tsv`` file.
    columns : sequence of str, optional
        Of a table, the names of the inputs (`Loaded.columns`); others are passed over. By default all are inputs.

    Returns
    -------
    array, shape (samples, ...)
        As they are stored: they have yet to be prepared.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it does not hold inputs.

    Examples
    --------
    >>> from chainrule import data
    >>> with open("new.csv", "w") as file:
    ...     _ = file.write("name,x,y\nAda,0.5,1\n")
    >>> data.load_inputs("new.csv", columns=["x", "y"])
    array([[0.5, 1. ]])
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
            return read_table(path, target=None, columns=columns).inputs
    if suffix == ".npz":
        found = named_arrays(path)
        name = next((name for name in ("x", "x_test") if name in found), next(iter(found)) if len(found) == 1 else None)
        if name is None:
            raise ValueError(f"{path}: expected the array x, or one array only; it has {', '.join(found)}")
        return checked_inputs(f"{path}: {name}", found[name])
    if suffix == ".npy":
        with opened(path) as array:
            return checked_inputs(f"{path}: the array", array)
    raise ValueError(f"{path}: expected a file that ends in .npy, .npz, .csv or .tsv, got {suffix or 'no ending'!r}")


def _parts(path: Path, arrays: dict[str, NDArray[Any]], names: dict[str, str], said: str | None, share: float,
           seed: int) -> tuple[list[ArrayDataset], str, tuple[str, ...] | None]:
    """Return the training and the test part, what they are for, and the classes."""
    ends = [end for end in ("_train", "_test", "") if f"x{end}" in arrays]
    if ends not in (["_train"], ["_train", "_test"], [""]) or any(f"y{end}" not in arrays for end in ends):
        raise ValueError(f"{path}: expected the arrays x_train, y_train, x_test and y_test, or x and y; it has "
                         f"{', '.join(arrays) or 'none'}")
    xs = [checked_inputs(names[f"x{end}"], arrays[f"x{end}"]) for end in ends]
    ys = [one_column(names[f"y{end}"], arrays[f"y{end}"]) for end in ends]
    for end, x, y in zip(ends, xs, ys, strict=True):
        if len(x) != len(y):
            raise ValueError(f"{path}: x{end} has {len(x)} samples and y{end} has {len(y)}; sample i is element i of "
                             "both, so they must be equal")
    if (xs[0].shape[1:], xs[0].dtype) != (xs[-1].shape[1:], xs[-1].dtype):
        raise ValueError(f"{path}: x_train has samples of {xs[0].dtype} {xs[0].shape[1:]} and x_test of {xs[1].dtype} "
                         f"{xs[1].shape[1:]}; expected the same")
    targets = [names[f"y{end}"] for end in ends]
    task = task_of(targets[0], ys[0], said)
    classes = None
    if task == "classification":
        known = classes_of(targets[0], ys[0])
        ys = [numbered(what, y, known) for what, y in zip(targets, ys, strict=True)]
        classes = tuple(map(str, known.tolist()))
    else:
        ys = [as_numbers(what, y) for what, y in zip(targets, ys, strict=True)]
        if ys[0].shape[1:] != ys[-1].shape[1:]:
            raise ValueError(f"{path}: y_train has {ys[0].shape[1]} numbers for each sample and y_test has "
                             f"{ys[1].shape[1]}; expected the same")
    parts = [ArrayDataset(x, y) for x, y in zip(xs, ys, strict=True)]
    if len(parts) == 1:
        try:
            parts = list(split(parts[0], share, seed=seed))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return parts, task, classes


def _prepared(train: ArrayDataset, test: ArrayDataset, task: str, classes: tuple[str, ...] | None, standardize: bool,
              flatten: bool, columns: tuple[str, ...] | None = None, target: str | None = None) -> Loaded:
    """Give both parts the transform that the training part asks for."""
    x = train.arrays[0]
    stored = x.shape[1:]
    shape = (math.prod(stored),) if flatten else stored
    transform: Pixels | Standardize
    if columns is None and x.dtype == np.uint8:
        transform = Pixels(255, shape)
    elif standardize:
        transform = Standardize.of(x, together=x.ndim > 2, shape=shape)
    else:
        transform = Standardize(shape=shape)
    train, test = (ArrayDataset(*part.arrays, transform=transform) for part in (train, test))
    return Loaded(train, test, task, classes, stored, columns, target)
