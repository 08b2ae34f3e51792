"""What there is to learn: data, and what is known of them."""
from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import data
from ..data import ArrayDataset
from ..data.catalog import CATALOG, Source
from ..data.preparation import described
from .failure import Failure
from .fetching import data_failures, load_data

__all__ = ["Problem", "load"]

FORMATS = (".npz", ".csv", ".tsv")


@dataclass(frozen=True)
class Problem:
    """Data to learn from, data to test on, and what inputs and targets are."""

    name: str                            #: "mnist", or the stem of a file's name
    title: str                           #: what it is called in sentences
    train: ArrayDataset
    test: ArrayDataset
    classes: tuple[str, ...] | None      #: their names; None for regression
    outputs: int                         #: how many numbers a network gives
    image: tuple[int, int] | None        #: the height and width of an image, if inputs are images
    preparation: dict[str, Any]          #: how inputs become what the network takes, for the run's file of settings
    noun: str = "samples"                #: what a sample is called
    columns: tuple[str, ...] | None = None       #: the names of the inputs of a table

    @property
    def inputs(self) -> int:
        """How many numbers a network takes."""
        return int(self.train[:1][0].shape[1])


def load(name: str, folder: Path | None, target: str | None, *, quiet: bool = False) -> Problem:
    """Load a data set by name, or a file; a download is shown unless `quiet`.

    Raises
    ------
    Failure
        If there is none of the name, or it cannot be had.
    """
    if name in CATALOG:
        if target is not None:
            raise Failure(f"--target names a column of a table, and {name} is not one")
        return _images(CATALOG[name], folder, quiet)
    if not Path(name).exists() and Path(name).suffix not in FORMATS:
        near = difflib.get_close_matches(name, CATALOG, n=1)
        raise Failure(f"there is no data set {name!r}{f'; did you mean {near[0]!r}?' if near else '.'} There are "
                      f"{', '.join(CATALOG)}, and files of your own that end in {', '.join(FORMATS)}")
    return _own(Path(name), target)


def _images(source: Source, folder: Path | None, quiet: bool) -> Problem:
    train, test = load_data(source.name, folder, quiet=quiet)
    preparation = described(data.Pixels(source.maximum, (math.prod(source.shape),)))
    return Problem(source.name, source.title, train, test, source.classes, len(source.classes), source.shape,
                   preparation, "images" if source.files else "digits")


def _own(path: Path, target: str | None) -> Problem:
    with data_failures():
        found = data.load(path, target=target)
    image = (found.shape[0], found.shape[1]) if len(found.shape) == 2 else None
    return Problem(path.stem, path.name, found.train, found.test, found.classes, found.outputs, image,
                   found.preparation, columns=found.columns)
