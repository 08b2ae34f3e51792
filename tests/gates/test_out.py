"""``forward(..., out=buffer)`` of each gate that says so: the same bits, in the buffer, and no memory on the way."""
from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from tests.gates.cases import Case
from tests.gates.checks import BY_GATE, locked, named

import chainrule as cr

OUT = {name: gate for name, gate in cr.GATES.items() if gate.takes_out and gate.module.startswith("chainrule.")}
X = np.array([[1.5, -0.5, 1.5], [np.nan, np.inf, 2.5]])
WHOLE = np.array([[6, -3, 5], [0, 1, 2]])
#: Arguments for the gates that have no derivative, and some that the table of cases has no use for.
MORE = [
    *[Case(name, (X,)) for name in ("isnan", "isinf", "isfinite", "floor", "ceil", "trunc", "logical_not")],
    *[Case(name, (X, X[0])) for name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal",
                                         "logical_and", "logical_or")],
    *[Case(name, (WHOLE, np.array([3, 5, 1]))) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")],
    Case("invert", (WHOLE,)), Case("invert", (X > 1,)),
    *[Case("round", (X,), {"decimals": decimals}) for decimals in (0, 1, -1)],
    *[Case(name, (X,), {"axis": axis, "keepdims": keepdims}) for name in ("all", "any", "argmax", "argmin")
      for axis in (None, 0, 1, -1) for keepdims in (False, True)],
    *[Case("all", (x,), {"axis": (0, 1)}) for x in (X, X > 1, WHOLE)],
    *[Case("argsort", (X,), {"axis": axis}) for axis in (None, 0, -1)],
    *[Case("philox_uniform", (3, 1, 7), {"shape": (2, 3), "dtype": dtype}) for dtype in (np.float32, np.float64)],
    *[Case("cast", (X,), {"dtype": dtype}) for dtype in (np.float32, np.float16, bool)],
    *[Case("cast", (WHOLE,), {"dtype": dtype}) for dtype in (np.float32, np.int8, bool)],
    Case("where", (X > 1, np.float32(1.5), X.astype(np.float32))), Case("where", (WHOLE, WHOLE, X)),
    Case("where", (X > 1, 0, X)), Case("where", (np.array([[True], [False]]), X[0], 0.5)),
    Case("sort", (X,), {"axis": 0}), Case("sort", (WHOLE,), {"axis": None}), Case("sort", (np.array([0.0, -0.0, 0]),)),
    Case("pad", (X,), {"pad_width": 1, "constant_values": (2, 3)}), Case("pad", (WHOLE,), {"pad_width": (0, 2)}),
    Case("index_places", (WHOLE % 4, 0), {"length": 4}), Case("index_places", (-WHOLE // 4, 2), {"length": 4}),
    Case("index_places", (np.array([[0], [2]], np.int32), np.arange(3)), {"length": 3, "stride": 5}),
    Case("index_places", (np.array([-1, 2]), 1), {"length": 3, "stride": 2}),
    Case("take_places", (X, np.array([1, 0, 1])), {"axis": 0}),
    Case("take_places", (X, np.array([[1], [2]], np.int32)), {"axis": 1}),
    Case("take_places", (X.T, np.array(1)), {"axis": 1}),
    Case("put_places", (X[:, :1], np.array([[4], [1]])), {"length": 6}),
    Case("contraction", (X, X), {"subscripts": "ij,kj->ik"}), Case("contraction", (X,), {"subscripts": "ij->j"}),
]
CASES = {name: [*BY_GATE.get(name, []), *[case for case in MORE if case.gate == name]] for name in OUT}
every_gate = pytest.mark.parametrize("name", sorted(OUT))


@every_gate
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_the_buffer_holds_what_the_forward_gives(name):
    assert CASES[name], f"no case of {name}, which takes out="
    for case in CASES[name]:
        for single in (False, True):
            with named(case):
                inputs = tuple(locked(x.astype(np.float32) if single and i in case.floats else x)
                               for i, x in enumerate(case.inputs))            # read-only: written into, it raises
                expected = np.asarray(OUT[name].value(*inputs, **case.options))
                buffer = np.full(expected.shape, 7).astype(expected.dtype)
                found = OUT[name].value(*inputs, **case.options, out=buffer)
                assert found is buffer or np.shares_memory(found, buffer) or not buffer.size
                np.testing.assert_array_equal(buffer, expected)
                np.testing.assert_array_equal(np.signbit(buffer) if buffer.dtype.kind == "f" else 0,
                                              np.signbit(expected) if buffer.dtype.kind == "f" else 0)


# ------------------------------------------------------------------ memory
N = 2**19
WIDE = np.random.default_rng(0).random((N // 512, 512), np.float32)
TALL, ROWS, MASK = WIDE.reshape(-1, 8), np.arange(N // 8)[:, None] % 8, WIDE > 0.5
#: Arguments of two million bytes, and a result or an argument as large. Ufuncs with their own number of these.
LARGE = {
    "all": ((MASK,), {"axis": 0}), "any": ((MASK,), {"axis": 1}), "argmax": ((WIDE,), {"axis": -1}),
    "argmin": ((WIDE,), {"axis": -1}), "argsort": ((WIDE,), {}),
    "cast": ((WIDE,), {"dtype": np.float64}), "clip": ((WIDE, 0.2, 0.8), {}),
    "concatenate": ((WIDE, WIDE), {"axis": 1}), "contraction": ((WIDE, WIDE), {"subscripts": "ij,ij->ij"}),
    "cumsum": ((WIDE,), {"axis": 1}), "index_places": ((ROWS, ROWS), {"length": 8, "stride": 2}),
    "linear": ((WIDE, WIDE[:512], WIDE[0]), {}), "log_softmax": ((WIDE,), {}), "matmul": ((WIDE, WIDE[:512]), {}),
    "max": ((WIDE,), {"axis": 0}), "mean": ((WIDE,), {"axis": 0}), "min": ((WIDE,), {"axis": 1}),
    "pad": ((WIDE,), {"pad_width": ((1, 2), (0, 3))}), "philox_uniform": ((1, 2, 3), {"shape": WIDE.shape}),
    "prod": ((WIDE,), {"axis": 0}), "put_places": ((WIDE.ravel(), np.arange(N)[::-1].copy()), {"length": N + 5}),
    "relu": ((WIDE,), {}), "round": ((WIDE,), {"decimals": 2}), "sigmoid": ((WIDE,), {}),
    "scatter_add": ((WIDE.ravel(), np.arange(N) % 7), {"shape": (N,)}), "sort": ((WIDE,), {"axis": 1}),
    "sum": ((TALL,), {"axis": 1, "keepdims": True}), "sum_to": ((WIDE,), {"shape": (512,)}),
    "take_places": ((WIDE.ravel(), np.arange(N)[::-1].copy()), {}), "where": ((MASK, WIDE, 0), {}),
}
#: What does make such memory, and why.
HUNGRY = {
    "argsort": "NumPy's has no out", "log_softmax": "it has parts, which executors run instead",
}


def peak(call):
    call()
    tracemalloc.start()
    try:
        call()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def needed(name):
    """How much memory a gate takes besides the buffer."""
    gate = OUT[name]
    if name in LARGE:
        inputs, options = LARGE[name]
    else:
        assert isinstance(gate.forward, np.ufunc), f"no large arguments for {name}"
        x = MASK if name.startswith(("bitwise", "logical", "invert")) else WIDE
        inputs, options = (x,) * gate.arity, {}
    expected = gate.value(*inputs, **options)
    buffer = np.empty(expected.shape, expected.dtype)
    return peak(lambda: gate.value(*inputs, **options, out=buffer))


@every_gate
def test_no_array_is_made_on_the_way(name):
    """At most the 8192 elements at a time that NumPy's ufuncs convert, where they convert."""
    if name in HUNGRY:
        assert needed(name) >= WIDE.nbytes             # or it can be taken from the list
    else:
        assert needed(name) < 70_000


def test_what_is_measured_is_what_numpy_makes():
    """The measurement does see an array."""
    assert peak(lambda: WIDE + WIDE) >= WIDE.nbytes
