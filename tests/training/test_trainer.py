"""The training loop does what it says: the steps of a loop written out in NumPy, and nothing beside them."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import data, nn, optim
from chainrule.mode import Observer
from chainrule.random import Generator
from chainrule.training import Callback, Trainer, accuracy


def softmax(scores):
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.fixture
def problem(rng):
    x = rng.normal(size=(50, 4))
    return x, (x @ rng.normal(size=(4, 3))).argmax(1)


def classifier(dtype=np.float64, dropout=0.0):
    cr.random.seed(7)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 3))
    return model.astype(dtype)


def trainer_of(model, lr=0.1, **options):
    return Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=lr), **options)


def fit(trainer, x, y, epochs=2, **options):
    return trainer.fit(data.ArrayDataset(x, y), epochs=epochs, batch_size=8, callbacks=(), **options)


def weights(model):
    return {name: array.copy() for name, array in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_it_takes_the_steps_of_a_loop_written_out_in_numpy(problem):
    """Softmax regression by SGD with one-cycle learning rates, its gradient written by hand."""
    x, y = problem
    cr.random.seed(1)
    model = nn.Linear(4, 3).double()
    w, b = model.weight.numpy().copy(), model.bias.numpy().copy()
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.5), seed=11,
                      schedule=lambda step, steps: 1 - step / steps)
    history = fit(trainer, x, y, epochs=3)

    order, step, steps = Generator(11, stream=1), 0, 3 * 7
    for row in history:
        indices, losses, right = order.permutation(50), 0.0, 0
        for start in range(0, 50, 8):
            i = indices[start:start + 8]
            p, lr = softmax(x[i] @ w.T + b), 0.5 * (1 - step / steps)
            losses -= np.log(p[np.arange(len(i)), y[i]]).sum()
            right += (p.argmax(1) == y[i]).sum()
            d = (p - np.eye(3)[y[i]]) / len(i)
            w -= lr * d.T @ x[i]
            b -= lr * d.sum(0)
            step += 1
        assert row["train_loss"] == pytest.approx(losses / 50, rel=1e-12)
        assert row["train_accuracy"] == pytest.approx(right / 50, rel=1e-12)
        assert row["lr"] == lr
    np.testing.assert_allclose(model.weight.numpy(), w, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(model.bias.numpy(), b, rtol=1e-12, atol=1e-14)


def test_the_history_has_a_row_for_each_epoch(problem):
    history = fit(trainer_of(classifier()), *problem, epochs=3, validation=data.ArrayDataset(*problem))
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert list(history[0]) == ["epoch", "lr", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
                                "seconds"]


def test_the_validation_figures_are_those_of_the_model_after_the_epoch(problem):
    x, y = problem
    trainer = trainer_of(classifier(dropout=0.5))
    history = fit(trainer, x, y, validation=data.ArrayDataset(x, y))
    p = softmax(trainer.model.eval()(x).numpy())
    assert history[-1]["validation_loss"] == pytest.approx(-np.log(p[np.arange(50), y]).mean(), rel=1e-12)
    assert history[-1]["validation_accuracy"] == (p.argmax(1) == y).mean()


def test_validation_data_change_nothing(problem):
    with_it, without = (trainer_of(classifier(dropout=0.5)) for _ in range(2))
    fit(with_it, *problem, validation=data.ArrayDataset(problem[0] + 1, problem[1]))
    fit(without, *problem)
    assert same(weights(with_it.model), weights(without.model))


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_evaluate_and_predict_do_not_depend_on_the_batch_size(problem, size):
    x, y = problem
    trainer = trainer_of(classifier(dropout=0.5))
    p = softmax(trainer.model.eval()(x).numpy())
    trainer.model.train()
    found = trainer.evaluate(data.ArrayDataset(x, y), batch_size=size)
    assert found["loss"] == pytest.approx(-np.log(p[np.arange(50), y]).mean(), rel=1e-12)
    assert found["accuracy"] == (p.argmax(1) == y).mean()
    np.testing.assert_allclose(softmax(trainer.predict(x, batch_size=size)), p, rtol=1e-12)


def test_evaluate_leaves_no_trace(problem):
    x, y = problem
    model = classifier(dropout=0.5)
    model[2].training = False                            # frozen by the user
    trainer, before, position = trainer_of(model), weights(model), cr.random.dropout.position
    trainer.evaluate(data.ArrayDataset(x, y))
    assert [layer.training for layer in model.modules()] == [True, True, True, False, True]
    assert all(p.grad is None for p in model.parameters())
    assert same(weights(model), before)
    assert cr.random.dropout.position == position


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before(problem):
    a, b, c = (trainer_of(classifier(dropout=0.5), seed=seed) for seed in (3, 3, 4))
    fit(a, *problem)
    cr.random.seed(99)
    cr.random.bernoulli(size=5)
    nn.Dropout()(np.ones(10))
    fit(b, *problem)
    fit(c, *problem)
    assert same(weights(a.model), weights(b.model))
    assert not same(weights(a.model), weights(c.model))


def test_a_run_leaves_the_common_streams_alone(problem):
    trainer = trainer_of(classifier(dropout=0.5), seed=3)
    streams = cr.random.dropout, cr.random.shuffle, cr.random.user, cr.random.init
    before = [(s.seed, s.position) for s in streams]
    fit(trainer, *problem)
    assert [(s.seed, s.position) for s in streams] == before


def test_two_calls_of_fit_are_one_long_run(problem):
    once, twice = (trainer_of(classifier(dropout=0.5)) for _ in range(2))
    fit(once, *problem, epochs=3)
    fit(twice, *problem, epochs=1)
    history = fit(twice, *problem, epochs=2)
    assert same(weights(once.model), weights(twice.model))
    assert history["epoch"] == [1, 2, 3]


def test_the_schedule_multiplies_the_rate_of_each_group_and_gives_it_back(problem):
    model, seen = classifier(), []
    groups = [{"params": [model[0].weight], "lr": 0.1}, {"params": [model[3].weight], "lr": 0.01}]
    optimizer = optim.SGD(groups, lr=1.0)

    class Watch(Callback):
        def step(self, loss):
            seen.append([group["lr"] for group in optimizer.param_groups])

    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, schedule=lambda step, steps: (step + 1) / steps)
    trainer.fit(data.ArrayDataset(*problem), epochs=2, batch_size=25, callbacks=[Watch()])
    np.testing.assert_allclose(seen, [[0.1 * k / 4, 0.01 * k / 4] for k in (1, 2, 3, 4)])
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.01]


def test_callbacks_hear_all_and_the_end_even_of_an_interrupted_run(problem):
    heard = []

    class Listener(Callback):
        def begin(self, plan):
            heard.append((plan.first, plan.last, plan.steps))

        def step(self, loss):
            heard.append(type(loss))
            if len(heard) == 10:
                raise KeyboardInterrupt

        def epoch(self, row):
            heard.append(row["epoch"])

        def end(self):
            heard.append("end")

    trainer, before = trainer_of(classifier(dropout=0.5), schedule=lambda step, steps: 0.5), cr.random.dropout.position
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(data.ArrayDataset(*problem), epochs=5, batch_size=8, callbacks=[Listener()])
    assert heard == [(1, 5, 7), *[float] * 7, 1, float, "end"]
    assert trainer.optimizer.param_groups[0]["lr"] == 0.1
    assert cr.random.dropout.position == before


def test_metrics_of_ones_own(problem):
    x, y = problem
    model = nn.Linear(4, 1).double()
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.01),
                      metrics={"worst": lambda outputs, targets: abs(outputs - targets).max()})
    targets = y[:, None] * 1.0
    fit(trainer, x, targets)
    assert trainer.evaluate(data.ArrayDataset(x, targets))["worst"] == abs(model(x).numpy() - targets).max()
    assert "train_worst" in trainer.history[0]
    with pytest.raises(ValueError, match="another name"):
        Trainer(model, nn.MSELoss(), trainer.optimizer, metrics={"loss": accuracy})


def test_a_training_step_computes_in_float32(problem):
    """Data in float64, parameters in float32: no gate of the run gives float64."""
    model, found = classifier(np.float32, dropout=0.5), set()

    class Watch(Observer):
        def applied(self, gate, inputs, options, result):
            found.add(result.dtype)

    trainer = trainer_of(model)
    with cr.observe(Watch()):
        trainer.fit(data.ArrayDataset(*problem), batch_size=8, callbacks=())
    assert np.dtype(np.float64) not in found
    assert np.dtype(np.float32) in found


# ---------------------------------------------------------------------- what cannot be trained, before the first step
class Scores(nn.Layer):
    def forward(self, x):
        return x, x


def bad(x, index, value):
    x = x.copy()
    x[index] = value
    return x


@pytest.mark.parametrize(("change", "error", "words"), [
    (lambda x, y: (x, y + 1), ValueError, r"training data: the targets hold the label 3 .*labels 0 to 2"),
    (lambda x, y: (x, y - 1), ValueError, r"hold the label -1 \(sample \d+, \d+ such"),
    (lambda x, y: (bad(x, (9, 2), np.nan), y), ValueError, r"not finite: 1 of 200.* nan in sample 9 .*\(2,\)"),
    (lambda x, y: (bad(x, 9, -np.inf), y), ValueError, r"inputs are not finite: 4 of 200.* -inf in sample 9"),
    (lambda x, y: (x[:, :3], y), ValueError, r"model\.0 Linear\(4 → 8\): got \(2, 3\), the last axis must be 4"),
    (lambda x, y: (x, y[:, None]), ValueError, r"CrossEntropyLoss.*\(2, 3\).*\(2, 1\)"),
    (lambda x, y: (x, y * 1.0), TypeError, r"CrossEntropyLoss.*integers"),
    (lambda x, y: (x,), ValueError, r"pairs \(input, target\), got 1 parts; two arrays.*ArrayDataset"),
    (lambda x, y: (x, y, y), ValueError, r"pairs \(input, target\), got 3 parts"),
])
@pytest.mark.parametrize("part", ["train", "validation"])
def test_bad_data_are_found_before_the_first_step(problem, change, error, words, part):
    good, model = data.ArrayDataset(*problem), classifier()
    trainer, before = trainer_of(model), weights(model)
    wrong = data.ArrayDataset(*change(*problem))
    words = words.replace("training", part if part == "validation" else "training")
    with pytest.raises(error, match=words):
        trainer.fit(**({"train": good} | {part: wrong}), callbacks=())
    assert same(weights(model), before)
    assert not trainer.history.rows
    assert not any(trainer.optimizer.state.values())
    assert all(layer.training for layer in model.modules())


@pytest.mark.parametrize(("options", "error", "words"), [
    ({"train": 5}, TypeError, "training data: expected a data set .*got int.*ArrayDataset"),
    ({"train": []}, ValueError, "training data: the data set is empty"),
    ({"train": np.zeros((3, 4))}, ValueError, "pairs.*got ndarray"),
    ({"epochs": 0}, ValueError, "epochs is a whole number from 1 on, got 0"),
    ({"epochs": 1.5}, ValueError, r"got 1\.5"),
    ({"batch_size": 0}, ValueError, "batch_size.*got 0"),
    ({"batch_size": 51}, ValueError, "have 50 samples, fewer than one batch of 51; use a batch_size of at most 50"),
    ({"accumulate": 0}, ValueError, "accumulate is a whole number from 1 on, got 0"),
])
def test_bad_arguments(problem, options, error, words):
    with pytest.raises(error, match=words):
        trainer_of(classifier()).fit(**({"train": data.ArrayDataset(*problem)} | options), callbacks=())


def test_a_model_a_loss_and_an_optimizer_that_do_not_fit(problem):
    x, y = problem
    model = classifier()

    def complains(words, error=ValueError, *, model=model, loss=None, optimizer=None):
        with pytest.raises(error, match=words):
            fit(Trainer(model, loss or nn.CrossEntropyLoss(), optimizer or optim.SGD(model.parameters(), lr=0.1)), x, y)

    complains("optimizer has none of the model's parameters", optimizer=optim.SGD(classifier().parameters(), lr=0.1))
    complains("nothing to train", model=nn.Tanh(), optimizer=optim.SGD(model.parameters(), lr=0.1))
    complains(r"2 numbers, of shape \(2,\)", loss=nn.CrossEntropyLoss(reduction="none"))
    complains(r"MSELoss.*\(2, 3\).*\(2,\)", loss=nn.MSELoss())
    complains("the loss returned float", TypeError, loss=lambda outputs, targets: 1.0)
    two = nn.Sequential(nn.Linear(4, 3).double(), Scores())
    complains("model returned tuple", TypeError, model=two)


def test_one_class_only(problem):
    x, y = problem
    for loss, targets, words in (
            (nn.CrossEntropyLoss(), np.full(50, 2), "all 50 targets of the training data are 2: there is one class"),
            (nn.CrossEntropyLoss(), np.where(y > 0, 1, -100), "are 1: there is one class only.*sorted by class"),
            (nn.CrossEntropyLoss(), np.full(50, -100), "every target of the training data is -100, the class that"),
            (nn.BCEWithLogitsLoss(), np.ones((50, 3)), "are 1.0: there is one class only"),
            (nn.BCEWithLogitsLoss(), np.eye(3)[y] * 2, r"hold 2.0 \(50 such in all\); BCEWithLogitsLoss takes")):
        model = classifier()
        trainer = Trainer(model, loss, optim.SGD(model.parameters(), lr=0.1))
        with pytest.raises(ValueError, match=words):
            fit(trainer, x, targets)
        assert trainer.evaluate(data.ArrayDataset(x, targets)).keys() >= {"loss"}       # it can be looked at


def test_ignored_labels_are_no_error_and_do_not_count(problem):
    x, y = problem
    y = y.copy()
    y[:10] = -100
    trainer = trainer_of(classifier())
    fit(trainer, x, y)
    predicted = trainer.predict(x[10:]).argmax(1)
    assert trainer.evaluate(data.ArrayDataset(x, y))["accuracy"] == (predicted == y[10:]).mean()


def test_a_run_that_goes_astray_stops_and_says_where(problem):
    x, y = problem
    model = nn.Linear(4, 1).double()
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=1e200))
    with pytest.raises(FloatingPointError, match=r"loss became (inf|nan) at step 2 of epoch 1.*rate .*1e\+200"):
        fit(trainer, x, y[:, None] * 1.0)


def test_accuracy_counts_right_classes():
    scores = np.array([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0], [0.0, 0.0, 1.0], [0.0, 9.0, 1.0]])
    assert accuracy(scores, np.array([1, 0, 2, 2])) == 0.75
    assert accuracy(scores, np.array([1, -100, 0, 2])) == pytest.approx(1 / 3)
    assert accuracy(scores, np.eye(3)[[1, 1, 2, 1]]) == 0.75
    assert np.isnan(accuracy(scores, np.full(4, -100)))
    assert accuracy(scores.T[None], np.array([[1, 0, 0, 2]])) == 0.5      # (N, classes, positions)
