"""Tests of batch_norm_network.py: python -m pytest test_batch_norm_network.py"""
import numpy as np
import pytest
from batch_norm_network import BatchNorm, NormalizedNet

import chainrule as cr
from chainrule.by_hand.layers import BatchNormalization
from chainrule.by_hand.two_layer_net import numerical_gradient

rng = np.random.default_rng(9)
X = rng.normal(size=(8, 4)) * np.array([0.1, 1.0, 5.0, 30.0]) + np.array([3.0, 0.0, -20.0, 1.0])
GAMMA, BETA = np.array([1.0, 2.0, -0.5, 0.3]), np.array([0.0, 1.0, -1.0, 7.0])
NAMES = ["W1", "b1", "gamma1", "beta1", "W2", "b2"]


def the_librarys(momentum=0.9):
    return BatchNormalization(GAMMA, BETA, momentum, running_mean=np.zeros(4), running_var=np.ones(4))


def network():
    """Return a network, whose gamma and beta are not the first ones, and a batch for it."""
    np.random.seed(4)  # noqa: NPY002    TwoLayerNet draws its weights from there
    net = NormalizedNet(5, 6, 3)
    net.params["gamma1"] += rng.normal(size=6) / 5
    net.params["beta1"] += rng.normal(size=6) / 5
    return net, rng.normal(size=(12, 5)), rng.integers(0, 3, 12)


# ---------------------------------------------------------------------- the layer
def test_mean_and_variance_in_training():
    y = BatchNorm(np.ones(4), np.zeros(4), eps=0).forward(X)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-12)


def test_forward_in_training():
    np.testing.assert_allclose(BatchNorm(GAMMA, BETA).forward(X), the_librarys().forward(X), rtol=1e-10)


@pytest.mark.parametrize("momentum", [0.9, 0.5, 0.0])
def test_running_statistics(momentum):
    layer, right = BatchNorm(GAMMA, BETA, momentum), the_librarys(momentum)
    for batch in (X, 2 * X - 1, X[:5]):
        layer.forward(batch)
        right.forward(batch)
    np.testing.assert_allclose(layer.running_mean, right.running_mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, right.running_var, rtol=1e-12)
    np.testing.assert_allclose(layer.forward(X, train_flg=False), right.forward(X, train_flg=False), rtol=1e-10)


def test_outside_training_a_row_does_not_depend_on_the_others():
    layer = BatchNorm(GAMMA, BETA)
    layer.forward(X)
    before = layer.running_mean.copy(), layer.running_var.copy()
    together, alone = layer.forward(X, train_flg=False), layer.forward(X[:1], train_flg=False)
    np.testing.assert_allclose(together[:1], alone, rtol=1e-12)
    np.testing.assert_array_equal(layer.running_mean, before[0])
    np.testing.assert_array_equal(layer.running_var, before[1])


def test_backward():
    layer, right = BatchNorm(GAMMA, BETA), the_librarys()
    dout = rng.normal(size=X.shape)
    layer.forward(X)
    right.forward(X)
    np.testing.assert_allclose(layer.backward(dout), right.backward(dout), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(layer.dgamma, right.dgamma, rtol=1e-10)
    np.testing.assert_allclose(layer.dbeta, right.dbeta, rtol=1e-10)


def test_gradient_check():
    """Also sees whether backward writes into dout, and whether it is linear in it."""
    assert cr.check_gradients(BatchNorm(GAMMA, BETA), X) < 1e-6


# ---------------------------------------------------------------------- the network
def test_parameters_and_layers():
    net = NormalizedNet(5, 6, 3, weight_init_std=0.01)
    assert set(net.params) == set(NAMES)
    assert list(net.layers) == ["Affine1", "BatchNorm1", "Relu1", "Affine2"]
    np.testing.assert_array_equal(net.params["gamma1"], np.ones(6))
    np.testing.assert_array_equal(net.params["beta1"], np.zeros(6))
    assert net.layers["BatchNorm1"].gamma is net.params["gamma1"]      # so that it sees the updates
    assert net.layers["BatchNorm1"].beta is net.params["beta1"]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_the_network(name):
    net, x, t = network()
    found = net.gradient(x, t)
    assert set(found) == set(NAMES)
    with cr.no_grad():
        numeric = numerical_gradient(lambda _: net.loss(x, t, train_flg=True), net.params[name])
    assert found[name].shape == net.params[name].shape
    np.testing.assert_allclose(found[name], numeric, rtol=1e-5, atol=1e-8)


def test_predict_and_accuracy_are_outside_training():
    net, x, t = network()
    net.gradient(x, t)
    before = net.layers["BatchNorm1"].running_mean.copy()
    np.testing.assert_allclose(net.predict(x)[:1], net.predict(x[:1]), rtol=1e-10)
    net.accuracy(x, t)
    net.loss(x, t)
    np.testing.assert_array_equal(net.layers["BatchNorm1"].running_mean, before)


def test_it_learns():
    """XOR, from weights of 0.01; after 200 steps the running statistics are those of the four points."""
    np.random.seed(1)  # noqa: NPY002
    net = NormalizedNet(2, 16, 2, weight_init_std=0.01)
    x, t = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])
    first = net.loss(x, t, train_flg=True)
    for _ in range(200):
        for name, slope in net.gradient(x, t).items():
            net.params[name] -= 0.5 * slope
    assert net.loss(x, t) < first / 10
    assert net.accuracy(x, t) == 1.0
