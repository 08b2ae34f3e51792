"""``python -m benchmarks``: see ``python -m benchmarks --help``."""
from __future__ import annotations

import argparse
import json
import math
import sys
import textwrap
from typing import Any

from . import gates, report, runner, startup
from .contenders import CONTENDERS
from .machine import describe, machine
from .mnist import measure as mnist
from .mnist.contenders import CONTENDERS as LOOPS
from .mnist.contenders import USUAL
from .mnist.task import NETWORKS
from .rows import Row
from .workloads import WORKLOADS

LOOPS_ORDER = [*USUAL, *(name for name in LOOPS if name not in USUAL)]
ROUNDS = {"compare": 20, "gates": 200, "import": 15, "mnist": 5}


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Time chainrule beside PyTorch, JAX and NumPy by hand.",
        epilog=textwrap.dedent("""\
            what can be timed:
              compare   training steps of the workloads below (the default; "steps" is another name for it). Each
                        contender runs in its own process and trains 20 steps from the same weights; a row whose losses
                        then differ by more than 0.1 % is refused. Blocks of steps alternate, with a new order each
                        round. First, s: seconds from the imports to the end of the third step, when everything is
                        compiled. MB: the peak of the process's memory, and how much more that is than after its
                        imports. 6 minutes.
              gates     one gate, forward and backward, of tensors with four elements: the engine's overhead
              import    `import chainrule` against `import numpy`, in fresh processes
              mnist     MNIST from images in memory to an accuracy: 3 epochs, batches of 100, against the loop that
                        people write with PyTorch's DataLoader, and against stronger ones. Same first weights and
                        settings; the losses of the first 20 steps must agree, and the accuracies come out alike.
                        The images: --data-dir, or chainrule's own cache.

            workloads:
            """) + "\n".join(f"  {w.name}  {w.summary}" for w in WORKLOADS.values())
        + "\n\ncontenders:\n" + "\n".join(f"  {name}" for name in CONTENDERS)
        + "\n\nnetworks of mnist:\n" + "\n".join(f"  {name}" for name in NETWORKS)
        + "\n\ncontenders of mnist:\n" + "\n".join(f"  {name:24}{LOOPS[name].summary}" for name in LOOPS_ORDER)
        + "\n\nPyTorch and JAX come with `pip install \".[peers]\"`; torch.compile needs a C++ compiler beside them.\n"
        "The exit code is 1 if there is no row for somebody, or if somebody was refused one.")
    parser.add_argument("what", nargs="?", choices=["compare", "steps", "gates", "import", "mnist"], default="compare")
    parser.add_argument("--only", metavar="NAMES",
                        help="workloads, or networks of mnist, separated by commas (default: all)")
    parser.add_argument("--contenders", metavar="NAMES",
                        help="contenders, separated by semicolons; the first is the reference (default: all)")
    parser.add_argument("--data-dir", metavar="DIR", help="the folder of MNIST's files, for mnist")
    parser.add_argument("--rounds", type=int, help="blocks of each contender (default: "
                        + ", ".join(f"{what} {rounds}" for what, rounds in ROUNDS.items())
                        + "; compare does with fewer on a busy machine, unless this is given)")
    parser.add_argument("--block", type=float, default=0.05, help="seconds a block takes (default: 0.05)")
    parser.add_argument("--quick", action="store_true",
                        help="a fifth of the rounds, fewer contenders: a first impression, of compare in 1.5 minutes")
    parser.add_argument("--json", action="store_true", help="print everything that was measured as JSON")
    parser.add_argument("--markdown", action="store_true", help="print compare's tables for a page of documentation")
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
    what = "compare" if options.what == "steps" else options.what
    if options.markdown and (options.json or what != "compare"):
        parser.error("--markdown is for compare, without --json")
    workloads, contenders = (NETWORKS, LOOPS_ORDER) if what == "mnist" else (WORKLOADS, list(CONTENDERS))
    if what == "compare" and options.quick:
        contenders = [name for name in contenders if CONTENDERS[name].quick]
    workloads = names(options.only or ",".join(workloads), workloads, ",", parser)
    known = LOOPS if what == "mnist" else CONTENDERS
    contenders = names(options.contenders or ";".join(contenders), known, ";", parser)
    rounds = options.rounds or ROUNDS[what]
    rounds = max(3, rounds // 5) if options.quick else rounds
    patience = math.inf if options.rounds else 15 if options.quick else 60                 # a workload, for compare

    def show(text: str) -> None:
        if not options.json and not options.markdown:
            print(text, flush=True)

    def progress(line: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    before, complete = machine(), True
    show(describe(before) + "\n")
    found: Any = {}
    rows: dict[str, list[Row]] = {}
    if what == "compare":
        for name in workloads:
            workload = WORKLOADS[name]
            rows[name] = runner.measure(workload, contenders, rounds=rounds, block=options.block, patience=patience,
                                        report=progress)
            progress("")
            show(report.table(workload, rows[name]) + "\n")
            found[name] = report.as_data(workload, rows[name])
            complete = complete and not any(row.refused for row in rows[name])
    elif what == "mnist":
        try:
            images = mnist.load(options.data_dir)
        except (OSError, ValueError) as error:
            parser.exit(1, f"{parser.prog}: {error}\n")
        found, complete = mnist.run(images, contenders, workloads, rounds=rounds, report=progress, show=show)
    elif what == "gates":
        found = gates.measure(rounds)
        show(gates.table(found))
    else:
        found = startup.measure(rounds)
        show(startup.table(found))
    after, end = machine(), ""
    if after["load"] is not None:
        end = f"load average at the end: {after['load']:.2f}"
        show(end)
        if before["load"] > before["cores"] / 2 or after["load"] > after["cores"]:          # its own is part of that
            show("The machine was busy with something else. Threads that wait for each other suffer most from that: "
                 "compare the rows with one thread, or measure again when it is quiet.")
    if options.markdown:
        print(f"{describe(before)}\n{end}\n\n{report.markdown(rows)}")
    if options.json:
        print(json.dumps({"machine": before, "load at the end": after["load"], what: found}, indent=2))
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
