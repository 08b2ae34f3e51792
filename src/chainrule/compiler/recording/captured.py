"""What a step finds outside itself: the variables that it and the user's functions behind it take from around them."""
from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Collection, Iterable, Iterator
from copy import copy
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from ...nn import Layer
from ...nn.plain import is_plain
from ...optim import Optimizer
from ...source import Place
from ...tensor import Tensor
from ..errors import RecordingError
from ..places import places
from ..program import Cell
from .guards import SCALARS, Watch, same
from .snapshot import LONG, Snapshot, alike
from .spots import Spot, walk
from .untouched import Untouched

__all__ = ["Captured"]

#: Functions of these packages are followed by their gates, not by their variables.
LIBRARIES = frozenset({__name__.partition(".")[0], np.__name__})
#: But the classes of this one are as the user's own: objects with plain arrays in their attributes.
BY_HAND = f"{__name__.partition('.')[0]}.by_hand"
CODE = (FunctionType, BuiltinFunctionType, MethodType, ModuleType, type)
EMPTY = object()
#: Methods of the library that set an attribute.
SETTERS = {"training": ("train", "eval")}


class Captured:
    """The closure variables of a step, the globals that it names, and the attributes of the object it is a method of.

    Functions of the user's that stand there are looked into as well.

    Parameters
    ----------
    step : callable
    read : iterable of Spot
        Where arrays stand that it is known to compute with as they are.
    """

    def __init__(self, step: Any, read: Iterable[Spot] = ()) -> None:
        self.variables: list[tuple[str, Any, str]] = []      # (title, owner, name)
        self.found: dict[int, str] = {}                      # titles of objects, by their ids
        self.codes: list[CodeType] = []                      # of the step, and of the user's functions that it calls
        self._seen: set[int] = set()
        self._look_into(step)
        self.before = self._values()
        self.things: dict[int, tuple[Any, str]] = {}         # objects with attributes, by their ids, and titles
        found = [(spot, spot.get().dtype.kind == "f") for spot in self._spots()]
        self.spots = [spot for spot, of_floats in found if of_floats]       # a recorder has something stand there
        self.others = Untouched([*read, *[spot for spot, of_floats in found if not of_floats]])

    # ------------------------------------------------------------------ looking
    def _look_into(self, step: Any) -> None:
        """Take in the variables of a callable, and of the user's functions among them."""
        if id(step) in self._seen:
            return
        self._seen.add(id(step))
        if isinstance(step, functools.partial):
            self._look_into(step.func)
            for name, value in [*((type(x).__name__, x) for x in step.args), *step.keywords.items()]:
                self._look_at(value, name)
        elif isinstance(step, MethodType):
            self._look_into(step.__func__)
            self._object(step.__self__)
        elif isinstance(step, FunctionType):
            self._look_into(getattr(step, "__wrapped__", step))
            self._function(step)
        elif not isinstance(step, Layer | type) and isinstance(vars(type(step)).get("__call__"), FunctionType):
            self._look_into(MethodType(vars(type(step))["__call__"], step))

    def _object(self, thing: Any) -> None:
        """Take in the attributes of the object whose method the step is."""
        if isinstance(thing, Layer | Optimizer) or _is_ours(thing):
            return                                     # it says itself when it is used
        for name in getattr(thing, "__dict__", ()):
            self._variable(f"self.{name}", thing, name)

    def _function(self, step: FunctionType) -> None:
        if (step.__module__ or "").partition(".")[0] in LIBRARIES:
            return
        self.codes.append(step.__code__)
        for name, cell in zip(step.__code__.co_freevars, step.__closure__ or (), strict=True):
            self._variable(name, cell, "cell_contents")
        for name in _names(step.__code__):
            if name in step.__globals__:
                self._variable(name, step.__globals__, name)
        for value in (*(step.__defaults__ or ()), *(step.__kwdefaults__ or {}).values()):
            self._look_at(value, type(value).__name__)

    def _variable(self, title: str, owner: Any, name: str) -> None:
        value = _get(owner, name)
        if value is EMPTY or any(o is owner and n == name for _, o, n in self.variables):
            return
        self.variables.append((title, owner, name))
        self._look_at(value, title)

    def _look_at(self, value: Any, title: str) -> None:
        if not isinstance(value, (*SCALARS, *CODE)):
            self.found.setdefault(id(value), title)
        if isinstance(value, FunctionType | MethodType | functools.partial):
            self._look_into(value)

    def _values(self) -> list[Any]:
        return [_frozen(_get(owner, name)) for _, owner, name in self.variables]

    # ------------------------------------------------------------------ what a recorder asks
    def home(self, array: Any) -> tuple[Cell, str] | None:
        """Return the variable in which an array stands, and what it is called; None if it stands in none."""
        for title, owner, name in self.variables:
            if _get(owner, name) is array:
                return Cell(owner, name), title
        return None

    def _spots(self) -> Iterator[Spot]:
        direct = {id(_get(owner, name)) for _, owner, name in self.variables}

        def into(thing: Any, title: str) -> bool:
            if _is_ours(thing) or isinstance(thing, (Layer, Optimizer, Tensor, *CODE)) or not (
                    id(thing) in direct or is_plain(thing)):
                return False
            self.things.setdefault(id(thing), (thing, self.found.get(id(thing), title)))
            return True

        seen: dict[int, Any] = {}
        for title, owner, name in self.variables:
            yield from walk(title, owner, name, _get(owner, name), into, seen)
        self.containers: list[tuple[Any, Any]] = [(x, copy(x)) for x in seen.values() if isinstance(x, dict | list)]

    def undo(self) -> None:
        """Give dicts, lists and arrays the contents again that they had."""
        self.others.undo()
        for x, before in self.containers:
            if alike(x, before):
                continue
            if isinstance(x, list):
                x[:] = before
            else:
                x.clear()
                x.update(before)

    def snapshots(self) -> dict[int, Snapshot]:
        """Return what the step must not change by Python: the attributes of plain objects, such as schedules."""
        return {key: Snapshot(thing, title) for key, (thing, title) in self.things.items()}

    def settle(self, cells: Collection[tuple[int, Any]]) -> None:
        """Refuse a step that has changed its variables in Python.

        Parameters
        ----------
        cells : collection of (int, key)
            The variables, and entries of dicts and lists, that are cells, by the ids of their owners.
        """
        for (title, owner, name), before in zip(self.variables, self.before, strict=True):
            thing = _get(owner, name)
            now = _frozen(thing)
            if not _unchanged(now, before, _entries(thing, cells)) and (id(owner), name) not in cells:
                how = f"went from {before!r:.40} to {now!r:.40}" if isinstance(before, SCALARS) else "was changed"
                raise RecordingError(
                    f"the variable {title} {how} in the step; that is done in Python, and a replay would not "
                    "repeat it. Count and collect outside the step, or keep it in chainrule.cell",
                    self.line(title.rpartition(".")[2]))
        self.others.settle(self.line)

    def watches(self, written: Iterable[tuple[int, str]]) -> Iterator[Watch]:
        """Yield the guards: what a program takes for granted of the variables."""
        owners: dict[int, tuple[Any, list[tuple[str, str]]]] = {}
        for title, owner, name in self.variables:
            if (id(owner), name) not in written:
                owners.setdefault(id(owner), (owner, []))[1].append((title, name))
        for owner, named in owners.values():
            yield Watch(places(owner, [name for _, name in named]), [f"the variable {title}" for title, _ in named],
                        same)

    # ------------------------------------------------------------------ lines
    def line(self, name: str, owner: Any = None) -> Place | None:
        """Return where the user's code sets a variable or an attribute, else where it names it, else where it begins.

        Parameters
        ----------
        name : str
        owner : object, optional
            Whose methods are looked at too.
        """
        codes = list(self.codes)
        if owner is not None and not _is_ours(owner):
            codes += [inspect.unwrap(f).__code__ for method, f in vars(type(owner)).items()
                      if isinstance(f, FunctionType) and method != "__init__"]
        names = (name, *SETTERS.get(name, ()))
        named = [(code, i) for code in codes for code, i in _instructions(code)
                 if isinstance(i.argval, str) and i.argval in names]
        sets = [pair for pair in named if pair[1].opname.startswith(("STORE_", "DELETE_"))]
        for code, instruction in (*sets[:1], *named[-1:]):
            return Place(code, instruction.offset)
        return Place(codes[0], 0) if codes else None

    def returns(self) -> Place | None:
        """Return the last line from which the step returns; of a generator, the first that yields."""
        for code in self.codes[:1]:
            found = list(dis.get_instructions(code))
            yields = [i for i in found if i.opname == "YIELD_VALUE"][:1]
            for last in yields or [i for i in found if i.opname.startswith("RETURN_")][-1:]:
                return Place(code, last.offset)
        return None

    # ------------------------------------------------------------------ names
    def title(self, owner: Any) -> str:
        """Return what an object is called, as far as it stands in a variable."""
        return self.found.get(id(owner)) or getattr(owner, "name", "") or type(owner).__name__

    def names(self, reached: Iterable[Snapshot]) -> dict[int, str]:
        """Return names for the owners of cells, by their ids: ``model.0.weight``, ``optimizer.param_groups[0]``."""
        names: dict[int, str] = {}
        for snapshot in reached:
            owner, title = snapshot.owner, snapshot.title
            if isinstance(owner, Layer):
                for path, layer in owner.named_layers(title):
                    names.setdefault(id(layer), path)
                for path, t in (*owner.named_parameters(title), *owner.named_buffers(title)):
                    names.setdefault(id(t), t.name or path)
            elif not isinstance(owner, Optimizer):
                names.setdefault(id(owner), title)
                for name, x in getattr(owner, "__dict__", {}).items():
                    if isinstance(x, dict):
                        names.setdefault(id(x), f"{title}.{name}")
        for snapshot in reached:
            if isinstance(snapshot.owner, Optimizer):
                for i, group in enumerate(snapshot.owner.param_groups):
                    names.setdefault(id(group), f"{snapshot.title}.param_groups[{i}]")
                for i, (p, state) in enumerate(snapshot.owner.state.items()):
                    names.setdefault(id(state), f"{snapshot.title}.state[{names.get(id(p)) or p.name or i}]")
        return {**names, **{key: title for key, title in self.found.items() if key not in names}}


class _Items(tuple[Any, ...]):
    """What a list, a dict or a set held, with the container itself in front."""


def _frozen(x: Any) -> Any:
    """Return what shows later whether a variable is what it was: of a container, what is in it."""
    if isinstance(x, list | dict | set):
        return _Items([x, len(x), *((x.values() if isinstance(x, dict) else x) if len(x) <= LONG else ())])
    return x


def _entries(x: Any, cells: Collection[tuple[int, Any]]) -> set[int]:
    """Return which entries of a container are cells, by where `_frozen` puts them."""
    keys = x if isinstance(x, dict) else range(len(x)) if isinstance(x, list) else ()
    return {i for i, key in enumerate(keys, 2) if (id(x), key) in cells}


def _unchanged(now: Any, before: Any, cells: Collection[int] = ()) -> bool:
    if isinstance(now, _Items) and isinstance(before, _Items):
        return len(now) == len(before) and all(
            same(a, b) for i, (a, b) in enumerate(zip(now, before, strict=True)) if i not in cells)
    return same(now, before)


def _is_ours(thing: Any) -> bool:
    module = type(thing).__module__
    return module.partition(".")[0] in LIBRARIES and not module.startswith(BY_HAND)


def _get(owner: Any, name: str) -> Any:
    """Return what stands in a variable; EMPTY if there is nothing."""
    try:
        return owner[name] if isinstance(owner, dict) else getattr(owner, name)
    except (KeyError, AttributeError, ValueError):
        return EMPTY


def _instructions(code: CodeType) -> Iterator[tuple[CodeType, dis.Instruction]]:
    """Yield the instructions of a piece of code, and of what is defined inside it, each with its code."""
    for i in dis.get_instructions(code):
        yield code, i
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _instructions(inner)


@functools.lru_cache(256)
def _names(code: CodeType) -> tuple[str, ...]:
    """Name the globals that a piece of code, and what is defined inside it, looks up."""
    names = [i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    names += [name for inner in code.co_consts if isinstance(inner, CodeType) for name in _names(inner)]
    return tuple(dict.fromkeys(names))
