"""A trainer that compiles its steps: the same runs as without, really compiled, and to be stopped and resumed."""
from __future__ import annotations

import copy
import gc
import itertools
import pickle
import re
import weakref

import numpy as np
import pytest

import chainrule as cr
import chainrule.functional as F
from chainrule import data, nn, optim
from chainrule.compiler import RecordingError
from chainrule.compiler.executors import EXECUTORS
from chainrule.gate import Gate
from chainrule.mode import Observer
from chainrule.training import Callback, Checkpoints, EarlyStopping, KeepBest, Trainer
from chainrule.training.stepping import COMPILE

OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-4),
    "adamw": lambda p: optim.AdamW(p, lr=0.003),
    "radam": lambda p: optim.RAdam(p, lr=0.003),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.001, momentum=0.5),
}


@pytest.fixture
def problem(rng):
    """50 samples of three classes, which makes six batches of eight and one of two."""
    x = rng.normal(size=(50, 4))
    return data.ArrayDataset(x, (x @ rng.normal(size=(4, 3))).argmax(1))


def network(*sizes, dtype=np.float64):
    """With batch normalisation and dropout after each hidden layer."""
    cr.random.seed(7)
    layers = []
    for width, units in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(width, units), nn.BatchNorm1d(units), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:])).astype(dtype)


def trainer_of(model=None, make=OPTIMIZERS["adamw"], loss=None, **options):
    model = network(4, 8, 3) if model is None else model
    return Trainer(model, loss or nn.CrossEntropyLoss(), make(model.parameters()), **({"compile": True} | options))


def everything(model):
    """A trainer with all that can go on in a step, and around it."""
    return {"schedule": optim.schedule.warmup(0.2, then=optim.schedule.cosine()), "clip_norm": 1.0, "clip_value": 0.4,
            "augment": lambda x, generator: x + 0.01 * generator.normal(size=x.shape, dtype=np.float64).numpy(),
            "average": optim.ExponentialMovingAverage(model.parameters(), 0.9, warmup=True), "seed": 5}


def fit(trainer, dataset, **options):
    return trainer.fit(dataset, **({"epochs": 3, "batch_size": 8, "callbacks": ()} | options))


def weights(model):
    return {name: array.copy() for name, array in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def timeless(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history.rows]


class Each(Callback):
    """Calls a function after each step."""

    def __init__(self, function):
        self.function = function

    def step(self, loss):
        self.function()


class Killer(Callback):
    """Ends a run after some steps, before the state is saved."""

    def __init__(self, steps):
        self.steps = steps

    def step(self, loss):
        self.steps -= 1
        if not self.steps:
            raise KeyboardInterrupt


class Seen(Observer):
    def __init__(self):
        self.gates = set()

    def applied(self, gate, inputs, options, result):
        self.gates.add(gate.name)


# ---------------------------------------------------------------------- the same as eager
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_five_epochs_of_digits_are_those_of_an_eager_run(make):
    train, test = data.digits()

    def run(compile):
        trainer = trainer_of(network(64, 32, 10, dtype=np.float32), make, compile=compile,
                             schedule=optim.schedule.one_cycle())
        return fit(trainer, train, validation=test, epochs=5, batch_size=64), trainer

    (eager, _), (compiled, trainer) = run(False), run(True)
    for ours, theirs in zip(timeless(compiled), timeless(eager), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
        assert ours["validation_accuracy"] == theirs["validation_accuracy"]
        assert ours["train_accuracy"] == theirs["train_accuracy"]
    assert trainer.compiled.gave_up is None


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("accumulate", [1, 3])
def test_in_float64_they_agree_to_the_ninth_digit(problem, make, accumulate):
    """Schedule, clipping, augmentation, average, batches that add up, a smaller one at the end."""
    def run(compile):
        model = network(4, 8, 6, 3)
        trainer = trainer_of(model, make, compile=compile, **everything(model))
        history = fit(trainer, problem, validation=problem, epochs=6, accumulate=accumulate)
        return timeless(history), weights(model), trainer.average.averages, trainer.optimizer.state_dict()["state"]

    for ours, theirs in zip(run(True), run(False), strict=True):
        if isinstance(ours, list):
            assert ours == [pytest.approx(row, rel=1e-9) for row in theirs]
        else:
            assert ours.keys() == theirs.keys()
            for key, x in ours.items():
                for a, b in (zip(x.values(), theirs[key].values(), strict=True) if isinstance(x, dict)
                             else [(x, theirs[key])]):
                    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_regression(rng):
    x = rng.normal(size=(40, 2))
    y = x @ [[1.0], [-2.0]] + 0.5

    def run(compile):
        cr.random.seed(1)
        model = nn.Sequential(nn.Linear(2, 1)).double()
        trainer = trainer_of(model, OPTIMIZERS["sgd"], nn.MSELoss(), compile=compile)
        return fit(trainer, data.ArrayDataset(x, y), epochs=30), model

    (eager, _), (compiled, model) = run(False), run(True)
    assert compiled["train_loss"] == pytest.approx(eager["train_loss"], rel=1e-9)
    np.testing.assert_allclose(model[0].weight.numpy(), [[1.0, -2.0]], atol=1e-2)


def test_data_in_float64_for_a_model_in_float32(problem):
    """Arrays are taken in the dtype of the parameters, before anything is done with them."""
    def run(compile):
        model = nn.Sequential(nn.Tanh(), network(4, 8, 3, dtype=np.float32))
        return fit(trainer_of(model, compile=compile), problem), weights(model)

    (eager, theirs), (compiled, ours) = run(False), run(True)
    assert compiled["train_loss"] == pytest.approx(eager["train_loss"], rel=1e-5)
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype
        np.testing.assert_allclose(array, theirs[name], rtol=1e-4, atol=1e-6)


def test_what_decides_decides_the_same(problem):
    """Early stopping, the best weights, a schedule that goes by the loss."""
    def run(compile):
        model = network(4, 8, 3)
        optimizer = optim.SGD(model.parameters(), lr=0.5)
        trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, compile=compile,
                          schedule=optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1))
        history = fit(trainer, problem, validation=data.ArrayDataset(*(a[::2] for a in problem.arrays)), epochs=40,
                      callbacks=[EarlyStopping(patience=4), KeepBest()])
        return history, weights(model)

    (eager, theirs), (compiled, ours) = run(False), run(True)
    assert len(compiled) == len(eager) < 40
    assert compiled["lr"] == eager["lr"]
    assert len(set(compiled["lr"])) > 1
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-12)


def test_eager_and_compiled_epochs_take_turns(problem):
    mixed, eager = trainer_of(), trainer_of(compile=False)
    for how in (True, False, "auto", True):
        mixed.compile = how
        fit(mixed, problem, epochs=2)
        assert (mixed.compiled is not None) == bool(how)
    fit(eager, problem, epochs=8)
    assert mixed.history["train_loss"] == pytest.approx(eager.history["train_loss"], rel=1e-9)
    for name, array in weights(mixed.model).items():
        np.testing.assert_allclose(array, eager.model.state_dict()[name], rtol=1e-9, atol=1e-12)


def test_evaluate_and_predict_see_the_weights_of_now(problem):
    model = network(4, 8, 3)
    trainer = trainer_of(model, **everything(model))
    fit(trainer, problem, validation=problem)
    found = trainer.evaluate(problem)
    assert found["loss"] == trainer.history[-1]["validation_loss"]
    with trainer.evaluated():
        scores = model.eval()(problem.arrays[0]).numpy()
    np.testing.assert_array_equal(trainer.predict(problem.arrays[0]), scores)
    assert found["accuracy"] == (scores.argmax(1) == problem.arrays[1]).mean()


# ---------------------------------------------------------------------- really compiled
def test_after_the_second_step_of_each_size_no_gate_is_applied(problem, monkeypatch):
    def poisoned(*_, **__):
        raise AssertionError("a compiled step must not apply gates")

    steps, poison, order = itertools.count(1), pytest.MonkeyPatch(), []

    def switch():
        """From the first step of the third epoch on: both sizes came twice. Orders are drawn between the epochs."""
        done = next(steps)
        if done > 14 and done % 7 == 1:
            poison.setattr(Gate, "__call__", poisoned)
            poison.setattr(Gate, "result", poisoned)
        if done > 14:
            order.append(done % 7)
        if done % 7 == 0:
            poison.undo()

    trainer, eager = trainer_of(), trainer_of(compile=False)
    try:
        fit(trainer, problem, epochs=6, callbacks=[Each(switch)])
    finally:
        poison.undo()
    assert order == [1, 2, 3, 4, 5, 6, 0] * 4
    fit(eager, problem, epochs=6)
    assert trainer.history["train_loss"] == pytest.approx(eager.history["train_loss"], rel=1e-9)
    assert trainer.compiled.recordings == 2


def test_what_was_compiled_can_be_looked_at(problem):
    trainer = trainer_of()
    assert trainer.compiled is None
    fit(trainer, problem)
    listing = str(trainer.compiled.program)
    assert re.search(r"argument +batches\[0\]\[0\]", listing)
    assert "model.0.weight" in listing
    assert "optimizer.param_groups[0]['lr']" in listing


def test_programs_are_kept_from_run_to_run_while_the_sizes_stay(problem):
    trainer = trainer_of()
    fit(trainer, problem)
    first = trainer.compiled
    fit(trainer, problem)
    assert trainer.compiled is first
    assert first.recordings == 2
    fit(trainer, problem, batch_size=10)
    assert trainer.compiled is not first
    assert trainer.compiled.recordings == 1


def test_somebody_who_looks_on_sees_the_gates(problem):
    trainer, seen = trainer_of(), Seen()
    fit(trainer, problem)
    with cr.observe(seen):
        fit(trainer, problem)
    assert "linear" in seen.gates


@pytest.mark.parametrize("change", [
    {"clip_norm": 0.01}, {"clip_value": 1e-3}, {"loss": nn.CrossEntropyLoss(label_smoothing=0.3)}, {"model": "train"},
    {"metrics": {"share": lambda outputs, targets: (outputs > 0).mean()}}])
def test_settings_may_change_in_the_middle(problem, change):
    """As a callback may do it, with compiled steps as with eager ones."""
    def run(compile):
        trainer, steps = trainer_of(compile=compile), itertools.count(1)

        def between():
            if next(steps) == 14:
                if change == {"model": "train"}:
                    trainer.model[3].p = 0.5
                    trainer.model[1].eval()
                else:
                    vars(trainer).update(change)

        return fit(trainer, problem, epochs=4, callbacks=[Each(between)])

    assert timeless(run(True)) == [pytest.approx(row, rel=1e-9) for row in timeless(run(False))]


def test_an_array_that_a_loss_of_ones_own_uses_is_read_anew(problem):
    def run(compile):
        scale, steps = np.ones(3), itertools.count(1)
        trainer = trainer_of(loss=lambda o, t, by=scale: F.cross_entropy(o * by, t), compile=compile)

        def between():
            if next(steps) == 10:
                scale[1] = 3.0

        return fit(trainer, problem, callbacks=[Each(between)])["train_loss"]

    assert run(True) == pytest.approx(run(False), rel=1e-9)


# ---------------------------------------------------------------------- to the last bit
def test_two_runs_are_the_same_to_the_last_bit(problem):
    def run():
        model = network(4, 8, 3)
        trainer = trainer_of(model, **everything(model))
        return timeless(fit(trainer, problem, validation=problem)), weights(model)

    (history, ours), (again, theirs) = run(), run()
    assert history == again
    assert same(ours, theirs)


@pytest.mark.parametrize(("make", "dtype", "places"), [
    (OPTIMIZERS["adamw"], np.float32, (1, 2, 4, 6, 9)), (OPTIMIZERS["adamw"], np.float64, (6,)),
    (OPTIMIZERS["sgd"], np.float32, (2, 6)), (OPTIMIZERS["radam"], np.float32, (6,))],
    ids=["adamw", "float64", "sgd", "radam"])
def test_a_run_that_was_killed_ends_with_the_very_same_bytes(problem, tmp_path, make, dtype, places):
    """Wherever it was: in the steps that are recorded, later, in an epoch and between two."""
    def trainer():
        model = network(4, 8, 3, dtype=dtype)
        return trainer_of(model, make, **everything(model))

    def left(trainer):
        return (timeless(trainer.history), trainer.optimizer.state_dict()["state"],
                weights(trainer.model) | trainer.average.averages)

    whole = trainer()
    fit(whole, problem, validation=problem, accumulate=2)
    for at in places:
        states = Checkpoints(tmp_path / str(at), every=1)
        with pytest.raises(KeyboardInterrupt):
            fit(trainer(), problem, validation=problem, accumulate=2, checkpoints=states, callbacks=[Killer(at)])
        resumed = trainer()
        fit(resumed, problem, validation=problem, accumulate=2, checkpoints=states, resume=True)
        for ours, theirs in zip(left(resumed), left(whole), strict=True):
            np.testing.assert_equal(ours, theirs)


def test_every_step_is_done_by_the_program(problem, monkeypatch, tmp_path):
    """The first ones too, or a resumed run would be another as soon as an executor rounds in a way of its own."""
    class Rough(type(EXECUTORS["numpy"])):
        def build(self, program):
            run = super().build(program)

            def rough(arguments):
                result = run(arguments)
                trainer.model[0].weight.assign(trainer.model[0].weight.numpy() * (1 + 1e-7))
                return result
            return rough

    monkeypatch.setitem(EXECUTORS, "numpy", Rough())
    found = []
    for epochs in ((3,), (1, 2)):                        # the second anew after the first, as after a restart
        trainer = trainer_of(seed=2)
        for count in epochs:
            trainer = copy.deepcopy(trainer)
            fit(trainer, problem, epochs=count)
        found.append((timeless(trainer.history), weights(trainer.model)))
    assert found[0][0] == found[1][0]
    assert same(found[0][1], found[1][1])


def test_a_run_leaves_the_common_streams_alone(problem):
    model = network(4, 8, 3)
    trainer = trainer_of(model, **everything(model))
    streams = cr.random.dropout, cr.random.shuffle, cr.random.user, cr.random.init
    before = [(s.seed, s.position) for s in streams]
    fit(trainer, problem)
    assert [(s.seed, s.position) for s in streams] == before
    assert trainer.dropout.position > 0


# ---------------------------------------------------------------------- what cannot be compiled
EYE = np.eye(3)


def reads(outputs, targets):
    """A loss in which NumPy looks at the targets."""
    return ((outputs - EYE[np.asarray(targets)]) ** 2).mean()


def test_what_cannot_be_recorded_raises_and_leaves_everything_as_it_was(problem):
    trainer = trainer_of(loss=reads)
    before = weights(trainer.model)
    where = rf"test_compiled_trainer\.py:{reads.__code__.co_firstlineno + 2} in reads"
    with pytest.raises(RecordingError, match=rf"{where}: np\.asarray\(tensor\) reads"):
        fit(trainer, problem)
    assert same(weights(trainer.model), before)
    assert not any(trainer.optimizer.state.values())
    trainer.compile = False
    fit(trainer, problem)
    assert len(trainer.history) == 3


def test_auto_falls_back_with_one_warning_that_names_the_line(problem):
    automatic, eager = trainer_of(loss=reads, compile="auto"), trainer_of(loss=reads, compile=False)
    line = reads.__code__.co_firstlineno + 2
    with pytest.warns(RuntimeWarning, match=rf"the step of Trainer runs eagerly, because it cannot be compiled: "
                                            rf".*test_compiled_trainer\.py:{line} in reads: ") as warned:
        fit(automatic, problem)
    assert len(warned) == 1
    fit(automatic, problem)                              # and it is not said again
    fit(eager, problem, epochs=6)
    assert timeless(automatic.history) == timeless(eager.history)
    assert same(weights(automatic.model), weights(eager.model))
    assert isinstance(automatic.compiled.gave_up, RecordingError)


def test_what_is_found_out_in_the_second_step_is_done_once(problem):
    """A number that plain Python draws is seen when two recordings are compared; the step is not taken twice."""
    def run(compile):
        numbers = itertools.cycle([0.5, 2.0]) if compile else itertools.chain([0.5, 2.0], itertools.cycle([2.0, 0.5]))
        trainer = trainer_of(loss=lambda o, t: F.cross_entropy(o, t) * next(numbers), compile=compile)
        return trainer, problem

    trainer, _ = run("auto")
    updates = []
    with pytest.warns(RuntimeWarning, match="was 0.5 in the first call and 2.0 in the second|2.0 .* 0.5"):
        fit(trainer, problem, epochs=1, callbacks=[Each(lambda: updates.append(
            trainer.optimizer.state[trainer.model[0].weight]["step"]))])
    assert updates == [1, 2, 3, 4, 5, 6, 7]


def test_only_three_answers_are_taken(problem):
    assert COMPILE is False
    assert trainer_of(compile=False).compile is False
    with pytest.raises(ValueError, match="compile is False, True or 'auto', got 'always'"):
        trainer_of(compile="always")


# ---------------------------------------------------------------------- a loss that is not finite
def test_a_compiled_run_that_goes_astray_says_that_the_step_was_done(problem, tmp_path):
    def astray(compile, **options):
        model = nn.Linear(4, 1).double()
        trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=1e200), compile=compile)
        targets = problem.arrays[1][:, None] * 1.0
        heard = []
        with pytest.raises(FloatingPointError) as error:
            trainer.fit(data.ArrayDataset(problem.arrays[0], targets), batch_size=8,
                        callbacks=[Each(lambda: heard.append(weights(model)))], **options)
        return str(error.value), heard, weights(model)

    said, heard, after = astray(False)
    assert same(heard[-1], after)                        # eager: the step was not taken
    states = Checkpoints(tmp_path, every=1)
    message, compiled, after = astray(True, checkpoints=states)
    assert message == said + (". The step was compiled, so it was done when this was seen: weights and moments are "
                              "those after it")
    assert len(compiled) == len(heard) == 1              # nothing more is done
    assert not np.isfinite(after["weight"]).all()
    assert states.steps() == [0, 1]
    np.testing.assert_array_equal(states.load()["model"]["weight"], compiled[-1]["weight"])


def test_where_auto_falls_back_the_loss_is_looked_at_before_the_update(problem):
    model = nn.Linear(4, 3).double()
    trainer = Trainer(model, reads, optim.SGD(model.parameters(), lr=1e200), compile="auto")
    heard = []
    with (pytest.warns(RuntimeWarning, match="runs eagerly"),
          pytest.raises(FloatingPointError, match="at step 2 of epoch 1") as error):
        fit(trainer, problem, callbacks=[Each(lambda: heard.append(weights(model)))])
    assert "compiled" not in str(error.value)
    assert same(heard[-1], weights(model))


# ---------------------------------------------------------------------- gradients, memory, copies
def test_gradients_are_kept_for_callbacks_of_ones_own(problem):
    trainer, norms = trainer_of(), []
    fit(trainer, problem)
    with pytest.raises(RuntimeError, match="not kept"):
        trainer.model[0].weight.grad.numpy()
    fit(trainer, problem, epochs=1, callbacks=[Each(lambda: norms.append(np.linalg.norm(
        trainer.model[0].weight.grad.numpy())))])
    eager, expected = trainer_of(compile=False), []
    fit(eager, problem)
    fit(eager, problem, epochs=1, callbacks=[Each(lambda: expected.append(np.linalg.norm(
        eager.model[0].weight.grad.numpy())))])
    np.testing.assert_allclose(norms, expected, rtol=1e-9)


def test_no_batch_is_held_after_its_step(problem):
    held = []

    def noted(x, generator):
        held.append(weakref.ref(x))
        return x

    trainer = trainer_of(augment=noted)

    def alive():
        gc.collect()
        return [i for i, x in enumerate(held) if x() is not None]

    found = []
    fit(trainer, problem, callbacks=[Each(lambda: found.append(alive()))])
    assert alive() == [19, 20]                           # the latest of each program, until its next run
    assert max(map(len, found)) <= 3                     # and the one that the loop has in its hands


def test_a_copy_trains_on_by_itself(problem):
    trainer = trainer_of()
    fit(trainer, problem, epochs=2)
    for twin in (copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))):
        assert twin.compiled is None
        before = weights(trainer.model)
        fit(twin, problem, epochs=1)
        assert same(weights(trainer.model), before)
        assert not same(weights(twin.model), before)
        assert len(twin.history) == 3
