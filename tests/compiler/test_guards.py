"""Guards: whatever a step was decided by is noticed when it changes, and constants that change are found out."""
from __future__ import annotations

import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule import functional as F
from chainrule import nn, optim
from chainrule.compiler import RecordingError
from chainrule.optim import lr_scheduler


def data(count, size=6, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(size, 3)).astype(dtype), rng.normal(size=(size, 2)).astype(dtype)) for _ in range(count)]


class Setup:
    """A model, its optimizer and a step; `run` trains it, compiled or not, with something done between the steps."""

    def __init__(self, make=lambda p: optim.SGD(p, lr=0.05), middle=()):
        cr.random.seed(5)
        self.model = nn.Sequential(nn.Linear(3, 4, dtype=np.float64), *middle, nn.Tanh(),
                                   nn.Linear(4, 2, dtype=np.float64))
        self.loss = nn.MSELoss()
        self.optimizer = make(self.model.parameters())

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self, step, between=lambda setup, t: None, count=12):
        cr.random.seed(3)
        losses = []
        for t, (x, y) in enumerate(data(count)):
            between(self, t)
            losses.append(step(x, y).item())
        return losses, {name: np.array(value) for name, value in self.model.state_dict().items()}


def same(make_setup, between=lambda setup, t: None, count=12, **options):
    """Train eagerly and compiled; they must agree. Give the compiled step."""
    eager = make_setup()
    losses, weights = eager.run(eager.step, between, count)
    setup = make_setup()
    step = cr.compile(setup.step, **options)
    found, state = setup.run(step, between, count)
    np.testing.assert_allclose(found, losses, rtol=1e-11)
    for name, value in weights.items():
        np.testing.assert_allclose(state[name], value, rtol=1e-11, atol=1e-14, err_msg=name)
    return step


# ------------------------------------------------------------------ state that may change: nothing is recorded anew
def test_a_schedule_moves_the_learning_rate():
    def between(setup, t):
        for group in setup.optimizer.param_groups:
            group["lr"] = 0.1 / (1 + t)

    assert same(Setup, between).recordings == 1


def test_a_scheduler_beside_the_step():
    def between(setup, t):
        if not hasattr(setup, "schedule"):
            setup.schedule = lr_scheduler.StepLR(setup.optimizer, 3, gamma=0.5)
        elif t:
            setup.schedule.step()

    assert same(Setup, between).recordings <= 2


@pytest.mark.parametrize("make", [
    partial(optim.SGD, lr=0.05, momentum=0.9, dampening=0.5), partial(optim.RAdam, lr=0.01), partial(optim.NAdam),
    partial(optim.Adam, lr=0.01, amsgrad=True)], ids=["dampening", "RAdam", "NAdam", "amsgrad"])
def test_what_an_optimizer_does_otherwise_at_first_is_not_baked(make):
    assert same(lambda: Setup(make), count=30).recordings == 1


def test_running_means_without_momentum():
    """The share of each batch is 1/t."""
    assert same(lambda: Setup(middle=[nn.BatchNorm1d(4, momentum=None, dtype=np.float64)])).recordings == 1


def test_dropout_draws_on():
    assert same(lambda: Setup(middle=[nn.Dropout(0.4)])).recordings == 1


def test_weights_and_moments_are_loaded_between_steps():
    saved = {}

    def between(setup, t):
        if t == 3:
            saved["model"] = {name: np.array(x) for name, x in setup.model.state_dict().items()}
            saved["optimizer"] = setup.optimizer.state_dict()
        if t == 7:
            setup.model.load_state_dict(saved["model"])
            setup.optimizer.load_state_dict(saved["optimizer"])

    assert same(lambda: Setup(partial(optim.Adam, lr=0.01)), between).recordings == 1


def test_clipping_is_part_of_the_step():
    class Clipping(Setup):
        def step(self, x, y):
            self.optimizer.zero_grad()
            loss = self.loss(self.model(x), y)
            loss.backward()
            optim.clip_grad_norm_(self.model.parameters(), 0.1)
            optim.clip_grad_value_(self.model.parameters(), 0.05)
            self.optimizer.step()
            return loss

    assert same(Clipping).recordings == 1


def test_weights_that_two_layers_share():
    class Sharing(Setup):
        def __init__(self):
            super().__init__()
            first = nn.Linear(3, 3, dtype=np.float64)
            again = nn.Linear(3, 3, dtype=np.float64)
            again.weight = first.weight
            self.model = nn.Sequential(first, nn.Tanh(), again, nn.Linear(3, 2, dtype=np.float64))
            self.optimizer = optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)

    assert same(Sharing).recordings == 1


# ------------------------------------------------------------------ what it was decided by: recorded anew
def test_training_and_evaluation():
    def between(setup, t):
        setup.model.train(t % 4 < 2)

    assert same(lambda: Setup(middle=[nn.Dropout(0.4)]), between).recordings == 2


def test_a_replaced_parameter_and_a_replaced_layer():
    def between(setup, t):
        if t == 4:
            setup.model[0].weight = nn.Parameter(np.full((4, 3), 0.1))
            setup.optimizer = optim.SGD(setup.model.parameters(), lr=0.05)
        if t == 8:
            setup.model = nn.Sequential(setup.model[0], nn.Linear(4, 2, dtype=np.float64))
            setup.optimizer = optim.SGD(setup.model.parameters(), lr=0.05)

    step = same(Setup, between)
    assert step.recordings == 3


@pytest.mark.parametrize(("change", "middle"), [
    (lambda setup: setattr(setup.model[1], "p", 0.9), lambda: [nn.Dropout(0.4)]),
    (lambda setup: setattr(setup.model[1], "eps", 0.5), lambda: [nn.BatchNorm1d(4, dtype=np.float64)]),
    (lambda setup: setattr(setup.loss, "reduction", "sum"), list),
    (lambda setup: setup.model[0].register_forward_hook(lambda layer, x, y: y * 2), list),
    (lambda setup: setup.optimizer.param_groups[0].update(weight_decay=0.5), list),
    (lambda setup: setup.optimizer.add_param_group({"params": [nn.Parameter(np.ones(1))]}), list),
    (lambda setup: setup.model[0].weight.requires_grad_(False), list),
], ids=["p", "eps", "reduction", "hook", "weight decay", "group", "frozen"])
def test_settings_of_layers_losses_and_optimizers(change, middle):
    def between(setup, t):
        if t == 5:
            change(setup)

    assert same(lambda: Setup(middle=middle()), between).recordings == 2


def test_numbers_among_the_variables():
    scale, shift = 1.0, 0.0

    def twice(x):
        return x * scale + shift

    step = cr.compile(lambda x: twice(x) * 2)
    x = np.array([1.0])
    found = []
    for scale, shift in [(1.0, 0.0)] * 3 + [(3.0, 0.0)] * 3 + [(3.0, 0.5)] * 3 + [(1.0, 0.0)]:  # noqa: B007
        found.append(step(x).item())
    assert found == [2.0] * 3 + [6.0] * 3 + [7.0] * 3 + [2.0]
    assert step.recordings == 3


FACTOR = 1.0


def test_numbers_among_the_globals(monkeypatch):
    step = cr.compile(lambda x: x * FACTOR)
    x = np.array([1.0])
    assert [step(x).item() for _ in range(3)] == [1.0] * 3
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    assert [step(x).item() for _ in range(3)] == [5.0] * 3


def test_attributes_of_the_object_whose_method_is_compiled():
    class Machine:
        def __init__(self):
            self.factor, self.table = 2.0, np.array([1.0])

        @cr.compile
        def step(self, x):
            return x * self.factor + self.table

    a, b = Machine(), Machine()
    x = np.array([1.0])
    b.factor = 10.0
    assert [a.step(x).item() for _ in range(3)] == [3.0] * 3
    assert [b.step(x).item() for _ in range(3)] == [11.0] * 3
    a.factor, a.table = 4.0, np.array([0.5])
    assert [a.step(x).item() for _ in range(3)] == [4.5] * 3
    assert a.step.recordings == 2
    assert b.step.recordings == 1


def test_gradients_that_accumulate_over_steps():
    """A number among the arguments, and whether there is a gradient, each with a program; no gradient is lost."""
    class Accumulating(Setup):
        def micro(self, x, y, last):
            loss = self.loss(self.model(x), y) / 3
            loss.backward()
            if last:
                self.optimizer.step()
                self.optimizer.zero_grad()
            return loss

    def run(wrap):
        setup = Accumulating(partial(optim.Adam, lr=0.01))
        step = wrap(setup.micro)
        losses = [step(x, y, t % 3 == 2).item() for t, (x, y) in enumerate(data(24))]
        return losses, setup.model.state_dict(), step

    losses, weights, _ = run(lambda step: step)
    found, state, step = run(cr.compile)
    np.testing.assert_allclose(found, losses, rtol=1e-11)
    for name, value in weights.items():
        np.testing.assert_allclose(state[name], value, rtol=1e-11)
    assert step.recordings == 3              # the first of three, the second, the last


def test_two_steps_that_share_a_model():
    def run(wrap):
        setup = Setup(partial(optim.Adam, lr=0.01))
        other = optim.SGD(setup.model[0].parameters(), lr=0.02)

        def decay(x):
            other.zero_grad()
            loss = (setup.model[0](x) ** 2).mean()
            loss.backward()
            other.step()
            return loss

        one, two = wrap(setup.step), wrap(decay)
        losses = []
        for x, y in data(15):
            losses += [one(x, y).item(), two(x).item()]
        return losses, setup.model.state_dict()

    losses, weights = run(lambda step: step)
    found, state = run(cr.compile)
    np.testing.assert_allclose(found, losses, rtol=1e-11)
    for name, value in weights.items():
        np.testing.assert_allclose(state[name], value, rtol=1e-11)


# ------------------------------------------------------------------ what Python does in a step
def test_a_counter_of_a_layer_is_refused():
    class Counting(nn.Layer):
        def __init__(self):
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return x * self.calls

    layer = Counting()
    with pytest.raises(RecordingError, match=r"calls went from 0 to 1 in the step; that is done in Python"):
        cr.compile(lambda x: layer(x))(np.ones(1))


def test_a_counter_among_the_variables_is_refused():
    count = 0

    @cr.compile
    def step(x):
        nonlocal count
        count += 1
        return x * count

    with pytest.raises(RecordingError, match="the variable count went from 0 to 1 in the step"):
        step(np.ones(1))


def test_a_list_that_is_added_to_is_refused():
    class Collecting(nn.Layer):
        def __init__(self):
            self.seen = []

        def forward(self, x):
            self.seen.append(x.shape)
            return x

    layer = Collecting()
    with pytest.raises(RecordingError, match=r"seen.*in the step"):
        cr.compile(lambda x: layer(x))(np.ones(1))


def test_a_counter_outside_the_step_is_a_guard():
    count = 0
    step = cr.compile(lambda x: x * count)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for count in range(5):
            assert step(np.ones(1)).item() == count
    assert step.recordings == 5


def test_a_layer_may_keep_what_it_computed():
    class Peeking(nn.Layer):
        def forward(self, x):
            self.last = x * 2
            return self.last + 1

    layer = Peeking()
    step = cr.compile(lambda x: layer(x))
    for t in range(5):
        assert step(np.full(2, float(t))).tolist() == [2.0 * t + 1] * 2
        assert layer.last.tolist() == [2.0 * t] * 2
    assert step.recordings == 1


def test_a_layer_may_carry_state_from_call_to_call():
    """A recurrent layer that keeps its hidden state in an attribute, None at first, and is told to forget it."""
    class Recurrent(nn.Layer):
        def __init__(self):
            self.weight = nn.Parameter(np.array([[0.5, -0.25], [0.125, 0.5]]))
            self.hidden = None

        def forward(self, x):
            before = 0.0 if self.hidden is None else self.hidden.detach() @ self.weight
            self.hidden = cr.tanh(x + before)
            return self.hidden

    def run(wrap):
        layer = Recurrent()
        step, found = wrap(lambda x: layer(x)), []
        for t, (x, _) in enumerate(data(12)):
            if t == 8:
                layer.hidden = None
            found.append(step(x[:1, :2]).numpy().copy())
        return found, step

    expected, _ = run(lambda step: step)
    found, step = run(cr.compile)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert step.recordings == 2


def test_another_tensor_at_each_call_is_found_by_the_second():
    box = SimpleNamespace(t=cr.Tensor([1.0]))
    step = cr.compile(lambda x: x * box.t)
    step(np.ones(1))
    box.t = cr.Tensor([2.0])
    with pytest.raises(RecordingError, match="what the step reads is another object at each call"):
        step(np.ones(1))


# ------------------------------------------------------------------ constants that are none
def test_a_number_reached_another_way_is_found_by_the_second_call():
    config = SimpleNamespace(weight=1.0)
    step = cr.compile(lambda x: x * config.weight)
    step(np.ones(1))
    config.weight = 2.0
    with pytest.raises(RecordingError, match=r"argument 1 of multiply was 1.0 in the first call and 2.0 in the second:"
                                             r".*chainrule\.cell"):
        step(np.ones(1))


def test_noise_of_numpy_is_found_by_the_second_call():
    rng = np.random.default_rng(0)
    step = cr.compile(lambda x: x + rng.normal(size=2))
    step(np.ones(2))
    with pytest.raises(RecordingError, match=r"goes into add is made by plain Python.*chainrule\.random"):
        step(np.ones(2))


def test_another_way_through_the_code_is_found_by_the_second_call():
    switches = SimpleNamespace(on=False)
    step = cr.compile(lambda x: x.exp() if switches.on else x.tanh())
    step(np.ones(2))
    switches.on = True
    with pytest.raises(RecordingError, match="in its second call the step did exp where it did tanh in the first"):
        step(np.ones(2))


def test_a_check_finds_what_changed_later():
    config = SimpleNamespace(weight=1.0)
    w = cr.Tensor([1.0], requires_grad=True, name="w")

    @partial(cr.compile, check=3)
    def step(x):
        with cr.no_grad():
            w.assign(w * config.weight + x)
        return w

    for _ in range(4):
        step(np.ones(1))
    config.weight = 2.0
    step(np.ones(1))                          # nobody looks
    before = w.numpy().copy()
    with pytest.raises(cr.compiler.check.DifferenceError,
                       match=r"test_guards.py:\d+ in step: .*differs. The first gate that differs is multiply: it "
                             r"takes 2.0 now, and 1.0 was recorded"):
        step(np.ones(1))
    assert w.numpy().tolist() == before.tolist()


def test_a_check_finds_nothing_where_nothing_is_wrong():
    step = same(lambda: Setup(partial(optim.AdamW, lr=0.01), [nn.Dropout(0.3), nn.BatchNorm1d(4, dtype=np.float64)]),
                check=1)
    assert step.recordings == 1


def test_cells_are_read_anew():
    weight, table = cr.cell(1.0), cr.cell([1.0, 2.0])
    step = cr.compile(lambda x: (x * weight.value + table.value).sum())
    x = np.ones(2, np.float32)
    assert [step(x).item() for _ in range(3)] == [5.0] * 3
    weight.value, table.value = 3, [0.0, 1.0]
    weight.value = 3.0
    assert step(x).item() == 7.0
    assert step.recordings == 1


def test_cells_are_written():
    count = cr.cell(0)

    @cr.compile
    def step(x):
        count.value = count.value + 1
        return x * count.value

    assert [step(np.ones(1)).item() for _ in range(5)] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert count.value == 5
    assert type(count.value) is int
    count.value = 10
    assert step(np.ones(1)).item() == 11.0


def test_a_cell_holds_numbers():
    with pytest.raises(TypeError, match="a cell holds a number or an array of numbers, got str 'a'"):
        cr.cell("a")


# ------------------------------------------------------------------ signatures, limits
def test_too_many_signatures_are_run_eagerly_with_a_warning():
    step = cr.compile(lambda x: x.sum(), limit=3)
    for n in range(1, 4):
        assert step(np.ones(n)).item() == n
    with pytest.warns(RuntimeWarning, match=r"was recorded 3 times, which is its limit.*x went from float64 \(3,\) to "
                                            r"float64 \(4,\)"):
        assert step(np.ones(4)).item() == 4
    assert step(np.ones(5)).item() == 5       # once is enough
    assert step.recordings == 3


def test_the_warning_names_what_is_no_argument():
    count = 0
    step = cr.compile(lambda x: x * count, limit=2)
    for count in range(2):
        assert step(np.ones(1)).item() == count
    count = 2
    with pytest.warns(RuntimeWarning, match="the variable count went from 1 to 2"):
        assert step(np.ones(1)).item() == 2


def test_arguments_may_be_nested_and_named():
    step = cr.compile(lambda batch, *, scale: batch["x"] * scale + batch["more"][0])
    for t in range(4):
        result = step({"x": np.ones(2), "more": [np.full(2, float(t))]}, scale=np.float32(2))
        assert result.tolist() == [2.0 + t] * 2
    assert step.recordings == 1
    assert step({"x": np.ones(2), "more": [np.ones(2)]}, scale=3).tolist() == [4.0] * 2
    assert step.recordings == 2


def test_what_falls_back_warns_once_and_names_the_line():
    step = cr.compile(lambda x: x * x.sum().item(), fallback=True)
    with pytest.warns(RuntimeWarning, match=r"runs eagerly, because it cannot be compiled: .*test_guards.py:\d+ in "
                                            r"<lambda>: .item\(\) reads a value"):
        assert step(np.array([2.0])).item() == 4.0
    assert step(np.array([3.0])).item() == 9.0


def test_a_step_that_cannot_be_recorded_leaves_everything_as_it_was():
    setup = Setup(partial(optim.Adam, lr=0.1), [nn.Dropout(0.5)])
    before = {name: np.array(x) for name, x in setup.model.state_dict().items()}

    @cr.compile
    def step(x, y):
        loss = setup.step(x, y)
        return loss.item()

    position = cr.random.dropout.position
    with pytest.raises(RecordingError, match=r"test_guards.py:\d+ in step"):
        step(*data(1)[0])
    for name, x in setup.model.state_dict().items():
        np.testing.assert_array_equal(x, before[name])
    assert cr.random.dropout.position == position
    assert all(not any(np.any(m) for m in state.values()) for state in setup.optimizer.state.values())


def test_losses_are_functions_too():
    setup = Setup()

    @cr.compile
    def step(x, y):
        return F.mse_loss(setup.model(x), y)

    x, y = data(1)[0]
    expected = F.mse_loss(setup.model(x), y).item()
    assert [step(x, y).item() for _ in range(3)] == [pytest.approx(expected, rel=1e-12)] * 3


@pytest.mark.parametrize("name", ["items", "by_key"])
def test_an_empty_list_or_dict_of_a_layer_that_is_filled_is_noticed(name):
    class Sums(nn.Layer):
        def __init__(self):
            super().__init__()
            self.items, self.by_key = [], {}

        def forward(self, x):
            for number in (*self.items, *self.by_key.values()):
                x = x + number
            return x * 1

    layer = Sums()
    step, x = cr.compile(layer), np.ones(1)
    held = getattr(layer, name)

    def put(number):
        held.append(number) if name == "items" else held.update({number: number})

    for change, want, recordings in ((lambda: None, 1, 1), (lambda: put(2.0), 3, 2), (lambda: put(5.0), 8, 3),
                                     (held.clear, 1, 3), (lambda: put(4.0), 5, 4)):
        change()
        assert [step(x).item() for _ in range(4)] == [want] * 4
        assert step.recordings == recordings


def test_minus_zero_is_another_number_and_nan_the_same_one():
    class Scaled(nn.Layer):
        def forward(self, x):
            return x * self.scale

    layer, number, x = Scaled(), 0.0, np.ones(2)
    of_argument, of_layer, of_variable = cr.compile(lambda x, k: x * k), cr.compile(layer), cr.compile(
        lambda x: x * number)
    for number in (0.0, 0.0, 0.0, -0.0, -0.0, 0.0, float("nan"), float("nan"), -0.0, float("nan")):
        layer.scale = number
        for got in (of_argument(x, number), of_layer(x), of_variable(x)):
            np.testing.assert_array_equal(got.numpy(), x * number)
            np.testing.assert_array_equal(np.signbit(got.numpy()), np.signbit(x * number))
    assert [step.recordings for step in (of_argument, of_layer, of_variable)] == [3, 3, 3]
