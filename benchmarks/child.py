"""One contender in its own process: it trains, reports its losses, and then times blocks of steps when it is told to.

``python -m benchmarks.child WORKLOAD CONTENDER``: reads a number of steps a line, answers with a line of JSON.
"""
from __future__ import annotations

import json
import sys
import time

from .contenders import CONTENDERS
from .workloads import WORKLOADS

TRAINED = 20             #: steps before anything is timed, whose losses must agree


def main() -> None:
    """Train, then time blocks until the input ends."""
    step = CONTENDERS[sys.argv[2]].build(WORKLOADS[sys.argv[1]])
    print(json.dumps([float(step()) for _ in range(TRAINED)]), flush=True)
    for line in sys.stdin:
        steps = int(line)
        start = time.perf_counter()
        for _ in range(steps):
            step()
        print(json.dumps(time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
