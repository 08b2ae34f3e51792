# ruff: noqa: NPY002
"""The training loops of the chapters with their steps compiled: the same losses and the same parameters.

A chapter is not run here. Its imports, functions and classes are taken, and the loop is written once more around its
step; lines of steps that stand in the chapter are marked as typed, and a test compares them.
"""
from __future__ import annotations

import ast
import inspect
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule import Trainer, data, nn, optim
from chainrule.by_hand.l_layer import L_layer_model
from chainrule.by_hand.reading import chapters
from chainrule.gate import Gate

pytestmark = pytest.mark.filterwarnings("error")
TOLERANCE = {"float64": {"rtol": 1e-9, "atol": 1e-12}, "float32": {"rtol": 1e-4, "atol": 1e-5}}


def taken(number, *variables):
    """What a chapter defines: its imports, functions and classes, and some of its variables."""
    chapter = chapters()[number]
    tree = ast.parse(chapter.text)
    wanted = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
    tree.body = [node for node in tree.body if isinstance(node, wanted) or (
        isinstance(node, ast.Assign) and {x.id for target in node.targets for x in ast.walk(target)
                                          if isinstance(x, ast.Name)} & {*variables})]
    names = {"__name__": f"chapter_{number:02}"}
    exec(compile(tree, chapter.path, "exec"), names)
    return SimpleNamespace(**names)


def as_typed(number, *steps):
    """Raise unless the lines of these steps stand in the chapter, but for what makes a function of them."""
    text = " ".join(chapters()[number].text.split())
    for step in steps:
        for line in inspect.getsource(step).strip().splitlines()[1:]:
            if not line.strip().startswith(("return", "nonlocal", "with np.errstate")):
                assert " ".join(line.split("#")[0].split()) in text, line


def poisoned(*_, **__):
    raise AssertionError("a replay must not apply gates")


@pytest.fixture
def replays(monkeypatch):
    """Compile a step, and let no gate be applied from its third call on."""
    def compiled(step):
        run, calls = cr.compile(step), count(1)

        def call(*arguments):
            with monkeypatch.context() as patch:
                if next(calls) > 2:
                    patch.setattr(Gate, "__call__", poisoned)
                    patch.setattr(Gate, "result", poisoned)
                result = run(*arguments)
            assert run.recordings == 1
            return result

        return call
    return compiled


def assert_same(ours, theirs, dtype="float64"):
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), **TOLERANCE[dtype])


@pytest.fixture(scope="module")
def digits():
    train, _ = data.digits()
    images, labels = train[:]
    return (images - images.mean(0)) / images.std(), labels


# ---------------------------------------------------------------------- 2: layers by hand, parameters in a dict
def two_layers(dtype, chapter):
    """The step of chapter 2, and the network that it trains."""
    np.random.seed(0)
    net = chapter.TwoLayerNet(input_size=64, hidden_size=20, output_size=10, weight_init_std=0.1)
    for key in net.params:
        net.params[key] = net.params[key].astype(dtype)
    learning_rate = 0.1

    def step(x, t):
        grads = net.gradient(x, t)
        for key in ("W1", "b1", "W2", "b2"):
            net.params[key] -= learning_rate * grads[key]
        return net.lastLayer.loss

    as_typed(2, step)
    return net, step


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_02_the_two_layer_network(dtype, digits, replays):
    """Unchanged: the step writes into the arrays that the layers use."""
    x, t = digits[0].astype(dtype), digits[1]
    rng = np.random.default_rng(0)
    batches = [(x[i], t[i]) for i in rng.integers(0, len(x), (200, 50))]
    chapter = taken(2)
    (ours, step), (theirs, eager) = two_layers(dtype, chapter), two_layers(dtype, chapter)
    arrays = dict(ours.params)
    run, losses = replays(step), []
    for batch in batches:
        losses.append(run(*batch))
        assert ours.lastLayer.loss == losses[-1].item()      # what the loop reads after the step is that of the step
    assert_same(losses, [eager(*batch) for batch in batches], dtype)
    assert_same([*ours.params.values()], [*theirs.params.values()], dtype)
    assert losses[-1].item() < 0.5 * losses[0].item()
    assert all(ours.params[key] is arrays[key] for key in arrays)
    assert ours.layers["Affine1"].W is ours.params["W1"]
    assert ours.params["W1"].dtype == dtype
    assert ours.accuracy(x, t) == theirs.accuracy(x, t)
    assert_same([ours.layers["Affine1"].dW], [theirs.layers["Affine1"].dW], dtype)
    assert_same([ours.lastLayer.y], [theirs.lastLayer.y], dtype)


# ---------------------------------------------------------------------- 4: functions of arrays
def test_04_two_matrices(replays):
    """Unchanged: parameters go in, new parameters come out."""
    chapter = taken(4)
    forward, backward = chapter.forward, chapter.backward
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((64, 300)), rng.standard_normal((64, 10))
    start = rng.standard_normal((300, 40)), rng.standard_normal((40, 10))
    lr, losses = 1e-4, []

    def step(X, Y, W1, W2):
        H, prediction = forward(X, W1, W2)
        losses.append(float(np.sum((prediction - Y) ** 2)))
        d_W1, d_W2 = backward(X, Y, H, prediction, W2)
        W1, W2 = W1 - lr * d_W1, W2 - lr * d_W2
        return W1, W2

    as_typed(4, step)
    with pytest.raises(cr.compiler.RecordingError, match="float"):
        cr.compile(step)(X, Y, *start)                       # all but its losses: a step returns what is looked at

    def compiled(X, Y, W1, W2):
        H, prediction = forward(X, W1, W2)
        d_W1, d_W2 = backward(X, Y, H, prediction, W2)
        return np.sum((prediction - Y) ** 2), W1 - lr * d_W1, W2 - lr * d_W2

    run, weights, found = replays(compiled), start, []
    for _ in range(200):
        loss, *weights = run(X, Y, *weights)
        found.append(loss)
    expected, *theirs = chapter.train(X, Y, *start, steps=200, lr=lr)
    assert_same(found, expected)
    assert_same(weights, theirs)


def test_04_two_matrices_in_variables(replays):
    """The step may as well find its parameters around it and write into them; code on arrays, compiled unchanged."""
    chapter = taken(4)
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((64, 300)), rng.standard_normal((64, 10))
    W1, W2 = rng.standard_normal((300, 40)), rng.standard_normal((40, 10))
    expected, *theirs = chapter.train(X, Y, W1, W2, steps=100, lr=1e-4)

    def step():
        nonlocal W1, W2
        H, prediction = chapter.forward(X, W1, W2)
        d_W1, d_W2 = chapter.backward(X, Y, H, prediction, W2)
        W1 -= 1e-4 * d_W1
        W2 -= 1e-4 * d_W2
        return np.sum((prediction - Y) ** 2)

    held, run = W1, replays(step)
    assert_same([run() for _ in range(100)], expected)
    assert_same([W1, W2], theirs)
    assert W1 is held


@pytest.mark.parametrize("bend", [True, False])
def test_04_xor(bend, replays):
    chapter = taken(4)
    X, Y = chapter.corners(4)
    lr = 0.05

    def step(X, Y, W1, W2):
        S = W1 @ X
        H = np.maximum(0, S) if bend else S
        error = W2 @ H - Y
        d_f = 2 * error / error.size
        d_H = W2.T @ d_f
        d_S = d_H * (S > 0) if bend else d_H
        W1, W2 = W1 - lr * d_S @ X.T, W2 - lr * d_f @ H.T
        return np.mean(error ** 2), W1, W2

    as_typed(4, step)
    draw = np.random.default_rng(0)
    weights = draw.standard_normal((16, 2)), draw.standard_normal((1, 16)) / 4
    run, errors = replays(step), []
    for _ in range(300):
        error, *weights = run(X, Y, *weights)
        errors.append(error)
    expected, network = chapter.learn(X, Y, bend, steps=300)
    assert_same(errors, expected)
    W1, W2 = map(np.asarray, weights)
    assert_same([W2 @ (np.maximum(0, W1 @ X) if bend else W1 @ X)], [network(X)])


# ---------------------------------------------------------------------- 5: finite differences
def test_05_finite_differences(replays):
    """Unchanged: each nudge becomes a part of the program."""
    chapter = taken(5, "x", "y", "start")
    run = replays(lambda weights: chapter.update_weights(chapter.x, chapter.y, weights, lr=0.01))
    weights, losses = chapter.start, []
    for _ in range(100):
        weights, loss = run(weights)
        losses.append(loss)
    theirs, expected = chapter.start, []
    for _ in range(100):
        theirs, loss = chapter.update_weights(chapter.x, chapter.y, theirs, lr=0.01)
        expected.append(loss)
    assert_same(losses, expected)
    assert_same(weights, theirs)
    assert losses[-1].item() == pytest.approx(0.000328, abs=5e-7)        # the number of the chapter
    assert [w.dtype for w in weights] == [np.float64] * 4


def test_05_backpropagation(replays):
    """The smallest change: gradients stay tensors, and the loss is returned as it is."""
    chapter = taken(5, "x", "y", "start")
    x, y, feed_forward = chapter.x, chapter.y, chapter.feed_forward

    def update_by_backprop(weights, lr):
        tensors = [cr.Tensor(w, requires_grad=True) for w in weights]
        loss = feed_forward(x, y, tensors)
        loss.backward()
        return [w - lr * t.grad for w, t in zip(weights, tensors, strict=True)], loss

    with pytest.raises(cr.compiler.RecordingError, match="numpy"):
        cr.compile(chapter.update_by_backprop)(chapter.start, 0.01)
    run, weights, losses = replays(update_by_backprop), chapter.start, []
    for _ in range(100):
        weights, loss = run(weights, 0.01)
        losses.append(loss)
    theirs, expected = chapter.start, []
    for _ in range(100):
        theirs, loss = chapter.update_by_backprop(theirs, lr=0.01)
        expected.append(loss)
    assert_same(losses, expected)
    assert_same(weights, theirs)


# ---------------------------------------------------------------------- 8: the L-layer network
@pytest.mark.parametrize(("dims", "start", "rate"), [([2, 4, 3, 1], "printed", 0.0075), ([2, 16, 8, 1], "he", 0.1)])
def test_08_the_l_layer_network(dims, start, rate, replays):
    """Unchanged: `update_parameters` puts new arrays into the dict."""
    chapter = taken(8, "X", "Y", "EVERY")
    np.random.seed(1)
    first = chapter.he_parameters(dims) if start == "he" else chapter.initialize_parameters(dims)
    X, Y, parameters = chapter.X, chapter.Y, dict(first)
    compute_cost, update_parameters, learning_rate = chapter.compute_cost, chapter.update_parameters, rate
    L_model_forward, L_model_backward = chapter.L_model_forward, chapter.L_model_backward

    def step():
        nonlocal parameters
        AL, caches = L_model_forward(X, parameters)
        cost = compute_cost(AL, Y, caches)
        parameters = update_parameters(parameters, L_model_backward(AL, Y, caches), learning_rate)
        return cost

    held, run = parameters, replays(step)
    costs = [run() for _ in range(301)]
    theirs, expected = chapter.learn(first, rate, 300)
    assert_same(costs[::50], expected)
    theirs = chapter.learn(first, rate, 301)[0]
    assert list(parameters) == list(theirs)
    assert_same([*parameters.values()], [*theirs.values()])
    assert parameters is held
    assert all(type(each) is np.ndarray for each in parameters.values())


def test_08_parameters_as_arguments(replays):
    """The loop inside `L_layer_model`: parameters go in and come out."""
    chapter = taken(8, "X", "Y")
    np.random.seed(3)
    theirs = L_layer_model(chapter.X, chapter.Y, [2, 5, 1], learning_rate=0.5, num_iterations=100)
    np.random.seed(3)
    parameters = chapter.initialize_parameters([2, 5, 1])

    def step(X, Y, parameters):
        AL, caches = chapter.L_model_forward(X, parameters)
        return chapter.update_parameters(parameters, chapter.L_model_backward(AL, Y, caches), 0.5)

    run = replays(step)
    for _ in range(100):
        parameters = run(chapter.X, chapter.Y, parameters)
    assert_same([*parameters.values()], [*theirs.values()])


# ---------------------------------------------------------------------- 9: tensors, layers, optimizers
@pytest.fixture(scope="module")
def nine(digits):
    chapter = taken(9, "INITIALISATIONS", "OPTIMIZERS", "WIDTH", "DEPTH", "STEPS", "SEED", "DRAWS", "xavier", "he",
                    "start", "curvature", "straight", "turned")
    chapter.fit.__globals__.update(images=digits[0], labels=digits[1])
    return chapter


def fitted(chapter, replays, model, optimizer, steps=60, batch=64, clip=None, seed=1):
    """The loop of `fit`, with its step compiled."""
    images, labels = (chapter.fit.__globals__[name] for name in ("images", "labels"))
    rng, criterion = np.random.default_rng(seed), nn.CrossEntropyLoss()

    @replays
    def step(x, t):
        loss = criterion(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            clip(model.parameters())
        optimizer.step()
        return loss

    losses = []
    with np.errstate(all="ignore"):
        for _ in range(steps):
            chosen = rng.integers(0, len(images), batch)
            losses.append(step(images[chosen], labels[chosen]).item())
    return losses


def assert_fits_alike(chapter, replays, make, optimizer, clip=None, dtype="float32"):
    ours, theirs = make(), make()
    for model in (ours, theirs):
        model.astype(dtype)
    losses = fitted(chapter, replays, ours, optimizer(ours.parameters()), clip=clip)
    expected = chapter.fit(theirs, optimizer(theirs.parameters()), steps=60, clip=clip, seed=1)
    assert_same(losses, expected, dtype)
    assert_same([*ours.state_dict().values()], [*theirs.state_dict().values()], dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("activation", "options"), [
    ("ReLU", {}), ("Sigmoid", {"normalised": True}), ("Sigmoid", {"shortcut": True})],
    ids=["He", "batch normalisation", "residual"])
def test_09_deep_networks(activation, options, dtype, nine, replays):
    std = nine.INITIALISATIONS["He" if activation == "ReLU" else "Xavier"]
    assert_fits_alike(nine, replays, lambda: nine.deep(getattr(nn, activation), std, depth=4, **options),
                      lambda p: optim.SGD(p, lr=0.05), dtype=dtype)


@pytest.mark.parametrize("clip", ["by_value", "by_norm"])
def test_09_clipping(clip, nine, replays):
    assert_fits_alike(nine, replays, lambda: nine.deep(nn.ReLU, nine.too_large, depth=4),
                      lambda p: optim.SGD(p, lr=0.05), getattr(nine, clip), dtype="float64")


@pytest.mark.parametrize("name", ["SGD", "momentum", "AdaGrad", "RMSprop", "Adam"])
def test_09_five_optimizers_on_digits(name, nine, replays):
    assert_fits_alike(nine, replays, nine.shallow, lambda p: nine.OPTIMIZERS[name](p, 0.01), dtype="float64")


@pytest.mark.parametrize("name", ["SGD", "momentum", "AdaGrad", "RMSprop", "Adam"])
def test_09_the_valley(name, nine, replays):
    curvature, turn, lr = nine.curvature, nine.turned, 0.01
    w = nn.Parameter(turn @ nine.start)
    rule = nine.OPTIMIZERS[name]([w], lr)

    def step():
        rule.zero_grad()
        (0.5 * (curvature * (turn.T @ w) ** 2).sum()).backward()
        rule.step()

    as_typed(9, step)
    path, run = [w.numpy().copy()], replays(step)
    for _ in range(100):
        run()
        path.append(w.numpy().copy())
    assert_same(path, [*nine.walk(nine.OPTIMIZERS[name], lr, turn)[0]])


def test_09_epochs_of_batches(nine, digits, replays):
    images, labels = digits
    model, criterion, rng = nine.shallow(1), nn.CrossEntropyLoss(), np.random.default_rng(1)
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def step(x, t):
        loss = criterion(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    run = replays(step)
    for _ in range(2):
        order = rng.permutation(len(images))
        for first in range(0, len(order) - 128 + 1, 128):
            chosen = order[first:first + 128]
            run(images[chosen], labels[chosen])
    expected, _ = nine.ten_epochs(128, 0.05, seed=1, epochs=2)
    assert_same([criterion(model(images), labels).item()], [expected], "float32")


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_09_layer_by_layer(dtype, nine, digits, replays):
    """Layers of the framework by hand, forward in order and backward in reverse, as `gradients_of` does, and a step."""
    def make():
        model, criterion = nine.deep(nn.Tanh, depth=3, normalised=True).astype(dtype), nn.CrossEntropyLoss()
        parameters = [*model.parameters()]

        def step(h, t):
            for layer in model:
                h = layer.forward(h)
            loss = criterion.forward(h, t)
            dout = criterion.backward()
            norms = []
            for layer in reversed(list(model)):
                norms.append(np.sqrt((dout ** 2).sum()))
                dout = layer.backward(dout)
            with cr.no_grad():
                for p in parameters:
                    p -= 0.1 * p.grad
            return [loss, *norms]
        return model, step

    x, t = digits[0].astype(dtype), digits[1]
    rng = np.random.default_rng(2)
    batches = [(x[i], t[i]) for i in rng.integers(0, len(x), (60, 32))]
    (ours, step), (theirs, eager) = make(), make()
    run = replays(step)
    for batch in batches:
        assert_same(run(*batch), eager(*batch), dtype)
    assert_same([*ours.state_dict().values()], [*theirs.state_dict().values()], dtype)


# ---------------------------------------------------------------------- 10: MNIST by hand, and in ten lines
def test_10_by_hand(monkeypatch):
    """Unchanged but for the loss, which a step returns; the last batch of an epoch is shorter, hence two programs."""
    chapter = taken(10, "sizes", "depth")
    forward, backward, update_parameters = chapter.forward, chapter.backward, chapter.update_parameters
    sizes = chapter.sizes
    sizes[:] = [30, 12, 8, 10]
    first = chapter.he_initialisation(sizes)
    rng = np.random.default_rng(0)
    X, labels = rng.standard_normal((30, 450), np.float32), rng.integers(0, 10, 450)
    Y = np.eye(10, dtype=np.float32)[:, labels]
    chapter.fit.__globals__.update(batch_size=100, learning_rate=0.1)
    theirs, means = chapter.fit(X, Y, dict(first), epochs=4)
    parameters, learning_rate, batch_size = dict(first), 0.1, 100

    @cr.compile
    def step(x, batch_Y):
        nonlocal parameters
        Z, caches = forward(x, parameters)
        parameters = update_parameters(parameters, backward(Z, batch_Y, caches), learning_rate)
        top = Z.max(axis=0)
        return np.mean(top + np.log(np.exp(Z - top).sum(axis=0)) - (Z * batch_Y).sum(axis=0))

    rng, found = np.random.default_rng(0), []
    for _ in range(4):
        order = rng.permutation(X.shape[1])
        losses = [step(X[:, order[begin:begin + batch_size]], Y[:, order[begin:begin + batch_size]]).item()
                  for begin in range(0, len(order), batch_size)]
        found.append(np.mean(losses))
    assert step.recordings == 2
    assert_same(found, means, "float32")
    assert_same([*parameters.values()], [*theirs.values()], "float32")
    assert {each.dtype for each in parameters.values()} == {np.dtype(np.float32)}
    with monkeypatch.context() as patch:
        patch.setattr(Gate, "__call__", poisoned)
        patch.setattr(Gate, "result", poisoned)
        step(X[:, :100], Y[:, :100])


def test_10_ten_lines(digits):
    """`Trainer(compile=True)`."""
    images, labels = digits
    train = data.ArrayDataset(images.astype(np.float32), labels)
    runs = []
    for compiled in (False, True):
        cr.random.seed(0)
        model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
        trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), seed=0,
                          compile=compiled)
        history = trainer.fit(train, epochs=3, batch_size=100, callbacks=())
        runs.append((history["train_loss"], [*model.state_dict().values()]))
        assert (trainer.compiled is not None) is compiled
    assert_same(runs[1][0], runs[0][0], "float32")
    assert_same(runs[1][1], runs[0][1], "float32")
