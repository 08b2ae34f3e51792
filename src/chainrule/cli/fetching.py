"""Data sets for commands: what a download looks like, and how one that fails ends the command."""
from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .. import data
from ..data.catalog import CATALOG, File
from ..data.listener import Listener
from ..data.mnist import load
from .failure import Failure

__all__ = ["Shown", "data_failures", "load_data"]


def load_data(name: str, root: Path | None = None, *, flatten: bool = True, scale: bool = True,
              quiet: bool = False) -> tuple[data.ArrayDataset, data.ArrayDataset]:
    """Return the training and test data of a data set of the catalog, fetched first where that is needed.

    Parameters
    ----------
    name : str
    root : Path, optional
        What ``--data-dir`` says.
    flatten, scale : bool
        As for `data.digits` and `data.mnist`.
    quiet : bool
        Whether a download shows nothing.

    Raises
    ------
    Failure
        If the data cannot be had, or are not what they should be.
    """
    source = CATALOG[name]
    if not source.files:
        return data.digits(flatten=flatten, scale=scale)
    with data_failures(), Shown(None if quiet else sys.stderr, quiet=quiet) as shown:
        return load(source, root, flatten=flatten, scale=scale, listener=shown)


@contextmanager
def data_failures() -> Iterator[None]:
    """Turn the errors of data sets into the end of the command."""
    try:
        yield
    except (data.DownloadError, ValueError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        if error.errno is None:                          # with a message of ours
            raise Failure(str(error)) from error
        if error.filename is None:                       # standard output
            raise
        raise Failure(f"cannot read {error.filename}: {error.strerror}") from error


class Shown(Listener):
    """Shows downloads: a bar for each file if standard error is a terminal, and lines elsewhere.

    Parameters
    ----------
    lines : text file or None
        Where lines go, if there is no bar; None for nowhere.
    quiet : bool
        Whether there is no bar either.
    """

    def __init__(self, lines: IO[str] | None, quiet: bool = False) -> None:
        self.lines, self.quiet = lines, quiet
        self.bar: Any = None
        self.task: Any = None

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def begin(self, file: File, url: str) -> None:
        """Say what is asked for."""
        if self.bar is None and not self.quiet and sys.stderr.isatty():
            self.bar = _bar()
        if self.bar is None:
            self._print(f"fetching {url}")
        elif self.task is None:
            self.task = self.bar.add_task(file.name, total=file.packed)

    def advance(self, received: int, total: int) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update(self.task, completed=received, total=total)

    def failed(self, url: str, why: str) -> None:
        """Say why the next mirror is tried."""
        if self.bar is not None:
            self.bar.update(self.task, completed=0)
            self.bar.console.print(f"{url}: {why}", markup=False, highlight=False)
        else:
            self._print(f"{url}: {why}")

    def end(self, file: File, path: Path) -> None:
        """Say that the file is there."""
        if self.bar is None:
            self._print(f"wrote {path}, checksum right")
        self.task = None

    def _print(self, line: str) -> None:
        if self.lines is not None:
            print(line, file=self.lines, flush=True)


def _bar() -> Any:
    """Start a display of bars on standard error; None on a terminal that cannot show it."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
    console = Console(stderr=True)
    if console.is_dumb_terminal:
        return None
    columns = [TextColumn("{task.description}"), BarColumn(bar_width=None), DownloadColumn(), TimeRemainingColumn()]
    bar = Progress(*columns, console=console, expand=True)
    bar.start()
    return bar
