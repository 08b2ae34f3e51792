"""Curves: one panel or several, in one hand."""
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ...gate import Gate
from ...tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLORS", "QUIET", "activations", "lines", "panels"]

COLORS = ("#1f6feb", "#d1495b", "#2a9d8f", "#e9a03b", "#7b5ea7", "#8c8c8c")
QUIET = "#555555"


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
