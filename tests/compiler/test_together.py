"""Small parameters are updated as one: which steps are, where their arrays lie, and that nobody notices."""
from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tests.compiler.programs import recorded

import chainrule as cr
from chainrule import nn, optim
from chainrule.compiler.passes import improved
from chainrule.compiler.planning.plan import plan

RULES = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
}


class Training:
    """A small network, its optimizer and its step, always from the same beginning."""

    def __init__(self, rule, compiled, sizes=(3, 5, 4, 2)):
        cr.random.seed(1)
        layers = [layer for a, b in pairwise(sizes)
                  for layer in (nn.Linear(a, b, dtype=np.float64), nn.Tanh())]
        self.model = nn.Sequential(*layers[:-1])
        self.parameters = list(self.model.parameters())
        self.optimizer = RULES[rule](self.parameters)
        self.step = cr.compile(self.eager) if compiled else self.eager
        rng = np.random.default_rng(2)
        self.batches = [(rng.normal(size=(6, sizes[0])), rng.normal(size=(6, sizes[-1]))) for _ in range(30)]

    def eager(self, x, y):
        loss = cr.mean(cr.square(self.model(x) - y))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self, start, stop):
        return [self.step(*batch).item() for batch in self.batches[start:stop]]

    def arrays(self):
        return [p.array for p in self.parameters]


def assert_alike(ours, theirs):
    for a, b in zip(ours.arrays(), theirs.arrays(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def groups(program):
    return list(dict.fromkeys(plan(program).groups.values()))


def side_by_side(arrays):
    """Whether arrays are consecutive pieces of one."""
    ends = [a.__array_interface__["data"][0] + a.nbytes for a in arrays]
    return all(a.base is arrays[0].base is not None for a in arrays) and ends[:-1] == [
        a.__array_interface__["data"][0] for a in arrays[1:]]


# ------------------------------------------------------------------ which steps, and where
@pytest.mark.parametrize("rule", RULES)
def test_all_small_parameters_are_one_row(rule):
    ours, theirs = Training(rule, True), Training(rule, False)
    ours.run(0, 3)
    (group,) = groups(ours.step.program)
    assert len(group.steps) == len(ours.parameters) == 6
    assert side_by_side(ours.arrays())
    for moment in {name for state in ours.optimizer.state.values() for name, x in state.items()
                   if isinstance(x, np.ndarray)}:
        assert side_by_side([ours.optimizer.state[p][moment] for p in ours.parameters])
    expected = theirs.run(0, 30)
    np.testing.assert_allclose(ours.run(3, 30), expected[3:], rtol=1e-9)
    assert_alike(ours, theirs)


def test_large_arrays_stay_where_they_are():
    ours = Training("SGD", True, sizes=(300, 300, 2))
    ours.run(0, 3)
    (group,) = groups(ours.step.program)
    assert len(group.steps) == 3                         # 90,000 elements are enough by themselves
    weight, *others = ours.arrays()
    assert side_by_side(others)
    assert not np.shares_memory(weight, others[0].base)


def test_a_step_in_between_that_needs_the_new_value():
    def program_of(uses):
        w, v = (cr.Tensor(np.ones((3, 1))) for _ in range(2))

        def step(x):
            with cr.no_grad():
                other = w.clone()
                w.assign(w - 0.1 * (x @ v))
                v.assign(v - 0.1 * (x.T @ (w if uses else other)))

        return improved(recorded(step, np.ones((3, 3))))

    assert groups(program_of(uses=True)) == []           # v waits for w
    assert [len(group.steps) for group in groups(program_of(uses=False))] == [2]


def test_arrays_of_two_dtypes_are_two_rows():
    parameters = [cr.Tensor(np.ones(n, dtype), requires_grad=True)
                  for dtype in (np.float32, np.float64) for n in (2, 3)]
    optimizer = optim.SGD(parameters, lr=0.5)

    def step(x):
        optimizer.zero_grad()
        loss = sum((p * p).sum().astype(np.float64) for p in parameters) * x.sum()
        loss.backward()
        optimizer.step()

    found = groups(improved(recorded(step, np.ones(1))))
    assert sorted(len(group.steps) for group in found) == [2, 2]


# ------------------------------------------------------------------ whatever is done in between
def looked_at(training):
    training.seen = [p.numpy() for p in training.parameters]
    training.before = [x.copy() for x in training.seen]


def assigned(training):
    with cr.no_grad():
        training.parameters[2].assign(training.parameters[2].numpy() * 0.5)


def loaded(training):
    training.model.load_state_dict({name: x * 0.9 for name, x in training.model.state_dict().items()})


def counted(training):
    for state in list(training.optimizer.state.values())[1:3]:
        state["step"] += 7


def replaced_moment(training):
    state = training.optimizer.state[training.parameters[1]]
    state["exp_avg"] = state["exp_avg"] * 2


@pytest.mark.parametrize("change", [looked_at, assigned, loaded, counted, replaced_moment])
def test_changes_between_steps_arrive(change):
    ours, theirs = Training("Adam", True), Training("Adam", False)
    for training in (ours, theirs):
        training.run(0, 5)
        change(training)
        training.run(5, 12)
    assert_alike(ours, theirs)
    if change is looked_at:                              # what was handed out never changes
        for x, before in zip(ours.seen, ours.before, strict=True):
            np.testing.assert_array_equal(x, before)
    assert side_by_side(ours.arrays())                   # laid out anew


def test_two_steps_of_one_model_agree_where_its_parameters_lie():
    ours = Training("SGD", True)
    other = cr.compile(ours.eager)
    for batch in ours.batches[:3]:
        ours.step(*batch)
        other(*batch)
    arrays = ours.arrays()
    for batch in ours.batches[3:6]:
        ours.step(*batch)
        other(*batch)
    assert all(a is b for a, b in zip(ours.arrays(), arrays, strict=True))


def test_a_report_says_so():
    ours = Training("SGD", True)
    ours.run(0, 3)
    assert "NumPy's functions, once for 6 arrays  they are small, and lie side by side" in ours.step.program.report()
