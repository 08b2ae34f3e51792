"""What a run leaves behind: one row of figures for each epoch."""
from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import table
from .callback import Row
from .figures import columns
from .monitor import Monitor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    >>> history
    History of 2 epochs
           loss
    epoch  train
        1  0.500
        2  0.250
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
                raise KeyError(f"no figure {which!r}; there are {', '.join(self.columns)}")
            return [row.get(which) for row in self.rows]
        return self.rows[which]

    def __repr__(self) -> str:
        return f"{self._title()}\n{table.text(self.rows)}" if self.rows else "History(empty)"

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows."""
        return f"<div>{self._title()}{table.html(self.rows)}</div>" if self.rows else "<div>History(empty)</div>"

    def _title(self) -> str:
        return f"History of {len(self)} epoch{'s' if len(self) != 1 else ''}"

    @property
    def columns(self) -> list[str]:
        """The names of all figures, in the order in which they appear."""
        return columns(self.rows)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return each figure over the epochs, by name: what a data frame is made of.

        Examples
        --------
        >>> from chainrule.training import History
        >>> History([{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25}]).to_dict()
        {'epoch': [1, 2], 'train_loss': [0.5, 0.25]}
        """
        return {name: self[name] for name in self.columns}

    def best(self, name: str = "validation_loss", mode: str = "auto") -> Row:
        """Return the row of the epoch in which a figure was the best, the earliest of equal ones.

        Parameters
        ----------
        name : str
            A figure of the history.
        mode : {"auto", "min", "max"}
            Whether less is better, or more; "auto" takes less for losses and errors, more for the rest.

        Returns
        -------
        dict

        Raises
        ------
        KeyError
            If there is no such figure.
        ValueError
            If it is not known of any epoch, or `mode` is none of these.

        Examples
        --------
        >>> from chainrule.training import History
        >>> history = History([{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.75}])
        >>> history.best("train_loss")
        {'epoch': 1, 'train_loss': 0.5}
        """
        monitor, found, _ = Monitor(name, mode), None, self[name]
        for row in self.rows:
            if row.get(name) is not None and monitor.better({"epoch": 0} | row):
                found = row
        if found is None:
            raise ValueError(f"there is no best epoch: {name} is not known of any of the {len(self)} epochs")
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON Lines: one object for each epoch, written aside and then renamed.

        Numbers are written so that reading gives them back exactly; figures that are not finite as null.
        """
        import json

        from ..files import replacing
        with replacing(path, "w") as file:
            for row in self.rows:
                print(json.dumps({name: _finite(value) for name, value in row.items()}), file=file)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read what `save` wrote.

        Warns
        -----
        UserWarning
            If the last line is torn, as a program that was killed leaves it; that line is passed over.

        Raises
        ------
        ValueError
            If a line is not a JSON object; its number is named.
        """
        import json
        import warnings
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
        rows: list[Row] = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                if number == len(lines):                 # save ends each line, so this one was cut off
                    warnings.warn(f"{path}, line {number}: the last line is torn, so the history ends before it",
                                  stacklevel=2)
                    break
                raise ValueError(f"{path}, line {number} is not JSON ({_reason(error)}): "
                                 f"{line[:40].decode(errors='replace')!r}") from error
            if not isinstance(row, dict):
                raise ValueError(f"{path}, line {number}: expected a JSON object with the figures of an epoch, got "
                                 f"{type(row).__name__}; is it a history?")
            rows.append(row)
        return cls(rows)

    def plot(self, path: str | os.PathLike[str] | None = None, *, figures: Sequence[str] | None = None,
             title: str = "", validation: str = "validation") -> Figure:
        """Draw the loss, and each metric, over the epochs, the best of which is marked.

        The scale of a loss or an error is logarithmic where it spans two decades or more.

        Parameters
        ----------
        path : path, optional
            A file for the picture, written aside and then renamed: SVG or PDF if its name ends so, else PNG.
        figures : sequence of str, optional
            What to draw, ``["loss", "accuracy", "lr"]`` say; by default what was measured.
        title : str
            Above the picture.
        validation : str
            What the validation data are called in it.

        Returns
        -------
        matplotlib.figure.Figure
            A notebook shows it. pyplot does not know it.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no epoch to draw, no such figure, or the name of the file ends in another way.

        Examples
        --------
        >>> from chainrule.training import History
        >>> history = History([{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25}])
        >>> picture = history.plot()
        >>> [axes.get_title(loc="left") for axes in picture.axes]
        ['loss']
        """
        from .picture import draw, write
        suffix = None if path is None else os.path.splitext(path)[1].lower() or ".png"
        if suffix not in (None, ".png", ".svg", ".pdf"):
            raise ValueError(f"plot: a picture is a .png, .svg or .pdf file, got {os.fspath(path or '')!r}")
        picture = draw(self, figures=figures, title=title, validation=validation)
        if path is not None and suffix is not None:
            write(picture, path, suffix.removeprefix("."))
        return picture


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _reason(error: ValueError) -> str:
    return getattr(error, "msg", None) or getattr(error, "reason", None) or str(error)
