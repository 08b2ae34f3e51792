"""Each pass: what it leaves out, what it must not, and that programs compute the same to the last bit."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compiler.programs import recorded

import chainrule as cr
from chainrule import nn, optim
from chainrule.compiler.numpy_executor import flat
from chainrule.compiler.passes import PASSES, algebra, common, constants, dead, improved


def gates(program):
    return [a.gate.name for a in program.applications]


X = np.array([[1.5, -0.0], [0.25, 3.0]])


# ------------------------------------------------------------------ dead code
def test_what_nothing_needs_is_left_out():
    program = recorded(lambda x: (cr.exp(x), cr.tanh(x), x * 2)[2], X)
    assert gates(program) == ["exp", "tanh", "multiply"]
    assert gates(dead(program)) == ["multiply"]


def test_what_a_cell_needs_stays():
    w = cr.Tensor([1.0], requires_grad=True)

    def step(x):
        w.grad = None
        (w * x).sum().backward()
        return x

    assert "multiply" in gates(dead(recorded(step, np.ones(1))))


def test_a_users_own_code_is_never_dead():
    class Counting(nn.Layer):
        calls = 0

        def forward(self, x):
            Counting.calls += 1
            return x * 2

        def backward(self, dout):
            return dout * 2

    layer = Counting()
    step = cr.compile(lambda x: (layer(x), x + 1)[1])
    for _ in range(3):
        step(X)
    assert Counting.calls == 3


# ------------------------------------------------------------------ common subexpressions
def test_equal_steps_are_made_once():
    program = recorded(lambda x: cr.exp(x) * cr.exp(x) + cr.sum(x, axis=0) * cr.sum(x, axis=0), X)
    assert gates(common(program)) == ["exp", "multiply", "sum", "multiply", "add"]


@pytest.mark.parametrize("function", [
    lambda x: cr.sum(x, axis=0) * cr.sum(x, axis=1), lambda x: (x * 0.0) + (x * -0.0), lambda x: x[0] * x[1],
    lambda x: (x ** 2) + (x ** 2.0), lambda x: cr.subtract(x, 1.0) + cr.subtract(1.0, x)])
def test_steps_that_differ_stay_apart(function):
    program = recorded(function, X)
    assert gates(common(program)) == gates(program)


def test_two_draws_are_two_draws():
    program = recorded(lambda x: cr.random.uniform(size=2) - cr.random.uniform(size=2), X)
    assert gates(improved(program)).count("philox_uniform") == 2


# ------------------------------------------------------------------ constants
def test_what_is_always_the_same_is_computed_once():
    program = recorded(lambda x: x + cr.exp(cr.Tensor(np.zeros(2))) * 2.0, X)
    better = constants(program)
    assert gates(better) == ["add"]
    np.testing.assert_array_equal(flat(dead(better))([X]).numpy(), X + 2)


def test_large_results_are_not_kept():
    program = recorded(lambda x: x + cr.broadcast_to(cr.Tensor(np.zeros(1)), shape=(400, 400)), np.ones(400))
    assert gates(constants(program)) == gates(program)


# ------------------------------------------------------------------ algebra
@pytest.mark.parametrize("function", [
    lambda x: x * 1, lambda x: 1.0 * x, lambda x: x / 1, lambda x: x ** 1, lambda x: cr.negative(cr.negative(x)),
    lambda x: cr.reshape(x, x.shape), lambda x: x.astype(np.float64), lambda x: cr.broadcast_to(x, (2, 2)),
    lambda x: cr.sum_to(x, (2, 2)), lambda x: cr.negative(cr.negative(x * 1))])
def test_what_gives_back_its_argument_is_left_out(function):
    program = recorded(lambda x: cr.exp(function(x)), X)
    assert gates(dead(algebra(program))) == ["exp"]
    np.testing.assert_array_equal(flat(dead(algebra(program)))([X]).numpy(), np.exp(X))


@pytest.mark.parametrize("function", [
    lambda x: x + 0, lambda x: x * 0, lambda x: 1 - x, lambda x: x * np.ones((2, 2, 2)), lambda x: x - 0,
    lambda x: x.astype(np.float32), lambda x: cr.reshape(x, (4,)), lambda x: x * 1.5])
def test_what_changes_its_argument_stays(function):
    """Also x + 0, which makes 0 of -0."""
    program = recorded(function, X)
    assert gates(algebra(program)) == gates(program)


# ------------------------------------------------------------------ what is run of it
def test_what_is_returned_is_new_each_time():
    step = cr.compile(lambda x: (cr.exp(x), cr.reshape(cr.tanh(x), (4,)), cr.tanh(x)[0]))
    for _ in range(2):
        step(X)
    kept = step(X)
    first = [np.array(t.numpy()) for t in kept]
    step(X + 1)
    for before, now in zip(first, kept, strict=True):
        np.testing.assert_array_equal(before, now.numpy())


def test_the_memory_of_a_view_is_not_given_away():
    def function(x):
        a = cr.exp(x)
        b = cr.reshape(a, (4,))
        c = cr.sin(x)
        d = cr.cos(c)
        return cr.sum(b * 2) + cr.sum(d)

    step = cr.compile(function, keep_grads=True)
    for x in (X, X + 1, X - 2, X * 2):
        assert step(x).item() == pytest.approx(2 * np.exp(x).sum() + np.cos(np.sin(x)).sum(), rel=1e-15)


# ------------------------------------------------------------------ random programs
UNARY = [cr.exp, cr.tanh, cr.sin, cr.negative, cr.square, lambda x: x * 1.0, lambda x: x * 0.5,
         lambda x: cr.swapaxes(cr.swapaxes(x, 0, 1), 0, 1), lambda x: cr.reshape(cr.reshape(x, (6,)), (2, 3)),
         lambda x: cr.broadcast_to(cr.sum(x, axis=0), (2, 3)), lambda x: cr.concatenate([x[1:], x[:1]]), cr.relu,
         lambda x: x - cr.max(x, axis=1, keepdims=True)]
BINARY = [cr.add, cr.subtract, cr.multiply, cr.maximum]


@settings(max_examples=150)
@given(choices=st.lists(st.tuples(st.integers(0, len(UNARY) + len(BINARY) - 1), st.integers(0, 30),
                                  st.integers(0, 30)), min_size=1, max_size=14),
       returned=st.lists(st.integers(0, 30), min_size=1, max_size=3))
def test_random_programs_compute_the_same_to_the_last_bit(choices, returned):
    """Chains, diamonds, views, broadcasts and reductions, against the very calls made one by one."""
    def function(x):
        values = [x]
        for gate, i, j in choices:
            a, b = values[i % len(values)], values[j % len(values)]
            values.append(UNARY[gate](a) if gate < len(UNARY) else BINARY[gate - len(UNARY)](a, b))
        return [values[i % len(values)] for i in returned]

    step = cr.compile(function, keep_grads=True)
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        for _ in range(3):
            x = rng.normal(size=(2, 3))
            for got, expected in zip(step(x), function(cr.Tensor(x)), strict=True):
                assert got.numpy().tobytes() == np.ascontiguousarray(expected.numpy()).tobytes()


def test_every_pass_keeps_the_form():
    """After any pass each value is made once, before it is taken."""
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    loss = nn.CrossEntropyLoss()

    def step(x):
        optimizer.zero_grad()
        value = loss(model(x), np.array([0, 1, 2]))
        value.backward()
        optimizer.step()
        return value

    program = recorded(step, np.ones((3, 4), np.float32))
    for each in PASSES:
        program = each(program)
        known = {*program.arguments} | {v for v, _ in program.constants} | {v for _, v in program.reads}
        for application in program.applications:
            assert {x for x in application.inputs if hasattr(x, "number")} <= known, each.__name__
            assert application.result not in known
            known.add(application.result)
