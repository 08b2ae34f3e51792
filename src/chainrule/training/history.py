"""What a run leaves behind: one row of figures for each epoch."""
from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

from .callback import Row

__all__ = ["History"]


class History:
    """The figures of a run, epoch by epoch.

    Attributes
    ----------
    rows : list of dict
        Each with ``"epoch"`` (from 1), ``"lr"`` (of the last step), ``"train_loss"``, ``"validation_loss"`` and the
        metrics, ``"train_accuracy"`` for instance, and ``"seconds"`` that the epoch took.

    Examples
    --------
    >>> from chainrule.training import History
    >>> history = History([{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25}])
    >>> history["train_loss"]
    [0.5, 0.25]
    >>> history[-1]
    {'epoch': 2, 'train_loss': 0.25}
    """

    def __init__(self, rows: list[Row] | None = None) -> None:
        self.rows: list[Row] = rows if rows is not None else []

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, which: int | str) -> Any:
        """Return a row for a number, and for a name that figure of every epoch (None where there is none)."""
        if isinstance(which, str):
            if self.rows and not any(which in row for row in self.rows):
                raise KeyError(f"no figure {which!r}; there are {', '.join(self.rows[-1])}")
            return [row.get(which) for row in self.rows]
        return self.rows[which]

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
                         for name, value in self.rows[-1].items()) if self.rows else "empty"
        return f"History({len(self)} epochs, the last: {last})" if self.rows else "History(empty)"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON Lines: one object for each epoch, written aside and then renamed.

        Figures that are not finite are written as null.
        """
        import json

        from ..files import replacing
        with replacing(path, "w") as file:
            for row in self.rows:
                print(json.dumps({name: _finite(value) for name, value in row.items()}), file=file)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read what `save` wrote."""
        import json
        with open(path, encoding="utf-8") as file:
            return cls([json.loads(line) for line in file])

    def plot(self, path: str | os.PathLike[str], *, title: str = "", validation: str = "validation") -> None:
        """Draw the loss, and each metric, over the epochs: a PNG picture, written aside and then renamed.

        Parameters
        ----------
        path : path
        title : str
            Above the picture.
        validation : str
            What the validation data are called in it.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no epoch to draw.
        """
        from .picture import draw
        draw(self, path, title=title, validation=validation)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
