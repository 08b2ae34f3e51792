"""Guards: what was taken for granted while a step was recorded, and has to hold for its program to apply.

They are looked at before each call, so what is as it was costs little: a comparison of identities, written out as one
expression. Only what is another object than the last time is compared by its meaning.
"""
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import is_
from typing import Any

import numpy as np

from ...state import holds, touched
from ...tensor import Dropped, Tensor
from ..code import Code
from ..places import Places, place
from ..program import Cell, kind

__all__ = ["GONE", "SCALARS", "Guards", "Watch", "same"]

#: What is compared by its value; everything else is what it is by identity.
SCALARS = (bool, int, float, complex, str, bytes, np.generic, np.dtype, type(None))
Agree = Callable[[Any, Any], bool]


class Watch:
    """Some places that are compared in the same way.

    Parameters
    ----------
    read : Places or callable
        Gives what stands in all of them now: anything that can be iterated.
    titles : sequence of str
        What they are called in messages.
    agree : callable
        ``agree(now, before)``: whether the program still applies.
    held : sequence, optional
        What stood in them when the step began; by default what stands there now.
    moves : bool
        Whether it is another object at each step, such as a learning rate: then its type is what counts.
    clocked : bool
        Whether `chainrule.state.touched` tells when one of them is set.
    """

    __slots__ = ("agree", "clocked", "held", "moves", "read", "titles")

    def __init__(self, read: Callable[[], Iterable[Any]], titles: Sequence[str], agree: Agree,
                 held: Iterable[Any] | None = None, moves: bool = False, clocked: bool = False) -> None:
        self.read, self.titles, self.agree, self.moves, self.clocked = read, titles, agree, moves, clocked
        self.held = list(read() if held is None else held)

    def holds(self) -> bool:
        """Tell whether everything is as it was, or as good; if so, that is what it is from now on."""
        try:
            now = list(self.read())
        except GONE:
            return False
        if len(now) != len(self.held) or not all(map(self.agree, now, self.held)):
            return False
        self.held = now
        return True

    def is_still(self) -> bool:
        """Tell whether every object is the very one that it was."""
        now = list(self.read())
        return len(now) == len(self.held) and all(map(is_, now, self.held))

    def texts(self, code: Code, slot: Callable[[Any], str]) -> Iterator[str]:
        """Yield expressions that are true as long as every object, or its type, is the one that it was.

        Parameters
        ----------
        code : Code
        slot : callable
            Puts an object where it can be replaced, and returns the expression that reads it there.
        """
        if not isinstance(self.read, Places):
            yield f"{code.name(self.is_still)}()"
            return
        if self.read.whole is not None:
            yield f"len({code.name(self.read.whole)}) == {self.read.length}"
        for each, x in zip(self.read.all, self.held, strict=True):
            text = each.text(code)
            yield f"type({text}) is {slot(type(x))}" if self.moves else f"{text} is {slot(x)}"

    def changed(self) -> str:
        """Say what is not as it was; nothing if all is."""
        try:
            now = list(self.read())
        except GONE as error:
            return f"{', '.join(dict.fromkeys(self.titles))}: {error} is no longer there"
        if len(now) != len(self.held):
            return f"{self.titles[0] if self.titles else 'something'} has another length"
        for title, a, b in zip(self.titles, now, self.held, strict=False):
            if a is not b and not self.agree(a, b):
                return f"{title} went from {_said(b)} to {_said(a)}"
        return ""


#: What reading from a place raises that is no longer there.
GONE = (AttributeError, KeyError, IndexError, ValueError)


class Guards:
    """All that was taken for granted in one recording.

    Attributes
    ----------
    taken : list of (test, Cell, answer)
        The decisions among them: ``test(cell.get())`` gave this answer.
    """

    def __init__(self) -> None:
        self.taken: list[tuple[Callable[[Any], Any], Cell, Any]] = []
        self.kinds: list[tuple[Cell, Any]] = []
        self.answers: list[tuple[Cell, Any]] = []
        self.watches: list[Watch] = []
        self.objects: list[Any] = []                     # what stood in the places that no clock tells of, or its type
        self.touched = -1

    def cell(self, cell: Cell) -> None:
        """Take the kind of what a cell holds for granted: shape and dtype, a type of number, or None."""
        _kind(cell.get())
        self.kinds.append((cell, _raw(cell)))

    def forget(self, owner: Any) -> None:
        """Take nothing for granted of the cells of an object."""
        self.kinds = [(cell, x) for cell, x in self.kinds if cell.owner is not owner]

    def given(self, cell: Cell) -> bool:
        """Take for granted whether a cell holds something; tell which."""
        answer = holds(cell.get())
        self.taken.append((holds, cell, answer))
        self.answers.append((cell, _raw(cell)))
        return answer

    def seal(self, watches: Iterable[Watch], title: Callable[[Cell], str]) -> None:
        """Make of what was taken for granted what is looked at before each call.

        Parameters
        ----------
        watches : iterable of Watch
            What there is beside the cells.
        title : callable
            Names a cell.
        """
        moving = [pair for pair in self.kinds if _moves(pair[1])]
        fixed = [pair for pair in self.kinds if not _moves(pair[1])]
        for cells, agree, moves in ((moving, _same_kind, True), (fixed, _same_kind, False),
                                    (self.answers, _same_answer, False)):
            for clocked in (True, False):
                group = [pair for pair in _once(cells) if _is_clocked(pair[0]) is clocked]
                self.watches.append(Watch(Places([place(cell.owner, cell.name) for cell, _ in group]),
                                          [title(cell) for cell, _ in group], agree, [x for _, x in group], moves,
                                          clocked))
        self.watches += watches
        self.watched = [watch for watch in self.watches if not watch.clocked]
        code = Code()
        code.line(f"return {self.text(code)}")
        self.is_still: Callable[[], bool] = code.function()
        self._hold_on()

    def text(self, code: Code) -> str:
        """Return an expression that is true as long as everything is the very object that it was when last compared.

        It raises one of `GONE` if something is not there.
        """
        count = itertools.count()
        texts = [text for watch in self.watched
                 for text in watch.texts(code, lambda _: f"{code.name(self.objects)}[{next(count)}]")]
        return " and ".join([f"{code.name(touched)}[0] == {code.name(self)}.touched", *texts])

    def _hold_on(self) -> None:
        self.objects[:] = [type(x) if watch.moves else x for watch in self.watched if isinstance(watch.read, Places)
                           for x in watch.held]

    def hold(self) -> bool:
        """Tell whether all that was taken for granted still holds."""
        now = touched[0]
        try:
            if self.is_still():
                return True
        except GONE:
            return False
        if not all(watch.holds() for watch in self.watches):
            return False
        self._hold_on()
        self.touched = now
        return True

    def changed(self) -> str:
        """Say what no longer holds; nothing if everything does."""
        return next(filter(None, [watch.changed() for watch in self.watches]), "")


def _moves(x: Any) -> bool:
    return isinstance(x, Tensor | Dropped) or (isinstance(x, int | float) and not isinstance(x, bool))


def _raw(cell: Cell) -> Any:
    """Return the very object that stands in a cell."""
    return cell.owner.get(cell.name) if isinstance(cell.owner, dict) else getattr(cell.owner, cell.name)


def _once(cells: Iterable[tuple[Cell, Any]]) -> Iterable[tuple[Cell, Any]]:
    """Return each cell once, with what was first seen in it."""
    return {cell.key: (cell, x) for cell, x in reversed(list(cells))}.values()


def _is_clocked(cell: Cell) -> bool:
    return isinstance(cell.owner, Tensor) and cell.name == "tracked"


# ------------------------------------------------------------------ what is as good as before
def same(now: Any, before: Any) -> bool:
    """Tell whether two things are one: by value for scalars, where -0.0 is not 0.0, by identity for all else."""
    return now is before or (isinstance(now, SCALARS) and type(now) is type(before) and repr(now) == repr(before))


def _same_kind(now: Any, before: Any) -> bool:
    try:
        return bool(_kind(now) == _kind(before))
    except TypeError:
        return False


def _same_answer(now: Any, before: Any) -> bool:
    return holds(now) == holds(before)


def _kind(value: Any) -> Any:
    """Return the kind of what stands in a cell."""
    if isinstance(value, Tensor):
        value = value.array
    elif isinstance(value, Dropped):
        return "dropped" if value.held is None else _kind(value.held)
    return kind(value.item() if isinstance(value, np.generic) else value)


def _said(x: Any) -> str:
    if isinstance(x, Tensor | np.ndarray):
        return f"{x.dtype} {x.shape}"
    return repr(x)[:60] if isinstance(x, (*SCALARS, tuple)) else f"another {type(x).__name__}"
