"""Schedulers against PyTorch's: the same rates and momenta, step by step, in every group."""
from __future__ import annotations

import inspect
import math
import warnings
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import optim
from chainrule.optim import lr_scheduler

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
theirs = torch.optim.lr_scheduler
pytestmark = pytest.mark.peers

STEPS = 260
RATES = (0.3, 0.02)
JUMPS = [lambda t: 0.95 ** t, lambda t: 1 / (1 + t)]
CASES = {
    "StepLR": [{"step_size": 30}, {"step_size": 1, "gamma": 0.99}, {"step_size": 7, "gamma": 1.1}],
    "MultiStepLR": [{"milestones": [30, 80]}, {"milestones": [150, 3, 3, 0], "gamma": 0.5},
                    {"milestones": (), "gamma": 0.5}],
    "ConstantLR": [{}, {"factor": 0.7, "total_iters": 100}, {"factor": 1.0, "total_iters": 3}],
    "LinearLR": [{}, {"start_factor": 0.01, "total_iters": 200}, {"start_factor": 1.0, "end_factor": 0.2,
                                                                 "total_iters": 50}],
    "ExponentialLR": [{"gamma": 0.97}, {"gamma": 1.0}, {"gamma": 1.02}],
    "PolynomialLR": [{}, {"total_iters": 200, "power": 2.0}, {"total_iters": 300, "power": 0.5}],
    "CosineAnnealingLR": [{"T_max": 260}, {"T_max": 50, "eta_min": 0.001}, {"T_max": 1}, {"T_max": 2, "eta_min": 0.1},
                          {"T_max": 400}],
    "CosineAnnealingWarmRestarts": [{"T_0": 10}, {"T_0": 7, "T_mult": 2, "eta_min": 0.001}, {"T_0": 1, "T_mult": 3}],
    "CyclicLR": [
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 20},
        {"base_lr": [0.01, 0.02], "max_lr": [0.1, 0.3], "step_size_up": 13, "step_size_down": 29,
         "mode": "triangular2"},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 10, "mode": "exp_range", "gamma": 0.99, "base_momentum": 0.5},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 10, "scale_fn": lambda c: 1 / c},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 10, "scale_fn": lambda t: 1 / (1 + t),
         "scale_mode": "iterations", "cycle_momentum": False},
        {"base_lr": 0.01, "max_lr": 0.1}],
    "OneCycleLR": [
        {"max_lr": 0.5, "total_steps": 300}, {"max_lr": [0.5, 0.1], "epochs": 29, "steps_per_epoch": 9},
        *[{"max_lr": 0.5, "total_steps": 261, "three_phase": three, "anneal_strategy": shape, "pct_start": share}
          for three in (False, True) for shape in ("cos", "linear") for share in (0.0, 0.1, 0.3, 0.45, 1.0)],
        {"max_lr": 0.5, "total_steps": 261, "div_factor": 4.0, "final_div_factor": 10.0, "base_momentum": 0.6,
         "max_momentum": [0.9, 0.99]},
        {"max_lr": 0.5, "total_steps": 261, "cycle_momentum": False}],
    "LambdaLR": [{"lr_lambda": JUMPS[0]}, {"lr_lambda": JUMPS}],
    "MultiplicativeLR": [{"lr_lambda": lambda t: 0.99 if t % 3 else 1.01}, {"lr_lambda": JUMPS}],
}
PAIRS = [pytest.param(name, options, id=f"{name}-{i}") for name, cases in CASES.items()
         for i, options in enumerate(cases)]


def optimizers(kind="SGD", rates=RATES):
    """An optimizer of ours and one of theirs, with two groups."""
    options = {"momentum": 0.9} if kind == "SGD" else {}
    ours = [{"params": [cr.Tensor(np.ones(2), requires_grad=True)], "lr": rate} for rate in rates]
    others = [{"params": [torch.ones(2, requires_grad=True)], "lr": rate} for rate in rates]
    return getattr(optim, kind)(ours, **options), getattr(torch.optim, kind)(others, **options)


def seen(optimizer):
    """What schedulers set, of all groups."""
    return [number for group in optimizer.param_groups
            for number in (group["lr"], group.get("momentum", 0.0), *group.get("betas", ()))]


def same(ours, others):
    """Equal to rounding; near 0, to the rounding of the rates that it was made from."""
    for a, b in zip(seen(ours), seen(others), strict=True):
        assert math.isclose(a, b, rel_tol=1e-12, abs_tol=3e-16), f"{a} for {b}"


def walk(pair, schedulers, steps=STEPS):
    """Step through both; they are equal at each step."""
    for _ in range(steps):
        same(*pair)
        for optimizer, made in zip(pair, schedulers, strict=True):
            optimizer.step()
            for scheduler in made:
                scheduler.step()
    same(*pair)
    for mine, other in zip(*schedulers, strict=True):
        assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), rel=1e-12, abs=1e-15)


def make(module, optimizer, name, options):
    return getattr(module, name)(optimizer, **options)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), PAIRS)
def test_rates_and_momenta(name, options, kind):
    pair = optimizers(kind)
    made = [[make(module, optimizer, name, options)] for module, optimizer in zip((lr_scheduler, theirs), pair,
                                                                                  strict=True)]
    walk(pair, made)
    assert made[0][0].last_epoch == made[1][0].last_epoch == STEPS


def test_each_of_theirs_is_here_and_compared():
    assert set(lr_scheduler.__all__) == set(theirs.__all__)
    apart = {"LRScheduler", "SequentialLR", "ChainedScheduler", "ReduceLROnPlateau"}
    assert set(CASES) == set(theirs.__all__) - apart


@pytest.mark.parametrize("name", sorted(set(theirs.__all__) - {"LRScheduler"}))
def test_arguments_and_defaults(name):
    mine, other = (inspect.signature(getattr(module, name)).parameters.values() for module in (lr_scheduler, theirs))
    assert [(p.name, p.default) for p in mine] == [(p.name, p.default) for p in other]


# ------------------------------------------------------------------ several of them
def sequence(module, o):
    return [module.SequentialLR(o, [module.LinearLR(o, 0.1, total_iters=20), module.CosineAnnealingLR(o, T_max=150),
                                    module.ExponentialLR(o, 0.99)], milestones=[20, 170])]


def restarts_first(module, o):
    return [module.SequentialLR(o, [module.CosineAnnealingWarmRestarts(o, 5), module.LambdaLR(o, JUMPS[0]),
                                    module.ConstantLR(o, 0.5), module.StepLR(o, 10)], milestones=[12, 30, 100])]


def none_of_the_first(module, o):
    return [module.SequentialLR(o, [module.LinearLR(o, 0.1), module.StepLR(o, 7)], milestones=[0])]


def chain(module, o):
    return [module.ChainedScheduler([module.ConstantLR(o, 0.1, 20), module.ExponentialLR(o, 0.99),
                                     module.MultiStepLR(o, [50, 51], 0.5), module.LinearLR(o)], optimizer=o)]


def chain_of_sequence(module, o):
    return [module.ChainedScheduler([sequence(module, o)[0], module.PolynomialLR(o, 400)])]


def side_by_side(module, o):
    return [module.ExponentialLR(o, 0.99), module.StepLR(o, 20, 0.8), module.CosineAnnealingLR(o, 100, 0.001),
            module.PolynomialLR(o, 300, 2.0), module.MultiplicativeLR(o, lambda t: 0.999)]


def overruled(module, o):
    return [module.ExponentialLR(o, 0.99), module.LambdaLR(o, JUMPS[1]), module.StepLR(o, 20, 0.8)]


@pytest.mark.parametrize("several", [sequence, restarts_first, none_of_the_first, chain, chain_of_sequence,
                                     side_by_side, overruled])
def test_several_of_one_optimizer(several):
    pair = optimizers()
    walk(pair, [several(module, optimizer) for module, optimizer in zip((lr_scheduler, theirs), pair, strict=True)])


@pytest.mark.parametrize("change", ["by hand", "plateau"])
def test_what_others_do_to_the_rates_stays(change):
    pair = optimizers()
    made = [[module.LinearLR(o, 0.1, total_iters=20), module.CosineAnnealingLR(o, 300, 0.001)]
            for module, o in zip((lr_scheduler, theirs), pair, strict=True)]
    plateaus = [module.ReduceLROnPlateau(o, patience=4, factor=0.5)
                for module, o in zip((lr_scheduler, theirs), pair, strict=True)]
    for t in range(100):
        walk(pair, made, steps=1)
        for optimizer, plateau in zip(pair, plateaus, strict=True):
            if change == "plateau":
                plateau.step(1.0)
            elif t in (7, 40):
                optimizer.param_groups[1]["lr"] *= 0.3
    assert pair[0].param_groups[1]["lr"] < 0.01


# ------------------------------------------------------------------ going on
@pytest.mark.parametrize(("name", "options"), PAIRS)
def test_going_on_from_their_state(name, options):
    """A run of theirs is taken over in the middle: optimizer and scheduler."""
    _, other = optimizers()
    scheduler = make(theirs, other, name, options)
    for _ in range(100):
        other.step()
        scheduler.step()
    mine, _ = optimizers()
    resumed = make(lr_scheduler, mine, name, options)
    resumed.load_state_dict(deepcopy(scheduler.state_dict()))
    walk((mine, other), ([resumed], [scheduler]), steps=150)


@pytest.mark.parametrize(("name", "options"), PAIRS)
def test_last_epoch(name, options):
    """A scheduler made with last_epoch=k continues a run of which k + 1 steps are over."""
    (mine, _), (_, other) = optimizers(), optimizers()
    make(lr_scheduler, mine, name, options)                        # notes the first rates in the groups
    scheduler = make(theirs, other, name, options)
    for _ in range(41):
        other.step()
        scheduler.step()
    walk((mine, other), ([make(lr_scheduler, mine, name, {**options, "last_epoch": 40})], [scheduler]), steps=100)


@pytest.mark.parametrize("options", CASES["CosineAnnealingWarmRestarts"], ids=str)
def test_between_two_steps(options):
    pair = optimizers()
    made = [module.CosineAnnealingWarmRestarts(o, **options)
            for module, o in zip((lr_scheduler, theirs), pair, strict=True)]
    for epoch in [*np.linspace(0, 60, 173).tolist(), None, None, 3.25, None, None, 0, None, *[None] * 50]:
        for scheduler in made:
            scheduler.step(epoch)
        same(*pair)
        assert made[0].last_epoch == made[1].last_epoch


def test_going_on_from_their_state_between_two_steps():
    pair = optimizers()
    mine, other = (module.CosineAnnealingWarmRestarts(o, 5, 2)
                   for module, o in zip((lr_scheduler, theirs), pair, strict=True))
    other.step(7.25)
    mine.load_state_dict(other.state_dict())
    for _ in range(30):
        same(*pair)
        mine.step()
        other.step()


# ------------------------------------------------------------------ plateaus
@settings(max_examples=150)
@given(metrics=st.lists(st.one_of(st.sampled_from([1.0, 0.99995, 0.9999, 0.5, math.nan]), st.floats(0.1, 10)),
                        max_size=60),
       options=st.fixed_dictionaries({}, optional={
           "mode": st.sampled_from(["min", "max"]), "threshold_mode": st.sampled_from(["rel", "abs"]),
           "factor": st.floats(0, 0.99), "patience": st.integers(0, 4), "cooldown": st.integers(0, 4),
           "threshold": st.sampled_from([0.0, 1e-4, 0.1, 0.5]), "eps": st.sampled_from([0.0, 1e-8, 0.01]),
           "min_lr": st.sampled_from([0, 0.05, [0.1, 0.01]])}))
def test_plateaus(metrics, options):
    pair = optimizers()
    mine, other = (module.ReduceLROnPlateau(o, **options)
                   for module, o in zip((lr_scheduler, theirs), pair, strict=True))
    for metric in metrics:
        mine.step(metric)
        other.step(metric)
        assert mine.get_last_lr() == other.get_last_lr()
        assert seen(pair[0]) == seen(pair[1])
        for name in ("best", "num_bad_epochs", "cooldown_counter", "in_cooldown", "last_epoch"):
            assert getattr(mine, name) == getattr(other, name), name


def test_plateaus_go_on_from_their_state():
    pair = optimizers()
    mine, other = (module.ReduceLROnPlateau(o, patience=2, cooldown=1)
                   for module, o in zip((lr_scheduler, theirs), pair, strict=True))
    for metric in (1.0, 0.9, 0.95, 0.95, 0.95, 0.9):
        other.step(metric)
    mine.load_state_dict(other.state_dict())
    for _ in range(10):
        mine.step(0.9)
        other.step(0.9)
        assert seen(pair[0]) == seen(pair[1])


# ------------------------------------------------------------------ warnings and errors
def warned(module, optimizer, in_order):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        scheduler = module.StepLR(optimizer, 3)
        for _ in range(3):
            if in_order:
                optimizer.step()
            scheduler.step()
    return [w.category for w in found]


@pytest.mark.parametrize("in_order", [True, False])
def test_the_warning_of_a_wrong_order(in_order):
    mine, other = optimizers()
    assert warned(lr_scheduler, mine, in_order) == warned(theirs, other, in_order)


@pytest.mark.parametrize(("name", "options"), [
    ("ReduceLROnPlateau", {"factor": 1.0}), ("ReduceLROnPlateau", {"mode": "least"}),
    ("ReduceLROnPlateau", {"threshold_mode": "x"}), ("ReduceLROnPlateau", {"min_lr": [0.1]}),
    ("OneCycleLR", {"max_lr": 0.1}), ("OneCycleLR", {"max_lr": 0.1, "epochs": 3}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 0}), ("OneCycleLR", {"max_lr": [0.1], "total_steps": 9}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 9, "pct_start": 1.5}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 9, "anneal_strategy": "sine"}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.2, "mode": "square"}), ("CyclicLR", {"base_lr": [0.1], "max_lr": 0.2}),
    ("CosineAnnealingWarmRestarts", {"T_0": 0}), ("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": 0}),
    ("LambdaLR", {"lr_lambda": JUMPS[:1]}), ("ConstantLR", {"factor": -0.1}), ("LinearLR", {"end_factor": -1}),
    ("SequentialLR", {"schedulers": [], "milestones": []})])
def test_what_they_refuse_is_refused(name, options):
    for module, optimizer in zip((lr_scheduler, theirs), optimizers(), strict=True):
        with pytest.raises(ValueError):
            make(module, optimizer, name, options)


def test_optimizers_without_momentum():
    mine, other = optimizers("Adagrad")
    for module, optimizer in ((lr_scheduler, mine), (theirs, other)):
        with pytest.raises(ValueError, match="momentum"):
            module.OneCycleLR(optimizer, 0.1, 10)
        module.OneCycleLR(optimizer, 0.1, 10, cycle_momentum=False)


def test_both_end_a_cycle_after_its_steps():
    for module, optimizer in zip((lr_scheduler, theirs), optimizers(), strict=True):
        scheduler = module.OneCycleLR(optimizer, 0.1, total_steps=10)
        for _ in range(10):
            optimizer.step()
            scheduler.step()
        with pytest.raises(ValueError, match="10"):
            scheduler.step()
