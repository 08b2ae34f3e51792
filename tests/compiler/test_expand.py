"""Expansion: gates become their parts, and compute the same."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compiler.programs import recorded, training_step

import chainrule as cr
from chainrule import functional as F
from chainrule import nn, optim
from chainrule.compiler.passes import common, expand
from chainrule.compiler.program import NUMBERS, Value, each
from chainrule.gate import Gate
from chainrule.state import read

X = np.array([[1.5, -0.25, 0.5], [2.0, 3.0, -1.0]])


def names(program):
    return [a.gate.name for a in program.applications]


def run(program, *arguments):
    """What a program gives back and leaves in its cells, gate after gate; each value is of the kind that it says."""
    known = dict(zip(program.arguments, arguments, strict=True)) | dict(program.constants)
    known |= {value: cell.get() for cell, value in program.reads}
    for a in program.applications:
        with np.errstate(all="ignore"):                # as executors run them
            z = a.gate.value(*[known[x] if isinstance(x, Value) else x for x in a.inputs], **a.options)
        assert a.result not in known
        if a.result.kind in NUMBERS:
            z = z.item() if isinstance(z, np.generic | np.ndarray) else z
            assert type(z) is a.result.kind
        else:
            assert (np.shape(z), z.dtype) == a.result.kind, f"{a} is not {a.result.kind}"
        known[a.result] = z
    found = each(lambda x: known[x] if isinstance(x, Value) else x, program.result)
    return found, [known[x] if isinstance(x, Value) else x for _, x in program.writes]


def close(found, expected, rtol):
    for z, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(z, y, rtol=rtol, atol=rtol / 100)


def test_parts_of_parts():
    """A mean is a sum and a quotient; so is the mean within a variance, within a deviation."""
    program = recorded(lambda x: cr.std(x, axis=0), X)
    better = expand(program)
    assert names(program) == ["std"]
    assert names(better) == ["sum", "divide", "subtract", "square", "sum", "divide", "sqrt"]
    np.testing.assert_allclose(run(better, X)[0], X.std(0), rtol=1e-15)
    assert names(program) == ["std"]                   # a pass leaves its program as it was
    assert better.size > program.size == 2


def test_the_line_that_asked_stays_with_the_parts():
    program = recorded(lambda x: cr.softplus(x) + cr.tanh(x), X)
    places = {a.place for a in expand(program).applications}
    assert places == {a.place for a in program.applications}


def test_what_has_no_parts_stays():
    program = recorded(lambda x: (cr.tanh(x) @ x.T, x[0], cr.einsum("ij->ji", x)), X)
    assert names(expand(program)) == names(program)


def test_what_is_made_of_nothing_new():
    """Where the parts give back an argument, that stands in the place of the result."""
    whole = Gate("whole", lambda x: x * 1.0, parts=lambda x: x)
    try:
        program = expand(recorded(lambda x: (cr.exp(whole(x)), whole(x)), X))
    finally:
        del cr.GATES["whole"]
    assert names(program) == ["exp"]
    assert program.result[1] is program.arguments[0]


def test_parts_of_another_kind_are_not_taken():
    """Those of the library's own gates are held to the kinds of their forwards by tests/gates/test_parts.py."""
    wide = Gate("wide", lambda x: x * 1, parts=lambda x: x * np.ones((2, 1, 1)))
    try:
        assert names(expand(recorded(lambda x: wide(x), X))) == ["wide"]
    finally:
        del cr.GATES["wide"]


def test_numbers_stay_numbers():
    """Python's numbers never widen a float32; and a gate that makes one needs no memory."""
    state = {"rate": 0.3}

    def step(x):
        rate = cr.sigmoid(cr.relu(read(state, "rate")))
        return cr.softplus(x * rate)

    program = recorded(step, X.astype(np.float32))
    better = expand(program)
    assert names(better)[:3] == ["relu", "sigmoid", "multiply"]
    found, _ = run(better, X.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, run(program, X.astype(np.float32))[0], rtol=1e-6)


def test_constants_of_the_parts():
    """Where a row begins is the same at each replay."""
    classes = np.array([[2], [0]])
    program = expand(recorded(lambda x, t: cr.take_along_axis(x, t, axis=1), X, classes))
    assert names(program) == ["reshape", "index_places", "take_places"]
    assert [array.tolist() for _, array in program.constants] == [[[0], [3]]]
    np.testing.assert_array_equal(run(program, X, classes)[0], [[0.5], [2.0]])
    np.testing.assert_array_equal(run(program, X, classes - 1)[0], [[-0.25], [-1.0]])
    with pytest.raises(IndexError, match="index 3 is out of bounds"):
        run(program, X, classes + 1)


def test_forward_and_backward_share_their_parts():
    """What the loss computes on its way, its derivative takes from there."""
    scores, classes = np.ones((4, 3), np.float32), np.array([0, 2, 1, 1])
    program = common(expand(recorded(lambda x, t: cr.value_and_grad(lambda x: F.cross_entropy(x, t))(x), scores,
                                     classes)))
    assert names(program).count("max") == names(program).count("index_places") == 1
    p = np.full((4, 3), 1 / 3)
    p[np.arange(4), classes] -= 1
    loss, gradient = run(program, scores, classes)[0]
    np.testing.assert_allclose(loss, np.log(3), rtol=1e-6)
    np.testing.assert_allclose(gradient, p / 4, rtol=1e-6)


def test_random_numbers_are_drawn_anew():
    program = recorded(lambda x: (x + cr.random.normal(size=(2, 3), dtype=np.float64)) * cr.random.bernoulli(
        0.5, (2, 3), np.float64), X)
    better = expand(program)
    assert names(better).count("philox_uniform") == 2
    for _ in range(2):
        np.testing.assert_array_equal(run(better, X)[0], run(program, X)[0])
    before = run(better, X)[0]
    cr.random.normal(size=8)                           # moves the position in the stream
    assert (run(better, X)[0] != before).any()


MODELS = {
    "classes": (lambda: nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 4)),
                nn.CrossEntropyLoss(), np.array([0, 3, 1, 1, 2])),
    "smoothed": (lambda: nn.Sequential(nn.Linear(3, 8), nn.Sigmoid(), nn.Dropout(0.3), nn.Linear(8, 4)),
                 nn.CrossEntropyLoss(label_smoothing=0.1, weight=[1.0, 2.0, 0.5, 1.0]), np.array([0, 3, 1, 1, 2])),
    "binary": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid()), nn.BCELoss(),
               np.array([[0.0], [1], [1], [0], [1]])),
    "scores": (lambda: nn.Sequential(nn.Linear(3, 1)), nn.BCEWithLogitsLoss(pos_weight=[2.0]),
               np.array([[0.0], [1], [1], [0], [1]])),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", MODELS)
def test_a_step_of_training(name, dtype):
    """The same loss, weights, moments and statistics; no value of another kind, float32 throughout."""
    make, loss, target = MODELS[name]
    cr.random.seed(0)
    model = make().astype(dtype)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    step = training_step(model, loss, optimizer)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(dtype)
    t = target.astype(dtype) if target.dtype.kind == "f" else target
    program = recorded(step, x, t)
    better = expand(program)
    made = {a.result.kind[1] for a in better.applications if isinstance(a.result.kind, tuple)}
    assert dtype is np.float64 or np.float64 not in made
    assert not {"linear", "mean", "sigmoid", "softmax_cross_entropy", "log_loss"} & set(names(better))
    (value, writes), (expected, before) = run(better, x, t), run(program, x, t)
    close([value, *[w for w in writes if isinstance(w, np.ndarray)]],
          [expected, *[w for w in before if isinstance(w, np.ndarray)]], 1e-12 if dtype is np.float64 else 2e-5)


# ------------------------------------------------------------------ random programs
STEPS = [cr.softplus, cr.sigmoid, cr.relu, cr.erf, cr.tanh, cr.softmax, cr.log_softmax, lambda x: x * 0.5,
         lambda x: cr.mean(x, axis=1, keepdims=True) + x, lambda x: x - cr.var(x, axis=0),
         lambda x: x[np.array([1, 0])],
         lambda x: cr.logsumexp(x, axis=(0, 1)) - x, lambda x: x / (cr.linalg.norm(x) + 1), lambda x: cr.roll(x, 1, 1),
         lambda x: cr.einsum("ij,ij,kj->kj", x, x, x), lambda x: cr.std(x, keepdims=True) * x,
         lambda x: cr.take_along_axis(x, np.array([[2, 0, -1]]), axis=1)]


@settings(max_examples=80)
@given(choices=st.lists(st.tuples(st.integers(0, len(STEPS)), st.integers(0, 30), st.integers(0, 30)), min_size=1,
                        max_size=10), dtype=st.sampled_from([np.float64, np.float32]))
def test_random_programs(choices, dtype):
    """Also in the order of a program: each value is made once, before it is taken."""
    def function(x):
        values = [x]
        for gate, i, j in choices:
            a, b = values[i % len(values)], values[j % len(values)]
            values.append(STEPS[gate](a) if gate < len(STEPS) else a - b)
        return values

    x = X.astype(dtype)
    program = recorded(function, x)
    better = expand(program)
    assert not {a.gate.name for a in better.applications if a.gate.parts} - {"getitem"}
    close(run(better, x)[0], run(program, x)[0], 1e-9 if dtype is np.float64 else 1e-3)


@pytest.mark.parametrize("function", [
    lambda x: cr.logsumexp(x > 0), lambda x: cr.erf(x > 0), lambda x: cr.var(x + 1j), lambda x: cr.softmax(x[:0] > 0)],
    ids=["logsumexp", "erf", "complex", "empty"])
def test_a_gate_that_takes_more_than_its_parts_stays_whole(function):
    program = recorded(function, X)
    better = expand(program)
    assert [a.gate.name for a in better.applications] == [a.gate.name for a in program.applications]
    np.testing.assert_array_equal(run(better, X)[0], run(program, X)[0])
