"""Places that guards look at: attributes, keys, variables, items of lists."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import CellType
from typing import Any

from .code import Code

__all__ = ["Place", "Places", "place", "places"]


@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """An attribute of an object, or, with `is_key`, what stands at a key of a dict or an index of a list."""

    owner: Any
    name: Any
    is_key: bool = False

    def get(self) -> Any:
        """Return what stands there now."""
        return self.owner[self.name] if self.is_key else getattr(self.owner, self.name)

    def text(self, code: Code) -> str:
        """Return the expression that reads it."""
        return (code.key if self.is_key else code.attribute)(self.owner, self.name)


class Places:
    """Some places, in order.

    Parameters
    ----------
    all : sequence of Place
    whole : list or dict, optional
        That these are all the items of: then it has to keep its length.

    Examples
    --------
    >>> from chainrule.compiler.places import places
    >>> settings = {"lr": 0.1, "momentum": 0.9}
    >>> places(settings, ["lr"])()
    [0.1]
    """

    def __init__(self, all: Iterable[Place], whole: Sequence[Any] | dict[Any, Any] | None = None) -> None:
        self.all, self.whole = list(all), whole
        self.length = 0 if whole is None else len(whole)

    def __call__(self) -> list[Any]:
        """Return what stands in all of them now; one thing too many, if these are no longer all the items."""
        changed = self.whole is not None and len(self.whole) != self.length
        return [None] * (len(self.all) + 1) if changed else [x.get() for x in self.all]


def place(owner: Any, name: Any) -> Place:
    """Return an attribute of an object, a key of a dict, or what a variable of a function holds."""
    return Place(owner, "cell_contents") if isinstance(owner, CellType) else Place(owner, name, isinstance(owner, dict))


def places(owner: Any, names: Iterable[Any]) -> Places:
    """Return some attributes, or keys, of an object."""
    return Places([place(owner, name) for name in names])
