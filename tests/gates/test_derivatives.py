"""Every derivative of every gate, to second order, against numerical derivatives."""
from __future__ import annotations

import numpy as np
import pytest
from tests.gates.cases import TIES
from tests.gates.checks import (
    BY_GATE,
    GATES,
    Tape,
    by_rule,
    layouts,
    locked,
    named,
    numerical,
    on_tensors,
    second_by_rule,
    second_numerical,
    seed,
    value,
)

import chainrule as cr

every_gate = pytest.mark.parametrize("gate", sorted(GATES))


def close(found, expected, rtol=1e-8, atol=1e-9):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


@every_gate
def test_has_cases(gate):
    """A new gate brings its lines in cases.py: with several shapes, one 0-d and one empty argument among them."""
    shapes = {x.shape for case in BY_GATE[gate] for x in case.floats.values()}
    assert len(shapes) > 1, f"the gate {gate} has no cases in tests/gates/cases.py"
    if gate != "softmax_cross_entropy":                # a mean over samples, of which there is at least one
        assert any(0 in shape for shape in shapes), f"no case of {gate} with an empty array"


@every_gate
def test_every_option_is_tried(gate):
    tried = {option for case in BY_GATE[gate] for option in case.options}
    assert tried >= set(cr.GATES[gate].options)


@every_gate
def test_first_derivative(gate):
    for case in BY_GATE[gate]:
        with named(case):
            z = value(case)
            dz = seed(case, z)
            found, expected = by_rule(case, dz), numerical(case, dz)
            for i, x in case.floats.items():
                assert found[i].shape == x.shape
                assert found[i].dtype == x.dtype
                close(found[i], expected[i])


@every_gate
def test_second_derivative(gate):
    for case in BY_GATE[gate]:
        with named(case):
            z = value(case)
            dz, way = seed(case, z), seed(case, z, 1)
            close(second_by_rule(case, dz, way), second_numerical(case, dz, way), rtol=1e-7, atol=1e-8)


@every_gate
def test_rule_on_tensors_is_the_rule_on_arrays(gate):
    for case in BY_GATE[gate]:
        with named(case):
            dz = seed(case, value(case))
            found, _, _ = on_tensors(case, dz)
            for i, expected in by_rule(case, dz).items():
                np.testing.assert_array_equal(found[i].numpy(), expected)


@every_gate
def test_backward_is_the_rule(gate):
    """The engine's fast path: it works on arrays and uses what the forward has kept for it."""
    for case in BY_GATE[gate]:
        with named(case):
            dz = seed(case, value(case))
            tensors = [cr.Tensor(x, requires_grad=True) if i in case.floats else x for i, x in enumerate(case.inputs)]
            case.rule(*tensors, **case.options).backward(dz)
            for i, expected in by_rule(case, dz).items():
                np.testing.assert_array_equal(tensors[i].grad.numpy(), expected)


@every_gate
def test_writes_into_nothing_and_takes_any_layout(gate):
    """Read-only inputs and dz, contiguous or not: a derivative that wrote into one of them would raise."""
    for case in BY_GATE[gate]:
        dz = seed(case, value(case))
        expected = numerical(case, dz)
        for name in ("locked", *layouts(0)):
            with named(f"{case.id}, {name}"):
                arrange = locked if name == "locked" else lambda x: layouts(x)[name]      # noqa: B023
                inputs = tuple(map(arrange, case.inputs))
                z = value(case, inputs)
                if isinstance(z, np.ndarray):
                    z.flags.writeable = False
                before = [np.array(x) if isinstance(x, np.ndarray) else x for x in (dz, z, *inputs)]
                found = by_rule(case, arrange(dz), z, inputs)
                for i in expected:
                    close(found[i], expected[i])
                for x, y in zip((dz, z, *inputs), before, strict=True):
                    assert x is y or np.array_equal(x, y)


@every_gate
def test_a_gradient_added_in_place_is_the_same(gate):
    """Where a derivative can add into a gradient that the engine owns, it adds what it would have returned."""
    for case in BY_GATE[gate]:
        for i, rule in enumerate(case.rule.derivative):
            if hasattr(rule, "into") and i in case.floats:
                with named(case):
                    z = value(case)
                    dz = seed(case, z)
                    total = np.ones(case.inputs[i].shape)
                    rule.into(total, dz, z, *case.inputs, **case.options)
                    close(total, 1 + numerical(case, dz)[i])


class Spy(np.ndarray):
    """Notes the dtype of everything NumPy makes of it."""

    seen: set = set()

    def __array_wrap__(self, array, context=None, return_scalar=False):
        Spy.seen.add(array.dtype)
        return super().__array_wrap__(array, context, return_scalar)

    def __array_finalize__(self, source):
        Spy.seen.add(self.dtype)


def single(x):
    return x.astype(np.float32) if getattr(x, "dtype", None) == np.float64 else x


#: Gates that have their dtype from NumPy's promotion of all arguments.
WIDENED = {name for name, gate in GATES.items() if isinstance(gate.forward, np.ufunc)} | {
    "concatenate", "einsum", "log_loss", "sigmoid_cross_entropy"}
WIDE = [np.dtype(np.float64), np.dtype(np.complex128)]


@every_gate
def test_float32_stays_float32(gate):
    """Result, gradients and everything on the way, on arrays and on tensors; Python numbers do not widen."""
    for case in BY_GATE[gate]:
        if gate == "cast":
            continue                                   # its dtype is its option
        with named(case):
            inputs = tuple(map(single, case.inputs))
            Spy.seen = set()
            z = value(case, [x.view(Spy) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x for x in inputs])
            if gate in WIDENED and any(getattr(x, "dtype", np.dtype("f4")).kind == "i" for x in inputs):
                continue                               # NumPy makes float64 of float32 and int64
            if gate not in ("var", "std"):             # np.var divides one mean in float64
                assert not Spy.seen & set(WIDE), "the forward computes in float64"
            z = np.asarray(z)[()] if not isinstance(z, np.generic) else z
            assert z.dtype == np.float32
            dz = single(seed(case, z))
            wanted = [i in case.floats for i in range(len(inputs))]
            rule = case.rule
            parts = (rule.joint(dz, z, wanted, *inputs, **case.options) if rule.joint else
                     {i: rule.derivative[i](dz, z, *inputs, **case.options) for i in case.floats})
            for i in case.floats:
                assert parts[i].dtype == np.float32, "a gradient in float64"
            tensors = [cr.Tensor(x) if isinstance(x, np.ndarray | np.generic) else x for x in inputs]
            tape = Tape()
            with cr.observe(tape):
                by_rule(case, cr.Tensor(dz), cr.Tensor(z), tuple(tensors))
            for step, _, _, result in tape.lines:
                assert result.dtype not in WIDE, f"{step.name} makes a float64"


def test_cast_brings_the_gradient_back_in_the_dtype_it_came_from():
    for there, back in ((np.float32, np.float64), (np.float64, np.float32), (np.float16, np.float32)):
        x = cr.Tensor(np.array([1.0, 2.0], back), requires_grad=True)
        z = cr.cast(x, dtype=there)
        assert z.dtype == there
        z.backward(np.array([0.5, 0.25]))
        assert x.grad.dtype == back
        np.testing.assert_array_equal(x.grad.numpy(), [0.5, 0.25])


@pytest.mark.parametrize("gate", ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "matmul"])
def test_gradients_have_the_dtypes_of_their_tensors(gate):
    x = cr.Tensor(np.full((2, 2), 1.5, np.float32), requires_grad=True)
    y = cr.Tensor(np.full((2, 2), 2.5), requires_grad=True)
    z = cr.GATES[gate](x, y)
    assert z.dtype == np.float64
    z.sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)


# ------------------------------------------------------------------ kinks and ties


@pytest.mark.parametrize("tie", TIES, ids=lambda t: f"{t.gate}-{len(t.inputs)}-{t.options}")
@pytest.mark.filterwarnings("ignore:divide by zero")               # √x and xⁿ at 0 are meant
def test_convention(tie):
    gate = cr.GATES[tie.gate]
    tensors = [cr.Tensor(x, requires_grad=True) if isinstance(x, np.ndarray) else x for x in tie.inputs]
    z = gate(*tensors, **tie.options)
    z.backward(np.broadcast_to(np.asarray(tie.dz, np.float64), z.shape))
    found = [t.grad.numpy() for t in tensors if isinstance(t, cr.Tensor)]
    assert len(found) == len(tie.gradients)
    for gradient, expected in zip(found, tie.gradients, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-15)


def test_every_documented_convention_is_asserted():
    assert {name for name, gate in GATES.items() if gate.ties} <= {tie.gate for tie in TIES}
