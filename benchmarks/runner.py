"""Training steps timed in alternation: each contender in its own process, all of them on one machine at one time.

A block of steps of one contender follows a block of another, and who begins changes from round to round, so that
whatever else the machine does falls on all of them alike. Nobody is timed before everybody has trained from the same
weights to the same losses.
"""
from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .contenders import CONTENDERS
from .workloads import WORKLOADS, Workload

__all__ = ["Child", "Row", "disagreement", "measure", "spread", "table"]

TOLERANCE = 1e-3         #: how far losses may lie apart, as a fraction
REST = 0.06              #: seconds between blocks: threads of the one before spin for a while before they sleep


@dataclass
class Row:
    """What was measured of one contender.

    Attributes
    ----------
    contender, family : str
    median, low, high : float
        Of the blocks, in µs per step; `low` and `high` are the 10th and the 90th percentile.
    ratio : float or None
        The median in units of the fastest PyTorch variant's.
    loss : float
        After the steps before the first block.
    refused : str
        Why there are no figures; empty if there are.
    """

    contender: str
    family: str
    median: float = math.nan
    low: float = math.nan
    high: float = math.nan
    ratio: float | None = None
    loss: float = math.nan
    refused: str = ""
    blocks: list[float] = field(default_factory=list, repr=False)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the 10th and the 90th percentile."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return statistics.median(ordered), ordered[round(0.1 * last)], ordered[round(0.9 * last)]


def disagreement(losses: Sequence[float], reference: Sequence[float]) -> str:
    """Say where two trainings from the same weights went different ways; nothing if they did not."""
    for step, (a, b) in enumerate(zip(losses, reference, strict=True), start=1):
        if not abs(a - b) <= TOLERANCE * abs(b):       # also where one of them is NaN
            return f"its loss is {a:.6g} at step {step}, the reference's {b:.6g}"
    return ""


class Child:
    """A process of its own, which answers each line it is sent with a line of JSON."""

    def __init__(self, module: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=environment, cwd=Path(__file__).parents[1])

    def answer(self) -> Any:
        """Read one answer.

        Raises
        ------
        RuntimeError
            If the process has ended; with the last line of its traceback.
        """
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            lines = self.process.stderr.read().strip().splitlines()
            raise RuntimeError(lines[-1] if lines else f"ended with exit code {self.process.returncode}")
        return json.loads(line)

    def ask(self, number: int) -> Any:
        """Send a number, and read the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


class Process(Child):
    """A contender's process, which times a block of steps when asked."""

    def __init__(self, contender: str, workload: str) -> None:
        super().__init__("benchmarks.child", workload, contender, environment=CONTENDERS[contender].environment())

    def time(self, steps: int) -> float:
        """Return the seconds that so many steps take."""
        return float(self.ask(steps))


def measure(workload: Workload, contenders: Sequence[str], *, rounds: int, block: float,
            report: Callable[[str], None] = lambda line: None) -> list[Row]:
    """Time a workload.

    Parameters
    ----------
    workload : Workload
    contenders : sequence of str
        Names in `CONTENDERS`. The first that starts is the reference for the losses.
    rounds : int
        How many blocks of each are timed.
    block : float
        How long a block should take, in seconds.
    report : callable
        Is told what goes on.

    Returns
    -------
    list of Row
        In the order of the contenders. One that cannot start, or whose losses differ, has `refused` and no figures.
    """
    rows = {name: Row(name, CONTENDERS[name].family) for name in contenders}
    processes: dict[str, Process] = {}
    try:
        reference: list[float] | None = None
        for name in contenders:
            report(f"{workload.name}: {name} trains")
            process = Process(name, workload.name)
            try:
                losses = process.answer()
            except RuntimeError as error:
                rows[name].refused = f"it cannot start: {error}"
                process.end()
                continue
            reference = losses if reference is None else reference
            rows[name].loss, rows[name].refused = losses[-1], disagreement(losses, reference)
            if rows[name].refused:
                process.end()
            else:
                processes[name] = process
        steps = {name: _steps_in(process, block) for name, process in processes.items()}
        order = list(processes)
        for done in range(rounds):
            report(f"{workload.name}: round {done + 1} of {rounds}")
            for name in order:
                time.sleep(REST)
                processes[name].time(max(1, steps[name] // 4))           # back into the caches
                rows[name].blocks.append(processes[name].time(steps[name]) / steps[name] * 1e6)
            order = order[1:] + order[:1]
    finally:
        for process in processes.values():
            process.end()
    for name in processes:
        rows[name].median, rows[name].low, rows[name].high = spread(rows[name].blocks)
    best = min((rows[name].median for name in processes if rows[name].family == "torch"), default=None)
    for name in processes:
        rows[name].ratio = None if best is None else rows[name].median / best
    return list(rows.values())


def _steps_in(process: Process, seconds: float) -> int:
    """Return how many steps fill a block."""
    steps = 2
    while (taken := process.time(steps)) < seconds / 4:
        steps *= 2
    return max(2, round(steps * seconds / taken))


def table(workload: Workload, rows: Sequence[Row]) -> str:
    """Return what was measured, for people."""
    lines = [f"{workload.name}  {workload.summary}",
             f"    {'':28}{'µs per step':>12}{'10 % – 90 %':>20}{'× best torch':>14}{'loss':>12}"]
    for row in rows:
        if row.refused:
            lines.append(f"    {row.contender:28}no row: {row.refused}")
            continue
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append(f"    {row.contender:28}{row.median:12.1f}{f'{row.low:.1f} – {row.high:.1f}':>20}{ratio:>14}"
                     f"{row.loss:12.5f}")
    ours = next((row for row in rows if row.contender == "chainrule"), None)
    if ours is not None and ours.ratio is not None:
        verdict = "met" if ours.ratio <= workload.target else "missed"
        lines.append(f"    target: at most {workload.target:g} × the best of PyTorch: {verdict}, {ours.ratio:.2f}")
        default = next((row for row in rows if row.contender == "torch" and not row.refused), None)
        if workload.target > 1 and default is not None:
            ratio = ours.median / default.median
            verdict = "met" if ratio <= 1 else "missed"
            lines.append(f"    target: no slower than PyTorch's defaults: {verdict}, {ratio:.2f}")
    return "\n".join(lines)


def run(names: Sequence[str], contenders: Sequence[str], *, rounds: int, block: float,
        report: Callable[[str], None], show: Callable[[str], None]) -> tuple[dict[str, Any], bool]:
    """Time several workloads; return everything as data, and whether every row could be printed."""
    found, complete = {}, True
    for name in names:
        workload = WORKLOADS[name]
        rows = measure(workload, contenders, rounds=rounds, block=block, report=report)
        report("")
        show(table(workload, rows) + "\n")
        complete = complete and not any(row.refused for row in rows)
        found[name] = {"workload": asdict(workload), "rows": [asdict(row) for row in rows]}
    return found, complete
