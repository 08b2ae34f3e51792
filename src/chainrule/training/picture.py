"""The picture of a run: loss and metrics over the epochs, drawn by matplotlib (the extra `plot`)."""
from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .history import History

__all__ = ["draw"]

TRAIN, VALIDATION, QUIET = "#8c8c8c", "#1f6feb", "#555555"


def draw(history: History, path: str | os.PathLike[str], *, title: str, validation: str) -> None:
    """Draw a history; `History.plot` documents it. The state of pyplot is left alone."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("drawing a history needs matplotlib, which the extra `plot` installs: "
                          'pip install ".[plot]" in a clone of chainrule, or pip install matplotlib') from error
    from ..files import replacing
    if not history.rows:
        raise ValueError("there is nothing to draw: the history has no epoch")
    figures = [name.removeprefix("train_") for name in history[-1] if name.startswith("train_")]
    figure = Figure(figsize=(4.8 * len(figures), 3.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    for i, name in enumerate(figures):
        _panel(figure.add_subplot(1, len(figures), i + 1), history, name, validation)
    if title:
        figure.suptitle(title, fontsize=11, color=QUIET)
    with replacing(path) as file:
        figure.savefig(file, format="png")


def _panel(axes: Any, history: History, name: str, validation: str) -> None:
    """Draw one figure of the training and of the validation data."""
    share = name == "accuracy"
    epochs = history["epoch"]
    for kind, label, color, width in (("train", "train", TRAIN, 1.4), ("validation", validation, VALIDATION, 2.0)):
        if f"{kind}_{name}" not in history[-1]:
            continue
        scale = 100 if share else 1
        values = [float("nan") if value is None else scale * value for value in history[f"{kind}_{name}"]]
        last = f"{values[-1]:.2f} %" if share else f"{values[-1]:.4g}"
        axes.plot(epochs, values, color=color, linewidth=width, label=f"{label} {last}",
                  marker="o" if len(values) == 1 else None)
    axes.set_title(name.replace("_", " ") + (" in %" if share else ""), loc="left", fontsize=11)
    axes.set_xlabel("epoch", color=QUIET)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=QUIET)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, loc="lower right" if share else "upper right")
