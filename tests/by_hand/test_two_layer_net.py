"""The two-layer network: its gradient on paper, by differences, with others' layers inside; what does it no harm."""
from __future__ import annotations

import copy
import sys
from collections import OrderedDict

import numpy as np
import pytest

import chainrule as cr
from chainrule.by_hand.layers import Affine, Relu, SoftmaxWithLoss, Tanh
from chainrule.by_hand.two_layer_net import TwoLayerNet


@pytest.fixture
def net():
    np.random.seed(0)  # noqa: NPY002
    return TwoLayerNet(4, 5, 3)


@pytest.fixture
def batch(rng):
    return rng.normal(size=(6, 4)), np.array([0, 1, 2, 0, 1, 2])


def on_paper(params, x, t):
    """Loss and gradients, derived by hand."""
    w1, b1, w2, b2 = (params[name] for name in ("W1", "b1", "W2", "b2"))
    a = x @ w1 + b1
    h = np.maximum(a, 0)
    s = h @ w2 + b2
    p = np.exp(s - s.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    ds = (p - np.eye(p.shape[1])[t]) / len(x)
    da = ds @ w2.T * (a > 0)
    return (-np.log(p[range(len(x)), t]).mean(),
            {"W1": x.T @ da, "b1": da.sum(0), "W2": h.T @ ds, "b2": ds.sum(0)})


def same(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def test_it_is_what_it_says():
    np.random.seed(1)  # noqa: NPY002
    net = TwoLayerNet(input_size=784, hidden_size=50, output_size=10)
    assert {name: value.shape for name, value in net.params.items()} == {
        "W1": (784, 50), "b1": (50,), "W2": (50, 10), "b2": (10,)}
    assert net.params["W1"].std() == pytest.approx(1.0, rel=0.02)            # unit-normal unless asked otherwise
    assert not net.params["b1"].any()
    assert not net.params["b2"].any()
    assert isinstance(net.layers, OrderedDict)
    assert {name: type(layer) for name, layer in net.layers.items()} == {
        "Affine1": Affine, "Relu1": Relu, "Affine2": Affine}
    assert type(net.lastLayer) is SoftmaxWithLoss
    assert net.layers["Affine1"].W is net.params["W1"]
    np.random.seed(1)  # noqa: NPY002
    small = TwoLayerNet(784, 50, 10, 0.01)
    np.testing.assert_array_equal(small.params["W1"], 0.01 * net.params["W1"])


def test_loss_and_gradient_by_derivation(net, batch):
    x, t = batch
    loss, gradients = on_paper(net.params, x, t)
    assert net.loss(x, t) == pytest.approx(loss, rel=1e-13)
    found = net.gradient(x, t)
    assert list(found) == ["W1", "b1", "W2", "b2"]
    for name, expected in gradients.items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-11, atol=1e-15)
    assert same(found, net.gradient(x, np.eye(3)[t]))                        # one-hot
    np.testing.assert_allclose(net.predict(x), np.maximum(x @ net.params["W1"], 0) @ net.params["W2"], rtol=1e-13)


def test_the_gradient_check_of_the_textbooks(net, batch):
    numerical, backprop = net.numerical_gradient(*batch), net.gradient(*batch)
    assert list(numerical) == ["W1", "b1", "W2", "b2"]
    for name, slope in numerical.items():
        assert np.abs(slope - backprop[name]).mean() < 1e-8


def test_accuracy(net, batch):
    x, t = batch
    scores = np.maximum(x @ net.params["W1"], 0) @ net.params["W2"]
    expected = (scores.argmax(axis=1) == t).mean()
    assert net.accuracy(x, t) == net.accuracy(x, np.eye(3)[t]) == expected
    assert type(net.accuracy(x, t)) is float


def test_an_accuracy_between_does_no_harm(net, batch, rng):
    """Also between the halves of a gradient, which the layers alone cannot tell apart."""
    x, t = batch
    first = net.gradient(x, t)
    net.accuracy(rng.normal(size=(50, 4)), rng.integers(0, 3, 50))
    assert same(net.gradient(x, t), first)
    net.loss(x, t)
    net.accuracy(x[::-1], t)
    dout = net.lastLayer.backward(1)
    for layer in reversed(net.layers.values()):
        dout = layer.backward(dout)
    np.testing.assert_array_equal(net.layers["Affine1"].dW, first["W1"])


def test_ten_thousand_accuracies_hold_nothing(net, batch):
    net.accuracy(*batch)
    before = sys.getallocatedblocks()
    for _ in range(10_000):
        net.accuracy(*batch)
    assert sys.getallocatedblocks() - before < 100
    assert not any(layer._remembered().kept for layer in net.layers.values())


def test_updates_in_place_and_new_arrays_are_both_seen(net, batch):
    x, t = batch
    for _ in range(3):
        gradients = net.gradient(x, t)
        for name in net.params:
            net.params[name] -= 0.1 * gradients[name]
    assert net.loss(x, t) == pytest.approx(on_paper(net.params, x, t)[0], rel=1e-12)
    for name in net.params:
        net.params[name] = net.params[name] * 0.5                            # another array under the name
    loss, gradients = on_paper(net.params, x, t)
    assert net.loss(x, t) == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(net.gradient(x, t)["W1"], gradients["W1"], rtol=1e-11, atol=1e-15)


def test_gradients_that_were_returned_stay(net, batch):
    x, t = batch
    first = net.gradient(x, t)
    kept = {name: value.copy() for name, value in first.items()}
    net.gradient(2 * x, t)
    assert same(first, kept)
    first["W1"] += 1                                     # weight decay, say
    assert same(net.gradient(x, t), kept)


def test_float32_stays(net, batch):
    x, t = batch
    net.params = {name: value.astype(np.float32) for name, value in net.params.items()}
    assert net.predict(x.astype(np.float32)).dtype == np.float32
    assert {value.dtype for value in net.gradient(x.astype(np.float32), t).values()} == {np.dtype(np.float32)}


def test_others_layers_take_a_place(net, batch):
    """A learner's own class, and another of the library's."""
    class OwnTanh:
        def forward(self, x):
            self.y = np.tanh(x)
            return self.y

        def backward(self, dout):
            return dout * (1 - self.y ** 2)

    net.layers["Relu1"] = OwnTanh()
    own = net.gradient(*batch)
    net.layers["Relu1"] = Tanh()
    ours = net.gradient(*batch)
    for name in own:
        np.testing.assert_allclose(own[name], ours[name], rtol=1e-12)
    net.layers["Relu2"] = Relu()                         # and one more
    numerical, backprop = net.numerical_gradient(*batch), net.gradient(*batch)
    for name in numerical:
        np.testing.assert_allclose(backprop[name], numerical[name], rtol=1e-6, atol=1e-9)


def test_differences_leave_everything_as_it_was(net, batch):
    params = {name: value.copy() for name, value in net.params.items()}
    arrays = dict(net.params)
    net.numerical_gradient(*batch)
    assert same(net.params, params)
    assert all(net.params[name] is arrays[name] for name in arrays)
    assert not len(net.lastLayer._remembered().kept)

    class Fails:
        def forward(self, x, t):
            raise KeyboardInterrupt

    net.lastLayer = Fails()
    with pytest.raises(KeyboardInterrupt):
        net.numerical_gradient(*batch)
    assert same(net.params, params)


def test_a_copy_is_a_network_of_its_own(net, batch):
    x, t = batch
    net.gradient(x, t)
    twin = copy.deepcopy(net)
    twin.params["W1"] -= 1
    assert twin.loss(x, t) == pytest.approx(on_paper(twin.params, x, t)[0], rel=1e-12)
    assert net.loss(x, t) == pytest.approx(on_paper(net.params, x, t)[0], rel=1e-12)


def test_samples_in_columns_are_named(net, batch):
    x, t = batch
    with pytest.raises(ValueError, match=r"Affine\.forward: x has shape \(4, 6\), and W \(4, 5\).*pass x\.T"):
        net.loss(x.T, t)


@pytest.mark.slow
@pytest.mark.data
def test_the_gradient_check_on_mnist(data_dir, monkeypatch):
    monkeypatch.setenv("CHAINRULE_DATA", str(data_dir))
    x, t = cr.data.mnist()[0][:2]
    np.random.seed(0)  # noqa: NPY002
    net = TwoLayerNet(784, 10, 10, 0.01)
    numerical, backprop = net.numerical_gradient(x.astype(float), t), net.gradient(x.astype(float), t)
    for name in net.params:
        assert np.abs(numerical[name] - backprop[name]).mean() < 1e-7
