"""Values against NumPy's, and NumPy's own calls with a tensor among the arguments."""
from __future__ import annotations

import math

import numpy as np
import pytest
from tests.gates.checks import BY_GATE, GATES, named, value

import chainrule as cr
from chainrule.gate import NUMPY


def scattered(x, *index, shape):
    """One element after the other: which place each goes to, NumPy says by indexing the numbers of the places."""
    z = np.zeros(shape)
    places = np.arange(z.size).reshape(shape)[index]
    for place, v in zip(np.ravel(places), np.ravel(x), strict=True):
        z.flat[place] += v
    return z


def put(x, indices, axis, shape):
    places = np.arange(math.prod(shape)).reshape(shape)
    z = np.zeros(shape)
    for place, v in zip(np.ravel(np.take_along_axis(places, indices, axis)), np.ravel(x), strict=True):
        z.flat[place] += v
    return z


def shares(x, axis=-1):
    e = np.exp(x.astype(np.longdouble) - np.max(x, initial=0))
    return e / e.sum(axis=axis, keepdims=True)


#: What each gate is, in NumPy's words.
MEANING = {
    "cast": lambda x, dtype: x.astype(dtype), "concatenate": lambda *parts, axis=0: np.concatenate(parts, axis=axis),
    "einsum": lambda *operands, subscripts: np.einsum(subscripts, *operands), "getitem": lambda x, *index: x[index],
    "erf": np.vectorize(math.erf, otypes=[float]), "linear": lambda x, w, b=None: x @ w.T + (0 if b is None else b),
    "norm2": lambda x, axis=None, keepdims=False: np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims)),
    "logsumexp": lambda x, axis=None, keepdims=False: np.logaddexp.reduce(
        x.reshape(-1) if axis is None else np.moveaxis(x, axis, range(len(axis))).reshape(
            -1, *np.delete(x.shape, axis)) if isinstance(axis, tuple) else x,
        axis=0 if axis is None or isinstance(axis, tuple) else axis, initial=-np.inf).reshape(
            np.sum(x, axis=axis, keepdims=keepdims).shape),
    "log_softmax": lambda x, axis=-1: np.log(shares(x, axis)), "softmax": shares,
    "softmax_cross_entropy": lambda x, t: -np.log(np.take_along_axis(shares(x), t, 1)).mean(),
    "log_loss": lambda p, t: -t * np.log(p) - (1 - t) * np.log(1 - p),
    "sigmoid_cross_entropy": lambda x, t: t * np.logaddexp(0, -x) + (1 - t) * np.logaddexp(0, x),
    "relu": lambda x: np.maximum(x, 0),
    "pad": lambda x, pad_width, constant_values=0: np.pad(x, pad_width, constant_values=constant_values),
    "scatter_along_axis": put, "scatter_add": scattered, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "sum_to": lambda x, shape: x.sum(axis=tuple(range(x.ndim - len(shape)))).sum(
        axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True),
    "clip": lambda x, low=None, high=None: np.minimum(np.maximum(x, -np.inf if low is None else low),
                                                      np.inf if high is None else high),
}
NAMESAKES = {stand_in.name: function for function, stand_in in reversed(NUMPY.items())
             if isinstance(stand_in, cr.Gate)}


@pytest.mark.parametrize("gate", sorted(GATES))
@pytest.mark.filterwarnings("ignore:divide by zero encountered in log")
def test_values(gate):
    function = MEANING.get(gate) or NAMESAKES[gate]
    for case in BY_GATE[gate]:
        with named(case):
            expected = function(*case.inputs, **case.options)
            found = value(case)
            assert np.shape(found) == np.shape(expected)
            np.testing.assert_allclose(found, np.asarray(expected, np.float64), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("gate", sorted(set(GATES) & set(NAMESAKES)))
def test_numpys_function_on_a_tensor(gate):
    """Each case once more through NumPy's function, with a tensor first and, if there are two, a tensor last."""
    for case in BY_GATE[gate]:
        places = list(case.floats)
        for place in {places[0], places[-1]}:
            with named(case):
                inputs = [cr.Tensor(x, requires_grad=True) if i == place else x for i, x in enumerate(case.inputs)]
                if gate == "clip" and len(inputs) == 2:
                    inputs.append(None)                # NumPy wants both bounds
                z = NAMESAKES[gate](*inputs, **case.options)
                assert isinstance(z, cr.Tensor)
                assert z.gate is GATES[gate]
                np.testing.assert_array_equal(z.numpy(), value(case))


@pytest.mark.parametrize("gate", sorted(name for name, g in cr.GATES.items() if not g.differentiable
                                        and name in NAMESAKES))
def test_steps_have_numpys_values_and_no_gradient(gate):
    function, x = NAMESAKES[gate], np.array([[1.5, -0.5, 1.5], [np.nan, np.inf, 2.5]])
    if gate.startswith(("logical", "bitwise", "invert")):
        x = x > 1
    two = isinstance(cr.GATES[gate].forward, np.ufunc) and cr.GATES[gate].forward.nin == 2
    inputs = (x, x[1]) if two else (x,)
    t = cr.Tensor(x, requires_grad=x.dtype.kind == "f")
    z = function(t, *inputs[1:])
    assert isinstance(z, cr.Tensor)
    assert not z.requires_grad
    expected = function(*inputs) if gate != "argsort" else np.argsort(x, kind="stable")
    np.testing.assert_array_equal(z.numpy(), expected)
    if "axis" in cr.GATES[gate].options:
        np.testing.assert_array_equal(function(t, axis=0).numpy(), function(x, axis=0))


X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])
T = cr.Tensor(X, requires_grad=True)
CALLS = {
    "sum axis": lambda x: np.sum(x, axis=0),
    "sum axis by place": lambda x: np.sum(x, 0),
    "sum all by place": lambda x: np.sum(x, 0, None, None, True),
    "sum by name": lambda x: np.sum(a=x, axis=1),
    "sum defaults": lambda x: np.sum(x, axis=None, dtype=None, out=None, keepdims=False),
    "mean": lambda x: np.mean(x, axis=(0, 1), keepdims=True),
    "var": lambda x: np.var(x, ddof=1),
    "var by place": lambda x: np.var(x, 1, None, None, 1),
    "std": lambda x: np.std(x, axis=1, ddof=1, keepdims=True),
    "max": lambda x: np.max(x, axis=1),
    "amax": lambda x: np.amax(x),
    "min by place": lambda x: np.min(x, 0, None, True),
    "prod": lambda x: np.prod(x, axis=-1),
    "cumsum": lambda x: np.cumsum(x, axis=0),
    "cumsum flat": np.cumsum,
    "concatenate tensor first": lambda x: np.concatenate([x, X]),
    "concatenate last": lambda x: np.concatenate([X, x], axis=1),
    "concatenate by place": lambda x: np.concatenate((x, x), 1),
    "concatenate flat": lambda x: np.concatenate([x, X], axis=None),
    "stack": lambda x: np.stack([X, x], axis=-1),
    "clip": lambda x: np.clip(x, 2, 4),
    "clip array": lambda x: np.clip(X, x, 4.5),
    "clip by name": lambda x: np.clip(x, a_min=2.5, a_max=None),
    "clip upper": lambda x: np.clip(x, None, 4),
    "where": lambda x: np.where(X > 2, x, 0.0),
    "where mask": lambda x: np.where(x > 2, X, -X),
    "where last": lambda x: np.where(X > 2, X, x),
    "einsum": lambda x: np.einsum("ij,kj->ik", X, x),
    "einsum implicit": lambda x: np.einsum("ij,kj", x, X),
    "norm": lambda x: np.linalg.norm(x),
    "norm 1": lambda x: np.linalg.norm(x, 1),
    "norm axis": lambda x: np.linalg.norm(x, axis=1, keepdims=True),
    "norm inf": lambda x: np.linalg.norm(x, np.inf, 0),
    "norm p": lambda x: np.linalg.norm(x, 3, axis=-1),
    "norm 0": lambda x: np.linalg.norm(x, 0, axis=1),
    "norm fro": lambda x: np.linalg.norm(x, "fro"),
    "norm -1": lambda x: np.linalg.norm(x, -1),
    "norm p < 0": lambda x: np.linalg.norm(x, -1.5, axis=0),
    "dot": lambda x: np.dot(X, x.T),
    "dot number": lambda x: np.dot(2.0, x),
    "dot 3": lambda x: np.dot(x, np.ones((2, 3, 2))),
    "matmul": lambda x: np.matmul(X.T, x),
    "operator": lambda x: X.T @ x,
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "transpose": lambda x: np.transpose(x, (1, 0)),
    "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "squeeze": lambda x: np.squeeze(x, axis=None),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 2, 3)),
    "flip": lambda x: np.flip(x, axis=1),
    "roll": lambda x: np.roll(x, 1, axis=0),
    "ravel": np.ravel,
    "pad": lambda x: np.pad(x, 1),
    "pad mode": lambda x: np.pad(x, ((1, 0), (0, 2)), "edge"),
    "pad value": lambda x: np.pad(x, 1, constant_values=3.5),
    "sort": lambda x: np.sort(-x, axis=0),
    "sort flat": lambda x: np.sort(-x, axis=None),
    "take": lambda x: np.take_along_axis(x, np.array([[0], [2]]), axis=1),
    "argmax": lambda x: np.argmax(x, axis=1),
    "round": lambda x: np.round(x / 3, 1),
    "around": lambda x: np.around(x / 3),
    "any": lambda x: np.any(x > 6, axis=0),
    "all": lambda x: np.all(x > 0),
    "power": lambda x: np.power(2.0, x),
    "reflected": lambda x: X / x - 2 ** x,
    "numpy scalar": lambda x: np.float64(2) * x,
    "fabs": lambda x: np.fabs(-x),
    "true_divide": lambda x: np.true_divide(1, x),
    "isclose": lambda x: np.isclose(x, X),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_call(call):
    expected, found = call(X), call(T)
    if not isinstance(found, cr.Tensor):
        assert expected.dtype == bool                  # a function that only looks
        return
    assert found.shape == np.shape(expected)
    assert found.dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-15)


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, np.int64(3), np.inf, -1])
def test_norms_by_the_formula(p):
    """Values and gradients of the p-norms: dz/dx = sign(x) |x|ᵖ⁻¹ / zᵖ⁻¹."""
    x = cr.Tensor(np.array([1.0, -2.0, 0.5]), requires_grad=True)
    z = cr.linalg.norm(x, p)
    z.backward()
    expected = np.linalg.norm(x.numpy(), p)
    assert float(z.item()) == pytest.approx(expected, rel=1e-14)
    slope = np.sign(x.numpy()) * np.abs(x.numpy() / expected) ** (p - 1) if p != np.inf else [0, -1, 0]
    np.testing.assert_allclose(x.grad.numpy(), slope, rtol=1e-13)


@pytest.mark.parametrize("p", [None, 0.5, 1, 1.5, 2, 3, np.inf])
def test_norm_at_zero(p):
    """The gradient is 0 at the origin, and so is that of a zero among others. No warning either."""
    x = cr.Tensor(np.zeros(2), requires_grad=True)
    cr.linalg.norm(x, p).backward()
    assert x.grad.tolist() == [0, 0]
    x = cr.Tensor(np.array([3.0, 0.0]), requires_grad=True)
    cr.linalg.norm(x, p).backward()
    assert x.grad.tolist() == pytest.approx([1, 0], rel=1e-14)


def test_norm_of_whole_numbers_and_lists():
    assert cr.linalg.norm([3, -4], 1) == 7.0
    assert cr.linalg.norm(np.array([3, -4]), 1).dtype == np.float64
    with pytest.raises((ValueError, IndexError), match="axis 5"):
        cr.linalg.norm(T, 1, axis=(0, 5))


def test_split_as_numpy_splits():
    for where, axis in ((3, 1), ([1], 0), ([1, 2], 1), ([2, 1], 1), ([5], -1), ([-1], 1)):
        for found, expected in zip(np.split(T, where, axis=axis), np.split(X, where, axis=axis), strict=True):
            assert isinstance(found, cr.Tensor)
            np.testing.assert_array_equal(found.numpy(), expected)


REFUSED = {
    "where=": (lambda: np.sum(T, where=X > 2), "sum.*where"),
    "dtype=": (lambda: np.sum(T, dtype=np.float32), "sum.*dtype"),
    "dtype by place": (lambda: np.mean(T, 0, np.float32), "mean.*dtype"),
    "initial=": (lambda: np.max(T, initial=0), "initial"),
    "out=": (lambda: np.sum(T, axis=0, out=np.zeros(3)), "out"),
    "out by place": (lambda: np.sum(T, 0, None, np.zeros(3)), "out"),
    "ufunc out=": (lambda: np.exp(T, out=np.zeros((2, 3))), "out"),
    "ufunc where=": (lambda: np.exp(T, where=X > 2), "where"),
    "clip min=": (lambda: np.clip(T, min=2), "clip.*min"),
    "order=": (lambda: np.reshape(T, 6, order="F"), "order"),
    "kind=": (lambda: np.sort(T, kind="heapsort"), "sort.*kind"),
    "method=": (lambda: np.median(T), "median"),
    "reduce": (lambda: np.add.reduce(T), "add.reduce"),
    "no gate": (lambda: np.fft.fft(T), "fft"),
    "einsum lists": (lambda: np.einsum(T, [0, 1]), "einsum.*subscripts"),
    "stack out=": (lambda: np.stack([T], out=X), "out"),
    "pad mode's own": (lambda: np.pad(T, 1, "reflect", reflect_type="odd"), "reflect_type"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_supported_says_so(call, message):
    with pytest.raises(TypeError, match=message):
        call()


MISTAKES = {
    "no such axis": (lambda: cr.sum(T, axis=5), "sum.*axis 5"),
    "shapes": (lambda: T + np.ones(4), "add.*shape"),
    "product": (lambda: T @ X, r"matmul.*\(2, 3\)"),
    "uneven": (lambda: cr.split(T, 2, axis=1), "length 3.*2 equal"),
    "stack": (lambda: cr.stack([T, X[0]]), "one shape"),
    "split axis": (lambda: cr.split(T, 1, axis=4), "axis 4"),
    "pad mode": (lambda: cr.pad(T, 1, "mirror"), "mirror"),
    "take": (lambda: cr.take_along_axis(T, np.array([0])), "dimensions"),
    "norm": (lambda: cr.linalg.norm(T, "nuc"), "nuc"),
    "einsum": (lambda: cr.einsum("ij", T, T), "1 operands, got 2"),
    "reshape": (lambda: T.reshape(4, 2), "reshape.*4, 2"),
}


@pytest.mark.parametrize(("call", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named(call, message):
    with pytest.raises((ValueError, IndexError), match=message):
        call()


def test__numbers_and_lists_are_arguments_too():
    assert cr.add(3, 4) == 7
    assert cr.sum([1.0, 2.0]) == 3
    assert cr.softmax([0, 0]).tolist() == [0.5, 0.5]
    assert cr.log_softmax([0, 0]).tolist() == [-math.log(2)] * 2
    assert cr.logsumexp([0, 0]) == math.log(2)
    assert cr.sigmoid(np.array([-1000, 1000])).tolist() == [0, 1]
    assert cr.softplus(np.array([0, 200], np.uint8)).tolist() == pytest.approx([math.log(2), 200], rel=1e-3)


def test_sigmoid_is_exact_in_its_lower_tail():
    x = np.array([-700.0, -40.0, -1.0])
    np.testing.assert_allclose(cr.sigmoid(x), [math.exp(-700), math.exp(-40), 1 / (1 + math.e)], rtol=1e-15)
    np.testing.assert_allclose(cr.sigmoid(x.astype(np.float32)[1:]), [math.exp(-40), 1 / (1 + math.e)], rtol=2e-7)


BOUNDED = ["sigmoid", "tanh", "softplus", "logsumexp", "softmax", "log_softmax", "erf", "arctan"]


@pytest.mark.parametrize("gate", BOUNDED)
def test_nothing_overflows(gate):
    """Values and gradients stay finite for arguments of any size, without a warning (warnings are errors here)."""
    for dtype, big in ((np.float32, 1e18), (np.float64, 1e150)):
        x = cr.Tensor(np.array([-big, -1000, 0.0, 1000, big], dtype), requires_grad=True)
        z = cr.GATES[gate](x)
        z.sum().backward()
        assert np.all(np.isfinite(z.numpy()))
        assert np.all(np.isfinite(x.grad.numpy()))
        assert z.dtype == x.grad.dtype == dtype


def test_infinite_scores():
    x = np.array([0.0, -np.inf])
    assert cr.softmax(x).tolist() == [1, 0]
    assert cr.log_softmax(x).tolist() == [0, -np.inf]
    assert cr.logsumexp(np.array([np.inf, 1000.0])) == np.inf
    assert cr.logsumexp(np.array([-np.inf, -np.inf])) == -np.inf


def test_every_option_is_documented():
    for name, gate in cr.GATES.items():
        if gate.module.startswith("chainrule.gates."):
            assert set(gate.options) <= set(gate.about), f"{name}: say in `about` what {gate.options} are"
            assert gate.summary, f"{name} has no summary"
            assert gate.formula, f"{name} has no formula"
            assert gate.example, f"{name} has no example"
            if gate.differentiable:
                assert gate.partials, f"{name} names no partial derivatives"


def test_help_reads_well():
    assert cr.sum.__doc__.splitlines()[:14] == [
        "The sum along axes. It hands the gradient to every element.", "", r".. math:: z = \sum_i x_i", "",
        "Parameters", "----------", "x : tensor, array or number", "    Of any shape.",
        "axis : int, tuple of int or None",
        "    Along which axes; all of them by default.", "keepdims : bool",
        "    Whether these axes stay in the result, with length 1.", "", "Returns"]
