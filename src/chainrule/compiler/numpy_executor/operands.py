"""What stands in the calls of a program: the arrays of its values, whole or in blocks, and its numbers."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from ..code import Code
from ..planning.blocks import Cut
from ..planning.facts import is_array, is_reduction
from ..planning.plan import Plan
from ..program import Application, Program, Value
from .calls import OUT, Call, InColumns, Ones, Shaped, copy_where
from .holder import Holder, seen
from .made import Made
from .numbers import Numbers

__all__ = ["Operands"]


class Operands:
    """The arrays of a program's values, in memory of its own, and its numbers.

    Attributes
    ----------
    places : dict of Value to array or Holder
        The array of each value; a holder where it may be another one at each run: of arguments, of cells, and of what
        gates make that cannot write into memory.
    numbers : Numbers
    wanted : dict of int to Holder
        The numbers that calls take as they are, by their place among the numbers.
    single : dict of (int, dtype) to array
        The numbers that calls take as arrays of one element.
    """

    def __init__(self, program: Program, layout: Plan) -> None:
        self.layout = layout
        self.numbers = Numbers(program)
        self.wanted: dict[int, Holder] = {}
        self.single: dict[tuple[int, Any], Any] = {}
        self.full: dict[Any, Any] = {}                   # constant arrays full of one number
        self.in_columns: dict[InColumns, Any] = {}
        self.places: dict[Value, Any] = dict(layout.buffers())
        self.places |= {x: np.array(array, order="C") for x, array in program.constants if is_array(x)}
        self.places |= {x: Holder() for x in (*program.arguments, *(x for _, x in program.reads)) if is_array(x)}

    def row(self, row: Value, numbers: Sequence[Any], spans: Sequence[slice]) -> None:
        """Make the array of a row of numbers, each as often as its span is long."""
        whole = self.places[row] = np.empty(*row.kind)
        for x, span in zip(numbers, spans, strict=True):
            if isinstance(x, Value):
                self.numbers.stored.append((self.numbers.places[x], whole[span]))
            else:
                whole[span] = x

    def view(self, a: Application) -> None:
        """Make the view that a gate makes."""
        rest, options = a.inputs[1:], a.options

        def picked(array: Any) -> Any:
            return array[rest if ... in rest else (*rest, ...)]    # without, one element would be no view

        def arranged(array: Any) -> Any:
            made = a.gate.forward(array, *rest, **options)
            return made if isinstance(made, np.ndarray) else array.reshape(())

        self.places[a.result] = seen(picked if a.gate.name == "getitem" else arranged, self.places[a.inputs[0]])

    def bound(self, c: Call, a: Application, cut: Cut | None = None, span: slice | None = None
              ) -> Made:
        """Return a call of a gate with everything in its place, for whole arrays or for one of their blocks."""
        dtype = _dtype(c, a)
        parts = [self.operand(x, a, dtype, cut, span) for x in c.operands]
        if isinstance(c.function, np.ufunc) and c.function.signature is None and prod(a.result.kind[0]) > 1:
            parts = [seen(_alone, part) if is_array(x) and prod(x.kind[0]) == 1 else part
                     for x, part in zip(c.operands, parts, strict=True)]
        if c.function is np.ndarray.dot and a.result in self.layout.columns:
            x, y, out = parts                            # (x y)ᵀ = yᵀ xᵀ, which lies row by row
            parts = [seen(np.transpose, y), seen(np.transpose, x), out.T]
        if not c.keyword:
            return Made(c.function, tuple(parts))
        out = self.operand(OUT, a, dtype, cut, span)
        if dtype is not None and not isinstance(out, Holder):        # two whole arrays are compared 2 to 3 times faster
            parts = [self.filled(x, out, dtype) if type(x) in (int, float) else part
                     for x, part in zip(c.operands, parts, strict=True)]
        return Made(c.function, tuple(parts), out)

    def operand(self, x: Any, a: Application, dtype: Any = None, cut: Cut | None = None, span: slice | None = None
                ) -> Any:
        """Return what stands in a call for an operand; a Python number as an array, if a dtype is given."""
        if isinstance(x, Shaped):
            return seen(lambda array: array.reshape(x.shape), self.operand(x.operand, a, dtype, cut, span))
        if isinstance(x, Ones):
            return self.filled(1, np.empty(x.shape), a.result.kind[1])
        if isinstance(x, InColumns):
            return self.in_columns.setdefault(x, np.empty(x.shape, x.dtype, order="F"))
        if x is OUT:
            return self.block(a.result, cut, span, is_reduction(a))
        if is_array(x):
            return self.block(x, cut, span)
        if isinstance(x, Value):
            return self.number(x, dtype)
        return self.filled(x, np.empty(()), dtype) if dtype is not None and type(x) in (int, float) else x

    def block(self, x: Value, cut: Cut | None, span: slice | None, is_reduced: bool = False) -> Any:
        """Return the array of a value, or one of its blocks."""
        place, shape = self.places[x], x.kind[0]
        if cut is None or span is None:
            return place
        if x in self.layout.partial:
            return place[:span.stop - span.start]
        if cut.flat:
            return seen(_alone if prod(shape) == 1 else lambda array: array.reshape(-1)[span], place)
        rows = len(shape) == len(cut.shape) and shape[0] == cut.shape[0]
        return seen(lambda array: array[span], place) if rows or is_reduced else place

    def number(self, x: Value, dtype: Any = None) -> Any:
        """Return what stands in a call for a number: an array of one element, or else a holder."""
        place = self.numbers.places[x]
        if dtype is None:
            return self.wanted.setdefault(place, Holder())
        if (place, dtype) not in self.single:
            self.single[place, dtype] = np.zeros((), dtype)
            self.numbers.stored.append((place, self.single[place, dtype]))
        return self.single[place, dtype]

    def filled(self, number: float, like: Any, dtype: Any) -> Any:
        """Return a constant array full of a number, that lies in memory as another does."""
        key = type(number), repr(number), like.shape, like.flags.c_contiguous, dtype
        if key not in self.full:
            self.full[key] = np.full_like(like, number, dtype)
        return self.full[key]

    def write(self, code: Code, asked: Iterable[Any]) -> None:
        """Write what computes the numbers, and puts them where they are wanted.

        Parameters
        ----------
        code : Code
        asked : iterable
            The values among which are those that `now` will be asked for.
        """
        numbers = self.numbers
        kept = {numbers.places[x] for x in asked if isinstance(x, Value) and x in numbers.places}
        numbers.write(code, kept)
        for place, holder in self.wanted.items():
            code.line(f"{code.name(holder.hold)}(n{place})")

    def now(self, x: Any) -> Any:
        """Return the array of a value, or the number, as it is now."""
        if not isinstance(x, Value):
            return x
        if not is_array(x):
            return self.numbers.now[self.numbers.places[x]]
        place = self.places[x]
        return place.held if isinstance(place, Holder) else place


def _alone(array: Any) -> Any:
    """Return the one element of an array as an array without axes, with which NumPy's loops are faster."""
    return array.reshape(())


def _dtype(c: Call, a: Application) -> Any:
    """Return the dtype that Python numbers take on where they meet the arrays of a call; None if they stay numbers.

    They take on that of floating-point arrays; and an array of one element takes NumPy half as long as a number.
    """
    if c.function is copy_where:
        found = {a.result.kind[1]}
    elif isinstance(c.function, np.ufunc):
        read = c.operands if c.keyword else c.operands[:-1]
        found = {a.result.kind[1] if x is OUT else x.kind[1] for x in read if x is OUT or is_array(x)}
    else:
        return None
    return found.pop() if len(found) == 1 and next(iter(found)).kind in "fc" else None
