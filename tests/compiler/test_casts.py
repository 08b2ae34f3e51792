"""Casts and broadcasts: what NumPy would do on the way is a step of its own, or none at all."""
from __future__ import annotations

import numpy as np
import pytest
from tests.compiler.programs import recorded

import chainrule as cr
from chainrule.compiler.numpy_executor import flat
from chainrule.compiler.passes import broadcasts, casts, dead


def gates(program):
    return [a.gate.name for a in program.applications]


X = np.array([[0.5, -1.0, 2.0], [1.5, 0.0, -0.25]], np.float32)


def test_a_mask_is_cast_once_for_all_that_take_it():
    program = casts(recorded(lambda x: (x > 0) * x + (x * 2) * (x > 0), X))
    assert gates(program) == ["greater", "cast", "multiply", "multiply", "greater", "cast", "multiply", "add"]
    program = casts(recorded(lambda x: [(m := x > 0) * x, m * (x + 1)], X))
    assert gates(program) == ["greater", "cast", "multiply", "add", "multiply"]


@pytest.mark.parametrize(("function", "dtypes"), [
    (lambda x, y: x * y, ("f4", "?")), (lambda x, y: x / y, ("i4", "i8")), (lambda x, y: x + y, ("f4", "f8")),
    (lambda x, y: cr.equal(x, y), ("i4", "f4")), (lambda x, y: cr.matmul(x, y), ("f4", "i8")),
    (lambda x, y: cr.maximum(x, y), ("f2", "i4")), (lambda x, y: x ** y, ("i2", "f4"))])
def test_the_values_are_the_same(function, dtypes):
    rng = np.random.default_rng(0)
    x, y = ((rng.uniform(1, 5, size=(3, 3))).astype(dtype) for dtype in dtypes)
    program = recorded(function, x, y)
    better = casts(program)
    assert "cast" in gates(better)
    for a in better.applications:
        if a.gate.name != "cast":
            assert len({v.kind[1] for v in a.inputs}) == 1
    expected = np.asarray(function(cr.Tensor(x), cr.Tensor(y)).array)
    found = flat(better)([x, y])
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("function", [lambda x: x * 2.5, lambda x: cr.where(x > 0, x, 0), lambda x: x * cr.sum(x),
                                      lambda x: cr.cast(x, dtype=np.float64), lambda x: x > 0])
def test_where_nothing_would_be_cast_there_is_no_cast(function):
    program = recorded(function, X)
    assert gates(casts(program)) == gates(program)


@pytest.mark.parametrize(("function", "expected"), [
    (lambda x: cr.broadcast_to(x[0], (2, 3)) * x, ["getitem", "multiply"]),
    (lambda x: x - cr.broadcast_to(cr.broadcast_to(x[0, 0], (3,)), (2, 3)), ["getitem", "subtract"]),
    (lambda x: cr.where(x > 0, cr.broadcast_to(x[0], (2, 3)), x), ["greater", "getitem", "where"]),
    (lambda x: cr.exp(cr.broadcast_to(x[0], (2, 3))), ["getitem", "broadcast_to", "exp"]),
    (lambda x: cr.broadcast_to(x[0], (2, 3)) * cr.broadcast_to(x[1], (2, 3)),
     ["getitem", "getitem", "broadcast_to", "multiply"]),        # one of two is enough
    (lambda x: cr.sum(cr.broadcast_to(x[0], (2, 3))), ["getitem", "broadcast_to", "sum"])])
def test_what_is_broadcast_anyway_is_not_broadcast_before(function, expected):
    program = dead(broadcasts(recorded(function, X)))
    assert gates(program) == expected
    np.testing.assert_array_equal(flat(program)([X]).numpy(), np.asarray(function(cr.Tensor(X)).array))
