"""The exponential moving average: its formula, its place in a training loop, and what it must not disturb."""
from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.optim import ExponentialMovingAverage
from chainrule.optim.blocks import BLOCK


def leaf(value, **options):
    return cr.Tensor(np.asarray(value), requires_grad=True, **options)


def weights(t, size):
    return np.random.default_rng(t).normal(size=size)


def reference(start, values, decay, warmup=False):
    """The sum that the recursion stands for: each value times its weight."""
    for n in range(1, len(values) + 1):
        keeps = [min(decay, (1 + t) / (10 + t)) if warmup else decay for t in range(1, n + 1)]
        yield np.prod(keeps) * start + sum((1 - keeps[i]) * np.prod(keeps[i + 1:]) * values[i] for i in range(n))


# ------------------------------------------------------------------ the formula
@pytest.mark.parametrize("warmup", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999, 1.0, 1, np.float32(0.5)], ids=str)
def test_the_average_is_a_weighted_sum(decay, warmup):
    start, values = weights(99, 4), [weights(t, 4) for t in range(20)]
    p = leaf(start)
    average = ExponentialMovingAverage([p], decay, warmup=warmup)
    for value, expected in zip(values, reference(start, values, float(decay), warmup), strict=True):
        p.assign(value)
        average.update()
        np.testing.assert_allclose(average.averages["0"], expected, rtol=1e-12, atol=1e-14)
    assert average.updates == 20


@pytest.mark.parametrize("decay", [0.9, 0.999, 0.9999])
def test_the_average_of_what_does_not_change_is_that_very_value(decay):
    """In float32 too, where 0.9999 and 0.0001 do not add up to 1."""
    p = leaf(np.random.default_rng(0).normal(size=100).astype(np.float32))
    average = ExponentialMovingAverage([p], decay)
    for _ in range(1000):
        average.update()
    np.testing.assert_array_equal(average.averages["0"], p.numpy())
    assert average.averages["0"].dtype == np.float32


def test_warm_up_forgets_the_first_weights():
    p = leaf([1000.0])
    plain, warm = ExponentialMovingAverage([p], 0.999), ExponentialMovingAverage([p], 0.999, warmup=True)
    p.assign([1.0])
    for _ in range(20):
        plain.update()
        warm.update()
    assert plain.averages["0"].item() > 900
    assert warm.averages["0"].item() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("n", [1, 2 * BLOCK, 2 * BLOCK + 1, 4 * BLOCK + 3])
def test_blocks_leave_no_seam(n):
    p = leaf(weights(0, n))
    average = ExponentialMovingAverage([p], 0.75)
    memory = average.averages["0"]
    expected = weights(0, n)
    for t in range(1, 4):
        p.assign(weights(t, n))
        average.update()
        expected = expected + 0.25 * (weights(t, n) - expected)
    np.testing.assert_array_equal(average.averages["0"], expected)
    assert average.averages["0"] is memory                                  # in place


def test_decay_may_change_and_whole_numbers_are_copied():
    p, count = leaf(0.0), cr.Tensor(np.int64(3))
    average = ExponentialMovingAverage([("w", p), ("count", count)], 0.5)
    p.assign(8.0)
    count.assign(np.int64(8))
    average.update()
    average.decay = 0.25
    average.update()
    assert average.averages["w"].item() == 7.0                              # 4, then 4 + ¾·4
    assert average.averages["count"].item() == 8
    assert average.averages["count"].dtype == np.int64


# ------------------------------------------------------------------ in a training loop
def test_training_is_not_disturbed():
    def train(averaging):
        cr.random.seed(0)
        model = nn.Linear(3, 2)
        optimizer = optim.Adam(model.parameters(), lr=0.1)
        average = ExponentialMovingAverage(model.named_parameters(), 0.9)
        for t in range(5):
            optimizer.zero_grad()
            model(weights(t, (4, 3)).astype(np.float32)).sum().backward()
            optimizer.step()
            if averaging:
                average.update()
                with average.applied():
                    model(np.ones((1, 3), np.float32))
        return model.state_dict()

    for ours, theirs in zip(train(True).values(), train(False).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("end", [None, ValueError, KeyboardInterrupt, SystemExit, GeneratorExit], ids=str)
def test_afterwards_the_parameters_are_what_they_were_however_the_block_ends(end):
    p, q = leaf([1.0, 2.0]), leaf(5.0)
    average = ExponentialMovingAverage([p, q], 0.5)
    p.assign([3.0, 4.0])
    average.update()
    outside = p.numpy()
    try:
        with average.applied():
            np.testing.assert_array_equal(p.numpy(), [2.0, 3.0])
            inside = p.numpy()
            p.assign([9.0, 9.0])                                            # lost, and not into the averages
            with cr.no_grad():
                q += 1
            if end is not None:
                raise end
    except (ValueError, KeyboardInterrupt, SystemExit, GeneratorExit) as error:
        assert type(error) is end                                           # noqa: PT017
    np.testing.assert_array_equal(p.numpy(), [3.0, 4.0])
    assert q.item() == 5.0
    np.testing.assert_array_equal(outside, [3.0, 4.0])                      # views keep what they showed
    np.testing.assert_array_equal(inside, [2.0, 3.0])
    np.testing.assert_array_equal(average.averages["0"], [2.0, 3.0])
    average.update()
    with average.applied():
        np.testing.assert_array_equal(p.numpy(), [2.5, 3.5])


def test_an_interruption_while_the_averages_go_in_is_undone(monkeypatch):
    p, q = leaf([1.0]), leaf([2.0])
    average = ExponentialMovingAverage([p, q], 0.5)
    p.assign([3.0])
    average.update()
    assign, calls = cr.Tensor.assign, []

    def interrupted(self, value):
        calls.append(self)
        if len(calls) == 2:
            raise KeyboardInterrupt
        assign(self, value)

    monkeypatch.setattr(cr.Tensor, "assign", interrupted)
    with pytest.raises(KeyboardInterrupt), average.applied():
        raise AssertionError("must not get here")
    assert (p.item(), q.item()) == (3.0, 2.0)
    with average.applied():
        assert p.item() == 2.0


def test_inside_the_block_there_is_no_update_no_loading_and_no_second_block():
    p = leaf([1.0])
    average = ExponentialMovingAverage([p])
    with average.applied():
        for call in (average.update, lambda: average.load_state_dict(average.state_dict()),
                     lambda: average.applied().__enter__()):
            with pytest.raises(RuntimeError, match="stand in the place of the parameters now; leave the block"):
                call()
    average.update()
    assert average.updates == 1


def test_a_graph_from_before_the_block_notices():
    """The values went back, but between them others stood there: a backward pass is refused rather than trusted."""
    p = leaf([3.0])
    average = ExponentialMovingAverage([p])
    loss = (p * p).sum()
    with average.applied():
        pass
    with pytest.raises(RuntimeError, match="was written in place after"):
        loss.backward()


def test_buffers_stay_with_the_model():
    """Evaluation with averaged weights uses the latest running statistics, which are running means already."""
    cr.random.seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = ExponentialMovingAverage(model.named_parameters(), 0.5)
    assert set(average.averages) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    model(weights(0, (8, 2)).astype(np.float32))
    model[0].weight.assign(np.zeros((3, 2), np.float32))
    average.update()
    statistics = [b.numpy().copy() for b in model.buffers()]
    with average.applied():
        for b, before in zip(model.buffers(), statistics, strict=True):
            np.testing.assert_array_equal(b.numpy(), before)
        assert model[0].weight.numpy().any()


def test_copy_to():
    cr.random.seed(0)
    model, second = nn.Linear(2, 2), nn.Linear(2, 2)
    average = ExponentialMovingAverage(model.parameters(), 0.5)
    model.weight.assign(np.zeros((2, 2)))
    average.update()
    kept = average.averages["0"].copy()
    average.copy_to(second.parameters())
    np.testing.assert_array_equal(second.weight.numpy(), kept)
    assert not model.weight.numpy().any()
    average.copy_to()
    np.testing.assert_array_equal(model.weight.numpy(), kept)
    second.weight.assign(np.ones((2, 2)))
    np.testing.assert_array_equal(average.averages["0"], kept)              # memory is not shared
    with pytest.raises(ValueError, match=r"averages have shapes \[\(2, 2\), \(2,\)\], .* to write into \[\(1, 2\)"):
        average.copy_to(nn.Linear(2, 1).parameters())


# ------------------------------------------------------------------ recorded
@pytest.mark.parametrize("warmup", [False, True])
def test_a_recorded_step_moves_the_average(warmup):
    """Against the NumPy loop; the warm-up ends in the middle, the decay is changed, and one recording serves all."""
    w = leaf([2.0, -1.0])
    optimizer = optim.SGD([w], lr=0.1)
    average = ExponentialMovingAverage([w], 0.5, warmup=warmup)

    @partial(cr.compile, keep_grads=True)
    def step(x):
        optimizer.zero_grad()
        (0.5 * (w * w * x)).sum().backward()
        optimizer.step()
        average.update()

    value = kept = np.array([2.0, -1.0])
    for t in range(1, 21):
        average.decay = 0.5 if t < 15 else 0.25
        x = np.array([1.0, 0.5]) / t
        step(x)
        value = value - 0.1 * value * x
        keep = min(average.decay, (1 + t) / (10 + t)) if warmup else average.decay
        kept = keep * kept + (1 - keep) * value
        np.testing.assert_allclose(average.averages["0"], kept, rtol=1e-13)
        if t == 10:
            with average.applied():
                np.testing.assert_allclose(w.numpy(), kept, rtol=1e-13)
        np.testing.assert_allclose(w.numpy(), value, rtol=1e-13)
    assert average.updates == 20
    assert step.recordings == 1


# ------------------------------------------------------------------ saving
def test_going_on_from_a_saved_state_is_going_on_bit_for_bit():
    p, q = leaf(weights(0, 3)), leaf(weights(0, 3).astype(np.float32))
    first = ExponentialMovingAverage([("w", p)], 0.9, warmup=True)
    for t in range(5):
        p.assign(weights(t, 3))
        first.update()
    saved = json.loads(json.dumps(first.state_dict(), default=np.ndarray.tolist))
    copied = first.state_dict()
    other = leaf(p.numpy())
    second = ExponentialMovingAverage([("w", other)])
    memory = second.averages["w"]
    second.load_state_dict(saved)
    assert (second.decay, second.warmup, second.updates) == (0.9, True, 5)
    assert second.averages["w"] is memory
    for t in range(5, 9):
        for tensor, average in ((p, first), (other, second)):
            tensor.assign(weights(t, 3))
            average.update()
    np.testing.assert_array_equal(first.averages["w"], second.averages["w"])
    np.testing.assert_array_equal(copied["averages"]["w"], saved["averages"]["w"])          # a copy
    third = ExponentialMovingAverage([("w", q)])
    third.load_state_dict(saved)
    assert third.averages["w"].dtype == np.float32


def test_a_state_that_does_not_fit_is_refused_whole():
    average = ExponentialMovingAverage([("a", leaf([1.0])), ("b", leaf([2.0]))], 0.5)
    saved = average.state_dict() | {"decay": 0.1, "averages": {"b": np.ones(3), "c": np.ones(1)}}
    with pytest.raises(ValueError, match=r"a is missing; c is not averaged here; b: expected \(1,\), got \(3,\)"):
        average.load_state_dict(saved)
    with pytest.raises(ValueError, match="decay is a number from 0 to 1, got 2"):
        average.load_state_dict(average.state_dict() | {"decay": 2})
    assert average.decay == 0.5


# ------------------------------------------------------------------ errors
@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda w: ExponentialMovingAverage([]), ValueError, "no parameters to average. Was the generator"),
    (lambda w: ExponentialMovingAverage([w], 1.5), ValueError, "decay is a number from 0 to 1, got 1.5"),
    (lambda w: ExponentialMovingAverage([w], -0.1), ValueError, "decay is a number from 0 to 1, got -0.1"),
    (lambda w: ExponentialMovingAverage([w], float("nan")), ValueError, "decay is a number from 0 to 1, got nan"),
    (lambda w: ExponentialMovingAverage([w], "0.9"), TypeError, "decay must be a number, got '0.9'"),
    (lambda w: ExponentialMovingAverage([w, w]), ValueError, "appears twice"),
    (lambda w: ExponentialMovingAverage([w * 2]), ValueError, "came out of multiply"),
    (lambda w: ExponentialMovingAverage([np.ones(2)]), TypeError, "expected parameters .* got ndarray at position 0"),
    (lambda w: ExponentialMovingAverage({w}), TypeError, "use a list instead of a set"),
    (lambda w: ExponentialMovingAverage([("a", w), ("a", leaf(1.0))]), ValueError, "two parameters have the same name"),
], ids=range(10))
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make(leaf([1.0]))
