"""``chainrule train``: a network learns the handwritten digits."""
from __future__ import annotations

import json
import math
import platform
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

from .. import data, nn, optim, random
from ..files import replacing
from ..optim import schedule as schedules
from ..training import Display, Trainer
from .failure import Failure, Interrupted
from .folder import CONFIG, HISTORY, MODEL, PICTURE, run_folder
from .version import version

__all__ = ["train"]

F = TypeVar("F", bound=Callable[..., Any])
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
SCHEDULES: dict[str, Callable[[], schedules.Schedule]] = {
    "one-cycle": schedules.one_cycle, "cosine": schedules.cosine, "constant": schedules.constant}
#: What the learning rate and the weight decay are if they are not said.
SETTINGS = {"sgd": (0.1, 1e-4), "adam": (0.005, 0.0), "adamw": (0.005, 0.01)}


def _sizes(context: click.Context, option: click.Parameter, text: str) -> tuple[int, ...]:
    """Read ``128,64``; nothing at all stands for no hidden layer."""
    try:
        sizes = tuple(int(part) for part in text.split(",")) if text.strip() else ()
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


@click.command(short_help="Train a network on handwritten digits.")
@click.option("--hidden", callback=_sizes, metavar="SIZES", default="128,64", show_default=True,
              help='Units of each hidden layer; "" for none.')
@click.option("--activation", type=click.Choice(list(ACTIVATIONS)), default="relu", show_default=True,
              help="What follows each hidden layer.")
@_number("--dropout", below=1, default=0.2, show_default=True, metavar="SHARE",
              help="The share of hidden units left out at random in each step, from 0 to below 1.")
@_number("--label-smoothing", below=1, default=0.1, show_default=True, metavar="SHARE",
              help="The share of each target spread over all digits; with 0.1 the loss ends near 0.5, not near 0.")
@click.option("--optimizer", type=click.Choice(list(SETTINGS)), default="adamw", show_default=True,
              help="The update rule.")
@_number("--lr", low=False, metavar="RATE",
              help="The highest learning rate.  [default: 0.1 for sgd, 0.005 for adam and adamw]")
@_number("--momentum", below=1, metavar="SHARE",
              help="Of sgd only.  [default: 0.9]")
@_number("--weight-decay", metavar="RATE",
              help="How strongly weights are drawn to 0.  [default: 0.0001 for sgd, 0 for adam, 0.01 for adamw]")
@click.option("--schedule", type=click.Choice(list(SCHEDULES)), default="one-cycle", show_default=True,
              help="How the learning rate changes in the course of the run.")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, metavar="IMAGES",
              help="Images per step.")
@click.option("--epochs", type=click.IntRange(1), default=40, show_default=True, metavar="NUMBER",
              help="How often all images are gone through.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, metavar="NUMBER",
              help="Of the first weights, the order of the images and dropout. The same seed gives the same model.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Where the files go.  [default: runs/digits, or runs/digits-2 and so on if that is taken]")
@click.option("--overwrite", is_flag=True, help="Replace the run that --out already holds.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors (and the object of --json).")
@click.option("--json", "as_json", is_flag=True,
              help="Print the result as one JSON object on standard output, and nothing else there.")
def train(out: Path | None, overwrite: bool, quiet: bool, as_json: bool, **settings: Any) -> None:
    """Train a network on the handwritten digits inside the package.

    1,437 images of 8x8 pixels to learn from, 360 held out to test. With the settings as they are it takes some seconds
    and gets about 354 of the 360 right. The test images decide nothing: the model is the one of the last epoch.

    \b
    Files in the output folder, each whole or not there
      model.safetensors   the weights, under PyTorch's names
      history.jsonl       loss and accuracy of each epoch, one JSON object a line
      config.json         the settings that made them
      run.png             the same as a picture, if matplotlib is installed

    \b
    Examples
      chainrule train
      chainrule train --hidden 64 --activation tanh --epochs 10
      chainrule train --optimizer sgd --lr 0.05 --momentum 0 --dropout 0
      chainrule train --seed 1 --out runs/second --quiet --json

    \b
    Exit codes
      0    it worked
      1    it failed: one line on standard error says why
      2    an option that does not exist, or a value out of range
      130  interrupted by Ctrl-C; files that were whole by then stay
    """  # noqa: D301
    settings = _complete(settings)
    if overwrite and out is None:
        raise click.UsageError("--overwrite needs --out: without it an unused folder is taken",
                               click.get_current_context())
    written: list[Path] = []
    trainer: Trainer | None = None
    try:
        with run_folder(out, Path("runs/digits"), overwrite) as folder:
            train_data, test_data = data.digits()
            trainer = build(settings)
            trainer.fit(train_data, validation=test_data, epochs=settings["epochs"], batch_size=settings["batch_size"],
                        callbacks=() if quiet else [Display(validation="test")])
            result = _result(trainer, settings, len(test_data))
            left_out = _write(folder, trainer, settings, result, written)
    except KeyboardInterrupt:
        epoch = len(trainer.history) + 1 if trainer is not None else 1
        where = f"in epoch {epoch} of {settings['epochs']}" if epoch <= settings["epochs"] else "after the last epoch"
        kept = f"kept {', '.join(map(str, written))}" if written else "nothing was written"
        raise Interrupted(f"interrupted {where}; {kept}") from None
    except FloatingPointError as error:
        raise Failure(f"training failed, nothing was written: {error}") from error
    except MemoryError as error:
        raise Failure(f"there is not enough memory for this network: {error}") from error
    if as_json:
        files = {path.name.partition(".")[0]: str(path) for path in written}
        click.echo(json.dumps({**result, "folder": str(folder), "files": files, "left_out": left_out}))
    elif not quiet:
        right = round(result["test_accuracy"] * len(test_data))
        click.echo(f"test accuracy {100 * result['test_accuracy']:.2f} % ({right} of {len(test_data)} digits), "
                   f"{result['epochs']} epochs in {result['seconds']:.1f} s")
        for path in written:
            click.echo(f"wrote {path}")
        if left_out:
            click.echo(f"left out {left_out}")


def _complete(settings: dict[str, Any]) -> dict[str, Any]:
    """Fill in the settings whose default depends on the optimizer."""
    optimizer = settings["optimizer"]
    if settings["momentum"] is not None and optimizer != "sgd":
        raise click.UsageError(f"--momentum is a setting of sgd, not of {optimizer}", click.get_current_context())
    lr, weight_decay = SETTINGS[optimizer]
    usual = {"lr": lr, "weight_decay": weight_decay, "momentum": 0.9 if optimizer == "sgd" else None}
    return {name: usual.get(name) if value is None else value for name, value in settings.items()}


def build(settings: dict[str, Any]) -> Trainer:
    """Make the network and what trains it. The same settings give the same run."""
    random.seed(settings["seed"])
    layers: OrderedDict[str, nn.Layer] = OrderedDict()
    width = 64
    for i, units in enumerate(settings["hidden"], 1):
        layers[f"hidden{i}"] = nn.Linear(width, units)
        layers[f"activation{i}"] = ACTIVATIONS[settings["activation"]]()
        if settings["dropout"]:
            layers[f"dropout{i}"] = nn.Dropout(settings["dropout"])
        width = units
    layers["output"] = nn.Linear(width, 10)
    model = nn.Sequential(layers)
    lr, weight_decay = settings["lr"], settings["weight_decay"]
    optimizer: optim.Optimizer
    if settings["optimizer"] == "sgd":
        optimizer = optim.SGD(model.parameters(), lr=lr, momentum=settings["momentum"], weight_decay=weight_decay)
    else:
        rule = optim.Adam if settings["optimizer"] == "adam" else optim.AdamW
        optimizer = rule(model.parameters(), lr=lr, weight_decay=weight_decay)
    return Trainer(model, nn.CrossEntropyLoss(label_smoothing=settings["label_smoothing"]), optimizer,
                   seed=settings["seed"], schedule=SCHEDULES[settings["schedule"]]())


def _result(trainer: Trainer, settings: dict[str, Any], tests: int) -> dict[str, Any]:
    """Return the figures a run ends with."""
    last = trainer.history[-1]
    return {
        "test_accuracy": last["validation_accuracy"], "test_loss": last["validation_loss"],
        "train_accuracy": last["train_accuracy"], "train_loss": last["train_loss"],
        "test_images": tests, "epochs": settings["epochs"], "seed": settings["seed"],
        "parameters": sum(p.size for p in trainer.model.parameters()),
        "seconds": round(sum(trainer.history["seconds"]), 3)}


def _write(folder: Path, trainer: Trainer, settings: dict[str, Any], result: dict[str, Any],
           written: list[Path]) -> str | None:
    """Write the files, each whole or not at all, and note them in `written`; return what was left out, and why."""
    config = {"data": "digits", "settings": settings,
              "versions": {"chainrule": version(), "numpy": np.__version__, "python": platform.python_version()}}

    def save_config(path: Path) -> None:
        with replacing(path, "w") as file:
            json.dump(config, file, indent=2)
            file.write("\n")

    title = f"handwritten digits, seed {settings['seed']}: {100 * result['test_accuracy']:.2f} % of the test images"
    left_out = None
    for name, save in ((MODEL, trainer.model.save), (HISTORY, trainer.history.save), (CONFIG, save_config),
                       (PICTURE, lambda path: trainer.history.plot(path, title=title, validation="test"))):
        path = folder / name
        try:
            save(path)
            written.append(path)
        except ImportError:
            left_out = f'{PICTURE}: matplotlib is not installed; pip install ".[plot]" in the clone adds it'
            path.unlink(missing_ok=True)                 # the picture of a run that was overwritten
        except OSError as error:
            kept = f"; kept {', '.join(map(str, written))}" if written else "; nothing was written"
            raise Failure(f"cannot write {path}: {error.strerror or error}{kept}") from error
    return left_out
