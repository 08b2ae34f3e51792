"""The options of ``chainrule train`` that say what is trained, and how: the settings of a run."""
from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click

from .. import nn
from ..training.stepping import COMPILE
from .completion import data_names
from .presets import MOMENTUM, OPTIMIZERS, PRESETS
from .schedules import SCHEDULES

__all__ = ["ACTIVATIONS", "settings"]

F = TypeVar("F", bound=Callable[..., Any])
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def _sizes(context: click.Context, option: click.Parameter, text: Any) -> tuple[int, ...] | None:
    """Read ``128,64``; nothing at all stands for no hidden layer."""
    if text is None:
        return None
    try:
        sizes = tuple(int(part) for part in str(text).split(",")) if str(text).strip() else ()
    except ValueError:
        sizes = (0,)
    if any(size < 1 for size in sizes):
        raise click.BadParameter(f"{text!r} is not a list of whole numbers from 1 on, with commas between them, like "
                                 "128,64", context, option)
    return sizes


def _finite(context: click.Context, option: click.Parameter, number: float | None) -> float | None:
    if number is not None and not math.isfinite(number):
        raise click.BadParameter(f"{number} is not a finite number", context, option)
    return number


def _number(*names: str, low: bool = True, below: float | None = None, **rest: Any) -> Callable[[F], F]:
    """Make an option for a finite number from 0 on (above 0 without `low`) and below a limit."""
    kind = click.FloatRange(0, below, min_open=not low, max_open=True)
    return click.option(*names, type=kind, callback=_finite, **rest)


def _count(*names: str, low: int = 1, **rest: Any) -> Callable[[F], F]:
    return click.option(*names, type=click.IntRange(low), **rest)


class Choice(click.types.BoolParamType):
    """Yes, no, or the word "auto", which only a file of settings has."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Let the word be, and read the rest as a flag."""
        return value if value == "auto" else super().convert(value, param, ctx)


OPTIONS = (
    click.option("--data", metavar="NAME|FILE", default="digits", show_default=True, shell_complete=data_names,
                 help="digits, mnist or fashion-mnist; or a file of your own: .npz, .csv or .tsv."),
    click.option("--data-dir", type=click.Path(path_type=Path), metavar="FOLDER",
                 help="Where the files of mnist or fashion-mnist lie.  [default: CHAINRULE_DATA, else they are "
                      "downloaded once]"),
    click.option("--target", metavar="COLUMN", help="Of a table: the column to learn.  [default: the last]"),
    click.option("--preset", type=click.Choice(PRESETS), default="default", show_default=True,
                 help="A quick look, the usual, or a best effort; options said beside it hold."),
    _number("--validation", below=1, metavar="SHARE",
            help="The share of the training data that is held out to watch the run.  [default: 0; 0.1 if something is "
                 "decided by it]"),
    click.option("--hidden", callback=_sizes, metavar="SIZES", help='Units of each hidden layer; "" for none.'),
    click.option("--activation", type=click.Choice(list(ACTIVATIONS)), help="What follows each hidden layer."),
    _number("--dropout", below=1, metavar="SHARE",
            help="The share of hidden units left out at random in each step, from 0 to below 1."),
    _count("--shift", low=0, metavar="PIXELS", help="Move each image by up to so many pixels at random in training."),
    _number("--label-smoothing", below=1, metavar="SHARE",
            help="The share of each target spread over all classes; with 0.1 the loss ends near 0.5, not near 0."),
    click.option("--class-weights", type=click.Choice(["none", "balanced"]),
                 help="Let rare classes count as much as frequent ones."),
    click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)), help="The update rule."),
    _number("--lr", low=False, metavar="RATE", help="The highest learning rate; it goes with the optimizer."),
    _number("--momentum", below=1, metavar="SHARE", help=f"Of {' and '.join(MOMENTUM)} only."),
    _number("--weight-decay", metavar="RATE",
            help="How strongly weights are drawn to 0; it goes with the optimizer."),
    click.option("--schedule", type=click.Choice(list(SCHEDULES)), metavar="NAME",
                 help=f"How the learning rate changes in the course of the run: {', '.join(SCHEDULES)}."),
    _number("--warmup", below=1, metavar="SHARE", help="The share of the run in which the learning rate rises first."),
    _count("--batch-size", metavar="SAMPLES", help="Samples per batch."),
    _count("--accumulate", metavar="BATCHES", help="Batches per step, their gradients added up."),
    _count("--epochs", metavar="NUMBER", help="How often all samples are gone through."),
    _number("--clip-norm", low=False, metavar="NORM", help="Scale gradients to at most this norm, all together."),
    _number("--clip-value", low=False, metavar="BOUND", help="Bound each element of a gradient."),
    _number("--average", below=1, metavar="DECAY",
            help="Use a moving average of the weights, of which this much is kept at each step: 0.999, say."),
    _count("--early-stopping", metavar="EPOCHS",
           help="End when the loss on held-out data has not got better for so many epochs."),
    click.option("--keep", type=click.Choice(["last", "best"]),
                 help="Which weights to keep: of the last epoch, or of the best on held-out data."),
    click.option("--compile/--no-compile", type=Choice(), default=None,
                 help="Record the step at first, then run it as one program: less overhead, the same up to rounding.  "
                      f"[default: {'auto' if COMPILE == 'auto' else 'compile' if COMPILE else 'no-compile'}]"),
    _count("--threads", metavar="NUMBER",
           help="On how many threads matrices are multiplied. More than one pays for layers of a thousand units, if "
                "the cores have nothing else to do; the last digits depend on it."),
    click.option("--seed", type=click.IntRange(0, 2**63 - 1), metavar="NUMBER",
                 help="Of the first weights, the order of the samples, shifts and dropout. The same seed gives the "
                      "same model."),
)


def settings(command: F) -> F:
    """Give a command all these options, in this order."""
    return reduce(lambda decorated, option: option(decorated), reversed(OPTIONS), command)
