"""A computational graph as lectures draw it: gates in circles, values and gradients on the arrows."""
from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graph import Graph
from ...node import Node
from .curves import COLORS, QUIET, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["flow"]

SIGNS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "matmul": "@", "negative": "−",
         "maximum": "max", "sigmoid": "σ"}
RATIO = 0.95 / 1.5                       #: of a row to a column


def flow(graph: Graph, title: str = "", *, axes: Axes | None = None, size: float = 1.0) -> Figure:
    """Draw a computational graph: on each arrow its value, above, and below what flows back along it.

    Parameters
    ----------
    graph : Graph
        Values are seen if it has been run forward, gradients if it has been run backward; of an array its shape.
    title : str
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.
    size : float
        Of a new figure: how much room a gate has, 1 for the usual.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.by_hand.pictures import flow
    >>> g = cr.Graph()
    >>> x, y = g.inputs("x", "y")
    >>> g.output(x * y)
    Node(h₁ = x·y)
    >>> g.forward(x=3, y=4)
    12
    >>> g.backward()
    {'x': 4, 'y': 3}
    >>> sorted(filter(None, (text.get_text() for text in flow(g).axes[0].texts)))
    ['1', '12', '3', '3', '4', '4', 'x', 'y', '×']
    """
    spots, output = _places(graph), graph.output()
    pipes = []
    for node in graph.nodes:
        for i, each in enumerate(node.inputs):
            if isinstance(each, Node):
                parts = [part.value for part in each.contributions if part.node is node and part.argument == i]
                sag = 0.0 if _straight(node, i, spots) else 0.17 * (2 + spots[node][0] - spots[each][0])
                pipes.append((spots[each], spots[node], each.value, parts, sag, 13 if len(_sign(node)) < 3 else 24))
    x, y = spots[output]
    pipes.append(((x, y), (x + 1, y), output.value, [] if output.gradient is None else [output.gradient], 0.0, 0))
    wide = max(end[0] for _, end, *_ in pipes) + 0.6
    sags = [(start[1] + end[1]) / 2 + sag for start, end, _, _, sag, _ in pipes]
    low = max([y for _, y in spots.values()] + sags) + 0.5
    if axes is None:
        axes = panels(size=(1.5 * size * wide, 0.95 * size * (low + 0.6) + 0.4))[1][0]
    axes.set_axis_off()
    axes.set_aspect(RATIO)
    axes.set_xlim(-0.4, wide - 0.4)
    axes.set_ylim(low, -0.6)
    axes.set_title(title, loc="left", fontsize=11)
    for node, (x, y) in spots.items():
        sign = _sign(node)
        axes.text(x, y, sign, ha="center", va="center", fontsize=12 if node.gate else 11, zorder=3,
                  bbox={"boxstyle": "circle,pad=0.35" if len(sign) < 3 else "round,pad=0.35", "edgecolor": QUIET,
                        "facecolor": "#eef4ff" if node.gate is None else "#fff3e0"})
    for pipe in pipes:
        _pipe(axes, *pipe)
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def _sign(node: Node) -> str:
    """Return what stands in the circle."""
    return node.name if node.gate is None else SIGNS.get(node.gate.name, node.gate.name)


def _places(graph: Graph) -> dict[Node, tuple[float, float]]:
    """Give each node a column, right behind its inputs, and a row, at their height; leaves stand before their gate."""
    column: dict[Node, int] = {}
    for node in graph.nodes:
        column[node] = max([column[each] + 1 for each in node.inputs if isinstance(each, Node)], default=0)
    for node in graph.nodes:
        used = [column[other] for other in graph.nodes if node in other.inputs]
        if node.gate is None and used:
            column[node] = min(used) - 1
    found: dict[Node, tuple[float, float]] = {}
    leaves = itertools.count()
    for node in graph.nodes:
        heights = [found[each][1] for each in node.inputs if isinstance(each, Node)]
        taken = [y for x, y in found.values() if x == column[node]]
        wanted = sum(heights) / len(heights) if heights else float(next(leaves))
        shifts = (step * side for step in itertools.count(0.0, 0.5) for side in (1, -1))
        row = next(wanted + shift for shift in shifts if all(abs(wanted + shift - y) >= 0.9 for y in taken))
        found[node] = (float(column[node]), row)
    top = min(y for _, y in found.values())
    return {node: (x, y - top) for node, (x, y) in found.items()}


def _straight(node: Node, argument: int, spots: Mapping[Node, tuple[float, float]]) -> bool:
    """Tell whether the arrow to an argument meets no other: the same one again, or a node on its way."""
    start, end = spots[node.inputs[argument]], spots[node]
    along = {x: start[1] + (end[1] - start[1]) * (x - start[0]) / (end[0] - start[0]) for x, _ in spots.values()}
    return (node.inputs.index(node.inputs[argument]) == argument and
            not any(start[0] < x < end[0] and abs(along[x] - y) < 0.3 for x, y in spots.values()))


def _pipe(axes: Axes, start: tuple[float, float], end: tuple[float, float], value: Any, back: Sequence[Any],
          sag: float, short: int) -> None:
    """Draw an arrow between gates, what flows forward above it and what flows back below it."""
    axes.annotate("", xy=end, xytext=start, zorder=1, arrowprops={
        "arrowstyle": "-|>", "color": "#8c8c8c", "shrinkA": 13, "shrinkB": short, "linewidth": 1,
        "connectionstyle": f"arc3,rad={2 * RATIO * sag / (end[0] - start[0])}"})
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + sag
    labels = [(value, COLORS[2], "bottom", -0.05)] + [(each, COLORS[1], "top", 0.05) for each in back]
    for number, color, side, away in labels:
        text = ("" if number is None else f"{number:.4g}" if np.ndim(number) == 0 else
                "×".join(map(str, np.shape(number))))
        axes.text(x, y + away, text, ha="center", va=side, fontsize=9, color=color, zorder=2,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8})
