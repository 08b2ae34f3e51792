"""The picture of a run: loss and metrics over the epochs, drawn by matplotlib (the extra `plot`)."""
from __future__ import annotations

import math
import os
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from .figures import KINDS, measures, said, share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .history import History

__all__ = ["draw", "write"]

TRAIN, VALIDATION, QUIET = "#8c8c8c", "#1f6feb", "#555555"
ACROSS = 3                           #: panels in a row
DECADES = 100                        #: how many times the least value the most must be for a logarithmic scale


def draw(history: History, *, figures: Sequence[str] | None, title: str, validation: str) -> Figure:
    """Draw a history; `History.plot` documents it. The state of pyplot is left alone."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("drawing a history needs matplotlib, which the extra `plot` installs: "
                          'pip install ".[plot]" in a clone of chainrule, or pip install matplotlib') from error

    class Picture(Figure):
        """A figure that a notebook shows, whatever backend it has."""

        def _repr_png_(self) -> bytes:
            file = BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

    chosen = _chosen(history, figures)
    across = min(len(chosen), ACROSS)
    down = math.ceil(len(chosen) / across)
    picture = Picture(figsize=(4.8 * across, 3.6 * down), dpi=150, layout="constrained")
    FigureCanvasAgg(picture)
    for i, name in enumerate(chosen):
        _panel(picture.add_subplot(down, across, i + 1), history, name, validation)
    if title:
        picture.suptitle(title, fontsize=11, color=QUIET)
    return picture


def write(picture: Figure, path: str | os.PathLike[str], kind: str) -> None:
    """Write a picture into a file: the same bytes for the same history."""
    from matplotlib import rc_context

    from ..files import replacing
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with rc_context({"svg.hashsalt": "chainrule"}), replacing(path) as file:
        picture.savefig(file, format=kind, metadata=undated)


def _chosen(history: History, figures: Sequence[str] | None) -> list[str]:
    """Return the names of what is drawn."""
    if not history.rows:
        raise ValueError("there is nothing to draw: the history has no epoch")
    there = measures(history.rows)
    if figures is None:
        if not there:
            raise ValueError("there is nothing to draw: the history has no figure that begins with train_ or "
                             "validation_")
        return there
    if isinstance(figures, str):
        figures = [figures]
    possible = [*there, *(name for name in ("lr", "seconds") if name in history.columns)]
    for name in figures:
        if name not in possible:
            raise ValueError(f"plot: there is no figure {name!r} in the history; there are {', '.join(possible)}")
    if not figures:
        raise ValueError(f"plot: figures is empty, so there is nothing to draw; there are {', '.join(possible)}")
    return list(figures)


def _panel(axes: Any, history: History, name: str, validation: str) -> None:
    """Draw one figure of the training and of the validation data, or a single one such as the learning rate."""
    lines = [(f"{kind}_{name}", label, color, width) for kind, label, color, width in zip(
        KINDS, ("train", validation), (TRAIN, VALIDATION), (1.4, 2.0), strict=True)
        if f"{kind}_{name}" in history.columns]
    alone = not lines
    lines = lines or [(name, name, VALIDATION, 2.0)]
    percent = share(name, [value for column, *_ in lines for value in history[column]])
    everything = []
    for column, label, color, width in lines:
        values = [math.nan if value is None else (100 if percent else 1) * value for value in history[column]]
        everything += values
        last = said(history[column][-1], percent, 2)
        axes.plot(history["epoch"], values, color=color, linewidth=width, label=f"{label} {last}",
                  marker="o" if len(values) == 1 else None)
    if not alone:
        _mark_best(axes, history, lines[-1][0], lines[-1][2], percent)
    known = [value for value in everything if math.isfinite(value)]
    if not percent and known and min(known) > 0 and max(known) >= DECADES * min(known):
        axes.set_yscale("log")
    titles = {"lr": "learning rate", "seconds": "seconds of an epoch"} if alone else {}
    axes.set_title(titles.get(name, name.replace("_", " ")) + (" in %" if percent else ""), loc="left", fontsize=11)
    axes.set_xlabel("epoch", color=QUIET)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=QUIET)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, loc="best")


def _mark_best(axes: Any, history: History, column: str, color: str, percent: bool) -> None:
    """Put a ring around the best epoch."""
    try:
        row = history.best(column)
    except ValueError:                                   # it is not known of any epoch
        return
    axes.plot([row["epoch"]], [row[column] * (100 if percent else 1)], linestyle="none", marker="o", markersize=7,
              markerfacecolor="white", markeredgecolor=color, markeredgewidth=1.6,
              label=f"best {said(row[column], percent, 2)}, epoch {row['epoch']}")
