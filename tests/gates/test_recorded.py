"""Every derivative is made of gates alone: what the compiler records of it can be replayed on other numbers."""
from __future__ import annotations

import numpy as np
import pytest
from tests.gates.checks import BY_GATE, GATES, Tape, by_rule, named, seed, value

import chainrule as cr

every_gate = pytest.mark.parametrize("gate", sorted(GATES))


def others(case):
    """Other numbers in the places of a case's inputs, within the same range."""
    return tuple(np.flip(x) * 1.03 if i in case.floats else x for i, x in enumerate(case.inputs))


def tensor(x):
    return cr.Tensor(x) if isinstance(x, np.ndarray | np.generic) else x


def record(case):
    """Run the derivative on tensors that ask for nothing; give the tape, what went in, and what came out."""
    z = value(case)
    given = [tensor(np.asarray(seed(case, z))), tensor(np.asarray(z)), *map(tensor, case.inputs)]
    tape = Tape()
    with cr.observe(tape):
        found = by_rule(case, given[0], given[1], tuple(given[2:]))
    return tape, given, found


def replay(tape, given, numbers):
    """Run the recorded gates on other numbers. A tensor that no recorded gate made is not to be found."""
    known = {t: x for t, x in zip(given, numbers, strict=True) if isinstance(t, cr.Tensor)}
    for gate, inputs, options, result in tape.lines:
        known[result] = gate.value(*[known[x] if isinstance(x, cr.Tensor) else x for x in inputs], **options)
    return known


@every_gate
def test_recorded_and_replayed(gate):
    """A derivative that went through raw NumPy would bake a number in, and be found out on the other numbers."""
    for case in BY_GATE[gate]:
        with named(case):
            tape, given, found = record(case)
            inputs = others(case)
            z = value(case, inputs)
            dz = seed(case, z, 1)
            known = replay(tape, given, [dz, z, *inputs])
            expected = by_rule(case, dz, z, inputs)
            for i, t in found.items():
                assert isinstance(t, cr.Tensor), "the gradient did not come out of a gate"
                np.testing.assert_allclose(known[t], expected[i], rtol=1e-14, atol=1e-300)


@every_gate
def test_second_derivatives_are_recorded_too(gate):
    """With `create_graph` under an observer: whatever a gradient's history holds, the observer has seen."""
    for case in BY_GATE[gate][:8]:
        with named(case):
            tensors = [cr.Tensor(x, requires_grad=i in case.floats) if isinstance(x, np.ndarray) else x
                       for i, x in enumerate(case.inputs)]
            start = cr.Tensor(seed(case, value(case)), requires_grad=True)
            tape = Tape()
            with cr.observe(tape):
                z = case.rule(*tensors, **case.options)
                (z * start).sum().backward(create_graph=True)
            seen = {result for _, _, _, result in tape.lines}
            stack = [x.grad for i, x in enumerate(tensors) if i in case.floats and isinstance(x, cr.Tensor)]
            while stack:
                t = stack.pop()
                assert t.gate is None or t in seen
                stack.extend(x for x in t.inputs if isinstance(x, cr.Tensor))


def test_a_number_smuggled_past_the_gates_is_found(monkeypatch):
    """The check above does find what it is meant to find."""
    monkeypatch.setattr(cr.exp, "derivative", (lambda dz, z, x: dz * np.exp(getattr(x, "array", x)),))
    with pytest.raises(AssertionError):
        test_recorded_and_replayed("exp")
