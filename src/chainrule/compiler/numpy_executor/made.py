"""A call with everything in its place: it is written into a function, or listed to be made with others in one go."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..code import Code
from .holder import Holder, seen

__all__ = ["Made"]


class Made(NamedTuple):
    """A call of a function with operands that are there, or that holders stand for.

    With `out`, the function takes the memory of the result by that name.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.compiler.code import Code
    >>> from chainrule.compiler.numpy_executor.holder import Holder
    >>> from chainrule.compiler.numpy_executor.made import Made
    >>> x, z, code = Holder(), np.zeros(2), Code()
    >>> larger = Made(np.maximum, (x, 1.0), z)
    >>> code.line(larger.written(code))
    >>> x.hold(np.array([0.0, 3.0]))
    >>> code.function()()
    >>> z
    array([1., 3.])
    """

    function: Callable[..., Any]
    operands: tuple[Any, ...]
    out: Any = None

    def written(self, code: Code) -> str:
        """Return the call as text."""
        def text(x: Any) -> str:
            return f"{code.name(x)}.held" if isinstance(x, Holder) else code.name(x)

        by_name = [] if self.out is None else [f"out={text(self.out)}"]
        return f"{text(self.function)}({', '.join([*map(text, self.operands), *by_name])})"

    def listed(self) -> Sequence[Any]:
        """Return the function and its operands; a list, if holders have to keep it up to date."""
        function: Any = self.function
        if self.out is not None:
            function = seen(lambda out: partial(self.function, out=out), self.out)
        parts = function, *self.operands
        if not any(isinstance(x, Holder) for x in parts):
            return parts
        found: list[Any] = []
        for i, x in enumerate(parts):
            if isinstance(x, Holder):
                x.places.append((found, i))
            found.append(x.held if isinstance(x, Holder) else x)
        return found
