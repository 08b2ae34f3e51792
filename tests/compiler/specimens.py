"""One of each: layers, losses and functions with what they are given, and gates that have no derivative.

Those with a derivative stand in `tests.gates.cases`, optimizers in `tests.optim.references`. Whatever the library has
and these tables lack fails `test_equals_eager.py`, so a new layer or gate brings its line here, and is compared with
its compiled self by that.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import functional as F
from chainrule import nn


# ------------------------------------------------------------------ layers and losses
def nothing(rng: Any, n: int) -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Specimen:
    """A layer, and how to give it data.

    Attributes
    ----------
    make : callable
        Gives a new one.
    shape : tuple of int
        Of one example.
    front : callable
        Brings what comes from before, any numbers, where the layer wants them.
    target : callable
        ``target(rng, n)``: a tuple of what else it takes, for n examples.
    least : int
        The smallest batch that it takes in training.
    """

    make: Callable[[], Any]
    shape: tuple[int, ...] = (5,)
    front: Callable[[Any], Any] = lambda x: x
    target: Callable[[Any, int], tuple[Any, ...]] = nothing
    least: int = 1


def classes(rng: Any, n: int) -> tuple[Any]:
    return (rng.integers(0, 3, size=n),)


def places(rng: Any, n: int) -> tuple[Any]:
    return (rng.integers(0, 3, size=(n, 4)),)


def shares(rng: Any, n: int) -> tuple[Any]:
    p = rng.uniform(0.1, 1.0, size=(n, 3))
    return (p / p.sum(axis=1, keepdims=True),)


def yes_or_no(rng: Any, n: int) -> tuple[Any]:
    return (rng.integers(0, 2, size=(n, 3)).astype(np.float64),)


def numbers(rng: Any, n: int) -> tuple[Any]:
    return (rng.normal(size=(n, 3)),)


def of_losses(loss: Any, target: Any, **options: Any) -> list[Specimen]:
    """A loss with each reduction, and with other options."""
    front = options.pop("front", lambda x: x)
    shape = options.pop("shape", (3,))
    others = options.pop("others", [{}])
    every = [{"reduction": "mean"}, {"reduction": "sum"}, {"reduction": "none"}, *others]
    return [Specimen(lambda o=o: loss(**o), shape, front, target) for o in every]


CROSS_ENTROPY = [{"weight": [0.5, 1.0, 2.0]}, {"label_smoothing": 0.1},
                 {"weight": [0.5, 1.0, 2.0], "label_smoothing": 0.2}, {"weight": [0.5, 1.0, 2.0], "reduction": "none"}]
IGNORING = [{"ignore_index": 1}, {"ignore_index": 1, "weight": [0.5, 1.0, 2.0], "label_smoothing": 0.2},
            {"ignore_index": 0, "reduction": "sum"}]
LAYERS: dict[type, list[Specimen]] = {
    nn.Linear: [Specimen(lambda: nn.Linear(5, 3)), Specimen(lambda: nn.Linear(7, 1, bias=False), (7,)),
                Specimen(lambda: nn.Linear(1, 9), (1,)), Specimen(lambda: nn.Linear(3, 2), (2, 3))],
    nn.Identity: [Specimen(nn.Identity)],
    nn.Flatten: [Specimen(nn.Flatten, (3, 2)), Specimen(lambda: nn.Flatten(0, 1), (3, 2))],
    nn.ReLU: [Specimen(nn.ReLU), Specimen(nn.ReLU, (1, 3))],
    nn.Sigmoid: [Specimen(nn.Sigmoid)],
    nn.Tanh: [Specimen(nn.Tanh)],
    nn.Softmax: [Specimen(nn.Softmax), Specimen(lambda: nn.Softmax(dim=1), (3, 2))],
    nn.Dropout: [Specimen(nn.Dropout), Specimen(lambda: nn.Dropout(0.1), (3, 7)), Specimen(lambda: nn.Dropout(0.0)),
                 Specimen(lambda: nn.Dropout(1.0))],
    nn.BatchNorm1d: [Specimen(lambda: nn.BatchNorm1d(5), least=2),
                     Specimen(lambda: nn.BatchNorm1d(3, momentum=None), (3, 5)),
                     Specimen(lambda: nn.BatchNorm1d(5, eps=1e-3, momentum=0.3, affine=False), least=2),
                     Specimen(lambda: nn.BatchNorm1d(5, track_running_stats=False), least=2)],
    nn.Sequential: [
        Specimen(lambda: nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Dropout(0.3), nn.Linear(7, 1))),
        Specimen(lambda: nn.Sequential(nn.Linear(5, 3, bias=False), nn.BatchNorm1d(3, momentum=None), nn.ReLU(),
                                       nn.Linear(3, 3), nn.Softmax()), least=2)],
    nn.MSELoss: of_losses(nn.MSELoss, numbers),
    nn.BCELoss: of_losses(nn.BCELoss, yes_or_no, front=cr.sigmoid, others=[{"weight": [0.5, 1.0, 2.0]}]),
    nn.BCEWithLogitsLoss: of_losses(nn.BCEWithLogitsLoss, yes_or_no, others=[
        {"weight": [0.5, 1.0, 2.0]}, {"pos_weight": [0.5, 3.0, 2.0]},
        {"weight": [0.5, 1.0, 2.0], "pos_weight": [0.5, 3.0, 2.0], "reduction": "none"}]),
    nn.CrossEntropyLoss: [*of_losses(nn.CrossEntropyLoss, classes, others=CROSS_ENTROPY + IGNORING),
                          *of_losses(nn.CrossEntropyLoss, places, shape=(3, 4), others=CROSS_ENTROPY + IGNORING),
                          *of_losses(nn.CrossEntropyLoss, shares, others=CROSS_ENTROPY)],
}
#: Functions that no layer above goes through; all the others are what the layers are made of.
FUNCTIONS: dict[str, list[Specimen]] = {
    "nll_loss": of_losses(lambda **o: lambda x, t: F.nll_loss(F.log_softmax(x, dim=1), t, **o), classes,
                          others=[{"weight": cr.Tensor([0.5, 1.0, 2.0])}, {"ignore_index": 2}]),
    "one_hot": [Specimen(lambda: lambda x, t: x * F.one_hot(t, 3), (3,), target=classes)],
    "softplus": [Specimen(lambda: F.softplus)],
}
BY_LAYERS = {"batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "dropout",
             "linear", "log_softmax", "mse_loss", "relu", "sigmoid", "softmax", "tanh"}


class Model(nn.Layer):
    """A layer behind a matrix that is trained too, so that a gradient has to come out at its other side."""

    constants = ("target",)

    def __init__(self, specimen: Specimen, dtype: Any) -> None:
        rng = np.random.default_rng(1)
        n = specimen.shape[-1]
        self.mix = nn.Parameter((np.eye(n) + 0.3 * rng.normal(size=(n, n))).astype(dtype))
        self.layer, self.front = specimen.make(), specimen.front
        self.astype(dtype)

    def forward(self, x: Any, target: Any = None) -> Any:
        given = (self.front(x @ self.mix), target)
        y = self.layer(*given[:1 if target is None else 2])
        return cr.mean(cr.sin(y + 0.5))                # no symmetry in which a gradient would vanish


# ------------------------------------------------------------------ gates
@dataclass(frozen=True)
class Sample:
    """A gate that has no derivative, and what it is given: arrays are data, cells are read, all else is fixed."""

    gate: str
    inputs: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)


FLOATS = np.array([[0.5, -1.25, 2.5], [1.5, 0.75, -3.5]])
WHOLE = np.array([[3, 0, 5], [6, 2, 1]])
BOOLS = np.array([[True, False, True], [False, False, True]])
KEYED = (cr.cell(7), 3, cr.cell(11))
SAMPLES: list[Sample] = [
    *[Sample(name, (x, y)) for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
                                        "logical_and", "logical_or")
      for x, y in ((FLOATS, FLOATS[:, :1]), (FLOATS, 0.5), (WHOLE, 2), (np.array(0.5), FLOATS))],
    *[Sample(name, pair) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
      for pair in ((WHOLE, 3), (BOOLS, BOOLS[0]))],
    *[Sample("invert", (x,)) for x in (WHOLE, BOOLS)], *[Sample("logical_not", (x,)) for x in (FLOATS, BOOLS)],
    *[Sample(name, (x,)) for name in ("floor", "ceil", "trunc", "round", "isnan", "isinf", "isfinite", "detach")
      for x in (FLOATS, np.array([0.5, np.inf, -np.inf, np.nan]), np.array(2.5))],
    Sample("round", (FLOATS,), {"decimals": 1}),
    *[Sample(name, (x,), options) for name in ("all", "any") for x in (BOOLS, FLOATS)
      for options in ({}, {"axis": 0}, {"axis": (0, 1), "keepdims": True})],
    *[Sample(name, (FLOATS,), options) for name in ("argmax", "argmin")
      for options in ({}, {"axis": 1, "keepdims": True})],
    *[Sample("argsort", (FLOATS,), options) for options in ({}, {"axis": 0}, {"axis": None})],
    Sample("class_index", (np.array([2, 0, 1]),), {"classes": 3, "axis": 1}),
    Sample("contraction", (FLOATS, FLOATS), {"subscripts": "ij,kj->ik"}),
    Sample("contraction", (FLOATS,), {"subscripts": "ij->j"}),
    Sample("index_places", (np.array([0, 2, 1]), 10), {"length": 3, "stride": 2}),
    Sample("take_places", (FLOATS.ravel(), np.array([5, 0, 0])), {}),
    Sample("take_places", (FLOATS, np.array([1, 0, 1])), {"axis": 1}),
    Sample("put_places", (FLOATS[0], np.array([1, 4, 1])), {"length": 5}),
    *[Sample(name, KEYED, {"shape": shape, "dtype": dtype}) for name in ("philox_uniform", "philox_normal")
      for shape in ((), (7,), (3, 5)) for dtype in (np.float32, np.float64)],
    *[Sample("philox_bernoulli", (*KEYED, p), {"shape": (3, 5)}) for p in (0.3, np.array([0.1, 0.9, 0.5, 0.5, 0.2]))],
]
#: Those that run the code of a hand-written layer, and what stands where a gate was.
NO_MATHEMATICS = {"handwritten", "handwritten_backward", "released"}
