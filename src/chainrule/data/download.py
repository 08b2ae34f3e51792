"""Files from the network: the first mirror that serves the right bytes, whole or not at all."""
from __future__ import annotations

import gzip
import hashlib
import os
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ..files import replacing
from .catalog import File, Source
from .idx import GZIP, looks_like
from .listener import DownloadError, Listener
from .place import VARIABLE, locate

__all__ = ["fetch", "fetch_file", "mirrors"]

#: Environment variables: mirrors in the place of the public ones, and how long to wait for one.
MIRRORS, TIMEOUT = "CHAINRULE_MIRRORS", "CHAINRULE_TIMEOUT"
#: A mirror that sends less than this in `timeout` seconds is given up.
CHUNK = 2**14
#: What a process that was killed left behind is cleared away after so many seconds.
STALE = 3600


class _UnfitError(Exception):
    """What a mirror did wrong."""


def mirrors(source: Source) -> tuple[str, ...]:
    """Return the addresses of the folders to fetch the files of a data set from, in order.

    The environment variable ``CHAINRULE_MIRRORS`` replaces the public ones: one or more addresses with spaces between
    them, each of a folder that holds a folder for each data set. ``https://host/data`` then stands for
    ``https://host/data/mnist/train-images-idx3-ubyte.gz`` and so on.

    Raises
    ------
    ValueError
        If one of them is not a web address.
    """
    mine = os.environ.get(MIRRORS, "").split()
    for each in mine:
        if not each.lower().startswith(("http://", "https://")):
            raise ValueError(f"{MIRRORS} holds {each!r}; expected addresses that begin with http:// or https://, with "
                             "spaces between them")
    return tuple(f"{each.rstrip('/')}/{source.name}" for each in mine) or source.mirrors


def fetch(source: Source, root: str | os.PathLike[str] | None = None, *, force: bool = False,
          timeout: float | None = None, listener: Listener | None = None) -> Path:
    """Fetch what is missing of a data set, and return its folder.

    Parameters
    ----------
    source : Source
    root : path, optional
        Where data sets lie; see `chainrule.data.place.base`.
    force : bool
        Whether to fetch all files, and replace those that are there.
    timeout : float, optional
        Seconds; see `fetch_file`.
    listener : Listener, optional

    Raises
    ------
    DownloadError
        If a file cannot be fetched or kept. Files that are there already, or came before, stay.
    ValueError
        If a file is there and is not the published one, unless `force`.
    """
    place = locate(source, root)
    folder = place.base / source.name if force else place.folder        # files of the user's that lie elsewhere stay
    for file in source.files:
        path = place.found.get(file.name)
        if path is None or force:
            fetch_file(source, file, folder, timeout=timeout, listener=listener)
        elif not _published(path, file):
            raise ValueError(f"{path} is not the published file: its SHA-256 is another one. To fetch it again: "
                             f"chainrule data fetch {source.name} --force")
    return folder


def fetch_file(source: Source, file: File, folder: Path, *, timeout: float | None = None,
               listener: Listener | None = None) -> Path:
    """Fetch one file from the first mirror that serves it, and return its path; it is decompressed.

    It takes its name only when all of it is there and its SHA-256 is right. Until then, and after any error, what
    stood under the name is untouched. Processes that fetch the same file at once do not meet.

    Parameters
    ----------
    source : Source
    file : File
        One of the source's.
    folder : Path
        Made if it is missing.
    timeout : float, optional
        Seconds to wait for a connection, for an answer, and for each further 16 KiB. By default what the environment
        variable ``CHAINRULE_TIMEOUT`` says, else 20.
    listener : Listener, optional

    Raises
    ------
    DownloadError
        If no mirror serves it, or it cannot be written.
    ValueError
        If an environment variable makes no sense.
    """
    timeout = _seconds() if timeout is None else timeout
    listener = Listener() if listener is None else listener
    path, failures = folder / file.name, []
    for mirror in mirrors(source):
        url = f"{mirror}/{file.name}.gz"
        listener.begin(file, url)
        try:
            with _made(folder), replacing(path) as out:
                _sweep(path)
                _download(url, _Body(file, out, listener), timeout)
        except _UnfitError as error:
            failures.append(f"{mirror}: {error}")
            listener.failed(url, str(error))
        except OSError as error:
            failure = DownloadError(
                f"cannot write {path}: {error.strerror or error}; it needs {file.size / 1e6:.1f} MB. Another folder "
                f"can be said with --data-dir DIR or in {VARIABLE}")
            failure.errno = error.errno
            raise failure from error
        else:
            listener.end(file, path)
            return path
    raise DownloadError(
        f"cannot download {file.name}.gz of {source.name}: {'; '.join(failures)}. With a network, try again; without "
        f"one, put the {len(source.files)} files ({file.name}.gz and so on) into a folder and name it with --data-dir "
        f"DIR or in {VARIABLE}. {MIRRORS} names other mirrors")


def _seconds() -> float:
    text = os.environ.get(TIMEOUT, "").strip() or "20"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise ValueError(f"{TIMEOUT} holds {text!r}; expected a number of seconds above 0")
    return seconds


def _published(path: Path, file: File) -> bool:
    """Whether a file has the published bytes, compressed or not."""
    digest = hashlib.sha256()
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP
        raw.seek(0)
        try:
            with gzip.GzipFile(fileobj=raw) if packed else raw as stream:
                while chunk := stream.read(2**20):
                    digest.update(chunk)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            return False
    return digest.hexdigest() == file.sha256


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder; if then nothing comes of it, it goes away again."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for each in missing:
            with suppress(OSError):                      # what holds a file stays
                each.rmdir()
        raise


def _sweep(path: Path) -> None:
    """Clear away what `replacing` could not, since its process was killed."""
    with suppress(OSError):
        for each in path.parent.glob(f".{path.name[:40]}.*.part"):
            if time.time() - each.stat().st_mtime > STALE:
                each.unlink()


class _Body:
    """Takes a file as it comes, and unpacks, hashes and writes it.

    To pooch it is the file to write to (`write`, `flush`) and the progress bar (`total`, `update`, `reset`, `close`).
    """

    def __init__(self, file: File, out: IO[bytes], listener: Listener) -> None:
        self.file, self.out, self.listener = file, out, listener
        self.hash = hashlib.sha256()
        self.head = b""                                  # how it begins
        self.unpack: Any = None
        self.received = self.written = 0
        self.total = 0
        self.heard = time.monotonic()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.heard = time.monotonic()
        begun = len(self.head) >= 2
        self.received += len(chunk)
        if not begun:                                    # the first two bytes decide
            self.head = chunk = self.head + chunk
            if len(chunk) < 2:
                return
            if chunk.startswith(GZIP):
                self.unpack = zlib.decompressobj(31)
        if self.unpack is not None:
            try:
                chunk = self.unpack.decompress(chunk, self.file.size + 1 - self.written)
            except zlib.error as error:
                raise _UnfitError(f"damaged: gzip says {error}") from None
        self.written += len(chunk)
        if self.written > self.file.size or self.received > self.file.size + 2**20:
            raise _UnfitError(self._wrong(f"more than the {self.file.size:,} bytes of this file"))
        self.hash.update(chunk)
        self.out.write(chunk)

    def flush(self) -> None:
        """Nothing: `replacing` flushes once."""

    def update(self, _: int) -> None:
        """Tell how far it is."""
        total = self.total or self.file.packed
        self.listener.advance(min(self.received, total), total)

    def reset(self) -> None:
        """Nothing: what was received is counted, not said."""

    def close(self) -> None:
        """Nothing: `replacing` closes the file."""

    def check(self) -> None:
        """Raise if this was not the whole and right file."""
        if self.unpack is not None and not self.unpack.eof:
            raise _UnfitError(f"truncated: it ended after {self.received:,} bytes, in the middle of the gzip data")
        found = self.hash.hexdigest()
        if found != self.file.sha256:
            raise _UnfitError(self._wrong(f"wrong checksum: the SHA-256 of its {self.written:,} bytes begins with "
                                          f"{found[:12]}, expected {self.file.sha256[:12]}"))

    def _wrong(self, otherwise: str) -> str:
        kind = looks_like(self.head)
        return f"sent {kind} in the place of the file" if kind in ("nothing", "a web page") else otherwise


def _download(url: str, body: _Body, timeout: float) -> None:
    """Let pooch fetch an address into `body`, and check it; raise _UnfitError for what is the mirror's fault."""
    import pooch
    import requests

    responses: list[Any] = []
    downloader = pooch.HTTPDownloader(
        progressbar=body, chunk_size=CHUNK, timeout=(timeout, timeout),
        hooks={"response": lambda response, **_: responses.append(response)})
    try:
        with _watched(body, responses, timeout) as late:
            downloader(url, body, None)
        body.check()
    except (_UnfitError, requests.RequestException) as error:
        if late.is_set():
            raise _UnfitError(f"too slow: less than {CHUNK // 1024} KiB in {timeout:g} s, "
                              f"after {_so_far(body)}") from None
        if isinstance(error, _UnfitError):
            raise
        raise _UnfitError(_reason(error, body, timeout)) from None
    finally:
        for response in responses:
            response.close()


@contextmanager
def _watched(body: _Body, responses: list[Any], timeout: float) -> Iterator[threading.Event]:
    """Cut off a mirror that drips: each byte is in time for the socket, but a chunk is not complete in `timeout`."""
    done, late = threading.Event(), threading.Event()

    def watch() -> None:
        while not done.wait(max(body.heard + timeout - time.monotonic(), 0.05)):
            if responses and time.monotonic() - body.heard >= timeout:
                late.set()
                with suppress(Exception):                # it may have come to its end this very moment
                    getattr(responses[-1].raw, "shutdown", responses[-1].close)()
                return

    thread = threading.Thread(target=watch, name="chainrule-download", daemon=True)
    thread.start()
    try:
        yield late
    finally:
        done.set()
        thread.join()


def _so_far(body: _Body) -> str:
    return f"{body.received:,} of {body.total or body.file.packed:,} bytes"


def _reason(error: Any, body: _Body, timeout: float) -> str:
    """Say in a few words what went wrong with a request."""
    from requests import exceptions as known

    if isinstance(error, known.HTTPError) and error.response is not None:
        return f"{error.response.status_code} {error.response.reason}".strip()
    if isinstance(error, known.ConnectTimeout):
        return f"no connection within {timeout:g} s"
    if isinstance(error, known.ReadTimeout):
        return f"no answer within {timeout:g} s"
    if isinstance(error, known.TooManyRedirects):
        return "it redirects without end"
    chain = _chain(error)
    system = next((each for each in reversed(chain) if isinstance(each, OSError) and each.strerror), None)
    if isinstance(error, known.ChunkedEncodingError) or (body.received and isinstance(error, known.ConnectionError)):
        stalled = any(type(each).__name__ == "ReadTimeoutError" for each in chain)
        return f"nothing came for {timeout:g} s, after {_so_far(body)}" if stalled else (
            f"the connection was closed after {_so_far(body)}")
    if isinstance(error, known.ContentDecodingError):
        return "damaged: it cannot be decoded"
    words = str(system.strerror if system is not None else chain[-1])
    if isinstance(system, socket.gaierror):
        return f"its name cannot be looked up ({words})"
    for kind, part in ((known.SSLError, "encryption"), (known.ProxyError, "proxy")):
        if isinstance(error, kind):
            return f"{part}: {words}"
    return words


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and those it came from, the first cause last."""
    found: list[BaseException] = []
    left: list[Any] = [error]
    while left:
        each = left.pop(0)
        if isinstance(each, BaseException) and not any(each is known for known in found):
            found.append(each)
            left += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]
    return found
