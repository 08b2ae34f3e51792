"""From its third call on a compiled step allocates no array but its results: all other memory is there already."""
from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from tests.compiler.programs import training_step
from tests.compiler.whole_steps import STEPS

import chainrule as cr
from chainrule import nn, optim

LIMIT = 4096
SIZES = (96, 130, 70, 12)                              #: no value of these steps but the loss is as small as the limit


def assert_nothing_but(results, found):
    """Each call stays within the limit beside its results."""
    assert max(found) < results + LIMIT, found


def peaks(call, count=5):
    """How much more memory there was in use at once during each of some calls, in bytes."""
    found = []
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(count):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            call()
            found.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
        gc.enable()
    return found


@pytest.mark.parametrize(("name", "dtype"), [*[(name, np.float32) for name in STEPS], ("Adam", np.float64)],
                         ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_training_steps(name, dtype):
    training = STEPS[name](True, sizes=SIZES, dtype=dtype)
    data = training.data(0)
    rounds = training.accumulate
    for _ in range(2 if rounds == 1 else 3 * rounds):
        training.turn(0)
    calls = iter([training.steps[(i + 1) % rounds == 0] for i in range(6)])
    # A gradient that the next step goes on from is handed over in .grad, where anybody may take hold of it: a result.
    gradients = sum(p.array.nbytes for p in training.model.parameters()) if rounds > 1 else 0
    assert_nothing_but(gradients, peaks(lambda: next(calls)(*data), 6))


def sse(y, t):
    return cr.sum(cr.square(y - t))


#: The timed workloads of the benchmarks, with smaller numbers.
WORKLOADS = {
    "W1": lambda: (nn.Sequential(nn.Linear(196, 50), nn.ReLU(), nn.Linear(50, 10)), nn.CrossEntropyLoss(), optim.SGD,
                   (100, 196), lambda rng: rng.integers(0, 10, 100)),
    "W2": lambda: (nn.Sequential(nn.Linear(200, 100, bias=False), nn.Sigmoid(), nn.Linear(100, 10, bias=False),
                                 nn.Sigmoid()), sse, optim.SGD,
                   (64, 200), lambda rng: rng.normal(size=(64, 10)).astype(np.float32)),
    "W3": lambda: (nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1), nn.Sigmoid()),
                   nn.BCELoss(), optim.SGD, (2000, 2), lambda rng: rng.integers(0, 2, (2000, 1)).astype(np.float32)),
    "W4": lambda: (nn.Sequential(nn.Linear(196, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)),
                   nn.CrossEntropyLoss(), optim.Adam, (128, 196), lambda rng: rng.integers(0, 10, 128)),
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_workloads(name, rng):
    model, loss_of, kind, shape, target = WORKLOADS[name]()
    step = cr.compile(training_step(model, loss_of, kind(model.parameters(), lr=0.01)))
    x, y = rng.normal(size=shape).astype(np.float32), target(rng)
    for _ in range(2):
        step(x, y)
    assert_nothing_but(0, peaks(lambda: step(x, y)))


def test_results_are_all_that_inference_allocates(rng):
    model = nn.Sequential(nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 50), nn.Softmax()).eval()
    compiled = cr.compile(model)
    x = rng.normal(size=(64, 100)).astype(np.float32)
    for _ in range(2):
        size = compiled(x).numpy().nbytes
    assert_nothing_but(size, peaks(lambda: compiled(x)))


def test_eager_steps_do_allocate(rng):
    """The figures above are figures: eager code, and the two calls that are recorded, are far beyond the limit."""
    model, loss_of, kind, shape, target = WORKLOADS["W1"]()
    step = cr.compile(training_step(model, loss_of, kind(model.parameters(), lr=0.01)))
    x, y = rng.normal(size=shape).astype(np.float32), target(rng)
    assert min(peaks(lambda: step(x, y), 2)) > 10 * LIMIT
    assert min(peaks(lambda: step.step(x, y), 2)) > 10 * LIMIT
