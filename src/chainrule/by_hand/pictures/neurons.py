"""A network as people draw it: units as circles, weights on the arrows between them."""
from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .curves import COLORS, QUIET, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["network"]

RADIUS = 0.3                             #: of a unit; columns stand 2 apart, rows 1


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
