"""From the settings of a run to what trains: the network, its optimizer, the trainer."""
from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import click

from .. import data, nn, optim, random
from ..training import Callback, EarlyStopping, KeepBest, Trainer, metrics
from .failure import Failure
from .options import ACTIVATIONS
from .presets import DATA, MOMENTUM, OPTIMIZERS, OWN, USUAL
from .problem import Problem
from .schedules import SCHEDULES, make
from .units import Units

__all__ = ["build", "complete", "deciders", "network"]


def complete(said: dict[str, Any]) -> dict[str, Any]:
    """Fill in what was not said: by the preset of the data set, and by the optimizer."""
    preset, said = said["preset"], {name: value for name, value in said.items() if value is not None}
    presets = DATA.get(said["data"], OWN)
    usual = USUAL | presets[preset]
    optimizer = said.get("optimizer", usual["optimizer"])
    _, lr, decay = OPTIMIZERS[optimizer]
    usual |= {"lr": lr or usual["lr"], "weight_decay": decay, "momentum": MOMENTUM.get(optimizer)}
    if "momentum" in said and optimizer not in MOMENTUM:
        raise click.UsageError(f"--momentum is a setting of {' and '.join(MOMENTUM)}, not of {optimizer}",
                               click.get_current_context())
    if said.get("warmup") and SCHEDULES[said.get("schedule", usual["schedule"])] is None:
        raise click.UsageError(f"--warmup does not go with --schedule {said['schedule']}, which goes by the loss",
                               click.get_current_context())
    decides = said.get("keep", "last") == "best" or "early_stopping" in said
    if decides or said.get("schedule") == "plateau":
        usual["validation"] = 0.1
        if said.get("validation") == 0:
            raise click.UsageError("--keep best, --early-stopping and --schedule plateau go by held-out data; give "
                                   "--validation a share above 0, or leave it out", click.get_current_context())
    for name in ("data", "data_dir"):                    # the run may go on from another folder
        if name in said and Path(said[name]).exists() and said[name] not in DATA:
            said[name] = str(Path(said[name]).absolute())
    return {"data": None, "preset": None, "data_dir": None, "target": None} | usual | said


def network(settings: dict[str, Any], inputs: int, outputs: int, *, numbers: bool = False) -> nn.Sequential:
    """Make the network that settings describe, for scores of classes, or for numbers in their own units."""
    layers: OrderedDict[str, nn.Layer] = OrderedDict()
    width = inputs
    for i, units in enumerate(settings["hidden"], 1):
        layers[f"hidden{i}"] = nn.Linear(width, units)
        layers[f"activation{i}"] = ACTIVATIONS[settings["activation"]]()
        if settings["dropout"]:
            layers[f"dropout{i}"] = nn.Dropout(settings["dropout"])
        width = units
    layers["output"] = nn.Linear(width, outputs)
    if numbers:
        layers["units"] = Units(outputs)
    return nn.Sequential(layers)


def build(settings: dict[str, Any], problem: Problem) -> Trainer:
    """Make the network and what trains it. The same settings give the same run."""
    _fits(settings, problem)
    random.seed(settings["seed"])
    model = network(settings, problem.inputs, problem.outputs, numbers=problem.classes is None)
    if problem.classes is None:
        model[-1].fit(problem.train.arrays[1])
    rule, _, _ = OPTIMIZERS[settings["optimizer"]]
    momentum = {"momentum": settings["momentum"]} if settings["momentum"] is not None else {}
    optimizer = rule(model.parameters(), lr=settings["lr"], weight_decay=settings["weight_decay"], **momentum)
    shift, decay = settings["shift"], settings["average"]
    return Trainer(model, _loss(settings, problem), optimizer, seed=settings["seed"],
                   schedule=make(settings["schedule"], settings["warmup"], optimizer), metrics=figures(problem),
                   clip_norm=settings["clip_norm"], clip_value=settings["clip_value"],
                   augment=data.Shift(shift, problem.image) if shift and problem.image else None,
                   average=optim.ExponentialMovingAverage(model.parameters(), decay, warmup=True) if decay else None,
                   compile=settings["compile"])


def deciders(settings: dict[str, Any]) -> list[Callback]:
    """Return the callbacks that settings ask for."""
    found: list[Callback] = []
    if settings["early_stopping"] is not None:
        found.append(EarlyStopping(patience=settings["early_stopping"]))
    if settings["keep"] == "best":
        found.append(KeepBest())
    return found


def figures(problem: Problem) -> dict[str, Any]:
    """Return the figures that a run shows beside its loss."""
    if problem.classes is not None:
        return {"accuracy": metrics.Accuracy()}
    return {"mae": metrics.MAE(), "rmse": metrics.RMSE()}


def _loss(settings: dict[str, Any], problem: Problem) -> nn.Layer:
    if problem.classes is None:
        return nn.MSELoss()
    weight = None
    if settings["class_weights"] == "balanced":
        weight = data.class_weights(problem.train.arrays[1], problem.outputs)
    return nn.CrossEntropyLoss(weight, label_smoothing=settings["label_smoothing"])


def _fits(settings: dict[str, Any], problem: Problem) -> None:
    """Say which settings make no sense with the data."""
    if settings["shift"] and problem.image is None:
        raise Failure(f"--shift moves images, and {problem.title} are not images")
    if problem.classes is None:
        for name in ("label_smoothing", "class_weights"):
            if settings[name] not in (0, "none"):
                raise Failure(f"--{name.replace('_', '-')} is for classes, and the targets of {problem.title} are "
                              "numbers")
