"""Checkpoints: whole or not there, the newest sound one is found, and a run goes on from it to the same bytes."""
from __future__ import annotations

import json
import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

import chainrule as cr
from chainrule import Trainer, data, nn, optim
from chainrule.training import Callback, Checkpoints, EarlyStopping, KeepBest

values = st.recursive(
    st.none() | st.booleans() | st.integers(-2**80, 2**80) | st.floats() | st.text(max_size=5)
    | stnp.arrays(st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
                  stnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(st.text(max_size=4) | st.integers(0, 9), inner, max_size=3), max_leaves=12)


def equal(a, b):
    """Tell whether two trees are the same to the last bit, types included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


# ------------------------------------------------------------------ the folder
@given(state=st.dictionaries(st.text(max_size=4), values, max_size=4))
def test_any_state_comes_back_as_it_was(state, tmp_path_factory):
    states = Checkpoints(tmp_path_factory.mktemp("states"))
    states.save(state, 1)
    assert equal(states.load(), state)


def test_names_that_look_like_our_own_marks_come_back(tmp_path):
    state = {"$array": 1, "a": {"$tuple": [1], "b.c": np.ones(2)}, "a.b": {"c": np.zeros(2)}, "": {"": np.ones(1)}}
    Checkpoints(tmp_path).save(state, 1)
    assert equal(Checkpoints(tmp_path).load(), state)


def test_the_last_ones_are_kept(tmp_path):
    states = Checkpoints(tmp_path / "new" / "folder", keep=2)
    assert states.load() is None
    for step in (5, 10, 100_000_000, 7):
        states.save({"step": step}, step)
        assert step == 7 or states.load() == {"step": step}
    assert states.steps() == [7]                         # what came after 7 is a future that is no more
    assert sorted(path.name for path in states.folder.iterdir()) == [
        "step-00000007.json", "step-00000007.safetensors"]
    assert states.load() == {"step": 7}


def damage(path, how):
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[:len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "a bit":
        at = content.rindex(b"2") if path.suffix == ".json" else len(content) - 1
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
    else:
        path.unlink()


@pytest.mark.parametrize("kind", ["json", "safetensors"])
@pytest.mark.parametrize("how", ["truncated", "empty", "a bit", "gone"])
def test_a_damaged_one_is_named_and_the_one_before_is_used(tmp_path, kind, how):
    states = Checkpoints(tmp_path)
    for step in (1, 2):
        states.save({"w": np.full(3, float(step)), "epoch": step}, step)
    damage(tmp_path / f"step-00000002.{kind}", how)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert states.load()["epoch"] == 1
    said = [str(warning.message) for warning in caught]
    if kind == "json" and how == "gone":                 # then there is no second state
        assert not said
    else:
        assert len(said) == 1
        assert re.search(r"checkpoint is damaged, the one before it is used: .*step-00000002\.json", said[0])


def test_only_damaged_ones(tmp_path):
    states = Checkpoints(tmp_path)
    for step in (1, 2):
        states.save({"w": np.ones(3)}, step)
        damage(tmp_path / f"step-0000000{step}.safetensors", "truncated")
    with pytest.raises(ValueError, match=r"every checkpoint in .* is damaged.*00000002.*00000001"):
        states.load()


def test_a_format_to_come_is_refused(tmp_path):
    states = Checkpoints(tmp_path)
    states.save({}, 1)
    path = tmp_path / "step-00000001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(ValueError, match="format 99, this version of chainrule reads 1"):
        states.load()


def test_what_killed_runs_left_behind_goes_away(tmp_path):
    for name in (".step-00000003.json.x7.part", ".step-00000003.safetensors.abc.part", "step-00000003.safetensors",
                 "mine.txt"):
        (tmp_path / name).write_text("half")
    Checkpoints(tmp_path).save({}, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mine.txt", "step-00000004.json", "step-00000004.safetensors"]


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(TypeError, match=r"a\.1 is of type set"):
        Checkpoints(tmp_path).save({"a": [1, {2}]}, 1)
    assert not Checkpoints(tmp_path).steps()
    for options in ({"keep": 0}, {"every": 0}, {"every": 1.5}):
        with pytest.raises(ValueError, match=r"whole number from 1 on"):
            Checkpoints(tmp_path, **options)


# ------------------------------------------------------------------ a run that is stopped and goes on
class KilledError(Exception):
    pass


class KillAt(Callback):
    """Ends a run at a step, before or after a checkpoint is written, as a crash would."""

    def __init__(self, step):
        self.left = step

    def step(self, loss):
        self.left -= 1
        if self.left < 0:
            raise KilledError


def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(53, 4)).astype(np.float32)
    return data.ArrayDataset(x[:40], (x[:40, 0] > 0).astype(np.int64)), data.ArrayDataset(x[40:], (x[40:, 0] > 0) * 1)


def network():
    cr.random.seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, 2))


def plain():
    model = network()
    return Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.05), seed=5,
                   schedule=optim.schedule.one_cycle()), []


def noisy():
    model = network()
    optimizer = optim.SGD([{"params": model[0].parameters(), "lr": 0.2}, {"params": model[4].parameters()}], lr=0.1,
                          momentum=0.9)
    return Trainer(model, nn.CrossEntropyLoss(), optimizer, seed=6, clip_norm=0.5, clip_value=0.1,
                   augment=lambda x, g: x + 0.1 * g.normal(size=x.shape).array), []


def careful():
    trainer, _ = plain()
    return trainer, [EarlyStopping(patience=2), KeepBest("validation_accuracy"), KeepBest("train_loss")]


def averaged():
    model = network()
    return Trainer(model, nn.CrossEntropyLoss(), optim.AdamW(model.parameters(), lr=0.05), seed=7,
                   average=optim.ExponentialMovingAverage(model.parameters(), 0.9)), [KeepBest()]


def watched():
    model = network()
    optimizer = optim.RMSprop(model.parameters(), lr=0.05, momentum=0.5)
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    return Trainer(model, nn.CrossEntropyLoss(), optimizer, schedule=plateau), []


def stepped():
    model = network()
    optimizer = optim.NAdam(model.parameters(), lr=0.05)
    return Trainer(model, nn.CrossEntropyLoss(), optimizer, schedule_per="step",
                   schedule=optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=50)), []


def drawing():
    """A model that draws from the common stream of the user."""
    class Noise(nn.Layer):
        def forward(self, x):
            return x + 0.1 * cr.random.normal(size=x.shape) if self.training else x

    model = nn.Sequential(network(), Noise())
    return Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.05)), []


MAKERS = [plain, noisy, careful, averaged, watched, stepped, drawing]


def outcome(trainer):
    """Return all that a run leaves, in bytes; times apart."""
    with trainer.evaluated():
        evaluated = {name: array.tobytes() for name, array in trainer.model.state_dict().items()}
    moments = trainer.optimizer.state_dict()
    return ({name: array.tobytes() for name, array in trainer.model.state_dict().items()}, evaluated,
            {i: {name: value.tobytes() if isinstance(value, np.ndarray) else value for name, value in state.items()}
             for i, state in moments["state"].items()}, moments["param_groups"],
            [{name: value for name, value in row.items() if name != "seconds"} for row in trainer.history],
            (trainer.order.position, trainer.dropout.position, trainer.noise.position))


def go(make, folder, *, kill=None, every=None, resume=False, accumulate=1):
    cr.random.seed(99)
    trainer, callbacks = make()
    train, validation = problem()
    killer = [] if kill is None else [KillAt(kill)]
    checkpoints = None if folder is None else Checkpoints(folder, every=every)
    trainer.fit(train, validation, epochs=5, batch_size=8, accumulate=accumulate, callbacks=[*callbacks, *killer],
                checkpoints=checkpoints, resume=resume)
    return trainer


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("every", "accumulate"), [(1, 1), (3, 2), (4, 1)])
def test_a_run_that_goes_on_ends_with_the_same_bytes(make, every, accumulate, tmp_path):
    whole = outcome(go(make, None, accumulate=accumulate))
    for kill in (0, 1, 7):
        folder = tmp_path / str(kill)
        with pytest.raises(KilledError):
            go(make, folder, kill=kill, every=every, accumulate=accumulate)
        assert outcome(go(make, folder, every=every, resume=True, accumulate=accumulate)) == whole


@pytest.mark.parametrize("make", MAKERS)
def test_also_if_it_is_stopped_again_and_again(make, tmp_path):
    whole = outcome(go(make, None))
    for _ in range(4):
        with pytest.raises(KilledError):
            go(make, tmp_path, kill=3, every=2, resume=True)
    assert outcome(go(make, tmp_path, resume=True)) == whole
    assert outcome(go(make, tmp_path, resume=True)) == whole                 # there is nothing left to do


def test_also_if_the_newest_checkpoint_is_damaged(tmp_path):
    whole = outcome(go(plain, None))
    with pytest.raises(KilledError):
        go(plain, tmp_path, kill=11, every=2)
    newest = max(tmp_path.glob("*.safetensors"))
    damage(newest, "a bit")
    with pytest.warns(UserWarning, match=newest.stem):
        again = go(plain, tmp_path, every=2, resume=True)
    assert outcome(again) == whole
    assert Checkpoints(tmp_path).load()["run"]["epoch"] == 6


def test_a_checkpoint_changes_nothing(tmp_path):
    assert outcome(go(careful, None)) == outcome(go(careful, tmp_path, every=1))


def test_another_run_is_not_gone_on_with(tmp_path):
    train, validation = problem()
    go(plain, tmp_path)
    trainer, _ = plain()
    options = {"epochs": 5, "batch_size": 8, "callbacks": (), "checkpoints": tmp_path}
    with pytest.raises(ValueError, match="holds the checkpoints of a run already; resume=True"):
        trainer.fit(train, validation, **options)
    with pytest.raises(ValueError, match="batch_size: 8 in the checkpoint, 4 now"):
        trainer.fit(train, validation, resume=True, **options | {"batch_size": 4})
    other = data.ArrayDataset(train.arrays[0] + 1, train.arrays[1])
    with pytest.raises(ValueError, match="checksum of the data"):
        trainer.fit(other, validation, resume=True, **options)
    with pytest.raises(ValueError, match=r"schedule: \{'name': 'one_cycle'.* in the checkpoint, None now"):
        averaged()[0].fit(train, validation, resume=True, **options)
    other, _ = plain()
    other.average = optim.ExponentialMovingAverage(other.model.parameters())
    with pytest.raises(ValueError, match="run in the checkpoint has no average of the weights, this trainer has one"):
        other.fit(train, validation, resume=True, **options)
    with pytest.raises(ValueError, match="where the checkpoints are"):
        trainer.fit(train, validation, resume=True, **options | {"checkpoints": None})
    assert not trainer.history.rows


def test_resume_without_a_checkpoint_begins(tmp_path):
    assert outcome(go(plain, tmp_path / "none", resume=True)) == outcome(go(plain, None))
