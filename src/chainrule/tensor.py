"""A tensor: a NumPy array that remembers the gate and the inputs it came from.

Its value never changes behind the back of a recorded gate. A tensor copies the array it is made from and hands out
read-only views; memory that somebody else looks at (`lent`) is left behind before the next write; and each write is
stamped (`moment`), so that a backward pass which still needed the old value finds out and says so.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import gates as g
from .gate import NUMPY, Gate, describe, new, own, tie
from .mode import mode, recorder, tick
from .state import read, touch, write

__all__ = ["Dropped", "Tensor", "as_tensor"]

NO_IF = "use where() in place of an if"                #: what most steps want that read a value

if TYPE_CHECKING:
    from .explain import Explanation

Hook = Callable[["Tensor"], "Tensor | None"]


class Extra:
    """What few tensors have: a name, hooks on their gradient, the wish to keep it."""

    __slots__ = ("hooks", "name", "retains")

    def __init__(self) -> None:
        self.name = ""
        self.hooks: dict[int, Hook] = {}
        self.retains = False


class Dropped:
    """Stands in `.grad` where a compiled step has left a gradient that it was not asked to keep.

    Whoever uses it is told what to do. `held` is the gradient itself as long as the step is being recorded, which may
    find that it goes on from there.
    """

    __slots__ = ("held",)

    def __init__(self, held: Tensor | None = None) -> None:
        self.held = held

    def missed(self) -> NoReturn:
        """Say why there is no gradient."""
        raise RuntimeError("the gradient that a compiled step leaves in .grad is not kept, to save its memory; compile "
                           "the step with keep_grads=True, return the gradient from it, or call zero_grad() first")

    def __getattr__(self, name: str) -> Any:
        self.missed()

    def __add__(self, other: Any) -> Any:
        self.missed()

    __mul__ = __add__


class Tensor:
    """A NumPy array that remembers the gate and the inputs it came from.

    Parameters
    ----------
    value : array_like or Tensor
        Copied. Its dtype is kept; Python floats become float64, as with NumPy.
    requires_grad : bool
        Whether `backward` and `grad` should arrive at this tensor. Only floating-point tensors can.
    dtype : dtype, optional
        Converted to it.
    name : str
        What explanations, pictures and error messages call it.

    Attributes
    ----------
    grad : Tensor or None
        The sum of the gradients of all backward passes since it was last set to None.
    requires_grad : bool
    gate : Gate or None
        The gate it came out of; None for a leaf.
    inputs : tuple
        What went into that gate.

    Raises
    ------
    TypeError
        If the value is not numeric, or is not floating-point and should require a gradient.

    Examples
    --------
    >>> import chainrule as cr
    >>> x = cr.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    Tensor([2., 4., 6.])
    """

    __slots__ = ("__weakref__", "array", "extra", "gate", "gradient", "inputs", "lent", "moment", "options", "tracked")
    __hash__ = object.__hash__               # tensors are keys by identity; == compares elements

    if TYPE_CHECKING:                        # the gates with method=True arrive when gate.tie hands them over
        array: Any
        gate: Gate | None
        inputs: tuple[Any, ...]
        options: dict[str, Any]
        tracked: bool
        moment: int
        lent: bool
        extra: Extra | None
        gradient: Any                        # a tensor, None, or Dropped

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, value: ArrayLike | Tensor, requires_grad: bool = False, dtype: DTypeLike | None = None,
                 name: str = "") -> None:
        try:
            self.array = np.array(value.array if isinstance(value, Tensor) else value, dtype, order="C")
        except ValueError as error:
            raise ValueError(f"a tensor holds numbers in rows of equal length, got {type(value).__name__}: {error}"
                             ) from error
        if self.array.dtype.kind not in "biufc":
            raise TypeError(f"a tensor holds numbers, got {type(value).__name__} of dtype {self.array.dtype}")
        self.gradient: Any = None
        self.gate: Gate | None = None
        self.inputs: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}
        self.moment = tick()                 # when the value was last written: the order of the graph
        self.lent = False                    # somebody else looks at this memory: move before writing
        self.extra: Extra | None = None
        self.tracked = False
        if requires_grad:
            self.requires_grad = True
        if name:
            self.name = name
        if mode.symbolic:
            _lifted(value, self)

    @staticmethod
    def of(array: Any, lent: bool = False) -> Tensor:
        """Make a tensor around an array without copying; with `lent`, its first in-place write moves elsewhere."""
        t = new(Tensor)
        t.array, t.gradient, t.tracked, t.gate, t.inputs, t.options = array, None, False, None, (), {}
        t.moment, t.extra, t.lent = tick(), None, lent
        return t

    # ------------------------------------------------------------------ looking
    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.array.shape                        # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim                         # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.array.size                         # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its elements."""
        return self.array.dtype                        # type: ignore[no-any-return]

    def numpy(self) -> NDArray[Any]:
        """Return the value as a read-only view; it stays what it is, whatever happens to the tensor afterwards."""
        view = np.asarray(self.look(".numpy()")).view()
        self.lent = True
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """Return the only element as a Python number.

        Raises
        ------
        ValueError
            If there is not exactly one element.
        """
        value = self.look(".item()")
        if value.size != 1:
            raise ValueError(f"item() needs one element, got a tensor of shape {self.shape}; use .numpy() or an index")
        return value.item()

    def tolist(self) -> Any:
        """Return the value as Python numbers in nested lists."""
        return self.look(".tolist()").tolist()

    def look(self, how: str, instead: str = NO_IF) -> Any:
        """Return the array on its way into Python, where a recorder cannot follow it."""
        if mode.symbolic and mode.observer is not None:
            mode.observer.refuse(f"{how} reads a value inside a recorded step, where it would stay what it is now; "
                                 f"return it from the step, or {instead}")
        return self.array

    def leave(self, how: str, instead: str = NO_IF) -> Any:
        """Return the array on its way out of the graph; refused while a gradient would be lost."""
        if self.tracked:
            raise TypeError(f"{how} would lose the gradient of a tensor that requires one; "
                            "use .detach(), .numpy() or .item() if that is meant")
        return self.look(how, instead)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        value = np.asarray(self.leave("np.asarray(tensor)", "let a tensor hold the whole numbers that it picks from: "
                                                            "labels = chainrule.Tensor(labels), labels[tensor]"))
        if copy or (dtype is not None and np.dtype(dtype) != value.dtype):
            return np.array(value, dtype)
        view = value.view()
        self.lent, view.flags.writeable = True, False
        return view

    def __float__(self) -> float:
        self.leave("float(tensor)")
        return float(self.item())

    def __int__(self) -> int:
        self.leave("int(tensor)")
        return int(self.item())

    def __index__(self) -> int:
        return int(self.leave("a tensor as an index of a Python sequence").__index__())

    def __bool__(self) -> bool:
        value = self.look("a Python condition")
        if value.size != 1:
            raise ValueError(f"a condition needs one element, got a tensor of shape {self.shape}; use .any() or .all()")
        return bool(value)

    def __len__(self) -> int:
        if not self.array.ndim:
            raise TypeError("a tensor without axes has no length, and nothing to iterate over")
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool(g.any(self == value))

    def __repr__(self) -> str:
        if recorder() is not None:                     # a value of now would be taken for that of each replay
            return f"Tensor(shape={self.shape}, dtype={self.dtype}, recorded)"
        value = np.array2string(np.asarray(self.array), separator=", ", prefix="Tensor(", threshold=100,
                                edgeitems=3 if self.ndim < 3 else 1)
        notes = [value]
        if self.size > 100:
            notes.append(f"shape={self.shape}")
        if self.dtype not in (np.float64, np.int64, np.bool_):
            notes.append(f"dtype={self.dtype}")
        if self.name:
            notes.append(f"name={self.name!r}")
        if self.gate is not None:
            notes.append(f"gate={self.gate.name}")
        elif self.tracked:
            notes.append("requires_grad=True")
        return f"Tensor({', '.join(notes)})"

    def __format__(self, spec: str) -> str:
        if spec:
            self.look(f"f'{{tensor:{spec}}}'")
        return format(self.item(), spec) if spec else repr(self)

    # ------------------------------------------------------------------ differentiating
    @property
    def requires_grad(self) -> bool:
        """Whether gradients should arrive here. It can be set on a leaf."""
        return self.tracked

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if self.gate is not None and not wanted:
            raise RuntimeError(f"requires_grad can be taken from a leaf only, not from a result of {self.gate.name}; "
                               "use .detach()")
        if wanted and self.array.dtype.kind != "f":
            raise TypeError(f"only floating-point tensors can require a gradient, got {self.array.dtype}; write 1.0 "
                            "instead of 1, or convert with .astype(np.float32)")
        self.tracked = bool(wanted)
        touch()

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether it came out of no gate that remembers."""
        return self.gate is None

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient; it can be set to None, or to a tensor or array of this tensor's shape."""
        gradient = read(self, "gradient")
        if type(gradient) is Dropped:
            gradient.missed()
        return gradient                                # type: ignore[no-any-return]

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            value = as_tensor(value, self.dtype)
            if value.shape != self.shape:
                raise ValueError(f"a gradient has its tensor's shape {self.shape}, got {value.shape}")
        write(self, "gradient", value)

    @property
    def name(self) -> str:
        """What explanations, pictures and errors call it; empty if nobody named it."""
        return self.extra.name if self.extra is not None else ""

    @name.setter
    def name(self, name: str) -> None:
        self.notes().name = name

    def notes(self) -> Extra:
        """Return the rarely needed attributes, made on first use."""
        if self.extra is None:
            self.extra = Extra()
        return self.extra

    def backward(self, gradient: Any = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add the gradient of this value to `.grad` of every leaf that requires it.

        Parameters
        ----------
        gradient : array_like or Tensor, optional
            The seed :math:`dL/dz`, of this tensor's shape. May be left out if there is one element: then it is 1.
        retain_graph : bool
            Keep the graph for another backward pass. By default its memory is given back as the pass goes on.
        create_graph : bool
            Record the derivatives in turn, so that they can be differentiated; implies `retain_graph`.

        Raises
        ------
        RuntimeError
            If nothing requires a gradient, if the graph has been freed, or if a tensor that a derivative needs was
            written in place since.
        ValueError
            If a seed is needed, or does not have this shape.
        """
        from .reverse import backward
        backward(self, gradient, retain_graph=retain_graph, create_graph=create_graph)

    def explain(self, target: Tensor, index: int | tuple[int, ...] | None = None, names: Any = None) -> Explanation:
        """Explain the gradient of this value by one element of a tensor, path by path: see `chainrule.explain`."""
        from .explain import explain
        return explain(self, target, index, names)

    def retain_grad(self) -> None:
        """Keep the gradient that passes through this result in `.grad`, as a leaf does."""
        if not self.tracked:
            raise RuntimeError("retain_grad: this tensor does not depend on anything that requires a gradient")
        self.notes().retains = True

    def register_hook(self, hook: Hook) -> Callable[[], None]:
        """Call `hook(gradient)` when the whole gradient of this tensor is known, in each backward pass.

        Parameters
        ----------
        hook : callable
            Given the gradient, a tensor; what it returns replaces it, unless that is None.

        Returns
        -------
        callable
            Takes the hook away again.
        """
        if not self.tracked:
            raise RuntimeError("register_hook: no gradient comes to a tensor that does not require one")
        hooks, key = self.notes().hooks, tick()
        hooks[key] = hook
        return lambda: hooks.pop(key, None) and None

    # ------------------------------------------------------------------ writing
    def memory(self) -> NDArray[Any]:
        """Return the array, to be written into.

        It moves first if a view of it has been handed out, so that no view ever changes, and is stamped as written.
        """
        if self.gate is not None:
            raise RuntimeError(f"{self.name or 'this tensor'} is the result of {self.gate.name}: writing into it would "
                               "make its gradient wrong; make a new tensor, or write to a .detach() copy")
        if self.lent or not isinstance(self.array, np.ndarray) or not self.array.flags.writeable:
            self.array, self.lent = np.array(self.array), False
        self.moment = tick()
        return self.array

    def assign(self, value: ArrayLike | Tensor) -> None:
        """Write a new value in place. A backward pass that still needed the old one will say so.

        Parameters
        ----------
        value : array_like or Tensor
            Broadcast to this shape and converted to this dtype. A constant: no gradient goes back to it.

        Raises
        ------
        RuntimeError
            If this tensor is the result of a gate.
        ValueError
            If the shapes do not fit.
        """
        if mode.symbolic:
            source = value if isinstance(value, Tensor) else Tensor(value)      # a plain array is read anew each time
            write(self, "array", g.broadcast_to(g.cast(source, dtype=self.dtype), shape=self.shape))
            return
        new_value = value.array if isinstance(value, Tensor) else np.asarray(value)
        try:
            new_value = np.broadcast_to(new_value, self.shape)
        except ValueError:
            raise ValueError(f"cannot write a value of shape {new_value.shape} into {self.name or 'a tensor'} of shape "
                             f"{self.shape}") from None
        self.memory()[...] = new_value

    def update(self, gate: Gate, other: Any) -> Any:
        """Do an in-place operator such as ``w -= lr * w.grad``."""
        step = recorder()
        if step is not None and step.in_place(self):
            write(self, "array", gate(self, other))
            return self
        if mode.record or self.gate is not None:
            if self.tracked and self.gate is None:
                raise RuntimeError(f"{self.name or 'this tensor'} requires a gradient: an in-place {gate.name} would "
                                   "change it under its graph. Update parameters inside `with no_grad():`, or write "
                                   "w = w + ... for a new tensor")
            return gate(self, other)
        if mode.symbolic:
            write(self, "array", gate(self, other))
            return self
        value = other.array if isinstance(other, Tensor) else other
        try:
            gate.forward(self.array, value, out=self.memory())
        except Exception as error:
            raise gate.blame(error, [self.array, value], {"out": describe(self.array)}) from error
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        step = recorder()
        if step is not None:
            if step.in_place(self) and (index is ... or (type(index) is slice and index == slice(None))):
                write(self, "array", g.broadcast_to(g.cast(value, dtype=self.dtype), shape=self.shape))
                return
            step.refuse(f"{self.name or 'a tensor'}[...] = ... writes into some elements, which a recorded step cannot "
                        "do; use where(mask, new, old) or concatenate, and assign() the whole")
        if self.gate is not None or (
                mode.record and (self.tracked or (isinstance(value, Tensor) and value.tracked))):
            raise RuntimeError(f"{self.name or 'this tensor'} is part of a graph: writing into its elements would make "
                               "its gradient wrong. Use where(mask, new, old) or concatenate, write to a .detach() "
                               "copy, or, for a parameter, write inside `with no_grad():`")
        parts = tuple(_raw(i) for i in index) if isinstance(index, tuple) else _raw(index)
        try:
            self.memory()[parts] = _raw(value)
        except (IndexError, TypeError, ValueError) as error:
            kind = next(k for k in (IndexError, TypeError, ValueError) if isinstance(error, k))
            raise kind(f"cannot write {describe(value)} at [{describe(index)}] of {self.name or 'a tensor'}, "
                       f"{describe(self)}: {error}") from error

    def detach(self) -> Tensor:
        """Return the same value as a constant. Memory is shared until one of the two is written."""
        return g.detach(self)                          # type: ignore[no-any-return]

    def clone(self) -> Tensor:
        """Return a copy through which gradients flow."""
        return g.cast(self, dtype=self.dtype)          # type: ignore[no-any-return]

    copy = clone

    # ------------------------------------------------------------------ copying and sending
    def __copy__(self) -> Tensor:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        step = recorder()
        if step is not None and step.is_array(self):
            twin = memo[id(self)] = step.lowered(self)
            return twin
        twin = memo[id(self)] = self._without_history("copy")
        if isinstance(self.gradient, Tensor):
            twin.gradient = self.gradient.detach().clone()
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        self._without_history("pickle")
        return _rebuild, (type(self), np.asarray(self.array), self.tracked, self.name,
                          np.asarray(self.gradient.array) if isinstance(self.gradient, Tensor) else None)

    def _without_history(self, what: str) -> Tensor:
        if self.gate is not None:
            raise TypeError(f"{what}: this tensor came out of {self.gate.name} and its graph cannot be copied; "
                            "use .detach() for the value alone")
        return type(self)(np.asarray(self.array), self.tracked, name=self.name)

    # ------------------------------------------------------------------ operators
    __add__, __radd__ = g.add.operator()
    __sub__, __rsub__ = g.subtract.operator()
    __mul__, __rmul__ = g.multiply.operator()
    __truediv__, __rtruediv__ = g.divide.operator()
    __pow__, __rpow__ = g.power.operator()
    __matmul__, __rmatmul__ = g.matmul.operator()
    __gt__, _ = g.greater.operator()
    __ge__, _ = g.greater_equal.operator()
    __lt__, _ = g.less.operator()
    __le__, _ = g.less_equal.operator()
    __and__, __rand__ = g.bitwise_and.operator()
    __or__, __ror__ = g.bitwise_or.operator()
    __xor__, __rxor__ = g.bitwise_xor.operator()
    __eq__, _ = g.equal.operator()
    __ne__, _ = g.not_equal.operator()

    def __neg__(self) -> Tensor:
        return g.negative(self)                        # type: ignore[no-any-return]

    def __pos__(self) -> Tensor:
        step = recorder()
        if step is not None and step.is_array(self):     # NumPy copies
            return g.multiply(self, 1)                   # type: ignore[no-any-return]
        return self

    def __abs__(self) -> Tensor:
        return g.abs(self)                             # type: ignore[no-any-return]

    def __invert__(self) -> Tensor:
        return g.invert(self)                          # type: ignore[no-any-return]

    def __round__(self, decimals: int = 0) -> Tensor:
        return g.round(self, decimals=decimals)        # type: ignore[no-any-return]

    def __iadd__(self, y: Any) -> Any:
        return self.update(g.add, y)

    def __isub__(self, y: Any) -> Any:
        return self.update(g.subtract, y)

    def __imul__(self, y: Any) -> Any:
        return self.update(g.multiply, y)

    def __itruediv__(self, y: Any) -> Any:
        return self.update(g.divide, y)

    def __ipow__(self, y: Any) -> Any:
        return self.update(g.power, y)

    def __imatmul__(self, y: Any) -> Any:
        step = recorder()
        if step is None or not step.in_place(self):
            return NotImplemented                      # w @= y is w = w @ y: the shape may be another
        return self.update(g.matmul, y)

    def sort(self, axis: int = -1) -> Any:
        """Return the elements along an axis in order; what stands for an array is sorted in place, as by NumPy."""
        step = recorder()
        if step is None or not step.in_place(self):
            return g.sort(self, axis=axis)
        write(self, "array", g.sort(self, axis=axis))
        return None

    def __getitem__(self, index: Any) -> Tensor:
        parts = index if type(index) is tuple else (index,)
        if list in map(type, parts):                   # an empty list picks nothing; as an array it would be floats
            parts = tuple([np.asarray(i, None if i else np.intp) if type(i) is list else i for i in parts])
        return g.getitem(self, *parts)                 # type: ignore[no-any-return]

    # ------------------------------------------------------------------ methods that NumPy spells its own way
    def reshape(self, *shape: SupportsIndex | Sequence[int]) -> Tensor:
        """Return the elements in another shape: ``x.reshape(2, 3)`` or ``x.reshape((2, 3))``."""
        return g.reshape(self, shape=_unpacked(shape))     # type: ignore[no-any-return]

    def transpose(self, *axes: Any) -> Tensor:
        """Return the axes in another order: reversed, or ``x.transpose(1, 0)``, or ``x.transpose((1, 0))``."""
        return g.transpose(self, axes=_unpacked(axes) if axes and axes != (None,) else None)  # type: ignore[no-any-return]

    @property
    def T(self) -> Tensor:  # noqa: N802
        """The axes reversed."""
        return g.transpose(self)                       # type: ignore[no-any-return]

    def ravel(self) -> Tensor:
        """Return the elements in one row."""
        return g.ravel(self)                           # type: ignore[no-any-return]

    flatten = ravel

    def astype(self, dtype: DTypeLike) -> Tensor:
        """Return the value in another dtype; the gradient comes back in this one. Whole numbers are constants."""
        dtype = np.dtype(dtype)
        return g.cast(self if dtype.kind == "f" else self.detach(), dtype=dtype)     # type: ignore[no-any-return]

    def dot(self, y: Any) -> Tensor:
        """Return the product as `numpy.dot` defines it."""
        return g.dot(self, y)                          # type: ignore[no-any-return]

    # ------------------------------------------------------------------ NumPy's functions on tensors
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        stand_in = NUMPY.get(ufunc)
        if method == "__call__" and stand_in is not None and not options:
            return stand_in(*inputs)
        call = f"np.{ufunc.__name__}{'' if method == '__call__' else '.' + method}"
        if "out" in options:
            raise _refusal(f"{call}(out=...), which an in-place operator on an array is too, would write a tensor's "
                           "value where no gradient can follow; assign the result to a name, or use .numpy()")
        raise _refusal(f"{call}({', '.join(f'{option}=...' for option in options)}) has no gate, so its gradient would "
                       "be lost; use chainrule's functions, or .detach() and .numpy() for the value alone")

    def __array_function__(self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        stand_in = NUMPY.get(function)
        if options.get("out") is not None:
            raise _refusal(f"np.{function.__name__}(out=...) would write a tensor's value where no gradient can "
                           "follow; assign the result to a name")
        if isinstance(stand_in, Gate):
            return stand_in.as_numpy(function, args, options)
        if stand_in is not None:
            return stand_in(*args, **options)
        if function in READS:
            if function not in SHAPES:
                self.look(f"np.{function.__name__}")
            return function(*_values(args), **{name: _raw(value) for name, value in options.items()})
        raise _refusal(f"np.{function.__name__} has no gate, so " + (
            "the gradient would be lost; use .detach() or .numpy() for the value alone" if recorder() is None else
            "a recorded step cannot repeat it; do it before the step, and pass what it gives as an argument"))


def _refusal(why: str) -> TypeError:
    """Return an error, or let a recorder, which knows the line, raise one."""
    step = recorder()
    if step is not None:
        step.refuse(why)
    return TypeError(why)


#: NumPy functions that only look at values or shapes, so that no gradient is lost.
SHAPES = {np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj}
READS = {np.shape, np.ndim, np.size, np.allclose, np.array_equal, np.array_equiv, np.isclose, np.result_type,
         np.may_share_memory, np.shares_memory, np.array_repr, np.array_str, np.array2string, np.iscomplexobj,
         np.isrealobj}


def _values(x: Any) -> Any:
    return tuple(_values(y) for y in x) if isinstance(x, tuple) else _raw(x)


def _raw(x: Any) -> Any:
    return x.array if isinstance(x, Tensor) else x


def _unpacked(shape: tuple[Any, ...]) -> tuple[int, ...]:
    first = shape[0] if len(shape) == 1 else shape
    return tuple(first) if isinstance(first, tuple | list) else (first,)


def _rebuild(cls: type[Tensor], array: NDArray[Any], tracked: bool, name: str, grad: NDArray[Any] | None) -> Tensor:
    t = cls(array, tracked, name=name)
    t.grad = grad
    return t


def as_tensor(value: ArrayLike | Tensor, dtype: DTypeLike | None = None) -> Tensor:
    """Return a tensor of this value, without copying where nobody could write into the memory.

    Parameters
    ----------
    value : array_like or Tensor
        A tensor of the right dtype is returned as it is. An array is shared if it is read-only down to the owner of
        its memory, and copied otherwise. Making an array read-only is thus a promise not to write through a view that
        was taken before.
    dtype : dtype, optional

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> a = np.array([1.0, 2.0])
    >>> a.flags.writeable = False
    >>> np.shares_memory(cr.as_tensor(a).numpy(), a)
    True
    """
    if isinstance(value, Tensor):
        return value if dtype is None or value.dtype == dtype else value.astype(dtype)
    if isinstance(value, np.ndarray) and (dtype is None or value.dtype == dtype) and value.dtype.kind in "biufc":
        t = Tensor.of(own(np.asarray(value)), lent=True)             # a subclass, such as np.matrix, becomes an array
        if mode.symbolic:
            _lifted(value, t)
        return t
    return Tensor(value, dtype=dtype)


def _lifted(source: Any, t: Tensor) -> None:
    """Tell a recorder what a tensor was made of, if not by a gate."""
    step = recorder()
    if step is not None:
        step.lifted(source, t)


Index = int | slice | EllipsisType | None
tie(Tensor)
