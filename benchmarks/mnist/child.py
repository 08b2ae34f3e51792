"""One contender in its own process: it trains some steps, reports their losses, then whole runs when it is told to.

``python -m benchmarks.mnist.child FILE NETWORK CONTENDER``: reads a seed a line, answers with a line of JSON.
"""
from __future__ import annotations

import json
import sys
import time

from .contenders import CONTENDERS
from .task import EPOCHS, Images, read


def main() -> None:
    """Train, then train from the same weights again and again until the input ends."""
    path, network, contender = sys.argv[1:]
    task, train = read(path, network), CONTENDERS[contender].train
    losses: list[float] = []
    count = len(task.order)
    train(task, Images(task.train.images[:count], task.train.labels[:count]), 1, 0, losses, task.order)
    print(json.dumps(losses), flush=True)
    for line in sys.stdin:
        seed = int(line)
        start = time.perf_counter()
        accuracy = train(task, task.train, EPOCHS, seed)
        print(json.dumps([time.perf_counter() - start, accuracy]), flush=True)


if __name__ == "__main__":
    main()
