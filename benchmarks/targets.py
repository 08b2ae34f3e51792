"""What chainrule promises about a training step, and whether it was kept."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .contenders import CONTENDERS
from .rows import Row, best
from .workloads import WORKLOADS

__all__ = ["TARGETS", "Target", "Verdict", "verdicts"]


@dataclass(frozen=True)
class Target:
    """A time that is at most so many times another.

    Attributes
    ----------
    contender : str
        Whose time.
    others : tuple of str
        The fastest of these sets the measure.
    named : str
        What to call them.
    limits : dict of str to float
        By workload.
    """

    contender: str
    others: tuple[str, ...]
    named: str
    limits: dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """What became of a target.

    Attributes
    ----------
    target : str
        In words.
    limit, ratio, calm : float
        At most; the ratio of the medians; that of the 10th percentiles, which a busy machine disturbs less.
    met : bool
        By the medians.
    """

    target: str
    limit: float
    ratio: float
    calm: float
    met: bool

    def __str__(self) -> str:
        """Put it in a line."""
        return f"{self.target}: {'met' if self.met else 'missed'}, {self.ratio:.2f} (10th percentiles {self.calm:.2f})"


TORCH = tuple(contender.name for contender in CONTENDERS.values() if contender.family == "torch")
EVERYWHERE = tuple(WORKLOADS)
TARGETS = (
    Target("chainrule", TORCH, "the best of PyTorch, eager", dict.fromkeys(EVERYWHERE, 1.0) | {"W4": 1.5}),
    Target("chainrule", ("torch",), "PyTorch's defaults", {"W4": 1.0}),
    Target("chainrule compiled", ("flat NumPy plan",), "the flat NumPy plan", dict.fromkeys(EVERYWHERE, 1.3)),
    Target("chainrule compiled, one thread", ("flat NumPy plan, one thread",), "the flat NumPy plan, one thread",
           dict.fromkeys(EVERYWHERE, 1.3)),
    Target("chainrule compiled", TORCH, "the best of PyTorch, eager", {"W3": 0.3}),
)


def verdicts(workload: str, rows: Sequence[Row]) -> list[Verdict]:
    """Return a verdict for each target of a workload whose contenders have figures."""
    found = []
    for target in TARGETS:
        ours, theirs = best(rows, [target.contender]), best(rows, target.others)
        if workload in target.limits and ours is not None and theirs is not None:
            limit, ratio = target.limits[workload], ours.median / theirs.median
            found.append(Verdict(f"{target.contender} at most {limit:g} × {target.named}", limit, ratio,
                                 ours.low / theirs.low, ratio <= limit))
    return found
