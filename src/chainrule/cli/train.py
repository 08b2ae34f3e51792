"""``chainrule train``: a network learns."""
from __future__ import annotations

import json
import platform
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click
import numpy as np
from threadpoolctl import threadpool_limits

from .. import data
from ..compiler import RecordingError
from ..training import Callback, Checkpoints, Display, Trainer
from . import config
from .build import build, complete, deciders
from .completion import run_folders
from .failure import Failure, Interrupted
from .folder import CHECKPOINTS, CONFIG, HISTORY, MODEL, PICTURE, Place, existing_run, run_folder
from .options import settings as settings_options
from .problem import Problem, load
from .version import version

__all__ = ["train"]


@click.command(short_help="Train a network.")
@settings_options
@click.option("--config", type=click.Path(path_type=Path), is_eager=True, callback=config.use, metavar="FILE",
              help="Take these settings from a TOML file, such as the config.toml of a run; options said beside it "
                   "hold.")
@click.option("--checkpoint-every", type=click.IntRange(1), metavar="STEPS",
              help="Save the state of the run after every so many steps.  [default: after epochs, and once a minute]")
@click.option("--keep-checkpoints", type=click.IntRange(1), default=3, show_default=True, metavar="NUMBER",
              help="How many states stay.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", shell_complete=run_folders,
              help="Go on with a run that was stopped or killed, to the same bytes as if it had not been.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Where the files go.  [default: runs/NAME, or runs/NAME-2 and so on if that is taken]")
@click.option("--overwrite", is_flag=True, help="Replace the run that --out already holds.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors (and the object of --json).")
@click.option("--json", "as_json", is_flag=True,
              help="Print the result as one JSON object on standard output, and nothing else there.")
@click.pass_context
def train(context: click.Context, /, out: Path | None, overwrite: bool, quiet: bool, as_json: bool, resume: Path | None,
          checkpoint_every: int | None, keep_checkpoints: int, **said: Any) -> None:
    """Train a network: on the handwritten digits inside the package, if nothing else is said.

    1,437 images of 8x8 pixels to learn from, 360 held out to test. With the settings as they are it takes some seconds
    and gets about 354 of the 360 right. The test data decide nothing: the model is the one of the last epoch, or what
    held-out training data choose.

    \b
    Files in the output folder, each whole or not there
      model.safetensors   the weights, under PyTorch's names
      history.jsonl       loss and accuracy of each epoch, one JSON object a line
      config.toml         the settings that made them
      run.png             the same as a picture, if matplotlib is installed
      checkpoints/        the last states of the run, to go on from

    \b
    Examples
      chainrule train
      chainrule train --data mnist
      chainrule train --hidden 64 --activation tanh --epochs 10
      chainrule train --optimizer sgd --lr 0.05 --momentum 0 --dropout 0
      chainrule train --seed 1 --out runs/second --quiet --json
      chainrule train --resume runs/second

    \b
    Exit codes
      0    it worked
      1    it failed: one line on standard error says why
      2    an option that does not exist, or a value out of range
      130  interrupted by Ctrl-C; --resume goes on with the run
    """  # noqa: D301
    said.pop("config")
    if resume is None:
        if overwrite and out is None:
            raise click.UsageError("--overwrite needs --out: without it an unused folder is taken", context)
        settings = complete(said)
        holder: AbstractContextManager[Place] = run_folder(out, Path("runs") / Path(settings["data"]).stem, overwrite)
    else:
        _alone(context, "resume", "data_dir", "quiet", "as_json", "checkpoint_every", "keep_checkpoints")
        settings = {"compile": False} | {name: value for name, value in config.read(          # as old runs were
            existing_run(resume) / CONFIG).items() if name not in config.FOUND}
        settings = complete(settings | ({"data_dir": said["data_dir"]} if said["data_dir"] is not None else {}))
        holder = nullcontext(Place(resume, begun=True))
    with holder as place:
        session = Session(settings, place)
        session.run(Checkpoints(place.folder / CHECKPOINTS, keep=keep_checkpoints, every=checkpoint_every), quiet)
    _report(session, place.folder, quiet, as_json)


def _alone(context: click.Context, option: str, *beside: str) -> None:
    """Say which options do not go with an option."""
    usual = click.core.ParameterSource.DEFAULT
    for name in context.params:
        if name not in (option, *beside) and context.get_parameter_source(name) is not usual:
            raise click.UsageError(f"--{name.replace('_', '-')} does not go with --{option}: the run keeps the "
                                   "settings it was begun with", context)


class Session:
    """One run of the command: what is trained, and what it leaves."""

    def __init__(self, settings: dict[str, Any], place: Place) -> None:
        self.settings, self.place, self.resumed = settings, place, place.begun
        self.written: list[Path] = []
        self.trainer: Trainer | None = None
        self.left_out: str | None = None

    def run(self, checkpoints: Checkpoints, quiet: bool) -> None:
        """Train, and write the files; or say why not."""
        folder = self.place.folder
        try:
            with threadpool_limits(self.settings["threads"], user_api="blas"):
                self._train(checkpoints, quiet)
            self._write()
        except KeyboardInterrupt:
            raise Interrupted(self._interrupted(folder, checkpoints)) from None
        except FloatingPointError as error:
            raise Failure(f"training failed, no model was written: {error}") from error
        except RecordingError as error:
            raise Failure(f"the step cannot be compiled: {error}; --no-compile does without") from error
        except MemoryError as error:
            raise Failure(f"there is not enough memory for this network: {error}") from error
        except OSError as error:
            kept = f"; kept {', '.join(map(str, self.written))}" if self.written else ""
            more = f"; once there is room, go on with: chainrule train --resume {folder}" if checkpoints.steps() else ""
            raise Failure(f"cannot write {error.filename or folder}: {error.strerror or error}{kept}{more}") from error
        except ValueError as error:
            raise Failure(str(error)) from error

    def _train(self, checkpoints: Checkpoints, quiet: bool) -> None:
        settings = self.settings
        self.problem: Problem = load(settings["data"], settings["data_dir"], settings["target"], quiet=quiet)
        train, held_out = self.problem.train, self.problem.test
        if settings["validation"]:
            train, held_out = data.split(train, settings["validation"], seed=settings["seed"])
        self.trainer = trainer = build(settings, self.problem)
        if not self.resumed:
            self.place.begin()
            config.write(self.place.folder / CONFIG, settings, model=self._found(), versions={
                "chainrule": version() or "", "numpy": np.__version__, "python": platform.python_version()})
        self.validation = "validation" if settings["validation"] else "test"
        listeners: list[Callback] = [] if quiet else [Display(validation=self.validation)]
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, *_: click.echo(f"chainrule: {message}", err=True)
            trainer.fit(train, held_out, epochs=settings["epochs"], batch_size=settings["batch_size"],
                        accumulate=settings["accumulate"], callbacks=[*listeners, *deciders(settings)],
                        checkpoints=checkpoints, resume=self.resumed)
        self.tested = trainer.evaluate(self.problem.test)

    def _found(self) -> dict[str, Any]:
        """Return what `chainrule predict` needs to know of the data, so that it can do without them."""
        p = self.problem
        return {"inputs": p.inputs, "outputs": p.outputs, **({"image": list(p.image)} if p.image else {}),
                **({"classes": list(p.classes)} if p.classes is not None else {}),
                **({"columns": list(p.columns)} if p.columns is not None else {}), "preparation": p.preparation}

    def _interrupted(self, folder: Path, checkpoints: Checkpoints) -> str:
        epochs = self.settings["epochs"]
        epoch = len(self.trainer.history) + 1 if self.trainer is not None else 1
        where = f"in epoch {epoch} of {epochs}" if epoch <= epochs else "after the last epoch"
        if not checkpoints.steps():
            return f"interrupted {where}; nothing was written"
        return f"interrupted {where}; go on with: chainrule train --resume {folder}"

    @property
    def compiled(self) -> bool:
        """Whether the steps were run as a program."""
        step = self.trainer.compiled if self.trainer is not None else None
        return step is not None and step.gave_up is None

    @property
    def result(self) -> dict[str, Any]:
        """The figures a run ends with."""
        assert self.trainer is not None
        history = self.trainer.history
        last = history[-1]
        return {
            **{f"test_{name}": value for name, value in self.tested.items()},
            **{name: last[name] for name in last if name.startswith(("train_", "validation_"))
               and (name.startswith("train_") or self.settings["validation"])},
            "test_samples": len(self.problem.test), "epochs": len(history), "seed": self.settings["seed"],
            "parameters": sum(p.size for p in self.trainer.model.parameters()), "compiled": self.compiled,
            "seconds": round(sum(history["seconds"]), 3)}

    def _write(self) -> None:
        """Write the files, each whole or not at all, and note them in `written`."""
        assert self.trainer is not None
        trainer, folder, title = self.trainer, self.place.folder, f"{self.problem.title}, seed {self.settings['seed']}"
        if "accuracy" in self.tested:
            title += f": {100 * self.tested['accuracy']:.2f} % of the test data"
        self.written.append(folder / CONFIG)
        with trainer.evaluated():
            trainer.model.save(folder / MODEL)
        self.written.append(folder / MODEL)
        trainer.history.save(folder / HISTORY)
        self.written.append(folder / HISTORY)
        try:
            trainer.history.plot(folder / PICTURE, title=title, validation=self.validation)
            self.written.append(folder / PICTURE)
        except ImportError:
            self.left_out = f'{PICTURE}: matplotlib is not installed; pip install ".[plot]" in the clone adds it'


def _report(session: Session, folder: Path, quiet: bool, as_json: bool) -> None:
    """Say how it went."""
    result, tested = session.result, session.tested
    if as_json:
        files = {path.name.partition(".")[0]: str(path) for path in session.written}
        click.echo(json.dumps({**result, "folder": str(folder), "files": files, "left_out": session.left_out}))
        return
    if quiet:
        return
    n = result["test_samples"]
    if "accuracy" in tested:
        said = (f"test accuracy {100 * tested['accuracy']:.2f} % ({round(tested['accuracy'] * n)} of {n} "
                f"{session.problem.noun})")
    else:
        said = "test " + ", ".join(f"{name} {value:.4g}" for name, value in tested.items()) + f" on {n} samples"
    how = ", the step compiled" if result["compiled"] else ""
    click.echo(f"{said}, {result['epochs']} epochs in {result['seconds']:.1f} s{how}")
    for path in session.written:
        click.echo(f"wrote {path}")
    if session.left_out:
        click.echo(f"left out {session.left_out}")
