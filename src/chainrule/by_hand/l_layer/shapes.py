"""What arrays of a network in columns must look like, and what to do about those that do not."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_array

__all__ = ["Array", "columns", "depth", "known_gradients", "like", "matching"]

Array = NDArray[Any]


def columns(what: str, name: str, x: Any) -> Array:
    """Return samples in columns as an array; `name` is what the caller of `what` calls them."""
    array: Array = as_array(x)
    if array.ndim != 2 or not array.shape[1]:
        remedy = f"; a single sample is a column, {name}.reshape(-1, 1)" if array.ndim == 1 else ""
        raise ValueError(f"{what}: {name} has shape {array.shape}, expected (features, samples), with at least one "
                         f"sample, a column each{remedy}")
    return array


def matching(what: str, A: Any, W: Any, b: Any, names: tuple[str, str, str] = ("A", "W", "b")
             ) -> tuple[Array, Array, Array]:
    """Return samples, weights and biases of one layer as arrays that fit."""
    A, W, b = columns(what, names[0], A), as_array(W), as_array(b)
    if W.ndim != 2:
        raise ValueError(f"{what}: {names[1]} has shape {W.shape}, expected (outputs, inputs)")
    if W.shape[1] != A.shape[0]:
        remedy = ""
        if W.shape[1] == A.shape[1]:
            remedy = f"; are the samples in rows? They are columns here: pass {names[0]}.T"
        elif W.shape[0] == A.shape[0]:
            remedy = f"; is it (inputs, outputs)? Here it is (outputs, inputs): pass {names[1]}.T"
        raise ValueError(f"{what}: {names[1]} has shape {W.shape} and {names[0]} {A.shape}: expected as many columns "
                         f"of {names[1]} as rows of {names[0]}{remedy}")
    if b.shape != (W.shape[0], 1):
        remedy = f"; pass {names[2]}.reshape(-1, 1)" if b.size == W.shape[0] else ""
        raise ValueError(f"{what}: {names[2]} has shape {b.shape}, expected ({W.shape[0]}, 1), a column with one "
                         f"number for each row of {names[1]}{remedy}")
    if A.dtype.kind != "f" and W.dtype.kind != "f":
        A = A.astype(np.float64)                 # of whole numbers: Z takes up b, which need not be one
    return A, W, b


def like(what: str, name: str, x: Any, other: str, shape: tuple[int, ...]) -> Array:
    """Return an array that must have the shape of another: nothing is broadcast."""
    array: Array = as_array(x)
    if array.shape != shape:
        remedy = ""
        if array.shape == shape[::-1]:
            remedy = f"; samples are columns here: pass {name}.T"
        elif array.size == np.prod(shape):
            remedy = f"; pass {name}.reshape({', '.join(map(str, shape))})"
        raise ValueError(f"{what}: {name} has shape {array.shape} and {other} {shape}: expected the same{remedy}")
    return array


def depth(what: str, parameters: Mapping[str, Any]) -> int:
    """Count the layers of a network whose parameters are W1, b1, W2, b2 and so on, and nothing else."""
    layers = len(parameters) // 2
    expected = [f"{kind}{n}" for n in range(1, layers + 1) for kind in "Wb"]
    if not layers or set(expected) != set(parameters):
        raise ValueError(f"{what}: the parameters are {', '.join(map(str, parameters)) or 'none'}; expected a W and a "
                         "b for each layer, counted from 1: W1, b1, W2, b2, …")
    return layers


def known_gradients(what: str, gradients: Mapping[str, Any], layers: int | None = None) -> int:
    """Count the layers that have gradients dW and db; all of `layers` must."""
    if layers is None:
        layers = sum(name.startswith("dW") for name in gradients)
    missing = [name for n in range(1, layers + 1) for name in (f"dW{n}", f"db{n}") if name not in gradients]
    if missing or not layers:
        raise ValueError(f"{what}: the gradients lack {', '.join(missing) or 'dW1 and db1'}; there are "
                         f"{', '.join(map(str, gradients)) or 'none'}; pass what L_model_backward returned")
    return layers
