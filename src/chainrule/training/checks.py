"""What is looked at before the first step, so that bad data are found there and not in the middle of a run."""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import nn
from ..data import ArrayDataset, DataLoader, Dataset
from ..mode import no_grad
from ..tensor import Tensor

__all__ = ["check_data", "check_optimizer", "check_training"]


#: Losses whose targets are classes.
CLASSIFIES = (nn.CrossEntropyLoss, nn.BCELoss, nn.BCEWithLogitsLoss)


def check_data(what: str, dataset: Dataset, model: nn.Layer, loss: Any) -> None:
    """Raise if a data set cannot be what `model` and `loss` are trained with, or evaluated on.

    Parameters
    ----------
    what : str
        What the data set is called in errors.
    dataset : Dataset
        Its numbers are all looked at if it is an `ArrayDataset`; of others those of the first samples are.
    model, loss : Layer
        Run once, on the first samples, without a trace.

    Raises
    ------
    TypeError, ValueError
    """
    _pairs(what, dataset)
    x, y = first = next(iter(DataLoader(dataset, 2)))
    whole = dataset.arrays if isinstance(dataset, ArrayDataset) else first
    for name, array in zip(("inputs", "targets"), whole, strict=True):
        _finite(f"{what}: the {name}", array)
    with no_grad():
        outputs = model(x)
    if not isinstance(outputs, Tensor):
        raise TypeError(f"the model returned {type(outputs).__name__}, the loss needs one tensor")
    if isinstance(loss, nn.CrossEntropyLoss) and whole[1].dtype.kind in "biu" and outputs.ndim > 1:
        _labels(f"{what}: the targets", whole[1], outputs.shape[1], loss.ignore_index)
    with no_grad():
        value = loss(outputs, y)
    if not isinstance(value, Tensor):
        raise TypeError(f"the loss returned {type(value).__name__}; expected a tensor, from which a gradient goes back")
    if value.size != 1:
        raise ValueError(f"the loss gives {value.size} numbers, of shape {value.shape}, for a batch of {len(x)}; "
                         'training needs one number: use reduction="mean"')


def check_training(dataset: Dataset, loss: Any, batch_size: int | None) -> None:
    """Raise if nothing can be learned from training data, or no batch be made of them."""
    if batch_size is not None and isinstance(batch_size, int | np.integer) and batch_size > len(dataset):
        raise ValueError(f"the training data have {len(dataset)} samples, fewer than one batch of {batch_size}; use a "
                         f"batch_size of at most {len(dataset)}")
    if not isinstance(dataset, ArrayDataset) or not isinstance(loss, CLASSIFIES):
        return
    targets = dataset.arrays[1]
    if isinstance(loss, nn.CrossEntropyLoss):
        if targets.dtype.kind == "f":                    # a probability for each class
            return
        targets = targets[targets != loss.ignore_index]
        if not targets.size:
            raise ValueError(f"every target of the training data is {loss.ignore_index}, the class that counts nothing "
                             "(ignore_index), so there is nothing to learn")
    elif ((targets < 0) | (targets > 1)).any():
        wrong = targets[(targets < 0) | (targets > 1)]
        raise ValueError(f"the targets of the training data hold {wrong.flat[0]} ({wrong.size} such in all); "
                         f"{type(loss).__name__} takes a probability, from 0 to 1. For more than two classes use "
                         "CrossEntropyLoss")
    first = targets.flat[0]
    if len(dataset) > 1 and (targets == first).all():
        raise ValueError(f"all {len(dataset)} targets of the training data are {first}: there is one class only, so "
                         "there is nothing to tell apart. Was the data set sorted by class and then cut?")


def check_optimizer(optimizer: Any, model: nn.Layer) -> None:
    """Raise if an optimizer updates nothing of the model."""
    mine = {p for p in model.parameters() if p.requires_grad}
    if not mine:
        raise ValueError("the model has no parameter that requires a gradient, so there is nothing to train")
    if not any(p in mine for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("the optimizer has none of the model's parameters; make it from this model's .parameters()")


def _pairs(what: str, dataset: Dataset) -> None:
    if not isinstance(dataset, Dataset):
        raise TypeError(f"{what}: expected a data set of (input, target) pairs, got {type(dataset).__name__}; arrays "
                        "become one with data.ArrayDataset(inputs, targets)")
    if not len(dataset):
        raise ValueError(f"{what}: the data set is empty")
    sample = dataset[0]
    if not isinstance(sample, tuple) or len(sample) != 2:
        parts = f"{len(sample)} parts" if isinstance(sample, tuple) else type(sample).__name__
        raise ValueError(f"{what}: expected samples that are pairs (input, target), got {parts}; two arrays become "
                         "such a data set with data.ArrayDataset(inputs, targets)")


def _finite(what: str, array: Any) -> None:
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    wrong = np.argwhere(~np.isfinite(array))
    place = f"sample {wrong[0][0]}" + (f" at index {tuple(wrong[0][1:].tolist())}" if array.ndim > 1 else "")
    raise ValueError(f"{what} are not finite: {len(wrong)} of {array.size} values, the first is "
                     f"{array[tuple(wrong[0])]} in {place}. Leave such samples out, or fill the gaps (with the mean of "
                     "the feature, say)")


def _labels(what: str, labels: Any, classes: int, ignored: int) -> None:
    wrong = np.argwhere(((labels < 0) | (labels >= classes)) & (labels != ignored))
    if len(wrong):
        raise ValueError(f"{what} hold the label {labels[tuple(wrong[0])]} (sample {wrong[0][0]}, {len(wrong)} such in "
                         f"all), but the model gives {classes} scores, for the labels 0 to {classes - 1}. Count labels "
                         "from 0, and give the last layer one output for each class")
