"""The last states of a run, in a folder: what it needs to go on after it was killed."""
from __future__ import annotations

import hashlib
import json
import os
import re
import time
import warnings
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import replacing

__all__ = ["Checkpoints"]

FORMAT = 1
NAME = re.compile(r"step-(\d+)\.json")
LEFTOVER = re.compile(r"\.step-\d+\.(json|safetensors)\..*\.part")


class Checkpoints:
    """A folder with the last states of a run.

    A state is two files: ``step-00001200.safetensors`` with its arrays, and ``step-00001200.json`` with all else and
    the SHA-256 of both. Each is written aside and renamed, the JSON last, so a state is whole or not there. Reading
    takes the newest that is sound, and warns of each that is not.

    Parameters
    ----------
    folder : path
        Made when the first state is saved.
    keep : int
        How many states stay; at least 1. More than one, because a disk can damage a file.
    every : int, optional
        Save after every so many steps, whatever the time. By default a state is saved at the end of each epoch, and
        within it once a minute has gone by, as long as saving takes less than about a twentieth of the time.

    Raises
    ------
    ValueError
        If `keep` or `every` is less than 1.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from chainrule.training import Checkpoints
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     states = Checkpoints(folder, keep=2)
    ...     for step in (10, 20, 30):
    ...         states.save({"w": np.full(2, 0.5 * step), "best": {"epoch": step}}, step)
    ...     states.steps(), states.load()
    ([20, 30], {'w': array([15., 15.]), 'best': {'epoch': 30}})
    """

    def __init__(self, folder: str | os.PathLike[str], *, keep: int = 3, every: int | None = None) -> None:
        for name, value in (("keep", keep), ("every", every)):
            if value is not None and (not isinstance(value, int | np.integer) or value < 1):
                raise ValueError(f"Checkpoints: {name} is a whole number from 1 on, got {value!r}")
        self.folder, self.keep, self.every = Path(folder), keep, every
        self._last = self._cost = 0.0                    # when the last state was saved, and how long that took

    def steps(self) -> list[int]:
        """Return the numbers of the states that are there, in order."""
        try:
            names = [NAME.fullmatch(name) for name in os.listdir(self.folder)]
        except FileNotFoundError:
            return []
        return sorted(int(name[1]) for name in names if name)

    def due(self, step: int, epoch_is_over: bool) -> bool:
        """Tell whether it is time to save the state after a step."""
        if self.every is not None:
            return step % self.every == 0
        since = time.monotonic() - self._last
        return since > 20 * self._cost and (epoch_is_over or since > 60)

    def save(self, state: dict[str, Any], step: int) -> None:
        """Write a state, then remove what is older than the last `keep`, and what is newer than this one.

        Newer states are there if a run goes on from the one before, since they were damaged.

        Parameters
        ----------
        state : dict
            Of arrays, numbers, text, None, and dicts, lists and tuples of these.
        step : int
            Its number, at least 0.

        Raises
        ------
        OSError
            If it cannot be written. The earlier states are all there then.
        TypeError
            If something else is in it.
        """
        from safetensors.numpy import save
        start = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {}
        tree = _plain(state, "", arrays)
        tensors = save(arrays)
        with replacing(self._path(step, "safetensors")) as file:
            file.write(tensors)
        sums = {"tensors": hashlib.sha256(tensors).hexdigest(), "state": _digest(tree)}
        with replacing(self._path(step, "json"), "w") as file:
            json.dump({"format": FORMAT, "sha256": sums, "state": tree}, file)
        self._tidy(step)
        self._last = time.monotonic()
        self._cost = self._last - start

    def load(self) -> dict[str, Any] | None:
        """Return the newest sound state; None if there is no state at all.

        Warns
        -----
        UserWarning
            Of each state that is damaged, and so is passed over.

        Raises
        ------
        ValueError
            If there are states, and every one of them is damaged.
        """
        steps, trouble = self.steps(), []
        for step in reversed(steps):
            try:
                state = self.read(step)
            except (OSError, ValueError) as error:
                trouble.append(f"{self._path(step, 'json')}: {error}")
                continue
            for each in trouble:
                warnings.warn(f"a checkpoint is damaged, the one before it is used: {each}", stacklevel=2)
            return state
        if steps:
            raise ValueError(f"every checkpoint in {self.folder} is damaged, so the run cannot go on. "
                             f"{'; '.join(trouble)}")
        return None

    def read(self, step: int) -> dict[str, Any]:
        """Return one state, if it is sound.

        Raises
        ------
        ValueError, OSError
            Saying what is wrong with it.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load
        try:
            content = json.loads(self._path(step, "json").read_bytes())
            format, sums, tree = content["format"], content["sha256"], content["state"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"it is not whole ({type(error).__name__}: {error})") from error
        if format != FORMAT:
            raise ValueError(f"it has the format {format}, this version of chainrule reads {FORMAT}")
        if sums["state"] != _digest(tree):
            raise ValueError("its content is not what was saved (SHA-256)")
        path = self._path(step, "safetensors")
        try:
            tensors = path.read_bytes()
        except FileNotFoundError as error:
            raise ValueError(f"{path.name} is not there") from error
        if sums["tensors"] != hashlib.sha256(tensors).hexdigest():
            raise ValueError(f"{path.name}, of {len(tensors)} bytes, is not what was saved (SHA-256)")
        try:
            return _whole(tree, load(tensors))           # type: ignore[no-any-return]
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"{path.name}: {error}") from error

    # ------------------------------------------------------------------ inside
    def _path(self, step: int, kind: str) -> Path:
        return self.folder / f"step-{step:08}.{kind}"

    def _tidy(self, newest: int) -> None:
        """Remove states beyond the last ones, and what killed runs left behind."""
        steps = self.steps()
        kept = [step for step in steps if step <= newest][-self.keep:]
        for step in set(steps) - set(kept):
            for kind in ("json", "safetensors"):         # the JSON first: without it there is no state
                self._path(step, kind).unlink(missing_ok=True)
        kept_files = {self._path(step, kind).name for step in kept for kind in ("json", "safetensors")}
        for name in os.listdir(self.folder):
            if LEFTOVER.fullmatch(name) or (re.fullmatch(r"step-\d+\.safetensors", name) and name not in kept_files):
                with suppress(OSError):
                    (self.folder / name).unlink()


def _digest(tree: Any) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def _plain(value: Any, path: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """Write a value in JSON's terms. Arrays go to `arrays`; what JSON does not have becomes an object with one key."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item(), path, arrays)
    if isinstance(value, np.ndarray):
        name = next(name for name in chain([path], (f"{path}#{i}" for i in count(2))) if name not in arrays)
        arrays[name] = np.asarray(value, order="C")
        return {"$array": name}
    if isinstance(value, list):
        return [_plain(item, f"{path}.{i}", arrays) for i, item in enumerate(value)]
    if isinstance(value, tuple):
        return {"$tuple": _plain(list(value), path, arrays)}
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _plain(item, f"{path}.{key}".lstrip("."), arrays) for key, item in value.items()}
        return {"$dict": [[_plain(key, path, arrays), _plain(item, f"{path}.{key}".lstrip("."), arrays)]
                          for key, item in value.items()]}
    raise TypeError(f"a checkpoint holds arrays, numbers, text, None, and dicts, lists and tuples of them; {path} is "
                    f"of type {type(value).__name__}")


def _whole(tree: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Undo `_plain`."""
    if isinstance(tree, list):
        return [_whole(item, arrays) for item in tree]
    if not isinstance(tree, dict):
        return tree
    match tree:
        case {"$array": path}:
            return arrays[path]
        case {"$tuple": items}:
            return tuple(_whole(items, arrays))
        case {"$dict": pairs}:
            return {_whole(key, arrays): _whole(item, arrays) for key, item in pairs}
    return {key: _whole(item, arrays) for key, item in tree.items()}
