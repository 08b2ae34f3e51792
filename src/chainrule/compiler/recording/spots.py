"""Where a step keeps plain arrays of the user's, and tensors that stand there as long as the step is recorded.

Code by hand computes with arrays and writes into them: ``params["W1"] -= lr * grads["W1"]``. NumPy would do that by
itself, and no recorder would see it. So while a step is recorded, a tensor stands in the place of each such array: in
the variable, the attribute, the dict or the list. Afterwards the arrays are put back, with what the step wrote.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import RLock
from types import CellType
from typing import Any, Self
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np

from ...tensor import Tensor
from .guards import Watch, same
from .snapshot import DEEP, LONG

__all__ = ["Held", "Kept", "Live", "Spot", "StandIns", "Written", "owner_of", "walk"]

turn = RLock()                                       # of the recording whose arrays are replaced
#: The array behind each tensor that stands in a spot now, for other threads that look there.
behind: WeakKeyDictionary[Tensor, Any] = WeakKeyDictionary()


class Spot:
    """Where an array stands.

    Attributes
    ----------
    owner : dict, list, cell of a closure, or object
    name : key, index, or name of an attribute
    title : str
        What it is called: ``net.params['W1']``.
    """

    __slots__ = ("name", "owner", "title")

    def __init__(self, owner: Any, name: Any, title: str) -> None:
        self.owner, self.name, self.title = owner, name, title

    @property
    def key(self) -> tuple[int, Any]:
        """What tells it from other spots."""
        return id(self.owner), self.name

    @property
    def is_entry(self) -> bool:
        """Tell an entry of a dict or a list, and a variable, from an attribute."""
        return isinstance(self.owner, dict | list | CellType)

    def get(self) -> Any:
        """Return what stands there; None if nothing does."""
        if isinstance(self.owner, dict | list):
            try:
                return self.owner[self.name]
            except LookupError:
                return None
        try:
            return getattr(self.owner, self.name, None)
        except ValueError:                               # an empty cell of a closure
            return None

    def put(self, x: Any) -> None:
        """Put something there, unless the list has become shorter: then a snapshot has all that stood in it."""
        if isinstance(self.owner, list):
            self.owner[self.name:self.name + 1] = [x] * (self.name < len(self.owner))
        elif isinstance(self.owner, dict):
            self.owner[self.name] = x
        elif isinstance(self.owner, CellType):
            self.owner.cell_contents = x
        else:
            vars(self.owner)[self.name] = x


def walk(title: str, owner: Any, name: Any, value: Any, into: Callable[[Any, str], bool], seen: dict[int, Any],
         depth: int = DEEP) -> Iterator[Spot]:
    """Yield the spots of arrays in something: in lists and dicts, and in the attributes of objects.

    Parameters
    ----------
    title : str
    owner, name
        Where it stands.
    value : object
    into : callable
        ``into(object, title)``: whether to look at its attributes.
    seen : dict of int to object
        What has been looked at, by its id.
    depth : int
    """
    if type(value) is np.ndarray:
        yield Spot(owner, name, title)
        return
    if not depth or id(value) in seen:
        return
    if isinstance(value, dict | list | tuple):
        if len(value) > LONG:
            return
        seen[id(value)] = value
        for key, x in list(value.items() if isinstance(value, dict) else enumerate(value)):
            if not isinstance(value, tuple) or type(x) is not np.ndarray:          # a tuple cannot be changed
                yield from walk(f"{title}[{key!r}]", value, key, x, into, seen, depth - 1)
    elif hasattr(value, "__dict__") and into(value, title):
        seen[id(value)] = value
        for key, x in list(vars(value).items()):
            yield from walk(f"{title}.{key}", value, key, x, into, seen, depth - 1)


# ---------------------------------------------------------------------- as cells of a program
class Held:
    """The array at a spot, as the owner of a cell; a program reads `array`."""

    __slots__ = ("__weakref__", "spot")

    def __init__(self, spot: Spot) -> None:
        self.spot = spot

    @property
    def array(self) -> Any:
        """What stands there now."""
        x = self.spot.get()
        if type(x) is np.ndarray:
            return x
        x = behind.get(x) if isinstance(x, Tensor) else None
        if x is None:
            raise AttributeError(f"{self.spot.title} is no array any more")
        return x

    @array.setter
    def array(self, value: Any) -> None:
        np.copyto(self.array, value.array if isinstance(value, Tensor) else value)


class Written(Held):
    """An array that the step writes into: in its own memory, under whatever other names it goes."""

    __slots__ = ()

    @property
    def array(self) -> Any:
        """What stands there now."""
        x = super().array
        if not (x.flags.c_contiguous and x.flags.writeable):
            raise AttributeError(f"{self.spot.title} cannot be written element after element")
        return x

    @array.setter
    def array(self, value: Any) -> None:
        x = self.array
        if value is not x:
            np.copyto(x, value.array if isinstance(value, Tensor) else value)


class Kept(Held):
    """A spot at which the step puts a new array each time."""

    __slots__ = ()
    anew = True                                          #: what stood there stays as it was

    @property
    def array(self) -> Any:
        """What stands there now."""
        return super().array

    @array.setter
    def array(self, value: Any) -> None:
        self.spot.put(value.array if isinstance(value, Tensor) else value)


#: One owner for each spot and each way to treat it, so that all programs agree on whose cell it is.
owners: WeakValueDictionary[tuple[type, int, Any], Held] = WeakValueDictionary()


def owner_of(kind: type[Held], spot: Spot) -> Held:
    """Return the owner of the cell for a spot."""
    found = owners.get((kind, *spot.key))
    if found is None:
        found = owners[kind, *spot.key] = kind(spot)
    return found


class Live:
    """A plain array of the user's that stands in no variable: it is read where it lies."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array


# ---------------------------------------------------------------------- while a step is recorded
class StandIns:
    """Tensors in the places of arrays, inside a ``with`` block.

    Attributes
    ----------
    arrays : dict of Tensor to array
        The array behind each of the tensors.
    spots : dict of Tensor to list of Spot
        Where each stands.
    rebound : list of (Spot, Tensor)
        After the block: the entries of dicts and lists, and the variables, where something else stands now that the
        step has computed. In an attribute that is left for `Snapshot` to find.
    moved : list of Spot
        The spots where another one of the arrays stands now.
    """

    def __init__(self, spots: Iterable[Spot]) -> None:
        self.all = list(spots)
        self.arrays: dict[Tensor, Any] = {}
        self.spots: dict[Tensor, list[Spot]] = {}
        self.rebound: list[tuple[Spot, Tensor]] = []
        self.moved: list[Spot] = []
        self._first: list[Any] = []                      # what stood in each spot
        self._by_id: dict[int, Tensor] = {}
        self._before: list[tuple[Any, Any]] = []         # arrays that were written into, and what they held

    def __enter__(self) -> Self:
        if not self.all:
            return self
        self._first = [spot.get() for spot in self.all]
        for spot, array in zip(self.all, self._first, strict=True):
            t = self._by_id.get(id(array))
            if t is None:
                t = self._by_id[id(array)] = Tensor.of(array)
                self.arrays[t] = behind[t] = array
            self.spots.setdefault(t, []).append(spot)
        for t, spots in self.spots.items():
            for spot in spots:
                spot.put(t)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if not self.all:
            return
        for spot, array in zip(self.all, self._first, strict=True):
            now = spot.get()
            if error is not None:
                spot.put(array)
            elif isinstance(now, Tensor) and now in self.arrays:
                spot.put(self.arrays[now])
                if self.arrays[now] is not array:
                    self.moved.append(spot)
            elif isinstance(now, Tensor) and spot.is_entry:
                spot.put(np.array(now.array))
                self.rebound.append((spot, now))

    def of(self, array: Any) -> Tensor | None:
        """Return what stands for an array."""
        return self._by_id.get(id(array))

    def commit(self, others: Iterable[Tensor]) -> None:
        """Write into the arrays what the step wrote into the tensors, and leave all that others look at as it is."""
        new = [(array, np.array(t.array)) for t, array in self.arrays.items() if t.array is not array]
        for t in others:
            if any(isinstance(t.array, np.ndarray) and np.may_share_memory(t.array, array) for array, _ in new):
                t.array = np.array(t.array)
        self._before = [(array, array.copy()) for array, _ in new]
        for array, value in new:
            np.copyto(array, value)

    def undo(self) -> None:
        """Make everything again as it was before the block."""
        for spot, array in zip(self.all, self._first, strict=False):
            spot.put(array)
        for array, value in self._before:
            np.copyto(array, value)

    def shares(self, t: Tensor) -> bool:
        """Tell whether the memory of an array is that of another one as well."""
        mine = self.arrays[t]
        return any(other is not t and np.may_share_memory(array, mine) for other, array in self.arrays.items())

    def watch(self, used: Iterable[Tensor]) -> Watch:
        """Return the guard: spots with one array still have one, and all others have different ones."""
        arrays = {id(self.arrays[t]) for t in used}
        spots = [spot for spot, array in zip(self.all, self._first, strict=True)
                  if id(array) in arrays or id(spot.get()) in arrays]
        return Watch(lambda: _pattern([spot.get() for spot in spots]), [spot.title for spot in spots], same)


def _pattern(arrays: list[Any]) -> tuple[int, ...]:
    """Say which of some objects are one: for each, the number of the first that it is."""
    first: dict[int, int] = {}
    return tuple([first.setdefault(id(array), i) for i, array in enumerate(arrays)])
