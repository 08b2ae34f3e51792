"""The table of a model: its figures by hand, and that nothing moves."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import gates as g
from chainrule import nn


def test_figures():
    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10))
    summary = model.summary(np.zeros((5, 64)))
    assert [(r.path, r.layer, r.output, r.parameters, r.multiply_adds) for r in summary.rows] == [
        ("", "Sequential", "(5, 10)", 0, 0),
        ("0", "Linear(64 → 32)", "(5, 32)", 64 * 32 + 32, 5 * 64 * 32),
        ("1", "BatchNorm1d(32)", "(5, 32)", 64, 0),
        ("2", "ReLU()", "(5, 32)", 0, 0),
        ("3", "Dropout(p=0.5)", "(5, 32)", 0, 0),
        ("4", "Linear(32 → 10)", "(5, 10)", 330, 5 * 320),
    ]
    assert summary.parameters == sum(p.size for p in model.parameters())
    assert summary.multiply_adds == 5 * (64 * 32 + 320)


def test_layers_of_the_users_own_are_counted():
    class Own(nn.Layer):
        def __init__(self):
            self.w = nn.Parameter(np.ones((3, 4), np.float32))
            self.inner = nn.Linear(4, 4, bias=False)

        def forward(self, x):                            # x: (2, 5, 3)
            y = x @ self.w                               # 2·5·4 results of 3 terms
            y = self.inner(y)                            # 2·5·4 of 4
            a = g.einsum("bij,bkj->bik", y, y)           # 2·5·5 of 4
            return g.einsum("b...", a).sum() + g.einsum("ij,j", np.ones((2, 3)), x[0, 0]).sum()   # 2 of 3

    rows = {r.path: r for r in Own().summary(np.ones((2, 5, 3))).rows}
    assert rows[""].multiply_adds == 120 + 200 + 6
    assert rows["inner"].multiply_adds == 160
    assert rows[""].parameters == 12


def test_a_layer_used_twice_counts_twice_and_its_parameters_once():
    layer = nn.Linear(3, 3)
    summary = nn.Sequential(layer, layer).summary(np.ones((2, 3)))
    assert summary.multiply_adds == 2 * 18
    assert summary.parameters == 12
    tied = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    tied[1].weight = tied[0].weight
    assert tied.summary(np.ones((2, 3))).parameters == 9


def test_a_layer_that_does_not_run_says_so():
    class Skips(nn.Layer):
        def __init__(self):
            self.used, self.spare = nn.ReLU(), nn.Linear(2, 2)

        def forward(self, x):
            return self.used(x), x

    rows = {r.path: r for r in Skips().summary(np.ones(2)).rows}
    assert rows["spare"].output == "not run"
    assert rows[""].output == "((2,), (2,))"


def test_nothing_moves(rng):
    class Restless(nn.Layer):                            # whatever it does in evaluation
        def __init__(self):
            self.register_buffer("count", np.zeros(2))

        def forward(self, x):
            self.count.assign(self.count + 1)
            return x + cr.random.normal(size=2)

    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5), Restless(), nn.Linear(2, 1))
    model[0].eval()
    x = rng.normal(size=(4, 2)).astype(np.float32)
    state = {name: array.copy() for name, array in model.state_dict().items()}
    streams = [repr(s) for s in (cr.random.init, cr.random.shuffle, cr.random.dropout, cr.random.user)]
    model.summary(x)
    assert [layer.training for layer in model.modules()] == [True, False, True, True, True]
    assert streams == [repr(s) for s in (cr.random.init, cr.random.shuffle, cr.random.dropout, cr.random.user)]
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    assert all(not layer._hooks and not layer._pre_hooks for layer in model.modules())
    assert all(p.grad is None for p in model.parameters())


def test_after_an_error_all_is_as_it_was():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 3))
    with pytest.raises(ValueError, match=r"model\.1 Linear\(3 → 3\)"):
        model.summary(np.ones((1, 2)))
    assert all(layer.training and not layer._hooks for layer in model.modules())
    assert not cr.mode.mode.inside
    assert cr.mode.mode.observer is None


def test_it_prints_aligned():
    lines = str(nn.Sequential(nn.Linear(2000, 3000), nn.Softmax()).summary(np.zeros((1, 2000)))).split("\n")
    assert lines[0].split() == ["layer", "output", "parameters", "multiply-adds"]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert lines[-1].split() == ["total", "6,003,000", "6,000,000"]
    assert repr(nn.ReLU().summary(np.zeros(1))) == str(nn.ReLU().summary(np.zeros(1)))
