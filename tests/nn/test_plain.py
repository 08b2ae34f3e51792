"""Objects that know nothing of the library, in a model: one gate each, with their own backward."""
from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.by_hand.layers import Affine, BatchNormalization, Dropout
from chainrule.nn.plain import Plain


class OwnTanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dout):
        return dout * (1 - self.y ** 2)


class OwnRelu:
    """With the usual fault."""

    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout[self.mask] = 0
        return dout


def test_it_is_a_layer_of_the_model(rng):
    x, w, w2 = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), rng.normal(size=(2, 5))
    model = nn.Sequential(nn.Linear(3, 5, bias=False).double(), OwnTanh(), nn.Linear(5, 2, bias=False).double())
    model[0].weight.assign(w)
    model[2].weight.assign(w2)
    t = cr.Tensor(x, requires_grad=True)
    model(t).sum().backward()
    h = np.tanh(x @ w.T)
    dh = np.ones((4, 2)) @ w2 * (1 - h ** 2)
    np.testing.assert_allclose(t.grad.numpy(), dh @ w, rtol=1e-12)
    np.testing.assert_allclose(model[0].weight.grad.numpy(), dh.T @ x, rtol=1e-12)
    np.testing.assert_allclose(model[2].weight.grad.numpy(), np.ones((2, 4)) @ h, rtol=1e-12)
    assert cr.check_gradients(model, x) < 1e-8
    np.testing.assert_allclose(model.forward(x), h @ w2.T, rtol=1e-12)       # and by hand
    np.testing.assert_allclose(model.backward(np.ones((4, 2))), dh @ w, rtol=1e-12)


def test_it_goes_by_its_own_name_and_is_differentiated_once():
    model = nn.Sequential(OwnTanh())
    assert repr(model) == "Sequential(\n  (0): OwnTanh()\n)"
    assert isinstance(model[0], Plain)
    assert type(model[0].thing) is OwnTanh
    x = cr.Tensor([1.0], requires_grad=True)
    with pytest.raises(NotImplementedError, match=r"OwnTanh\.backward is written by hand"):
        model(x).sum().backward(create_graph=True)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model.eval()))):
        assert repr(twin) == repr(model)
        np.testing.assert_allclose(twin(x).detach().numpy(), np.tanh([1.0]))
    assert not twin[0].training


def test_used_twice_each_use_gets_its_own_cache():
    tanh = nn.Sequential(OwnTanh())
    x, y = cr.Tensor([0.1], requires_grad=True), cr.Tensor([2.0], requires_grad=True)
    (tanh(x) * 10 + tanh(y)).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 10 * (1 - np.tanh(0.1) ** 2))
    np.testing.assert_allclose(y.grad.numpy(), 1 - np.tanh([2.0]) ** 2)


def test_its_faults_harm_nobody_else_and_are_found():
    x = cr.Tensor([-1.0, 2.0], requires_grad=True)
    (nn.Sequential(OwnRelu())(x) + x).backward([5.0, 5.0])
    assert x.grad.tolist() == [5.0, 10.0]
    with pytest.raises(cr.GradientError, match=r"dout of OwnRelu .*writes into its arguments"):
        cr.check_gradients(nn.Sequential(OwnRelu()), np.array([-1.0, 2.0]))


def test_layers_by_hand_in_a_model(rng):
    """Their own gradients are left in them; the model's mode is theirs."""
    w, b, x = rng.normal(size=(3, 4)), np.zeros(4), rng.normal(size=(6, 3))
    affine, norm = Affine(w, b), BatchNormalization(np.ones(4), np.zeros(4))
    model = nn.Sequential(affine, norm, Dropout(0.5))
    assert cr.check_gradients(model, x) < 1e-7
    model(cr.Tensor(x, requires_grad=True)).sum().backward()
    assert affine.dW.shape == (3, 4)
    mean = norm.running_mean
    model.eval()
    z = model(x).numpy()
    np.testing.assert_allclose(z, (x @ w - mean) / np.sqrt(norm.running_var + 1e-5), rtol=1e-10)
    assert norm.running_mean is mean
    assert not list(model.parameters())                  # theirs are the caller's own


def test_a_model_with_one_is_trained():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    t = (x[:, 0] * x[:, 1] > 0).astype(int)              # no line divides them
    model = nn.Sequential(nn.Linear(2, 16), OwnTanh(), nn.Linear(16, 2))
    optimizer, loss = optim.Adam(model.parameters(), lr=0.05), nn.CrossEntropyLoss()
    for _ in range(200):
        optimizer.zero_grad()
        loss(model(x), t).backward()
        optimizer.step()
    assert (model(x).detach().numpy().argmax(axis=1) == t).mean() > 0.95


def test_what_has_no_backward_or_is_a_class_is_refused():
    class Half:
        def forward(self, x):
            return x

    for thing in (Half(), OwnTanh, np.tanh, None):
        with pytest.raises(TypeError, match="Sequential: expected layers"):
            nn.Sequential(thing)
