"""A computational graph: the gates behind a value, one node each, to be run forward and backward and looked at.

It is built by hand, in the style of the lectures, or taken from any tensor. Either way the nodes apply the gates that
everything else applies, and the gates' own derivatives bring the gradients back.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .gate import Gate, adopt, own
from .node import Contribution, Node, lent, seed_of, taken
from .reverse import _written as written
from .reverse import history, released
from .source import place
from .tensor import Tensor

if TYPE_CHECKING:
    from .explain import Explanation

__all__ = ["ComputationalGraph", "Graph"]

DIGITS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")     #: in default names


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
    name  gate      formula     value  gradient
    x     input                    -2        -4
    y     input                     5        -4
    z     input                    -4         3
    h₁    add       h₁ = x + y      3        -4
    h₂    multiply  h₂ = h₁·z     -12         1
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
        if all(x.held is not None for x in nodes if isinstance(x, Node)):
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
        node.hold(own(x))
        return self._append(node)

    def _leaf(self, t: Tensor, name: str = "") -> Node:
        """Return the node of a tensor whose history is not part of the graph."""
        if t not in self._tensors:
            node = Node(self, None, (), {}, name, t.tracked)
            node.hold(lent(t))
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
            node.held, node._kept = lent(t), t.options.get("kept")
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
            given[leaf] = taken(value, leaf)
        missing = [name for name, leaf in leaves.items() if leaf.held is None and leaf not in given]
        if missing:
            raise ValueError(f"forward: {', '.join(missing)} {'has' if len(missing) == 1 else 'have'} no value; pass "
                             f"{', '.join(f'{name}=...' for name in missing)}")
        for leaf, value in given.items():
            leaf.hold(value)
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
        output.known("gradient")
        output.gradient = seed
        for node in reversed(self.nodes):
            node.backward()
        return {node.name: node.gradient for node in self.nodes if node.gate is None and node.varies}

    def _start(self) -> None:
        """Begin a backward pass: no gradients but that of the output, which is 1 unless it was set."""
        output = self.output()
        output.known("gradient")
        seed = output.contributions[0].value if output.contributions else seed_of(1, output)
        for node in self.nodes:
            node.forget()
        output.receive(Contribution(None, 0, seed))

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
