"""Which matrices lie in memory column by column, because their rows are too short for NumPy's loops."""
from __future__ import annotations

from ..program import Application, Program, Value
from .blocks import BLOCK
from .facts import LONG, arrays, is_array, is_elementwise, is_reduction, is_view

__all__ = ["in_columns"]

SHORT = 32                               #: elements: rows of as many may as well be written out


def in_columns(program: Program) -> frozenset[Value]:
    """Return the matrices with many short rows that may lie in memory column by column.

    NumPy's innermost loop runs along the memory. With a bias added to each row it is as short as the row, or, column by
    column, as long as there are rows. All matrices that meet in elementwise gates have to lie alike; products, sums and
    transposes do not mind. A matrix stays row by row if anything else is done with one that it meets.

    Parameters
    ----------
    program : Program

    Returns
    -------
    frozenset of Value
    """
    alike = _Sets()
    made = {a.result for a in program.applications if (is_elementwise(a) or _is_product(a)) and _is_narrow(a.result)}
    unfit = {x for a in program.applications for x in (*arrays(a), a.result) if x not in made} | {*program.homes}
    elsewhere = {x for a in program.applications if not _is_product(a) for x in arrays(a)}      # not only in products
    for a in program.applications:
        narrow = [x for x in (*arrays(a), a.result) if _is_narrow(x)]
        if is_elementwise(a):
            for x in narrow:
                if x.kind[0] == a.result.kind[0]:
                    alike.join(x, a.result)
        elif a.gate.name == "transpose" and is_view(a) and len(a.result.kind[0]) == 2:
            if a.result in elsewhere:
                unfit.update(narrow)
        elif not (_is_product(a) or is_reduction(a)):
            unfit.update(narrow)
    spoilt = {alike.of(x) for x in unfit}
    return frozenset(x for x in made if alike.of(x) not in spoilt)


def _is_narrow(x: Value) -> bool:
    shape: tuple[int, ...] = x.kind[0] if is_array(x) else ()
    return len(shape) == 2 and 1 < shape[1] < SHORT and shape[0] >= LONG and shape[0] * shape[1] <= 2 * BLOCK


def _is_product(a: Application) -> bool:
    """Tell whether a gate is a product of two matrices of one dtype."""
    return a.gate.name == "matmul" and [len(x.kind[0]) for x in arrays(a)] == [2, 2] and len(
        {x.kind[1] for x in (*arrays(a), a.result)}) == 1


class _Sets:
    """Disjoint sets of values."""

    def __init__(self) -> None:
        self.above: dict[Value, Value] = {}

    def of(self, x: Value) -> Value:
        """Return the one that stands for the set of a value."""
        while x in self.above:
            x = self.above[x]
        return x

    def join(self, x: Value, y: Value) -> None:
        """Make one set of two."""
        x, y = self.of(x), self.of(y)
        if x is not y:
            self.above[x] = y
