"""Layers and losses in a compiled step do what they do eagerly, batch after batch."""
from __future__ import annotations

import copy

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn


def twins(model, loss):
    """A step of a model, eager and compiled, each with its own copy."""
    def stepped(model):
        def step(x, y):
            model.zero_grad()
            value = loss(model(x), y)
            value.backward()
            with cr.no_grad():
                for p in model.parameters():
                    p -= 0.1 * p.grad
            return value
        return step
    other = copy.deepcopy(model)
    return model, stepped(model), other, cr.compile(stepped(other))


@pytest.mark.parametrize("loss", [
    nn.CrossEntropyLoss(), nn.CrossEntropyLoss(weight=[0.5, 1.0, 2.0], label_smoothing=0.1),
    nn.CrossEntropyLoss(ignore_index=1), nn.CrossEntropyLoss(reduction="sum"),
], ids=repr)
def test_steps_agree(loss, rng):
    model, eager, twin, compiled = twins(nn.Sequential(
        nn.Linear(4, 5), nn.BatchNorm1d(5, momentum=None), nn.Tanh(), nn.Dropout(0.3), nn.Linear(5, 3)).double(), loss)
    for i in range(6):
        x = rng.normal(size=(8, 4))
        # the ignored class is missing at first, and is all there is in the end
        y = rng.choice([0, 2], 8) if i == 0 else np.ones(8, int) if i == 5 and loss.ignore_index == 1 \
            else rng.integers(0, 3, 8)
        cr.random.seed(i)
        expected = eager(x, y).item()
        cr.random.seed(i)
        np.testing.assert_allclose(compiled(x, y).item(), expected, rtol=1e-12)
        assert compiled.recordings == 1
        for name, value in model.state_dict().items():
            np.testing.assert_allclose(twin.state_dict()[name], value, rtol=1e-11, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("wrong", [3, -1, -99])
def test_classes_are_checked_at_every_replay(wrong, rng):
    _, _, model, compiled = twins(nn.Sequential(nn.Linear(4, 3)), nn.CrossEntropyLoss())
    x = rng.normal(size=(8, 4)).astype(np.float32)
    for _ in range(3):
        compiled(x, np.zeros(8, int))
    before, programs = copy.deepcopy(model.state_dict()), compiled.variants
    with pytest.raises(ValueError, match=rf"class {wrong} at \(7,\) is not one of 0 to 2"):
        compiled(x, np.array([0] * 7 + [wrong]))
    np.testing.assert_equal(model.state_dict(), before)
    assert compiled.variants is programs and not compiled.generally


@pytest.mark.parametrize("ignore_index", [-100, -1])
@pytest.mark.parametrize("settings", [{}, {"check": 3}, {"check": 1}], ids=repr)
@pytest.mark.parametrize("order", ["iccic", "ciccic", "cciici", "ccccicici", "ccccC", "iiiiI"])
def test_labels_to_ignore_may_turn_up_at_any_call(order, settings, ignore_index, rng):
    """i: a batch with labels to ignore; c: one without; large ones are of another size."""
    loss = nn.CrossEntropyLoss(ignore_index=ignore_index)
    model, eager, twin, compiled = twins(nn.Sequential(nn.Linear(4, 3)).double(), loss)
    compiled.check = settings.get("check", 0)
    for kind in order * 2:
        x = rng.normal(size=(8 if kind.islower() else 5, 4))
        y = rng.integers(0, 3, len(x))
        if kind in "iI":
            y[[1, 4]] = ignore_index
        np.testing.assert_allclose(compiled(x, y).item(), eager(x, y).item(), rtol=1e-12)
        for name, value in model.state_dict().items():
            np.testing.assert_allclose(twin.state_dict()[name], value, rtol=1e-11, atol=1e-13, err_msg=name)
    assert compiled.recordings == len(set(map(str.islower, order)))
