"""What a check finds, and how it says so."""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_ROWS = 20                       #: how many elements an error message shows

WRONG, KINK, IMPRECISE = "wrong formula", "kink nearby", "precision too low"
RANDOM, WRITES = "not deterministic", "writes into its arguments"
REASONS = {
    WRONG: "the numerical derivative is settled, and is another one",
    KINK: "the slopes on the two sides differ, or the domain ends; move the input away, or take a smaller step",
    IMPRECISE: "rounding hides the difference at this step; compute in float64, scale the result or take a larger step",
    RANDOM: "two evaluations at one point differ; draw from chainrule.random, whose streams the check sets back",
    WRITES: "an array that was given is changed, and whoever else uses it gets a wrong value; work on a copy",
}


@dataclass(frozen=True)
class Element:
    r"""One element of a gradient that is not what the differences say.

    Attributes
    ----------
    argument : str
        The name of an input, or the path of a parameter.
    index : tuple of int
    analytic, numeric : float
        The two derivatives of the result, weighted at random if it is more than one number.
    error : float
        :math:`|a - n| / \max(|a|, |n|)`.
    verdict : str
        "wrong formula", "kink nearby", "precision too low", "not deterministic", "writes into its arguments"; or
        "not examined", if there were too many.
    """

    argument: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error: float
    verdict: str


@dataclass(frozen=True)
class Culprit:
    """A gate whose own derivative is wrong: which argument, where, and the line that applied it (if it was seen)."""

    gate: str
    argument: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    line: str

    def __str__(self) -> str:
        return (f"{self.gate}, argument {self.argument}, index {self.index}: analytic {self.analytic:.6g}, numeric "
                f"{self.numeric:.6g}" + f"; applied at {self.line}" * bool(self.line))


class GradientError(AssertionError):
    r"""Gradients that differ from the differences, with the table of them as its message.

    Attributes
    ----------
    elements : list of Element
        The worst first.
    culprits : list of Culprit
        Gates that are wrong by themselves.
    ratio : float
        :math:`\|a - n\| / (\|a\| + \|n\|)` over all arguments.
    """

    def __init__(self, elements: list[Element], culprits: list[Culprit], ratio: float, count: int, notes: Sequence[str]
                 ) -> None:
        self.elements, self.culprits, self.ratio = elements, culprits, ratio
        kinds = Counter(e.verdict for e in elements)
        verdicts = ", ".join(f"{kind}: {n}" for kind, n in kinds.most_common())
        lines = [f"check_gradients: {len(elements)} of {count} elements disagree ({verdicts}); "
                 f"‖a-n‖/(‖a‖+‖n‖) = {ratio:.2g}", ""]
        rows = [("argument", "index", "analytic", "numeric", "error", "verdict")]
        rows += [(e.argument, str(e.index), f"{e.analytic:.6g}", f"{e.numeric:.6g}", f"{e.error:.1e}", e.verdict)
                 for e in elements[:MOST_ROWS]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += ["  ".join(cell.ljust(w) if i in (0, 1, 5) else cell.rjust(w) for i, (cell, w) in
                            enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]
        if len(elements) > MOST_ROWS:
            lines.append(f"... and {len(elements) - MOST_ROWS} more (see .elements)")
        lines += ["", *(f"{kind}: {REASONS[kind]}" for kind in kinds if kind in REASONS)]
        lines += [f"the wrong derivative is that of {culprit}" for culprit in culprits]
        super().__init__("\n".join([*lines, *notes]))


def relative_error(a: Any, n: Any) -> float:
    """Return the distance of two numbers as a share of the larger; infinite where one of them is not finite."""
    if a == n:
        return 0.0
    error = abs(a - n) / max(abs(a), abs(n))
    return float(error) if np.isfinite(error) else float("inf")
