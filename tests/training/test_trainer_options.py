"""Accumulation, clipping, averaging, schedules, early stopping, the best weights: each does what it says."""
from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule import Trainer, data, nn, optim
from chainrule.random import Generator
from chainrule.training import Callback, EarlyStopping, KeepBest
from chainrule.training.monitor import Monitor


@pytest.fixture
def line(rng):
    """Points near a plane."""
    x = rng.normal(size=(48, 3))
    return data.ArrayDataset(x, x @ np.array([[1.0], [-2.0], [0.5]]) + 3)


def linear(**weights):
    model = nn.Linear(3, 1).double()
    model.load_state_dict({"weight": [[0.1, 0.2, 0.3]], "bias": [0.0]} | weights)
    return model


def trained(dataset, *, epochs=2, batch_size=8, validation=None, callbacks=(), lr=0.05, fit=None, **options):
    model = linear()
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=lr), seed=4, **options)
    trainer.fit(dataset, validation, epochs=epochs, batch_size=batch_size, callbacks=callbacks, **fit or {})
    return trainer


def by_hand(dataset, batch_size, epochs, change=lambda g, step: g, lr=0.05, rate=lambda step: 1.0):
    """Gradient descent written out in NumPy; `change` is what is done to the gradient of weights and bias."""
    x, y = dataset.arrays
    w, order, step = np.array([0.1, 0.2, 0.3, 0.0]), Generator(4, stream=1), 0
    seen = []
    ones = np.column_stack([x, np.ones(len(x))])
    for _ in range(epochs):
        indices = order.permutation(len(x))
        for start in range(0, len(x), batch_size):
            i = indices[start:start + batch_size]
            g = 2 * ones[i].T @ (ones[i] @ w - y[i, 0]) / len(i)
            w = w - lr * rate(step) * change(g, step)
            step += 1
            seen.append(w)
    return w, seen


def weights(trainer):
    state = trainer.model.state_dict()
    return np.append(state["weight"][0], state["bias"])


@pytest.mark.parametrize(("batch_size", "accumulate"), [(8, 3), (5, 2), (7, 100), (1, 48)])
def test_batches_that_add_up_are_one_large_batch(line, batch_size, accumulate):
    """Also when the last group, and the last batch of it, are smaller."""
    trainer = trained(line, batch_size=batch_size, fit={"accumulate": accumulate})
    expected, _ = by_hand(line, batch_size * accumulate, 2)
    np.testing.assert_allclose(weights(trainer), expected, rtol=1e-12)


def test_a_step_is_an_update(line):
    heard = []

    class Count(Callback):
        def begin(self, run):
            heard.append(run.steps)

        def step(self, loss):
            heard.append(loss)

    trainer = trained(line, batch_size=8, epochs=1, callbacks=[Count()], fit={"accumulate": 4})
    steps, *losses = heard
    assert steps == len(losses) == 2                     # of 4 and of 2 batches
    assert trainer.history[0]["train_loss"] == pytest.approx((32 * losses[0] + 16 * losses[1]) / 48, rel=1e-12)


@pytest.mark.parametrize("bound", [0.5, 3.0, 1e6])
def test_gradients_are_scaled_to_a_norm(line, bound):
    trainer = trained(line, clip_norm=bound)
    expected, _ = by_hand(line, 8, 2, lambda g, _: g * min(1, bound / (np.linalg.norm(g) + 1e-6)))
    np.testing.assert_allclose(weights(trainer), expected, rtol=1e-9)


def test_gradients_are_bounded_element_by_element(line):
    trainer = trained(line, clip_value=0.3)
    np.testing.assert_allclose(weights(trainer), by_hand(line, 8, 2, lambda g, _: np.clip(g, -0.3, 0.3))[0], rtol=1e-12)


def test_the_average_is_what_is_evaluated_and_predicted_with(line):
    model = linear()
    average = optim.ExponentialMovingAverage(model.parameters(), 0.8)
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.05), seed=4, average=average)
    history = trainer.fit(line, line, epochs=2, batch_size=8, callbacks=())
    last, seen = by_hand(line, 8, 2)
    mean = np.array([0.1, 0.2, 0.3, 0.0])
    for w in seen:
        mean = 0.8 * mean + 0.2 * w
    np.testing.assert_allclose(weights(trainer), last, rtol=1e-12)           # training goes on with these
    x, y = line.arrays
    predicted = x @ mean[:3] + mean[3]
    np.testing.assert_allclose(trainer.predict(x)[:, 0], predicted, rtol=1e-12)
    assert history[-1]["validation_loss"] == pytest.approx(((predicted - y[:, 0])**2).mean(), rel=1e-12)
    with trainer.evaluated():
        np.testing.assert_allclose(weights(trainer), mean, rtol=1e-12)


def test_a_batch_can_be_changed_at_random(line):
    """The generator is the trainer's own: no other draw moves it, nor is moved by it."""
    seen = []

    def noise(x, generator):
        seen.append(generator.uniform(size=2).array)
        return x + 1

    trained(line, augment=noise)
    first, seen[:] = list(seen), []
    cr.random.uniform(size=7)
    moved = trained(line, augment=noise)
    np.testing.assert_array_equal(first, seen)
    other = data.ArrayDataset(line.arrays[0] + 1, line.arrays[1])
    np.testing.assert_allclose(weights(moved), weights(trained(other)), rtol=1e-12)
    assert moved.evaluate(line)["loss"] != pytest.approx(moved.evaluate(other)["loss"])      # only training is changed


# ------------------------------------------------------------------ learning rates
def test_a_function_of_the_epoch(line):
    trainer = trained(line, epochs=3, schedule=lambda epoch, epochs: 1 - epoch / epochs, schedule_per="epoch")
    expected, _ = by_hand(line, 8, 3, rate=lambda step: 1 - (step // 6) / 3)
    np.testing.assert_allclose(weights(trainer), expected, rtol=1e-12)
    assert trainer.history["lr"] == pytest.approx([0.05, 0.05 * 2 / 3, 0.05 / 3])


@pytest.mark.parametrize(("per", "rate"), [(None, lambda step: 0.5 ** (step // 6)), ("step", lambda step: 0.5**step)])
def test_an_object_sets_the_rates_itself(line, per, rate):
    model = linear()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    trainer = Trainer(model, nn.MSELoss(), optimizer, seed=4, schedule=scheduler, schedule_per=per)
    trainer.fit(line, epochs=3, batch_size=8, callbacks=())
    np.testing.assert_allclose(weights(trainer), by_hand(line, 8, 3, rate=rate)[0], rtol=1e-9)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05 * rate(18))     # where the next call of fit goes on


@pytest.mark.parametrize(("monitor", "validation"), [(None, True), (None, False), ("train_loss", True)])
def test_a_plateau_is_noticed(line, rng, monitor, validation):
    """The rate of each epoch follows from the figures before it."""
    line = data.ArrayDataset(line.arrays[0], line.arrays[1] + rng.normal(size=(48, 1)))
    model = linear()
    optimizer = optim.SGD(model.parameters(), lr=0.4)
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.2)
    trainer = Trainer(model, nn.MSELoss(), optimizer, schedule=plateau, monitor=monitor)
    history = trainer.fit(line, line if validation else None, epochs=8, batch_size=8, callbacks=())
    name = monitor or ("validation_loss" if validation else "train_loss")
    rate, best = 0.4, math.inf
    for row in history:
        assert row["lr"] == pytest.approx(rate)
        if row[name] < best * 0.8:
            best = row[name]
        else:
            rate /= 2
    assert history[-1]["lr"] < 0.4


def test_a_plateau_of_a_figure_that_is_not_there(line):
    model = linear()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    trainer = Trainer(model, nn.MSELoss(), optimizer, monitor="validation_loss",
                      schedule=optim.lr_scheduler.ReduceLROnPlateau(optimizer))
    with pytest.raises(ValueError, match=r"no figure 'validation_loss' for the schedule .*there are .*train_loss"):
        trainer.fit(line, epochs=1, batch_size=8, callbacks=())


# ------------------------------------------------------------------ when to end, what to keep
class Figures(Callback):
    """Puts figures of our own into the rows, and counts what it hears."""

    def __init__(self, values, name="validation_loss"):
        self.values, self.name, self.seen = list(values), name, []

    def epoch(self, row):
        row[self.name] = self.values[len(self.seen)]
        self.seen.append(row["epoch"])


@pytest.mark.parametrize(("values", "options", "epochs"), [
    ([5, 4, 3, 3, 3, 2, 2, 2, 2], {"patience": 2}, 5),
    ([5, 4, 3, 3, 2, 2, 2, 2, 2], {"patience": 3}, 8),
    ([5, 4.9, 4.8, 4.7, 4, 4, 4, 4, 4], {"patience": 2, "min_delta": 0.5}, 3),
    ([1, 2, 3, 2, 2, 9, 9, 9, 9], {"patience": 2, "mode": "max"}, 5),
    ([3, math.nan, math.nan, 1, 1, 1, 1, 1, 1], {"patience": 2}, 3),
])
def test_a_run_ends_when_it_stops_getting_better(line, values, options, epochs):
    figures = Figures(values)
    trained(line, epochs=9, callbacks=[figures, EarlyStopping(**options)])
    assert figures.seen == list(range(1, epochs + 1))


def test_why_it_ended_and_that_a_second_run_begins_anew(line):
    whys = []

    class Why(Callback):
        def begin(self, run):
            self.run = run

        def end(self):
            whys.append(self.run.stopped)

    stopping = EarlyStopping("accuracy", patience=1)
    model = linear()
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.01))
    for values in ([0.5, 0.25], [0.25, 0.5, 0.5]):
        trainer.fit(line, epochs=3, batch_size=8, callbacks=[Figures(values, "accuracy"), stopping, Why()])
    assert whys == ["accuracy has not got better for 1 epochs; the best was 0.5, in epoch 1",
                    "accuracy has not got better for 1 epochs; the best was 0.5, in epoch 4"]
    assert len(trainer.history) == 5


def test_the_best_weights_are_kept(line):
    """The weights after the epoch with the best figure, the earliest of equal ones; then the model has them."""
    for values, name, best in (([3, 1, 2, 1], "validation_loss", 2), ([3, 1, 5, 5], "validation_accuracy", 3)):
        keep = KeepBest(name)
        trainer = trained(line, epochs=4, callbacks=[Figures(values, name), keep])
        np.testing.assert_allclose(weights(trainer), by_hand(line, 8, best)[0], rtol=1e-12)
        assert keep.best_epoch == best


def test_the_best_average_is_kept(line):
    model = linear()
    average = optim.ExponentialMovingAverage(model.parameters(), 0.5)
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.05), average=average)
    history = trainer.fit(line, line, epochs=3, batch_size=8, callbacks=[keep := KeepBest()])
    assert trainer.evaluate(line)["loss"] == pytest.approx(min(history["validation_loss"]), rel=1e-12)
    assert keep.best_epoch == 1 + int(np.argmin(history["validation_loss"]))


def test_an_interrupted_run_keeps_the_weights_it_has(line):
    class Stop(Callback):
        def epoch(self, row):
            if row["epoch"] == 3:
                raise KeyboardInterrupt

    model = linear()
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.05), seed=4)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(line, epochs=4, batch_size=8, callbacks=[Figures([1, 2, 3]), KeepBest(), Stop()])
    np.testing.assert_allclose(weights(trainer), by_hand(line, 8, 3)[0], rtol=1e-12)


def test_a_figure_that_is_not_there(line):
    with pytest.raises(ValueError, match=r"'validation_loss' to watch is not in the history; there are lr, train_loss; "
                                         "validation_ figures need validation data"):
        trained(line, callbacks=[EarlyStopping()])


@pytest.mark.parametrize(("name", "less"), [
    ("validation_loss", True), ("train_rmse", True), ("validation_mae", True), ("validation_accuracy", False),
    ("validation_f1", False), ("r2", False)])
def test_whether_less_is_better(name, less):
    monitor = Monitor(name)
    assert monitor.better({name: 1.0, "epoch": 1})
    assert monitor.better({name: 0.5, "epoch": 2}) == less
    assert monitor.best == (0.5 if less else 1.0)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: EarlyStopping(patience=0), "patience is a number of epochs from 1 on, got 0"),
    (lambda: EarlyStopping(mode="less"), "mode is 'auto', 'min' or 'max', got 'less'"),
    (lambda: EarlyStopping(min_delta=-1), "min_delta is a number from 0 on, got -1"),
    (lambda: KeepBest(mode="up"), "mode is"),
    (lambda: Trainer(linear(), nn.MSELoss(), None, clip_norm=0), "clip_norm is a number above 0, got 0"),
    (lambda: Trainer(linear(), nn.MSELoss(), None, clip_value=-1), "clip_value is a number above 0, got -1"),
    (lambda: Trainer(linear(), nn.MSELoss(), None, schedule_per="batch"), "'step' or 'epoch', got 'batch'"),
])
def test_settings_out_of_range(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_small_data_make_a_small_batch(line):
    """Without a batch size said, 32 samples or all of them."""
    trainer = trained(line.subset(slice(5)), batch_size=None, epochs=1)
    np.testing.assert_allclose(weights(trainer), by_hand(line.subset(slice(5)), 5, 1)[0], rtol=1e-12)


def test_a_last_batch_that_is_smaller_can_be_left_out(line):
    sizes = []
    trained(line, batch_size=20, epochs=1, augment=lambda x, _: sizes.append(len(x)) or x, fit={"drop_last": True})
    assert sizes == [20, 20]


# ------------------------------------------------------------------ class weights
def test_balanced_class_weights_make_rare_classes_count_as_much():
    """90 samples of one class and 10 of the other, alike in all else: only the weights can even them out."""
    labels = np.repeat([0, 1], [90, 10])
    points = data.ArrayDataset(np.ones((100, 1), np.float32), labels)
    shares = []
    for weight in (None, data.class_weights(labels)):
        model = nn.Linear(1, 2)
        trainer = Trainer(model, nn.CrossEntropyLoss(weight), optim.Adam(model.parameters(), lr=0.1))
        trainer.fit(points, epochs=200, batch_size=100, callbacks=())
        scores = trainer.predict(np.ones((1, 1), np.float32))[0]
        shares.append(1 / (1 + np.exp(scores[0] - scores[1])))
    np.testing.assert_allclose(shares, [0.1, 0.5], atol=1e-3)
