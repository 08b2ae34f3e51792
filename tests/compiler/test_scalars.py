"""Arrays of one element at the end of a program: which are numbers, and that their values are those of arrays."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.compiler.numpy_executor.scalars import scalars
from chainrule.compiler.planning.plan import plan

X = np.array([0.25, -1.5, 3.0], np.float32)
STEPS = {
    "a mean": (lambda x: x.mean(), ["divide"]),
    "some losses together": (lambda x: (x.sum() + x.max() * 0.5 - 1) / 3, ["add", "divide", "multiply", "subtract"]),
    "several results": (lambda x: (-x.sum(), x.sum() / 2, {"all": x.mean()}), ["divide", "divide", "negative"]),
    "what an array is made of": (lambda x: x / (x.sum() * 2), []),
    "another function behind it": (lambda x: cr.exp(x.sum() / 9), []),
    "a power, which is rounded otherwise": (lambda x: (x.sum() * x.max()) ** 1.5, []),
    "whole numbers": (lambda x: x.argmax() + 1, []),
    "division by 0": (lambda x: x.sum() / (x.sum() - 1.75), ["divide", "subtract"]),
}


@pytest.mark.parametrize(("function", "names"), STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_they_have_the_value_and_the_dtype_of_arrays(function, names, dtype):
    step, x = cr.compile(function), X.astype(dtype)
    for k in range(4):
        with np.errstate(divide="ignore"):
            want, got = function(cr.Tensor(x + k % 2)), step(x + k % 2)
        if k > 1:
            each = [(got, want)] if isinstance(want, cr.Tensor) else zip(
                (*got[:2], got[2]["all"]), (*want[:2], want[2]["all"]), strict=True)
            for a, b in each:
                assert type(a) is cr.Tensor
                assert a.dtype == b.dtype and a.shape == b.shape
                assert a.numpy().tobytes() == b.numpy().tobytes()
    found = scalars(step.program, plan(step.program))
    assert sorted(a.gate.name for a in step.program.applications if a.result in found) == names
    said = step.program.report()
    assert ("no array is made of the result" in said) is bool(names)


def test_what_is_computed_after_a_cell_was_written_is_left_to_the_walk():
    w = cr.Tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)

    @cr.compile
    def step(x):
        optimizer.zero_grad()
        loss = (w * x).sum()
        loss.backward()
        optimizer.step()
        return w.detach().sum() / 2, loss / 3

    found = [step(np.array([2.0])) for _ in range(4)]
    assert [(a.item(), b.item()) for a, b in found] == [(0, 2 / 3), (-0.5, 0), (-1, -2 / 3), (-1.5, -4 / 3)]


def test_a_cell_that_a_mean_is_written_to_is_given_an_array():
    class Average(nn.Layer):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", np.zeros(()))

        def forward(self, x):
            self.mean.assign(self.mean * 0.5 + x.mean() * 0.5)
            return x - self.mean

    layer, other = Average(), Average()
    step = cr.compile(lambda x: layer(x))
    for k in range(5):
        x = np.array([1.0, 2.0, 6.0]) * (k + 1)
        np.testing.assert_array_equal(step(x).numpy(), other(cr.Tensor(x)).numpy())
        np.testing.assert_array_equal(layer.mean.numpy(), other.mean.numpy())
    assert not scalars(step.program, plan(step.program))
