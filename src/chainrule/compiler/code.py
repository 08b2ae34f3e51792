"""Python functions that are written for one program: what is looked at and computed at each call, without a loop."""
from __future__ import annotations

from collections.abc import Callable
from keyword import iskeyword
from typing import Any

__all__ = ["Code", "line_of"]


class Code:
    """A Python function in the making.

    What is done at each call of a compiled step is written out once: the interpreter runs a line such as ``a.b is c``
    in less time than one turn of a loop over what to compare.

    Parameters
    ----------
    *arguments : str
        The names of the function's arguments.

    Examples
    --------
    >>> from chainrule.compiler.code import Code
    >>> code, found = Code("x"), []
    >>> code.line(f"{code.name(found)}.append(x + 1)")
    >>> code.function()(2)
    >>> found
    [3]
    """

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments
        self.objects: dict[str, Any] = {}
        self.names: dict[int, str] = {}
        self.lines: list[str] = []

    def name(self, x: Any) -> str:
        """Return the name of an object in the function; no object has two."""
        name = self.names.setdefault(id(x), f"_{len(self.names)}")
        self.objects[name] = x
        return name

    def attribute(self, owner: Any, name: str) -> str:
        """Return the expression that reads an attribute."""
        return f"{self.name(owner)}.{name}" if _is_plain(name) else f"getattr({self.name(owner)}, {name!r})"

    def key(self, owner: Any, key: Any) -> str:
        """Return the expression that reads what stands at a key, or at an index."""
        return f"{self.name(owner)}[{repr(key) if isinstance(key, str | int) else self.name(key)}]"

    def line(self, text: str) -> None:
        """Add a line."""
        self.lines.append(f"    {text}")

    def function(self) -> Callable[..., Any]:
        """Return the function."""
        known = [f"{name}={name}" for name in self.objects]          # as arguments they are read fastest
        source = f"def written({', '.join((*self.arguments, *known))}):\n" + "\n".join(self.lines or ["    pass"])
        there = dict(self.objects)
        exec(compile(source, "<written for a program>", "exec"), there)
        return there["written"]                          # type: ignore[no-any-return]


def line_of(error: BaseException, function: Callable[..., Any]) -> int | None:
    """Return which line of a written function an exception came through, from 0 on; None if it came from elsewhere."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is function.__code__:
            return trace.tb_lineno - 2                   # its first line names the arguments
        trace = trace.tb_next
    return None


def _is_plain(name: str) -> bool:
    """Tell whether a name can stand behind a dot."""
    return name.isidentifier() and not iskeyword(name)
