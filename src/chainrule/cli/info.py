"""``chainrule info``: what is in the folder of a run, or in a file of weights."""
from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..training import History
from .completion import run_folders
from .failure import Failure
from .folder import HISTORY, MODEL
from .printing import print_json, print_table, printable
from .saved import Saved, open_run

__all__ = ["info"]


@click.command(short_help="Show what is in a run, or in a file of weights.")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN|FILE", shell_complete=run_folders)
@click.option("--json", "as_json", is_flag=True,
              help="Print one JSON object on standard output, and nothing else there.")
def info(path: Path, as_json: bool) -> None:
    """Show what is in RUN, the folder of a run, or in FILE, a .safetensors file of whatever origin.

    Of a run: whether it is finished, and how to go on if it is not; its settings; the layers of its network; the
    figures of its first, its best and its last epochs; and its checkpoints, each of them checked. Of a file: the name,
    shape and dtype of each tensor, how many numbers that makes, and the notes beside them.

    \b
    Examples
      chainrule info runs/digits
      chainrule info runs/digits/model.safetensors
      chainrule info runs/digits --json

    \b
    Exit codes
      0    it worked, also if it shows that a file of the run is damaged
      1    it failed: one line on standard error says why
      2    an option that does not exist
      130  interrupted by Ctrl-C
    """  # noqa: D301
    if not path.exists():
        raise Failure(f"there is neither a folder nor a file {path}")
    if path.is_dir():
        _show_run(path, as_json)
    else:
        _show_file(path, as_json)


# ---------------------------------------------------------------------- a file
def _show_file(path: Path, as_json: bool) -> None:
    from safetensors import SafetensorError, safe_open
    try:
        with open(path, "rb"):                           # what cannot be read says why
            pass
        with safe_open(path, "np") as file:              # only the header is read
            notes = dict(file.metadata() or {})
            names = list(file.keys())
            parts = [file.get_slice(name) for name in names]
            tensors = [{"name": name, "shape": list(part.get_shape()), "dtype": str(part.get_dtype()),
                        "numbers": prod(part.get_shape())} for name, part in zip(names, parts, strict=True)]
    except SafetensorError as error:
        raise Failure(f"{path} is not a whole .safetensors file: {error}") from error
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror or error}") from error
    total, size = sum(each["numbers"] for each in tensors), path.stat().st_size
    if as_json:
        print_json({"file": str(path), "bytes": size, "metadata": notes, "tensors": tensors, "numbers": total})
        return
    click.echo(f"{printable(path)}: {len(tensors)} tensors, {total:,} numbers, {size:,} bytes")
    for name, text in notes.items():
        click.echo(f"{printable(name)}: {printable(text)}")
    click.echo()
    print_table(["tensor", "dtype", "shape", "numbers"],
                [[each["name"], each["dtype"], _shape(each["shape"]), f"{each['numbers']:,}"] for each in tensors],
                left=2)


def _shape(shape: list[int]) -> str:
    return "×".join(map(str, shape)) or "one number"


# ---------------------------------------------------------------------- a run
@dataclass
class State:
    """One checkpoint of a run, checked."""

    step: int
    epoch: int | None = None             #: that was going on, or was to begin
    why: str | None = None               #: what is wrong with it, if it is not sound
    content: dict[str, Any] | None = None


def _show_run(folder: Path, as_json: bool) -> None:
    saved = open_run(folder)
    states, damage = _states(saved), _damage(saved)
    try:
        history = saved.history()
    except ValueError as error:
        history = History()
        damage[HISTORY] = str(error)
    newest = next((state.content for state in reversed(states) if state.content is not None), None)
    if not history.rows and newest is not None:
        history = History(newest["history"])
    network = saved.network().summary(np.zeros((1, saved.model.inputs), np.float32))
    layers = [{"name": row.path, "layer": row.layer, "output": row.output.replace("(1, ", "(N, "),
               "parameters": row.parameters} for row in network.rows[1:]]
    status = _status(saved, history, newest, damage)
    if as_json:
        print_json({
            "run": str(folder), "finished": saved.finished, "status": status, "settings": saved.settings,
            "inputs": saved.model.inputs, "outputs": saved.model.outputs, "image": saved.model.image,
            "classes": saved.model.classes, "columns": saved.model.columns, "layers": layers,
            "parameters": network.parameters, "history": history.rows,
            "checkpoints": [{"step": each.step, "epoch": each.epoch, "sound": each.why is None, "why": each.why}
                            for each in states], "damaged": damage})
        return
    click.echo(f"{printable(folder)}: {status}")
    for why in damage.values():
        click.echo(printable(why))
    click.echo()
    print_table(["setting", "value"], [[name, _value(value)] for name, value in saved.settings.items()], left=2)
    click.echo()
    print_table(["layer", "", "output", "parameters"],
                [[each["name"], each["layer"], each["output"], f"{each['parameters']:,}"] for each in layers]
                + [["total", "", "", f"{network.parameters:,}"]], left=2,
                style=lambda i, j: "bold" if i == len(layers) else "")
    click.echo(f"takes {saved.model.samples}, gives {_given(saved)}")
    if history.rows:
        click.echo()
        _print_history(saved, history)
    if states:
        click.echo()
        print_table(["checkpoint", "epoch", "state"], [
            [f"step {each.step:,}", "" if each.epoch is None else str(each.epoch),
             "sound" if each.why is None else f"damaged: {each.why}"] for each in states], left=3,
            style=lambda i, j: "red" if states[i].why is not None else "")


def _states(saved: Saved) -> list[State]:
    """Read every checkpoint."""
    found = []
    for step in saved.checkpoints.steps():
        try:
            content = saved.checkpoints.read(step)
            found.append(State(step, min(content["run"]["epoch"], saved.settings["epochs"]), content=content))
        except OSError as error:
            found.append(State(step, why=str(error.strerror or error)))
        except (ValueError, KeyError, TypeError) as error:
            found.append(State(step, why=str(error)))
    return found


def _damage(saved: Saved) -> dict[str, str]:
    """Say what is wrong with the model, if it is there."""
    if saved.finished:
        try:
            saved.trained()
        except Failure as error:
            return {MODEL: error.message}
    return {}


def _status(saved: Saved, history: History, newest: dict[str, Any] | None, damage: dict[str, str]) -> str:
    """Say how far the run is."""
    epochs, done = saved.settings["epochs"], len(history)
    if saved.finished:
        if HISTORY in damage:
            return "finished"
        return f"finished, {done} epochs" if done >= epochs else f"finished, after {done} of {epochs} epochs"
    if newest is None:
        return f"not finished, and there is nothing to go on from; train anew with --out {saved.folder} --overwrite"
    where = f"in epoch {newest['run']['epoch']} of {epochs}" if done < epochs else "after the last epoch"
    return f"not finished, stopped {where} if it is not running still; go on with: {saved.onward}"


def _given(saved: Saved) -> str:
    n, classes = saved.model.outputs, saved.model.classes
    if classes is None:
        return f"{n} numbers" if n > 1 else "one number"
    return f"scores for {n} classes ({', '.join(map(printable, classes[:10]))}{', …' if n > 10 else ''})"


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _print_history(saved: Saved, history: History) -> None:
    """Print the first, the best and the last epochs."""
    rows = history.rows
    names = list(rows[-1])
    goal = "validation_loss" if "validation_loss" in names else "train_loss"
    known = any(row.get(goal) is not None for row in rows)
    best = rows.index(history.best(goal)) if known else None
    marks: dict[int, list[str]] = {}
    for i, mark in ((0, "first"), (best, "best"), (len(rows) - 1, "last")):
        if i is not None:
            marks.setdefault(i, []).append(mark)
    held_out = "validation" if saved.settings.get("validation") else "test"
    labels = [name.replace("validation_", f"{held_out} ").replace("_", " ") for name in names]
    print_table(["history", *(", ".join(marks[i]) for i in sorted(marks))],
                [[label, *(_figure(name, rows[i].get(name)) for i in sorted(marks))]
                 for name, label in zip(names, labels, strict=True)])
    if best is not None:
        kept = "; the model has its weights" if saved.settings.get("keep") == "best" else ""
        click.echo(f"best is the lowest {labels[names.index(goal)]}{kept}")


def _figure(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{100 * value:.2f} %" if name.endswith("accuracy") else f"{value:.4g}"
    return "" if value is None else str(value)
