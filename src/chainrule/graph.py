"""A computational graph: the gates behind a value, one node each, to be run forward and backward and looked at.

It is built by hand, in the style of the lectures, or taken from any tensor. Either way the nodes apply the gates that
everything else applies, and the gates' own derivatives bring the gradients back.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple, cast, overload

import numpy as np

from . import gates as g
from .gate import NUMPY, Gate, adopt, own
from .reverse import _written as written, history, pull, released
from .source import Place, place
from .tensor import Tensor

if TYPE_CHECKING:
    from .explain import Explanation

__all__ = ["ComputationalGraph", "Contribution", "Graph", "Node"]

ARRAY = (np.ndarray, np.generic)         #: what has a shape and a dtype of its own
LARGEST = 2**53                          #: whole numbers up to here are exact in floating point
DIGITS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")     #: in default names


class Contribution(NamedTuple):
    """What one gate hands back to one of its inputs. The gradient of a node is the sum of what it is handed."""

    node: Node | None                    #: the node that hands it back; None for the seed
    argument: int                        #: as which of that node's inputs
    value: Any                           #: a number or an array


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

    __slots__ = ("__weakref__", "_gradient", "_held", "_kept", "_name", "_place", "contributions", "gate", "graph",
                 "inputs", "options", "varies")

    if TYPE_CHECKING:                    # the methods of tensors that are gates
        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, graph: Graph, gate: Gate | None, inputs: tuple[Any, ...], options: dict[str, Any], name: str,
                 varies: bool, place: Place | None = None) -> None:
        self.graph, self.gate, self.inputs, self.options = graph, gate, inputs, options
        #: Whether gradients come here: it is an input, or depends on one.
        self.varies = varies
        self.contributions: list[Contribution] = []
        self._held: Any = None           # the value as gates take it
        self._kept: Any = None           # what the gate keeps for its derivatives
        self._gradient: Any = None
        self._name, self._place = name, place

    # ------------------------------------------------------------------ looking
    @property
    def value(self) -> Any:
        """The number or array that stands here; None as long as the node has not been run."""
        return _shown(self._held)

    @value.setter
    def value(self, value: Any) -> None:
        if self.gate is not None:
            raise ValueError(f"{self.name} comes out of {self.gate.name}: its value cannot be set, only those of inputs "
                             f"and constants ({', '.join(n.name for n in self.graph.leaves())})")
        self._hold(_taken(value, self))

    @property
    def gradient(self) -> Any:
        """The derivative of the output with respect to this value; None if it was not computed, or if none came."""
        return self._gradient

    @gradient.setter
    def gradient(self, seed: Any) -> None:
        self._forget()
        if seed is not None:
            self._receive(Contribution(None, 0, _seed(seed, self)))

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
        return np.shape(self._known("shape"))

    @property
    def ndim(self) -> int:
        """The number of axes of the value."""
        return np.ndim(self._known("ndim"))

    @property
    def size(self) -> int:
        """The number of elements of the value."""
        return int(np.size(self._known("size")))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements of the value; Python numbers are computed as float64."""
        held = self._known("dtype")
        return held.dtype if isinstance(held, ARRAY) else np.dtype(np.float64)

    def _known(self, what: str) -> Any:
        if self._held is None:
            raise ValueError(f"{self.name} has no value yet, so its {what} is not known: run forward first, or give the "
                             'inputs values when they are made, as in g.input("x", value)')
        return self._held

    def __repr__(self) -> str:
        from .view.text import describe, show
        parts = [describe(self)]
        if self._held is not None:
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
        self._forget()
        if self.gate is None:
            if self._held is None:
                raise ValueError(f"forward: {self.name} has no value; run g.forward({self.name}=...), or set "
                                 f"{self.name}.value")
            return self.value
        arrays = self._operands()
        try:
            z = self.gate.forward(*arrays, **self.options)
        except Exception as error:
            raise self.gate.blame(error, arrays, self.options) from error
        if self.gate.keeps:
            z, self._kept = z
        held = [x._held if isinstance(x, Node) else x for x in self.inputs]
        if np.ndim(z) == 0 and not any(isinstance(x, ARRAY) for x in held):
            z = _number(z, all(type(x) is int for x in held))
        self._hold(z)
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
        whole = all(type(x._held if isinstance(x, Node) else x) is int for x in (self, *self.inputs))
        whole = whole and type(self._gradient) is int
        wanted = [isinstance(x, Node) and x.varies for x in self.inputs]
        parts = self.pull(self._gradient, wanted)
        for i, (x, part) in enumerate(zip(self.inputs, parts, strict=False)):
            if part is not None and wanted[i]:
                scalar = not isinstance(x._held, ARRAY)
                x._receive(Contribution(self, i, _number(part, whole) if scalar else _shown(_frozen(part))))

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
        arrays = self._operands()
        strong = isinstance(self._held, ARRAY)
        z = self._held if strong else _dtype(arrays).type(self._held)
        return np.asarray(dz, z.dtype if z.dtype.kind == "f" else _dtype(arrays))[()], z, arrays

    def kept(self) -> dict[str, Any]:
        """Return the options of the gate, with what it keeps for its derivatives."""
        assert self.gate is not None
        return {**self.options, "kept": self._kept} if self.gate.keeps else self.options

    def _operands(self) -> list[Any]:
        """Return what goes into the gate, as NumPy takes it: nodes' numbers in the precision of what they meet.

        Whole numbers alone are computed in floating point, so that 1/x of 3 is not 0.
        """
        assert self.gate is not None
        held = []
        for x in self.inputs:
            if isinstance(x, Node) and x._held is None:
                raise ValueError(f"{self.name} needs {x.name}, which has no value yet; run forward first")
            held.append(x._held if isinstance(x, Node) else x)
        dtype = _dtype(held)
        rules = self.gate.derivative
        for i, (x, value) in enumerate(zip(self.inputs, held, strict=True)):
            if isinstance(x, Node) and (self.gate.joint is not None or (i < len(rules) and rules[i] is not None)):
                if not isinstance(value, ARRAY):
                    held[i] = dtype.type(value)
                elif value.dtype.kind in "iu" and not any(map(_floating, held)):
                    held[i] = value.astype(dtype)
        return held                                    # an index, or a condition, stays what it is

    def _hold(self, value: Any) -> None:
        self._held = _frozen(value)
        self._forget()

    def _receive(self, part: Contribution) -> None:
        self.contributions.append(part)
        self._gradient = part.value if self._gradient is None else _shown(_frozen(self._gradient + part.value))

    def _forget(self) -> None:
        if self._gradient is not None:
            self._gradient, self.contributions = None, []

    # ------------------------------------------------------------------ building on
    def __add__(self, y: Any) -> Node:
        return cast(Node, g.add(self, y))

    def __radd__(self, y: Any) -> Node:
        return cast(Node, g.add(y, self))

    def __sub__(self, y: Any) -> Node:
        return cast(Node, g.subtract(self, y))

    def __rsub__(self, y: Any) -> Node:
        return cast(Node, g.subtract(y, self))

    def __mul__(self, y: Any) -> Node:
        return cast(Node, g.multiply(self, y))

    def __rmul__(self, y: Any) -> Node:
        return cast(Node, g.multiply(y, self))

    def __truediv__(self, y: Any) -> Node:
        return cast(Node, g.divide(self, y))

    def __rtruediv__(self, y: Any) -> Node:
        return cast(Node, g.divide(y, self))

    def __pow__(self, y: Any) -> Node:
        return cast(Node, g.power(self, y))

    def __rpow__(self, y: Any) -> Node:
        return cast(Node, g.power(y, self))

    def __matmul__(self, y: Any) -> Node:
        return cast(Node, g.matmul(self, y))

    def __rmatmul__(self, y: Any) -> Node:
        return cast(Node, g.matmul(y, self))

    def __gt__(self, y: Any) -> Node:
        return cast(Node, g.greater(self, y))

    def __ge__(self, y: Any) -> Node:
        return cast(Node, g.greater_equal(self, y))

    def __lt__(self, y: Any) -> Node:
        return cast(Node, g.less(self, y))

    def __le__(self, y: Any) -> Node:
        return cast(Node, g.less_equal(self, y))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"{self.name} has no axes, hence no length")
        return self.shape[0]

    # Tensor's own methods that are written with gates alone serve nodes as they are.
    __neg__: Callable[[Any], Any] = Tensor.__neg__
    __pos__: Callable[[Any], Any] = Tensor.__pos__
    __abs__: Callable[[Any], Any] = Tensor.__abs__
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


class Graph:
    """A computational graph: built by hand, gate by gate, or taken from a tensor.

    Parameters
    ----------
    result : Tensor, optional
        Take over the gates behind this tensor, with their values. The graph keeps its own lists, so it can be looked
        at, run and differentiated after a backward pass has freed the tape.
    names : Layer or mapping, optional
        What to call the tensors: a layer gives its parameters' paths, a mapping such as ``locals()`` its keys, of
        tensors and of layers. Before that counts the tensor's own name; what has none is called x₁, h₁, c₁ (inputs,
        results, constants).

    Attributes
    ----------
    nodes : list of Node
        In topological order: every node stands behind its inputs.

    Raises
    ------
    ValueError
        If the result came out of no gate, or the graph behind it has been freed.

    Notes
    -----
    Python numbers are computed in floating point. A gate that is given whole Python numbers only, and whose result is
    whole, gives a whole number: values and gradients then print as in a textbook.

    Examples
    --------
    >>> import chainrule as cr
    >>> g = cr.Graph()
    >>> x, y, z = g.inputs("x", "y", "z")
    >>> g.output((x + y) * z)
    Node(h₂ = h₁·z)
    >>> g.forward(x=-2, y=5, z=-4)
    -12
    >>> g.backward()
    {'x': -4, 'y': -4, 'z': 3}
    >>> print(g)
    name  gate      formula      value  gradient
    x     input                     -2        -4
    y     input                      5        -4
    z     input                     -4         3
    h₁    add       h₁ = x + y       3        -4
    h₂    multiply  h₂ = h₁·z      -12         1
    """

    def __init__(self, result: Tensor | None = None, names: Any = None) -> None:
        self.nodes: list[Node] = []
        self._names: dict[str, Node] = {}
        self._counts = dict.fromkeys("xhc", 0)
        self._tensors: dict[Tensor, Node] = {}
        self._output: Node | None = None
        if result is not None:
            self._take(result, _tensor_names(names))
        elif names is not None:
            raise TypeError("names are for the graph of a tensor; a node is named by node.name = ..., or rename()")

    # ------------------------------------------------------------------ building
    @overload
    def inputs(self, name: str, /) -> Node: ...

    @overload
    def inputs(self, *names: str) -> tuple[Node, ...]: ...

    def inputs(self, *names: str) -> Any:
        """Make inputs, which have no value until `forward`.

        Parameters
        ----------
        *names : str

        Returns
        -------
        tuple of Node, or a Node for a single name
        """
        made = tuple(self.input(name) for name in names)
        return made[0] if len(made) == 1 else made

    def input(self, name: str, value: Any = None) -> Node:
        """Make one input.

        Parameters
        ----------
        name : str
            What `forward` and `backward` call it.
        value : number, array_like or Tensor, optional
            With it, what is built on the input has values, and shapes, at once.

        Raises
        ------
        ValueError
            If there is a node of this name.
        """
        if not isinstance(name, str) or not name:
            raise TypeError(f"expected the name of an input, got {name!r}")
        if name in self._names:
            raise ValueError(f"this graph has a node named {name!r} already; choose another name")
        node = self._append(Node(self, None, (), {}, name, True, place(2)))
        if value is not None:
            node.value = value
        return node

    def output(self, node: Node | None = None) -> Node:
        """Say which node is the output, from which `backward` starts; without an argument, return it.

        Parameters
        ----------
        node : Node, optional

        Returns
        -------
        Node
            The last node of the graph, as long as none was named.

        Raises
        ------
        ValueError
            If another output was named before, or the node belongs to another graph.
        """
        if node is None:
            if self._output is None and not self.nodes:
                raise ValueError("the graph is empty: make inputs with g.inputs(...) and apply gates to them")
            return self.nodes[-1] if self._output is None else self._output
        if not isinstance(node, Node):
            raise TypeError(f"the output is a node of this graph, got {type(node).__name__}")
        if node.graph is not self:
            raise ValueError(f"{node.name} belongs to another graph")
        if self._output is not None and self._output is not node:
            raise ValueError(f"the output of this graph is {self._output.name} already; add the two up, or build "
                             "another graph")
        self._output = node
        return node

    def apply(self, gate: Gate, *inputs: Any, **options: Any) -> Node:
        """Add a node for a gate. Applying the gate itself, or an operator, to nodes does the same.

        Parameters
        ----------
        gate : Gate
        *inputs : Node, Tensor, array_like or number
            Numbers and parts of an index are kept as they are; arrays and tensors become nodes: inputs if they require
            a gradient, else constants.
        **options
            The options of the gate.
        """
        nodes = tuple(self._operand(x, gate) for x in inputs)
        varies = gate.differentiable and any(isinstance(x, Node) and x.varies for x in nodes)
        node = Node(self, gate, nodes, options, "", varies, place(2))
        if all(x._held is not None for x in nodes if isinstance(x, Node)):
            node._name = "the new node"
            node.forward()
        node._name = ""
        return self._append(node)

    def _operand(self, x: Any, gate: Gate) -> Any:
        """Return what a node keeps of an operand."""
        if isinstance(x, Node):
            if x.graph is not self:
                raise ValueError(f"{gate.name}: {x.name} belongs to another graph than the other operands")
            return x
        if isinstance(x, Tensor):
            return self._leaf(x, x.name)
        x = adopt(x)
        if not isinstance(x, np.ndarray):
            return x
        node = Node(self, None, (), {}, "", False)
        node._hold(own(x))
        return self._append(node)

    def _leaf(self, t: Tensor, name: str = "") -> Node:
        """Return the node of a tensor whose history is not part of the graph."""
        if t not in self._tensors:
            node = Node(self, None, (), {}, name, t.tracked)
            node._hold(_lent(t))
            self._tensors[t] = self._append(node)
        return self._tensors[t]

    def _append(self, node: Node) -> Node:
        """Put a node at the end, under a name that is free."""
        kind = "h" if node.gate is not None else "x" if node.varies else "c"
        name = wanted = node._name
        count = 1
        while not name or name in self._names:
            if wanted:                                 # w, w₂, w₃: several tensors may have one name
                count += 1
                name = wanted + str(count).translate(DIGITS)
            else:
                self._counts[kind] += 1
                name = kind + str(self._counts[kind]).translate(DIGITS)
        node._name = name
        self._names[name] = node
        self.nodes.append(node)
        return node

    def _take(self, result: Tensor, names: dict[Tensor, str]) -> None:
        """Take over the gates behind a tensor."""
        if not isinstance(result, Tensor):
            raise TypeError(f"Graph(result) takes a tensor, got {type(result).__name__}; Graph() makes an empty graph")
        if result.gate is None:
            raise ValueError("Graph: this tensor came out of no gate that remembers: it is a leaf, or was made inside "
                             "no_grad, or does not depend on a tensor with requires_grad=True")
        order = history(result)
        for t in order:
            name = names.get(t, t.name)
            if t.gate is None:
                self._leaf(t, name)
                continue
            if t.gate is released:
                raise ValueError("Graph: the graph behind this tensor was freed by a backward pass; build Graph(loss) "
                                 "before loss.backward(), or pass retain_graph=True to it")
            inputs = []
            for x in t.inputs:
                if not isinstance(x, Tensor):
                    inputs.append(self._operand(x, t.gate))
                    continue
                if x.moment > t.moment:
                    raise written(x, t.gate)
                inputs.append(self._leaf(x, names.get(x, x.name)))
            options = {key: value for key, value in t.options.items() if key != "kept"}
            if t is result and not name and t.array.size == 1 and "L" not in names.values():
                name = "L"
            node = Node(self, t.gate, tuple(inputs), options, name, True)
            node._held, node._kept = _lent(t), t.options.get("kept")
            self._tensors[t] = self._append(node)
        self._output = self._tensors[result]
        self._name_results(names)

    def _name_results(self, names: dict[Tensor, str]) -> None:
        """Call what a layer makes with its parameters by the name of the layer: hidden for hidden.weight."""
        paths = {self._tensors[t]: path.rpartition(".")[0] for t, path in names.items() if t in self._tensors}
        results = {paths[x]: node for node in self.nodes for x in node.inputs if isinstance(x, Node) and x in paths}
        for path, node in results.items():
            if path.rpartition(".")[2].isidentifier() and node._name[0] == "h" and path not in self._names and (
                    node._name[1:].translate(DIGITS) == node._name[1:]):
                self._rename(node, path)

    def rename(self, names: Any) -> Graph:
        """Name nodes after the variables, or the layer, that hold them.

        Parameters
        ----------
        names : mapping or Layer
            ``locals()`` names each node, and each tensor behind a node, after its variable.

        Returns
        -------
        Graph
            This one.

        Examples
        --------
        >>> import chainrule as cr
        >>> g = cr.Graph()
        >>> x = g.input("x", 3)
        >>> q = x * x
        >>> g.rename({"q": q}).nodes[-1]
        Node(q = x·x, value=9)
        """
        if isinstance(names, Mapping):
            for name, node in names.items():
                if isinstance(node, Node) and node.graph is self and not name.startswith("_"):
                    self._rename(node, name)
        for t, name in _tensor_names(names).items():
            if t in self._tensors:
                self._rename(self._tensors[t], name)
        return self

    def _rename(self, node: Node, name: str) -> None:
        other = self._names.get(name)
        if not isinstance(name, str) or not name:
            raise TypeError(f"expected a name, got {name!r}")
        if other is not None and other is not node:
            raise ValueError(f"this graph has a node named {name!r} already; choose another name")
        del self._names[node._name]
        self._names[name] = node
        node._name = name

    # ------------------------------------------------------------------ running
    def forward(self, **values: Any) -> Any:
        """Run every gate in order, and return the value of the output.

        Parameters
        ----------
        **values : number, array_like or Tensor
            New values of inputs and constants, by name. Arrays are copied. Those that are not named keep the value
            that they have. For x₁ one may write ``x1``, and ``**{"0.weight": w}`` for a name with a dot.

        Returns
        -------
        number or array

        Raises
        ------
        ValueError
            If there is no such input, or one has no value.
        """
        leaves = {node.name: node for node in self.leaves()}
        given = {}
        for name, value in values.items():
            leaf = leaves.get(name, leaves.get(name.translate(DIGITS)))
            if leaf is None:
                raise ValueError(f"forward: there is no input {name!r}; the inputs are {', '.join(leaves) or 'none'}")
            given[leaf] = _taken(value, leaf)
        missing = [name for name, leaf in leaves.items() if leaf._held is None and leaf not in given]
        if missing:
            raise ValueError(f"forward: {', '.join(missing)} {'has' if len(missing) == 1 else 'have'} no value; pass "
                             f"{', '.join(f'{name}=...' for name in missing)}")
        for leaf, value in given.items():
            leaf._hold(value)
        output = self.output()
        for node in self.nodes:
            node.forward()
        return output.value

    def backward(self, seed: Any = 1) -> dict[str, Any]:
        """Run every gate in the opposite order, and return the gradients of the inputs by name.

        Each node then has the `gradient` of the output with respect to its value, and its parts.

        Parameters
        ----------
        seed : number, array_like or Tensor
            The gradient of the output, of its shape.

        Returns
        -------
        dict
            None for an input that the output does not depend on.

        Raises
        ------
        ValueError
            If the graph has not been run forward, or the seed does not have the output's shape.
        """
        output = self.output()
        output._known("gradient")
        output.gradient = seed
        for node in reversed(self.nodes):
            node.backward()
        return {node.name: node.gradient for node in self.nodes if node.gate is None and node.varies}

    def _start(self) -> None:
        """Begin a backward pass: no gradients but that of the output, which is 1 unless it was set."""
        output = self.output()
        output._known("gradient")
        seed = output.contributions[0].value if output.contributions else _seed(1, output)
        for node in self.nodes:
            node._forget()
        output._receive(Contribution(None, 0, seed))

    def explain(self, target: Node | Tensor | str, index: Any = None) -> Explanation:
        """Say how the gradient of one element comes about; `chainrule.explain` has the details."""
        from .explain import explain
        return explain(self, self[target], index)

    # ------------------------------------------------------------------ looking
    def tensors(self) -> dict[Tensor, Node]:
        """Return the node of each tensor that the graph was taken from, or that was used in building it."""
        return dict(self._tensors)

    def leaves(self) -> list[Node]:
        """Return the inputs and constants: what `forward` can be given."""
        return [node for node in self.nodes if node.gate is None]

    def nodes_topologically_sorted(self) -> list[Node]:
        """Return all nodes, each behind its inputs: a copy of `nodes`."""
        return list(self.nodes)

    def __getitem__(self, key: str | Tensor | Node) -> Node:
        """Return the node of this name, or of this tensor."""
        if isinstance(key, Node):
            if key.graph is not self:
                raise KeyError(f"{key.name} belongs to another graph")
            return key
        found = self._tensors.get(key) if isinstance(key, Tensor) else (
            self._names.get(key, self._names.get(key.translate(DIGITS))))
        if found is None:
            what = "this tensor is not" if isinstance(key, Tensor) else f"no node named {key!r} is"
            raise KeyError(f"{what} part of the graph; its nodes are {', '.join(list(self._names)[:20])}"
                           f"{', …' if len(self._names) > 20 else ''}")
        return found

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __reversed__(self) -> Iterator[Node]:
        return reversed(self.nodes)

    def __str__(self) -> str:
        from .view.text import table
        return table(self)

    __repr__ = __str__

    def to_mermaid(self) -> str:
        """Return the graph as a Mermaid flowchart, which GitHub draws inside a ```` ```mermaid ```` block.

        Examples
        --------
        >>> import chainrule as cr
        >>> g = cr.Graph()
        >>> y = -g.input("x", 3)
        >>> print(g.to_mermaid())
        flowchart LR
            n0(["x = 3"])
            n1["negative<br/>h₁ = -x<br/>value -3"]
            n0 -->|"3"| n1
        """
        from .view.mermaid import flowchart
        return flowchart(self)


ComputationalGraph = Graph


def _applied(gate: Gate, inputs: tuple[Any, ...], options: dict[str, Any]) -> Node:
    """Apply a gate where a node is among the operands."""
    graph = next(x.graph for x in inputs if isinstance(x, Node))
    return graph.apply(gate, *inputs, **options)


Gate.foreign[Node] = _applied


# ------------------------------------------------------------------ values
def _number(z: Any, whole: bool) -> Any:
    """Return what a gate made of Python numbers: whole if they all were, and it is."""
    number = np.asarray(z).item()
    if whole and isinstance(number, float) and number.is_integer() and abs(number) <= LARGEST:
        return int(number)
    return number


def _shown(held: Any) -> Any:
    """Return a value for people: a single float64, integer or truth value is a Python number."""
    if isinstance(held, ARRAY) and held.ndim == 0:
        return held.item() if held.dtype in (np.float64, np.int64, np.bool_) else held[()]
    return held


def _frozen(value: Any) -> Any:
    """Return an array as a view that cannot be written through."""
    if isinstance(value, np.ndarray):
        value = value.view()
        value.flags.writeable = False
    return value


def _lent(t: Tensor) -> Any:
    """Return the array of a tensor, which moves to other memory before it is written."""
    t.lent = True
    return _frozen(t.array)


def _taken(value: Any, node: Node) -> Any:
    """Return a value for an input: a copy, in the dtype of what stood there if it does not have one itself."""
    if isinstance(value, Node):
        raise TypeError(f"{node.name}: expected a number or an array, got the node {value.name}; use its .value")
    if isinstance(value, Tensor):
        return _lent(value)
    if isinstance(value, bool | int | float) and not isinstance(node._held, ARRAY):
        return value if type(value) in (bool, int, float) else float(value)
    array = np.array(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{node.name}: expected a number or an array, got {type(value).__name__} of dtype {array.dtype}")
    if isinstance(value, ARRAY):
        return array
    before = getattr(node._held, "dtype", None)
    if before is None:
        return array.astype(np.float64) if array.dtype.kind in "iu" else array
    return array.astype(before) if before.kind in ("f", array.dtype.kind) else array


def _seed(seed: Any, node: Node) -> Any:
    """Return the gradient to begin with: of the shape and dtype of the output."""
    seed = seed.array if isinstance(seed, Tensor) else seed
    held = node._known("gradient")
    shape, given = np.shape(held), np.shape(seed)
    if given != shape and not (np.size(held) == 1 and given == ()):
        raise ValueError(f"backward: the output {node.name} has shape {shape} and needs a seed gradient of that shape, "
                         f"got {'a number' if given == () else given}; reduce it with .sum() or .mean(), or pass "
                         "backward(seed=...)")
    if isinstance(held, ARRAY):
        dtype = held.dtype if held.dtype.kind == "f" else np.dtype(np.float64)
        return _shown(_frozen(np.array(np.broadcast_to(np.asarray(seed), shape), dtype)))
    return seed if type(seed) in (int, float) else np.asarray(seed, np.float64).item()


def _floating(x: Any) -> bool:
    return isinstance(x, ARRAY) and x.dtype.kind == "f"


def _dtype(values: list[Any]) -> np.dtype[Any]:
    """Return the precision in which Python numbers are computed beside these arrays."""
    floats = [x.dtype for x in values if _floating(x)]
    return np.result_type(*floats) if floats else np.dtype(np.float64)


# ------------------------------------------------------------------ names and lines
def _tensor_names(names: Any) -> dict[Tensor, str]:
    """Read the names of tensors from a layer, or from a mapping of names to tensors and layers."""
    if names is None:
        return {}
    if hasattr(names, "named_parameters"):
        return {t: path for path, t in (*names.named_parameters(), *names.named_buffers())}
    if not isinstance(names, Mapping):
        raise TypeError(f"names: expected a layer, or a mapping such as locals(), got {type(names).__name__}")
    found: dict[Tensor, str] = {}
    for name, held in names.items():
        if isinstance(held, Tensor) and not name.startswith("_"):
            found.setdefault(held, name)
    for name, held in names.items():
        if hasattr(held, "named_parameters") and not isinstance(held, type) and not name.startswith("_"):
            for t, path in _tensor_names(held).items():
                found.setdefault(t, f"{name}.{path}")
    return found
