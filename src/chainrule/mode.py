"""What gates do besides computing: whether results remember where they came from, and who looks on.

There is one mode per thread. `no_grad` and `observe` change it for the length of a ``with`` block.
"""
from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from copy import copy
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

if TYPE_CHECKING:
    from .gate import Gate
    from .tensor import Tensor

__all__ = ["Mode", "Observer", "UnforeseenError", "enable_grad", "mode", "no_grad", "observe", "recorder",
           "setting", "settings", "tick"]

#: One clock for everything. A result is stamped when it is made and a tensor when it is written; sorting by the stamp
#: is therefore a topological order, and "an input younger than its result" is an in-place write.
tick = itertools.count(1).__next__
F = TypeVar("F", bound=Callable[..., Any])


class UnforeseenError(ValueError):
    """A gate was given a value for which the code that calls it may go another way (see `Observer.general`)."""


class Observer:
    """Sees each gate that is applied to a tensor, and each gradient that comes back, while it is installed.

    Anomaly detection, the recorder of the compiler and profilers are observers. Every method may be left as it is.
    """

    def applied(self, gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any], result: Tensor) -> None:
        """`result` has just come out of `gate`."""

    def pulled(self, result: Tensor, source: Tensor, gradient: Any) -> None:
        """The gate that made `result` has handed `gradient` back to its input `source`."""

    def read(self, owner: Any, name: str) -> Any:
        """A state cell is read in `symbolic` mode (see `chainrule.state`)."""
        raise NotImplementedError(f"{type(self).__name__} does not follow state cells")

    def given(self, owner: Any, name: str) -> bool:
        """A decision is taken by whether a state cell holds something, in `symbolic` mode."""
        raise NotImplementedError(f"{type(self).__name__} does not follow state cells")

    def write(self, owner: Any, name: str, value: Any) -> None:
        """A state cell is written in `symbolic` mode."""
        raise NotImplementedError(f"{type(self).__name__} does not follow state cells")

    def reached(self, owner: Any) -> None:
        """The attributes of a layer, a loss or an optimizer are used in `symbolic` mode."""

    def lifted(self, source: Any, result: Tensor) -> None:
        """`result` was made of an array or a tensor, and by no gate, in `symbolic` mode."""

    def is_array(self, x: Tensor) -> bool:
        """Tell whether a tensor stands for what is a plain array when the step runs eagerly, in `symbolic` mode."""
        return False

    def hooked(self, hook: Callable[..., Any], answer: Any) -> None:
        """A hook was run in `symbolic` mode, and returned `answer`."""

    def in_place(self, x: Tensor) -> bool:
        """Tell whether an operator such as ``x -= y`` is to change `x` itself, as it does an array."""
        return False

    def lowered(self, x: Tensor) -> Tensor:
        """Return what stands for the value of a tensor as an array of its own, in `symbolic` mode."""
        return x

    def copied(self, x: Tensor) -> Tensor:
        """Return what stands for the value of an array, as it is now, as a tensor, in `symbolic` mode."""
        return x

    def calls(self, kept: Any) -> Any:
        """Return what keeps the by-hand calls of a layer, in place of what keeps the eager ones, in `symbolic` mode."""
        return kept

    def general(self, needed: bool = False) -> bool:
        """Tell whether to go the way that holds for all values, where a shorter one may do, in `symbolic` mode.

        With `needed`, the values at hand need it. On the shorter way a gate raises `UnforeseenError` where it does not
        hold.
        """
        return needed

    def refuse(self, why: str) -> NoReturn:
        """What a recorded step cannot do was asked for in `symbolic` mode."""
        raise TypeError(why)


class Both(Observer):
    """Two observers at once: the one that was there first, then the newcomer."""

    def __init__(self, first: Observer, second: Observer) -> None:
        self.first, self.second = first, second

    def applied(self, gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any], result: Tensor) -> None:
        self.first.applied(gate, inputs, options, result)
        self.second.applied(gate, inputs, options, result)

    def pulled(self, result: Tensor, source: Tensor, gradient: Any) -> None:
        self.first.pulled(result, source, gradient)
        self.second.pulled(result, source, gradient)

    def read(self, owner: Any, name: str) -> Any:
        return self.first.read(owner, name)

    def given(self, owner: Any, name: str) -> bool:
        return self.first.given(owner, name)

    def write(self, owner: Any, name: str, value: Any) -> None:
        self.first.write(owner, name, value)

    def reached(self, owner: Any) -> None:
        self.first.reached(owner)

    def lifted(self, source: Any, result: Tensor) -> None:
        self.first.lifted(source, result)

    def is_array(self, x: Tensor) -> bool:
        return self.first.is_array(x)

    def hooked(self, hook: Callable[..., Any], answer: Any) -> None:
        self.first.hooked(hook, answer)

    def in_place(self, x: Tensor) -> bool:
        return self.first.in_place(x)

    def lowered(self, x: Tensor) -> Tensor:
        return self.first.lowered(x)

    def copied(self, x: Tensor) -> Tensor:
        return self.first.copied(x)

    def calls(self, kept: Any) -> Any:
        return self.first.calls(kept)

    def general(self, needed: bool = False) -> bool:
        return self.first.general(needed)

    def refuse(self, why: str) -> NoReturn:
        self.first.refuse(why)


class Mode(threading.local):
    """The switches that gates consult; the class attributes are what a new thread starts with."""

    record: bool = True                  # results remember their gate and inputs
    observer: Observer | None = None     # who looks on
    symbolic: bool = False               # gradients and updates run on tensors, so that the observer sees them
    inside: bool = False                 # a layer's forward is running: nested layers take and give tensors


mode = Mode()
#: One entry for each `setting` that is in force, in any thread. While it is empty, every thread has its first switches,
#: and gates save themselves the look.
settings: list[setting] = []


def recorder() -> Observer | None:
    """Return who records the step that runs in this thread, if somebody does."""
    return mode.observer if settings and mode.symbolic else None


class setting(ContextDecorator):  # noqa: N801
    """Change some switches of `mode` inside a ``with`` block (or a decorated function), and put them back after."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.before: list[dict[str, Any]] = []

    def __call__(self, function: F) -> F:
        """Decorate a function."""
        if isgeneratorfunction(function) or iscoroutinefunction(function) or isasyncgenfunction(function):
            raise TypeError(f"{type(self).__name__} cannot decorate {function.__name__}, which is left and entered "
                            f"again at each yield: write `with {type(self).__name__}():` inside it, between the yields")
        return super().__call__(function)

    def _recreate_cm(self) -> Self:
        fresh = copy(self)                   # calls of a decorated function may overlap, in several threads
        fresh.before = []
        return fresh

    def __enter__(self) -> None:
        settings.append(self)
        self.before.append({name: getattr(mode, name) for name in self.values})
        for name, value in self.values.items():
            setattr(mode, name, value)

    def __exit__(self, *_: object) -> None:
        for name, value in self.before.pop().items():
            setattr(mode, name, value)
        settings.pop()


class no_grad(setting):  # noqa: N801
    """Inside, results do not remember where they came from, and in-place operators write into their tensor.

    Examples
    --------
    >>> import chainrule as cr
    >>> w = cr.Tensor([1.0, 2.0], requires_grad=True)
    >>> with cr.no_grad():
    ...     w -= 0.5
    >>> w
    Tensor([0.5, 1.5], requires_grad=True)
    """

    def __init__(self) -> None:
        super().__init__(record=False)


class enable_grad(setting):  # noqa: N801
    """Inside, results remember where they came from, also within `no_grad`.

    Examples
    --------
    >>> import chainrule as cr
    >>> w = cr.Tensor(2.0, requires_grad=True)
    >>> with cr.no_grad(), cr.enable_grad():
    ...     (w * 3).requires_grad
    True
    """

    def __init__(self) -> None:
        super().__init__(record=True)


class observe(setting):  # noqa: N801
    """Let `observer` look on inside a ``with`` block, beside any observer that already does.

    Parameters
    ----------
    observer : Observer

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.mode import Observer
    >>> class Names(Observer):
    ...     def applied(self, gate, inputs, options, result):
    ...         print(gate.name, result.shape)
    >>> with cr.observe(Names()):
    ...     _ = cr.Tensor([1.0, 2.0]).exp().sum()
    exp (2,)
    sum ()
    """

    def __init__(self, observer: Observer) -> None:
        super().__init__(observer=observer)

    def __enter__(self) -> None:
        step = recorder()
        if step is not None:
            step.refuse(f"{type(self).__name__} looks on in Python, which a recorded step would not repeat; put the "
                        "`with` block around the call of the step, which then runs eagerly")
        before, newcomer = mode.observer, self.values["observer"]
        super().__enter__()
        if before is not None:
            mode.observer = Both(before, newcomer)
