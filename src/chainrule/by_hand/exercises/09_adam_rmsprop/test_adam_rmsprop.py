"""Tests of adam_rmsprop.py: python -m pytest test_adam_rmsprop.py"""
import numpy as np
import pytest
from adam_rmsprop import Adam, RMSprop

import chainrule as cr
from chainrule import optim

SETTINGS = [
    (RMSprop, {}, optim.RMSprop, {}),
    (RMSprop, {"lr": 0.1, "alpha": 0.5, "eps": 0.1}, optim.RMSprop, {"lr": 0.1, "alpha": 0.5, "eps": 0.1}),
    (Adam, {}, optim.Adam, {}),
    (Adam, {"lr": 0.1, "beta1": 0.5, "beta2": 0.9, "eps": 0.1}, optim.Adam,
     {"lr": 0.1, "betas": (0.5, 0.9), "eps": 0.1}),
]
ALL = pytest.mark.parametrize(("own", "options", "library", "its"), SETTINGS,
                              ids=["RMSprop", "RMSprop, other settings", "Adam", "Adam, other settings"])
BOTH = pytest.mark.parametrize("optimizer", [RMSprop, Adam])


def start():
    return {"W": np.array([[-1.5, 2.0], [0.5, 0.0]]), "b": np.array([0.3, -40.0])}


def valley(W, b):
    """A bent valley: steep across, flat along."""
    return (1 - W[0, 0]) ** 2 + 100 * (W[0, 1] - W[0, 0] ** 2) ** 2 + (W[1] * b).sum() + (b ** 2).sum() / 50


def slopes(params):
    return dict(zip(params, cr.grad(valley, argnums=(0, 1))(*params.values()), strict=True))


@ALL
def test_the_path_is_that_of_the_library(own, options, library, its):
    """Sixty steps, each with the gradient at its own point."""
    mine, optimizer = start(), own(**options)
    theirs = {name: cr.Tensor(array, requires_grad=True) for name, array in start().items()}
    reference = library(theirs.values(), **its)
    for step in range(60):
        optimizer.update(mine, slopes(mine))
        reference.zero_grad()
        valley(*theirs.values()).backward()
        reference.step()
        for name, tensor in theirs.items():
            np.testing.assert_allclose(mine[name], tensor.numpy(), rtol=1e-9, atol=1e-12, err_msg=f"{name}, {step=}")


@BOTH
def test_the_arrays_are_changed_in_place(optimizer):
    params = start()
    W = params["W"]
    optimizer().update(params, slopes(params))
    assert params["W"] is W
    assert not np.array_equal(W, start()["W"])


@BOTH
def test_the_gradients_are_not_changed(optimizer):
    params = start()
    grads = slopes(params)
    before = {name: g.copy() for name, g in grads.items()}
    own = optimizer()
    own.update(params, grads)
    own.update(params, grads)
    for name, g in before.items():
        np.testing.assert_array_equal(grads[name], g)


@BOTH
def test_no_gradient_no_step(optimizer):
    params = start()
    optimizer().update(params, {name: np.zeros_like(p) for name, p in params.items()})
    for name, p in start().items():
        np.testing.assert_array_equal(params[name], p)


@BOTH
def test_two_optimizers_do_not_share_a_memory(optimizer):
    one, other = start(), start()
    first, second = optimizer(), optimizer()
    first.update(one, slopes(one))
    first.update(one, slopes(one))
    second.update(other, slopes(other))
    second.update(other, slopes(other))
    for name, p in one.items():
        np.testing.assert_array_equal(other[name], p)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_the_first_step_of_adam_is_lr_whatever_the_gradient(size):
    params = {"w": np.array([5.0, 5.0])}
    Adam(lr=0.1).update(params, {"w": np.array([size, -size])})
    np.testing.assert_allclose(params["w"], [4.9, 5.1], rtol=1e-6)
