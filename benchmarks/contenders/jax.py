"""JAX: one jitted function of the state and the batch, as its documentation writes a training step."""
from __future__ import annotations

import math
from typing import Any

from ..workloads import Workload
from .contender import Made, arrays

__all__ = ["jit"]


def jit(workload: Workload) -> Made:
    """Loss, gradient and update in one function; the old state is given away, so that its memory is used again."""
    import jax
    from jax import nn
    from jax import numpy as jnp

    activations = {"relu": nn.relu, "sigmoid": nn.sigmoid, "": lambda z: z}

    def cross_entropy(z: Any, y: Any) -> Any:
        return -jnp.take_along_axis(nn.log_softmax(z), y[:, None], axis=1).mean()

    def squared_error(z: Any, y: Any) -> Any:
        return jnp.square(z - y).sum()

    def binary_cross_entropy(p: Any, y: Any) -> Any:
        return -(y * jnp.log(p) + (1 - y) * jnp.log(1 - p)).mean()

    loss_function = {"cross entropy": cross_entropy, "squared error": squared_error,
                     "binary cross entropy": binary_cross_entropy}[workload.loss]

    def forward(parameters: Any, x: Any, y: Any) -> Any:
        for (w, b), activation in zip(parameters, workload.activations, strict=True):
            x = activations[activation](x @ w if b is None else x @ w + b)
        return loss_function(x, y)

    def sgd(state: Any, x: Any, y: Any) -> Any:
        parameters, = state
        loss, gradient = jax.value_and_grad(forward)(parameters, x, y)
        return (jax.tree.map(lambda p, g: p - workload.lr * g, parameters, gradient),), loss

    def adam(state: Any, x: Any, y: Any) -> Any:
        parameters, mean, square, steps = state
        loss, gradient = jax.value_and_grad(forward)(parameters, x, y)
        steps += 1
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, gradient)
        # 1 - 0.999**steps, but in float32 the difference of two numbers near 1 loses the digits that the losses need.
        first, second = (-jnp.expm1(steps * math.log(beta)) for beta in (0.9, 0.999))
        rate, scale = workload.lr / first, jnp.sqrt(second)
        parameters = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / scale + 1e-8), parameters, mean, square)
        return (parameters, mean, square, steps), loss

    parameters = [(jnp.asarray(w.T), None if b is None else jnp.asarray(b)) for w, b in workload.weights()]
    state: Any = (parameters,)
    if workload.optimizer == "Adam":
        state = (parameters, jax.tree.map(jnp.zeros_like, parameters), jax.tree.map(jnp.zeros_like, parameters),
                 jnp.float32(0))
    train = jax.jit({"SGD": sgd, "Adam": adam}[workload.optimizer], donate_argnums=0)

    def step(x: Any, y: Any) -> Any:
        nonlocal state
        state, loss = train(state, x, y)
        return loss.block_until_ready()

    x, y = map(jnp.asarray, workload.data())
    return Made(step, x, y, lambda: arrays(state[0]))
