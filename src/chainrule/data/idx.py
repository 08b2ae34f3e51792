"""IDX, the file format of MNIST: a header of a few bytes, then the numbers of one array."""
from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["GZIP", "IdxError", "looks_like", "read_idx"]

#: How a gzipped file begins.
GZIP = b"\x1f\x8b"
#: The third byte of a file says what its elements are.
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
#: Deflate makes nothing smaller than by this factor, so it bounds what a compressed file can hold.
DEFLATE = 1032
#: What is read at a time, and so what is held twice.
CHUNK = 2**20


class IdxError(ValueError):
    """A file that is not the IDX file it should be.

    Attributes
    ----------
    what : str
        The message without the remedy.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}. {remedy}")
        self.what = what


def read_idx(path: str | os.PathLike[str], *, shape: tuple[int | None, ...] | None = None,
             dtype: DTypeLike | None = None) -> NDArray[Any]:
    """Return the array in an IDX file, compressed by gzip or not; its content decides that, not its name.

    Parameters
    ----------
    path : path
    shape : tuple of int or None, optional
        What the shape has to be; None stands for any length of an axis.
    dtype : dtype, optional
        What the dtype has to be: one of uint8, int8, int16, int32, float32 and float64.

    Returns
    -------
    array
        In this computer's byte order; read-only, so that tensors share its memory.

    Raises
    ------
    IdxError
        A ValueError: the file is empty, not IDX, truncated, damaged, longer than its header says, or holds another
        shape or dtype. Memory is only taken for bytes that are there.
    OSError
        If it cannot be read; FileNotFoundError if there is none, IsADirectoryError if it is a folder.

    Notes
    -----
    Two zero bytes, one byte for the type, one for the number of axes, 4 bytes for the length of each axis, and the
    numbers in C order; all of it big-endian. As described with Y. LeCun's MNIST database.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from chainrule.data import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "labels"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected an IDX file. Name the file in it")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}; expected an IDX file, such as train-images-idx3-ubyte.gz")
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        packed = file.read(2) == GZIP
        file.seek(0)
        if not packed:
            return _read(path, file, length, None, shape, dtype)
        with gzip.GzipFile(fileobj=file) as stream:
            try:
                return _read(path, cast(IO[bytes], stream), None, length * DEFLATE, shape, dtype)
            except EOFError:
                raise IdxError(f"{path} is truncated: its {length:,} bytes end in the middle of the gzip data",
                               "Download or copy it again") from None
            except (gzip.BadGzipFile, zlib.error) as error:
                raise IdxError(f"{path} is damaged: gzip says {error}", "Download or copy it again") from None


def looks_like(head: bytes) -> str:
    """Say what a file seems to be that begins with these bytes."""
    text = head.lstrip()[:15].lower()
    if not head:
        return "nothing"
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return "a web page"
    for magic, kind in ((GZIP, "a gzipped file"), (b"PK\x03\x04", "a ZIP archive"), (b"\x93NUMPY", "a NumPy file")):
        if head.startswith(magic):
            return kind
    return f"a file that begins with the bytes {head[:4].hex(' ')}"


def _read(path: Path, file: IO[bytes], length: int | None, most: int | None, shape: tuple[int | None, ...] | None,
          dtype: DTypeLike | None) -> NDArray[Any]:
    """Read an array of which either the whole length is known, or the most that it can be."""
    again = "Download or copy it again"
    magic = file.read(4)
    if not magic:
        raise IdxError(f"{path} is empty; expected an IDX file", again)
    if magic[:2].strip(b"\0"):
        raise IdxError(f"{path} is {looks_like(magic + file.read(60))}; expected an IDX file, which begins with the "
                       "bytes 00 00", "Unpack it, or download it again")
    if len(magic) > 2 and magic[2] not in TYPES:
        known = " ".join(f"{each:02x}" for each in TYPES)
        raise IdxError(f"{path} has elements of the unknown type {magic[2]:02x}; IDX files have one of {known} there",
                       "It is damaged, or not an IDX file")
    axes = magic[3] if len(magic) == 4 else 0
    header = 4 + 4 * axes
    sizes = file.read(4 * axes)
    if len(magic) + len(sizes) < header:
        raise IdxError(f"{path} is truncated: it ends in its header, after {len(magic) + len(sizes)} bytes", again)
    kind = np.dtype(TYPES[magic[2]])
    found = tuple(int.from_bytes(sizes[i:i + 4], "big") for i in range(0, len(sizes), 4))
    size = math.prod(found) * kind.itemsize
    if axes > 32 or math.prod(max(n, 1) for n in found) * kind.itemsize > 2**62:
        raise IdxError(f"{path} has a header that no array has: {axes} axes, of the lengths "
                       f"{', '.join(map(str, found[:4]))}{', …' if axes > 4 else ''}", "It is damaged")
    if shape is not None and (len(found) != len(shape) or
                              any(want is not None and want != n for want, n in zip(shape, found, strict=True))):
        wanted = tuple("n" if n is None else str(n) for n in shape)
        raise IdxError(f"{path} holds an array of the shape {_shape(found)}, expected {_shape(wanted)}",
                       "Perhaps two files changed their names")
    if dtype is not None and kind.newbyteorder("=") != np.dtype(dtype):
        raise IdxError(f"{path} holds numbers of the type {kind.newbyteorder('=')}, expected {np.dtype(dtype)}",
                       "Perhaps two files changed their names")
    if length is not None and length < header + size:
        raise IdxError(f"{path} is truncated: it has {length:,} bytes, its header promises {header + size:,}", again)
    if most is not None and most < header + size:
        raise IdxError(f"{path} is truncated or damaged: its header promises {header + size:,} bytes, more than gzip "
                       f"could have made of a file so small", again)
    whole = _fill(file, size, length is not None)
    if len(whole) < size:
        raise IdxError(f"{path} is truncated: it has {header + len(whole):,} bytes, its header promises "
                       f"{header + size:,}", again)
    if file.read(1):
        raise IdxError(f"{path} goes on after the {header + size:,} bytes that its header promises", again)
    array = whole.view(kind)
    if not kind.isnative:
        array = array.byteswap(inplace=True).view(kind.newbyteorder("="))
    whole.flags.writeable = array.flags.writeable = False
    return array.reshape(found)


def _fill(file: IO[bytes], size: int, there: bool) -> NDArray[np.uint8]:
    """Return up to `size` bytes of a file; where it is not sure that they are there, memory grows with what came."""
    whole = np.empty(size if there else min(size, CHUNK), np.uint8)
    done = 0
    while done < size:
        if done == len(whole):
            whole.resize(min(size, 2 * done), refcheck=False)          # no view of it is left
        chunk = file.read(min(CHUNK, len(whole) - done))
        if not chunk:
            return whole[:done]
        whole[done:done + len(chunk)] = np.frombuffer(chunk, np.uint8)
        done += len(chunk)
    return whole


def _shape(lengths: tuple[Any, ...]) -> str:
    return f"({', '.join(map(str, lengths))}{',' * (len(lengths) == 1)})"
