"""Samples with targets from a file, to test a network with that has been trained on others."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import as_numbers, checked_inputs, named_arrays
from .dataset import ArrayDataset
from .table import Column, read_table
from .targets import of_cells, one_column

__all__ = ["load_labelled"]


def load_labelled(path: str | os.PathLike[str], classes: Sequence[str] | None, *,
                  columns: Sequence[str] | None = None, target: Column | None = None) -> ArrayDataset:
    """Read all samples of a file, and their targets as a network knows them.

    Parameters
    ----------
    path : path
        A ``.npz`` file with ``x_test`` and ``y_test``, or ``x`` and ``y``; a ``.csv`` or ``.tsv`` file.
    classes : sequence of str or None
        What class 0, 1, … was called in training (`Loaded.classes`); None for regression.
    columns : sequence of str, optional
        Of a table, the names of the inputs; by default all but the target.
    target : str or int, optional
        Of a table, the column of the targets; by default the last.

    Returns
    -------
    ArrayDataset
        Inputs as they are stored, which have yet to be prepared, and int64 classes, or float32 of shape
        (samples, outputs).

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it does not hold such samples, or a class is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.data.labelled import load_labelled
    >>> np.savez("test.npz", x=[[0.5, 1.0], [0.2, 0.4]], y=["red", "blue"])
    >>> load_labelled("test.npz", ("blue", "red")).arrays[1]
    array([1, 0])
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        arrays = named_arrays(path)
        end = next((end for end in ("_test", "") if f"x{end}" in arrays and f"y{end}" in arrays), None)
        if end is None:
            raise ValueError(f"{path}: expected the arrays x_test and y_test, or x and y; it has "
                             f"{', '.join(arrays) or 'none'}")
        x, y = checked_inputs(f"{path}: x{end}", arrays[f"x{end}"]), arrays[f"y{end}"]
        what = f"{path}: y{end}"
    elif suffix in (".csv", ".tsv"):
        table = read_table(path, target=-1 if target is None else target, columns=columns)
        if columns is not None and table.target in columns:
            raise ValueError(f"{path}: the column {table.target!r} is an input of the network, not its target; the "
                             "target has to be the last column, or be named")
        assert table.cells is not None
        x, y = table.inputs, of_cells(table.cells)
        what = f"{path}: the target column {table.target!r}"
    else:
        raise ValueError(f"{path}: expected a file that ends in .npz, .csv or .tsv, got {suffix or 'no ending'!r}")
    y = one_column(what, y)
    if len(x) != len(y):
        raise ValueError(f"{path}: there are {len(x)} inputs and {len(y)} targets; expected as many")
    return ArrayDataset(x, as_numbers(what, _floats(what, y)) if classes is None else _known(what, y, classes))


def _floats(what: str, y: NDArray[Any]) -> NDArray[Any]:
    if y.dtype.kind == "U":
        raise ValueError(f"{what} holds text ({str(y[0])!r}); the network predicts numbers")
    return y


def _known(what: str, y: NDArray[Any], classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each class."""
    if y.dtype.kind == "f" and y.ndim == 1 and (y == np.floor(y)).all():
        y = y.astype(np.int64)
    if y.ndim != 1 or y.dtype.kind == "f":
        raise ValueError(f"{what} holds numbers that are not classes; the network knows {_listed(classes)}")
    numbers = {name: i for i, name in enumerate(classes)}
    names = list(map(str, y.tolist()))
    wrong = [i for i, name in enumerate(names) if name not in numbers]
    if wrong:
        raise ValueError(f"{what} has the class {names[wrong[0]]!r} (sample {wrong[0]}, {len(wrong)} such in all); the "
                         f"network knows {_listed(classes)}")
    return np.array([numbers[name] for name in names], np.int64)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:10])}{', …' if len(names) > 10 else ''}"
