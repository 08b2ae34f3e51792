"""One contender in its own process: it trains, reports how that went, and then times blocks of steps when told to.

``python -m benchmarks.child WORKLOAD CONTENDER``: reads a number of steps a line, answers with a line of JSON.
"""
from __future__ import annotations

import json
import sys
import time
import traceback
from typing import Any

from .contenders import CONTENDERS, Contender
from .machine import peak
from .workloads import WORKLOADS, Workload

TRAINED = 20             #: steps before anything is timed, whose losses must agree
clock = time.perf_counter


def train(contender: Contender, workload: Workload) -> tuple[Any, dict[str, Any]]:
    """Take the first steps; return the step with its batch, and how they went."""
    contender.load()
    imported, start = peak(), clock()
    step, x, y, _ = contender.build(workload)
    built, losses, seconds = clock() - start, [], []
    for _ in range(TRAINED):
        start = clock()
        loss = step(x, y)
        seconds.append(clock() - start)
        losses.append(float(loss))
    return (step, x, y), {"losses": losses, "built": built, "seconds": seconds, "imported": imported}


def main() -> None:
    """Train, then time blocks until the input ends."""
    try:
        (step, x, y), found = train(CONTENDERS[sys.argv[2]], WORKLOADS[sys.argv[1]])
    except Exception as error:                         # its first line comes last: some end with advice
        traceback.print_exc()
        sys.exit(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
    print(json.dumps(found), flush=True)
    for line in sys.stdin:
        steps = int(line)
        start = clock()
        for _ in range(steps):
            step(x, y)
        print(json.dumps({"seconds": clock() - start, "peak": peak()}), flush=True)


if __name__ == "__main__":
    main()
