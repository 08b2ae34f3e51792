"""NumPy by hand as a flat plan: what a compiled step that calls NumPy's functions is measured against.

The arithmetic and the state are everybody's: parameters, gradients and moments exist as such. Everything else is chosen
by hand for speed. All memory is laid out before the first step, and nothing is allocated later but the loss. Every call
is bound to its arrays, so that a step is a walk along a list. Parameters lie in one array, as their gradients do, so
that an update is a few calls whatever the number of layers. A matrix with short rows lies down its columns instead,
since NumPy's loops are fast along long stretches of memory.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..workloads import Workload
from .contender import Made, arrays

__all__ = ["plan"]

F = np.float32
ZERO, ONE = F(0), F(1)
LONG = 32                #: units a row must have to lie along the memory
BLOCK = 1 << 16          #: numbers that Adam works on at a time

Array = NDArray[np.float32]
Call = Callable[[], object]
Loss = Callable[[Any], Any]


@dataclass
class Layer:
    """An affine layer: its parameters, their gradients, its result `h`, the gradient `d` by that, and a `spare` one."""

    w: Array
    dw: Array
    b: Array | None
    db: Array | None
    h: Array
    d: Array
    spare: Array


# ------------------------------------------------------------------ memory
def matrix(rows: int, columns: int) -> Array:
    """Make a matrix in the order of memory that has the longer stretches."""
    return np.empty((rows, columns), F) if columns >= LONG else np.empty((columns, rows), F).T


def flattened(x: Array) -> Array:
    """View a matrix in the order of its memory."""
    return x.reshape(-1, order="A")


def layers_of(workload: Workload) -> tuple[list[Layer], Array, Array]:
    """Lay out the layers, in one array of parameters and one of gradients; return these too."""
    given = workload.weights()
    size = sum(p.size for pair in given for p in pair if p is not None)
    parameters, gradients = np.empty(size, F), np.empty(size, F)
    layers, at = [], 0

    def place(values: Any) -> tuple[Array, Array] | tuple[None, None]:
        nonlocal at
        if values is None:
            return None, None
        p, g = (x[at:at + values.size].reshape(values.shape) for x in (parameters, gradients))
        p[...] = values
        at += values.size
        return p, g

    for w, b in given:
        layers.append(Layer(*place(w.T), *place(b), *(matrix(workload.batch, len(w)) for _ in range(3))))
    return layers, parameters, gradients


# ------------------------------------------------------------------ calls
def product(a: Array, b: Array, out: Array) -> Call:
    """Bind ``out = a @ b``; what lies down its columns is written as its transpose."""
    return partial(np.dot, a, b, out) if out.flags.c_contiguous else partial(np.dot, b.T, a.T, out.T)


def activation(name: str, h: Array) -> list[Call]:
    """Bind an activation in place."""
    if name == "relu":
        return [partial(np.maximum, h, ZERO, out=h)]
    return [partial(np.negative, h, h), partial(np.exp, h, h), partial(np.add, h, ONE, h), partial(np.reciprocal, h, h)]


def derivative(name: str, h: Array, d: Array, spare: Array) -> list[Call]:
    """Bind the way back through an activation, whose result is `h`, in place on `d`."""
    if name == "relu":
        return [partial(np.sign, h, spare), partial(np.multiply, d, spare, d)]
    return [partial(np.multiply, d, h, d), partial(np.subtract, ONE, h, spare), partial(np.multiply, d, spare, d)]


# ------------------------------------------------------------------ losses: ``y -> loss``, with the gradient left in d
def cross_entropy(z: Array, d: Array) -> Loss:
    """The mean over the rows of log Σ exp z - z[y]; d = (softmax z - one-hot y) / rows."""
    n, classes = z.shape
    down, along = (stride // z.itemsize for stride in z.strides)
    top, total, logarithm, picked = np.empty((n, 1), F), np.empty(n, F), np.empty(n, F), np.empty(n, F)
    rows, places, share, ones = np.arange(n) * down, np.empty(n, np.intp), F(1 / n), np.ones(n, F)
    take, take_back, put = flattened(z).take, flattened(d).take, flattened(d).put
    multiply, add, subtract, dot = np.multiply, np.add, np.subtract, np.dot
    before = [partial(np.maximum.reduce, z, 1, None, top, True), partial(subtract, z, top, z), partial(np.exp, z, d),
              partial(dot, d, np.ones(classes, F), total), partial(np.log, total, logarithm),
              partial(multiply, total, F(n), total), partial(np.divide, d, total[:, None], d)]

    def loss(y: Any) -> Any:
        for call in before:
            call()
        multiply(y, along, places)
        add(places, rows, places)
        take(places, None, picked, "clip")             # a mode in which nothing is copied first
        subtract(logarithm, picked, logarithm)
        take_back(places, None, picked, "clip")
        subtract(picked, share, picked)
        put(places, picked, "clip")
        return dot(logarithm, ones) * share

    return loss


def squared_error(z: Array, d: Array) -> Loss:
    """The sum of (z - y)²; d = 2 (z - y)."""
    memory, subtract, add, dot = flattened(d), np.subtract, np.add, np.dot

    def loss(y: Any) -> Any:
        subtract(z, y, d)
        value = dot(memory, memory)
        add(memory, memory, memory)
        return value

    return loss


def binary_cross_entropy(z: Array, d: Array) -> Loss:
    """The mean of log(1 + exp(-z)) + (1 - y) z, where p = sigmoid z; d = (p - y) / count."""
    z, d = flattened(z), flattened(d)
    share, ones, logarithm = F(1 / z.size), np.ones(z.size, F), np.empty_like(z)
    multiply, add, subtract, dot = np.multiply, np.add, np.subtract, np.dot
    before = [partial(np.negative, z, d), partial(np.exp, d, d), partial(add, d, ONE, d), partial(np.log, d, logarithm),
              partial(np.reciprocal, d, d), partial(add, logarithm, z, logarithm)]

    def loss(y: Any) -> Any:
        for call in before:
            call()
        y = y.reshape(-1)
        subtract(d, y, d)
        multiply(d, share, d)
        return (dot(logarithm, ones) - dot(y, z)) * share

    return loss


# ------------------------------------------------------------------ updates
def sgd(p: Array, g: Array, lr: float) -> Call:
    """Bind ``p -= lr * g``."""
    rate, multiply, subtract = F(lr), np.multiply, np.subtract

    def update() -> None:
        multiply(g, rate, g)
        subtract(p, g, p)

    return update


def adam(p: Array, g: Array, lr: float) -> Call:
    """Bind Adam's update, in blocks; both corrections are in its two scalars."""
    mean, square, spare, steps = np.zeros_like(p), np.zeros_like(p), np.empty(BLOCK, F), 0
    blocks = [(*(x[i:i + BLOCK] for x in (p, g, mean, square)), spare[:min(BLOCK, p.size - i)])
              for i in range(0, p.size, BLOCK)]
    multiply, add, subtract, divide, sqrt = np.multiply, np.add, np.subtract, np.divide, np.sqrt
    b1, c1, b2, c2 = F(0.9), F(0.1), F(0.999), F(0.001)

    def update() -> None:
        nonlocal steps
        steps += 1
        scale = (1 - 0.999**steps) ** 0.5
        rate, epsilon = F(lr * scale / (1 - 0.9**steps)), F(1e-8 * scale)
        for p, g, m, v, t in blocks:
            multiply(m, b1, m)
            multiply(g, c1, t)
            add(m, t, m)
            multiply(v, b2, v)
            multiply(g, g, g)
            multiply(g, c2, g)
            add(v, g, v)
            sqrt(v, t)
            add(t, epsilon, t)
            divide(m, t, t)
            multiply(t, rate, t)
            subtract(p, t, p)

    return update


# ------------------------------------------------------------------ the plan
LOSSES = {"cross entropy": cross_entropy, "squared error": squared_error, "binary cross entropy": binary_cross_entropy}
UPDATES = {"SGD": sgd, "Adam": adam}


def plan(workload: Workload) -> Made:
    """Lay out memory, bind the calls, and return the walk along them."""
    layers, parameters, gradients = layers_of(workload)
    first, *others = layers
    ones, dot = np.ones(workload.batch, F), np.dot
    forward: list[Call] = []
    backward: list[Call] = []
    for i, layer in enumerate(layers):
        if i:
            forward.append(product(layers[i - 1].h, layer.w, layer.h))
        if layer.b is not None:
            forward.append(partial(np.add, layer.h, layer.b, layer.h))
        if layer is not layers[-1]:                    # the last one's activation is in the loss
            forward += activation(workload.activations[i], layer.h)
    for layer, below, name in zip(others[::-1], layers[-2::-1], workload.activations[-2::-1], strict=True):
        backward.append(product(below.h.T, layer.d, layer.dw))
        if layer.db is not None:
            backward.append(partial(dot, ones, layer.d, layer.db))
        backward.append(product(layer.d, layer.w.T, below.d))
        backward += derivative(name, below.h, below.d, below.spare)
    if first.db is not None:
        backward.append(partial(dot, ones, first.d, first.db))
    loss_of = LOSSES[workload.loss](layers[-1].h, layers[-1].d)
    update = UPDATES[workload.optimizer](parameters, gradients, workload.lr)
    w, dw, h, d, along = first.w, first.dw, first.h, first.d, first.h.flags.c_contiguous

    def step(x: Any, y: Any) -> Any:
        if along:
            dot(x, w, h)
        else:
            dot(w.T, x.T, h.T)
        for call in forward:
            call()
        loss = loss_of(y)
        for call in backward:
            call()
        dot(x.T, d, dw)
        update()
        return loss

    return Made(step, *workload.data(), lambda: arrays([(layer.w, layer.b) for layer in layers]))
