"""The folder of a run, read back: its settings, its network with the weights, its history, its checkpoints."""
from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import data, nn
from ..data.catalog import CATALOG
from ..mode import no_grad
from ..training import Checkpoints, History
from . import config
from .build import network
from .failure import Failure
from .folder import CHECKPOINTS, CONFIG, FILES, HISTORY, MODEL, existing_run
from .options import ACTIVATIONS

__all__ = ["Described", "Saved", "open_run", "outputs"]


@dataclass(frozen=True)
class Described:
    """The table ``[model]`` of a run: what its network takes and gives, so that nobody needs the training data."""

    inputs: int
    outputs: int
    image: tuple[int, int] | None        #: the height and width of an image, if inputs are images
    classes: tuple[str, ...] | None      #: their names; None for regression
    preparation: dict[str, Any]          #: how inputs become what the network takes, for `data.preparation`
    columns: tuple[str, ...] | None      #: the names of the inputs of a table

    @property
    def samples(self) -> str:
        """What the network takes, in words."""
        if self.image is None:
            return f"{self.inputs} numbers" if self.inputs > 1 else "one number"
        return f"images of {self.image[0]}×{self.image[1]} pixels"


@dataclass(frozen=True)
class Saved:
    """A run that was finished, or was not."""

    folder: Path
    settings: dict[str, Any]
    model: Described

    @property
    def finished(self) -> bool:
        """Whether there is a model."""
        return (self.folder / MODEL).is_file()

    @property
    def checkpoints(self) -> Checkpoints:
        """Its last states."""
        return Checkpoints(self.folder / CHECKPOINTS)

    @property
    def light_on_dark(self) -> bool:
        """Whether its images are known to be light drawings on a dark ground."""
        return self.settings["data"] in CATALOG

    @property
    def onward(self) -> str:
        """The command that finishes it, or writes its files again."""
        return f"chainrule train --resume {self.folder}"

    def network(self) -> nn.Sequential:
        """Make its network, with whatever weights."""
        return network(self.settings, self.model.inputs, self.model.outputs, numbers=self.model.classes is None)

    def trained(self) -> nn.Sequential:
        """Return its network with the weights that training gave it, in evaluation.

        Raises
        ------
        Failure
            If there are none, or they are not whole, not finite, or of another network.
        """
        path = self.folder / MODEL
        again = f"; {self.onward} writes it again" if self.checkpoints.steps() else ""
        made = self.network()
        try:
            made.load(path)
        except FileNotFoundError:
            raise Failure(f"the run in {self.folder} is not finished, there is no {MODEL} in it; go on with: "
                          f"{self.onward}") from None
        except OSError as error:
            raise Failure(f"cannot read {path}: {error.strerror or error}") from error
        except ValueError as error:
            what = str(error)
            if "does not fit" in what:                   # which network it is stands in the settings
                what = what.partition(". ")[2].removesuffix(". strict=False loads the keys that fit")
                what = f"{path} is not of the network that {CONFIG} describes: {what}"
            raise Failure(f"{what}{again}") from error
        for name, array in made.state_dict().items():
            if not np.isfinite(array).all():
                raise Failure(f"{path}: {name} holds numbers that are not finite{again}")
        return made.eval()

    def history(self) -> History:
        """Return the figures of its epochs; of a run that is not finished, as far as its newest sound checkpoint.

        Raises
        ------
        ValueError
            If they cannot be read.
        """
        path = self.folder / HISTORY
        with warnings.catch_warnings():
            warnings.simplefilter("error")               # of a line that is torn
            try:
                found = History.load(path)
            except FileNotFoundError:
                return History()
            except OSError as error:
                raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
            except UserWarning as error:
                raise ValueError(str(error)) from error
        if not all("epoch" in row for row in found.rows):
            raise ValueError(f"{path} does not hold the figures of an epoch in each line")
        return found


def open_run(folder: Path) -> Saved:
    """Read what a run is from its folder.

    Raises
    ------
    Failure
        If it does not hold a run, or its settings are not what ``chainrule train`` wrote.
    """
    if folder.is_file():
        inside = folder.name in FILES and (folder.parent / CONFIG).is_file()
        raise Failure(f"{folder} is a file; a run is a folder{f', here {folder.parent}' if inside else ''}")
    if folder.is_dir() and not (folder / CONFIG).exists():
        runs = sorted(path.parent for path in folder.glob(f"*/{CONFIG}"))
        if runs:
            raise Failure(f"{folder} does not hold a run, but folders with runs: {', '.join(map(str, runs[:5]))}"
                          f"{', …' if len(runs) > 5 else ''}; give one of them")
    path = existing_run(folder) / CONFIG
    settings = config.read(path)
    table = settings.get("model")
    remedy = f"it was changed after the run began; put {CONFIG} back as it was, or train anew"
    if not isinstance(table, dict):
        raise Failure(f"{path} does not describe a network, the table [model] is missing; {remedy}")
    try:
        described = _described(table)
        _check(settings)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else error
        raise Failure(f"{path} does not describe a network: {what}; {remedy}") from error
    return Saved(folder, {name: value for name, value in settings.items() if name not in config.FOUND}, described)


def outputs(model: nn.Layer, samples: data.ArrayDataset) -> NDArray[Any]:
    """Return what a network makes of samples, whose first array are inputs."""
    with no_grad(), np.errstate(over="ignore", invalid="ignore"):            # callers look at what comes out
        return np.concatenate([model(batch[0]).numpy() for batch in data.DataLoader(samples, 1024)])


def _described(table: dict[str, Any]) -> Described:
    image, classes, columns = table.get("image"), table.get("classes"), table.get("columns")
    found = Described(
        _whole("inputs", table["inputs"]), _whole("outputs", table["outputs"]),
        None if image is None else (_whole("image", image[0]), _whole("image", image[1])),
        None if classes is None else tuple(map(str, classes)), dict(table["preparation"]),
        None if columns is None else tuple(map(str, columns)))
    data.preparation(found.preparation)
    if found.image is not None and found.image[0] * found.image[1] != found.inputs:
        raise ValueError(f"{found.samples} are not {found.inputs} inputs")
    if found.classes is not None and len(found.classes) != found.outputs:
        raise ValueError(f"{len(found.classes)} classes for {found.outputs} outputs")
    return found


def _check(settings: dict[str, Any]) -> None:
    """Raise if what `network` goes by is not there."""
    for units in settings["hidden"]:
        _whole("hidden", units)
    if settings["activation"] not in ACTIVATIONS:
        raise ValueError(f"there is no activation {settings['activation']!r}")
    if not 0 <= settings["dropout"] < 1:
        raise ValueError(f"a dropout of {settings['dropout']}")
    for name in ("data", "epochs"):
        settings[name]


def _whole(name: str, number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f"{name} is {number!r}, expected whole numbers from 1 on")
    return number
