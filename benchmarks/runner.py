"""Training steps timed in alternation: each contender in its own process, all of them on one machine at one time.

A block of steps of one contender follows a block of another, and who begins changes from round to round, so that
whatever else the machine does falls on all of them alike. Nobody is timed before everybody has trained from the same
weights to the same losses.
"""
from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .contenders import CONTENDERS
from .rows import Row, best, spread
from .workloads import Workload

__all__ = ["Child", "Process", "disagreement", "measure"]

TOLERANCE = 1e-3         #: how far losses may lie apart, as a fraction
COMPILED = 3             #: steps after which a compiler is done with a step whose arguments stay the same
REST = 0.06              #: seconds between blocks: threads of the one before spin for a while before they sleep


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
    """A contender's process, which times a block of steps when asked.

    Attributes
    ----------
    peak : int or None
        The bytes of memory that it has had at most, by the end of the last block.
    """

    peak: int | None = None

    def __init__(self, contender: str, workload: str) -> None:
        self.folder, environment = TemporaryDirectory(), CONTENDERS[contender].environment()
        if CONTENDERS[contender].cache:
            environment[CONTENDERS[contender].cache] = self.folder.name
        super().__init__("benchmarks.child", workload, contender, environment=environment)

    def time(self, steps: int) -> float:
        """Return the seconds that so many steps take."""
        found = self.ask(steps)
        self.peak = found["peak"]
        return float(found["seconds"])

    def end(self) -> None:
        """End the process, and remove what it compiled."""
        super().end()
        self.folder.cleanup()


def measure(workload: Workload, contenders: Sequence[str], *, rounds: int, block: float, patience: float = math.inf,
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
    patience : float
        Seconds after which no other round begins, if there were three: on a busy machine they take long.
    report : callable
        Is told what goes on.

    Returns
    -------
    list of Row
        In the order of the contenders. One that cannot start, or whose losses differ, has `refused` and no figures.
    """
    rows = {name: Row(name, CONTENDERS[name].family) for name in contenders}
    processes: dict[str, Process] = {}
    imported: dict[str, int | None] = {}
    try:
        reference: list[float] | None = None
        for name in contenders:
            report(f"{workload.name}: {name} trains")
            process, row = Process(name, workload.name), rows[name]
            try:
                found = process.answer()
            except RuntimeError as error:
                row.refused = f"it cannot start: {error}"
                process.end()
                continue
            losses, row.built, row.trained, imported[name] = (
                found[key] for key in ("losses", "built", "seconds", "imported"))
            row.first = row.built + sum(row.trained[:COMPILED])
            reference = losses if reference is None else reference
            row.loss, row.refused = losses[-1], disagreement(losses, reference)
            if row.refused:
                process.end()
            else:
                processes[name] = process
        taken = {name: _seconds_of_a_step(process, block) for name, process in processes.items()}
        order, start = list(processes), time.monotonic()
        for done in range(rounds):
            if done >= 3 and time.monotonic() - start > patience:
                break
            report(f"{workload.name}: round {done + 1} of {rounds}, load average {_load()}")
            for name in order:
                steps = max(2, round(block / taken[name]))               # as many as the last block's speed allows
                time.sleep(REST)
                processes[name].time(max(1, steps // 4))                 # back into the caches
                taken[name] = processes[name].time(steps) / steps
                rows[name].blocks.append(taken[name] * 1e6)
            order = order[1:] + order[:1]
    finally:
        for process in processes.values():
            process.end()
    for name, process in processes.items():
        row, before = rows[name], imported[name]
        row.median, row.low, row.high = spread(row.blocks)
        if process.peak is not None and before is not None:
            row.peak, row.more = process.peak / 1e6, (process.peak - before) / 1e6
    compare(list(rows.values()))
    return list(rows.values())


def compare(rows: Sequence[Row]) -> None:
    """Fill in the ratios of the rows of a workload."""
    torch = best(rows, [row.contender for row in rows if row.family == "torch"])
    plans = [row for row in rows if row.family == "flat plan"]
    for row in rows:
        if row.refused:
            continue
        threads = CONTENDERS[row.contender].one_thread
        flat = best(rows, [plan.contender for plan in plans if CONTENDERS[plan.contender].one_thread == threads])
        row.torch = None if torch is None else row.median / torch.median
        row.flat = None if flat is None else row.median / flat.median


def _load() -> str:
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"


def _seconds_of_a_step(process: Process, block: float) -> float:
    """Try how long a step takes, in more and more of them."""
    steps = 2
    while (seconds := process.time(steps)) < block / 4:
        steps *= 2
    return seconds / steps
