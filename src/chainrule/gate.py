"""A gate: one primitive operation, with all its calculus in one place.

A gate knows how to go forward on arrays and, for each argument, how a gradient `dz` of its result comes back.
Derivatives are written with operators and other gates and with nothing else, so that one line serves arrays (nothing
is recorded), tensors (second derivatives) and the compiler (which records them). Broadcasting is undone by the engine
in `reverse.py`, never here, and a derivative never writes into what it is given.
"""
from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import deepcopy
from functools import cached_property, lru_cache
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy import ndarray

from .mode import mode, settings, tick

if TYPE_CHECKING:
    from .tensor import Tensor
else:
    class Tensor:            # until tensor.py hands its class over, gates work on arrays alone
        """Stands in for `chainrule.Tensor` while the gates are being defined."""

__all__ = ["GATES", "NUMPY", "Derivative", "Gate", "accumulates", "describe", "gate", "own", "stands_for"]

#: ``(dz, z, *inputs, **options)`` -> the gradient with respect to one input.
Derivative = Callable[..., Any]
F = TypeVar("F", bound=Callable[..., Any])

GATES: dict[str, Gate] = {}              #: every gate by name
NUMPY: dict[Any, Callable[..., Any]] = {}     #: a NumPy function -> what stands in for it on tensors
#: Operands that need no second look.
PLAIN = frozenset({ndarray, float, int, bool, complex, type(None), slice, type(Ellipsis), *np.sctypeDict.values()})
NOTHING: dict[str, Any] = {}
new = object.__new__


class Gate:
    r"""A primitive operation: its forward on arrays, its derivative for each argument, its formula.

    Parameters
    ----------
    name : str
        The name it goes by, everywhere.
    forward : callable
        ``forward(*arrays, **options) -> array``; must not write into its arguments. With ``keeps=True`` it returns
        ``(array, kept)``, where `kept` is whatever its derivatives would otherwise work out again.
    derivative : tuple of callable or None
        One for each array argument: ``(dz, z, *inputs, **options) -> dx``, where `dz` is the gradient of the result
        `z`. Written with operators and gates only. ``None`` where there is nothing to differentiate; an empty tuple
        makes a gate that is not differentiable, whose results are constants.
    joint : callable, optional
        Instead of `derivative`, for gates with any number of arguments or with work to share between them:
        ``(dz, z, wanted, *inputs, **options) -> [dx or None, ...]``, with one flag in `wanted` per argument.
    formula, partials : str, tuple of str
        The mathematics, in LaTeX: :math:`z = f(x, y)` and one partial derivative per argument.
    summary, shapes, ties, source, example : str
        For the documentation: what it does, what it takes, what the derivative is where the function has a
        kink, where the formula comes from, a doctest.
    about : dict of str to str
        For the documentation: each option's type and, on the next line, its meaning.
    numpy : tuple of callable
        NumPy functions that mean this gate when they are called on a tensor. A ufunc `forward` is one by itself.
    method : bool
        Whether tensors get it as a method.
    out : bool
        Whether ``forward(..., out=buffer)`` is understood. True of ufuncs. Of other gates the buffer shares no
        memory with an argument.
    view : bool
        Whether the result may share memory with its first argument.
    parts : callable, optional
        How it is made of smaller gates, for executors that want to run those: ``parts(*inputs, **options)``, written
        with operators and gates only, gives the value of `forward` (to rounding, and where nothing warns). It may
        look at shapes, dtypes and options, never at values; it returns NotImplemented where, with such arguments, the
        gate is as small as it gets. It has no say in derivatives.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cube = cr.Gate("cube", lambda x: x * x * x, (lambda dz, z, x: dz * (3 * x * x),),
    ...                formula="z = x^3", partials=("3x^2",))
    >>> x = cr.Tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    Tensor(12.)
    """

    #: Operands of other kinds (the nodes of a hand-built graph) -> what applies a gate to them.
    foreign: ClassVar[dict[type, Callable[[Gate, tuple[Any, ...], dict[str, Any]], Any]]] = {}
    module: str                      # where it is defined

    def __init__(
        self, name: str, forward: Callable[..., Any], derivative: tuple[Derivative | None, ...] = (), *,
        joint: Callable[..., Any] | None = None, formula: str = "", partials: tuple[str, ...] = (),
        summary: str = "", shapes: str = "", ties: str = "", source: str = "", example: str = "",
        about: dict[str, str] = NOTHING, numpy: tuple[Any, ...] = (), method: bool = False, out: bool = False,
        view: bool = False, keeps: bool = False, parts: Callable[..., Any] | None = None,
    ) -> None:
        module = inspect.currentframe().f_back.f_globals.get("__name__", "")      # type: ignore[union-attr]
        if name in GATES and GATES[name].module != module:
            raise ValueError(f"a gate named {name!r} is already defined in {GATES[name].module}; choose another name")
        if method and name in Tensor.__dict__ and name not in GATES:
            raise ValueError(f"a tensor has something else named {name!r} already; choose another name for the gate")
        self.name, self.module = name, module
        self.forward, self.derivative, self.joint = forward, derivative, joint
        self.differentiable = bool(derivative) or joint is not None
        self.formula, self.partials = formula, partials
        self.summary, self.shapes, self.ties, self.source, self.example = summary, shapes, ties, source, example
        self.about = about
        self.takes_out = out or isinstance(forward, np.ufunc)
        self.is_view, self.keeps, self.parts = view, keeps, parts
        #: `forward` without the by-products: what an executor, or a learner, calls.
        self.value: Callable[..., Any] = (lambda *x, **o: forward(*x, **o)[0]) if keeps else forward
        self.arguments, self.options, self.arity = _signature(forward, len(derivative))
        GATES[name] = self
        NUMPY.update(dict.fromkeys(numpy, self))
        if isinstance(forward, np.ufunc):
            NUMPY.setdefault(forward, self)            # a later gate on the same ufunc takes nothing from the first
        self.scatters = any(hasattr(rule, "into") for rule in derivative)
        self.is_method = method
        if method and hasattr(Tensor, "backward"):
            setattr(Tensor, name, self)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Apply the gate: to arrays it gives an array; with a tensor among them, a tensor that remembers."""
        if len(inputs) != self.arity:
            inputs, options = self.bind(inputs, options)
        arrays, tracked, raw = [], None, False         # tracked: None while no tensor has been met
        for x in inputs:
            if isinstance(x, Tensor):
                tracked = tracked or x.tracked
                arrays.append(x.array)
            elif type(x) in PLAIN:
                raw = raw or type(x) is ndarray
                arrays.append(x)
            elif type(x) in Gate.foreign:
                return Gate.foreign[type(x)](self, inputs, options)
            else:
                return self(*[adopt(y) for y in inputs], **options)
        if options and tracked is not None:
            options = self.checked(options)
        try:
            z = self.forward(*arrays, **options)
        except Exception as error:
            raise self.blame(error, arrays, options) from error
        if self.keeps:
            z, kept = z
            if tracked and mode.record:
                t = self.result(z, inputs, options, True, raw)
                t.options = {**options, "kept": kept}
                return t
        return z if tracked is None else self.result(z, inputs, options, tracked, raw)

    def result(self, z: Any, inputs: tuple[Any, ...], options: dict[str, Any], tracked: bool, raw: bool) -> Tensor:
        """Make the tensor around `z`; it remembers where it came from if a gradient may be asked for.

        `tracked` says whether one of the inputs asks for a gradient, `raw` whether one is an array of the caller's.
        """
        if raw and z.dtype.hasobject:
            raise TypeError(f"{self.name}: expected arrays of numbers, got {', '.join(map(describe, inputs))}")
        t = new(Tensor)
        t.array, t.moment = z, tick()
        t.gradient = t.extra = None
        t.lent = self.is_view
        if tracked and self.differentiable and (not settings or mode.record):
            t.tracked, t.gate, t.options = True, self, options
            t.inputs = tuple([own(x) if type(x) is ndarray else x for x in inputs]) if raw else inputs
        else:
            t.tracked, t.gate, t.options, t.inputs = False, None, NOTHING, ()
        if self.is_view:
            if isinstance(inputs[0], Tensor):
                inputs[0].lent = True        # whoever writes into it next must move to new memory first
            else:
                t.array = np.array(z)        # the caller's own memory
        if settings and mode.observer is not None:
            mode.observer.applied(self, inputs, options, t)
        return t

    def checked(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of a call on tensors, refusing what a derivative could not follow, such as ``out``.

        A list or an array that the caller may still change is copied.
        """
        changeable = False
        for name, value in options.items():
            if name not in self.options:
                known = f"the options {', '.join(self.options)}" if self.options else "no options"
                raise TypeError(f"{self.name} of a tensor takes {known}; got {name}={describe(value)}")
            if isinstance(value, Tensor):
                raise TypeError(f"{self.name} takes {name} as an option, not as a tensor; a gate has one derivative, "
                                "or None, for each of its array arguments")
            changeable = changeable or type(value) is list or type(value) is ndarray
        return deepcopy(options) if changeable else options

    def operator(self) -> tuple[Callable[[Tensor, Any], Any], Callable[[Tensor, Any], Any]]:
        """Make the methods of Tensor for a binary operator, direct and reflected.

        They are `__call__` unrolled for two arguments, because programs are made of them.
        """
        forward, result = self.forward, self.result

        def direct(x: Tensor, y: Any) -> Any:
            raw = False
            if isinstance(y, Tensor):
                b, tracked = y.array, x.tracked or y.tracked
            elif type(y) in PLAIN:
                b, tracked, raw = y, x.tracked, type(y) is ndarray
            elif type(y) in Gate.foreign:
                return NotImplemented
            else:
                return direct(x, adopt(y))
            try:
                z = forward(x.array, b)
            except Exception as error:
                raise self.blame(error, [x.array, b], NOTHING) from error
            return result(z, (x, y), NOTHING, tracked, raw)

        def reflected(x: Tensor, y: Any) -> Any:
            return self(y, x)

        return direct, reflected

    def bind(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort what was passed into arrays and options, by the names in the signature of `forward`."""
        if self.arity is None:
            return inputs, options
        if len(inputs) > self.arity:
            extra = dict(zip(self.options, inputs[self.arity:], strict=False))
            if len(inputs) > self.arity + len(self.options) or extra.keys() & options.keys():
                raise TypeError(f"{self.name}{self.signature}: got {len(inputs)} positional arguments"
                                + "".join(f", {k}={v!r}" for k, v in options.items()))
            return inputs[:self.arity], extra | options
        options, rest = dict(options), []
        for name, optional in list(self.arguments.items())[len(inputs):]:
            if name not in options and not optional:
                raise TypeError(f"{self.name}{self.signature}: {name} is missing")
            rest.append(options.pop(name, None))
        while rest and rest[-1] is None:               # what may be left out, and was
            rest.pop()
        return (*inputs, *rest), options

    def blame(self, error: Exception, arrays: list[Any], options: dict[str, Any]) -> Exception:
        """Say of an error in `forward` what the gate was given and what it expects."""
        seen = ", ".join([*map(describe, arrays), *(f"{name}={describe(value)}" for name, value in options.items())])
        expected = f"; expected {self.shapes}" if self.shapes else ""
        strange = ", ".join(name for name in options if name not in (*self.options, "out"))
        if strange:
            return TypeError(f"{self.name}{self.signature} does not take {strange}")
        kinds = IndexError, TypeError, ValueError, MemoryError, OverflowError, FloatingPointError
        kind = next((k for k in kinds if isinstance(error, k)), RuntimeError)
        return kind(f"{self.name}({seen}): {error}{expected}")

    def as_numpy(self, function: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Apply the gate as a NumPy function was called, whose arguments may have other places and names."""
        if self.arity is None or (len(inputs) <= self.arity and not options):
            return self(*inputs, **options)
        places = _parameters(function)
        given = dict(zip(places, inputs, strict=False)) | options
        names = dict(zip(places, self.arguments, strict=False))
        return self(**{names.get(name, name): x for name, x in given.items() if x is not places.get(name, self)})

    @cached_property
    def signature(self) -> inspect.Signature:
        """The arguments by name, arrays first, then options."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        if self.arity is None or not isinstance(self.forward, np.ufunc):
            found = inspect.signature(self.forward).parameters.values()
            return inspect.Signature([p.replace(annotation=p.empty) for p in found if p.name not in ("out", "kept")])
        return inspect.Signature([inspect.Parameter(name, kind) for name in self.arguments])

    @property
    def __signature__(self) -> inspect.Signature:
        return self.signature

    @property
    def __name__(self) -> str:
        return self.name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As an attribute of a class a gate is a method, as functions are."""
        return self if instance is None else MethodType(self, instance)

    def document(self) -> str:
        """Write the docstring, from the data of the gate."""
        named = self.signature.parameters.values()
        names = list(self.arguments) or [str(p) for p in named if p.name not in self.options]
        parts = [f"{self.summary or self.name}\n"]
        if self.formula:
            parts.append(f".. math:: {self.formula}\n")
        parts.append("Parameters\n----------")
        parts.append(f"{', '.join(names)} : tensor, array or number\n    {self.shapes[:1].upper()}{self.shapes[1:]}"
                     f"{'.' if self.shapes else 'Of any shape.'}")
        parts += [f"{option} : {self.about.get(option, 'see the signature')}" for option in self.options]
        parts.append("\nReturns\n-------\ntensor or array\n    An array if all arguments are; the dtype is NumPy's.")
        notes = []
        if self.partials:
            notes.append("Partial derivatives: " + ", ".join(f":math:`{p}`" for p in self.partials if p) + ".")
        elif not self.differentiable:
            notes.append("Not differentiable: the result is a constant.")
        if self.ties:
            notes.append(f"Where the derivative is not defined: {self.ties}.")
        if self.source:
            notes.append(f"Source: {self.source}.")
        if notes:
            parts.append("\nNotes\n-----\n" + "\n".join(notes))
        if self.example:
            parts.append(f"\nExamples\n--------\n>>> import numpy as np, chainrule as cr\n{self.example}")
        return "\n".join(parts) + "\n"

    def __repr__(self) -> str:
        return f"<gate {self.name}: {self.formula}>" if self.formula else f"<gate {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _by_name, (self.name,)


class _Docstring:
    """Of the class its own; of a gate, what `Gate.document` writes when somebody asks."""

    def __init__(self, text: str | None) -> None:
        self.text = text

    def __get__(self, gate: Gate | None, _: type[Gate]) -> str | None:
        return self.text if gate is None else gate.document()


Gate.__doc__ = _Docstring(Gate.__doc__)                # type: ignore[assignment]


def _by_name(name: str) -> Gate:
    return GATES[name]


def _signature(forward: Callable[..., Any], derivatives: int) -> tuple[dict[str, bool], tuple[str, ...], int | None]:
    """List the array arguments of `forward` (may each be left out?), its options, and how many arrays it takes."""
    if isinstance(forward, np.ufunc):
        return dict.fromkeys("xy"[:forward.nin], False), (), forward.nin
    parameters = inspect.signature(forward).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return {}, tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "out"), None
    places = [p for p in parameters if p.name not in ("out", "kept")]
    count = derivatives or sum(p.default is p.empty and p.kind is not p.KEYWORD_ONLY for p in places)
    return ({p.name: p.default is not p.empty for p in places[:count]}, tuple(p.name for p in places[count:]), count)


@lru_cache
def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the arguments of a NumPy function and what they are when they are left out."""
    return {p.name: p.default for p in inspect.signature(function).parameters.values()}


def tie(cls: type[Tensor]) -> None:
    """Take over the class of tensors: gates come first, and know nothing of it but how to make one."""
    global Tensor
    Tensor = cls                                       # type: ignore[misc]
    for each in GATES.values():
        if each.is_method and each.name not in cls.__dict__:
            setattr(cls, each.name, each)


def own(x: ndarray) -> ndarray:
    """Return what a recorded gate keeps of an array: nobody else may write into it, so a writeable one is copied."""
    owner: Any = x
    while type(owner) is ndarray and not owner.flags.writeable:      # read-only down to the owner of the memory
        owner = owner.base
    return x if owner is None else x.copy()


def adopt(x: Any) -> Any:
    """Return an operand as something that gates work on: lists become arrays, array-likes are read."""
    if isinstance(x, Tensor) or type(x) in PLAIN or type(x) in Gate.foreign:
        return x
    kinds: tuple[Any, ...] = (int, float, complex)     # an IntEnum, say, widens no more than any Python number
    for kind in kinds:
        if isinstance(x, kind):
            return kind(x)
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"expected an array, a number or a tensor, got {type(x).__name__}: {error}") from error
    if array.dtype.kind in "OSU":
        raise TypeError(f"expected an array, a number or a tensor, got {type(x).__name__} {str(x)[:60]!r}"
                        " (NumPy would make it an array of objects)")
    return array


def describe(x: Any) -> str:
    """Return an operand in a few characters, for error messages: dtype and shape, or the value."""
    return f"{x.dtype} {x.shape}" if isinstance(x, Tensor | ndarray | np.generic) else repr(x)[:60]


def stands_for(*functions: Any) -> Callable[[F], F]:
    """Mark a function built on gates as what a NumPy function means when it is called on a tensor."""
    def register(function: F) -> F:
        NUMPY.update(dict.fromkeys(functions, function))
        return function
    return register


def accumulates(into: Callable[..., None]) -> Callable[[F], F]:
    """Give a derivative that scatters into zeros a form that adds into a gradient which the engine already owns.

    ``into(total, dz, z, *inputs, **options)`` adds to `total`. A loop over the slices of one array then costs as much
    as the array, not as much as the array times the number of slices.
    """
    def mark(derivative: F) -> F:
        derivative.into = into                         # type: ignore[attr-defined]
        return derivative
    return mark


gate = Gate
