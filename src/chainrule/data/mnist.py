"""MNIST and Fashion-MNIST: 70,000 images of 28×28 pixels each, as one byte a pixel."""
from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .catalog import CATALOG, Source
from .dataset import ArrayDataset
from .download import fetch_file
from .idx import IdxError, read_idx
from .listener import Listener
from .pixels import Pixels
from .place import VARIABLE, Place, locate

__all__ = ["fashion_mnist", "load", "mnist"]


def mnist(root: str | os.PathLike[str] | None = None, *, flatten: bool = True, scale: bool = True,
          download: bool | None = None) -> tuple[ArrayDataset, ArrayDataset]:
    """Return MNIST: 60,000 handwritten digits to train on and 10,000 to test with.

    Parameters
    ----------
    root : path, optional
        A folder with the four IDX files, compressed or not, in itself or in its subfolder ``mnist``. They are only
        read. By default the folder that the environment variable ``CHAINRULE_DATA`` names; without it the files are
        kept in a cache, and fetched there the first time (11.6 MB).
    flatten : bool
        Whether an image is a row of 784 numbers; otherwise it has the shape (28, 28).
    scale : bool
        Whether pixels are float32 from 0 to 1; otherwise they are as published, uint8 from 0 to 255.
    download : bool, optional
        Whether files that are missing are fetched. By default those of the cache are, those of `root` are not.

    Returns
    -------
    train, test : ArrayDataset
        Their `arrays` are the images, uint8 of shape (samples, 28, 28), and the labels, int64 from 0 to 9. Images are
        scaled and flattened when they are taken out, a batch at a time: the data are held once, at a byte a pixel.

    Raises
    ------
    FileNotFoundError
        If files are missing and may not be fetched.
    DownloadError
        An OSError, if they cannot be fetched; it says what each mirror did.
    ValueError
        If a file is not what it should be; it is named.

    Notes
    -----
    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document recognition,
    Proceedings of the IEEE 86(11), 1998; CC BY-SA 3.0. The SHA-256 of each file fetched is checked.
    ``CHAINRULE_MIRRORS`` names other places to fetch from, ``CHAINRULE_TIMEOUT`` the seconds to wait for one.

    Examples
    --------
    >>> from chainrule import data
    >>> train, test = data.mnist()                       # doctest: +SKIP
    >>> train                                            # doctest: +SKIP
    ArrayDataset(60000 samples: uint8 (28, 28), int64 (); inputs through Pixels(maximum=255, shape=(784,)))
    >>> images, labels = train[:5]                       # doctest: +SKIP
    >>> images.shape, images.dtype, labels               # doctest: +SKIP
    ((5, 784), dtype('float32'), array([5, 0, 4, 1, 9]))
    """
    return load(CATALOG["mnist"], root, flatten=flatten, scale=scale, download=download)


def fashion_mnist(root: str | os.PathLike[str] | None = None, *, flatten: bool = True, scale: bool = True,
                  download: bool | None = None) -> tuple[ArrayDataset, ArrayDataset]:
    """Return Fashion-MNIST: 60,000 pictures of clothes to train on and 10,000 to test with, of ten kinds.

    Parameters
    ----------
    root, flatten, scale, download
        As for `mnist`; the subfolder is ``fashion-mnist``, and there are 30.9 MB to fetch.

    Returns
    -------
    train, test : ArrayDataset
        As for `mnist`. The labels 0 to 9 stand for T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker,
        Bag and Ankle boot.

    Raises
    ------
    FileNotFoundError, DownloadError, ValueError
        As for `mnist`.

    Notes
    -----
    Source: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms, arXiv:1708.07747, 2017; MIT, © 2017 Zalando SE.

    Examples
    --------
    >>> from chainrule import data
    >>> train, test = data.fashion_mnist()               # doctest: +SKIP
    >>> test.arrays[1][:5]                               # doctest: +SKIP
    array([9, 2, 1, 1, 6])
    """
    return load(CATALOG["fashion-mnist"], root, flatten=flatten, scale=scale, download=download)


def load(source: Source, root: str | os.PathLike[str] | None = None, *, flatten: bool = True, scale: bool = True,
         download: bool | None = None, listener: Listener | None = None) -> tuple[ArrayDataset, ArrayDataset]:
    """Return the two parts of a data set of IDX files; see `mnist`.

    A download is told to `listener`.
    """
    place = locate(source, root)
    missing = [file for file in source.files if file.name not in place.found]
    if missing and not (place.cached if download is None else download):
        raise _absent(source, place, [file.name for file in missing])
    paths = place.found | {file.name: fetch_file(source, file, place.folder, listener=listener) for file in missing}
    files = [paths[file.name] for file in source.files]
    try:
        parts = [_part(source, *files[:2]), _part(source, *files[2:])]
    except IdxError as error:
        if not place.cached:                             # the user's own files are not ours to replace
            raise
        raise IdxError(error.what, f"To fetch it again: chainrule data fetch {source.name} --force") from error
    shape = (int(np.prod(source.shape)),) if flatten else source.shape
    train, test = (ArrayDataset(images if scale else images.reshape(-1, *shape), labels,
                                transform=Pixels(source.maximum, shape) if scale else None)
                   for images, labels in parts)
    return train, test


def _part(source: Source, images_path: Path, labels_path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read images and their labels, and make sure that they belong together."""
    images = read_idx(images_path, shape=(None, *source.shape), dtype=np.uint8)
    labels = read_idx(labels_path, shape=(None,), dtype=np.uint8)
    if len(images) != len(labels):
        raise IdxError(f"{images_path} has {len(images):,} images and {labels_path} has {len(labels):,} labels; "
                       "expected as many", "Perhaps two files changed their names")
    if not len(labels):
        raise IdxError(f"{images_path} and {labels_path} are empty: they have no image and no label",
                       "Download or copy them again")
    if labels.max() >= len(source.classes):
        raise IdxError(f"{labels_path} holds the label {labels.max()}; expected labels from 0 to "
                       f"{len(source.classes) - 1}", "Perhaps it belongs to another data set")
    digest = hashlib.sha256(bytes((0, 0, 8, 1)) + len(labels).to_bytes(4, "big") + labels.tobytes()).hexdigest()
    for other in CATALOG.values():                       # their files have the same names
        if other is not source and digest in (file.sha256 for file in other.files):
            raise IdxError(f"{labels_path} belongs to {other.name}, not to {source.name}",
                           "Put each data set into a folder of its name")
    whole = labels.astype(np.int64)
    whole.flags.writeable = False                        # its owner included, so that batches are shared, not copied
    return images, whole


def _absent(source: Source, place: Place, missing: list[str]) -> FileNotFoundError:
    """Make the error for files that are not there and may not be fetched."""
    if not place.cached and not place.base.is_dir():
        kind = "is a file, not a folder" if place.base.exists() else "does not exist"
        return FileNotFoundError(f"the folder of data sets, {place.base}, {kind}; expected the one with the files of "
                                 f"{source.name}. It is what --data-dir, root= or {VARIABLE} says")
    names = "none of the files" if len(missing) == len(source.files) else f"no {' and no '.join(missing)}"
    around = "" if place.cached or place.found else f" or {place.base}"
    option = "" if place.cached else f" --data-dir {place.base}"
    return FileNotFoundError(
        f"there is {names} of {source.name} in {place.folder}{around}; expected {source.files[0].name} and so on, "
        f"compressed or not. To fetch them: chainrule data fetch {source.name}{option}")
