"""Each loop with PyTorch takes the same steps as the Trainer: the losses of a whole epoch agree."""
from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = pytest.mark.peers

from benchmarks.mnist.contenders import CONTENDERS  # noqa: E402
from benchmarks.mnist.task import Images, read, write  # noqa: E402

#: Without workers: a test forks no process that has threads.
LOOPS = ["torch", "torch, TensorDataset", "torch, no DataLoader"]


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    rng = np.random.default_rng(3)

    def draw(count):
        return Images(rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), rng.integers(0, 10, count))

    path = tmp_path_factory.mktemp("mnist") / "data.npz"
    write(path, draw(2100), draw(300))
    return read(path, "784-256-128-10")


def run(task, name, *, order=True, seed=0):
    losses = []
    part = Images(task.train.images[:2000], task.train.labels[:2000])
    accuracy = CONTENDERS[name].train(task, part, 1, seed, losses, task.order if order else None)
    return losses, accuracy


@pytest.mark.parametrize("name", LOOPS)
def test_each_loop_takes_the_trainers_steps(task, name):
    losses, accuracy = run(task, name)
    ours, our_accuracy = run(task, "chainrule")
    assert len(losses) == 20
    assert losses == pytest.approx(ours, rel=1e-4)
    assert accuracy == pytest.approx(our_accuracy, abs=0.011)              # noise: a tie or two may fall otherwise


@pytest.mark.parametrize("name", LOOPS)
def test_without_an_order_each_seed_has_one_of_its_own(task, name):
    first, second, again = (run(task, name, order=False, seed=seed)[0] for seed in (1, 2, 1))
    assert first == again
    assert first != second
