"""Files of NumPy's, read without ever unpickling, and what is looked at in their arrays."""
from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_numbers", "checked_inputs", "named_arrays", "opened"]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file of NumPy's, without ever unpickling."""
    with path.open("rb") as file:                        # NumPy would leave one that it cannot read open
        try:
            found = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: not a file as NumPy writes it, or not all of it, or one of Python objects, "
                             f"which are not read as they can run code: {error}") from error
        yield found


def named_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file, under their names in small letters."""
    found: dict[str, NDArray[Any]] = {}
    with opened(path) as file:
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError(f"{path}: it holds one array without a name; expected several, as numpy.savez(path, "
                             "x=inputs, y=targets) writes them")
        for name in file.files:
            if name.lower() in found:
                raise ValueError(f"{path}: there are two arrays {name.lower()!r} that differ in capitals only")
            try:
                found[name.lower()] = file[name]
            except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
                if "Object arrays" in str(error):
                    raise ValueError(f"{path}: {name} holds Python objects, which are not read as they can run code; "
                                     f"save numbers, or text as {name}.astype(str)") from error
                raise ValueError(f"{path}: {name} cannot be read, the file is damaged: {error}") from error
    return found


def checked_inputs(what: str, x: NDArray[Any]) -> NDArray[Any]:
    """Return inputs of shape (samples, ...), if they are numbers."""
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{what} has dtype {x.dtype}; expected numbers; give each word or category a number first")
    if not x.ndim:
        raise ValueError(f"{what} is a single number; expected an array of samples")
    if not x.size:
        raise ValueError(f"{what} is empty, of shape {x.shape}; expected at least one sample")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        wrong = np.argwhere(~np.isfinite(x))
        place = f"sample {wrong[0][0]}" + (f", index {tuple(wrong[0][1:].tolist())}" if x.ndim > 1 else "")
        raise ValueError(f"{what} is not finite: {len(wrong)} of {x.size} values, the first is {x[tuple(wrong[0])]} in "
                         f"{place}. Leave such samples out, or fill the gaps (with the mean of the feature, say)")
    return x[:, None] if x.ndim == 1 else x


def as_numbers(what: str, y: NDArray[Any]) -> NDArray[np.float32]:
    """Return targets of regression as float32, shape (samples, outputs)."""
    with np.errstate(over="ignore"):
        made: NDArray[np.float32] = y.reshape(len(y), -1).astype(np.float32)
    if not np.isfinite(made).all():
        raise ValueError(f"{what} has numbers beyond the range of float32 (3e38); scale them")
    return made
