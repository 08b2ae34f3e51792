"""``python -m benchmarks``: see ``python -m benchmarks --help``."""
from __future__ import annotations

import argparse
import json
import sys
import textwrap
from typing import Any

from . import gates, runner, startup
from .contenders import CONTENDERS
from .machine import describe, machine
from .mnist import measure as mnist
from .mnist.contenders import CONTENDERS as LOOPS
from .mnist.contenders import USUAL
from .mnist.task import NETWORKS
from .workloads import WORKLOADS

#: The reference for the losses comes first.
ORDER = ["torch", *(name for name in CONTENDERS if name != "torch")]
LOOPS_ORDER = [*USUAL, *(name for name in LOOPS if name not in USUAL)]


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Time chainrule beside PyTorch and NumPy by hand.",
        epilog=textwrap.dedent("""\
            what can be timed:
              steps     training steps of the workloads below (the default). Each contender runs in its own process
                        and trains 20 steps from the same weights; a row whose losses then differ by more than 0.1 %
                        is refused. Blocks of steps alternate, with a new order each round.
              gates     one gate, forward and backward, of tensors with four elements: the engine's overhead
              import    `import chainrule` against `import numpy`, in fresh processes
              mnist     MNIST from images in memory to an accuracy: 3 epochs, batches of 100, against the loop that
                        people write with PyTorch's DataLoader, and against stronger ones. Same first weights and
                        settings; the losses of the first 20 steps must agree, and the accuracies come out alike.
                        The images: --data-dir, or chainrule's own cache.

            workloads:
            """) + "\n".join(f"  {w.name}  {w.summary}" for w in WORKLOADS.values())
        + "\n\ncontenders:\n" + "\n".join(f"  {name}" for name in ORDER)
        + "\n\nnetworks of mnist:\n" + "\n".join(f"  {name}" for name in NETWORKS)
        + "\n\ncontenders of mnist:\n" + "\n".join(f"  {name:24}{LOOPS[name].summary}" for name in LOOPS_ORDER)
        + "\n\nPyTorch comes with `pip install \".[peers]\"`. The exit code is 1 if a row was refused.")
    parser.add_argument("what", nargs="?", choices=["steps", "gates", "import", "mnist"], default="steps")
    parser.add_argument("--only", metavar="NAMES",
                        help="workloads, or networks of mnist, separated by commas (default: all)")
    parser.add_argument("--contenders", metavar="NAMES",
                        help="contenders, separated by semicolons; the first is the reference (default: all)")
    parser.add_argument("--data-dir", metavar="DIR", help="the folder of MNIST's files, for mnist")
    parser.add_argument("--rounds", type=int,
                        help="blocks of each contender (default: 40; gates 200, import 15, mnist 5)")
    parser.add_argument("--block", type=float, default=0.05, help="seconds a block takes (default: 0.05)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the rounds: a first impression")
    parser.add_argument("--json", action="store_true", help="print everything that was measured as JSON")
    return parser


def names(given: str, known: Any, separator: str, parser: argparse.ArgumentParser) -> list[str]:
    """Split a list of names, and check them."""
    found = [name.strip() for name in given.split(separator)]
    for name in found:
        if name not in known:
            parser.error(f"{name!r} is none of: {separator.join(known)}")
    return found


def main(given: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = arguments()
    options = parser.parse_args(given)
    workloads, contenders = (NETWORKS, LOOPS_ORDER) if options.what == "mnist" else (WORKLOADS, ORDER)
    workloads = names(options.only or ",".join(workloads), workloads, ",", parser)
    contenders = names(options.contenders or ";".join(contenders), contenders, ";", parser)
    rounds = options.rounds or {"steps": 40, "gates": 200, "import": 15, "mnist": 5}[options.what]
    rounds = max(3, rounds // 5) if options.quick else rounds

    def show(text: str) -> None:
        if not options.json:
            print(text, flush=True)

    def report(line: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    before, complete = machine(), True
    show(describe(before) + "\n")
    found: Any
    if options.what == "steps":
        found, complete = runner.run(workloads, contenders, rounds=rounds, block=options.block, report=report,
                                     show=show)
    elif options.what == "mnist":
        try:
            images = mnist.load(options.data_dir)
        except (OSError, ValueError) as error:
            parser.exit(1, f"{parser.prog}: {error}\n")
        found, complete = mnist.run(images, contenders, workloads, rounds=rounds, report=report, show=show)
    elif options.what == "gates":
        found = gates.measure(rounds)
        show(gates.table(found))
    else:
        found = startup.measure(rounds)
        show(startup.table(found))
    after = machine()
    if after["load"] is not None:
        show(f"load average at the end: {after['load']:.2f}")
        if max(before["load"], after["load"]) > before["cores"] / 2:
            show("The machine was busy with something else. Threads that wait for each other suffer most from that: "
                 "compare the rows with one thread, or measure again when it is quiet.")
    if options.json:
        print(json.dumps({"machine": before, "load at the end": after["load"], options.what: found}, indent=2))
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
