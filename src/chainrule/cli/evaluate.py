"""``chainrule evaluate``: how good a trained network is on data that it has not seen."""
from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from .. import nn
from ..data import ArrayDataset
from ..data.catalog import CATALOG
from ..data.labelled import load_labelled
from ..mode import no_grad
from ..training import metrics
from .completion import data_names, run_folders
from .failure import Failure
from .printing import print_json, print_table, width
from .problem import load
from .samples import prepared, reading
from .saved import Saved, open_run, outputs

__all__ = ["evaluate"]

LARGEST = 50                                             # classes of a confusion matrix that goes into a file


@click.command(short_help="Measure a network on test data.")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=run_folders)
@click.option("--data", metavar="NAME|FILE", shell_complete=data_names,
              help="Other test data: digits, mnist or fashion-mnist, or a file of your own, .npz, .csv or .tsv, all of "
                   "whose samples count.  [default: the test data of the run]")
@click.option("--data-dir", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Where the files of mnist or fashion-mnist lie.  [default: as of the run]")
@click.option("--json", "as_json", is_flag=True,
              help="Print one JSON object on standard output, and nothing else there.")
def evaluate(run: Path, data: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Measure the network of RUN, the folder of a finished run, on its test data or on others.

    Of classes: the loss and the accuracy; for each class precision (of the samples taken for it, the share that are),
    recall (of its samples, the share that are found) and their harmonic mean F1, and the means of these over the
    classes; and which classes are taken for which. Of numbers: the loss, the mean absolute error (MAE), the root of
    the mean squared error (RMSE) and the share of the variance that is explained (R²).

    The loss is the cross-entropy or the mean squared error, without the label smoothing and class weights that the
    run may have trained with, so that runs can be compared.

    \b
    Examples
      chainrule evaluate runs/digits
      chainrule evaluate runs/mnist --json
      chainrule evaluate runs/mine --data new.csv

    \b
    Exit codes
      0    it worked
      1    it failed: one line on standard error says why
      2    an option that does not exist
      130  interrupted by Ctrl-C
    """  # noqa: D301
    saved = open_run(run)
    model = saved.trained()
    samples, name, noun = _test_data(saved, data, data_dir, quiet=as_json)
    found = outputs(model, samples)
    if not np.isfinite(found).all():
        raise Failure(f"the network in {run} gives numbers that are not finite on {name}; are its inputs as large as "
                      "in training?")
    targets, classes = samples.arrays[1], saved.model.classes
    head = {"run": str(run), "data": name, "samples": len(samples)}
    if classes is None:
        figures = _of_numbers(found, targets)
        if as_json:
            print_json(head | figures)
            return
        click.echo(f"{run} on {name}: {len(samples):,} {noun}")
        print_table(["figure", "value"], [[label, f"{figures[key]:.6g}"] for label, key in (
            ("loss (mean squared error)", "loss"), ("MAE", "mae"), ("RMSE", "rmse"), ("R²", "r2"))])
        return
    figures = _of_classes(found, targets, classes)
    if as_json:
        print_json(head | figures)
        return
    click.echo(f"{run} on {name}: {len(samples):,} {noun}")
    _print_classes(figures)


def _test_data(saved: Saved, said: str | None, folder: Path | None, *,
               quiet: bool) -> tuple[ArrayDataset, str, str]:
    """Return the samples to test with, prepared for the network, and what they and their source are called."""
    own = saved.settings["data"]
    target, place = saved.settings.get("target"), saved.settings.get("data_dir")
    where = folder if folder is not None or place is None else Path(place)
    if said is None and own not in CATALOG:
        if not Path(own).exists():
            raise Failure(f"the data that the run in {saved.folder} learned from are not there any more, {own}; give "
                          "others: --data FILE")
        problem = load(own, None, target)
        _fits(saved, own, problem.image or (problem.inputs,), problem.classes)
        inputs, _ = prepared(problem.test.arrays[0], saved, own)
        return _with(inputs, problem.test.arrays[1]), f"the test data of {problem.name}", problem.noun
    if said is None or said in CATALOG:
        source = CATALOG[own if said is None else said]
        _fits(saved, source.name, source.shape, source.classes)              # before anything is fetched
        problem = load(source.name, where, None, quiet=quiet)
        return problem.test, f"the test data of {source.name}", problem.noun
    path = Path(said)
    if not path.exists() and not path.suffix:
        load(said, where, None)                          # says which names there are
    with reading(path):
        stored = load_labelled(path, saved.model.classes, columns=saved.model.columns, target=target)
        inputs, _ = prepared(stored.arrays[0], saved, str(path))
        targets = stored.arrays[1]
        if saved.model.classes is None and targets.shape[1] != saved.model.outputs:
            raise Failure(f"{path} has {targets.shape[1]} numbers to predict for each sample, the network in "
                          f"{saved.folder} gives {saved.model.outputs}")
        return _with(inputs, targets), str(path), "samples"


def _fits(saved: Saved, name: str, shape: tuple[int, ...], classes: tuple[str, ...] | None) -> None:
    """Say why data are not for the network of a run."""
    if prod(shape) != saved.model.inputs:
        met = f"images of {shape[0]}×{shape[1]} pixels" if len(shape) == 2 else f"{shape[0]} numbers"
        raise Failure(f"{name} has {met}, the network in {saved.folder} takes {saved.model.samples}")
    if classes != saved.model.classes:
        raise Failure(f"the classes of {name} are {_listed(classes)}, the network in {saved.folder} learned "
                      f"{_listed(saved.model.classes)}")


def _with(inputs: ArrayDataset, targets: NDArray[Any]) -> ArrayDataset:
    return ArrayDataset(*inputs.arrays, targets, transform=inputs.transform)


def _of_numbers(found: NDArray[Any], targets: NDArray[Any]) -> dict[str, Any]:
    with no_grad():
        loss = nn.MSELoss()(found, targets).item()
    return {"loss": loss, "mae": metrics.MAE()(found, targets), "rmse": metrics.RMSE()(found, targets),
            "r2": metrics.R2()(found, targets)}


def _of_classes(found: NDArray[Any], targets: NDArray[Any], classes: tuple[str, ...]) -> dict[str, Any]:
    with no_grad():
        loss = nn.CrossEntropyLoss()(found, targets).item()
    kinds = {"precision": metrics.Precision, "recall": metrics.Recall, "f1": metrics.F1}
    matrix = metrics.confusion_matrix(found, targets)
    each = {name: kind(average=None)(found, targets) for name, kind in kinds.items()}
    return {
        "loss": loss, "accuracy": metrics.Accuracy()(found, targets),
        **{name: kind(average="macro")(found, targets) for name, kind in kinds.items()},
        "classes": [{"class": label, "samples": int(matrix[i].sum()),
                     **{name: float(figures[i]) for name, figures in each.items()}}
                    for i, label in enumerate(classes)],
        "confusion_matrix": matrix.tolist()}


def _print_classes(figures: dict[str, Any]) -> None:
    """Print the figures of a classifier: those of all, those of each class, and which are taken for which."""
    rows, matrix = figures["classes"], figures["confusion_matrix"]
    n, right = sum(row["samples"] for row in rows), sum(matrix[i][i] for i in range(len(matrix)))
    click.echo(f"loss {figures['loss']:.4f} (cross-entropy)")
    click.echo(f"accuracy {100 * figures['accuracy']:.2f} % ({right} of {n})\n")
    table = [[row["class"], f"{row['samples']:,}", *(f"{row[name]:.4f}" for name in ("precision", "recall", "f1"))]
             for row in rows]
    table.append(["all, mean", f"{n:,}", *(f"{figures[name]:.4f}" for name in ("precision", "recall", "f1"))])
    print_table(["class", "samples", "precision", "recall", "F1"], table,
                style=lambda i, j: "bold" if i == len(rows) else "")
    click.echo()
    names = [row["class"] for row in rows]
    cells = [[name, *map(str, counts)] for name, counts in zip(names, matrix, strict=True)]
    header = ["true \\ taken for", *names]
    wide = sum(max(map(len, column)) + 3 for column in zip(header, *cells, strict=True)) - 3
    room = width()
    if wide <= room if room is not None else len(names) <= LARGEST:
        print_table(header, cells, style=lambda i, j: "bold" if j == 0 else "green" if j == i + 1 else
                    "dim" if cells[i][j] == "0" else "red")
        return
    wrong = sorted(((matrix[i][j], i, j) for i in range(len(matrix)) for j in range(len(matrix))
                    if i != j and matrix[i][j]), key=lambda each: (-each[0], *each[1:]))
    print_table(["true", "taken for", "samples"], [[names[i], names[j], str(count)] for count, i, j in wrong[:10]],
                left=2)
    click.echo(f"the 10 commonest of {len(wrong)} confusions; --json has all of them" if len(wrong) > 10 else
               f"{len(wrong)} confusions in all")


def _listed(classes: tuple[str, ...] | None) -> str:
    if classes is None:
        return "numbers"
    return f"{', '.join(classes[:10])}{', …' if len(classes) > 10 else ''}"
