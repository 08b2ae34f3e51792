"""Where the files of a data set lie: in a folder of the user's, or in the cache."""
from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .catalog import File, Source

__all__ = ["Place", "base", "locate"]

#: The environment variable that names the folder of data sets.
VARIABLE = "CHAINRULE_DATA"


@dataclass(frozen=True)
class Place:
    """A folder, and which files of a data set are in it.

    Attributes
    ----------
    base : Path
        The folder of all data sets.
    folder : Path
        Where the files are; if there are none, where they would be put.
    found : dict of str to Path
        By the published name, whatever the spelling is here.
    cached : bool
        Whether it is the cache, which belongs to this package and not to the user.
    """

    base: Path
    folder: Path
    found: dict[str, Path]
    cached: bool


def base(root: str | os.PathLike[str] | None = None) -> tuple[Path, bool]:
    """Return the folder of all data sets, and whether it is the cache.

    That is `root`; without it what ``CHAINRULE_DATA`` names; else the cache, where the system keeps such folders
    (on Linux ``~/.cache/chainrule``).
    """
    chosen = root if root is not None else os.environ.get(VARIABLE) or None
    if chosen is not None:
        return Path(chosen).expanduser(), False
    import pooch  # loads slowly
    return Path(pooch.os_cache("chainrule")).expanduser(), True


def locate(source: Source, root: str | os.PathLike[str] | None = None) -> Place:
    """Find the files of a data set.

    Parameters
    ----------
    source : Source
    root : path, optional
        See `base`. The files may lie in its subfolder of the data set's name (where they are put), in itself, or where
        torchvision puts them, compressed or not, as ``train-images-idx3-ubyte`` or ``train-images.idx3-ubyte``. The
        first of these folders that holds any of them is taken.
    """
    folder, cached = base(root)
    if not source.files:
        return Place(Path(__file__).parent, Path(__file__).parent, {}, False)
    for each in [folder / source.name] if cached else [folder / source.name, folder,
                                                       *(folder / name for name in source.folders)]:
        found = {file.name: path for file in source.files if (path := _spelled(each, file)) is not None}
        if found:
            return Place(folder, each, found, cached)
    return Place(folder, folder / source.name, {}, cached)


def _spelled(folder: Path, file: File) -> Path | None:
    """Return the file under the first of its names that is there."""
    return next((path for name in (file.name, file.name.replace("-idx", ".idx")) for end in ("", ".gz")
                 if (path := folder / f"{name}{end}").exists()), None)
