"""The figures of an epoch as people read them: which there are, and how each is said."""
from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from .callback import Row

__all__ = ["KINDS", "columns", "measures", "said", "share"]

#: Of which data a figure is: the beginning of its name.
KINDS = ("train", "validation")
SHARE = re.compile(r"accuracy|precision|recall|f1|top\d*|share")


def columns(rows: Iterable[Row]) -> list[str]:
    """Return the names of all figures, in the order in which they appear."""
    return list(dict.fromkeys(name for row in rows for name in row))


def measures(rows: Iterable[Row]) -> list[str]:
    """Return what is measured of training or validation data: ``"loss"``, ``"accuracy"`` and so on."""
    split = (name.partition("_") for name in columns(rows))
    return list(dict.fromkeys(rest for kind, _, rest in split if kind in KINDS and rest))


def share(name: str, values: Iterable[Any]) -> bool:
    """Tell whether a figure is a share, which is said in percent: by its name, and because it lies from 0 to 1."""
    named = any(SHARE.fullmatch(word) for word in name.split("_"))
    return named and all(0 <= value <= 1 for value in values if _known(value))


def said(value: Any, percent: bool = False, places: int = 1) -> str:
    """Write a figure: a share as 97.5 %, with so many places, a number with three digits or more, None as –.

    Examples
    --------
    >>> from chainrule.training.figures import said
    >>> [said(value) for value in (0.693147, 0.0123, 12.3456, 250.0, 4.2e-5, 3, None)]
    ['0.693', '0.0123', '12.35', '250.0', '4.20e-05', '3', '–']
    >>> said(0.975, percent=True)
    '97.5 %'
    """
    if not _known(value):
        return "–" if value is None else str(value)
    if percent:
        return f"{100 * value:.{places}f} %"
    if isinstance(value, int) or not value:
        return str(int(value))
    size = abs(value)
    if not 1e-3 <= size < 1e4:
        return f"{value:.2e}"
    return f"{value:.{4 if size < 0.1 else 3 if size < 10 else 2 if size < 100 else 1}f}"


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
