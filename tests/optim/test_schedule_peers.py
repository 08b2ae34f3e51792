"""Schedules step by step as PyTorch's schedulers."""
from __future__ import annotations

import math

import pytest

from chainrule.optim import schedule
from chainrule.optim.schedule import (
    chained,
    constant,
    cosine,
    cosine_restarts,
    cyclic,
    exponential,
    function,
    linear,
    multistep,
    one_cycle,
    polynomial,
    sequential,
    step,
    warmup,
)

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = pytest.mark.peers

STEPS, RATE = 240, 0.3
R = torch.optim.lr_scheduler


def square(t):
    return 1 / (1 + t) ** 2


#: Ours over a run of 240 steps, and theirs, of the learning rate 0.3.
CASES = [
    (constant(0.3, 50), lambda o: R.ConstantLR(o, 0.3, 50)),
    (linear(0.1, 0.7, 0.5), lambda o: R.LinearLR(o, 0.1, 0.7, 120)),
    (warmup(0.1), lambda o: R.LinearLR(o, total_iters=24)),
    (warmup(40, 0.01, then=cosine(0.1)), lambda o: R.SequentialLR(
        o, [R.LinearLR(o, 0.01, total_iters=40), R.CosineAnnealingLR(o, 200, eta_min=0.03)], [40])),
    (step(30, 0.5), lambda o: R.StepLR(o, 30, 0.5)),
    (multistep([0.5, 0.75]), lambda o: R.MultiStepLR(o, [120, 180])),
    (exponential(0.97), lambda o: R.ExponentialLR(o, 0.97)),
    (polynomial(2.0, total_iters=200), lambda o: R.PolynomialLR(o, 200, 2.0)),
    (cosine(), lambda o: R.CosineAnnealingLR(o, STEPS)),
    (cosine(0.1), lambda o: R.CosineAnnealingLR(o, STEPS, eta_min=0.1 * RATE)),
    (cosine(0.1, T_max=50), lambda o: R.CosineAnnealingLR(o, 50, eta_min=0.1 * RATE)),
    (cosine_restarts(10, 2, 0.1), lambda o: R.CosineAnnealingWarmRestarts(o, 10, 2, eta_min=0.1 * RATE)),
    (cyclic(0.2, 30, 20, "triangular2"), lambda o: R.CyclicLR(o, 0.2 * RATE, RATE, 30, 20, "triangular2",
                                                              cycle_momentum=False)),
    (cyclic(0.2, 30, mode="exp_range", gamma=0.99), lambda o: R.CyclicLR(
        o, 0.2 * RATE, RATE, 30, mode="exp_range", gamma=0.99, cycle_momentum=False)),
    (function(square), lambda o: R.LambdaLR(o, square)),
    (sequential([constant(0.1), exponential(0.9), step(10)], [20, 50]), lambda o: R.SequentialLR(
        o, [R.ConstantLR(o, 0.1, 1000), R.ExponentialLR(o, 0.9), R.StepLR(o, 10)], [20, 50])),
    (chained([constant(0.1, 30), exponential(0.98), step(50)]), lambda o: R.ChainedScheduler(
        [R.ConstantLR(o, 0.1, 30), R.ExponentialLR(o, 0.98), R.StepLR(o, 50)])),
]


def rates(steps, make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def equal(ours, expected):
    for t, (a, b) in enumerate(zip(ours, expected, strict=True)):
        assert math.isclose(a, b, rel_tol=1e-12, abs_tol=3e-16), f"step {t}: {a} for {b}"


@pytest.mark.parametrize(("ours", "make"), [pytest.param(*case, id=f"{type(case[0]).__name__}-{i}")
                                            for i, case in enumerate(CASES)])
def test_each(ours, make):
    equal([RATE * ours(t, STEPS) for t in range(STEPS)], rates(STEPS, make))


@pytest.mark.parametrize("steps", [10, 23, 500])
@pytest.mark.parametrize("options", [{}, {"pct_start": 0.45, "div_factor": 5.0, "final_div_factor": 20.0},
                                     {"three_phase": True, "anneal_strategy": "linear"}])
def test_one_cycle(steps, options):
    expected = rates(steps, lambda o: R.OneCycleLR(o, max_lr=RATE, total_steps=steps, cycle_momentum=False, **options))
    equal([RATE * one_cycle(**options)(t, steps) for t in range(steps)], expected)


def test_each_schedule_is_compared():
    compared = {type(ours).__name__ for ours, _ in CASES} | {"one_cycle"}
    apart = {"Curve", "Schedule", "build", "describe"}
    assert compared == set(schedule.__all__) - apart
