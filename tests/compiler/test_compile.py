"""Compiled steps: one definition of everything, written down once and run as a flat list of calls."""
from __future__ import annotations

import copy

import numpy as np
import pytest
from tests.compiler.programs import training_step

import chainrule as cr
from chainrule import gates as g
from chainrule import nn, optim
from chainrule.compiler import Program
from chainrule.gate import Gate
from chainrule.mode import Observer, observe


def compiled(step, **options):
    """A compiled step whose gradients can be looked at."""
    return cr.compile(step, keep_grads=True, **options)


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=1e-3),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, maximize=True),
    "adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=1e-3),
    "adamw": lambda p: optim.AdamW(p, lr=0.01, amsgrad=True),
}


def network(dtype=np.float64, *, norm=False):
    """2-4-3-1, with dropout."""
    cr.random.seed(7)
    middle = [nn.BatchNorm1d(4, dtype=dtype)] if norm else []
    return nn.Sequential(nn.Linear(2, 4, dtype=dtype), *middle, nn.Tanh(), nn.Dropout(0.25),
                         nn.Linear(4, 3, dtype=dtype), nn.ReLU(), nn.Linear(3, 1, dtype=dtype))


def training(make, dtype=np.float64, **options):
    """A model, its optimizer, and the whole step of one with the other."""
    model, criterion = network(dtype, **options), nn.BCEWithLogitsLoss()
    optimizer = make(model.parameters())
    return model, optimizer, training_step(model, criterion, optimizer)


def batches(count, dtype=np.float64, seed=0, size=8):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        x = rng.normal(size=(size, 2)).astype(dtype)
        yield x, (x[:, :1] * x[:, 1:] > 0).astype(dtype)


def states(model, optimizer):
    """Everything that a step leaves behind."""
    parameters = list(model.parameters())
    found = dict(model.state_dict())
    found |= {f"gradient {i}": p.grad.numpy() for i, p in enumerate(parameters) if p.grad is not None}
    found |= {f"{name} {i}": value for i, state in optimizer.state_dict()["state"].items()
              for name, value in state.items()}
    return found | {"position": cr.random.dropout.position, "seed": cr.random.dropout.seed}


def assert_same(ours, theirs):
    """To 1e-9: a program may sum in another order than the gates whose parts it runs."""
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert type(value) is type(theirs[name]), name
        np.testing.assert_allclose(value, theirs[name], rtol=1e-9, atol=1e-13, err_msg=name)


def schedule(optimizer, t):
    for group in optimizer.param_groups:
        group["lr"] = np.float64(0.1) * (1 + np.cos(t / 50 * np.pi))          # with NumPy, as users write it


def trajectory(step, model, optimizer, between=schedule, count=50, **options):
    """The losses and all state after each step, from one and the same seed of the noise."""
    cr.random.seed(3)
    for t, (x, y) in enumerate(batches(count, **options)):
        between(optimizer, t)
        yield step(x, y).item(), states(model, optimizer)


def poisoned(*_, **__):
    raise AssertionError("a replay must not apply gates")


# ------------------------------------------------------------------ equal to eager
@pytest.mark.parametrize("norm", [False, True], ids=["", "norm"])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_fifty_steps_equal_eager_ones(make, norm):
    """Forward, backward and update, with dropout, a schedule, and batch normalisation's running statistics."""
    model, optimizer, step = training(make, norm=norm)
    eager = list(trajectory(step, model, optimizer))
    model, optimizer, step = training(make, norm=norm)
    recorded = compiled(step)
    for (loss, state), (expected, reference) in zip(trajectory(recorded, model, optimizer), eager, strict=True):
        assert loss == pytest.approx(expected, rel=1e-12)
        assert_same(state, reference)
    assert recorded.recordings == 1


def test_a_replay_applies_no_gate(monkeypatch):
    model, optimizer, step = training(OPTIMIZERS["adam"], norm=True)
    eager = list(trajectory(step, model, optimizer, count=22))
    model, optimizer, step = training(OPTIMIZERS["adam"], norm=True)
    recorded = compiled(step)
    steps = trajectory(recorded, model, optimizer, count=22)
    next(steps), next(steps)
    monkeypatch.setattr(Gate, "__call__", poisoned)
    monkeypatch.setattr(Gate, "result", poisoned)
    rest = list(steps)
    monkeypatch.undo()
    assert len(rest) == 20
    for (loss, state), (expected, reference) in zip(rest, eager[2:], strict=True):
        assert loss == pytest.approx(expected, rel=1e-12)
        assert_same(state, reference)


def test_the_operators_of_tensors_stay_out_of_a_replay_too():
    """They are made before a test can poison them, so another way: nobody who looks on sees a gate."""
    seen = []

    class Watch(Observer):
        def applied(self, gate, inputs, options, result):
            seen.append(gate.name)

    _, _, step = training(OPTIMIZERS["sgd"])
    recorded = compiled(step)
    x, y = next(batches(1))
    recorded(x, y)
    recorded(x, y)
    [[variant]] = recorded.variants.values()
    run = variant.run
    with observe(Watch()):
        run([x, y])
        assert seen == []
        recorded(x, y)                       # whoever looks on sees the step itself, gate by gate
    assert "linear" in seen


@pytest.mark.parametrize(("make", "changes"), [
    (OPTIMIZERS["sgd"], {"momentum": 0.5, "weight_decay": 0.5}),
    (OPTIMIZERS["adam"], {"betas": [0.5, 0.6], "eps": 1e-4}),
], ids=["sgd", "adam"])
def test_state_may_change_between_steps(make, changes):
    """A new seed, new weights, a loaded optimizer, other settings: cells, so nothing is recorded anew."""
    def meddle(model, saved):
        def between(optimizer, t):
            schedule(optimizer, t)
            if t == 4:
                cr.random.seed(11)
            if t == 6:
                model[0].weight.assign(np.full((4, 2), 0.5))
            if t == 8:
                with cr.no_grad():
                    model[0].bias -= 0.25
            if t == 10:
                saved.update(model=model.state_dict(), optimizer=copy.deepcopy(optimizer.state_dict()))
            if t == 14:
                model.load_state_dict(saved["model"])
                optimizer.load_state_dict(saved["optimizer"])
            if t == 16:
                optimizer.param_groups[0].update(changes)
        return between

    model, optimizer, step = training(make)
    eager = list(trajectory(step, model, optimizer, meddle(model, {}), count=20))
    model, optimizer, step = training(make)
    recorded = compiled(step)
    for (loss, state), (expected, reference) in zip(
            trajectory(recorded, model, optimizer, meddle(model, {}), count=20), eager, strict=True):
        assert loss == pytest.approx(expected, rel=1e-12)
        assert_same(state, reference)
    assert recorded.recordings == 1


def test_eager_and_recorded_steps_mix():
    """A recorded step leaves everything as an eager one would, so the two can take turns."""
    for make in OPTIMIZERS.values():
        model, optimizer, step = training(make, norm=True)
        eager = list(trajectory(step, model, optimizer, count=12))
        model, optimizer, step = training(make, norm=True)
        recorded, turns = compiled(step), iter(range(12))

        def either(x, y, recorded=recorded, step=step, turns=turns):
            return (step if next(turns) % 3 == 1 else recorded)(x, y)

        for (loss, state), (expected, reference) in zip(
                trajectory(either, model, optimizer, count=12), eager, strict=True):
            assert loss == pytest.approx(expected, rel=1e-12)
            assert_same(state, reference)


def test_what_was_decided_by_is_recorded_anew_when_it_changes():
    """Training and evaluation, weight decay on and off: each has its own program, and both are kept."""
    model, optimizer, _ = training(OPTIMIZERS["sgd"])
    x, _ = next(batches(1))
    forward = compiled(lambda x: model(x))
    first = forward(x)
    model.eval()
    np.testing.assert_allclose(forward(x).numpy(), model(x).numpy(), rtol=1e-14)
    assert (forward(x).numpy() == forward(x).numpy()).all()                  # no noise
    model.train()
    assert (forward(x).numpy() != first.numpy()).any()
    assert forward.recordings == 2

    w = cr.Tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)

    @compiled
    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    step(np.array([1.0]))
    optimizer.param_groups[0]["weight_decay"] = 1.0
    step(np.array([1.0]))
    assert w.item() == 0.5 - 0.5 * (1 + 0.5)
    optimizer.param_groups[0]["weight_decay"] = 0.5
    step(np.array([1.0]))
    assert w.item() == -0.25 - 0.5 * (1 - 0.125)
    assert step.recordings == 2


def test_batches_of_another_shape_or_dtype_are_recorded_anew():
    model, optimizer, step = training(OPTIMIZERS["adam"])
    eager = [list(trajectory(step, model, optimizer, count=3, size=size)) for size in (8, 5, 8)]
    model, optimizer, step = training(OPTIMIZERS["adam"])
    recorded = compiled(step)
    for size, reference in zip((8, 5, 8), eager, strict=True):
        for (loss, state), (expected, known) in zip(
                trajectory(recorded, model, optimizer, count=3, size=size), reference, strict=True):
            assert loss == pytest.approx(expected, rel=1e-12)
            assert_same(state, known)
    assert recorded.recordings == 2


# ------------------------------------------------------------------ other ways to write a step
def test_the_textbook_loop_is_recorded():
    """No optimizer: in-place operators on parameters, under no_grad."""
    def run(wrap):
        w, b = cr.Tensor([[0.5], [-1.0]], requires_grad=True), cr.Tensor([0.0], requires_grad=True)

        def step(x, y):
            loss = ((x @ w + b - y) ** 2).mean()
            loss.backward()
            with cr.no_grad():
                for p in (w, b):
                    p -= 0.1 * p.grad
                    p *= 0.999
                    p.grad = None
            return loss

        step = wrap(step)
        return [(step(x, y).item(), w.numpy(), b.numpy()) for x, y in batches(10)], step

    eager, _ = run(lambda step: step)
    replayed, step = run(compiled)
    for ours, theirs in zip(replayed, eager, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    assert step.recordings == 1


def test_gradients_accumulate_over_recorded_steps():
    def run(wrap):
        w = cr.Tensor([1.0, 2.0], requires_grad=True)
        optimizer = optim.SGD([w], lr=0.1)
        accumulate = wrap(lambda x: ((w * x).sum() ** 2).backward())
        for i, (x, _) in enumerate(batches(9)):
            accumulate(x[0])
            if i % 3 == 2:
                optimizer.step()
                optimizer.zero_grad()
        return w.numpy(), accumulate

    expected, _ = run(lambda step: step)
    found, step = run(compiled)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert step.recordings == 2         # with and without a gradient before


def test_gradients_may_be_changed_in_place_and_replaced():
    def run(wrap):
        w, v = cr.Tensor([3.0, 4.0], requires_grad=True), cr.Tensor([1.0], requires_grad=True)

        def step(x):
            w.grad = v.grad = None
            ((w * x).sum() * v).sum().backward()
            with cr.no_grad():
                w.grad *= 0.5
                v.grad = v.grad / 4
                total = cr.Tensor(0.0)
                total += (w.grad * w.grad).sum()
            return {"total": total, "both": (w.grad, v.grad)}

        step = wrap(step)
        return [step(np.array([2.0, i])) for i in range(4)], w.grad, v.grad

    for result in (run(lambda step: step), run(compiled)):
        outputs, w, v = result
        assert [o["total"].item() for o in outputs] == [1.0, 1.25, 2.0, 3.25]
        assert w.tolist() == [1.0, 1.5]
        assert v.tolist() == [4.5]
        assert outputs[0]["both"][0].tolist() == [1.0, 0.0]                  # what was returned first is what it was


def test_a_hand_written_layer_is_a_host_call():
    class Scale(nn.Layer):
        def __init__(self):
            self.w = nn.Parameter(np.array([2.0, 3.0]))

        def forward(self, x):
            self.x = x
            return x * self.w.numpy()

        def backward(self, dout):
            self.w.grad = (dout * self.x).sum(axis=0)
            return dout * self.w.numpy()

    def run(wrap):
        cr.random.seed(1)
        model = nn.Sequential(nn.Linear(2, 2, dtype=np.float64), Scale(), nn.Tanh())
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x):
            optimizer.zero_grad()
            loss = model(x).sum()
            loss.backward()
            optimizer.step()
            return loss

        step = wrap(step)
        return [(step(x).item(), states(model, optimizer)) for x, _ in batches(6)]

    for (loss, state), (expected, reference) in zip(run(compiled), run(lambda step: step), strict=True):
        assert loss == pytest.approx(expected, rel=1e-12)
        assert_same(state, reference)


def test_a_recorded_step_inside_another_is_part_of_it():
    w = cr.Tensor([1.0], requires_grad=True)
    inner = compiled(lambda x: (w * x).sum())
    outer = compiled(lambda x: inner(x) * 3.0)
    assert [outer(np.array([x])).item() for x in (2.0, 5.0, 1.0, 4.0)] == [6.0, 15.0, 3.0, 12.0]
    assert inner.recordings == 0


# ------------------------------------------------------------------ what cannot be recorded
@pytest.mark.parametrize("read", [float, bool, int, lambda t: t.item(), lambda t: t.numpy(), lambda t: t.tolist(),
                                  lambda t: f"{t:.3f}"], ids=range(7))
def test_reading_a_value_inside_a_step_is_an_error(read):
    model, _, _ = training(OPTIMIZERS["sgd"])
    x, _ = next(batches(1))
    with pytest.raises(TypeError, match="inside a recorded step, where it would stay what it is now; return it from"):
        compiled(lambda x: read(model(x).sum().detach()))(x)
    assert model(x).sum().detach().item() is not None                       # and afterwards all is as before


def test_arguments_are_data():
    w = cr.Tensor([1.0], requires_grad=True, name="w")
    with pytest.raises(TypeError, match=r"an argument of a compiled step is data, but w of shape \(1,\) requires"):
        compiled(lambda x: x.sum())(w)
    with pytest.raises(TypeError, match=r"got set; pass"):
        compiled(lambda x: x.sum())({1.0})


def test_numbers_among_the_arguments_are_part_of_the_signature():
    step = compiled(lambda x, n, squared=False: (x ** 2 if squared else x) * n)
    x = np.array([3.0])
    found = [step(x, n, squared).item() for squared in (False, True) for n in (2, 5, 2)]
    assert found == [6.0, 15.0, 6.0, 18.0, 45.0, 18.0]
    assert step.recordings == 4


def test_a_step_cannot_branch_on_what_it_computed():
    group = {"lr": 0.5}

    def step(x):
        cr.state.write(group, "lr", cr.state.read(group, "lr") * 0.5)
        return x if cr.state.given(group, "lr") else x * 2

    with pytest.raises(TypeError, match="lr is computed in the recorded step, which cannot branch on it; use where"):
        compiled(step)(np.ones(1))


@pytest.mark.parametrize(("value", "error", "message"), [
    (lambda x: x.reshape(1, 2), ValueError, r"cannot write float64 \(1, 2\) into array, which is float32 \(2,\)"),
    (lambda x: x + 0.5j, TypeError, r"cannot write complex128 \(2,\) into array, which is float32 \(2,\)"),
])
def test_a_parameter_keeps_its_shape_and_kind(value, error, message):
    w = cr.Tensor(np.ones(2, np.float32))

    def step(x):
        with cr.no_grad():
            w.__imul__(value(x))

    with pytest.raises(error, match=message):
        compiled(step)(np.ones(2))


# ------------------------------------------------------------------ dtypes, memory
class Dtypes(Observer):
    """Collects the dtypes of all results and gradients."""

    def __init__(self):
        self.seen = set()

    def applied(self, gate, inputs, options, result):
        self.seen.add((gate.name, np.asarray(result.array).dtype))

    def pulled(self, result, source, gradient):
        self.seen.add(("gradient", gradient.dtype))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_no_gate_of_a_float32_step_has_a_float64_result(make):
    """Eager, and in the program, which holds every gate of the derivatives and of the update as well."""
    model, optimizer, step = training(make, np.float32, norm=True)
    dtypes = Dtypes()
    with observe(dtypes):
        for _ in trajectory(step, model, optimizer, count=3, dtype=np.float32):
            pass
    assert {name for name, dtype in dtypes.seen if dtype == np.float64} == set()
    assert ("gradient", np.dtype(np.float32)) in dtypes.seen
    recorded = compiled(step)
    for _ in trajectory(recorded, model, optimizer, count=3, dtype=np.float32):
        pass
    kinds = [(str(s), s.result.kind) for s in recorded.program.applications]
    assert [name for name, kind in kinds if isinstance(kind, tuple) and kind[1] == np.float64] == []
    names = {s.gate.name for s in recorded.program.applications}
    assert {"matmul", "philox_uniform"} <= names
    left = [a for a in states(model, optimizer).values() if isinstance(a, np.ndarray) and a.shape]
    assert {a.dtype for a in left} == {np.dtype(np.float32)}


def test_float32_steps_equal_eager_ones():
    for make in OPTIMIZERS.values():
        model, optimizer, step = training(make, np.float32)
        eager = [loss for loss, _ in trajectory(step, model, optimizer, dtype=np.float32)]
        model, optimizer, step = training(make, np.float32)
        replayed = [loss for loss, _ in trajectory(compiled(step), model, optimizer, dtype=np.float32)]
        np.testing.assert_allclose(replayed, eager, rtol=1e-4)


def test_arrays_handed_out_never_change():
    model, optimizer, step = training(OPTIMIZERS["adam"])
    recorded, held, copies = compiled(step), [], []
    for x, y in batches(6):
        loss = recorded(x, y)
        held += [loss.numpy(), *(p.numpy() for p in model.parameters()), *(p.grad.numpy() for p in model.parameters())]
        copies += [a.copy() for a in held[len(copies):]]
        optimizer.step()                                                     # an eager write in between
    for a, b in zip(held, copies, strict=True):
        np.testing.assert_array_equal(a, b)


def test_results_and_arguments_share_nothing_that_is_written():
    step = compiled(lambda x: x)
    x, t = np.ones(2), cr.Tensor([1.0])
    found, held = [step(x) for _ in range(4)], [step(t) for _ in range(4)]
    x += 1
    t.assign([5.0])
    assert [z.tolist() for z in found] == [[1.0, 1.0]] * 4
    assert [z.tolist() for z in held] == [[1.0]] * 4


def test_what_a_step_returns_is_no_window_on_its_state():
    w = cr.Tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)

    @compiled
    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()
        return w, w.grad

    for _ in range(4):
        w.assign([0.5])
        value, gradient = step(np.ones(1))   # after it w is 0, and its gradient 1
        with cr.no_grad():
            w += 1.0
            w.grad *= 3.0
        assert (value.item(), gradient.item()) == (0.0, 1.0)
        w.assign([0.5])
        value, gradient = step(np.ones(1))
        with cr.no_grad():
            value -= 7.0
            gradient -= 7.0
        assert (w.item(), w.grad.item()) == (0.0, 1.0)


def test_moments_are_arrays_of_their_own():
    class Last(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.5})

        def moments(self, group):
            return ("last",)

        def rule(self, p, g, s, *, lr):
            p -= lr * (g + s.last)
            s.last = g
            return p

    w = cr.Tensor([1.0], requires_grad=True)
    optimizer = Last([w])

    @compiled
    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    expected, last = 1.0, 0.0
    for _ in range(5):
        step(np.array([2.0]))
        expected, last = expected - 0.5 * (2 + last), 10.0
        optimizer.state[w]["last"] *= 5
        assert w.grad.item() == 2.0
        assert w.item() == expected


def test_single_numbers_of_a_dtype_keep_it():
    step = compiled(lambda x: cr.random.uniform(dtype=np.float32) * x)
    assert {step(np.ones(2, np.float16)).dtype for _ in range(4)} == {np.dtype(np.float32)}


def test_a_float64_factor_does_not_widen_a_float32_parameter():
    w = cr.Tensor(np.ones(2, np.float32))

    @compiled
    def step(x):
        with cr.no_grad():
            w.__imul__(x)

    for _ in range(4):
        step(np.full(2, 3.0))
    assert w.dtype == np.float32
    assert w.tolist() == [81.0, 81.0]


def test_a_tensor_of_the_steps_own_is_no_state():
    @compiled
    def step(x):
        total = cr.Tensor(np.zeros(2))
        total.assign(x)
        total += 1.0
        return total

    for x in (np.ones(2), np.full(2, 5.0), np.zeros(2), np.full(2, -3.0)):
        assert step(x).tolist() == (x + 1).tolist()
    assert step.program.writes == []


def test_a_plain_array_from_outside_is_read_anew():
    factor, inside = np.array([2.0]), {"it": np.array([1.0])}
    step = compiled(lambda x: x * factor + inside["it"])
    assert [step(np.ones(1)).item() for _ in range(3)] == [3.0] * 3
    factor[0], inside["it"][0] = 5.0, 10.0
    assert step(np.ones(1)).item() == 15.0
    factor = np.array([7.0])
    assert step(np.ones(1)).item() == 17.0
    assert step.recordings == 1


def test_a_graph_from_before_a_replay_is_known_to_be_stale():
    w = cr.Tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    @compiled
    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    for _ in range(4):
        step(np.ones(1))
        loss = (w * w).sum()
        step(np.ones(1))
        with pytest.raises(RuntimeError, match="written in place"):
            loss.backward()


def test_a_replay_that_fails_changes_no_cell():
    model, optimizer, step = training(OPTIMIZERS["adam"])
    table = cr.Tensor(np.arange(3.0))

    @compiled
    def picking(x, y, i):
        step(x, y)
        return table[i]

    for x, y in batches(2):
        picking(x, y, np.array([2]))
    before = states(model, optimizer)
    with pytest.raises(IndexError):
        picking(x, y, np.array([3]))
    assert_same(states(model, optimizer), before)


# ------------------------------------------------------------------ the program itself
def test_a_program_is_in_single_assignment_form():
    _, _, step = training(OPTIMIZERS["adam"], norm=True)
    recorded = compiled(step)
    recorded(*next(batches(1)))
    program = recorded.recorded
    assert isinstance(program, Program)
    made = [*program.arguments, *(v for v, _ in program.constants), *(v for _, v in program.reads)]
    known = {v.number for v in made}
    assert len(known) == len(made)
    for application in program.steps:
        for x in application.inputs:
            assert not isinstance(x, cr.Tensor | np.ndarray)
            assert getattr(x, "number", next(iter(known))) in known
        assert application.result.number not in known
        known.add(application.result.number)
    assert known == set(range(program.size))


def test_a_program_prints_as_a_listing():
    w = cr.Tensor([1.0], requires_grad=True, name="w")
    optimizer = optim.SGD([w], lr=0.25)

    @compiled
    def step(x):
        optimizer.zero_grad()
        loss = (w * x).sum()
        loss.backward()
        optimizer.step()
        return loss

    step(np.array([2.0]))
    assert [line.split("  ")[0] + " " + line.split("  ")[1] for line in str(step.recorded).splitlines()[:10]] == [
        "%0 argument x", "%1 cell w", "%4 constant 1.0", "%7 cell optimizer.param_groups[0]['lr']",
        "%2 multiply(%1, %0)", "%3 sum(%2)", "%5 broadcast_to(%4, shape=(1,))", "%6 multiply(%5, %0)",
        "%8 multiply(%7, %6)", "%9 subtract(%1, %8)"]
    assert str(step.recorded).splitlines()[10:] == [
        "w.grad ← %6", "w ← %9", "return %3",
        "assuming None, False or 0 in optimizer.param_groups[0]: momentum, dampening, weight_decay, nesterov, maximize"]


def test_the_program_takes_its_calculus_from_the_gates(monkeypatch):
    """Double one derivative, and the gradient of the recorded step doubles: there is no copy of it."""
    def gradient():
        x = cr.Tensor([0.5], requires_grad=True)

        @compiled
        def step(y):
            x.grad = None
            g.sum(g.sin(x) * y).backward()

        for _ in range(3):                               # the third is a replay
            step(np.ones(1))
        return x.grad.item()

    plain = gradient()
    rule = g.sin.derivative[0]
    monkeypatch.setattr(g.sin, "derivative", (lambda dz, z, x: 2 * rule(dz, z, x),))
    assert gradient() == pytest.approx(2 * plain) == pytest.approx(2 * np.cos(0.5))
