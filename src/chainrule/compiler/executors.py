"""Executors: what runs a program, behind one small interface, chosen by name."""
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from .program import Program

__all__ = ["EXECUTORS", "Executor", "Part", "Run", "executor", "register"]

#: ``run(arguments) -> result``: does the step once.
Run = Callable[[Sequence[Any]], Any]
#: ``(what, how, why)``: a part of a program, what runs it, and the reason.
Part = tuple[str, str, str]


@runtime_checkable
class Executor(Protocol):
    """What an executor is: a program in, a callable out.

    A callable is bound to the cells of its program. It takes the arrays that are the program's arguments, in order. It
    writes the cells when everything else is done, so that a step that fails has changed none of them, and returns what
    the program returns, in fresh arrays that nobody else holds: tensors in place of its values.

    Attributes
    ----------
    name : str
        By which it is chosen.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.compiler import executors
    >>> step = cr.compile(lambda x: x * 2)
    >>> for _ in range(2):                                                   # it is recorded twice
    ...     _ = step(np.ones(2))
    >>> run = executors.executor("numpy").build(step.program)
    >>> run([np.array([1.0, 2.0])])
    Tensor([2., 4.])
    """

    name: str

    def available(self) -> str:
        """Return nothing if it can run programs here, else the reason why not and the remedy."""

    def build(self, program: Program) -> Run:
        """Make what runs a program; raise if it cannot run this one."""

    def parts(self, program: Program) -> list[Part]:
        """Say of each part of a program what runs it, and why."""


class NumPy:
    """The reference: a flat list of calls of NumPy's functions into planned memory."""

    name = "numpy"

    def available(self) -> str:
        return ""

    def build(self, program: Program) -> Run:
        from .numpy_executor import flat
        return flat(program)

    def parts(self, program: Program) -> list[Part]:
        from .numpy_executor.parts import parts
        return parts(program)


class Native:
    """Machine code through LLVM. It is still to come; its name is known, so that programs may ask for it already."""

    name = "native"

    def available(self) -> str:
        return "this version of chainrule has no native executor yet; a later one brings it in the extra `native`"

    def build(self, program: Program) -> Run:
        raise RuntimeError(f"the executor 'native' is not available: {self.available()}")

    def parts(self, program: Program) -> list[Part]:
        return []


#: Every executor by its name.
EXECUTORS: dict[str, Executor] = {}
#: Those that were missed already: it is said once in a process.
missed: set[str] = set()
log = logging.getLogger("chainrule")


def register(new: Executor) -> Executor:
    """Make an executor known by its name; one of that name before it is replaced.

    Parameters
    ----------
    new : Executor

    Returns
    -------
    Executor
        The same.

    Raises
    ------
    TypeError
        If it lacks one of the methods, or its name is no text.
    """
    if not isinstance(new, Executor) or not isinstance(new.name, str):
        raise TypeError(f"an executor has a name and the methods available, build and parts; got {type(new).__name__}")
    EXECUTORS[new.name] = new
    return new


def executor(name: str = "numpy") -> Executor:
    """Return an executor by name; if it is not available here, ``"numpy"``, which is.

    That it was not available is said in one line of the log ``chainrule``, once in a process. Its level is WARNING,
    which Python shows without being asked to: who names an executor wants to know that another one runs.

    Parameters
    ----------
    name : str
        ``"numpy"``, ``"native"``, or one that was registered.

    Returns
    -------
    Executor

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> from chainrule.compiler import executors
    >>> executors.executor("numpy").name
    'numpy'
    """
    found = EXECUTORS.get(name)
    if found is None:
        raise ValueError(f"there is no executor {name!r}; known are {', '.join(map(repr, sorted(EXECUTORS)))}")
    reason = found.available()
    if not reason:
        return found
    if name not in missed:
        missed.add(name)
        log.warning("the executor %r is not available: %s. 'numpy' runs in its place", name, reason)
    return EXECUTORS["numpy"]


register(NumPy())
register(Native())
