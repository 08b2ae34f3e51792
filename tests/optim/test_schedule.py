"""Learning rates over a run, as pure functions. Every schedule made of settings passes the tests of all of them."""
from __future__ import annotations

import dataclasses
import json
import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chainrule import nn, optim
from chainrule.data import ArrayDataset
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
from chainrule.training import Trainer


def tenth(t):
    return 1 / (1 + t / 10)


def whole(t, steps):
    return 1.0


#: Of each schedule some examples, none of them ever above 1. A new one is tested by being added here.
CASES = {
    constant: [constant(), constant(0.3), constant(0.3, 7), constant(0.3, 0.5), constant(0.0, 0)],
    linear: [linear(), linear(0.1, 1.0, 20), linear(1, 0.5, 0.3), linear(0.5, 0.5, 0)],
    warmup: [warmup(5), warmup(0.1, 0.0), warmup(0, then=cosine()), warmup(10, then=step(3)),
             warmup(0.2, 0.01, then=one_cycle())],
    step: [step(10), step(0.25, 0.5), step(1, 0.9), step(3, 1.0), step(2, 0.0)],
    multistep: [multistep([3, 50, 50]), multistep([0.5, 0.75], 0.3), multistep([]), multistep([80, 2], 0.0)],
    exponential: [exponential(0.9), exponential(1), exponential(0.0)],
    polynomial: [polynomial(), polynomial(2.0, 0.1), polynomial(0.5, total_iters=30), polynomial(0, total_iters=0.5)],
    cosine: [cosine(), cosine(0.1), cosine(T_max=20), cosine(0.3, 0.5), cosine(1.0, 1)],
    cosine_restarts: [cosine_restarts(10), cosine_restarts(1, 2), cosine_restarts(0.1, 3, end=0.2)],
    one_cycle: [one_cycle(share, three_phase=three, anneal_strategy=shape) for share in (0.0, 0.1, 0.3, 0.8, 1.0)
                for three in (False, True) for shape in ("cos", "linear")] + [one_cycle(0.5, 2, 3)],
    cyclic: [cyclic(0.0), cyclic(0.2, 5), cyclic(0.2, 5, 9, "triangular2"), cyclic(0.1, 0.1, 0.2, "exp_range", 0.99),
             cyclic(0.5, 3, scale_fn=tenth), cyclic(0.5, 3, scale_fn=tenth, scale_mode="iterations"), cyclic(1, 1)],
    function: [function(tenth)],
    sequential: [sequential([cosine()], []), sequential([linear(0.1, 1), constant(), linear()], [0.2, 0.7]),
                 sequential([step(2), cosine(), whole], [5, 5]), sequential((warmup(3), exponential(0.9)), (0.5,))],
    chained: [chained([cosine()]), chained([warmup(5), step(10), cosine_restarts(7), whole])],
}
ALL = [case for cases in CASES.values() for case in cases]
MADE_OF_FUNCTIONS = [case for case in ALL if "function" in json.dumps(schedule.describe(case))]
spans = st.integers(1, 300)
shares = st.floats(0, 1)


def over(case, steps, more=0):
    return [case(t, steps) for t in range(steps + more)]


# ------------------------------------------------------------------ what all of them are
def test_all_of_them_are_here():
    known = [getattr(schedule, name) for name in schedule.__all__]
    curves = {x for x in known if isinstance(x, type) and issubclass(x, schedule.Curve) and x is not schedule.Curve}
    assert set(CASES) == curves
    assert all(type(case) is kind for kind, cases in CASES.items() for case in cases)


@settings(max_examples=1500)
@given(case=st.sampled_from(ALL), steps=spans, share=st.floats(0, 1.5))
def test_a_factor_is_a_number_from_0_to_1_during_a_run_and_beyond(case, steps, share):
    t = round(share * steps)
    factor = case(t, steps)
    assert type(factor) is float
    assert 0 <= factor <= 1
    case(0, steps)
    assert case(t, steps) == factor                                # nothing is remembered


def said(case):
    """Name a case; addresses of functions differ from process to process."""
    return re.sub(r" at 0x\w+", "", repr(case))


@pytest.mark.parametrize("case", ALL, ids=said)
def test_it_can_be_compared_and_printed_but_not_changed(case):
    same = dataclasses.replace(case)
    assert same == case
    assert hash(same) == hash(case)
    assert sum(case == other for other in ALL) == 1
    if case not in MADE_OF_FUNCTIONS:
        assert eval(repr(case), vars(schedule).copy()) == case
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(case, dataclasses.fields(case)[0].name, 1)


@pytest.mark.parametrize("case", [case for case in ALL if case not in MADE_OF_FUNCTIONS], ids=said)
def test_it_comes_back_from_a_file(case):
    described = schedule.describe(case)
    assert described["name"] == type(case).__name__
    text = json.dumps(described, allow_nan=False)
    assert "null" not in text                                      # which TOML does not have
    assert schedule.build(json.loads(text)) == case


@pytest.mark.parametrize("case", [*MADE_OF_FUNCTIONS, whole], ids=said)
def test_functions_are_described_but_not_built(case):
    described = json.loads(json.dumps(schedule.describe(case)))
    name = f"{__name__}.{'tenth' if 'tenth' in str(described) else 'whole'}"
    assert name in str(described)
    with pytest.raises(ValueError, match=f"{name} is a function of its own"):
        schedule.build(described)


def test_numpys_numbers_and_lists_are_plain_ones():
    case = multistep(np.array([3, 5]), np.float32(0.5))
    assert case == multistep([3, 5], 0.5)
    assert [type(x) for x in (*case.milestones, case.gamma)] == [int, int, float]


# ------------------------------------------------------------------ numbers of steps
@pytest.mark.parametrize(("of_the_run", "counted"), [
    (constant(0.5, 0.25), constant(0.5, 50)), (linear(1, 0, 0.25), linear(1, 0, 50)), (warmup(0.25), warmup(50)),
    (step(0.1), step(20)), (multistep([0.5, 0.75]), multistep([100, 150])),
    (polynomial(2, 0, 0.25), polynomial(2, 0, 50)), (polynomial(), polynomial(total_iters=200)),
    (cosine(0, 0.5), cosine(0, 100)), (cosine_restarts(0.05, 2), cosine_restarts(10, 2)),
    (cyclic(0.1, 0.1, 0.2), cyclic(0.1, 20, 40)),
    (sequential([linear(), whole], [0.25]), sequential([linear(), whole], [50]))], ids=said)
def test_shares_of_a_run_are_numbers_of_steps(of_the_run, counted):
    assert over(of_the_run, 200) == over(counted, 200)
    assert over(of_the_run, 400) != over(counted, 400)


def test_a_share_is_at_least_one_step_and_goes_to_the_nearest():
    assert over(step(0.001, 0.5), 3) == [1.0, 0.5, 0.25]
    assert over(constant(0.5, 0.26), 10).count(0.5) == 3


@pytest.mark.parametrize("case", [cosine(), step(0.5), one_cycle(), warmup(3, then=cosine()), linear(),
                                  sequential([whole, polynomial()], [2])], ids=said)
def test_a_share_of_an_unknown_run_is_an_error(case):
    with pytest.raises(ValueError, match="how many steps there are, but steps=0"):
        case(5, 0)


def test_without_shares_the_length_of_the_run_does_not_matter():
    for case in (step(3), warmup(3, then=cosine(T_max=5)), cosine_restarts(4), cyclic(0.0, 4),
                 sequential([whole, linear(1, 0, 4)], [2]), multistep([1, 5]), constant(0.1, 3), polynomial(2, 0, 4)):
        assert over(case, 20) == [case(t, 0) for t in range(20)]


# ------------------------------------------------------------------ each by its properties
@given(size=spans, gamma=shares, t=st.integers(0, 400))
def test_step(size, gamma, t):
    factor = 1.0
    for passed in range(1, t + 1):
        factor *= gamma if passed % size == 0 else 1
    assert step(size, gamma)(t, 0) == pytest.approx(factor, rel=1e-12, abs=1e-300)


@given(milestones=st.lists(st.integers(0, 50)), t=st.integers(0, 60))
def test_multistep(milestones, t):
    assert multistep(milestones, 0.5)(t, 0) == 0.5 ** len([m for m in milestones if m <= t])


@given(gamma=st.floats(0, 2), t=st.integers(0, 300))
def test_exponential(gamma, t):
    assert exponential(gamma)(t, 0) == pytest.approx(math.prod([gamma] * t), rel=1e-12, abs=1e-300)


def test_a_rate_that_grows_without_end_becomes_infinite_instead_of_an_error():
    assert exponential(2.0)(5000, 0) == step(1, 2.0)(5000, 0) == math.inf


@given(start=shares, end=shares, total=spans)
def test_linear_goes_in_equal_strides_to_its_very_end(start, end, total):
    found = over(linear(start, end, total), total, more=3)
    assert found[0] == start
    assert found[total:] == [end] * 3
    strides = [b - a for a, b in pairwise(found[:total + 1])]
    assert strides == pytest.approx([(end - start) / total] * total, abs=1e-15)


@given(total=spans, power=st.floats(0.1, 5), end=shares)
def test_polynomial_ends_where_it_says(total, power, end):
    case = polynomial(power, end, total)
    found = [case(t, 0) for t in range(total + 3)]
    assert found[0] == pytest.approx(1, abs=1e-15)
    assert found[total:] == [end] * 3
    assert found == sorted(found, reverse=True)
    if end == 0:
        assert found[total // 2] ** (1 / power) == pytest.approx(1 - (total // 2) / total, rel=1e-9)


@given(end=shares, total=spans, t=st.integers(0, 300))
def test_cosine_is_symmetric_and_falls_to_its_very_end(end, total, t):
    found = [cosine(end)(t, total) for t in range(total + 3)]
    assert found[0] == 1
    assert found[total:] == [end] * 3
    assert found == sorted(found, reverse=True)
    assert [a + b for a, b in zip(found[:total + 1], found[total::-1], strict=True)] == pytest.approx(
        [1 + end] * (total + 1))
    assert cosine(end, total)(2 * total, 0) == pytest.approx(1)    # PyTorch's goes up again


@given(first=st.integers(1, 20), times=st.integers(1, 4), end=st.floats(0, 0.9))
def test_cosines_begin_anew_after_first_times_powers(first, times, end):
    case, start, period = cosine_restarts(first, times, end), 0, first
    for _ in range(4):
        found = [case(t, 0) for t in range(start, start + period)]
        assert found[0] == 1
        assert found == sorted(found, reverse=True)
        assert found == pytest.approx([end + (1 - end) * (1 + math.cos(math.pi * t / period)) / 2
                                       for t in range(period)])
        start, period = start + period, period * times


@given(steps=st.integers(1, 200), share=st.floats(0.01, 0.99))
def test_one_cycle_goes_up_to_the_whole_rate_and_down_to_almost_nothing(steps, share):
    factors = over(one_cycle(share), steps)
    assert all(0 < factor <= 1 for factor in factors)
    peak = factors.index(max(factors))
    assert factors[:peak + 1] == sorted(factors[:peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[-1] == 1 / 25 / 1e4 or share * steps > steps - 1
    if share * steps >= 2:
        assert factors[0] == pytest.approx(1 / 25)
        assert abs(peak - (share * steps - 1)) <= 1


@given(up=st.integers(2, 40), steps=st.integers(100, 300), first=st.floats(1, 100), last=st.floats(1, 1e4),
       three=st.booleans(), shape=st.sampled_from(["cos", "linear"]))
def test_one_cycle_reaches_its_peak_and_its_end_without_a_leap(up, steps, first, last, three, shape):
    share = up / steps
    assume(share * steps == up)
    case = one_cycle(share, first, last, three, shape)
    found = over(case, steps, more=5)
    assert found[0] == pytest.approx(1 / first, rel=1e-13)
    assert found[up - 1] == 1
    assert found[steps - 1:] == [1 / first / last] * 6
    if three and 2 * share * steps == 2 * up:
        assert found[2 * up - 2] == 1 / first
    steepest = 1 if shape == "linear" else math.pi / 2
    for begin, end in [(0, up - 1), (up - 1, 2 * up - 2 if three else steps - 1), (2 * up - 2, steps - 1)][:2 + three]:
        part = found[begin:end + 1]
        rise = abs(part[-1] - part[0])
        assert all(abs(b - a) <= steepest * rise / (end - begin) + 1e-12 for a, b in pairwise(part))


@given(base=shares, up=st.integers(1, 30), down=st.integers(1, 30),
       mode=st.sampled_from(["triangular", "triangular2", "exp_range"]))
def test_cyclic_peaks_and_valleys(base, up, down, mode):
    case = cyclic(base, up, down, mode, gamma=0.99)
    for cycle in range(4):
        start = cycle * (up + down)
        height = {"triangular": 1, "triangular2": 0.5 ** cycle, "exp_range": 0.99 ** (start + up)}[mode]
        assert case(start, 0) == base
        assert case(start + up, 0) == pytest.approx(base + (1 - base) * height, rel=1e-14)
        if mode != "exp_range":
            climb = [case(start + t, 0) for t in range(up + 1)]
            fall = [case(start + t, 0) for t in range(up, up + down + 1)]
            for part in (climb, fall):
                assert np.diff(part) == pytest.approx((part[-1] - part[0]) / (len(part) - 1), abs=1e-14)


def test_a_scale_of_ones_own_takes_the_cycle_or_the_step():
    seen = []
    for scale_mode in ("cycle", "iterations"):
        case = cyclic(0.0, 2, 1, "ignored", scale_fn=lambda x: seen.append(x) or 1.0, scale_mode=scale_mode)
        over(case, 7)
    assert seen == [1, 1, 1, 2, 2, 2, 3, 0, 1, 2, 3, 4, 5, 6]


# ------------------------------------------------------------------ put together
@given(total=st.integers(0, 50), more=st.integers(1, 50), start=shares, end=shares)
def test_a_warmup_leads_over_to_what_follows(total, more, start, end):
    case, steps = warmup(total, start, then=cosine(end)), total + more
    found = [case(t, steps) for t in range(steps + 3)]
    assert found[0] == (start if total else 1)
    assert found[total] == 1
    assert found[steps:] == [end] * 3
    rises = [b - a for a, b in pairwise(found[:total + 1])]
    assert rises == pytest.approx([(1 - start) / max(1, total)] * total, abs=1e-15)
    assert found[total:] == sorted(found[total:], reverse=True)


@given(lengths=st.lists(st.integers(0, 20), min_size=1, max_size=5), t=st.integers(0, 120))
def test_each_part_of_a_sequence_has_its_own_steps_and_its_own_length(lengths, t):
    starts = [0, *np.cumsum(lengths).tolist()]
    told = []
    parts = [lambda t, steps, i=i: told.append((i, t, steps)) or 0.5 for i in range(len(starts))]
    steps = max(t, starts[-1]) + 1
    assert sequential(parts, starts[1:])(t, steps) == 0.5
    [(i, own, length)] = told
    assert own == t - starts[i]
    assert length == (*starts[1:], steps)[i] - starts[i]
    assert 0 <= own < length


@given(t=st.integers(0, 100))
def test_chained_ones_are_multiplied(t):
    told = []
    parts = [lambda t, steps, c=c: told.append((t, steps)) or c for c in (0.5, 0.25, 3.0)]
    assert chained(parts)(t, 77) == 0.375
    assert told == [(t, 77)] * 3


def test_a_run_shorter_than_its_warmup_ends_within_it():
    assert over(warmup(10, 0.0, then=cosine()), 5, more=0) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert warmup(10, 0.0, then=cosine())(10, 5) == 1.0


# ------------------------------------------------------------------ wrong settings
@pytest.mark.parametrize(("make", "words"), [
    (lambda: step(0), r"step: step_size is a number of steps \(a whole number from 1 on\) or a share of the run "
                      r"\(a float between 0 and 1\), got 0"),
    (lambda: step(1.0), "got 1.0"), (lambda: step(30.0), "got 30.0"), (lambda: step(True), "got True"),
    (lambda: step(None), "got None"), (lambda: step("30"), "got '30'"),
    (lambda: step(3, -0.1), "gamma is a finite number from 0 on, got -0.1"),
    (lambda: step(3, math.nan), "got nan"), (lambda: exponential(math.inf), "got inf"),
    (lambda: exponential("0.9"), "got '0.9'"),
    (lambda: multistep([3, -1]), "milestones is a number of steps .*from 0 on.*got -1"),
    (lambda: multistep(5), "milestones is a list of numbers of steps, got 5"),
    (lambda: polynomial(-1), "power is a finite number from 0 on"),
    (lambda: polynomial(end=2), "between 0 and 1, got 2"),
    (lambda: polynomial(total_iters=0), "from 1 on"), (lambda: constant(-1), "factor is"),
    (lambda: linear(end_factor=-1), "end_factor is"), (lambda: warmup(-1), "from 0 on"),
    (lambda: warmup(5, -1), "start_factor is"),
    (lambda: cosine(1.5), "end is a finite number between 0 and 1, got 1.5"), (lambda: cosine(T_max=-3), "T_max"),
    (lambda: cosine_restarts(10, 0), "T_mult is a whole number from 1 on, got 0"),
    (lambda: cosine_restarts(10, 1.5), "got 1.5"), (lambda: one_cycle(-0.1), "between 0 and 1, got -0.1"),
    (lambda: one_cycle(1.1), "between 0 and 1, got 1.1"), (lambda: one_cycle(div_factor=0), "above 0, got 0"),
    (lambda: one_cycle(final_div_factor=-1), "final_div_factor is a finite number above 0, got -1"),
    (lambda: one_cycle(anneal_strategy="sine"), "'cos', 'linear', got 'sine'"),
    (lambda: cyclic(0.1, mode="square"), "'triangular', 'triangular2', 'exp_range', got 'square'"),
    (lambda: cyclic(2), "base"), (lambda: cyclic(0.1, scale_mode="x"), "scale_mode"),
    (lambda: sequential([], []), r"expected a list of schedules, got \(\)"),
    (lambda: sequential([cosine(), cosine()], []), r"2 schedules have 1 milestones between them, got \(\)"),
    (lambda: sequential([cosine(), cosine()], 3), "got 3"), (lambda: chained([]), "expected a list of schedules"),
    (lambda: chained(cosine()), "expected a list of schedules, got cosine"),
    (lambda: sequential([whole, whole, whole], [0.5, 3])(0, 10), r"are the steps \[5, 3\] of 10, which do not rise")])
def test_settings_out_of_range(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(("make", "words"), [
    (lambda: warmup(3, then=cosine), r"takes schedules, .*write cosine\(\.\.\.\)"),
    (lambda: chained([cosine(), 0.5]), "got 0.5"), (lambda: function(0.5), "expected a function of the step, got 0.5"),
    (lambda: schedule.describe(0.5), "expected a schedule, .* got 0.5")])
def test_what_is_no_schedule(make, words):
    with pytest.raises(TypeError, match=words):
        make()


@pytest.mark.parametrize(("description", "words"), [
    ("cosin", "there is no schedule 'cosin'; did you mean 'cosine'"), ("zigzag", "there are chained, constant, "),
    ({"end": 0.1}, "there is no schedule 'None'"),
    ({"name": "cosine", "ends": 0.1}, "cosine has no setting 'ends'; did you mean 'end'"),
    ({"name": "cosine", "q": 1}, "; there are T_max, end"), ("step", "the schedule step needs its setting step_size"),
    ({"name": "sequential"}, "needs its settings parts, milestones"), ({"name": "cosine", "end": 7}, "between 0 and 1"),
    ({"name": "warmup", "steps": 3, "then": {"name": "cosines"}}, "did you mean 'cosine'")])
def test_descriptions_of_nothing(description, words):
    with pytest.raises(ValueError, match=words):
        schedule.build(description)


def test_names_with_hyphens_are_names():
    assert schedule.build({"name": "cosine-restarts", "T_0": 3}) == cosine_restarts(3)


# ------------------------------------------------------------------ in a run
def test_a_trainer_uses_the_factors_of_its_steps():
    rng = np.random.default_rng(0)
    data = ArrayDataset(rng.normal(size=(20, 3)).astype(np.float32), rng.normal(size=(20, 1)).astype(np.float32))
    model = nn.Linear(3, 1)
    case = warmup(0.5, 0.0, then=linear())
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1), schedule=case)
    rows = trainer.fit(data, epochs=4, batch_size=10, callbacks=()).rows
    assert [row["lr"] for row in rows] == [0.1 * case(t, 8) for t in (1, 3, 5, 7)]
