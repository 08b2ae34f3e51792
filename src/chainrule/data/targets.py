"""Targets as they are met in files: classes to be numbered, or numbers to be predicted."""
from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TASKS", "classes_of", "numbered", "of_cells", "one_column", "task_of"]

TASKS = ("classification", "regression")


def of_cells(cells: list[str]) -> NDArray[Any]:
    """Return what is written in a column as whole numbers, else as numbers, else as text."""
    if all(re.fullmatch(r"[+-]?\d{1,18}", cell) for cell in cells):
        return np.array(cells, np.int64)
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError:
        return np.array(cells, str)


def one_column(what: str, y: NDArray[Any]) -> NDArray[Any]:
    """Return targets of shape (samples,), or (samples, outputs) of floats, after a look at what they are."""
    if y.dtype.kind not in "biufUS":
        raise ValueError(f"{what} has dtype {y.dtype}; expected whole numbers or text for classes, or floats")
    if not y.ndim:
        raise ValueError(f"{what} is a single value; expected one for each sample")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        place = np.argwhere(~np.isfinite(y))[0]
        raise ValueError(f"{what} is not finite: {y[tuple(place)]} at sample {place[0]}. Leave such samples out")
    if y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0]
    if y.ndim > 1 and y.dtype.kind != "f":
        one_hot = y.ndim == 2 and y.dtype.kind in "biu" and (np.sort(y, axis=1) == _unit(y.shape[1])).all()
        remedy = "these are one-hot: give y.argmax(1)" if one_hot else "numbers to be predicted have to be floats"
        raise ValueError(f"{what} has the shape {y.shape}; expected one class for each sample; {remedy}")
    if y.ndim > 2:
        raise ValueError(f"{what} has the shape {y.shape}; expected (samples,) or (samples, outputs)")
    return y.astype(str) if y.dtype.kind == "S" else y


def task_of(what: str, y: NDArray[Any], said: str | None) -> str:
    """Return what the targets are for: what was said if that is possible, else what they look like.

    Raises
    ------
    ValueError
        If it is neither clear nor said, or cannot be what was said.
    """
    if said not in (None, *TASKS):
        raise ValueError(f"a task is 'classification' or 'regression', got {said!r}")
    kind = y.dtype.kind
    if said == "regression" and kind == "U":
        raise ValueError(f"{what} holds text ({str(y[0])!r}), which cannot be predicted as a number; expected numbers "
                         "for regression")
    whole = kind == "f" and y.ndim == 1 and bool((y == np.floor(y)).all())
    if said == "classification" and kind == "f" and not whole:
        met = f"the shape {y.shape}" if y.ndim > 1 else f"numbers that are not whole ({y[y != np.floor(y)][0]})"
        raise ValueError(f"{what} has {met}; expected one class for each sample, a whole number or text")
    different = len(np.unique(y)) if y.ndim == 1 else 0
    if said is None and whole and 2 * different <= len(y):
        some = ", ".join(map(str, np.unique(y)[:3]))
        raise ValueError(f"{what} holds floats that are all whole numbers, such as {some}. Say what they are, "
                         "task='classification' or 'regression', or write classes as 0, 1, 2")
    task = said or ("regression" if kind == "f" else "classification")
    if said is None and task == "classification" and 2 * different > len(y):
        remedy = "numbers to be predicted are task='regression'"
        if kind == "U":
            remedy = f"perhaps others are meant, or {next(filter(_is_text, y.tolist()), y[0])!r} should be a number"
        raise ValueError(f"{what} has {different} different values among {len(y)} samples, too many for classes; "
                         f"{remedy}")
    return task


def classes_of(what: str, y: NDArray[Any]) -> NDArray[Any]:
    """Return the classes there are, in order: whole numbers, truth values or text.

    Raises
    ------
    ValueError
        If there is only one.
    """
    found = np.unique(y.astype(np.int64) if y.dtype.kind == "f" else y)
    if len(found) < 2:
        raise ValueError(f"{what} has one class only, {str(found[0])!r}; there is nothing to tell apart. Expected "
                         "at least two")
    return found


def numbered(what: str, y: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    """Return the number of each target among the classes, from 0.

    Raises
    ------
    ValueError
        If a target is none of them.
    """
    if (y.dtype.kind == "U") != (classes.dtype.kind == "U"):
        raise ValueError(f"{what} holds {y.dtype}, the training data {classes.dtype}; expected the same kind")
    place = np.minimum(np.searchsorted(classes, y), len(classes) - 1).astype(np.int64)
    wrong = np.flatnonzero(classes[place] != y)
    if len(wrong):
        raise ValueError(f"{what} has the class {str(y[wrong[0]])!r} (sample {wrong[0]}, {len(wrong)} such in all), "
                         f"which the training data have not; they have "
                         f"{', '.join(map(str, classes[:10]))}{', …' if len(classes) > 10 else ''}")
    return place


def _is_text(cell: str) -> bool:
    return not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", cell)


def _unit(n: int) -> list[int]:
    return [0] * (n - 1) + [1]
