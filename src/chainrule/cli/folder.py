"""Where a run leaves its files, without ever harming an earlier run."""
from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .failure import Failure

__all__ = ["CONFIG", "FILES", "HISTORY", "MODEL", "PICTURE", "run_folder"]

MODEL, HISTORY, CONFIG, PICTURE = FILES = ("model.safetensors", "history.jsonl", "config.json", "run.png")


@contextmanager
def run_folder(asked: Path | None, default: Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder in which files can be written; folders made for a run that comes to nothing go away again.

    Parameters
    ----------
    asked : Path or None
        The folder to use. If it holds a run already, that is an error unless `overwrite`.
    default : Path
        Without `asked`: this folder if there is none of the name, else the name with -2, -3 and so on.
    overwrite : bool

    Raises
    ------
    Failure
        If the folder cannot be made or written to, or holds a run.
    """
    folder = asked if asked is not None else default
    missing: list[Path] = []
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
                held = [name for name in FILES if (folder / name).exists()]
                if held and not overwrite:
                    raise Failure(f"{folder} already holds a run ({', '.join(held)}); choose another --out, or add "
                                  "--overwrite to replace it")
                missing = _missing(folder)
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):     # found out now, not after training
                pass
        except OSError as error:
            raise Failure(f"cannot write into {folder}: {error.strerror or error}") from error
        yield folder
    except BaseException:
        for each in missing:
            with suppress(OSError):                      # what holds a file stays
                each.rmdir()
        raise


def _missing(folder: Path) -> list[Path]:
    """Return the folders of a path that are not there yet, the innermost first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]
