"""The by-hand style, `forward(arrays)` and `backward(dout)`, against derivations on paper and plain differences."""
from __future__ import annotations

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.nn import calls


def differences(f, x, dout, h=1e-6):
    """Central differences of sum(dout * f(x)), in plain NumPy."""
    slopes = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        slopes[i] = (dout * (f(x + step) - f(x - step))).sum() / (2 * h)
    return slopes


class Product(nn.Layer):
    def forward(self, x, y):
        return x * y


class Both(nn.Layer):
    def forward(self, x):
        return x + 1, x * x


def test_numbers_in_numbers_out():
    layer = Product()
    assert layer.forward(3.0, 4.0) == 12.0
    assert type(layer.forward(3, 4)) is float
    dx, dy = layer.backward(2.0)
    assert (dx, dy) == (8.0, 6.0)
    assert type(dx) is float


def test_affine_by_derivation(rng):
    x, d = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    layer = nn.Linear(3, 2).double()
    w, b = layer.weight.numpy(), layer.bias.numpy()
    np.testing.assert_allclose(layer.forward(x), x @ w.T + b, rtol=1e-14)
    np.testing.assert_allclose(layer.backward(d), d @ w, rtol=1e-14)
    np.testing.assert_allclose(layer.weight.grad.numpy(), d.T @ x, rtol=1e-14)
    np.testing.assert_allclose(layer.bias.grad.numpy(), d.sum(axis=0), rtol=1e-14)


@pytest.mark.parametrize(("layer", "function"), [
    (nn.ReLU(), lambda x: np.maximum(x, 0)),
    (nn.Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
    (nn.Tanh(), np.tanh),
    (nn.Softmax(dim=1), lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)),
    (nn.Softmax(dim=0), lambda x: np.exp(x) / np.exp(x).sum(axis=0, keepdims=True)),
    (nn.Identity(), lambda x: x),
    (nn.Flatten(), lambda x: x.reshape(len(x), -1)),
    (nn.BatchNorm1d(4, affine=False, eps=0.5), lambda x: (x - x.mean(0)) / np.sqrt(x.var(0) + 0.5)),
], ids=lambda v: getattr(type(v), "__name__", None))
def test_each_layer_against_plain_numpy(layer, function, rng):
    x, d = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    np.testing.assert_allclose(layer.forward(x), function(x), rtol=1e-12)
    np.testing.assert_allclose(layer.backward(d), differences(function, x, d), rtol=1e-6, atol=1e-8)


def test_losses_by_derivation(rng):
    x, t = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    loss = nn.MSELoss()
    assert loss.forward(x, t) == pytest.approx(((x - t) ** 2).mean(), rel=1e-14)
    np.testing.assert_allclose(loss.backward(), 2 * (x - t) / 12, rtol=1e-14)

    labels = np.array([0, 2, 1, 2])
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    loss = nn.CrossEntropyLoss()
    assert loss.forward(x, labels) == pytest.approx(-np.log(p[range(4), labels]).mean(), rel=1e-13)
    np.testing.assert_allclose(loss.backward(), (p - np.eye(3)[labels]) / 4, rtol=1e-12)

    y = np.array([0.0, 1.0, 1.0])
    s = 1 / (1 + np.exp(-x[0]))
    loss = nn.BCEWithLogitsLoss()
    assert loss.forward(x[0], y) == pytest.approx(-(y * np.log(s) + (1 - y) * np.log(1 - s)).mean(), rel=1e-13)
    np.testing.assert_allclose(loss.backward(), (s - y) / 3, rtol=1e-12)
    loss = nn.BCELoss()
    assert loss.forward(s, y) == pytest.approx(-(y * np.log(s) + (1 - y) * np.log(1 - s)).mean(), rel=1e-13)
    np.testing.assert_allclose(loss.backward(), (s - y) / (s * (1 - s)) / 3, rtol=1e-12)


def test_a_loss_honours_dout_and_returns_the_gradient_of_the_scores_alone(rng):
    x, labels = rng.normal(size=(4, 3)), np.array([0, 2, 1, 2])
    loss = nn.CrossEntropyLoss()
    loss.forward(x, labels)
    once = loss.backward()
    loss.forward(x, labels)
    assert isinstance(once, np.ndarray)
    np.testing.assert_allclose(loss.backward(-2.5), -2.5 * once, rtol=1e-14)
    each = nn.MSELoss(reduction="none")
    each.forward(x, x + 1)
    np.testing.assert_allclose(each.backward(x), -2 * x, rtol=1e-14)


def test_relu_does_not_write_into_dout():
    layer, d = nn.ReLU(), np.array([1.0, 2.0])
    layer.forward(np.array([-1.0, 1.0]))
    dx = layer.backward(d)
    assert d.tolist() == [1.0, 2.0]
    assert dx.tolist() == [0.0, 2.0]
    dx[:] = 7                                            # what comes back is the caller's own
    assert d.tolist() == [1.0, 2.0]


def test_no_layer_writes_into_what_it_is_given(rng):
    x, d = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    x.flags.writeable = d.flags.writeable = False
    for layer in (nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.Softmax(), nn.Identity(), nn.Flatten(), nn.Dropout(0.5),
                  nn.BatchNorm1d(4), nn.Linear(4, 4)):
        layer.forward(x)
        layer.backward(d)


def test_results_may_be_written_into_and_inputs_changed_afterwards():
    x = np.array([-1.0, 2.0])
    for layer, expected in ((nn.Sigmoid(), None), (nn.ReLU(), [0.0, 1.0]), (nn.Identity(), [1.0, 1.0])):
        given = x.copy()
        z = layer.forward(given)
        s = z.copy()
        z[:], given[:] = 99, 99
        np.testing.assert_allclose(layer.backward(np.ones(2)), s * (1 - s) if expected is None else expected)


def test_a_layer_used_twice_keeps_both_calls():
    layer = nn.Linear(2, 1, bias=False)
    first, second = np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])
    layer.forward(first)
    layer.forward(second)
    layer.backward([[1.0]])                              # the newest first
    assert layer.weight.grad.tolist() == second.tolist()
    layer.backward([[1.0]])                              # a backward after a backward adds
    assert layer.weight.grad.tolist() == (first + second).tolist()
    layer.forward(first)
    layer.backward([[1.0]])                              # a backward after a forward overwrites
    assert layer.weight.grad.tolist() == first.tolist()
    with pytest.raises(RuntimeError, match=r"Linear\(2 → 1, no bias\)\.backward: no forward call"):
        layer.backward([[1.0]])


def test_a_forward_after_a_backward_drops_what_is_left():
    layer = nn.ReLU()
    for _ in range(3):
        layer.forward(np.ones(2))
    layer.backward(np.ones(2))
    layer.forward(np.ones(2))
    layer.backward(np.ones(2))
    with pytest.raises(RuntimeError, match="no forward call"):
        layer.backward(np.ones(2))


def test_nothing_is_kept_in_eval_or_under_no_grad():
    layer = nn.ReLU().eval()
    assert layer.forward(np.array([-1.0, 1.0])).tolist() == [0.0, 1.0]
    with pytest.raises(RuntimeError, match="eval"):
        layer.backward(np.ones(2))
    layer.train()
    with cr.no_grad():
        layer.forward(np.ones(2))
    with pytest.raises(RuntimeError, match="no_grad"):
        layer.backward(np.ones(2))


def test_eval_gives_the_same_values_and_dtypes(rng):
    x = rng.normal(size=(3, 2))
    layer = nn.Linear(2, 2)
    trained = layer.forward(x)
    evaluated = layer.eval().forward(x)
    assert trained.dtype == evaluated.dtype == np.float32
    np.testing.assert_array_equal(trained, evaluated)
    assert Product().eval().forward(3, 4) == 12.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_the_caller_comes_back(dtype):
    x = np.ones((2, 3), dtype)
    layer = nn.Linear(3, 2)
    layer.forward(x)
    assert layer.backward(np.ones((2, 2))).dtype == dtype
    assert layer.weight.grad.dtype == np.float32
    loss = nn.CrossEntropyLoss()
    assert loss.forward(x, np.array([0, 1])).dtype == dtype
    assert loss.backward().dtype == dtype
    mse = nn.MSELoss()
    assert mse.forward(x, np.zeros((2, 3))).dtype == dtype


def test_integers_meet_parameters_as_floats_and_have_no_gradient_otherwise():
    layer = nn.Linear(3, 1, bias=False)
    x = np.arange(6).reshape(2, 3)
    layer.forward(x)
    dx = layer.backward(np.ones((2, 1)))
    np.testing.assert_allclose(dx, np.repeat(layer.weight.numpy(), 2, 0))
    assert layer.weight.grad.tolist() == [[3.0, 5.0, 7.0]]
    relu = nn.ReLU()
    relu.forward(np.array([-1, 2]))
    with pytest.raises(TypeError, match=r"ReLU\.backward.*floating-point"):
        relu.backward(np.ones(2))

    class Pick(nn.Layer):
        def forward(self, x, i):
            return x[i]

    pick = Pick()
    assert pick.forward(np.array([1.0, 2.0]), np.array([1, 1])).tolist() == [2.0, 2.0]
    assert pick.backward(np.ones(2)).tolist() == [0.0, 2.0]            # one gradient: integers have none


def test_several_results_and_gradients():
    layer = Both()
    a, b = layer.forward(np.array([3.0]))
    assert (a.tolist(), b.tolist()) == ([4.0], [9.0])
    assert layer.backward((np.array([1.0]), np.array([10.0]))).tolist() == [61.0]
    layer.forward(np.array([3.0]))
    assert layer.backward((None, np.array([1.0]))).tolist() == [7.0]
    layer.forward(np.array([3.0]))
    assert layer.backward().tolist() == [7.0]
    layer.forward(np.array([3.0]))
    with pytest.raises(ValueError, match="2 results"):
        layer.backward(np.array([1.0]))


def test_a_result_given_twice_gets_both_gradients():
    class Twice(nn.Layer):
        def forward(self, x):
            z = x * 3
            return z, z

    layer = Twice()
    layer.forward(np.array([1.0]))
    assert layer.backward((np.array([1.0]), np.array([10.0]))).tolist() == [33.0]


def test_dout_of_a_wrong_shape():
    layer = nn.ReLU()
    layer.forward(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"ReLU\.backward: dout has shape \(3,\), but forward returned \(2, 3\)"):
        layer.backward(np.ones(3))


def test_call_gives_each_call_its_own_way_back():
    layer = nn.Linear(1, 1, bias=False)
    out, back = layer.call(np.array([[2.0]]))
    _, other = layer.call(np.array([[5.0]]))
    back([[1.0]])
    other([[1.0]])
    back([[1.0]])                                        # as often as wanted; gradients add
    assert layer.weight.grad.tolist() == [[9.0]]
    np.testing.assert_allclose(out, 2 * layer.weight.numpy())
    with cr.no_grad():
        _, back = layer.call(np.array([[2.0]]))
    np.testing.assert_allclose(back([[1.0]]), layer.weight.numpy())


def test_keywords_reach_forward_by_hand():
    layer = Product()
    assert layer.forward(y=np.array([2.0]), x=np.array([3.0])).tolist() == [6.0]
    dx, dy = layer.backward(np.array([1.0]))
    assert (dx.tolist(), dy.tolist()) == ([2.0], [3.0])


def test_a_number_beside_an_array_is_a_setting():
    class Power(nn.Layer):
        def forward(self, x, times):
            for _ in range(times):
                x = x * 2
            return x

    layer = Power()
    assert layer.forward(np.ones(1, np.float32), 3).tolist() == [8.0]
    assert layer.backward(np.ones(1)).tolist() == [8.0]
    assert layer(np.ones(1, np.float32), 3).dtype == np.float32


def test_a_whole_model_by_hand(rng):
    """The textbooks' loop: forward through a list, backward through it reversed, equals the tape."""
    x, labels = rng.normal(size=(6, 4)).astype(np.float32), np.array([0, 1, 2, 0, 1, 2])
    layers = [nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)]
    loss = nn.CrossEntropyLoss()
    z = x
    for layer in layers:
        z = layer.forward(z)
    value = loss.forward(z, labels)
    d = loss.backward()
    for layer in reversed(layers):
        d = layer.backward(d)
    by_hand = [p.grad.numpy() for layer in layers for p in layer.parameters()]

    w1, b1, w2, b2 = (p.numpy().astype(float) for layer in layers for p in layer.parameters())
    h = np.tanh(x @ w1.T + b1)
    s = h @ w2.T + b2
    p = np.exp(s) / np.exp(s).sum(1, keepdims=True)
    ds = (p - np.eye(3)[labels]) / 6
    dh = ds @ w2 * (1 - h * h)
    np.testing.assert_allclose(value, -np.log(p[range(6), labels]).mean(), rtol=1e-5)
    for got, expected in zip([*by_hand, d], [dh.T @ x, dh.sum(0), ds.T @ h, ds.sum(0), dh @ w1], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_ten_thousand_forwards_hold_a_bounded_amount_of_memory(monkeypatch):
    monkeypatch.setattr(calls, "MOST_CALLS", 50)
    layer, x = nn.Sequential(nn.Linear(16, 16), nn.ReLU()), np.ones((4, 16), np.float32)
    tracemalloc.start()
    try:
        for _ in range(100):
            layer.forward(x)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10_000):
            layer.forward(x)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000                                # less than the results of eighty calls


def test_the_bytes_held_are_bounded_and_parameters_do_not_count(monkeypatch):
    monkeypatch.setattr(calls, "MOST_BYTES", 10_000)
    layer = nn.Linear(1, 10_000, bias=False)             # 40 kB of parameters
    small = nn.Linear(100, 1, bias=False)
    for _ in range(5):
        small.forward(np.ones((2, 100), np.float32))
        layer.forward(np.ones((1, 1), np.float32))
    assert len(small._calls.kept) == 5
    assert len(layer._calls.kept) == 1                   # 40 kB of results each: the newest alone is kept
    layer.backward(np.ones((1, 10_000)))
    with pytest.raises(RuntimeError):
        layer.backward(np.ones((1, 10_000)))


def test_by_hand_calls_make_no_reference_cycles():
    gc.disable()
    try:
        layer = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        layer.forward(np.ones((1, 2)))
        gone = weakref.ref(layer)
        del layer
        assert gone() is None
    finally:
        gc.enable()


def test_parameters_written_between_forward_and_backward_are_caught():
    layer = nn.Linear(2, 2)
    layer.forward(np.ones((1, 2)))
    with cr.no_grad():
        layer.weight -= 1
    with pytest.raises(RuntimeError, match="written in place"):
        layer.backward(np.ones((1, 2)))
