"""``chainrule predict``: what a trained network says of new samples."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from .. import functional as F
from ..files import replacing
from .completion import run_folders
from .failure import Failure
from .printing import print_aligned, print_json
from .samples import read
from .saved import Saved, open_run, outputs

__all__ = ["predict"]


@click.command(short_help="Say what new samples are.")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=run_folders)
@click.argument("files", type=click.Path(path_type=Path), metavar="FILE...", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), default=1, show_default=True, metavar="NUMBER",
              help="How many classes to name, the most probable first.")
@click.option("--invert/--no-invert", default=None,
              help="Whether the light and dark of image files change places.  [default: of those with a light border, "
                   "if the run learned from digits, mnist or fashion-mnist, which are light on dark]")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.npy",
              help="Also save the probabilities of all classes, or the numbers predicted: an array, a row a sample.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors (and the object of --json).")
@click.option("--json", "as_json", is_flag=True,
              help="Print one JSON object on standard output, and nothing else there.")
@click.pass_context
def predict(context: click.Context, run: Path, files: tuple[Path, ...], top: int, invert: bool | None, out: Path | None,
            quiet: bool, as_json: bool) -> None:
    """Say what the network of RUN, the folder of a finished run, makes of samples in files.

    Prints a line for each sample: the file, its class, and how probable that is; of a network that predicts numbers,
    the numbers. The training data are not needed.

    \b
    A FILE is
      an image     PNG, JPEG, GIF (its first frame), BMP, PPM or WebP, of any
                   size: made grey, inverted if it is dark on light, and scaled
                   into the middle of the images that the network knows. The
                   drawing should fill it about as far as it does there.
      .npy, .npz   an array of one sample or of several. Images in bytes are
                   scaled as in training, floats from 0 to 1 taken as they are.
      .csv, .tsv   a table, a sample a line, with the columns of the training
                   data.

    \b
    Examples
      chainrule predict runs/mnist seven.png
      chainrule predict runs/mnist --top 3 photos/*.jpg
      chainrule predict runs/mnist images.npy --out probabilities.npy --quiet

    \b
    Exit codes
      0    it worked
      1    it failed: one line on standard error says why, and nothing is printed
      2    an option that does not exist, or a value out of range
      130  interrupted by Ctrl-C
    """  # noqa: D301
    if out is not None:
        _check(context, out, files)
    saved = open_run(run)
    model, classes = saved.trained(), saved.model.classes
    samples = [read(path, saved, invert) for path in files]
    found = np.concatenate([outputs(model, each.inputs) for each in samples])
    if classes is not None:
        found = F.softmax(found, 1)
    if not np.isfinite(found).all():
        raise Failure(f"the network in {run} gives numbers that are not finite; are the inputs as large as in "
                      "training?")
    if out is not None:
        _save(out, found)
    origins = [(str(each.file), i, name) for each in samples for i, name in enumerate(each.names)]
    if as_json:
        print_json({"run": str(run), "predictions": _described(origins, found, classes, top),
                    "out": None if out is None else str(out)})
    elif not quiet:
        _print([name for _, _, name in origins], found, saved, top)
        if out is not None:
            click.echo(f"wrote {out}")


def _described(origins: list[tuple[str, int, str]], found: NDArray[Any], classes: tuple[str, ...] | None,
               top: int) -> list[dict[str, Any]]:
    """Return what ``--json`` says of each sample."""
    rows: list[dict[str, Any]] = [{"file": file, "sample": i} for file, i, _ in origins]
    for row, numbers in zip(rows, found, strict=True):
        if classes is None:
            row["values"] = numbers.tolist()
        else:
            ranked = [{"class": classes[i], "probability": float(numbers[i])} for i in _ranked(numbers, top)]
            row |= ranked[0] | {"top": ranked}
    return rows


def _print(names: list[str], found: NDArray[Any], saved: Saved, top: int) -> None:
    """Print a line for each sample."""
    classes = saved.model.classes
    rows: list[list[str]] = []
    for name, numbers in zip(names, found, strict=True):
        if classes is None:
            rows.append([name, *(f"{number:.6g}" for number in numbers)])
        else:
            rows.append([name, *(text for i in _ranked(numbers, top)
                                 for text in (classes[i], f"{100 * numbers[i]:.1f} %"))])
    print_aligned(rows, "lr" if classes is None else "l" + "lr" * min(top, len(classes)))


def _ranked(probabilities: NDArray[Any], top: int) -> list[int]:
    """Return the most probable classes, of equal ones the first."""
    return np.argsort(-probabilities, kind="stable")[:top].tolist()  # type: ignore[no-any-return]


def _check(context: click.Context, out: Path, files: tuple[Path, ...]) -> None:
    """Say now what is wrong with the name of the file to write."""
    if out.suffix != ".npy":
        raise click.UsageError(f"--out writes an array, so the name of its file ends in .npy, which {out} does not",
                               context)
    if any(out.resolve() == path.resolve() for path in files):
        raise click.UsageError(f"--out {out} would replace the samples; choose another name", context)


def _save(out: Path, found: NDArray[Any]) -> None:
    try:
        with replacing(out) as file:
            np.save(file, found)
    except OSError as error:
        raise Failure(f"cannot write {out}: {error.strerror or error}") from error
