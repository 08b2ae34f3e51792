"""A graph as a Mermaid flowchart, which GitHub and many editors draw."""
from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .text import describe, kind, show

if TYPE_CHECKING:
    from ..graph import Graph
    from ..node import Node

__all__ = ["flowchart"]


def flowchart(graph: Graph) -> str:
    """Write a graph as a Mermaid flowchart.

    Inputs are rounded, gates rectangular. Each edge carries the value that goes along it and, after a backward pass,
    the part of the gradient that comes back. The same graph gives the same text.

    Parameters
    ----------
    graph : Graph
    """
    numbers = {node: i for i, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    lines += [f"    n{i}{_box(node)}" for node, i in numbers.items()]
    for node, i in numbers.items():
        handed = {(part.node, part.argument): part.value for source in dict.fromkeys(_nodes(node))
                  for part in source.contributions if part.node is node}
        for argument, source in enumerate(node.inputs):
            if source not in numbers:
                continue
            words = [escape(show(source.value))] if source.value is not None else []
            if (node, argument) in handed:
                words.append(f"grad {escape(show(handed[node, argument]))}")
            label = f'|"{"<br/>".join(words)}"|' if words else ""
            lines.append(f"    n{numbers[source]} -->{label} n{i}")
    return "\n".join(lines)


def _box(node: Node) -> str:
    """Write what stands in the box of a node."""
    value, gradient = show(node.value), show(node.gradient)
    if node.gate is None:
        words = [escape(f"{node.name} = {value}" if value else node.name)]
    else:
        words = [escape(kind(node)), escape(describe(node)), *([f"value {escape(value)}"] if value else [])]
    if gradient:
        words.append(f"gradient {escape(gradient)}")
    text = '"' + "<br/>".join(words) + '"'
    return f"([{text}])" if node.gate is None else f"[{text}]"


def _nodes(node: Node) -> list[Node]:
    return [x for x in node.inputs if isinstance(x, type(node))]


def escape(text: str) -> str:
    """Write text so that Mermaid takes every character for itself.

    Examples
    --------
    >>> from chainrule.view.mermaid import escape
    >>> escape('a "b" <c>')
    'a #quot;b#quot; #lt;c#gt;'
    """
    codes = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;", "\\": "#92;",
             "|": "#124;", "*": "#42;", "_": "#95;", "~": "#126;", "$": "#36;"}
    text = "".join(codes.get(c, c) for c in re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text))
    return re.sub(r"(?<=\d)\.(?= )|^[-+](?= )", lambda m: f"#{ord(m[0])};", text)      # a list, in Markdown
