"""What was measured of a contender, and how rows are compared."""
from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Row", "best", "spread"]


@dataclass
class Row:
    """What was measured of one contender on one workload.

    Attributes
    ----------
    contender, family : str
    median, low, high : float
        Of the blocks, in µs per step; `low` and `high` are the 10th and the 90th percentile.
    torch, flat : float or None
        The median in units of the fastest eager PyTorch variant's, and of the flat NumPy plan's with as many threads.
    first : float
        Seconds from the imports to the end of the third step: everything is compiled by then.
    peak, more : float or None
        The most memory that the process has had, in MB (10⁶ bytes), and how much more that is than after the imports.
    loss : float
        After the steps before the first block.
    refused : str
        Why there are no figures; empty if there are.
    built : float
        Seconds before the first step.
    trained, blocks : list of float
        The first steps, in seconds, and the blocks, in µs per step.
    """

    contender: str
    family: str
    median: float = math.nan
    low: float = math.nan
    high: float = math.nan
    torch: float | None = None
    flat: float | None = None
    first: float = math.nan
    peak: float | None = None
    more: float | None = None
    loss: float = math.nan
    refused: str = ""
    built: float = math.nan
    trained: list[float] = field(default_factory=list, repr=False)
    blocks: list[float] = field(default_factory=list, repr=False)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the 10th and the 90th percentile."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return statistics.median(ordered), ordered[round(0.1 * last)], ordered[round(0.9 * last)]


def best(rows: Sequence[Row], contenders: Iterable[str]) -> Row | None:
    """Return the row with the least median among those contenders that have figures."""
    names = set(contenders)
    return min((row for row in rows if row.contender in names and not row.refused), key=lambda row: row.median,
               default=None)
