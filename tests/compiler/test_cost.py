"""What a program costs, against figures that were counted by hand."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.compiler.programs import recorded, training_step

import chainrule as cr
from chainrule import functional as F
from chainrule import nn, optim
from chainrule.compiler.planning.plan import plan
from chainrule.compiler.program import Application, Cell, Fused, Program, Value
from chainrule.compiler.views.cost import CLASSES, Cost, Row, classified, cost


def counted(function, *arguments):
    return cost(recorded(function, *arguments))


# ------------------------------------------------------------------ products
def test_a_step_of_a_network():
    """784-50-10 with a batch of 100.

    Forward X W₁ᵀ: 100·50·784, H W₂ᵀ: 100·10·50. Backward dW₂ = dYᵀ H: 10·50·100, dH = dY W₂: 100·50·10,
    dW₁ = dZᵀ X: 50·784·100; the images need no gradient.
    """
    model = nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    step = training_step(model, F.cross_entropy, optimizer)
    found = counted(step, np.zeros((100, 784), np.float32), np.zeros(100, int))
    forward = 3_920_000 + 50_000
    assert found.gates["linear"].multiply_adds == forward
    assert found.gates["matmul"].multiply_adds == 50_000 + 50_000 + 3_920_000
    assert found.multiply_adds == 7_990_000
    assert found.gates["linear"].operations == 100 * 50 + 100 * 10                       # the biases
    assert found.gates["relu"] == Row(1, 0, 5_000, 2 * 5_000 * 4)
    parameters = 784 * 50 + 50 + 50 * 10 + 10
    assert found.gates["subtract"].operations == parameters + 1_000                      # w - lr·dw, and p - targets
    assert found.gates["transpose"] == Row(2, 0, 0, 0)


@pytest.mark.parametrize(("function", "shapes", "count"), [
    (cr.matmul, [(5,), (5,)], 5),
    (cr.matmul, [(4, 5), (5,)], 20),
    (cr.matmul, [(2, 3, 4, 5), (5, 6)], 2 * 3 * 4 * 6 * 5),
    (lambda x, w: cr.linear(x, w), [(2, 3, 5), (7, 5)], 2 * 3 * 7 * 5),
    (lambda x, y: cr.einsum("bik,bkj->bij", x, y), [(2, 3, 4), (2, 4, 5)], 2 * 3 * 5 * 4),
    (lambda x, y: cr.einsum("...i,...i", x, y), [(2, 3), (2, 3)], 6),
    (lambda x: cr.einsum("ij->ji", x), [(2, 3)], 0)])
def test_terms_of_products(function, shapes, count):
    assert counted(function, *map(np.ones, shapes)).multiply_adds == count


# ------------------------------------------------------------------ everything else
def test_operations():
    """Elementwise: the result's 3·4. Along axes: the argument's. A number counts nothing, nor does what only moves."""
    def function(x, y):
        z = cr.exp(x + y)
        return cr.sum(z, axis=0), cr.softmax(y), cr.concatenate([y, y]), cr.reshape(x, (3,))

    found = counted(function, np.ones((3, 1)), np.ones((1, 4)))
    assert {name: row.operations for name, row in found.gates.items()} == {
        "add": 12, "exp": 12, "sum": 12, "softmax": 4, "concatenate": 0, "reshape": 0}
    assert (found.operations, found.multiply_adds) == (40, 0)


def test_numbers_of_pythons_cost_nothing():
    factor = cr.cell(2.0)
    found = counted(lambda x: x * (factor.value * 3 + 1), np.ones(10))
    assert found.gates["add"] == Row(1, 0, 0, 0)
    assert found.gates["multiply"] == Row(2, 0, 10, 160)


@pytest.mark.parametrize(("function", "read_and_written"), [
    (lambda x: x + x, 96 + 96),                                              # read once
    (lambda x: x + 1, 96 + 96),
    (lambda x: cr.sum(x), 96 + 8),
    (lambda x: x.T, 0),
    (lambda x: cr.exp(x.T), 96 + 96),
    (lambda x: cr.broadcast_to(x[0], (50, 4)) + 1, 32 + 1600),               # 32 bytes are behind the 50 rows
    (lambda x: cr.exp(x[1:]), 64 + 64),
    (lambda x: x[np.array([2, 0])], 16 + 64 + 64),                           # the indices, what they pick, the result
    (lambda x: cr.take_along_axis(x, np.array([[1], [0], [3]]), axis=1), 24 + 24 + 24),
    (lambda x: cr.scatter_add(x, np.array([0, 5, 9]), shape=(10, 4)), 96 + 24 + 320),
    (lambda x: cr.sum_to(x, (3, 4)), 0),
    (lambda x: x.astype(np.float32), 96 + 48),
    (lambda x: cr.greater(x, 0), 96 + 12)])
def test_bytes_that_are_read_and_written(function, read_and_written):
    """Of an array of 3·4 numbers of 8 bytes."""
    assert counted(function, np.ones((3, 4))).bytes == read_and_written


def test_between_fused_gates_nothing_is_read_or_written(monkeypatch):
    program = recorded(lambda x: cr.exp(x * 2) + x, np.ones(10))
    first = cost(program)
    assert (first.bytes, first.calls) == (160 + 160 + 240, 3)
    fused = replace(program, steps=[Fused(tuple(program.steps), (program.result,))])
    monkeypatch.setattr("chainrule.compiler.views.cost.plan", lambda _: plan(Program()))
    found = cost(fused)
    assert found.bytes == 80 + 80
    assert found.calls == 1
    assert found.operations == first.operations == 30
    assert [row.count for row in found.gates.values()] == [1, 1, 1]


# ------------------------------------------------------------------ memory
def test_buffers_and_the_peak():
    """Beside the buffers there are a constant of five numbers, and what is returned, of as many."""
    def function(x):
        a = cr.exp(x)
        return cr.sum(cr.concatenate([a, cr.tanh(a)])) * np.ones(5)

    program = recorded(function, np.ones(100))
    layout, found = plan(program), cost(program)
    assert (found.buffers, found.buffer_bytes) == (len(layout.sizes), layout.bytes)
    assert found.buffer_bytes >= 800 + 1600
    assert found.peak_bytes == found.buffer_bytes + 5 * 8 + 5 * 8            # np.ones(5), and the result


def test_what_has_a_home_takes_no_memory_of_its_own():
    w = cr.Tensor(np.zeros(10), name="w")
    x, z = Value(0, ((10,), np.dtype(float))), Value(1, ((10,), np.dtype(float)))
    program = Program([x], steps=[Application(cr.GATES["exp"], (x,), {}, z)], writes=[(Cell(w, "array"), z)], size=2)
    assert cost(program).peak_bytes == 80
    assert cost(replace(program, homes={z: Cell(w, "array")})).peak_bytes == 0


def test_an_empty_program_costs_nothing():
    found = counted(lambda x: x, np.ones(3))
    assert (found.multiply_adds, found.operations, found.bytes, found.calls) == (0, 0, 0, 0)
    assert found.peak_bytes == 3 * 8                     # what is returned is a copy


# ------------------------------------------------------------------ every gate
@pytest.mark.parametrize("name", sorted(n for n, gate in cr.GATES.items() if gate.module.startswith("chainrule.")))
def test_each_gate_is_classified_on_purpose(name):
    """A new gate that no rule tells has to be put into `CLASSES`, or, if it multiplies and adds, `PRODUCTS`."""
    assert classified(cr.GATES[name])


def test_no_gate_has_two_classes():
    for kind, names in CLASSES.items():
        assert {classified(cr.GATES[name]) for name in names} == {kind}


def test_gates_that_nobody_knows_get_the_size_of_their_result():
    gate = cr.Gate("of_a_users_own", lambda x: x[:2] * 2.0)
    try:
        found = counted(lambda x: gate(x), np.ones((7, 3)))
    finally:
        del cr.GATES["of_a_users_own"]
    assert classified(gate) == ""
    assert found.gates["of_a_users_own"] == Row(1, 0, 6, 7 * 3 * 8 + 6 * 8)


# ------------------------------------------------------------------ in print
def test_the_table():
    found = counted(lambda x, w: cr.relu(x @ w).sum(), np.ones((1000, 30), np.float32), np.ones((30, 40), np.float32))
    assert str(found).splitlines()[:-1] == """\
gate    count  multiply-adds  operations    bytes
-------------------------------------------------
matmul      1      1,200,000           0  284,800
relu        1              0      40,000  320,000
sum         1              0      40,000  160,004
-------------------------------------------------
total       3      1,200,000      80,000  764,804""".splitlines()
    assert str(Cost(calls=1200, buffers=1, buffer_bytes=1000, peak_bytes=1234)).splitlines()[-1] == (
        "1,200 calls; 1 buffer of 1,000 bytes; 1,234 bytes with constants and results")
