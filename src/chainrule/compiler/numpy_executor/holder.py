"""What stands in calls for an array, or a number, that may be another one at each run."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Holder", "seen"]


class Holder:
    """Stands for what may be another array, or another number, at each run.

    Attributes
    ----------
    held : array or number
        What it is now.
    places : list of (list, int)
        Where it stands in lists of calls, which are kept up to date.
    views : list of (callable, Holder)
        What is seen through it, made anew when it is another.

    Examples
    --------
    >>> from chainrule.compiler.numpy_executor.holder import Holder, seen
    >>> x = Holder()
    >>> doubled = seen(lambda x: 2 * x, x)
    >>> x.hold(5)
    >>> doubled.held
    10
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


def seen(see: Callable[[Any], Any], x: Any) -> Any:
    """Return something seen through an array, such as a view of it; through a holder, a holder of that."""
    if not isinstance(x, Holder):
        return see(x)
    holder = Holder()
    x.views.append((see, holder))
    if x.held is not None:
        holder.hold(see(x.held))
    return holder
