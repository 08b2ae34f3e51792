"""Where a run leaves its files, without ever harming an earlier run."""
from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .failure import Failure

__all__ = ["CHECKPOINTS", "CONFIG", "FILES", "HISTORY", "MODEL", "PICTURE", "Place", "existing_run", "run_folder"]

CONFIG, MODEL, HISTORY, PICTURE = FILES = ("config.toml", "model.safetensors", "history.jsonl", "run.png")
CHECKPOINTS = "checkpoints"


def existing_run(folder: Path) -> Path:
    """Return the folder of a run that is there.

    Raises
    ------
    Failure
        If it is not the folder of a run.
    """
    if not folder.exists():
        raise Failure(f"there is no folder {folder}; `chainrule train` makes one in runs/ and says its name")
    if not (folder / CONFIG).is_file():
        raise Failure(f"{folder} does not hold a run: there is no {CONFIG} in it")
    return folder


@dataclass
class Place:
    """The folder of a new run."""

    folder: Path
    begun: bool = False                  #: whether there is something of this run in it

    def begin(self) -> None:
        """Remove the files of the run that it may hold: those of the new one come now."""
        _clear(self.folder)
        self.begun = True


@contextmanager
def run_folder(asked: Path | None, default: Path, overwrite: bool = False) -> Iterator[Place]:
    """Give a folder in which files can be written; what is made for a run that comes to nothing goes away again.

    Parameters
    ----------
    asked : Path or None
        The folder to use. If it holds a run already, that is an error unless `overwrite`.
    default : Path
        Without `asked`: this folder if there is none of the name, else the name with -2, -3 and so on.
    overwrite : bool
        The run that it holds may go, once the new one begins.

    Raises
    ------
    Failure
        If the folder cannot be made or written to, or holds a run.
    """
    folder = asked if asked is not None else default
    missing: list[Path] = []
    place: Place | None = None
    try:
        try:
            if asked is None:
                for name in itertools.chain([default.name], (f"{default.name}-{i}" for i in itertools.count(2))):
                    folder = default.with_name(name)
                    missing = _missing(folder)
                    with suppress(FileExistsError):      # atomic: two runs at once never share a folder
                        folder.mkdir(parents=True)
                        break
            else:
                if folder.exists() and not folder.is_dir():
                    raise Failure(f"cannot write into {folder}: it is a file, not a folder")
                held = [name for name in (*FILES, CHECKPOINTS) if (folder / name).exists()]
                if held and not overwrite:
                    raise Failure(f"{folder} already holds a run ({', '.join(held)}); choose another --out, add "
                                  f"--overwrite to replace it, or go on with it: chainrule train --resume {folder}")
                missing = _missing(folder)
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):     # found out now, not after training
                pass
        except OSError as error:
            raise Failure(f"cannot write into {folder}: {error.strerror or error}") from error
        place = Place(folder)
        yield place
    except BaseException:
        if place is not None and place.begun and not any((folder / CHECKPOINTS).glob("step-*.json")):
            with suppress(OSError):                      # there is nothing to go on from
                _clear(folder)
        for each in missing:
            with suppress(OSError):                      # what holds a file stays
                each.rmdir()
        raise


def _clear(folder: Path) -> None:
    """Remove the files of a run, and nothing else."""
    states = folder / CHECKPOINTS
    for path in (*(folder / name for name in FILES), *states.glob("step-*.json"), *states.glob("step-*.safetensors"),
                 *states.glob(".step-*.part")):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        states.rmdir()


def _missing(folder: Path) -> list[Path]:
    """Return the folders of a path that are not there yet, the innermost first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]
