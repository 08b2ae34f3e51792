"""Gates of one step that do the same with two arrays: which are run as one, and that nobody notices."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compiler.programs import training_step

import chainrule as cr
from chainrule import nn, optim
from chainrule.compiler.planning.plan import plan
from chainrule.compiler.planning.twins import apart
from chainrule.compiler.program import Fused


def twins(step):
    """The names of the gates of each pair that is run as one, and ends in no cell."""
    program = apart(step.program)
    groups = dict.fromkeys(plan(program).groups.values())
    return [[a.gate.name for a in group.applications] for group in groups if not group.homes]


def compiled(function, *arguments):
    step = cr.compile(function)
    for _ in range(3):
        step(*arguments)
    return step


X = np.linspace(0.1, 0.9, 10).reshape(5, 2)


@pytest.mark.parametrize(("function", "found"), [
    (lambda x: cr.log(x * 2) + cr.log(1 - x), [["log"]]),
    (lambda x: cr.maximum(cr.log(x * 2), -1) * cr.maximum(cr.log(1 - x), -1), [["log", "maximum"]]),
    (lambda x: cr.maximum(cr.log(x * 2), -1) * cr.maximum(cr.log(1 - x), -2), [["log"]]),
    (lambda x: cr.exp(cr.sin(x * 2)) + cr.sin(x * 3) * cr.exp(x * 4), [["sin"]]),      # sin(2 x) lies with sin(3 x)
    (lambda x: cr.sin(x * 2) + cr.sin(x * 3) * cr.exp(x * 4) * cr.exp(x * 5), [["sin"], ["exp"]]),
    (lambda x: cr.sin(cr.sin(cr.sin(x * 2))), []),                       # each takes what the other makes
    (lambda x: cr.exp(x * 2) + cr.exp(cr.sin(cr.exp(x * 2)) * 3), []),   # the same, by a detour
    (lambda x: cr.exp(x) + cr.exp(x * 2), []),                           # an argument stays where it is
    (lambda x: cr.exp(x * 2) + cr.exp(cr.sum(x * 2, axis=0)), []),       # of another shape
    (lambda x: cr.exp(x * 2) + cr.sin(x * 3), []),
], ids=lambda x: "" if callable(x) else " ".join(map("-".join, x)) or "none")
def test_which_they_are(function, found):
    step = compiled(function, X)
    assert sorted(twins(step)) == sorted(found)
    np.testing.assert_array_equal(step(X + 0.05).numpy(), function(cr.Tensor(X + 0.05)).numpy())
    assert ("once for 2 arrays" in step.program.report()) is bool(found)


def test_zero_is_not_minus_zero():
    with np.errstate(divide="ignore"):
        step = compiled(lambda x: cr.minimum(1 / ((x * 2) * 0.0), 7) + cr.maximum(1 / ((x * 3) * -0.0), -5), X)
    np.testing.assert_array_equal(step(X).numpy(), np.full_like(X, 2.0))


def test_the_two_logarithms_of_binary_cross_entropy():
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x = np.linspace(-1, 1, 80, dtype=np.float32).reshape(40, 2)
    step = compiled(training_step(model, nn.BCELoss(), optimizer), x, (x[:, :1] > 0).astype(np.float32))
    assert twins(step) == [["log", "maximum"]]


def test_large_arrays_are_left_alone():
    step = compiled(lambda x: cr.log(x * 2) + cr.log(x + 1), np.ones((300, 300)))
    assert not twins(step)


def test_every_gate_is_there_once_and_after_what_it_takes():
    step = compiled(lambda x: cr.exp(cr.sin(x * 2)) + cr.exp(cr.sin(x * 3)) * cr.exp(cr.cos(x * 5)) + cr.cos(x * 7), X)
    program = apart(step.program)
    known = {*program.arguments, *(x for x, _ in program.constants), *(x for _, x in program.reads)}
    for a in program.applications:
        assert {x for x in a.inputs if hasattr(x, "number")} <= known
        known.add(a.result)
    assert sorted(map(id, program.applications)) == sorted(map(id, step.program.applications))
    assert all(len(part.applications) > 1 for part in program.steps if isinstance(part, Fused))


UNARY = [cr.exp, cr.sin, cr.cos, cr.tanh, cr.negative, lambda x: x * 0.5, lambda x: cr.maximum(x, -0.25), cr.abs]
BINARY = [cr.add, cr.subtract, cr.multiply]


@settings(max_examples=200)
@given(choices=st.lists(st.tuples(st.integers(0, len(UNARY) + len(BINARY) - 1), st.integers(0, 20),
                                  st.integers(0, 20)), min_size=4, max_size=24),
       returned=st.lists(st.integers(0, 30), min_size=1, max_size=3), large=st.booleans())
def test_random_elementwise_programs_are_the_same_to_the_last_bit(choices, returned, large):
    def function(x, y):
        values = [x * 1.5, y * 0.75]
        for gate, i, j in choices:
            a, b = values[-1 - i % len(values)], values[-1 - j % len(values)]
            values.append(UNARY[gate](a) if gate < len(UNARY) else BINARY[gate - len(UNARY)](a, b))
        return [values[-1 - i % len(values)] for i in returned]

    step, rng = cr.compile(function), np.random.default_rng(0)
    with np.errstate(all="ignore"):
        for _ in range(4):
            x, y = rng.normal(size=(2, 40 if large else 3, 3))
            for got, want in zip(step(x, y), function(cr.Tensor(x), cr.Tensor(y)), strict=True):
                assert got.numpy().tobytes() == want.numpy().tobytes()
