"""Files of samples for a network that is trained: arrays, tables, images."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import data
from ..data import ArrayDataset, Pixels
from .failure import Failure
from .images import read_image
from .saved import Saved

__all__ = ["ARRAYS", "Samples", "prepared", "read", "reading"]

ARRAYS = (".npy", ".npz")
TABLES = (".csv", ".tsv")


@dataclass(frozen=True)
class Samples:
    """What one file holds."""

    file: Path
    inputs: ArrayDataset                 #: prepared when they are taken out, of shape (samples, inputs) then
    names: list[str]                     #: of the samples: the file's, with their numbers if it holds several


def read(path: Path, run: Saved, invert: bool | None) -> Samples:
    """Read samples from a file, for the network of a run.

    Parameters
    ----------
    path : Path
        ``.npy`` and ``.npz`` hold arrays, ``.csv`` and ``.tsv`` tables; anything else is an image.
    run : Saved
    invert : bool or None
        Of images: see `read_image`; None leaves it to the image where the run's images are light on dark.

    Raises
    ------
    Failure
        If it cannot be read, or does not hold what the network takes.
    """
    with reading(path):
        if path.suffix.lower() in (*ARRAYS, *TABLES):
            stored = data.load_inputs(path, run.model.columns if path.suffix.lower() in TABLES else None)
            inputs, several = prepared(stored, run, str(path))
        else:
            inputs, several = _image(path, run, invert), False
    return Samples(path, inputs, [f"{path}[{i}]" for i in range(len(inputs))] if several else [str(path)])


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Let what is wrong with a file end the command."""
    try:
        if path.is_dir():
            raise Failure(f"{path} is a folder; give the files in it: {path}/*")
        if path.is_file() and not path.stat().st_size:
            raise Failure(f"{path} is empty, of 0 bytes")
        yield
    except FileNotFoundError as error:
        raise Failure(f"there is no file {path}") from error
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise Failure(str(error)) from error


def prepared(stored: NDArray[Any], run: Saved, what: str) -> tuple[ArrayDataset, bool]:
    """Return samples as the network takes them, and whether there is an axis of samples.

    Parameters
    ----------
    stored : array
        One sample or several. Of images in bytes, or of whole numbers, black is 0 and white what it was in training;
        floats from 0 to 1 are taken as they are.
    run : Saved
    what : str
        What errors begin with.

    Raises
    ------
    Failure
        If their shape is another one, or they are out of range.
    """
    n, image = run.model.inputs, run.model.image
    shapes = [(n,)] if image is None else [(n,), image]
    several = _squeezed(stored.shape[1:]) in map(_squeezed, shapes) if image or n > 1 else stored.shape[1:] == (1,)
    if image is None and stored.ndim > 2 and stored[0].size == n:
        several = True                                   # samples with axes of their own
    if not several and _squeezed(stored.shape) not in map(_squeezed, shapes):
        forms = [str(shape).replace(" ", "") for shape in shapes]
        forms += [form.replace("(", "(N,").replace(",)", ")") for form in forms]
        raise Failure(f"{what}: met the shape {stored.shape}; the network in {run.folder} takes {run.model.samples}: "
                      f"an array of shape {', '.join(forms[:-1])} or {forms[-1]}"
                      + ("" if image is None else ", or image files of any size"))
    samples = stored.reshape(-1, n)
    transform = data.preparation(run.model.preparation)
    if isinstance(transform, Pixels):
        transform = _scaled(samples, transform.maximum, what)
    return ArrayDataset(samples, transform=transform), several


def _scaled(samples: NDArray[Any], maximum: int, what: str) -> Pixels:
    """Return what brings pixels to 0 to 1."""
    low, high = samples.min(), samples.max()
    floats = samples.dtype.kind in "fb"
    if floats and low >= 0 and high <= 1:
        return Pixels(1)
    if low >= 0 and high <= maximum and (not floats or (samples == np.floor(samples)).all()):
        return Pixels(maximum)
    white = next((value for value in (255, 65535) if 1 < high <= value), None) if low >= 0 else None
    remedy = f"; x / {white} would do, if {white} is white" if white else ""
    raise Failure(f"{what}: met pixels from {low:g} to {high:g}; expected floats from 0 to 1, or whole numbers from 0 "
                  f"to {maximum}, as in training{remedy}")


def _image(path: Path, run: Saved, invert: bool | None) -> ArrayDataset:
    shape = run.model.image
    if shape is None:
        columns = f" ({', '.join(run.model.columns[:8])}{', …' if len(run.model.columns) > 8 else ''})" \
            if run.model.columns else ""
        with open(path, "rb"):                           # is it there?
            pass
        raise Failure(f"{path}: the network in {run.folder} takes {run.model.samples}{columns}, not images; give a "
                      ".npy or .npz file, or a table that ends in .csv or .tsv")
    if run.model.preparation["kind"] != "pixels":
        raise Failure(f"{path}: the images that the run in {run.folder} learned from were not of bytes, so it is not "
                      "known what black and white were in them; give an array in a .npy file")
    if invert is None and not run.light_on_dark:
        invert = False
    return ArrayDataset(read_image(path, shape, invert).reshape(1, -1))


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
