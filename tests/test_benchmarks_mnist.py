"""The benchmark of whole trainings: the same training in all contenders, in alternation, and an honest table."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import __main__ as command
from benchmarks.mnist import measure
from benchmarks.mnist.contenders import CONTENDERS
from benchmarks.mnist.measure import Row
from benchmarks.mnist.task import Images, first_weights, read, write

NETWORK = "784-50-10"


def stripes(count, seed):
    """Images of ten kinds, one bright band each, that a network learns at once."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    images = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    images[np.arange(count), 2 * labels + 4] = 250
    return Images(images, labels)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("mnist") / "data.npz"
    write(path, stripes(2500, 1), stripes(500, 2))
    return str(path)


def trained(path, name, order=True, **options):
    task = read(path, NETWORK)
    part = Images(task.train.images[:2000], task.train.labels[:2000])
    losses = []
    accuracy = CONTENDERS[name].train(task, part, 1, 0, losses, task.order if order else None, **options)
    return losses, accuracy


def by_hand(path):
    """Return the losses of 20 steps with NumPy in float64: the pixels by 255, two layers, cross-entropy, Adam."""
    task = read(path, NETWORK)
    parameters = [p.astype(np.float64) for w, b in task.weights for p in (w.T, b)]
    means, squares = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    losses = []
    for step in range(20):
        places = task.order[100 * step:100 * step + 100]
        x, y = task.train.images[places].reshape(100, 784) / 255, task.train.labels[places]
        w1, b1, w2, b2 = parameters
        h = np.maximum(x @ w1 + b1, 0)
        z = h @ w2 + b2
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        losses.append(-np.log(p[np.arange(100), y]).mean())
        dz = (p - np.eye(10)[y]) / 100
        dh = dz @ w2.T * (h > 0)
        for p, g, m, v in zip(parameters, (x.T @ dh, dh.sum(0), h.T @ dz, dz.sum(0)), means, squares, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= 0.001 * m / (1 - 0.9 ** (step + 1)) / (np.sqrt(v / (1 - 0.999 ** (step + 1))) + 1e-8)
    return losses


def test_chainrule_takes_the_steps_written_by_hand(path):
    losses, accuracy = trained(path, "chainrule")
    assert losses == pytest.approx(by_hand(path), rel=1e-4)
    assert losses[-1] < 0.8 * losses[0]
    assert 0.2 < accuracy <= 1


def test_the_order_is_the_trainers_and_leaves_none_out(path):
    order = read(path, NETWORK).order
    assert sorted(order) == list(range(2000))
    assert list(order) != list(range(2000))


def test_weights_are_the_same_each_time_and_float32():
    for (w, b), (v, c), shape in zip(first_weights("784-256-128-10"), first_weights("784-256-128-10"),
                                     [(256, 784), (128, 256), (10, 128)], strict=True):
        assert w.shape == shape
        assert w.dtype == b.dtype == "float32"
        assert (w == v).all() and (b == c).all() and not b.any()


class Fake:
    """Instead of a process: `losses`, and what a training of `times` takes and reaches."""

    losses: dict = {}
    times: dict = {}
    log: list = []

    def __init__(self, contender, network, path):
        self.contender = contender

    def answer(self):
        found = self.losses.get(self.contender, [2.0, 1.0])
        if isinstance(found, str):
            raise RuntimeError(found)
        return found

    def time(self, seed):
        self.log.append((self.contender, seed))
        return self.times[self.contender]

    def end(self):
        self.log.append((self.contender, "ended"))


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(measure, "Process", Fake)
    monkeypatch.setattr(measure, "REST", 0)
    for name, value in (("losses", {}), ("log", []), ("times", {
            "torch": (4.0, 0.96), "torch, 2 workers": (5.0, 0.96), "torch, TensorDataset": (2.0, 0.96),
            "chainrule": (2.5, 0.965)})):
        monkeypatch.setattr(Fake, name, value)
    return Fake


def test_trainings_alternate_and_the_order_changes(fake):
    measure.measure(NETWORK, ["torch", "chainrule", "torch, TensorDataset"], "", rounds=3)
    assert fake.log == [
        ("torch", 0), ("chainrule", 0), ("torch, TensorDataset", 0),
        ("chainrule", 1), ("torch, TensorDataset", 1), ("torch", 1),
        ("torch, TensorDataset", 2), ("torch", 2), ("chainrule", 2),
        ("torch", "ended"), ("chainrule", "ended"), ("torch, TensorDataset", "ended")]


def test_who_learns_something_else_or_cannot_start_has_no_figures(fake):
    fake.losses = {"chainrule": [2.0, 1.1], "torch, 2 workers": "No module named 'torch'"}
    fake.times = {**fake.times, "torch, TensorDataset": (0.1, 0.90)}
    rows = measure.measure(NETWORK, ["torch", "torch, 2 workers", "chainrule", "torch, TensorDataset"], "", rounds=1)
    assert [row.refused for row in rows] == [
        "", "it cannot start: No module named 'torch'", "its loss is 1.1 at step 2, the reference's 1",
        "it ends with 90.00 % of the test data, the reference with 96.00 %"]
    assert [name for name, seed in fake.log if seed == 0] == ["torch", "torch, TensorDataset"]
    text = measure.table(NETWORK, rows)
    assert text.count("no row") == 3
    assert "nan" not in text
    assert "target" not in text


def test_the_target_is_against_the_usual_loop_at_its_better_number_of_workers(fake):
    names = ["torch", "torch, 2 workers", "chainrule", "torch, TensorDataset"]
    rows = measure.measure(NETWORK, names, "", rounds=2)
    assert measure.ratio(rows) == 2.5 / 4
    text = measure.table(NETWORK, rows)
    assert "target: at most 0.8 × PyTorch's usual loop (torch): met, 0.62" in text
    assert "1.25 ×" in text                              # against the stronger one it loses, and that is said
    fake.times = {**fake.times, "torch, 2 workers": (3.0, 0.96)}
    text = measure.table(NETWORK, measure.measure(NETWORK, names, "", rounds=2))
    assert "usual loop (torch, 2 workers): missed, 0.83" in text


def test_without_torch_there_are_figures_and_no_ratio():
    rows = [Row("torch", refused="it cannot start: No module named 'torch'"),
            Row("chainrule", 2.0, 1.9, 2.1, 0.96, seconds=[2.0], accuracies=[0.96])]
    text = measure.table(NETWORK, rows)
    assert measure.ratio(rows) is None
    assert "2.00" in text and "96.00 %" in text and "target" not in text


def test_a_real_run_prints_its_row(capsys, monkeypatch):
    monkeypatch.setattr(measure, "load", lambda folder: (stripes(2500, 1), stripes(500, 2)))
    given = ["mnist", "--contenders", "chainrule", "--only", NETWORK, "--rounds", "2", "--json"]
    assert command.main(given) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["mnist"]) == [NETWORK]
    row, = found["mnist"][NETWORK]["rows"]
    assert len(row["seconds"]) == 2 and row["median"] > 0
    assert row["accuracy"] > 0.5


def test_missing_images_are_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(["mnist", "--data-dir", str(tmp_path / "none"), "--json"])
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert "none" in error and error.count("\n") == 1
