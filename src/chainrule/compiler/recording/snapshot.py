"""What a step finds in cells and attributes when it begins, to be put back, and how attributes may be afterwards."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dis import get_instructions
from functools import lru_cache
from operator import is_
from types import FunctionType
from typing import Any

from ...mode import tick
from ...nn import Layer
from ...nn.layer import OWN
from ...optim import Optimizer
from ...source import Place
from ...state import put
from ...tensor import Tensor
from ..errors import RecordingError
from ..places import Place as At
from ..places import Places, places
from ..program import Cell
from .guards import SCALARS, Watch, same

__all__ = ["Snapshot", "Stood", "alike"]

#: What a layer notes for itself, which decides nothing.
NOTES = OWN - {"_hooks", "_pre_hooks"}
CONTAINERS = (list, tuple, dict)
DEEP = 4                                             #: how far into lists in lists one looks
LONG = 1000                                          #: a list that is longer holds data, and is not looked through
MISSING = object()


class Stood:
    """What stands in a cell before a step sets it, to be put back.

    Parameters
    ----------
    cell : Cell
    """

    def __init__(self, cell: Cell) -> None:
        self.cell, owner = cell, cell.owner
        self.held = owner.get(cell.name, MISSING) if isinstance(owner, dict) else getattr(owner, cell.name)
        self.lent = isinstance(owner, Tensor) and owner.lent

    def undo(self) -> None:
        """Put it back."""
        owner, name = self.cell.owner, self.cell.name
        if isinstance(owner, Tensor) and name == "array":
            if owner.array is not self.held:
                owner.array, owner.lent, owner.moment = self.held, self.lent, tick()
        elif self.held is MISSING:
            owner.pop(name, None)
        else:
            put(owner, name, self.held)


class Snapshot:
    """What stood in the attributes of an object, and in the lists, tuples and dicts among them.

    Parameters
    ----------
    owner : object
        A layer, an optimizer, or anything that has attributes.
    title : str
        What it is called in messages.
    """

    def __init__(self, owner: Any, title: str) -> None:
        self.owner, self.title = owner, title
        self.before = self._look()
        self.set: list[tuple[Cell, Any]] = []          # what a layer by hand has noted: a shape, say
        self.held: dict[str, Any] | None = None
        if hasattr(owner, "__dict__") and not isinstance(owner, Layer | Optimizer):
            self.held = dict(vars(owner))

    def _look(self) -> dict[str, Any]:
        """Return everything, by its path."""
        if isinstance(self.owner, Optimizer):
            return {}                                  # what it counts and moves are cells
        return dict(pair for name in self._names() for pair in _leaves(getattr(self.owner, name), name))

    def _names(self) -> list[str]:
        """Name the attributes that count."""
        named = getattr(self.owner, "__dict__", {})
        if not isinstance(self.owner, Layer):
            notes = getattr(type(self.owner), "notes", ())
            return [name for name in named if name not in notes]
        if self.owner.is_handwritten:                  # its own code runs at each call; what it meets there is its own
            return ["training", *[name for name, x in named.items() if isinstance(x, Tensor | Layer)]]
        return list(dict.fromkeys(["training", "_hooks", "_pre_hooks", *[n for n in named if n not in NOTES]]))

    def home(self, array: Any) -> tuple[Cell, str] | None:
        """Return the attribute in which an array stands, and what it is called; None if it stands in none."""
        for name, x in getattr(self.owner, "__dict__", {}).items():
            if x is array:
                return Cell(self.owner, name), f"{self.title}.{name}"
        return None

    def settle(self, values: Mapping[Tensor, Any], cells: Collection[tuple[int, str]],
               line: Callable[[str, Any], Place | None]) -> list[tuple[Cell, Tensor]]:
        """Return the attributes that the step has set to what it computed, and refuse any other change.

        Parameters
        ----------
        values : mapping
            What the step knows of tensors.
        cells : collection of (int, str)
            The attributes that it writes as cells, by the ids of their owners.
        line : callable
            ``line(name, owner)``: where the user's code sets an attribute.
        """
        now, kept = self._look(), []
        entries = {f"{path}[{key!r}]" for path, x in now.items() if isinstance(x, dict) for key in x
                   if (id(x), key) in cells}           # of dicts whose keys are cells
        noted = [name for name in _stored(self.owner.__class__) if _is_fixed(now.get(name, self))]
        self.set = [(Cell(self.owner, name), now[name]) for name in noted]
        for path in dict.fromkeys([*self.before, *now]):
            name = path.partition("[")[0]
            a, b = now.get(path, MISSING), self.before.get(path, MISSING)
            if same(a, b) or (id(self.owner), name) in cells or path in entries or (
                    isinstance(a, CONTAINERS) and type(a) is type(b) and len(a) == len(b)):
                continue
            if path == name and isinstance(a, Tensor) and a in values:
                kept.append((Cell(self.owner, name), a))
                continue
            if name in noted:
                continue
            went = "appeared" if b is MISSING else "went" if a is MISSING else f"went from {_said(b)} to {_said(a)}"
            raise RecordingError(
                f"{self.title}.{path} {went} in the step; that is done in Python, and a replay would not repeat it. "
                "Count and collect outside the step, return what is to be looked at, or keep it in chainrule.cell",
                line(name, self.owner))
        return kept

    def undo(self) -> None:
        """Give a plain object the attributes again that it had."""
        if self.held is not None:
            now = vars(self.owner)
            for name in [name for name in now if name not in self.held]:
                del now[name]
            now.update(self.held)

    def watches(self, written: Collection[tuple[int, str]]) -> Iterator[Watch]:
        """Yield the guards: what a program takes for granted of the object.

        Parameters
        ----------
        written : collection of (int, str)
            The attributes that are cells, by the ids of their owners, and may be anything.
        """
        owner, title = self.owner, self.title
        if isinstance(owner, Optimizer):
            yield from _of_optimizer(owner, title)
            return
        left = getattr(type(owner), "leaves", ())      # what it leaves behind, and does not look at
        names = [name for name in self._names() if (id(owner), name) not in written and name not in left]
        if names:
            yield Watch(places(owner, names), [f"{title}.{name}" for name in names], same,
                        clocked=isinstance(owner, Layer))
        for name in names:
            for path, x in _leaves(getattr(owner, name), f"{title}.{name}"):
                if isinstance(x, list | dict):
                    yield _contents(x, path, written)


def alike(x: Any, before: Any) -> bool:
    """Tell whether the same objects stand in a dict or a list as before."""
    if isinstance(x, dict) and list(x) != list(before):
        return False
    mine, theirs = (y.values() if isinstance(y, dict) else y for y in (x, before))
    return len(x) == len(before) and all(map(is_, mine, theirs))


def _leaves(value: Any, path: str, depth: int = DEEP) -> Iterator[tuple[str, Any]]:
    """Yield an attribute, and what stands in it if it is a list, a tuple or a dict, with the path to each."""
    yield path, value
    if isinstance(value, CONTAINERS) and len(value) > LONG:
        return
    if depth and isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _leaves(item, f"{path}[{i}]", depth - 1)
    elif depth and isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}[{key!r}]", depth - 1)


def _contents(x: list[Any] | dict[Any, Any], path: str, cells: Collection[tuple[int, str]] = ()) -> Watch:
    """Watch what stands in a list or a dict, apart from cells."""
    keys = [key for key in x if (id(x), key) not in cells] if isinstance(x, dict) else range(len(x))
    return Watch(Places([At(x, key, True) for key in keys], whole=x), [f"{path}[{key!r}]" for key in keys], same)


def _of_optimizer(owner: Optimizer, title: str) -> Iterator[Watch]:
    """Watch the parameters of an optimizer, where their state is, and what a subclass keeps in plain attributes."""
    plain = [name for name, x in vars(owner).items() if isinstance(x, SCALARS)]
    names = ["param_groups", "state", *plain]
    yield Watch(places(owner, names), [f"{title}.{name}" for name in names], same)
    yield _contents(owner.param_groups, f"{title}.param_groups")
    for i, group in enumerate(owner.param_groups):
        params = group["params"]
        yield _contents(params, f"{title}.param_groups[{i}]['params']")
        kept = {j: p for j, p in enumerate(params) if p in owner.state}      # plain SGD keeps nothing
        yield Watch(places(owner.state, kept.values()), [f"{title}.state of parameter {j}" for j in kept], same)


@lru_cache(256)
def _stored(kind: Any) -> tuple[str, ...]:
    """Name the attributes that a layer by hand, which is no `Layer`, sets in its forward and its backward."""
    methods = [vars(base).get(name) for base in kind.__mro__ for name in ("forward", "backward")]
    if issubclass(kind, Layer) or None in (getattr(kind, "forward", None), getattr(kind, "backward", None)):
        return ()
    return tuple(dict.fromkeys(i.argval for method in methods if isinstance(method, FunctionType)
                               for i in get_instructions(method) if i.opname == "STORE_ATTR"))


def _is_fixed(x: Any) -> bool:
    """Tell whether something is a number, or a tuple of numbers."""
    return isinstance(x, SCALARS) or (isinstance(x, tuple) and all(map(_is_fixed, x)))


def _said(x: Any) -> str:
    return repr(x)[:60] if isinstance(x, SCALARS) else f"a {type(x).__name__}"
