"""What a gate costs beyond its arithmetic: a chain of products and sums of four numbers each.

The chain is ``y = y * c + x``, so half of the gates are products with a number and half are sums with a shared tensor,
whose gradient has to be added up. Backward, raw NumPy multiplies and adds as often as the gates' derivatives do.
"""
from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .rows import spread

__all__ = ["measure", "table"]

PAIRS = 250              #: of a product and a sum
SIZE = 4                 #: elements
Chain = Callable[[], tuple[float, float]]
clock = time.perf_counter


def chainrule() -> Chain:
    """Chain gates of chainrule."""
    import chainrule as cr

    x, seed = cr.Tensor(np.ones(SIZE, np.float32), requires_grad=True), np.ones(SIZE, np.float32)

    def chain() -> tuple[float, float]:
        start, y = clock(), x
        for _ in range(PAIRS):
            y = y * 1.0001 + x
        middle = clock()
        y.backward(seed)
        x.grad = y = None
        return middle - start, clock() - middle

    return chain


def torch() -> Chain:
    """Chain operations of PyTorch, on one thread."""
    import torch

    torch.set_num_threads(1)
    x, seed = torch.ones(SIZE, requires_grad=True), torch.ones(SIZE)

    def chain() -> tuple[float, float]:
        start, y = clock(), x
        for _ in range(PAIRS):
            y = y * 1.0001 + x
        middle = clock()
        y.backward(seed)
        x.grad = y = None                              # the graph goes here; chainrule's has gone as the pass went on
        return middle - start, clock() - middle

    return chain


def numpy() -> Chain:
    """Do the arithmetic of both passes with NumPy's operators, and nothing else."""
    x = np.ones(SIZE, np.float32)

    def chain() -> tuple[float, float]:
        start, y = clock(), x
        for _ in range(PAIRS):
            y = y * 1.0001 + x
        middle = clock()
        dy, dx = np.ones(SIZE, np.float32), np.zeros(SIZE, np.float32)
        for _ in range(PAIRS):
            dx += dy
            dy = dy * 1.0001
        return middle - start, clock() - middle

    return chain


def measure(rounds: int) -> list[dict[str, Any]]:
    """Run the three in alternation, in one process; return µs per gate, each a (median, 10th, 90th percentile)."""
    makers: dict[str, Callable[[], Chain]] = {"chainrule": chainrule, "torch": torch, "NumPy alone": numpy}
    chains = {}
    for name, make in makers.items():
        try:
            chains[name] = make()
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in chains}
    for chain in chains.values():
        chain()
    order = list(chains)
    for _ in range(rounds):
        for name in order:
            times[name].append(chains[name]())
        order = order[1:] + order[:1]
    scale = 1e6 / (2 * PAIRS)
    return [{"contender": name, "forward": spread([scale * f for f, _ in found]),
             "backward": spread([scale * b for _, b in found]), "both": spread([scale * (f + b) for f, b in found])}
            for name, found in times.items()]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return what was measured, for people."""
    lines = [f"µs per gate, chain of y * c + x, {SIZE} float32 elements; median (10 % – 90 %)",
             f"    {'':16}" + "".join(f"{part:>24}" for part in ("forward", "backward", "both"))]
    for row in rows:
        cells = ("{:.2f} ({:.2f} – {:.2f})".format(*row[part]) for part in ("forward", "backward", "both"))
        lines.append(f"    {row['contender']:16}" + "".join(f"{cell:>24}" for cell in cells))
    by_name = {row["contender"]: row for row in rows}
    if "torch" in by_name:
        for label, less in (("chainrule / torch", 0), ("the same, less NumPy alone", 1)):
            ratios = []
            for part in ("forward", "backward", "both"):
                ours, theirs, raw = (by_name[name][part][0] for name in ("chainrule", "torch", "NumPy alone"))
                ratios.append((ours - less * raw) / theirs)
            lines.append(f"    {label:28}" + "".join(f"{ratio:12.2f}" + " " * 12 for ratio in ratios).rstrip())
        ratio = by_name["chainrule"]["both"][0] / by_name["torch"]["both"][0]
        lines.append(f"    target: at most half of PyTorch's: {'met' if ratio <= 0.5 else 'missed'}, {ratio:.2f}")
    return "\n".join(lines)
