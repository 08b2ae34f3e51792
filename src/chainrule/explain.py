"""How a gradient comes about: every path from a result to one element, factor by factor.

The factors are entries of the gates' Jacobians. They are read off by taking unit vectors back through the gates' own
derivatives; nothing is differentiated a second time.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import fsum, nan, prod
from typing import Any

import numpy as np

from .graph import Graph
from .mode import enable_grad
from .node import Node
from .reverse import pull, pullback
from .tensor import Tensor
from .view.notation import formula, literal, partial, varies
from .view.text import describe

__all__ = ["Explanation", "Factor", "Path", "explain"]

MOST_ROWS = 3_000                    #: so many rows of Jacobians are worked out one by one; beyond, paths are grouped
MOST_WORK = 30_000_000               #: and so many elements of arrays are gone through for it

INDEX = re.compile("[ᵢⱼₖ]")          #: in a name: to be filled in
SMALL = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

Vertex = tuple[Node, int]            #: an element of the value of a node, by its place in the flattened array


@dataclass(frozen=True)
class Factor:
    """One factor of a path: the derivative of one element by another."""

    of: str                              #: what is differentiated: ``a`` in ∂a/∂z
    by: str                              #: with respect to what: ``z``
    value: float
    symbol: str = ""                     #: the derivative as a formula, where the gate has one
    paths: int = 1                       #: how many paths it sums up

    @property
    def name(self) -> str:
        """The factor as it is written: ``∂a/∂z``."""
        return f"∂{self.of}/∂{self.by}"


@dataclass(frozen=True)
class Path:
    """A path from the result to the element, or several with the same last step summed up."""

    factors: tuple[Factor, ...]
    count: int | None = 1                #: how many paths it stands for; None if they were not counted

    @property
    def product(self) -> float:
        """The product of the factors: what the path contributes to the gradient."""
        return prod(factor.value for factor in self.factors)


@dataclass(frozen=True)
class Explanation:
    """The gradient of one element as a sum over paths; printing it tells the story.

    Attributes
    ----------
    of, by : str
        The names of the result and of the element.
    gradient : float
        As the engine has it.
    paths : tuple of Path
        Their products add up to the gradient.
    count : int or None
        The number of paths through single elements; None if there were too many to count.
    chain : tuple of Factor
        The derivatives between the elements that every path goes through.
    value : float
        The element itself.
    lr : float or None
        The rate of the step of gradient descent that is shown last, if one was asked for.
    """

    of: str
    by: str
    gradient: float
    paths: tuple[Path, ...]
    count: int | None
    chain: tuple[Factor, ...] = ()
    where: dict[str, str] = field(default_factory=dict)
    most: int = 20
    value: float = nan
    lr: float | None = None

    @property
    def total(self) -> float:
        """The sum of the products over all paths."""
        return fsum(path.product for path in self.paths)

    @property
    def updated(self) -> float:
        """The element after one step of gradient descent; without a rate, as it is."""
        return self.value - (self.lr or 0) * self.gradient

    def __str__(self) -> str:
        return format(self, ".6g")

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        """Write the numbers in a format of their own: ``f"{explanation:.4f}"`` has four places after the point."""
        def brief(number: float, place: int = 0) -> str:
            return _brief(number, place, spec or ".6g")

        whole = f"∂{self.of}/∂{self.by}"
        if not self.paths:
            return f"{whole} = 0: no path leads from {self.of} to {self.by}"
        if self.count == 1:
            factors = self.paths[0].factors
            lines = _product(whole, factors, brief) if len(factors) > 1 else []
            return "\n".join([*lines, *_details(factors, brief), *self._where(factors), *self._update(whole, brief)])
        lines, grouped = [], self.count is None or self.count != len(self.paths)
        shown, rest = list(self.paths), []
        if len(shown) > self.most:
            largest = sorted(range(len(shown)), key=lambda i: -abs(shown[i].product))
            rest = [shown[i] for i in largest[self.most:]]
            shown = [shown[i] for i in sorted(largest[:self.most])]
        if len(self.chain) > 1:
            lines += ["Every path goes through " + ", ".join(f.by for f in self.chain[:-1]) + ":"]
            lines += [*_product(whole, self.chain, brief), *_details(self.chain, brief), ""]
        how_many = "more paths than were counted" if self.count is None else f"{self.count:,} paths"
        lines.append(f"{whole} is the sum over {how_many}" + (
            "; each line sums up those that share their last step:" if grouped else ":"))
        numbers = [f"{i}." for i in range(1, len(shown) + 1)]
        names = [" · ".join(f.name for f in path.factors) for path in shown]
        values = [" · ".join(brief(f.value, i) for i, f in enumerate(path.factors)) if len(path.factors) > 1 else ""
                  for path in shown]
        products = [brief(path.product) for path in shown]
        widths = [max(map(len, column)) for column in (numbers, names, values, products)]
        for number, name, value, product, path in zip(numbers, names, values, products, shown, strict=True):
            note = f"   ({path.count:,} paths)" if grouped and path.count and path.count > 1 else ""
            worked_out = f"= {value.ljust(widths[2])} " if widths[2] else ""
            lines.append(f"  {number.rjust(widths[0])} {name.ljust(widths[1])} {worked_out}= "
                         f"{product.rjust(widths[3])}{note}")
        if rest:
            lines.append(f"  … and {len(rest):,} smaller, which add up to {brief(fsum(p.product for p in rest))}")
        lines.append(f"  sum: {brief(self.total)}")
        every = [f for path in shown for f in path.factors]
        return "\n".join([*lines, *_details(every, brief, symbols=True), *self._where(every),
                          *self._update(whole, brief)])

    def _where(self, factors: Sequence[Factor]) -> list[str]:
        """Say what the results without a name of their own are, as far as they occur."""
        text = " ".join([*(f.symbol for f in (*factors, *self.chain)), *(f.name for f in (*factors, *self.chain))])
        used = [name for name in self.where if re.search(re.escape(name) + "(?![₀-₉])", text)]
        return ["where " + ", ".join(self.where[name] for name in used)] if used else []

    def _update(self, whole: str, brief: Callable[..., str]) -> list[str]:
        """Write one step of gradient descent, if there is a rate."""
        if self.lr is None:
            return []
        return ["", f"{self.by} - lr·{whole} = {brief(self.value)} - {brief(self.lr)}·{brief(self.gradient, 1)} "
                    f"= {brief(self.updated)}"]


def explain(result: Tensor | Graph, target: Tensor | Node | str, index: int | tuple[int, ...] | None = None,
            names: Any = None, *, most: int = 20, lr: float | None = None) -> Explanation:
    r"""Explain the gradient of a result by one element: the chain rule, path by path.

    .. math:: \frac{dL}{dw} = \sum_{\text{paths}} \prod_{\text{steps}} \frac{\partial z}{\partial x}

    Parameters
    ----------
    result : Tensor with one element, or a Graph whose output has one
        A graph is run backward, from the seed 1.
    target : Tensor, Node or str
        What it is differentiated by: a leaf or an intermediate result, or its name in the graph.
    index : int or tuple of int, optional
        Which element of it; the first by default.
    names : Layer or mapping, optional
        What to call the tensors; see `Graph`. ``names=locals()`` names them after the variables. Elements are called
        ``w[0,1]``; where a name has small indices, as ``"wᵢⱼ"`` or ``"a₁ⱼ"``, they stand for the axes and count from
        1, as on paper: w₁₂, a₁₂.
    most : int
        Up to so many paths are listed one by one. If there are more, those that share their last step are summed up;
        the lines that contribute least are then printed as one sum.
    lr : float, optional
        Show a step of gradient descent with this rate, too.

    Returns
    -------
    Explanation
        Prints as text, with numbers in the format that is asked for: ``f"{explanation:.4f}"``. Factors ±1 and other
        constants are merged with a neighbour, as textbooks do.

    Raises
    ------
    ValueError
        If the result has several elements, or does not depend on the target.
    IndexError
        If the target has no such element.

    Examples
    --------
    >>> import chainrule as cr
    >>> w = cr.Tensor(0.5, requires_grad=True, name="w")
    >>> z = w * 3.0 - 1.5; z.name = "z"
    >>> a = z.sigmoid(); a.name = "a"
    >>> print(cr.explain((a - 1.0) ** 2, w, lr=0.1))
    ∂L/∂w = ∂L/∂a · ∂a/∂z · ∂z/∂w
          = 2·(a-1.0) · a·(1-a) · 3
          = (-1) · 0.25 · 3 = -0.75
    <BLANKLINE>
    ∂L/∂a = 2·(a-1.0) = -1
    ∂a/∂z = a·(1-a) = 0.25
    ∂z/∂w = 3
    <BLANKLINE>
    w - lr·∂L/∂w = 0.5 - 0.1·(-0.75) = 0.575
    """
    graph = result.rename(names) if isinstance(result, Graph) and names is not None else (
        result if isinstance(result, Graph) else Graph(result, names))
    node = graph[target] if not isinstance(target, Tensor) or target in graph.tensors() else None
    output = graph.output()
    if output.size != 1:
        raise ValueError(f"explain: the result {output.name} has shape {output.shape}; explain one element of it, as "
                         "in explain(result[0], w), or reduce it with .sum() or .mean()")
    route = _route(graph, node, output) if node is not None else set()
    if node is None or output not in route:
        raise ValueError(f"explain: {output.name} does not depend on {'this tensor' if node is None else node.name}, "
                         "or not through gates that can be differentiated")
    place = _flat(index, node)
    graph.backward()
    gradient = float(np.asarray(node.gradient).flat[place]) if node.gradient is not None else 0.0
    explanation = _Explainer(graph, output, (node, place), route, most).explanation(gradient)
    return replace(explanation, value=float(np.asarray(node.value).flat[place]), lr=lr)


def _route(graph: Graph, target: Node, output: Node) -> set[Node]:
    """Return the nodes on the paths from the output to the target."""
    after = {target}
    for node in graph.nodes:
        if node.varies and any(isinstance(x, Node) and x in after for x in node.inputs):
            after.add(node)
    before = {output}
    for node in reversed(graph.nodes):
        if node in before:
            before.update(x for x in node.inputs if isinstance(x, Node))
    return after & before


def _flat(index: int | tuple[int, ...] | None, node: Node) -> int:
    """Return the place of an element in the flattened array."""
    shape = node.shape
    if index is None:
        if not node.size:
            raise IndexError(f"explain: {node.name} of shape {shape} has no elements")
        return 0
    parts = tuple(index) if isinstance(index, tuple | list) else (index,)
    if not shape and not any(parts):
        return 0
    if len(parts) != len(shape) or not all(isinstance(i, int | np.integer) and -n <= i < n
                                           for i, n in zip(parts, shape, strict=True)):
        raise IndexError(f"explain: {node.name} of shape {shape} has no element {index}")
    return int(np.ravel_multi_index(tuple(i % n for i, n in zip(parts, shape, strict=True)), shape)) if shape else 0


@dataclass
class _Step:
    """The derivative of one element by another that it depends on, before it is merged with its neighbours."""

    upper: Vertex
    lower: Vertex
    value: float
    symbol: str                          # "" if there is nothing to say, or it is a constant
    constant: bool                       # depends on no node
    alone: bool                          # its gate takes one operand
    paths: int = 1


class _Explainer:
    """Follows the elements of a graph from its output to one element."""

    def __init__(self, graph: Graph, output: Node, target: Vertex, route: set[Node], most: int) -> None:
        self.graph, self.top, self.target, self.route, self.most = graph, (output, 0), target, route, most
        self.order = {node: i for i, node in enumerate(graph.nodes)}
        self.below: dict[Vertex, list[tuple[Vertex, int, float]]] = {}      # lower element, argument, derivative
        self.unnamed: dict[str, str] = {}                                   # h₁, and its formula: y-ŷ

    def explanation(self, gradient: float) -> Explanation:
        of, by = self.name(self.top), self.name(self.target)
        where = {node.name: describe(node) for node in self.graph.nodes if node.gate is not None and not _own(node)}
        if not self.explore():
            return Explanation(of, by, gradient, tuple(self.last_steps(None)), None, (), where, self.most)
        down, up = self.counts()
        count = down.get(self.top, 0)
        chain = self.chain(down, up) if count > 1 else ()
        paths = self.every_path(down) if count <= self.most else self.last_steps(up)
        return Explanation(of, by, gradient, tuple(paths), count, chain, where, self.most)

    # ------------------------------------------------------------------ elements and what they depend on
    def explore(self) -> bool:
        """Work out the rows of the Jacobians that the output depends on; False if they are too many."""
        stack, work = [self.top], 0
        while stack:
            vertex = stack.pop()
            if vertex in self.below or vertex == self.target:
                continue
            work += sum(x.size for x in (vertex[0], *vertex[0].inputs) if isinstance(x, Node))
            if len(self.below) == MOST_ROWS or work > MOST_WORK:
                return False
            self.below[vertex] = self.row(vertex)
            stack += [lower for lower, _, _ in self.below[vertex]]
        return True

    def row(self, vertex: Vertex) -> list[tuple[Vertex, int, float]]:
        """Return the derivatives of an element by those that went into it: a unit vector, taken back."""
        node, j = vertex
        if node.gate is None:
            return []
        unit = np.zeros(node.size)
        unit[j] = 1
        wanted = [isinstance(x, Node) and x in self.route for x in node.inputs]
        found = []
        for argument, part in enumerate(node.pull(unit.reshape(node.shape), wanted)):
            if part is None or not wanted[argument]:
                continue
            x, part = node.inputs[argument], np.asarray(part).reshape(-1)
            places = set(np.flatnonzero(part).tolist())
            if _elementwise(node):                     # shown even where it is 0: a relu that is off, for example
                places.add(_aligned(j, node.shape, x.shape))
            if x is self.target[0]:
                places &= {self.target[1]}
            found += [((x, i), argument, float(part[i])) for i in sorted(places)]
        return found

    def counts(self) -> tuple[dict[Vertex, int], dict[Vertex, int]]:
        """Count the paths from each element down to the target, and up to the output."""
        down, up = {self.target: 1}, {self.top: 1}
        ordered = sorted(self.below, key=lambda vertex: self.order[vertex[0]])
        for vertex in ordered:
            down[vertex] = sum(down.get(lower, 0) for lower, _, _ in self.below[vertex])
        for vertex in reversed(ordered):
            for lower, _, _ in self.below[vertex]:
                up[lower] = up.get(lower, 0) + up.get(vertex, 0)
        return down, up

    def every_path(self, down: dict[Vertex, int]) -> list[Path]:
        """List all paths, each with its factors."""
        found = []
        stack: list[tuple[Vertex, list[_Step]]] = [(self.top, [])]
        while stack:
            vertex, steps = stack.pop()
            if vertex == self.target:
                found.append(Path(self.factors(steps)))
                continue
            for lower, argument, value in reversed(self.below[vertex]):
                if down.get(lower):
                    stack.append((lower, [*steps, self.step(vertex, lower, argument, value)]))
        return found

    def chain(self, down: dict[Vertex, int], up: dict[Vertex, int]) -> tuple[Factor, ...]:
        """Return the derivatives between the elements that every path goes through."""
        always = [v for v in self.below if down[v] * up.get(v, 0) == down[self.top]]
        always = [*sorted(always, key=lambda vertex: -self.order[vertex[0]]), self.target]
        steps = []
        for upper, lower in pairwise(always):
            direct = [edge for edge in self.below[upper] if down.get(edge[0])]
            if len(direct) == 1 and direct[0][0] == lower:
                steps.append(self.step(upper, *direct[0]))
            else:
                value, paths = self.between(upper, lower)
                steps.append(_Step(upper, lower, value, "", False, False, paths))
        return self.factors(steps)

    def between(self, upper: Vertex, lower: Vertex) -> tuple[float, int]:
        """Return the derivative of one element by another: the sum over the paths between them, and their number."""
        value, paths = {lower: 1.0}, {lower: 1}
        low, high = self.order[lower[0]], self.order[upper[0]]
        for v in sorted((v for v in self.below if low < self.order[v[0]] <= high), key=lambda v: self.order[v[0]]):
            edges = [(x, d) for x, _, d in self.below[v] if x in paths]
            if edges:
                value[v], paths[v] = fsum(d * value[x] for x, d in edges), sum(paths[x] for x, _ in edges)
        return value[upper], paths[upper]

    def last_steps(self, up: dict[Vertex, int] | None) -> list[Path]:
        """Sum up all paths that reach the target by the same step: ∂L/∂z · ∂z/∂w for each z that w goes into.

        `up` counts the paths to each element; without it, these steps are all that was worked out.
        """
        if up is None:
            edges = [((node, j), argument, float(column[j])) for node in self.graph.nodes if node in self.route
                     for argument, x in enumerate(node.inputs) if x is self.target[0]
                     for column in [_column(node, argument, self.target[1])] for j in np.flatnonzero(column).tolist()]
        else:
            edges = [(v, argument, value) for v in sorted(self.below, key=lambda v: (self.order[v[0]], v[1]))
                     for lower, argument, value in self.below[v] if lower == self.target]
        found = []
        for upper, argument, value in edges:
            if upper[0].gradient is not None:
                step = self.step(upper, self.target, argument, value)
                last = Factor(self.name(upper), self.name(self.target), step.value, step.symbol)
                before = float(np.asarray(upper[0].gradient).flat[upper[1]])
                found.append(Path((Factor(self.name(self.top), last.of, before), last),
                                  None if up is None else up[upper]))
        return found

    # ------------------------------------------------------------------ names and formulas
    def name(self, vertex: Vertex) -> str:
        """Name an element: ``w``, ``W[0,1]``."""
        return _element(vertex[0].name, vertex[0].shape, vertex[1])

    def step(self, upper: Vertex, lower: Vertex, argument: int, value: float) -> _Step:
        node, j = upper
        assert node.gate is not None
        nodes = [isinstance(x, Node) for x in node.inputs]
        constant = not varies(node.gate, argument, nodes)
        symbol = "" if constant else self.symbol(node, j, argument, lower[1], value)
        return _Step(upper, lower, value, symbol, constant, sum(nodes) == 1 and len(nodes) == 1)

    def symbol(self, node: Node, j: int, argument: int, i: int, value: float) -> str:
        """Write the derivative of element `j` of a node by element `i` of an argument as a formula."""
        assert node.gate is not None
        each = _elementwise(node)
        names = [literal(x) if not isinstance(x, Node) else
                 _element(x.name, x.shape, _aligned(j, node.shape, x.shape)) if each else x.name for x in node.inputs]
        result = self.name((node, j)) if each else node.name
        text = node.gate.partials[argument] if argument < len(node.gate.partials) else ""
        if re.search(r"dz|dZ", text):                  # a product: the derivative is an element of the other operand
            return self.other(node, j, argument, i, value)
        for name, x in zip(names, node.inputs, strict=True) if each else ():
            if isinstance(x, Node) and name not in self.unnamed and not _own(x):
                self.unnamed[name] = self.formula(x, _aligned(j, node.shape, x.shape))
        return partial(node.gate, argument, result, names)

    def formula(self, node: Node, j: int) -> str:
        """Write an element as a formula of elements that have names; empty if it is not as simple as that."""
        if not _elementwise(node) or not all(x.gate is None or _own(x) for x in node.inputs if isinstance(x, Node)):
            return ""
        assert node.gate is not None
        names = [_element(x.name, x.shape, _aligned(j, node.shape, x.shape)) if isinstance(x, Node) else literal(x)
                 for x in node.inputs]
        return formula(node.gate, "z", names, node.options).partition(" = ")[2].replace(" - ", "-").replace(" + ", "+")

    def other(self, node: Node, j: int, argument: int, i: int, value: float) -> str:
        """Find which element of another operand a derivative is, by putting numbered elements in its place."""
        assert node.gate is not None
        unit = np.zeros(node.size)
        unit[j] = 1
        dz, z, arrays = node.at(unit.reshape(node.shape))
        for k, x in enumerate(node.inputs):
            if k == argument or not isinstance(x, Node):
                continue
            numbered = [*arrays]
            numbered[k] = np.arange(1.0, x.size + 1).reshape(x.shape)
            part = pull(node.gate, dz, z, numbered, node.kept(), [m == argument for m in range(len(arrays))])[argument]
            found = int(np.asarray(part).flat[i]) - 1
            if 0 <= found < x.size and float(np.asarray(x.value).flat[found]) == value:
                return _element(x.name, x.shape, found)
        return ""

    def factors(self, steps: list[_Step]) -> tuple[Factor, ...]:
        """Merge constant steps with a neighbour, and write the rest as factors."""
        steps = list(steps)
        while True:
            merges = [(self.cost(steps, k, other), min(k, other)) for k, step in enumerate(steps) if step.constant
                      for other in (k - 1, k + 1) if 0 <= other < len(steps)]
            merges = [(cost, left) for cost, left in merges if not cost[0]]
            if not merges:
                break
            left = min(merges)[1]
            first, second = steps[left], steps[left + 1]
            steps[left:left + 2] = [_Step(
                first.upper, second.lower, first.value * second.value, _times(first, second),
                first.constant and second.constant, first.alone and second.alone, first.paths * second.paths)]
        shown = {self.name(vertex) for step in steps for vertex in (step.upper, step.lower)}
        return tuple(Factor(self.name(s.upper), self.name(s.lower), s.value, self.spelled(s.symbol, shown), s.paths)
                     for s in steps)

    def spelled(self, symbol: str, shown: set[str]) -> str:
        """Put formulas in the place of results that have no name and are not seen otherwise."""
        for name, text in self.unnamed.items():
            if text and name not in shown:
                pieces = re.split(re.escape(name) + r"(?![₀-₉\[])", symbol)
                symbol = text if symbol == name else f"({text})".join(pieces)
        return symbol

    def cost(self, steps: list[_Step], constant: int, neighbour: int) -> tuple[bool, bool, bool, bool, int]:
        """Say how bad it is to merge a constant step with a neighbour; not at all, if the first flag is set.

        What lies between them is not seen any more. A value that somebody named stays, unless the factor is ±1; two
        constants go together first; an activation should stay a factor of its own.
        """
        named = _own(steps[max(constant, neighbour)].upper[0])
        return (named and abs(steps[constant].value) != 1, named, not steps[neighbour].constant,
                steps[neighbour].alone, 2 * constant + (neighbour > constant))


def _times(first: _Step, second: _Step) -> str:
    """Write the product of two steps: one number, then the formulas."""
    number, formulas = 1.0, []
    for step in (first, second):
        if step.constant:
            number *= step.value
        elif step.symbol:
            leading = re.fullmatch(r"(-?)(\d+(?:\.\d+)?)·([^ ]+)", step.symbol)
            number *= float(leading[1] + leading[2]) if leading else 1
            formulas.append(leading[3] if leading else step.symbol)
    if not formulas:
        return ""
    text = "·".join(_bracketed(f) if number != 1 or len(formulas) > 1 else f for f in formulas)
    return text if number == 1 else f"-{text}" if number == -1 else f"{_brief(number)}·{text}"


def _bracketed(text: str, place: int = 1) -> str:
    """Put parentheses around a sum, and around a minus that is not the first thing in a product."""
    depth, flat = 0, []
    for c in text:
        depth += (c in "([") - (c in ")]")
        flat.append(c if not depth else "")
    return f"({text})" if re.search(r".[+-]|^-" if place else r".[+-]", "".join(flat)) else text


def _own(node: Node) -> bool:
    """Whether somebody has given this node its name."""
    return re.fullmatch(r"[hxc][₀-₉]+", node.name) is None


def _element(name: str, shape: tuple[int, ...], place: int) -> str:
    """Name an element: ``w[0,1]``; where the name has indices, as wᵢⱼ, they are filled in: w₁₂."""
    index = [int(i) for i in np.unravel_index(place, shape)] if shape else []
    long = [i for i, n in zip(index, shape, strict=True) if n > 1]
    letters = INDEX.findall(name)
    for used in (index, long, [] if long else index[:len(letters)]):         # a row, or a column, has one index
        if letters and len(used) == len(letters):
            for k, i in enumerate(used):
                comma = "," if k and max(shape) > 9 else ""                  # w₁₂,₃ is neither w₁₂₃ nor w₁,₂₃
                name = name.replace(letters[k], comma + str(i + 1).translate(SMALL), 1)
            return name
    return name if prod(shape) == 1 else f"{name}[{','.join(map(str, index))}]"


def _elementwise(node: Node) -> bool:
    """Whether each element of the result depends on one element of each operand."""
    return node.gate is not None and node.gate.module.endswith(".elementwise")


def _aligned(place: int, shape: tuple[int, ...], operand: tuple[int, ...]) -> int:
    """Return the element of an operand that meets this element of the result, by broadcasting."""
    return int(np.broadcast_to(np.arange(prod(operand)).reshape(operand), shape).flat[place])


def _column(node: Node, argument: int, place: int) -> Any:
    """Return the derivatives of all elements of a node by one element of an argument.

    Taking a gradient back is linear in the gradient; so its own derivative, at that element, is the column.
    """
    assert node.gate is not None
    dz, z, arrays = node.at(np.zeros(node.shape))
    seed = Tensor(dz, requires_grad=True)
    tensors = [Tensor.of(x) if isinstance(x, np.ndarray | np.generic) and isinstance(y, Node) else x
               for x, y in zip(arrays, node.inputs, strict=True)]
    with enable_grad():
        part = pull(node.gate, seed, Tensor.of(z), tensors, node.options,
                    [i == argument for i in range(len(arrays))])[argument]
        if not isinstance(part, Tensor) or not part.tracked:
            return np.zeros(node.size)
        unit = np.zeros(part.size, part.dtype)
        unit[place] = 1
        found = pullback({part: unit.reshape(part.shape)}, targets=[seed])
    return np.asarray(found[seed]).reshape(-1) if seed in found else np.zeros(node.size)


def _brief(number: float, place: int = 0, spec: str = ".6g") -> str:
    text = format(number, spec)
    if "." in text and "e" not in text:
        text = text.rstrip("0").removesuffix(".")
    text = "0" if text == "-0" else text
    return f"({text})" if place and text.startswith("-") else text


def _product(whole: str, factors: Sequence[Factor], brief: Callable[..., str]) -> list[str]:
    """Write a product of factors in names, in formulas, and in numbers, worked out."""
    indent = " " * len(whole)
    rows = [" · ".join(f.name for f in factors),
            " · ".join(_bracketed(f.symbol, i) if f.symbol else brief(f.value, 1) for i, f in enumerate(factors)),
            " · ".join(brief(f.value, 1) for f in factors) + f" = {brief(prod(f.value for f in factors))}"]
    if not any(f.symbol for f in factors) or any(f.paths > 1 for f in factors):
        del rows[1]                                    # numbers alone; or a factor that is itself a sum
    return [f"{whole} = {rows[0]}", *(f"{indent} = {row}" for row in rows[1:]), ""]


def _details(factors: Sequence[Factor], brief: Callable[..., str], symbols: bool = False) -> list[str]:
    """Write each factor with its formula and its number, once."""
    unique = list(dict.fromkeys(f for f in factors if f.symbol or not symbols))
    lines = [f"{f.name} = " + (f"{f.symbol} = " if f.symbol else "") + brief(f.value)
             + (f", the sum over {f.paths:,} paths" if f.paths > 1 else "") for f in unique]
    return ["", *lines] if symbols and lines else lines
