"""`compile`: a step that is recorded twice, and from then on run as a program."""
from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from types import FunctionType, MethodType
from typing import Any, TypeVar, overload

import numpy as np

from ..gate import own
from ..mode import UnforeseenError, mode, no_grad, settings
from ..nn import Layer
from ..source import OURS, Place
from ..tensor import Dropped, Tensor
from .arguments import Signature, difference, replaced, signature, titles
from .errors import RecordingError
from .executors import executor as named
from .program import Program, Value, each
from .quick import MISS, quick
from .recording.captured import Captured
from .recording.compare import differences
from .recording.record_arrays import ArrayRecorder
from .recording.recording import Recording, recording
from .recording.spots import Spot, turn
from .variant import Variant

__all__ = ["Compiled", "compile"]

LIMIT = 8                            #: how many programs of one step there may be

Step = Callable[..., Any]
R = TypeVar("R", bound=ArrayRecorder)


class Compiled:
    """A step that is run as a program; `compile` makes it.

    Attributes
    ----------
    step : callable
        What was compiled.
    program : Program
        What was run last; at the first two calls, what was recorded.
    recorded : Program
        The same as it was recorded, before the passes.
    exact : bool
        Whether the first two calls are recorded, undone, and done by the program as well, so that no call is rounded
        otherwise than the others. False, unless it is set before the first call.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> double = cr.compile(lambda x: x * 2)
    >>> [double(np.array([1.0])).item() for _ in range(3)]
    [2.0, 2.0, 2.0]
    >>> double
    <compiled <lambda>: 1 program>
    >>> double(np.array([1.0, 2.0]))                       # of another shape: recorded anew
    Tensor([2., 4.])
    >>> double.recordings
    2
    """

    program: Program
    recorded: Program

    def __init__(self, step: Step, *, executor: str = "numpy", keep_grads: bool = False, check: int = 0,
                 limit: int = LIMIT, fallback: bool = False) -> None:
        if not callable(step):
            raise TypeError(f"compile: expected a function or a layer, got {type(step).__name__}")
        for name, number in (("check", check), ("limit", limit)):
            if not isinstance(number, int | np.integer) or number < 0:
                raise ValueError(f"compile: {name} is a whole number from 0 on, got {number!r}")
        functools.update_wrapper(self, step, updated=())
        named(executor)                                # a wrong name is an error now
        self.step, self.executor, self.keep_grads, self.check = step, executor, keep_grads, int(check)
        self.limit, self.fallback = int(limit), fallback
        self.variants: dict[Signature, list[Variant]] = {}
        self.gave_up: Exception | None = None          # why it runs eagerly, if it does
        self.full = False                              # whether the limit was reached
        self.exact = False
        self.generally = False                         # whether it is recorded in the way that holds for all values
        self.last: Variant | None = None               # what was run last, if its arguments are quickly looked at
        self._accumulates: set[int] = set()            # tensors whose gradient one of the programs goes on from
        self._turn = threading.RLock()

    @property
    def recordings(self) -> int:
        """How many programs there are."""
        return sum(map(len, self.variants.values()))

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method it is compiled for each object anew, and kept there."""
        if instance is None or not isinstance(self.step, FunctionType):
            return self
        bound = Compiled(MethodType(self.step, instance), executor=self.executor, keep_grads=self.keep_grads,
                         check=self.check, limit=self.limit, fallback=self.fallback)
        instance.__dict__[self.step.__name__] = bound
        return bound

    # ------------------------------------------------------------------ calls
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Do the step."""
        if self.gave_up is not None or (settings and mode.observer is not None):
            return self._eagerly(arguments, options)   # it cannot be recorded, or somebody looks on
        last = self.last
        try:
            if last is not None and not options and last.recording is (mode.record if settings else True):
                result = last.quick(arguments)         # most calls are like the one before
                if result is not MISS:
                    return result
            key, arrays = signature(arguments, options)
            key = (mode.record, *key)
            result = self._replay(key, arrays, arguments, options)
        except ValueError as error:
            if self.generally or not any(isinstance(x, UnforeseenError) for x in (error, error.__cause__)):
                raise
            return self._anew(arguments, options)      # for these values the step may go another way
        if result is not MISS:
            return result
        with self._turn:
            return self._record(key, arguments, options)

    def _replay(self, key: Signature, arrays: list[Any], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Run the program that applies; `MISS`, if none does, or if it has been recorded only once."""
        variant = next((v for v in self.variants.get(key, ()) if v.recorded.guards.hold()), None)
        if variant is None or variant.run is None or variant.calls < 2:
            return MISS
        self.program, self.recorded = variant.program, variant.recorded.program
        self.last = variant if variant.quick is not None and not self.check else None
        variant.calls += 1
        if self.check and variant.calls % self.check == 0:
            from .check import checked
            return checked(self, variant, arrays, arguments, options)
        return variant.run(arrays)

    def _anew(self, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Record the step anew in the way that holds for all values; where that fails too, nothing is changed."""
        with self._turn:
            before, self.variants, self.last, self.generally = self.variants, {}, None, True
            try:
                return self._record((mode.record, *signature(arguments, options)[0]), arguments, options)
            except BaseException:
                self.variants, self.generally = before, False
                raise

    def _eagerly(self, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        with self._surroundings():
            return self.step(*arguments, **options)

    def _surroundings(self) -> AbstractContextManager[Any]:
        """Return what a layer runs in: its results are constants."""
        return no_grad() if isinstance(self.step, Layer) else nullcontext()

    def _record(self, key: Signature, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Run a step for the first or the second time."""
        self.last = None
        variants = self.variants.get(key, [])
        known = next((v for v in variants if v.recorded.guards.hold()), None)
        if known is None and self._is_full(key, variants):
            return self._eagerly(arguments, options)
        try:
            read = () if known is None else known.recorded.sources.values()
            found, result, recorder = self.record(arguments, options, ArrayRecorder, read)
            if recorder.generally and not self.generally:
                self.generally, known = True, None     # the programs so far do not hold for all values
                self.variants.clear()
            if known is None:
                known = Variant(found, mode.record)
                self.variants.setdefault(key, []).append(known)
            else:
                try:
                    settled = differences(known.recorded, found)
                except RecordingError:
                    recorder.undo()
                    raise
                if any(len(getattr(settled.program, name)) != len(getattr(known.recorded.program, name))
                       for name in ("reads", "writes")):
                    known.run = None                   # a constant was a cell
                known.recorded = settled
        except Exception as error:
            if not self.fallback:
                raise
            result = self._eagerly(arguments, options)     # raises what is the step's own error
            self.gave_up = error
            line = "" if isinstance(error, RecordingError) else f"{_line(error)}: "
            warnings.warn(f"{_name(self.step)} runs eagerly, because it cannot be compiled: {line}{error}",
                          RuntimeWarning, stacklevel=3)
            return result
        self.program = self.recorded = found.program
        if not found.accumulates <= self._accumulates:
            self._accumulates |= found.accumulates
            for variant in (v for group in self.variants.values() for v in group if v.run is not None):
                variant.build(self.executor, self._keeps)
        if known.run is None and (known.calls or self.exact):
            known.build(self.executor, self._keeps)
            self.program = known.program
        known.calls += 1
        if known.run is not None and not options:
            known.quick = quick(arguments, known)
        if self.exact and known.run is not None:       # to the last bit as all later calls, which rounding decides
            recorder.undo()
            return known.run(signature(arguments, options)[1])
        self._drop(found)
        if known.run is not None:
            known.settle()
        return each(_his_own, result)

    def record(self, arguments: tuple[Any, ...], options: Mapping[str, Any],
               kind: type[R] = ArrayRecorder,            # type: ignore[assignment]
               read: Iterable[Spot] = ()) -> tuple[Recording, Any, R]:
        """Run the step, which is to be a real one, and write down what it does; return the recorder as well.

        It must not change, in Python, the arrays that it is known to read.
        """
        leaves: list[Tensor] = []
        plain: set[Tensor] = set()

        def stand_in(x: Any) -> Tensor:
            array = x.array if isinstance(x, Tensor) else own(x) if isinstance(x, np.ndarray) else x
            leaves.append(Tensor.of(array, lent=True))
            if isinstance(x, Tensor):
                x.lent = True
            else:
                plain.add(leaves[-1])
            return leaves[-1]

        arguments = replaced(arguments, stand_in)
        options = {name: replaced(options[name], stand_in) for name in sorted(options)}
        with ExitStack() as alone:
            alone.enter_context(turn)                  # while tensors stand for another step's arrays, do not look
            recorder = kind(leaves, Captured(self.step, read))
            recorder.plain |= plain
            recorder.generally = self.generally
            if not recorder.stand_ins.all:
                alone.close()
            with self._surroundings():
                found, result = recording(self.step, arguments, options, recorder)
        found.program.names |= zip(map(id, found.program.arguments), titles(_names(self.step), arguments, options),
                                   strict=True)
        return found, result, recorder

    def _keeps(self, tensor: int) -> bool:
        return self.keep_grads or tensor in self._accumulates

    def _drop(self, found: Recording) -> None:
        """Take away the gradients that are not to be kept; a step that goes on from them may yet have them."""
        for cell, x in found.program.writes:
            if cell.name == "gradient" and isinstance(x, Value) and not self._keeps(id(cell.owner)):
                cell.put(Dropped(cell.owner.gradient))

    def _is_full(self, key: Signature, variants: list[Variant]) -> bool:
        """Tell whether there are as many programs as there may be, and warn when it turns out."""
        if self.recordings < self.limit:
            return False
        if not self.full:
            self.full = True
            if variants:
                why = variants[-1].recorded.guards.changed()
            else:
                last = next(reversed(self.variants))
                why = difference(_names(self.step), key[1:], last[1:])
            warnings.warn(
                f"{_name(self.step)} was recorded {self.recordings} times, which is its limit, and runs eagerly where "
                f"none of the programs applies: {why}. Pass numbers that change as arrays (np.array(x)) or keep them "
                "in chainrule.cell, keep to a few shapes, or raise compile(limit=...)", RuntimeWarning, stacklevel=4)
        return True

    def __repr__(self) -> str:
        return f"<compiled {_name(self.step)}: {self.recordings} program{'s' * (self.recordings != 1)}>"


def _his_own(x: Any) -> Any:
    """Return a part of the result of a recorded call as a replay does: a constant that is nobody else's."""
    x = x.array if isinstance(x, Tensor) else x
    return Tensor.of(np.array(x)) if isinstance(x, np.ndarray | np.generic) else x


def _name(step: Step) -> str:
    return getattr(step, "__name__", None) or type(step).__name__


def _line(error: BaseException) -> Place | str:
    """Return the innermost line of the user's code that an exception passed."""
    trace, found = error.__traceback__, None
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(OURS):
            found = Place(trace.tb_frame.f_code, trace.tb_lasti)
        trace = trace.tb_next
    return found or "somewhere"


def _names(step: Step) -> list[str]:
    try:
        found = inspect.signature(step.forward if isinstance(step, Layer) else step).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


@overload
def compile(step: Step, *, executor: str = ..., keep_grads: bool = ..., check: int = ..., limit: int = ...,
            fallback: bool = ...) -> Compiled: ...
@overload
def compile(step: None = None, *, executor: str = ..., keep_grads: bool = ..., check: int = ...,
            limit: int = ..., fallback: bool = ...) -> Callable[[Step], Compiled]: ...
def compile(step: Step | None = None, *, executor: str = "numpy", keep_grads: bool = False, check: int = 0,
            limit: int = LIMIT, fallback: bool = False) -> Compiled | Callable[[Step], Compiled]:
    """Record a step at its first two calls, and run it as one flat program from then on.

    The step is the same code as without: forward, `backward`, the optimizer's `step`. Parameters, buffers, moments,
    learning rates, step counts and random streams are read and written where they are, so schedules, checkpoints and
    new seeds work as ever. It is recorded anew for arguments of other shapes or dtypes, and where something that it
    decided by has changed: ``training``, a number among its variables or a layer's attributes, a parameter that was
    replaced.

    Parameters
    ----------
    step : callable or Layer
        ``step(*arguments)``: arrays and tensors among the arguments, also in lists, tuples and dicts, are new data at
        each call; other arguments are part of its signature. Of a layer, inference is compiled: its results are
        constants.
    executor : str
        What runs the program: ``"numpy"``. See `chainrule.compiler.executors`.
    keep_grads : bool
        Whether the gradients that the step leaves in ``.grad`` can be looked at afterwards. Without, reading them
        raises, and their memory is saved.
    check : int
        At each so many-th replay run the step eagerly too, from the same state, and compare. 0: never.
    limit : int
        How many programs there may be. Beyond, a warning says what keeps changing, and the step runs eagerly.
    fallback : bool
        If the step cannot be recorded, warn once and run it eagerly, instead of raising.

    Returns
    -------
    Compiled
        Does what `step` does. Tensors and arrays that it returns are tensors, constants, and nobody else's.
        ``print(it.program)`` lists the program, ``it.program.cost()`` counts, ``it.program.report()`` says how it is
        run.

    Raises
    ------
    RecordingError
        A TypeError at one of the first two calls, if the step does what a program cannot hold: reads a value into
        Python (``float(loss)``, ``if loss < 1``), picks by a boolean mask, changes something by plain Python. The
        message names the line and the remedy, and all state is as it was before the call.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([1.0], requires_grad=True, name="w")
    >>> optimizer = optim.SGD([w], lr=0.25)
    >>> @cr.compile
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = (w * x).sum()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x = np.array([2.0])
    >>> [step(x).item() for _ in range(4)]
    [2.0, 1.0, 0.0, -1.0]
    """
    options: dict[str, Any] = {"executor": executor, "keep_grads": keep_grads, "check": check, "limit": limit,
                               "fallback": fallback}
    if step is None:
        return lambda step: Compiled(step, **options)
    return Compiled(step, **options)
