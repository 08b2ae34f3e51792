"""Fusion: what is grouped, what must not be, and that nothing else changes."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compiler.programs import recorded

import chainrule as cr
from chainrule import nn
from chainrule.compiler.numpy_executor import flat
from chainrule.compiler.passes import dead, fusion
from chainrule.compiler.planning import blocks
from chainrule.compiler.program import Fused


def groups(program):
    return [[a.gate.name for a in step.applications] for step in program.steps]


X = np.arange(6.0).reshape(2, 3)


# ------------------------------------------------------------------ what is grouped
def test_a_chain_with_what_feeds_it_and_what_ends_it():
    program = fusion(recorded(lambda x: cr.sum(cr.exp(x + cr.broadcast_to(x[0], (2, 3))), axis=0), X))
    assert groups(program) == [["getitem"], ["broadcast_to", "add", "exp", "sum"]]


def test_only_what_is_needed_outside_is_a_result():
    program = fusion(recorded(lambda x: [(y := cr.exp(x)), cr.tanh(y * 2) + y], X))
    (step,) = program.steps
    assert isinstance(step, Fused)
    assert step.results == (step.applications[0].result, step.applications[-1].result)
    assert step.inputs == tuple(program.arguments)


def test_branches_of_a_diamond_are_one_group():
    program = fusion(recorded(lambda x: cr.exp(x) * cr.tanh(x) + cr.sin(x), X))
    assert groups(program) == [["exp", "tanh", "multiply", "sin", "add"]]


def test_what_was_reduced_starts_a_new_group():
    """Otherwise each of two groups would need the other."""
    program = fusion(recorded(lambda x: (y := cr.exp(x)) / cr.sum(y, axis=1, keepdims=True), X))
    assert groups(program) == [["exp", "sum"], ["divide"]]


def test_a_way_round_by_another_shape_is_no_cycle():
    program = fusion(recorded(lambda x: (y := cr.exp(x)) + cr.tanh(cr.sum(y, axis=0)) * y, X))
    assert groups(program) == [["exp", "sum"], ["tanh"], ["multiply", "add"]]


def test_a_sum_of_one_element_a_row_is_no_exception():
    program = fusion(recorded(lambda x: (y := cr.exp(x)) - cr.sum(y, axis=1, keepdims=True), X[:, :1]))
    assert groups(program) == [["exp", "sum"], ["subtract"]]


@pytest.mark.parametrize("between", [lambda y: cr.matmul(y, np.eye(3)), lambda y: cr.cumsum(y, axis=0)])
def test_other_work_ends_a_group(between):
    """What comes after is computed after, not beside what it takes: its memory would be held all the time."""
    program = fusion(recorded(lambda x: cr.tanh(between(y := cr.exp(x))) * cr.sin(y), X))
    assert [len(step.applications) for step in program.steps] == [1, 1, 3]


def test_nothing_moves_past_a_users_own_code():
    class Noting(nn.Layer):
        seen: list = []

        def forward(self, x):
            self.seen.append(x.copy())
            return x * 1

        def backward(self, dout):
            return dout

    layer = Noting()
    program = fusion(dead(recorded(lambda x: cr.exp(layer(cr.exp(x)) + cr.tanh(x)), X)))
    assert groups(program) == [["exp"], ["handwritten"], ["tanh", "add", "exp"]]


def test_numbers_and_views_stay_alone():
    lr = {"lr": 0.5}
    program = fusion(recorded(lambda x: cr.transpose(x * (cr.state.read(lr, "lr") * 2)) + 1, X))
    assert groups(program) == [["multiply"], ["multiply"], ["transpose"], ["add"]]


# ------------------------------------------------------------------ that it changes nothing else
UNARY = [cr.exp, cr.tanh, cr.negative, lambda x: x * 0.5, lambda x: cr.transpose(x), lambda x: cr.maximum(x, 0.25),
         lambda x: cr.broadcast_to(cr.sum(x, axis=0), x.shape), lambda x: x - cr.max(x, axis=1, keepdims=True),
         lambda x: cr.reshape(cr.reshape(x, (-1,)), x.shape),
         lambda x: cr.cast(cr.cast(x, dtype=np.float32), dtype=np.float64),
         lambda x: cr.cumsum(x, axis=0), lambda x: x * cr.sum(x), lambda x: cr.where(x > 0, x, -1.0), lambda x: x[::-1]]
BINARY = [cr.add, cr.subtract, cr.multiply, cr.maximum, cr.matmul, lambda x, y: x * (y > 0.5)]


@pytest.mark.parametrize("block", [1, 2, 1000])
@settings(max_examples=100)
@given(choices=st.lists(st.tuples(st.integers(0, len(UNARY) + len(BINARY) - 1), st.integers(0, 30),
                                  st.integers(0, 30)), min_size=1, max_size=16),
       returned=st.lists(st.integers(0, 30), min_size=1, max_size=3))
def test_random_programs_stay_in_order_and_compute_the_same(block, choices, returned):
    """Each gate once, after all that it takes; and also in blocks of an element the same to the last bit."""
    def function(x):
        values = [x]
        for gate, i, j in choices:
            a, b = values[i % len(values)], values[j % len(values)]
            values.append(UNARY[gate](a) if gate < len(UNARY) else BINARY[gate - len(UNARY)](a, b))
        return [values[i % len(values)] for i in returned]

    raw = dead(recorded(function, np.zeros((3, 3))))
    program = fusion(raw)
    assert {a.result for a in program.applications} == {a.result for a in raw.applications}
    known = {*program.arguments, *(v for v, _ in program.constants)}
    for step in program.steps:
        for a in step.applications:
            assert {x for x in a.inputs if hasattr(x, "kind")} <= known
            known.add(a.result)
        outside = {x for other in program.steps if other is not step for a in other.applications for x in a.inputs
                   if hasattr(x, "kind")}
        assert {a.result for a in step.applications} & (outside | {*program.result}) <= {*step.results}
    before, blocks.BLOCK = blocks.BLOCK, block
    try:
        run, reference = flat(program), flat(raw)
        with np.errstate(all="ignore"):
            for seed in range(2):
                x = np.random.default_rng(seed).normal(size=(3, 3))
                for ours, theirs in zip(run([x]), reference([x]), strict=True):
                    assert ours.numpy().tobytes() == theirs.numpy().tobytes()
    finally:
        blocks.BLOCK = before
