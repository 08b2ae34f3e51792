"""Code on plain arrays, compiled as it stands: what it writes into, what it puts elsewhere, and what is refused."""
from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.by_hand import layers
from chainrule.compiler import RecordingError
from chainrule.gate import Gate


def poisoned(*_, **__):
    raise AssertionError("a replay must not apply gates")


@pytest.fixture
def poison(monkeypatch):
    def poison():
        monkeypatch.setattr(Gate, "__call__", poisoned)
        monkeypatch.setattr(Gate, "result", poisoned)
    return poison


@pytest.fixture
def x():
    return np.arange(6.0).reshape(2, 3) - 2


# ---------------------------------------------------------------------- textbook code
class SGD:
    def __init__(self, params, lr=0.1):
        self.lr = lr

    def update(self, params, grads):
        for key in params:
            params[key] -= self.lr * grads[key]


class Momentum(SGD):
    def __init__(self, params, lr=0.01):
        self.lr, self.v = lr, {key: np.zeros_like(value) for key, value in params.items()}

    def update(self, params, grads):
        for key in params:
            self.v[key] = 0.9 * self.v[key] - self.lr * grads[key]
            params[key] += self.v[key]


class AdaGrad(SGD):
    def __init__(self, params, lr=0.1):
        self.lr, self.h = lr, {key: np.zeros_like(value) for key, value in params.items()}

    def update(self, params, grads):
        for key in params:
            self.h[key] += grads[key] * grads[key]
            params[key] -= self.lr * grads[key] / (np.sqrt(self.h[key]) + 1e-7)


class RMSprop(AdaGrad):
    def update(self, params, grads):
        for key in params:
            self.h[key] *= 0.99
            self.h[key] += (1 - 0.99) * grads[key] * grads[key]
            params[key] -= self.lr * grads[key] / (np.sqrt(self.h[key]) + 1e-7)


class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b
        self.x = self.original_x_shape = self.dW = self.db = None

    def forward(self, x):
        self.original_x_shape = x.shape
        x = x.reshape(x.shape[0], -1)
        self.x = x
        return np.dot(self.x, self.W) + self.b

    def backward(self, dout):
        dx = np.dot(dout, self.W.T)
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return dx.reshape(*self.original_x_shape)


class Sigmoid:
    def __init__(self):
        self.out = None

    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        return dout * (1.0 - self.out) * self.out


class SoftmaxWithLoss:
    def forward(self, x, t):
        x = x - np.max(x, axis=-1, keepdims=True)
        self.t, self.y = t, np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)
        self.loss = -np.sum(np.log(self.y + 1e-7) * t) / t.shape[0]
        return self.loss

    def backward(self, dout=1):
        return (self.y - self.t) / self.t.shape[0]


class Net:
    """A network as textbooks have it, of their layers or of ours."""

    def __init__(self, affine=Affine, sigmoid=Sigmoid, last=SoftmaxWithLoss, decay=0.0):
        rng = np.random.default_rng(0)
        self.params = {"W1": rng.standard_normal((12, 8)), "b1": np.zeros(8),
                       "W2": rng.standard_normal((8, 3)), "b2": np.zeros(3)}
        self.layers = OrderedDict(Affine1=affine(self.params["W1"], self.params["b1"]), Sigmoid1=sigmoid(),
                                  Affine2=affine(self.params["W2"], self.params["b2"]))
        self.last, self.decay = last(), decay

    def loss(self, x, t):
        for layer in self.layers.values():
            x = layer.forward(x)
        decay = 0
        for i in (1, 2):
            decay += 0.5 * self.decay * np.sum(self.params[f"W{i}"] ** 2)
        return self.last.forward(x, t) + decay

    def gradient(self, x, t):
        self.value = self.loss(x, t)
        dout = self.last.backward(1)
        for layer in reversed(list(self.layers.values())):
            dout = layer.backward(dout)
        grads = {}
        for i in (1, 2):
            layer = self.layers[f"Affine{i}"]
            grads[f"W{i}"], grads[f"b{i}"] = layer.dW + self.decay * layer.W, layer.db
        return grads


def training(rule, **options):
    net = Net(**options)
    optimizer = rule(net.params)

    def step(x, t):
        optimizer.update(net.params, net.gradient(x, t))
        return net.value
    return net, step


OURS = {"affine": layers.Affine, "sigmoid": layers.Sigmoid, "last": layers.SoftmaxWithLoss}
THEIRS = {}


@pytest.mark.parametrize("kinds", [OURS, THEIRS], ids=["our layers", "their layers"])
@pytest.mark.parametrize("rule", [SGD, Momentum, AdaGrad, RMSprop])
def test_textbook_code_unchanged(rule, kinds, poison, rng):
    (ours, step), (theirs, eager) = training(rule, decay=0.01, **kinds), training(rule, decay=0.01, **kinds)
    compiled, held = cr.compile(step), dict(ours.params)
    batches = [(rng.standard_normal((9, 12)), np.eye(3)[rng.integers(0, 3, 9)]) for _ in range(60)]
    expected = [eager(*batch) for batch in batches]
    found = []
    for i, batch in enumerate(batches):
        if i == 4:
            poison()
        found.append(compiled(*batch))
        assert type(ours.value) is np.float64                # what a step leaves in attributes is what eager code does
        assert ours.value == found[-1].item()
    np.testing.assert_allclose([z.item() for z in found], expected, rtol=1e-9)
    for key, array in theirs.params.items():
        np.testing.assert_allclose(ours.params[key], array, rtol=1e-9, atol=1e-12)
        assert ours.params[key] is held[key]
    np.testing.assert_allclose(ours.layers["Affine1"].dW, theirs.layers["Affine1"].dW, rtol=1e-9, atol=1e-12)


def test_what_layers_of_the_user_note_is_what_eager_ones_note(rng):
    """Shapes too, with batches of two sizes in turn; and no more programs than that takes."""
    (ours, step), (theirs, eager) = training(SGD), training(SGD)
    compiled = cr.compile(step)
    for t in range(30):
        n = 5 if t % 7 == 6 else 9
        batch = rng.standard_normal((n, 3, 4)), np.eye(3)[rng.integers(0, 3, n)]
        assert compiled(*batch).item() == pytest.approx(eager(*batch), rel=1e-12)
        assert ours.layers["Affine1"].original_x_shape == theirs.layers["Affine1"].original_x_shape == (n, 3, 4)
        np.testing.assert_allclose(ours.layers["Sigmoid1"].out, theirs.layers["Sigmoid1"].out, rtol=1e-12)
        assert type(ours.layers["Sigmoid1"].out) is np.ndarray
    assert compiled.recordings <= 3                          # nothing was noted before the first call


def test_every_nth_step_can_be_checked(rng):
    net, step = training(Momentum)
    compiled = cr.compile(step, check=2)
    for _ in range(8):
        compiled(rng.standard_normal((9, 12)), np.eye(3)[rng.integers(0, 3, 9)])
    held = [array.copy() for array in net.params.values()]
    net.decay = 0.5                                          # a number in an object of the user's is baked in
    with pytest.raises(cr.compiler.check.DifferenceError):
        for _ in range(2):
            held = [array.copy() for array in net.params.values()]
            compiled(rng.standard_normal((9, 12)), np.eye(3)[rng.integers(0, 3, 9)])
    for before, array in zip(held, net.params.values(), strict=True):
        np.testing.assert_array_equal(array, before)


# ---------------------------------------------------------------------- our layers
def test_batch_normalization_and_dropout(x, poison):
    def make():
        cr.random.seed(3)
        norm, drop = layers.BatchNormalization(np.ones(3), np.zeros(3)), layers.Dropout(0.4)

        def step(x):
            z = drop.forward(norm.forward(x))
            return z, norm.backward(drop.backward(2 * z)), norm.dgamma
        return norm, step

    (theirs, eager), rng = make(), np.random.default_rng(0)
    batches = [x + rng.standard_normal(x.shape) for _ in range(8)]
    expected = [eager(batch) for batch in batches]
    ours, step = make()
    compiled = cr.compile(step)
    for i, batch in enumerate(batches):
        if i == 3:                                           # without running statistics it is another program
            poison()
        for found, wanted in zip(compiled(batch), expected[i], strict=True):
            np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ours.running_mean, theirs.running_mean, rtol=1e-12)
    np.testing.assert_allclose(ours.running_var, theirs.running_var, rtol=1e-12)
    assert compiled.recordings == 2


def test_a_setting_of_a_layer_may_change(x):
    drop = layers.Dropout(0.0)
    compiled = cr.compile(lambda x: drop.forward(x))
    for _ in range(3):
        np.testing.assert_array_equal(compiled(x).numpy(), x)
    drop.ratio = 1.0
    np.testing.assert_array_equal(compiled(x).numpy(), 0 * x)


def test_a_layer_used_twice_adds_up(x):
    layer = layers.Affine(np.eye(3), np.zeros(3))

    def step(x):
        z = layer.forward(layer.forward(x))
        layer.backward(layer.backward(z))
        return layer.dW

    expected = step(x)
    compiled = cr.compile(step)
    for _ in range(4):
        np.testing.assert_allclose(compiled(x).numpy(), expected, rtol=1e-12)
        np.testing.assert_allclose(layer.dW, expected, rtol=1e-12)


def test_inference_does_not_mind_training_in_between(x, rng):
    net, step = training(SGD, **OURS)
    batch = rng.standard_normal((9, 12)), np.eye(3)[rng.integers(0, 3, 9)]
    loss = cr.compile(lambda x, t: net.loss(x, t))
    for _ in range(6):
        step(*batch)
        with cr.no_grad():
            assert loss(*batch).item() == pytest.approx(net.loss(*batch), rel=1e-12)
    assert loss.recordings == 1


# ---------------------------------------------------------------------- layers of the framework, by hand
def test_calls_belong_to_the_step(x):
    """A forward outside is no call that a step can go back through, nor the other way round."""
    layer = nn.Linear(3, 2, dtype=np.float64)
    layer.forward(x)
    with pytest.raises(RuntimeError, match="no forward call on arrays is left"):
        cr.compile(lambda d: layer.backward(d))(np.ones((2, 2)))
    step = cr.compile(lambda x: layer.forward(x))
    for _ in range(3):
        step(x)
        with pytest.raises(RuntimeError, match="no forward call on arrays is left"):
            layer.backward(np.ones((2, 2)))


def test_by_hand_or_with_tensors(x):
    """A layer takes an argument as eager code does: what is computed from arrays is an array, until a layer has it."""
    first, second = nn.Linear(3, 3, dtype=np.float64), nn.Linear(3, 2, dtype=np.float64)

    def by_hand(x):
        z = second.forward(first.forward(x / 2) + 1)
        return first.backward(second.backward(z) * 3)

    def with_tensors(x):
        first.zero_grad(), second.zero_grad()
        second.forward(first(x / 2)).sum().backward()
        return first.weight.grad

    for step in by_hand, with_tensors:
        expected, compiled = np.array(step(x)), cr.compile(step)
        for _ in range(3):
            np.testing.assert_allclose(compiled(x).numpy(), expected, rtol=1e-12)


def test_a_layer_with_a_backward_of_its_own(x):
    class Scale(nn.Layer):
        def __init__(self):
            self.w = nn.Parameter(np.ones(3))

        def forward(self, x):
            self.x = x
            return x * self.w

        def backward(self, dout):
            self.w.grad = (dout * self.x).sum(axis=0)
            return dout * self.w

    def make():
        layer = Scale()

        def step(x):
            z = layer.forward(x)
            dx = layer.backward(2 * z)
            with cr.no_grad():
                layer.w -= 0.01 * layer.w.grad
            return z, dx
        return layer, step

    (ours, step), (theirs, eager) = make(), make()
    compiled = cr.compile(step)
    for t in range(5):
        for found, wanted in zip(compiled(x + t), eager(x + t), strict=True):
            np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)
        np.testing.assert_array_equal(ours.x, theirs.x)
    np.testing.assert_allclose(ours.w.numpy(), theirs.w.numpy(), rtol=1e-12)


# ---------------------------------------------------------------------- arrays
def test_writing_into_an_array_is_seen_under_all_its_names():
    w = np.ones(3)
    names = {"a": w, "b": [w]}

    def step(x):
        names["a"] += x
        return names["b"][0] * 1.0

    compiled = cr.compile(step)
    for t in range(1, 5):
        assert compiled(np.ones(3)).tolist() == w.tolist() == [t + 1.0] * 3


def test_a_new_array_leaves_the_old_one_alone():
    params = {"w": np.ones(2)}

    def step(x):
        params["w"] = params["w"] * x

    compiled, history = cr.compile(step), []
    for _ in range(4):
        history.append(params["w"])
        compiled(np.array([2.0, 3.0]))
    assert [w.tolist() for w in history] == [[1, 1], [2, 3], [4, 9], [8, 27]]


def test_arrays_may_be_replaced_between_steps():
    params = {"w": np.ones(2)}

    def step(x):
        params["w"] -= 0.5 * x
        return params["w"].sum()

    compiled, x = cr.compile(step), np.array([1.0, 2.0])
    assert [compiled(x).item() for _ in range(3)] == [0.5, -1.0, -2.5]
    params["w"] = np.array([10.0, 20.0])
    assert compiled(x).item() == 28.5
    assert compiled.recordings == 1
    params["w"] = params["w"].astype(np.float32)
    assert compiled(x).item() == 27.0
    assert compiled.recordings == 2
    assert params["w"].dtype == np.float32


def test_two_arrays_that_become_one_are_noticed():
    a, b = np.ones(2), np.ones(2)
    params = {"a": a, "b": b}

    def step(x):
        params["a"] += x
        params["b"] *= 2

    compiled = cr.compile(step)
    for _ in range(3):
        compiled(np.ones(2))
    params["b"] = params["a"]                                # now both operators write into one array
    before = params["a"].copy()
    compiled(np.ones(2))
    assert params["a"].tolist() == (2 * (before + 1)).tolist()


def test_operators_change_arrays_and_not_numbers(x):
    def step(x):
        a = x + 1
        b = a
        a *= 2                                               # b is the same array
        c = a.sum()
        d = c
        c += 1.0                                             # d is the number that it was
        a[...] = a - 1
        return a, b, c, d

    expected, compiled = step(x), cr.compile(step)
    for _ in range(3):
        for found, wanted in zip(compiled(x), expected, strict=True):
            np.testing.assert_array_equal(found.numpy(), wanted)


def test_threads_that_use_one_array():
    """While one step is recorded, tensors stand for its arrays; no other thread takes them for what they are not."""
    shared, wrong = np.arange(4.0), []

    def work():
        w = np.zeros(4)

        def step(x):
            nonlocal w
            w += x * shared
            return w.sum()

        try:
            for i in range(100):
                if i % 20 == 0:
                    compiled = cr.compile(step)
                if compiled(np.ones(4)).item() != 6.0 * (i + 1):
                    wrong.append(i)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert shared.tolist() == [0, 1, 2, 3]


def test_a_transposed_array_of_the_users_is_read_anew():
    W, x = np.arange(6.0).reshape(2, 3), np.ones((4, 2))

    def step(x):
        nonlocal W
        d = (x @ W) @ W.T
        W -= 0.1 * (x.T @ (d @ W))
        return d

    start, expected = W.copy(), []
    for _ in range(4):
        expected.append(step(x))
    W[...] = start
    compiled = cr.compile(step)
    for wanted in expected:
        np.testing.assert_allclose(compiled(x).numpy(), wanted, rtol=1e-12)


# ---------------------------------------------------------------------- what is refused
class Counting(Affine):
    count = 0

    def backward(self, dout):
        self.count += 1
        return super().backward(dout)


def refusals():
    W, x = np.ones((3, 2)), np.ones((2, 3))
    other, flat, params = W.copy(), np.ones(6), {"W": np.ones((3, 2)), "V": np.zeros((3, 2))}
    part, turned = flat[:3], np.ones((2, 3)).T
    layer, counting = Affine(np.ones((3, 2)), np.zeros(2)), Counting(np.ones((3, 2)), np.zeros(2))
    linear = nn.Linear(3, 2, dtype=np.float64)

    def stale_view():
        nonlocal W
        view = W.T
        W -= 1.0
        return view * 1.0

    def through_a_view():
        top = other[0]
        top += 1.0

    def shared_memory():
        nonlocal flat
        flat += 1.0
        return part * 1.0

    def not_in_one_piece():
        nonlocal turned
        turned += 1.0

    def some_elements():
        params["W"][0] = 5.0

    def an_argument(x):
        x -= 1.0
        return x

    def a_value():
        layer.forward(x)
        layer.W -= 0.1 * layer.backward(np.ones((2, 2))).sum()
        return float(layer.W.sum())

    def a_condition():
        return x * 2 if (params["W"] > 0).all() else x

    def with_a_gradient():
        params["W"] -= linear.weight.T

    def exchanged():
        params["W"], params["V"] = params["V"], params["W"]
        return params["W"] * 1.0

    def counted():
        counting.forward(x)
        return counting.backward(np.ones((2, 2)))

    def new_entry():
        params["new"] = params["W"] * 2

    return {f.__name__: (f, message) for f, message in [
        (stale_view, "written into since"), (through_a_view, "into a view"), (shared_memory, "another array looks at"),
        (not_in_one_piece, "do not lie one after the other"), (some_elements, "writes into some elements"),
        (an_argument, "writes into its argument"), (a_value, r"float\(tensor\)"), (a_condition, "condition"),
        (with_a_gradient, "gradient would be lost"), (exchanged, "another array after the step"),
        (counted, "count .* became 2 in the first call and 3 in the second|went from|became 1"),
        (new_entry, "the variable params"),
    ]}


@pytest.mark.parametrize("name", refusals())
def test_what_cannot_be_followed_is_refused_and_nothing_has_happened(name):
    step, message = refusals()[name]
    found, around = {}, list(zip(step.__code__.co_freevars, step.__closure__ or (), strict=True))
    for title, cell in around:
        thing = cell.cell_contents
        for key, array in [*(vars(thing) if isinstance(thing, Affine) else thing if isinstance(thing, dict)
                             else {"": thing}).items()]:
            if isinstance(array, np.ndarray):
                found[title, key] = array, array.copy()
    arguments = [np.ones((2, 3))] if step.__code__.co_argcount else []
    compiled = cr.compile(step)
    with pytest.raises(RecordingError, match=message) as caught:
        compiled(*arguments)
        if name in ("exchanged", "counted"):                 # only the second call tells
            found = {}
            compiled(*arguments)
    assert "test_compiled_by_hand.py:" in str(caught.value) or name == "exchanged" or name == "counted"
    for title, cell in around:
        thing = cell.cell_contents
        for key, array in (vars(thing) if isinstance(thing, Affine) else thing if isinstance(thing, dict)
                           else {"": thing}).items():
            assert not isinstance(array, cr.Tensor) or title == "linear"
            if (title, key) in found:
                same, content = found[title, key]
                assert array is same
                np.testing.assert_array_equal(array, content)
        assert not isinstance(thing, dict) or list(thing) == ["W", "V"]
