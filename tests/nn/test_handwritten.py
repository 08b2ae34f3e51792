"""Layers whose author wrote backward: by hand, and as one gate inside a model."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn


class HandRelu(nn.Layer):
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class HandLinear(nn.Layer):
    def __init__(self, inputs, outputs):
        self.w = nn.Parameter(np.linspace(-1, 1, inputs * outputs).reshape(outputs, inputs))

    def forward(self, x):
        self.x = x
        return x @ self.w.T

    def backward(self, dout):
        self.w.grad = dout.T @ self.x
        return dout @ self.w


def test_it_runs_by_hand_as_it_stands():
    layer, x = HandLinear(3, 2), np.array([[1.0, 2.0, 3.0]])
    w = layer.w.numpy()
    z = layer.forward(x)
    assert type(z) is np.ndarray
    np.testing.assert_allclose(z, x @ w.T)
    dx = layer.backward(np.array([[1.0, 10.0]]))
    assert type(dx) is np.ndarray
    np.testing.assert_allclose(dx, np.array([[1.0, 10.0]]) @ w)
    np.testing.assert_allclose(layer.w.grad.numpy(), [[1, 2, 3], [10, 20, 30]])


def test_inside_a_model_it_is_one_gate_and_its_parameters_are_trained():
    x = np.array([[1.0, 2.0, 3.0]])                      # data: no gradient is asked for
    layer = HandLinear(3, 2)
    model = nn.Sequential(layer, HandRelu())
    z = model(x)
    z.sum().backward()
    mask = x @ layer.w.numpy().T > 0
    np.testing.assert_allclose(layer.w.grad.numpy(), mask.T * x)
    z = model(x)
    z.sum().backward()                                   # and they add up, like any others
    np.testing.assert_allclose(layer.w.grad.numpy(), 2 * mask.T * x)


def test_used_twice_in_one_graph_each_use_gets_its_own_cache():
    relu = HandRelu()
    x = cr.Tensor([-1.0, 2.0], requires_grad=True)
    y = cr.Tensor([3.0, -4.0], requires_grad=True)
    (relu(x) * 10 + relu(y)).sum().backward()
    assert x.grad.tolist() == [0.0, 10.0]
    assert y.grad.tolist() == [1.0, 0.0]


def test_the_whole_by_hand_style_around_it(rng):
    x = rng.normal(size=(4, 3))
    hand = HandRelu()
    np.testing.assert_array_equal(hand.forward(x), np.maximum(x, 0))
    np.testing.assert_array_equal(hand.backward(x), np.maximum(x, 0))
    model = nn.Sequential(nn.Linear(3, 2).double(), HandRelu())
    twin = nn.Sequential(model[0], nn.ReLU())
    model.forward(x)
    dx, dw = model.backward(np.ones((4, 2))), model[0].weight.grad.numpy()
    twin.forward(x)
    np.testing.assert_allclose(dx, twin.backward(np.ones((4, 2))))
    np.testing.assert_allclose(dw, model[0].weight.grad.numpy())


def test_a_second_derivative_names_the_class():
    x = cr.Tensor([1.0], requires_grad=True)
    with pytest.raises(NotImplementedError, match=r"HandRelu\.backward is written by hand"):
        HandRelu()(x).sum().backward(create_graph=True)


def test_a_composition_of_library_layers_by_hand():
    class Net(nn.Layer):
        def __init__(self):
            self.first, self.act = nn.Linear(2, 3).double(), nn.Tanh()

        def forward(self, x):
            return self.act.forward(self.first.forward(x))

        def backward(self, dout):
            return self.first.backward(self.act.backward(dout))

    net = Net()
    twin = nn.Sequential(net.first, net.act)
    x = np.array([[1.0, -2.0]])
    np.testing.assert_allclose(net.forward(x), twin(x).detach().numpy())
    dx, dw = net.backward(np.ones((1, 3))), net.first.weight.grad.numpy()
    twin.forward(x)
    np.testing.assert_allclose(dx, twin.backward(np.ones((1, 3))))
    np.testing.assert_allclose(dw, net.first.weight.grad.numpy())
    net.zero_grad()
    leaf = cr.Tensor(x, requires_grad=True)
    net(leaf).sum().backward()                           # and as one gate
    np.testing.assert_allclose(leaf.grad.numpy(), dx)
    np.testing.assert_allclose(net.first.weight.grad.numpy(), dw)


def test_inheritance():
    class Template(nn.Layer):                            # backward in the base, forward in the subclass
        def backward(self, dout):
            return dout * self.slope

    class Triple(Template):
        def forward(self, x):
            self.slope = 3.0
            return x * 3

    class Free(Triple):                                  # and back to the derived backward
        backward = nn.Layer.backward

    layer = Triple()
    layer.forward(np.ones(2))
    assert layer.backward(np.ones(2)).tolist() == [3.0, 3.0]
    x = cr.Tensor([1.0], requires_grad=True)
    assert Triple()(x).gate.name == "handwritten"
    assert Free()(x).gate.name == "multiply"
    free = Free()
    free.forward(np.ones(2))
    assert free.backward(np.ones(2)).tolist() == [3.0, 3.0]

    class Doubled(nn.ReLU):                              # a backward of one's own for a layer of the library
        def backward(self, dout):
            return 2 * dout

    layer = Doubled()
    assert layer.forward(np.array([-1.0])).tolist() == [0.0]
    assert layer.backward(np.array([1.0])).tolist() == [2.0]


def test_what_a_wrong_backward_returns_is_named():
    class Wrong(nn.Layer):
        def forward(self, x):
            return x * 2

        def backward(self, dout):
            return dout.sum()

    class Many(nn.Layer):
        def forward(self, x):
            return x * 2

        def backward(self, dout):
            return dout, dout, dout

    x = cr.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"Wrong\.backward returned a gradient of shape \(\) .* of shape \(2,"):
        Wrong()(x).sum().backward()
    with pytest.raises(ValueError, match=r"Many\.backward returned 3 gradients for 1 inputs"):
        Many()(x).sum().backward()


def test_a_handwritten_loss_with_a_constant_target():
    class Squared(nn.Layer):
        constants = ("target",)

        def forward(self, x, target):
            self.away = x - target
            return (self.away ** 2).sum()

        def backward(self, dout=1.0):
            return 2 * self.away * dout

    loss = Squared()
    x = cr.Tensor([1.0, 2.0], requires_grad=True)
    loss(x, np.array([0.0, 0.0])).backward()
    assert x.grad.tolist() == [2.0, 4.0]
    assert loss.forward(np.array([3.0]), np.array([1.0])) == 4.0
    assert loss.backward().tolist() == [4.0]


def test_options_reach_a_handwritten_forward():
    class Scaled(nn.Layer):
        def forward(self, x, by=1.0):
            self.by = by
            return x * by

        def backward(self, dout):
            return dout * self.by

    x = cr.Tensor([1.0], requires_grad=True)
    Scaled()(x, by=5.0).sum().backward()
    assert x.grad.tolist() == [5.0]
