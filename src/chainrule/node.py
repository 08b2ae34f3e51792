"""A node of a graph: an input, a constant, or the result of a gate, with its value and its gradient."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import gates as g
from .gate import NUMPY, Gate
from .reverse import pull
from .source import Place
from .tensor import Tensor

if TYPE_CHECKING:
    from .graph import Graph

__all__ = ["Contribution", "Node", "lent", "seed_of", "taken"]

ARRAY = (np.ndarray, np.generic)         #: what has a shape and a dtype of its own
FLOAT: np.dtype[Any] = np.dtype(np.float64)
LARGEST = 2**53                          #: whole numbers up to here are exact in floating point


class Contribution(NamedTuple):
    """What one gate hands back to one of its inputs. The gradient of a node is the sum of what it is handed."""

    node: Node | None                    #: the node that hands it back; None for the seed
    argument: int                        #: as which of that node's inputs
    value: Any                           #: a number or an array


def _operator(gate: Gate) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """Make the methods of a binary operator, direct and reflected."""
    return (lambda self, y: gate(self, y)), (lambda self, y: gate(y, self))


class Node:
    """An input, a constant or the result of a gate in a graph.

    Operators, gates, NumPy functions and the methods of tensors, applied to a node, make a node. Two nodes are equal
    if they are the same one; the gate that compares values is `chainrule.equal`.

    Attributes
    ----------
    gate : Gate or None
        None for inputs and constants.
    inputs : tuple
        The nodes that go into the gate; plain numbers and parts of an index stand for themselves.
    value : number, array or None
        None as long as the node has not been run. It can be set on inputs and constants.
    gradient : number, array or None
        The derivative of the graph's output with respect to this value. None if it was not computed, or if none came.
    contributions : list of Contribution
        The parts of the gradient, one for each use of the value.
    name : str
        It can be set.
    line : str
        Where in the user's program the node was made; empty for the gates behind a tensor.

    Examples
    --------
    >>> import chainrule as cr
    >>> g = cr.Graph()
    >>> a = g.input("a", 3)
    >>> b = a + a
    >>> b.value
    6
    >>> g.backward()
    {'a': 2}
    >>> [part.value for part in a.contributions]
    [1, 1]
    """

    __slots__ = ("__weakref__", "_gradient", "_kept", "_name", "_place", "contributions", "gate", "graph", "held",
                 "inputs", "options", "varies")

    if TYPE_CHECKING:                    # the methods of tensors that are gates
        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, graph: Graph, gate: Gate | None, inputs: tuple[Any, ...], options: dict[str, Any], name: str,
                 varies: bool, place: Place | None = None) -> None:
        self.graph, self.gate, self.inputs, self.options = graph, gate, inputs, options
        #: Whether gradients come here: it is an input, or depends on one.
        self.varies = varies
        self.contributions: list[Contribution] = []
        #: The value as gates take it: a Python number, or an array.
        self.held: Any = None
        self._kept: Any = None           # what the gate keeps for its derivatives
        self._gradient: Any = None
        self._name, self._place = name, place

    # ------------------------------------------------------------------ looking
    @property
    def value(self) -> Any:
        """The number or array that stands here; None as long as the node has not been run."""
        return _shown(self.held)

    @value.setter
    def value(self, value: Any) -> None:
        if self.gate is not None:
            raise ValueError(f"{self.name} comes out of {self.gate.name}: its value cannot be set, only those of "
                             f"inputs and constants ({', '.join(n.name for n in self.graph.leaves())})")
        self.hold(taken(value, self))

    @property
    def gradient(self) -> Any:
        """The derivative of the output with respect to this value; None if it was not computed, or if none came."""
        return self._gradient

    @gradient.setter
    def gradient(self, seed: Any) -> None:
        self.forget()
        if seed is not None:
            self.receive(Contribution(None, 0, seed_of(seed, self)))

    @property
    def name(self) -> str:
        """What pictures, explanations and `Graph.forward` call it."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self.graph._rename(self, name)

    @property
    def line(self) -> str:
        """Where in the user's program the node was made: file, line and function; empty if that was not recorded."""
        return "" if self._place is None else str(self._place)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis of the value."""
        return np.shape(self.known("shape"))

    @property
    def ndim(self) -> int:
        """The number of axes of the value."""
        return np.ndim(self.known("ndim"))

    @property
    def size(self) -> int:
        """The number of elements of the value."""
        return int(np.size(self.known("size")))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements of the value; Python numbers are computed as float64."""
        held = self.known("dtype")
        return held.dtype if isinstance(held, ARRAY) else FLOAT

    def known(self, what: str) -> Any:
        """Return the value; without one there is no `what`."""
        if self.held is None:
            raise ValueError(f"{self.name} has no value yet, so its {what} is not known: run forward first, or give "
                             'the inputs values when they are made, as in g.input("x", value)')
        return self.held

    def __repr__(self) -> str:
        from .view.text import describe, show
        parts = [describe(self)]
        if self.held is not None:
            parts.append(f"value={show(self.value)}")
        if self._gradient is not None:
            parts.append(f"gradient={show(self._gradient)}")
        return f"Node({', '.join(parts)})"

    # ------------------------------------------------------------------ running
    def forward(self) -> Any:
        """Work out the value from those of the inputs, and return it. The gradient, of an older value, is forgotten.

        Raises
        ------
        ValueError
            If an input has no value.
        """
        self.forget()
        if self.gate is None:
            if self.held is None:
                raise ValueError(f"forward: {self.name} has no value; run g.forward({self.name}=...), or set "
                                 f"{self.name}.value")
            return self.value
        held = self._given()
        arrays = self._arrays(held)
        try:
            z = self.gate.forward(*arrays, **self.options)
        except Exception as error:
            raise self.gate.blame(error, arrays, self.options) from error
        if self.gate.keeps:
            z, self._kept = z
        if np.ndim(z) == 0 and not any(isinstance(x, ARRAY) for x in held):
            z = _number(z, all(type(x) is int for x in held))
        self.hold(z)
        return self.value

    def backward(self) -> None:
        """Hand the gradient on: each input receives, as a contribution, what the derivative of the gate makes of it.

        The graph's output starts a new pass, with the gradient 1 unless another was set. A node that no gradient has
        reached has nothing to hand on.

        Raises
        ------
        ValueError
            If the graph has not been run forward, or the output needs a seed gradient.
        """
        if self is self.graph.output():
            self.graph._start()
        if self.gate is None or self._gradient is None:
            return
        whole = all(type(x) is int for x in (self._gradient, self.held, *self._given()))
        wanted = [isinstance(x, Node) and x.varies for x in self.inputs]
        parts = self.pull(self._gradient, wanted)
        for i, (x, part) in enumerate(zip(self.inputs, parts, strict=False)):
            if part is not None and wanted[i]:
                scalar = not isinstance(x.held, ARRAY)
                x.receive(Contribution(self, i, _number(part, whole) if scalar else _shown(frozen(part))))

    def pull(self, dz: Any, wanted: Sequence[bool]) -> list[Any]:
        """Take a gradient of the value back through the gate, without keeping anything.

        Parameters
        ----------
        dz : number or array
            Of the shape of the value.
        wanted : sequence of bool
            One for each input.

        Returns
        -------
        list
            An array for each input that is wanted and depended upon, else None.
        """
        assert self.gate is not None
        dz, z, arrays = self.at(dz)
        return pull(self.gate, dz, z, arrays, self.kept(), wanted)

    def at(self, dz: Any) -> tuple[Any, Any, list[Any]]:
        """Return a gradient, the value and the operands as the gate's derivatives take them."""
        arrays = self._arrays(self._given())
        z = self.held if isinstance(self.held, ARRAY) else _dtype(arrays).type(self.held)
        return np.asarray(dz, z.dtype if z.dtype.kind == "f" else _dtype(arrays))[()], z, arrays

    def kept(self) -> dict[str, Any]:
        """Return the options of the gate, with what it keeps for its derivatives."""
        assert self.gate is not None
        return {**self.options, "kept": self._kept} if self.gate.keeps else self.options

    def _given(self) -> list[Any]:
        """Return the values that go into the gate."""
        held = [x.held if isinstance(x, Node) else x for x in self.inputs]
        for x, value in zip(self.inputs, held, strict=True):
            if value is None and isinstance(x, Node):
                raise ValueError(f"{self.name} needs {x.name}, which has no value yet; run forward first")
        return held

    def _arrays(self, held: list[Any]) -> list[Any]:
        """Return what goes into the gate as NumPy takes it: a node's number in the precision of what it meets.

        Whole numbers alone are computed in floating point, so that 1/x of 3 is not 0. Where there is no derivative, as
        by an index or a condition, a value stays what it is.
        """
        assert self.gate is not None
        dtype, rules, arrays = _dtype(held), self.gate.derivative, list(held)
        for i, (x, value) in enumerate(zip(self.inputs, held, strict=True)):
            if isinstance(x, Node) and (self.gate.joint is not None or (i < len(rules) and rules[i] is not None)):
                if not isinstance(value, ARRAY):
                    arrays[i] = dtype.type(value)
                elif value.dtype.kind in "iu" and not any(map(_floating, held)):
                    arrays[i] = value.astype(dtype)
        return arrays

    def hold(self, value: Any) -> None:
        """Take a value over; the gradient was that of another."""
        self.held = frozen(value)
        self.forget()

    def receive(self, part: Contribution) -> None:
        """Add a part to the gradient."""
        self.contributions.append(part)
        self._gradient = part.value if self._gradient is None else _shown(frozen(self._gradient + part.value))

    def forget(self) -> None:
        """Drop the gradient and its parts."""
        if self._gradient is not None:
            self._gradient, self.contributions = None, []

    # ------------------------------------------------------------------ building on
    __add__, __radd__ = _operator(g.add)
    __sub__, __rsub__ = _operator(g.subtract)
    __mul__, __rmul__ = _operator(g.multiply)
    __truediv__, __rtruediv__ = _operator(g.divide)
    __pow__, __rpow__ = _operator(g.power)
    __matmul__, __rmatmul__ = _operator(g.matmul)
    __and__, __rand__ = _operator(g.bitwise_and)
    __or__, __ror__ = _operator(g.bitwise_or)
    __xor__, __rxor__ = _operator(g.bitwise_xor)
    __gt__, _ = _operator(g.greater)
    __ge__, _ = _operator(g.greater_equal)
    __lt__, _ = _operator(g.less)
    __le__, _ = _operator(g.less_equal)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"{self.name} has no axes, hence no length")
        return self.shape[0]

    # Tensor's own methods that are written with gates alone serve nodes as they are.
    __neg__: Callable[[Any], Any] = Tensor.__neg__
    __pos__: Callable[[Any], Any] = Tensor.__pos__
    __abs__: Callable[[Any], Any] = Tensor.__abs__
    __invert__: Callable[[Any], Any] = Tensor.__invert__
    __getitem__: Callable[[Any, Any], Any] = Tensor.__getitem__
    __iter__: Callable[[Any], Iterator[Any]] = Tensor.__iter__
    reshape: Callable[..., Any] = Tensor.reshape
    transpose: Callable[..., Any] = Tensor.transpose
    ravel: Callable[..., Any] = Tensor.ravel
    flatten: Callable[..., Any] = Tensor.flatten
    astype: Callable[..., Any] = Tensor.astype
    dot: Callable[..., Any] = Tensor.dot
    T: Any = Tensor.T

    if not TYPE_CHECKING:
        def __getattr__(self, name: str) -> Any:
            method = getattr(Tensor, name, None)
            if isinstance(method, Gate):
                return MethodType(method, self)
            raise AttributeError(f"a node has no attribute {name!r}; it has value, gradient, inputs, gate, name, "
                                 "forward(), backward() and the methods of tensors that are gates")

    def __bool__(self) -> bool:
        raise TypeError(f"{self.name} is a node: a graph has no branches, so it cannot decide an if; use where(), or "
                        f"look at {self.name}.value")

    def __float__(self) -> float:
        raise TypeError(f"float({self.name}) would leave the graph; use {self.name}.value")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError(f"{self.name} is a node, and an array made of it would leave the graph; use {self.name}.value, "
                        "or a NumPy function that has a gate. A layer takes tensors: Graph(layer(x)) shows its graph")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or ufunc not in NUMPY or options:
            call = f"np.{ufunc.__name__}{'' if method == '__call__' else '.' + method}({', '.join(options)})"
            raise TypeError(f"{call} has no gate, so it cannot be part of a graph; see chainrule.GATES for what can")
        return NUMPY[ufunc](*inputs)

    def __array_function__(self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if function in (np.shape, np.ndim, np.size):
            return getattr(self, function.__name__)
        if function not in NUMPY:
            raise TypeError(f"np.{function.__name__} has no gate, so it cannot be part of a graph; see chainrule.GATES "
                            "for what can")
        return NUMPY[function](*args, **options)


# ------------------------------------------------------------------ values, as gates take them and as people see them
def _number(z: Any, whole: bool) -> Any:
    """Return what a gate made of Python numbers: whole if they all were, and it is."""
    number = np.asarray(z).item()
    if whole and isinstance(number, float) and number.is_integer() and abs(number) <= LARGEST:
        return int(number)
    return number


def _shown(held: Any) -> Any:
    """Return a value for people: a single float64, integer or truth value is a Python number."""
    if isinstance(held, ARRAY) and held.ndim == 0:
        return held.item() if held.dtype in (np.float64, np.int64, np.bool_) else np.asarray(held)[()]
    return held


def frozen(value: Any) -> Any:
    """Return an array as a view that cannot be written through."""
    if isinstance(value, np.ndarray):
        value = value.view()
        value.flags.writeable = False
    return value


def lent(t: Tensor) -> Any:
    """Return the array of a tensor, which moves to other memory before it is written."""
    t.lent = True
    return frozen(t.array)


def taken(value: Any, node: Node) -> Any:
    """Return a value for an input: a copy, in the dtype of what stood there if it does not have one itself."""
    if isinstance(value, Node):
        raise TypeError(f"{node.name}: expected a number or an array, got the node {value.name}; use its .value")
    if isinstance(value, Tensor):
        return lent(value)
    if isinstance(value, bool | int | float) and not isinstance(node.held, ARRAY):
        return value if type(value) in (bool, int, float) else float(value)
    array = np.array(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{node.name}: expected a number or an array, got {type(value).__name__} of dtype "
                        f"{array.dtype}")
    if isinstance(value, ARRAY):
        return array
    before = getattr(node.held, "dtype", None)
    if before is None:
        return array.astype(np.float64) if array.dtype.kind in "iu" else array
    return array.astype(before) if before.kind in ("f", array.dtype.kind) else array


def seed_of(seed: Any, node: Node) -> Any:
    """Return the gradient to begin with: of the shape and dtype of the output."""
    seed = seed.array if isinstance(seed, Tensor) else seed
    held = node.known("gradient")
    shape, given = np.shape(held), np.shape(seed)
    if given != shape and not (np.size(held) == 1 and given == ()):
        raise ValueError(f"backward: the output {node.name} has shape {shape} and needs a seed gradient of that shape, "
                         f"got {'a number' if given == () else given}; reduce it with .sum() or .mean(), or pass "
                         "backward(seed=...)")
    if isinstance(held, ARRAY):
        dtype = held.dtype if held.dtype.kind == "f" else FLOAT
        return _shown(frozen(np.array(np.broadcast_to(np.asarray(seed), shape), dtype)))
    return seed if type(seed) in (int, float) else np.asarray(seed, np.float64).item()


def _floating(x: Any) -> bool:
    return isinstance(x, ARRAY) and x.dtype.kind == "f"


def _dtype(values: list[Any]) -> np.dtype[Any]:
    """Return the precision in which Python numbers are computed beside these arrays."""
    floats = {x.dtype for x in values if isinstance(x, ARRAY) and x.dtype.kind == "f"}
    return np.result_type(*floats) if len(floats) > 1 else floats.pop() if floats else FLOAT
