"""What stands in a list of calls: an array that is always the same, or one that may be another at each run."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Holder", "call", "seen"]


class Holder:
    """Stands for what may be another array, or another number, at each run: it knows all places where it is wanted.

    Attributes
    ----------
    held : array or number
        What it is now.
    places : list of (list, int)
        The calls that take it.
    views : list of (callable, Holder)
        What is seen through it, made anew when it is another.

    Examples
    --------
    >>> from chainrule.compiler.numpy_executor.holder import Holder, call
    >>> x = Holder()
    >>> plus_one = call(lambda x, y: x + y, x, 1)
    >>> x.hold(5)
    >>> plus_one[1:]
    [5, 1]
    """

    __slots__ = ("held", "places", "views")

    def __init__(self) -> None:
        self.held: Any = None
        self.places: list[tuple[list[Any], int]] = []
        self.views: list[tuple[Callable[[Any], Any], Holder]] = []

    def hold(self, x: Any) -> None:
        """Stand for something else from now on."""
        self.held = x
        for call, i in self.places:
            call[i] = x
        for see, holder in self.views:
            holder.hold(see(x))


def call(*parts: Any) -> Sequence[Any]:
    """Return a call, ready to be made: a function and its arguments; a list, if holders have to keep it up to date."""
    if not any(isinstance(x, Holder) for x in parts):
        return parts
    made: list[Any] = []
    for i, x in enumerate(parts):
        if isinstance(x, Holder):
            x.places.append((made, i))
        made.append(x.held if isinstance(x, Holder) else x)
    return made


def seen(see: Callable[[Any], Any], x: Any) -> Any:
    """Return something seen through an array, such as a view of it; through a holder, a holder of that."""
    if not isinstance(x, Holder):
        return see(x)
    holder = Holder()
    x.views.append((see, holder))
    if x.held is not None:
        holder.hold(see(x.held))
    return holder
