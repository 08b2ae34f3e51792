"""Steps that write the same cells take turns; all others may run at the same time."""
from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any
from weakref import WeakValueDictionary

__all__ = ["Turn", "turn"]


class Turn:
    """The lock of all programs that write some of the same cells, directly or by way of another program.

    Where a new program writes cells of two such sets, one lock stands for both from then on; a step that is under way
    ends under the other.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()                    # a user's own code may run a step inside a step
        self.other: Turn | None = None

    def now(self) -> Turn:
        """Return what stands for it now."""
        found = self
        while found.other is not None:
            found = found.other
        return found


#: The turn of each object whose cells some program writes, by its id, as long as there is such a program.
turns: WeakValueDictionary[int, Turn] = WeakValueDictionary()
making = threading.Lock()


def turn(owners: Iterable[Any]) -> Turn:
    """Return the lock of a program that writes the cells of these objects.

    Parameters
    ----------
    owners : iterable of object
        The program keeps them alive, and with them their ids.

    Examples
    --------
    >>> from chainrule.compiler.numpy_executor.locks import turn
    >>> a, b, c = {}, {}, {}
    >>> first, second = turn([a]), turn([b])
    >>> first.now() is second.now()
    False
    >>> both = turn([b, c, a])
    >>> first.now() is second.now() is both.now()
    True
    """
    with making:
        mine = Turn()
        for owner in owners:
            before = turns.get(id(owner), mine).now()
            if before is not mine:
                before.other = mine
            turns[id(owner)] = mine
        return mine
