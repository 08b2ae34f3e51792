"""Compiled steps in several threads, and several steps of one model: each does what it does alone."""
from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tests.compiler.distance import far
from tests.compiler.whole_steps import STEPS

import chainrule as cr
from chainrule import nn, optim

STEPS_EACH = 200


def together(*functions):
    """Run functions in threads that begin at the same moment; give what they return."""
    barrier = threading.Barrier(len(functions))

    def begin(function):
        barrier.wait()
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [future.result() for future in [pool.submit(begin, function) for function in functions]]


def trained(training, first):
    losses = [training.turn(first + t).item() for t in range(STEPS_EACH)]
    return training.state() | {"losses": np.array(losses)}


def test_two_threads_train_two_models():
    """Recording goes on in one while the other replays, and no number of the one gets into the other."""
    names = ["Adam", "batch norm"]
    alone = [trained(STEPS[name](True), 1000 * i) for i, name in enumerate(names)]
    trainings = [STEPS[name](True) for name in names]
    found = together(*[lambda i=i: trained(trainings[i], 1000 * i) for i in range(2)])
    for ours, theirs in zip(found, alone, strict=True):
        for name, x in ours.items():
            np.testing.assert_array_equal(x, theirs[name], err_msg=name)


def test_two_threads_call_one_compiled_model():
    model = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 3), nn.Softmax()).double().eval()
    compiled = cr.compile(model)
    data = np.random.default_rng(0).normal(size=(4, STEPS_EACH, 16, 6))
    expected = [[model(x).numpy() for x in batches] for batches in data]
    found = together(*[lambda batches=batches: [compiled(x) for x in batches] for batches in data])
    for ours, theirs in zip(found, expected, strict=True):
        assert max(far(a.numpy(), b) for a, b in zip(ours, theirs, strict=True)) <= 1e-12
    assert compiled.recordings == 1


def test_two_threads_write_one_parameter():
    """Whole steps take turns: of sums of whole numbers not one is lost."""
    w = cr.Tensor(np.zeros(1000))

    @cr.compile
    def step(x):
        with cr.no_grad():
            w.__iadd__(x)
        return w.sum()

    xs = [np.full(1000, 2.0 ** i) for i in range(4)]
    for _ in range(2):
        step(np.zeros(1000))
    seen = together(*[lambda x=x: [step(x).item() for _ in range(STEPS_EACH)] for x in xs])
    np.testing.assert_array_equal(w.numpy(), np.full(1000, STEPS_EACH * 15.0))
    assert all(s % 1000 == 0 for sums in seen for s in sums)                 # no parameter that is half written


def test_steps_that_share_a_model_take_turns():
    """Two training steps with two optimizers and inference, on one model, in turns: as if nothing was compiled."""
    def run(wrap):
        cr.random.seed(0)
        model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.2), nn.Linear(5, 2)).double()
        optimizers = [optim.SGD(model.parameters(), lr=0.05, momentum=0.9), optim.Adam(model.parameters(), lr=0.01)]

        def training(optimizer, sign):
            def step(x):
                optimizer.zero_grad()
                loss = cr.mean(cr.sin(sign * model(x)))
                loss.backward()
                optimizer.step()
                return loss
            return wrap(step)

        steps, predict, found = [training(optimizers[0], 1.0), training(optimizers[1], -0.5)], wrap(model), []
        for t in range(60):
            x = np.random.default_rng(t).normal(size=(8, 4))
            found.append(steps[t % 3 == 2](x).numpy())
            if t % 4 == 3:
                model.eval()
                found.append(predict(x).detach().numpy())
                model.train()
        return [*found, *model.state_dict().values()], steps

    eager, _ = run(lambda step: step)
    compiled, steps = run(cr.compile)
    assert [step.recordings for step in steps] == [1, 1]
    assert max(far(a, b) for a, b in zip(compiled, eager, strict=True)) <= 1e-9
