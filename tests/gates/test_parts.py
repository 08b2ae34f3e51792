"""A gate that says what smaller gates it is made of: the parts give what its forward gives."""
from __future__ import annotations

import warnings

import numpy as np
import pytest
from tests.gates.cases import Case
from tests.gates.checks import BY_GATE, Tape, named

import chainrule as cr
from chainrule.gate import Gate
from chainrule.mode import setting

inf = np.inf
PARTS = {name: gate for name, gate in cr.GATES.items() if gate.parts is not None}
#: Numbers at which formulas break: infinities, what overflows in an exponential of either dtype, zeros, tiny numbers.
EXTREME = np.array([inf, -inf, 1e4, -1e4, 710, -710, 89, -89, 88.7, -88.7, 1, -1, 0.3, 0.0, -0.0, 1e-30, -1e-44, 1e-310,
                    np.nan])
FINITE = EXTREME[np.isfinite(EXTREME)]
ROWS = [[inf, 1.0, 1000.0], [-inf, -inf, -inf], [-inf, 0.0, 1e-30], [1e4, -1e4, 0.0], [-1e4, -1e4, -1e4],
        [np.nan, 1.0, 2.0], [3.0, 3.0, 3.0], [1e38, -1e38, 1e38]]
#: Gates without a derivative, and arguments at the ends of what a gate takes.
MORE = [
    *[Case(name, (EXTREME,)) for name in ("relu", "sigmoid", "softplus", "erf")],
    *[Case(name, (np.array(ROWS),), {"axis": axis}) for name in ("softmax", "log_softmax", "logsumexp")
      for axis in (0, 1, -1, None)],
    *[Case("logsumexp", (np.array(ROWS),), {"axis": axis, "keepdims": True}) for axis in (0, 1, None)],
    *[Case(name, (np.array([row]),), {"axis": 1}) for name in ("logsumexp", "softmax", "log_softmax", "var", "norm2")
      for row in ROWS],
    *[Case(name, (np.full((3, 0), 1.0),), {"axis": axis}) for name in ("logsumexp", "softmax", "log_softmax", "norm2")
      for axis in (0, 1, None)],
    *[Case(name, (np.empty((0, 3)),), {"axis": 1}) for name in ("mean", "var", "std")],
    Case("var", (np.array([1.0, 3.0]),), {"ddof": 2}), Case("std", (np.array([1.0, 3.0]),), {"ddof": 3}),
    *[Case(name, (np.array([[1, 2], [3, 5]]),)) for name in (
        "mean", "var", "std", "norm2", "relu", "sigmoid", "softplus", "softmax", "log_softmax", "logsumexp")],
    Case("softmax_cross_entropy", (np.array(ROWS), np.array([[0], [1], [2], [0], [1], [2], [-1], [1]]))),
    Case("softmax_cross_entropy", (np.array(ROWS[3:5]), np.array([[1], [0]], np.int32))),
    Case("log_loss", (np.array([0, 0, 1, 1, 1e-50, 1e-40, 0.3]), np.array([0, 1, 0, 1, 1, 0.5, 0.2]))),
    Case("sigmoid_cross_entropy", (np.repeat(FINITE, 2), np.tile([0.0, 1.0], len(FINITE)))),
    *[Case("philox_bernoulli", (3, 1, 7, p), {"shape": shape, "dtype": dtype}) for p in (0.0, 0.3, 1.0)
      for shape in ((5,), (2, 3), (0,), ()) for dtype in (np.float32, np.float64)],
    *[Case("philox_normal", (3, 1, 7), {"shape": shape, "dtype": dtype})
      for shape in ((5,), (2, 3), (0,), ()) for dtype in (np.float32, np.float64)],
    Case("getitem", (np.arange(24.0).reshape(2, 3, 4), np.array([[1, 0], [-1, -2]]), 1, slice(None, None, -1))),
    Case("getitem", (np.arange(24.0).reshape(2, 3, 4), None, np.array([1, 0], np.int16), np.array(2, np.uint8))),
    Case("getitem", (np.arange(6.0).reshape(2, 3).T, np.array([2, 0]), np.array([1, 1]))),
]
CASES = {name: [*BY_GATE.get(name, []), *[case for case in MORE if case.gate == name]] for name in PARTS}
every_gate = pytest.mark.parametrize("name", sorted(PARTS))


def arguments(case, dtype):
    with np.errstate(all="ignore"):
        return tuple(x.astype(dtype) if getattr(x, "dtype", None) == np.float64 else x for x in case.inputs)


def compare(found, expected, dtype, cancels=False):
    """To a few units in the last place; numbers too small for full precision, and sums that cancel, absolutely."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    kind = expected.dtype if expected.dtype.kind == "f" else np.dtype(dtype)
    eps, tiny = np.finfo(kind).eps, np.finfo(kind).smallest_normal
    np.testing.assert_allclose(found, expected, rtol=6 * eps, atol=eps if cancels else tiny)


@every_gate
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_the_parts_give_what_the_forward_gives(name, dtype):
    """The same value, shape and dtype, where nobody minds an infinity on the way, which is where executors run them."""
    compared = 0
    for case in CASES[name]:
        with named(case):
            inputs = arguments(case, dtype)
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = PARTS[name].value(*inputs, **case.options)
                found = PARTS[name].parts(*inputs, **case.options)
            if found is not NotImplemented:
                compare(found, expected, dtype)
                compared += 1
    assert compared > 1


@every_gate
def test_nothing_but_gates(name):
    """What is written down of the parts on tensors, and run again on other numbers, gives the forward of those."""
    for case in CASES[name]:
        if not case.floats:
            continue
        with named(case), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            inputs = [cr.Tensor(x) if i in case.floats or isinstance(x, np.ndarray) else x
                      for i, x in enumerate(case.inputs)]
            tape = Tape()
            with setting(observer=tape, symbolic=True, record=False):
                z = PARTS[name].parts(*inputs, **case.options)
            if z is NotImplemented:
                continue
            others = [np.asarray(np.flip(x) / 1.03) if i in case.floats else x for i, x in enumerate(case.inputs)]
            known = {t: x for t, x in zip(inputs, others, strict=True) if isinstance(t, cr.Tensor)}
            for gate, given, options, result in tape.lines:
                known[result] = gate.value(*[known[x] if isinstance(x, cr.Tensor) else x for x in given], **options)
            compare(known[z], PARTS[name].value(*others, **case.options), np.float64, cancels=name == "einsum")


def test_every_gate_is_small_or_has_parts_or_is_a_view():
    """So that each step of a program can be run into memory that was planned. A check of classes gives a view."""
    alone = {name for name, gate in cr.GATES.items() if gate.module.startswith("chainrule.")
             and not (gate.parts or gate.takes_out or gate.is_view)}
    assert alone == {"class_index", "handwritten", "handwritten_backward", "released"}


def test_where_a_gate_is_as_small_as_it_gets():
    """A view stays a view; NumPy's own treatment of masks, and of arrays with a slice between them, is left to it."""
    x, i = np.arange(24.0).reshape(2, 3, 4), np.array([0, 1])
    for index in ((0,), (slice(1),), (..., None), (x > 3,), (i, slice(None), i), (True, i), (np.True_, i), ()):
        assert cr.getitem.parts(x, *index) is NotImplemented
    assert cr.GATES["einsum"].parts(x, subscripts="ijk->kji") is NotImplemented
    assert cr.GATES["einsum"].parts(np.ones((2, 2)), subscripts="ii->i") is NotImplemented
    assert cr.take_along_axis.parts(x, i) is NotImplemented


@pytest.mark.parametrize("wrong", [[3], [-4], [0, 1, 99], [-100], [2**40]])
def test_an_index_that_is_out_of_range_is_still_an_error(wrong):
    x, index = np.arange(12.0).reshape(3, 4), np.array(wrong)
    for parts in (lambda: cr.getitem.parts(x, index), lambda: cr.getitem.parts(x, index, index * 0),
                  lambda: cr.take_along_axis.parts(x, index[:, None], axis=0),
                  lambda: cr.softmax_cross_entropy.parts(np.ones((len(wrong), 3)), index[:, None]),
                  lambda: cr.scatter_along_axis.parts(np.ones((len(wrong), 1)), index[:, None], shape=(len(wrong), 3))):
        with pytest.raises(IndexError, match="out of bounds for (an axis of length|axis . with size) 3"):
            parts()
    with pytest.raises(IndexError):
        cr.take_along_axis.parts(x, np.array([99]), axis=None)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_indices_of_every_width(dtype):
    x = np.arange(10.0)
    index = np.array([0, 9, 3], dtype)
    np.testing.assert_array_equal(cr.getitem.parts(x, index), x[index])
    if np.dtype(dtype).kind == "i":
        np.testing.assert_array_equal(cr.getitem.parts(x, -index), x[-index])


def test_parts_are_data_beside_the_forward():
    triple = Gate("threefold", lambda x: 3 * x, (lambda dz, z, x: 3 * dz,), parts=lambda x: x + x + x)
    try:
        x = cr.Tensor([1.0, 2.0], requires_grad=True)
        triple(x).sum().backward()
        assert x.grad.tolist() == [3.0, 3.0]           # the derivative knows nothing of them
        assert triple.parts(np.ones(2)).tolist() == [3.0, 3.0]
    finally:
        del cr.GATES["threefold"]
