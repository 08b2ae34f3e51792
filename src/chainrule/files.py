"""Files that are whole or not there: written aside, then renamed."""
from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

__all__ = ["replacing"]


@contextmanager
def replacing(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file for writing that takes its name only when all is written.

    Until then, and after any error (a full disk, an exception, Ctrl-C), whatever stood under the name before is
    untouched, and nothing is left beside it.

    Parameters
    ----------
    path : path
        Its folder must exist. A link is followed; a device or a pipe is simply written to.
    mode : {"wb", "w"}
        Bytes, or text in UTF-8.

    Raises
    ------
    OSError
        If it cannot be written; the error names `path`.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(pathlib.Path(folder) / "note.txt", "w") as file:
    ...         _ = file.write("whole")
    ...     (pathlib.Path(folder) / "note.txt").read_text()
    'whole'
    """
    if mode not in ("wb", "w"):
        raise ValueError(f"replacing: expected mode 'wb' or 'w', got {mode!r}")
    said = os.fspath(path)
    path = Path(os.path.realpath(path))
    encoding = None if "b" in mode else "utf-8"
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        with open(path, mode, encoding=encoding) as file:
            yield file
        return
    import tempfile  # loads slowly
    try:
        handle, aside = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        with open(handle, mode, encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(aside, 0o666 & ~umask)
        os.replace(aside, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(aside)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:    # of writing itself
            raise OSError(error.errno, error.strerror, said) from error
        raise
