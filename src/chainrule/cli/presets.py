"""What the settings of a run are if they are not said: by data set, preset and optimizer."""
from __future__ import annotations

from typing import Any

from .. import optim
from ..training.stepping import COMPILE

__all__ = ["DATA", "OPTIMIZERS", "OWN", "PRESETS", "USUAL"]

PRESETS = ("small", "default", "best")

#: Whatever the data.
USUAL: dict[str, Any] = {
    "validation": 0.0, "hidden": (64,), "activation": "relu", "dropout": 0.0, "shift": 0, "label_smoothing": 0.0,
    "class_weights": "none", "optimizer": "adamw", "lr": 0.003, "schedule": "one-cycle", "warmup": 0.0,
    "batch_size": 32, "accumulate": 1, "epochs": 40, "clip_norm": None, "clip_value": None, "average": None,
    "early_stopping": None, "keep": "last", "compile": COMPILE, "threads": 1, "seed": 0}

#: Of the package's own data sets, beside what is usual. They were chosen on held-out parts of the training data.
DATA: dict[str, dict[str, dict[str, Any]]] = {
    "digits": {
        "small": {"hidden": (32,), "epochs": 10, "lr": 0.01},
        "default": {"hidden": (128, 64), "dropout": 0.2, "label_smoothing": 0.1, "lr": 0.005},
        "best": {"hidden": (256, 128), "dropout": 0.3, "label_smoothing": 0.1, "lr": 0.005, "epochs": 120}}}
DATA["mnist"] = DATA["fashion-mnist"] = {
    "small": {"hidden": (64,), "epochs": 3, "batch_size": 100, "lr": 0.005},
    "default": {"hidden": (256, 128), "dropout": 0.1, "shift": 1, "epochs": 12, "batch_size": 100},
    "best": {"hidden": (512, 256), "dropout": 0.1, "shift": 1, "epochs": 30, "batch_size": 100, "lr": 0.002}}
#: Of people's own data.
OWN: dict[str, dict[str, Any]] = {
    "small": {"hidden": (32,), "epochs": 20},
    "default": {"hidden": (64, 32), "dropout": 0.1, "epochs": 60},
    "best": {"hidden": (128, 64), "dropout": 0.2, "epochs": 200}}

#: The optimizers: what makes one, its own learning rate (None: that of the preset) and weight decay.
OPTIMIZERS: dict[str, tuple[Any, float | None, float]] = {
    "adamw": (optim.AdamW, None, 0.01), "adam": (optim.Adam, None, 0.0), "adamax": (optim.Adamax, None, 0.0),
    "nadam": (optim.NAdam, None, 0.0), "radam": (optim.RAdam, None, 0.0), "adadelta": (optim.Adadelta, 1.0, 0.0),
    "adagrad": (optim.Adagrad, 0.02, 0.0), "lion": (optim.Lion, 5e-4, 0.1), "rmsprop": (optim.RMSprop, 1e-3, 0.0),
    "sgd": (optim.SGD, 0.1, 1e-4)}
#: Those with momentum, and how much if it is not said.
MOMENTUM = {"sgd": 0.9, "rmsprop": 0.0}
