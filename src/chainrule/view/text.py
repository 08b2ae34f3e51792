"""A graph as text: one line for each node, aligned."""
from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from .notation import formula, literal

if TYPE_CHECKING:
    from ..graph import Graph
    from ..node import Node

__all__ = ["describe", "kind", "show", "table"]

SMALL = 6                            #: arrays of so many elements are written out


def show(value: Any) -> str:
    """Write a value in a few characters: numbers as Python does, large arrays by dtype, shape and range.

    Parameters
    ----------
    value : number, array or None

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.view.text import show
    >>> show(3), show(0.1 + 0.2), show(np.array([1.0, 2.5])), show(np.zeros((3, 4)))
    ('3', '0.30000000000000004', '[1, 2.5]', 'float64 (3, 4) all 0')
    """
    if value is None:
        return ""
    if not isinstance(value, np.ndarray):
        return str(value)
    if value.size <= SMALL:
        kept = "" if value.dtype in (np.float64, np.int64, np.bool_) or not value.size else f" {value.dtype}"
        return _nested(value) + kept if value.size else f"{value.dtype} {value.shape} empty"
    finite = value[np.isfinite(value)] if value.dtype.kind == "f" else value
    text = f"{value.dtype} {value.shape}"
    if finite.size:
        low, high = finite.min(), finite.max()
        text += f" all {_brief(low)}" if low == high and finite.size == value.size else (
            f" {_brief(low)} … {_brief(high)}")
    strange = [name for name, there in (("NaN", np.isnan), ("∞", np.isinf)) if there(value).any()]
    return text + (f" and {', '.join(strange)}" if strange else "")


def _nested(value: Any) -> str:
    return "[" + ", ".join(_nested(part) if part.ndim else _brief(part) for part in value) + "]"


def _brief(number: Any) -> str:
    return f"{number:.4g}" if isinstance(number, np.floating) else str(number)


def parts(node: Node) -> str:
    """Write the gradient of a node; where several gates hand one back, their parts and the sum."""
    values = [part.value for part in node.contributions]
    if len(values) < 2:
        return show(node.gradient)
    if len(values) > 4 or any(isinstance(value, np.ndarray) for value in values):
        return f"{show(node.gradient)} (sum of {len(values)})"
    terms = [show(value) for value in values]
    return " + ".join(f"({t})" if t.startswith("-") and i else t for i, t in enumerate(terms)) + (
        f" = {show(node.gradient)}")


def kind(node: Node) -> str:
    """Say what a node is: an input, a constant, or a gate with its options."""
    if node.gate is None:
        return "input" if node.varies else "constant"
    options = ", ".join(f"{name}={_option(value)}" for name, value in node.options.items())
    return f"{node.gate.name}({options})" if options else node.gate.name


def _option(value: Any) -> str:
    """Write an option in few characters; an object by its class."""
    text = str(value)
    return re.sub(r"\s+", " ", text) if len(text) <= 30 else type(value).__name__


def operands(node: Node) -> list[str]:
    """Name what goes into a node."""
    return [getattr(x, "name", None) or literal(x) for x in node.inputs]


def describe(node: Node) -> str:
    """Write the formula of a node with the names of its operands, or the name of a leaf."""
    if node.gate is None:
        return node.name
    options = {name: _option(value) for name, value in node.options.items()}
    return formula(node.gate, node.name, operands(node), options)


def table(graph: Graph, rows: int = 60) -> str:
    """Write a graph as an aligned table: name, gate, formula, value, gradient.

    Parameters
    ----------
    graph : Graph
    rows : int
        Of a longer graph the middle is left out.
    """
    nodes = graph.nodes
    if not nodes:
        return "an empty graph"
    left_out = max(0, len(nodes) - rows)
    head, tail = (nodes[:rows // 2], nodes[len(nodes) - (rows - rows // 2):]) if left_out else (nodes, [])
    lines = [["name", "gate", "formula", "value", "gradient"]]
    lines += [[node.name, kind(node), "" if node.gate is None else describe(node), show(node.value), parts(node)]
              for node in (*head, *tail)]
    shown = [i for i in range(5) if i < 4 or any(line[i] for line in lines[1:])]
    widths = {i: max(len(line[i]) for line in lines) for i in shown}
    written = ["  ".join(line[i].rjust(widths[i]) if i > 2 else line[i].ljust(widths[i]) for i in shown).rstrip()
               for line in lines]
    if left_out:
        written.insert(1 + len(head), f"… {left_out:,} more nodes …")
    return "\n".join(written)
