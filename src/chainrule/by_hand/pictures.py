"""Pictures that several chapters draw: curves, activation functions, a network as circles and arrows.

They are figures of matplotlib (the extra `plot`), made without the state of pyplot; `chainrule.by_hand.reading.save`
writes one.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..gate import Gate
from ..tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLORS", "activations", "lines", "network", "panels"]

COLORS = ("#1f6feb", "#d1495b", "#2a9d8f", "#e9a03b", "#7b5ea7", "#8c8c8c")
QUIET = "#555555"
RADIUS = 0.3                             #: of a unit; the columns of a network stand 2 apart, its rows 1


def panels(columns: int = 1, rows: int = 1, *, size: tuple[float, float] = (4.8, 3.6)) -> tuple[Figure, list[Axes]]:
    """Make an empty figure.

    Parameters
    ----------
    columns, rows : int
        How many panels beside and below each other.
    size : tuple of float
        Width and height of a panel in inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : list of matplotlib.axes.Axes
        Row by row.

    Examples
    --------
    >>> from chainrule.by_hand.pictures import panels
    >>> figure, (left, right) = panels(2)
    >>> _ = left.plot([1, 2, 3])
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(rows * columns)]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.set_prop_cycle(color=COLORS)
        each.tick_params(colors=QUIET)
        each.grid(color="#e6e6e6", linewidth=0.8)
        each.set_axisbelow(True)
    return figure, axes


def lines(curves: Mapping[str, ArrayLike | tuple[ArrayLike, ArrayLike]], title: str = "", *, x: str = "", y: str = "",
          log: str = "", axes: Axes | None = None) -> Figure:
    """Draw curves into one panel.

    Parameters
    ----------
    curves : mapping of str to array_like or pair of array_like
        By label: the values, drawn over 0, 1, 2, …, or a pair of positions and values.
    title, x, y : str
        What stands above the panel and at its axes.
    log : {"", "x", "y", "xy"}
        Which axes are logarithmic.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from chainrule.by_hand.pictures import lines
    >>> figure = lines({"loss": [0.9, 0.5, 0.1]}, "Training", x="epoch")
    >>> figure.axes[0].get_xlabel()
    'epoch'
    """
    if axes is None:
        axes = panels()[1][0]
    for label, curve in curves.items():
        positions, values = curve if isinstance(curve, tuple) else (np.arange(len(np.asarray(curve))), curve)
        axes.plot(np.asarray(positions), np.asarray(values), linewidth=1.8, label=label,
                  marker="o" if np.size(values) < 12 else None)
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x, color=QUIET)
    axes.set_ylabel(y, color=QUIET)
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")
    if len(curves) > 1:
        axes.legend(frameon=False)
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def activations(gates: Mapping[str, Gate | None], limit: float = 5.0) -> Figure:
    """Draw functions of one number, and under each its derivative as the gate gives it.

    Parameters
    ----------
    gates : mapping of str to Gate or None
        By title; None is the linear function a = z.
    limit : float
        z runs from ``-limit`` to ``limit``.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from chainrule import gates
    >>> from chainrule.by_hand.pictures import activations
    >>> figure = activations({"sigmoid": gates.sigmoid, "linear": None})
    >>> [round(float(max(axes.lines[0].get_ydata())), 3) for axes in figure.axes]
    [0.993, 5.0, 0.25, 1.0]
    """
    figure, axes = panels(len(gates), 2, size=(2.9, 2.3))
    for i, (name, gate) in enumerate(gates.items()):
        z = Tensor(np.linspace(-limit, limit, 401), requires_grad=True)
        a = z * 1.0 if gate is None else gate(z)
        a.sum().backward()
        assert z.grad is not None
        for row, values, color in ((0, a.numpy(), COLORS[0]), (1, z.grad.numpy(), COLORS[1])):
            panel = axes[row * len(gates) + i]
            panel.plot(z.numpy(), values, color=color, linewidth=2)
            panel.axvline(0, color=QUIET, linewidth=0.6)
            panel.axhline(0, color=QUIET, linewidth=0.6)
        axes[i].set_title(name, loc="left", fontsize=11)
        axes[len(gates) + i].set_xlabel("z", color=QUIET)
    axes[0].set_ylabel("a = f(z)", color=COLORS[0])
    axes[len(gates)].set_ylabel("f ′(z)", color=COLORS[1])
    return figure


def network(values: Sequence[ArrayLike], weights: Sequence[ArrayLike], names: Sequence[Sequence[str]] | None = None,
            title: str = "", places: int = 3) -> Figure:
    """Draw a small network: units as circles with their values, an arrow for each weight, and the weight on it.

    Parameters
    ----------
    values : sequence of array_like, one a layer
        The values of the units from the inputs to the output, shapes (n₀,), (n₁,), …
    weights : sequence of array_like
        Shapes (n₀, n₁), (n₁, n₂), …: row i holds what goes out of unit i. A NaN stands for no arrow.
    names : sequence of sequence of str, optional
        What to write under the units.
    title : str
    places : int
        How many decimal places values have.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If shapes do not fit together.

    Examples
    --------
    >>> from chainrule.by_hand.pictures import network
    >>> figure = network([[1, 2], [0.7]], [[[0.5], [0.1]]], [["x₁", "x₂"], ["a"]])
    >>> sorted(filter(None, (text.get_text() for text in figure.axes[0].texts)))
    ['0.1', '0.5', '0.7', '1', '2', 'a', 'x₁', 'x₂']
    """
    from matplotlib.patches import Circle
    layers = [np.atleast_1d(np.asarray(each, float)).ravel() for each in values]
    matrices = [np.atleast_2d(np.asarray(each, float)) for each in weights]
    expected = [(len(a), len(b)) for a, b in pairwise(layers)]
    if [matrix.shape for matrix in matrices] != expected:
        raise ValueError(f"network: units {[len(each) for each in layers]} need weights of shapes {expected}, got "
                         f"{[matrix.shape for matrix in matrices]}")
    if names is not None and [len(each) for each in names] != [len(each) for each in layers]:
        raise ValueError(f"network: expected names for {[len(each) for each in layers]} units, got "
                         f"{[len(each) for each in names]}")
    tall = max(map(len, layers))
    spots = [[(2.0 * column, (len(layer) - 1) / 2 - row) for row in range(len(layer))]
             for column, layer in enumerate(layers)]
    figure, (axes,) = panels(size=(2.2 * len(layers) + 0.6, 1.25 * tall + 0.9))
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-0.6, 2.0 * len(layers) - 1.4)
    axes.set_ylim(-tall / 2 - 0.2, tall / 2 + 0.1)
    axes.set_title(title, loc="left", fontsize=11)
    for column, matrix in enumerate(matrices):
        for (i, j), weight in np.ndenumerate(matrix):
            if not np.isnan(weight):               # the label stands before the crossings
                place = 0.5 if matrix.shape[1] == 1 else 0.16
                _arrow(axes, spots[column][i], spots[column + 1][j], _said(weight, 4), place)
    for column, layer in enumerate(layers):
        color = "#eef4ff" if column == 0 else "#fff3e0" if column + 1 < len(layers) else "#e8f6f3"
        for row, value in enumerate(layer):
            x, y = spots[column][row]
            axes.add_patch(Circle((x, y), RADIUS, facecolor=color, edgecolor=QUIET, linewidth=1.2, zorder=3))
            axes.text(x, y, _said(value, places), ha="center", va="center", fontsize=9, zorder=4)
            if names is not None:
                axes.text(x, y - RADIUS - 0.04, names[column][row], ha="center", va="top", fontsize=9, color=QUIET)
    return figure


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], label: str, place: float) -> None:
    """Draw an arrow from unit to unit, its label at this share of its length."""
    a, b = np.array(start), np.array(end)
    along = (b - a) / np.hypot(*(b - a))
    tail, head = a + RADIUS * along, b - RADIUS * along
    axes.annotate("", xy=(float(head[0]), float(head[1])), xytext=(float(tail[0]), float(tail[1])),
                  arrowprops={"arrowstyle": "-|>", "color": "#8c8c8c", "shrinkA": 0, "shrinkB": 0, "linewidth": 1},
                  zorder=1)
    x, y = tail + place * (head - tail)
    axes.text(float(x), float(y), label, ha="center", va="center", fontsize=8, color=COLORS[0],
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8}, zorder=2)


def _said(value: Any, places: int) -> str:
    """Write a number with so many decimal places, or fewer where that is all of it."""
    return f"{value:g}" if abs(value - round(value, places)) < 1e-12 else f"{value:.{places}f}"
