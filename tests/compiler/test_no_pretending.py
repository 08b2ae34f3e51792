"""A compiled step is run by its program and nothing else: with all else poisoned it goes on, and is right."""
from __future__ import annotations

import numpy as np
import pytest
from tests.compiler.distance import far
from tests.compiler.whole_steps import STEPS

import chainrule as cr
from chainrule import nn, optim, reverse
from chainrule.compiler import Compiled
from chainrule.gate import Gate
from chainrule.mode import mode

MORE = 100
every_step = pytest.mark.parametrize("name", STEPS)


def poison(*_, **__):
    raise AssertionError("a compiled step has applied a gate, or has run the step itself")


def operators():
    """The operators of tensors. They are closures around `Gate.result`, made when the class was."""
    return [name for name, method in vars(cr.Tensor).items()
            if getattr(method, "__qualname__", "").startswith("Gate.operator.<locals>")]


def poisoned(patch):
    """Let everything raise that eager code and a recording go through."""
    for name in ("__call__", "result"):
        patch.setattr(Gate, name, poison)
    for name in [*operators(), "update", "assign", "backward"]:
        patch.setattr(cr.Tensor, name, poison)
    patch.setattr(reverse, "pullback", poison)
    patch.setattr(nn.Layer, "__call__", poison)
    patch.setattr(optim.Optimizer, "step", poison)
    patch.setattr(optim.ExponentialMovingAverage, "update", poison)
    for name in ("record", "_eagerly"):
        patch.setattr(Compiled, name, poison)


@every_step
def test_a_hundred_steps_without_a_gate(name, monkeypatch):
    eager, training = STEPS[name](False), STEPS[name](True)
    calls = 2 if training.accumulate == 1 else 12      # with gradients to go on from and without, each twice
    losses = [eager.turn(t).item() for t in range(calls + MORE)]
    expected = eager.state()
    cr.random.seed(3)
    for t in range(calls):
        training.turn(t)
    with monkeypatch.context() as patch:
        poisoned(patch)
        found = [training.turn(t).item() for t in range(calls, calls + MORE)]
    np.testing.assert_allclose(found, losses[calls:], rtol=1e-9)
    state = training.state()
    assert state.keys() == expected.keys()
    for what, x in state.items():
        assert far(x, expected[what]) <= 1e-9, what


def test_inference_without_a_gate(monkeypatch):
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.BatchNorm1d(5), nn.Linear(5, 3), nn.Softmax()).eval()
    x = [np.random.default_rng(t).normal(size=(4, 6)).astype(np.float32) for t in range(MORE + 2)]
    expected = [model(a).numpy() for a in x]
    compiled = cr.compile(model)
    found = [compiled(a) for a in x[:2]]
    with monkeypatch.context() as patch:
        poisoned(patch)
        found += [compiled(a) for a in x[2:]]
    for ours, theirs in zip(found, expected, strict=True):
        assert far(ours.numpy(), theirs) <= 1e-5


# ------------------------------------------------------------------ the poison works
def test_every_operator_is_poisoned(monkeypatch):
    assert {"__add__", "__radd__", "__sub__", "__mul__", "__truediv__", "__pow__", "__matmul__", "__gt__",
            "__eq__"} <= set(operators())
    t = cr.Tensor([1.0])
    w = cr.Tensor([1.0], requires_grad=True)
    loss = (w * w).sum()
    step = cr.compile(lambda x: x + 1)
    with monkeypatch.context() as patch:
        poisoned(patch)
        for use in (lambda: t + 1, lambda: 2 - t, lambda: t @ t, lambda: t > 0, lambda: -t, lambda: cr.exp(t),
                    lambda: t.sum(), lambda: np.sin(t), lambda: t.__iadd__(1), lambda: t[0], loss.backward,
                    lambda: step(np.ones(1)), lambda: nn.Tanh()(t)):
            with pytest.raises(AssertionError, match="has applied a gate"):
                use()
    assert (t + 1).item() == 2


def test_the_first_two_calls_are_no_program(monkeypatch):
    """What the tests above call the second call is the second: one earlier the poison is found."""
    for earlier in (0, 1):
        training = STEPS["SGD"](True)
        for t in range(earlier):
            training.turn(t)
        with monkeypatch.context() as patch:
            poisoned(patch)
            with pytest.raises(AssertionError, match="has applied a gate"):
                training.turn(earlier)
    assert mode.observer is None
    assert not mode.symbolic
