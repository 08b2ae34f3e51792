"""Whole trainings in alternation, each contender in its own process, as `benchmarks.runner` times steps."""
from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..rows import spread
from ..runner import REST, Child, disagreement
from .contenders import CONTENDERS, OURS, USUAL
from .task import BATCH, EPOCHS, TARGET, Images, write

__all__ = ["Row", "load", "measure", "run", "table"]

WORSE = 0.01             #: by how much an accuracy may lie below the reference's


@dataclass
class Row:
    """What was measured of one contender.

    Attributes
    ----------
    contender : str
    seconds : list of float
        Of each training.
    accuracies : list of float
        On the test data, after each training.
    median, low, high : float
        Of the seconds; `low` and `high` are the least and the most.
    accuracy : float
        The median of the accuracies.
    refused : str
        Why there are no figures; empty if there are.
    """

    contender: str
    median: float = math.nan
    low: float = math.nan
    high: float = math.nan
    accuracy: float = math.nan
    refused: str = ""
    seconds: list[float] = field(default_factory=list, repr=False)
    accuracies: list[float] = field(default_factory=list, repr=False)


def load(folder: str | None) -> tuple[Images, Images]:
    """Read MNIST from a folder, or from where `chainrule.data.mnist` keeps it."""
    from chainrule import data

    train, test = data.mnist(folder)
    return Images(*train.arrays), Images(*test.arrays)


class Process(Child):
    """A contender's process, which trains when asked."""

    def __init__(self, contender: str, network: str, path: str) -> None:
        super().__init__("benchmarks.mnist.child", path, network, contender)

    def time(self, seed: int) -> tuple[float, float]:
        """Return the seconds of a whole training, and the accuracy it ends with."""
        seconds, accuracy = self.ask(seed)
        return seconds, accuracy


def measure(network: str, contenders: Sequence[str], path: str, *, rounds: int,
            report: Callable[[str], None] = lambda line: None) -> list[Row]:
    """Time the training of a network.

    Parameters
    ----------
    network : str
        A name in `NETWORKS`.
    contenders : sequence of str
        Names in `CONTENDERS`. The first that starts is the reference for losses and accuracy.
    path : str
        The file of the data, from `write`.
    rounds : int
        How many trainings of each are timed; each round has a seed of its own.
    report : callable
        Is told what goes on.

    Returns
    -------
    list of Row
        In the order of the contenders. One that cannot start, or learns something else, has `refused` and no figures.
    """
    rows = {name: Row(name) for name in contenders}
    processes: dict[str, Process] = {}
    try:
        reference: list[float] | None = None
        for name in contenders:
            report(f"{network}: {name} trains")
            process = Process(name, network, path)
            try:
                losses = process.answer()
            except RuntimeError as error:
                rows[name].refused = f"it cannot start: {error}"
                process.end()
                continue
            reference = losses if reference is None else reference
            rows[name].refused = disagreement(losses, reference)
            if rows[name].refused:
                process.end()
            else:
                processes[name] = process
        order = list(processes)
        for done in range(rounds):
            for name in order:
                report(f"{network}: round {done + 1} of {rounds}, {name}")
                time.sleep(REST)
                seconds, accuracy = processes[name].time(done)
                rows[name].seconds.append(seconds)
                rows[name].accuracies.append(accuracy)
            order = order[1:] + order[:1]
    finally:
        for process in processes.values():
            process.end()
    for i, name in enumerate(processes):
        row, first = rows[name], rows[next(iter(processes))]
        row.accuracy = statistics.median(row.accuracies)
        if i and row.accuracy < first.accuracy - WORSE:
            row.refused = (f"it ends with {100 * row.accuracy:.2f} % of the test data, the reference with "
                           f"{100 * first.accuracy:.2f} %")
            continue
        row.median, _, _ = spread(row.seconds)
        row.low, row.high = min(row.seconds), max(row.seconds)
    return list(rows.values())


def usual(rows: Sequence[Row]) -> Row | None:
    """Return the row of PyTorch's usual loop, with the number of workers that was faster."""
    return min((row for row in rows if row.contender in USUAL and not row.refused), key=lambda row: row.median,
               default=None)


def ratio(rows: Sequence[Row]) -> float | None:
    """Return how long chainrule takes, in units of PyTorch's usual loop."""
    ours, theirs = next((row for row in rows if row.contender == OURS and not row.refused), None), usual(rows)
    return None if ours is None or theirs is None else ours.median / theirs.median


def table(network: str, rows: Sequence[Row]) -> str:
    """Return what was measured, for people."""
    ours, theirs = next((row for row in rows if row.contender == OURS and not row.refused), None), usual(rows)
    lines = [f"{network}  MNIST, {EPOCHS} epochs, batch {BATCH}, relu, cross entropy, Adam",
             f"    {'':24}{'seconds':>9}{'least – most':>16}{'chainrule takes':>17}{'test accuracy':>15}"]
    for row in rows:
        if row.refused:
            lines.append(f"    {row.contender:24}no row: {row.refused}")
            continue
        times = "" if ours is None else f"{ours.median / row.median:.2f} ×"
        lines.append(f"    {row.contender:24}{row.median:9.2f}{f'{row.low:.2f} – {row.high:.2f}':>16}{times:>17}"
                     f"{100 * row.accuracy:13.2f} %")
    found = ratio(rows)
    if found is not None and theirs is not None:
        lines.append(f"    target: at most {TARGET:g} × PyTorch's usual loop ({theirs.contender}): "
                     f"{'met' if found <= TARGET else 'missed'}, {found:.2f}")
    return "\n".join(lines)


def run(data: tuple[Images, Images], contenders: Sequence[str], networks: Sequence[str], *, rounds: int,
        report: Callable[[str], None], show: Callable[[str], None]) -> tuple[dict[str, Any], bool]:
    """Time every network; return everything as data, and whether every row could be printed."""
    found: dict[str, Any] = {}
    complete = True
    with TemporaryDirectory() as folder:
        path = str(Path(folder, "mnist.npz"))
        write(path, *data)
        for network in networks:
            rows = measure(network, contenders, path, rounds=rounds, report=report)
            report("")
            show(table(network, rows) + "\n")
            complete = complete and not any(row.refused for row in rows)
            found[network] = {"rows": [asdict(row) for row in rows], "ratio": ratio(rows)}
    show("\n".join(f"{name}: {CONTENDERS[name].summary}" for name in contenders) + "\n")
    return found, complete
