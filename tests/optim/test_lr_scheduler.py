"""Schedulers for loops written by hand: going on in the middle, recorded steps, warnings and errors."""
from __future__ import annotations

import copy
import json
import math
import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import nn, optim
from chainrule.optim import lr_scheduler as lrs
from chainrule.optim import schedule

#: A scheduler of each kind, and several together. A new one is tested by being added here.
MAKERS = {
    "LRScheduler": lambda o: lrs.LRScheduler(o, schedule=schedule.warmup(0.1, then=schedule.cosine()), steps=100),
    "StepLR": lambda o: lrs.StepLR(o, 7, 0.7),
    "MultiStepLR": lambda o: lrs.MultiStepLR(o, [5, 50, 60], 0.3),
    "ConstantLR": lambda o: lrs.ConstantLR(o, 0.3, 40),
    "LinearLR": lambda o: lrs.LinearLR(o, 0.01, total_iters=50),
    "ExponentialLR": lambda o: lrs.ExponentialLR(o, 0.97),
    "PolynomialLR": lambda o: lrs.PolynomialLR(o, 70, 1.7),
    "CosineAnnealingLR": lambda o: lrs.CosineAnnealingLR(o, 30, eta_min=0.001),
    "CosineAnnealingWarmRestarts": lambda o: lrs.CosineAnnealingWarmRestarts(o, 7, 2),
    "CyclicLR": lambda o: lrs.CyclicLR(o, 0.01, [0.1, 0.2], 9, 4, "triangular2"),
    "OneCycleLR": lambda o: lrs.OneCycleLR(o, [0.1, 0.2], 130),
    "LambdaLR": lambda o: lrs.LambdaLR(o, [lambda t: 0.97 ** t, lambda t: 1 / (1 + t)]),
    "MultiplicativeLR": lambda o: lrs.MultiplicativeLR(o, lambda t: 0.97 if t % 3 else 1.01),
    "SequentialLR": lambda o: lrs.SequentialLR(
        o, [lrs.LinearLR(o, 0.1, total_iters=10), lrs.OneCycleLR(o, 0.1, 60), lrs.ExponentialLR(o, 0.9)], [10, 70]),
    "ChainedScheduler": lambda o: lrs.ChainedScheduler(
        [lrs.SequentialLR(o, [lrs.LinearLR(o, 0.1, total_iters=10), lrs.CosineAnnealingLR(o, 100)], [10]),
         lrs.ExponentialLR(o, 0.99), lrs.MultiplicativeLR(o, lambda t: 0.999)]),
    "ReduceLROnPlateau": lambda o: lrs.ReduceLROnPlateau(o, patience=2, cooldown=1, min_lr=[1e-4, 0.01]),
}


def make(kind=optim.SGD, rates=(0.3, 0.02), **options):
    groups = [{"params": [cr.Tensor(np.ones(2), requires_grad=True)], "lr": rate} for rate in rates]
    return kind(groups, **options)


def seen(optimizer):
    """What schedulers set."""
    return [(group["lr"], group.get("momentum"), group.get("betas")) for group in optimizer.param_groups]


def move(optimizer, scheduler, t):
    optimizer.step()
    if isinstance(scheduler, lrs.ReduceLROnPlateau):
        scheduler.step(math.nan if t % 17 == 5 else 1 / (1 + t // 6))
    else:
        scheduler.step()


# ------------------------------------------------------------------ going on
def test_all_of_them_are_here():
    assert set(MAKERS) == set(lrs.__all__)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=12)
@given(stop=st.integers(0, 110), optimizer_first=st.booleans())
def test_going_on_in_the_middle_gives_the_very_same_rates(name, kind, stop, optimizer_first):
    optimizer = make(kind)
    scheduler = MAKERS[name](optimizer)
    expected, saved = [], None
    for t in range(120):
        if t == stop:
            saved = (optimizer.state_dict(), json.loads(json.dumps(scheduler.state_dict(), allow_nan=False)))
        expected.append(seen(optimizer))
        move(optimizer, scheduler, t)
    other = make(kind)
    resumed = MAKERS[name](other)
    for load, state in list(zip((other.load_state_dict, resumed.load_state_dict), saved,
                                strict=True))[::1 if optimizer_first else -1]:
        load(state)
    assert resumed.get_last_lr() == [rate for rate, _, _ in expected[stop]]
    assert resumed.state_dict() == saved[1]
    for t in range(stop, 120):
        assert seen(other) == expected[t]
        move(other, resumed, t)
    assert resumed.state_dict() == scheduler.state_dict()


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
@pytest.mark.parametrize("name", MAKERS)
def test_the_state_of_the_scheduler_alone_is_enough_for_the_rates(name, kind):
    """Also where the optimizer is a new one, whose rates are still those of the start."""
    optimizer, other = make(kind), make(kind)
    scheduler, resumed = MAKERS[name](optimizer), MAKERS[name](other)
    for t in range(45):
        move(optimizer, scheduler, t)
    resumed.load_state_dict(scheduler.state_dict())
    for t in range(45, 90):
        assert seen(other) == seen(optimizer)
        move(optimizer, scheduler, t)
        move(other, resumed, t)


@pytest.mark.parametrize("name", MAKERS)
def test_going_back(name):
    optimizer = make(optim.Adam)
    scheduler = MAKERS[name](optimizer)
    runs = []
    for begin in (0, 20):
        for t in range(begin, 70):
            if t == 20 and not begin:
                saved = scheduler.state_dict()
            if t >= 20:
                runs.append(seen(optimizer))
            move(optimizer, scheduler, t)
        scheduler.load_state_dict(saved)
    assert runs[:50] == runs[50:]


def test_going_on_between_two_steps():
    optimizer, other = make(), make()
    scheduler, resumed = (lrs.CosineAnnealingWarmRestarts(o, 5, 2) for o in (optimizer, other))
    scheduler.step(7.25)
    resumed.load_state_dict(json.loads(json.dumps(scheduler.state_dict())))
    for t in range(30):
        assert seen(other) == seen(optimizer)
        move(optimizer, scheduler, t)
        move(other, resumed, t)
    assert scheduler.get_last_lr()[0] == pytest.approx(0.3 * (1 + math.cos(math.pi * 2.25 / 40)) / 2)    # 37.25 - 35


def test_the_rates_at_the_start_are_saved_with_the_optimizer():
    optimizer = make()
    scheduler = lrs.StepLR(optimizer, 1)
    for t in range(4):
        move(optimizer, scheduler, t)
    other = make(rates=(1.0, 1.0))
    other.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))
    resumed = lrs.StepLR(other, 1, last_epoch=3)
    assert resumed.base_lrs == [0.3, 0.02]
    assert resumed.last_epoch == 4
    assert seen(other) == seen(optimizer)


@pytest.mark.parametrize(("state", "words"), [
    ({}, "has 'last_epoch', this one has nothing"), ({"param_groups": 3}, "has param_groups; is it the state of"),
    ({"last_epoch": 3, "base_lrs": [0.1]}, "saved state is of 1 groups of parameters, the optimizer has 2")])
def test_the_state_of_something_else(state, words):
    with pytest.raises(ValueError, match=f"StepLR: .*{words}"):
        lrs.StepLR(make(), 3).load_state_dict(state)


def test_the_state_of_other_schedulers():
    with pytest.raises(ValueError, match="the saved state is of 0 schedulers, this is one of 3"):
        MAKERS["ChainedScheduler"](make()).load_state_dict({"last_epoch": 3})


# ------------------------------------------------------------------ what the rates are
def test_any_schedule_steps_through_a_loop():
    optimizer, case = make(), schedule.warmup(0.2, then=schedule.cosine(0.1))
    scheduler = lrs.LRScheduler(optimizer, schedule=case, steps=40)
    for t in range(45):
        assert seen(optimizer) == [(0.3 * case(t, 40), 0, None), (0.02 * case(t, 40), 0, None)]
        move(optimizer, scheduler, t)


def test_each_group_has_its_own_schedule():
    optimizer = make()
    scheduler = lrs.LRScheduler(optimizer, schedule=[schedule.step(1, 0.5), schedule.constant()])
    move(optimizer, scheduler, 0)
    assert scheduler.get_last_lr() == [0.15, 0.02]


def test_a_chain_in_a_sequence_begins_at_its_milestone():
    optimizer = make()
    chain = lrs.ChainedScheduler([lrs.ConstantLR(optimizer, 0.5, 3), lrs.ExponentialLR(optimizer, 0.5),
                                  lrs.SequentialLR(optimizer, [lrs.ConstantLR(optimizer, 0.25, 9)], [])])
    scheduler = lrs.SequentialLR(optimizer, [lrs.ConstantLR(optimizer, 0.1, 9), chain], [2])
    found = []
    for t in range(7):
        found.append(scheduler.get_last_lr()[0] / 0.3)
        move(optimizer, scheduler, t)
    assert found == pytest.approx([0.1, 0.1, 1 / 8, 1 / 16, 1 / 32, 1 / 32, 1 / 64])


def test_a_subclass_in_pytorchs_way():
    class Halving(lrs.LRScheduler):
        def get_lr(self):
            if self.last_epoch == 0:
                return self.base_lrs
            return [group["lr"] / 2 for group in self.optimizer.param_groups]

    optimizer = make()
    scheduler = lrs.SequentialLR(optimizer, [Halving(optimizer), Halving(optimizer)], [2])
    found = []
    for t in range(5):
        found.append(scheduler.get_last_lr()[0])
        move(optimizer, scheduler, t)
    assert found == [0.3, 0.15, 0.3, 0.15, 0.075]


def test_a_frozen_group_stays_frozen():
    optimizer = make()
    scheduler = lrs.LinearLR(optimizer, 0.1, total_iters=50)
    for t in range(60):
        if t == 20:
            optimizer.param_groups[1]["lr"] = 0.0
        move(optimizer, scheduler, t)
    assert scheduler.get_last_lr() == [0.3, 0.0]


def test_whole_numbers_and_numpys_as_rates():
    optimizer = make(rates=(1, np.float32(0.5)))
    scheduler = lrs.ExponentialLR(optimizer, np.float64(0.5))
    assert [type(rate) for rate, _, _ in seen(optimizer)] == [float, float]
    move(optimizer, scheduler, 0)
    assert scheduler.get_last_lr() == [0.5, 0.25]


def test_a_product_asks_for_each_step_once():
    asked = []
    optimizer = make(rates=(0.1,))
    scheduler = lrs.MultiplicativeLR(optimizer, lambda t: asked.append(t) or 0.9)
    for t in range(50):
        move(optimizer, scheduler, t)
    assert asked == list(range(1, 51))


def test_one_cycle_stays_at_its_end_before_it_complains():
    optimizer = make()
    scheduler = lrs.OneCycleLR(optimizer, 1.0, 10, anneal_strategy="linear")
    for t in range(10):
        move(optimizer, scheduler, t)
    assert scheduler.get_last_lr() == pytest.approx([1 / 25 / 1e4] * 2, rel=1e-12)
    before = scheduler.state_dict()
    with pytest.raises(ValueError, match="cycle of 10 steps is over. Is total_steps the number of epochs"):
        scheduler.step()
    assert scheduler.state_dict() == before


def test_no_steps_of_warm_up_are_none():
    optimizer = make()
    assert lrs.LinearLR(optimizer, total_iters=0).get_last_lr() == [0.3, 0.02]
    assert lrs.ConstantLR(optimizer, total_iters=0).get_last_lr() == [0.3, 0.02]


# ------------------------------------------------------------------ plateaus
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_figure_that_is_not_finite_is_never_better(mode, bad):
    scheduler = lrs.ReduceLROnPlateau(make(), mode, patience=1)
    for metric in (bad, 1.0, bad):
        scheduler.step(metric)
    assert (scheduler.best, scheduler.num_bad_epochs) == (1.0, 1)
    scheduler.step(bad)
    assert scheduler.get_last_lr() == pytest.approx([0.03, 0.002])


@pytest.mark.parametrize("metric", [
    0.5, np.float32(0.5), np.array(0.5), cr.Tensor(0.5), cr.Tensor([0.5], requires_grad=True) * 1.0])
def test_a_figure_may_be_a_loss(metric):
    scheduler = lrs.ReduceLROnPlateau(make())
    scheduler.step(metric)
    assert scheduler.best == 0.5
    assert type(scheduler.best) is float


def test_the_best_figure_is_none_in_the_state_while_there_is_none():
    scheduler = lrs.ReduceLROnPlateau(make(), "max")
    assert scheduler.state_dict()["best"] is None
    other = lrs.ReduceLROnPlateau(make(), "max")
    other.step(3.0)
    other.load_state_dict(scheduler.state_dict())
    assert other.best == -math.inf


# ------------------------------------------------------------------ recorded steps
@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
@pytest.mark.parametrize("name", MAKERS)
def test_a_recorded_step_follows_and_is_recorded_once(name, kind):
    def train(compiled):
        cr.random.seed(3)
        model = nn.Linear(3, 2, dtype=np.float64)
        groups = [{"params": [model.weight]}, {"params": [model.bias], "lr": 0.02}]
        optimizer = kind(groups, lr=0.1, **({"momentum": 0.9} if kind is optim.SGD else {}))
        scheduler = MAKERS[name](optimizer)

        def step(x):
            optimizer.zero_grad()
            loss = (model(x) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        called = cr.compile(step, keep_grads=True) if compiled else step
        x = np.random.default_rng(0).normal(size=(4, 3))
        losses = []
        for _ in range(40):
            losses.append(called(x).item())
            if name == "ReduceLROnPlateau":
                scheduler.step(1.0)
            else:
                scheduler.step()
        if compiled:
            assert called.recordings == 1
        return losses, seen(optimizer)

    (eager, rates), (recorded, same) = train(False), train(True)
    assert recorded == pytest.approx(eager, rel=1e-12)
    assert same == rates


def test_inside_a_recorded_step_is_an_error():
    optimizer = make()
    scheduler = lrs.StepLR(optimizer, 3)

    @partial(cr.compile, keep_grads=True)
    def step(x):
        scheduler.step()
        return x

    with pytest.raises(TypeError, match="would repeat this one rate for ever; call it after the recorded step"):
        step(np.ones(2))
    assert scheduler.last_epoch == 0


# ------------------------------------------------------------------ the order of the two steps
def warned(action):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        action()
    return [str(w.message) for w in found]


def test_the_wrong_order_is_told_once():
    optimizer = make()
    scheduler = lrs.StepLR(optimizer, 3)
    [message] = warned(scheduler.step)
    assert message.startswith("StepLR.step() was called before optimizer.step()")
    assert warned(scheduler.step) == []
    assert len(warned(MAKERS["ChainedScheduler"](make()).step)) == 1


def test_the_right_order_is_not_told_whoever_steps():
    optimizer = make()
    several = [lrs.StepLR(optimizer, 3), lrs.ExponentialLR(optimizer, 0.9)]
    optimizer.step()
    assert warned(lambda: [scheduler.step() for scheduler in several]) == []


def test_a_replay_is_a_step_of_the_optimizer():
    optimizer = make()

    @partial(cr.compile, keep_grads=True)
    def step(x):
        optimizer.zero_grad()
        sum((p * x).sum() for group in optimizer.param_groups for p in group["params"]).backward()
        optimizer.step()

    step(np.ones(2))
    scheduler = lrs.StepLR(optimizer, 3)
    step(np.ones(2))
    assert warned(scheduler.step) == []


def test_the_optimizer_is_as_it_was_after_its_first_step():
    optimizer = make()
    lrs.StepLR(optimizer, 3), lrs.StepLR(optimizer, 3)
    twin = copy.deepcopy(optimizer)
    assert optimizer.step(lambda: 7) == 7
    assert "step" not in vars(optimizer)
    for group in twin.param_groups:
        group["params"][0].grad = np.ones(2)
    twin.step()
    assert [group["params"][0].numpy().tolist() for group in twin.param_groups] == [[0.7, 0.7], [0.98, 0.98]]
    assert [group["params"][0].numpy().tolist() for group in optimizer.param_groups] == [[1.0, 1.0]] * 2


def test_a_step_that_somebody_has_set_is_put_back():
    optimizer = make()
    mine = optimizer.step = lambda: "mine"
    scheduler = lrs.StepLR(optimizer, 3)
    assert [optimizer.step(), optimizer.step()] == ["mine"] * 2
    assert optimizer.step is mine
    assert warned(scheduler.step) == []


# ------------------------------------------------------------------ errors
@pytest.mark.parametrize(("wrong", "words"), [
    (lambda o: lrs.StepLR("adam", 3), "StepLR: expected an optimizer, got str"),
    (lambda o: lrs.OneCycleLR(nn.Linear(1, 1), 0.1, 10), "OneCycleLR: expected an optimizer, got Linear"),
    (lambda o: lrs.LambdaLR(o, 0.9), "expected a function of the step, got 0.9"),
    (lambda o: lrs.LRScheduler(o, schedule=3), "LRScheduler: expected a function, got 3"),
    (lambda o: lrs.SequentialLR(o, [schedule.cosine()], []), "got cosine at index 0; join schedules by those of"),
    (lambda o: lrs.ChainedScheduler([3]), "expected schedulers, got int at index 0")])
def test_wrong_types(wrong, words):
    with pytest.raises(TypeError, match=words):
        wrong(make())


@pytest.mark.parametrize(("wrong", "words"), [
    (lambda o: lrs.StepLR(o, 0), "StepLR: step_size is a whole number from 1 on, got 0"),
    (lambda o: lrs.StepLR(o, 0.5), "got 0.5"), (lambda o: lrs.CosineAnnealingLR(o, math.nan), "T_max .* got nan"),
    (lambda o: lrs.CosineAnnealingLR(o, "10"), "got '10'"), (lambda o: lrs.StepLR(o, 3, -1), "gamma .* got -1"),
    (lambda o: lrs.CosineAnnealingLR(o, 3, eta_min=-1), "eta_min is a finite number from 0 on, got -1"),
    (lambda o: lrs.OneCycleLR(o, [0.1], 10), "max_lr has 1 numbers, for 2 groups of parameters"),
    (lambda o: lrs.OneCycleLR(o, 0.1), "pass total_steps, or epochs and steps_per_epoch"),
    (lambda o: lrs.OneCycleLR(o, 0.1, 10, max_momentum=1.5), "max_momentum is a finite number from 0 to 1, got 1.5"),
    (lambda o: lrs.CyclicLR(o, 0.1, math.inf), "max_lr is a finite number from 0 on, got inf"),
    (lambda o: lrs.LambdaLR(o, [abs]), "expected a function for each of 2 groups of parameters, got 1"),
    (lambda o: lrs.SequentialLR(o, [], []), "expected at least one scheduler"),
    (lambda o: lrs.SequentialLR(o, [lrs.StepLR(o, 3)] * 2, []), "2 schedulers have 1 milestones"),
    (lambda o: lrs.SequentialLR(o, [lrs.StepLR(o, 3)] * 3, [5, 3]), "do not rise"),
    (lambda o: lrs.SequentialLR(make(), [lrs.StepLR(o, 3)], []), "belongs to another optimizer"),
    (lambda o: lrs.ChainedScheduler([lrs.StepLR(o, 3), lrs.StepLR(make(), 3)]), "index 1 belongs to another"),
    (lambda o: lrs.ChainedScheduler([lrs.ReduceLROnPlateau(o)]), "whose step needs a metric"),
    (lambda o: lrs.CosineAnnealingWarmRestarts(o, 3).step(-1), "expected a finite number from 0 on, got -1"),
    (lambda o: lrs.ReduceLROnPlateau(o, threshold=-1), "threshold and eps are at least 0"),
    (lambda o: lrs.ReduceLROnPlateau(o, patience=-1), "patience is a whole number from 0 on, got -1"),
    (lambda o: lrs.ReduceLROnPlateau(o, factor=-1), "factor is at least 0 and below 1, got -1")])
def test_settings_out_of_range(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong(make())


def test_last_epoch_needs_the_rates_at_the_start():
    with pytest.raises(KeyError, match="load the optimizer's state_dict first"):
        lrs.StepLR(make(), 3, last_epoch=5)


def test_neither_schedule_nor_formula():
    with pytest.raises(NotImplementedError, match="has neither a schedule nor a get_lr"):
        lrs.LRScheduler(make())


@pytest.mark.parametrize("name", MAKERS)
def test_a_group_that_comes_too_late(name):
    optimizer = make()
    scheduler = MAKERS[name](optimizer)
    optimizer.add_param_group({"params": [cr.Tensor(1.0, requires_grad=True)]})
    optimizer.step()
    with pytest.raises(ValueError, match="3 groups of parameters now, and had 2 .*after the last add_param_group"):
        move(optimizer, scheduler, 0)


def test_how_they_look():
    optimizer = make()
    assert repr(lrs.StepLR(optimizer, 3)) == "StepLR(step(3), last_epoch=0, lr=[0.3, 0.02])"
    assert repr(lrs.ChainedScheduler([lrs.StepLR(optimizer, 3)])) == (
        "ChainedScheduler([StepLR(step(3), last_epoch=0, lr=[0.3, 0.02])], last_epoch=0)")
