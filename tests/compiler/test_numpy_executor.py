"""The NumPy executor: what it calls, what it reads and writes and when, and that it keeps its memory to itself."""
from __future__ import annotations

import functools
import gc
import operator
import subprocess
import sys
import textwrap
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.compiler.programs import recorded, training_step

import chainrule as cr
from chainrule import nn, optim
from chainrule.compiler.numpy_executor import flat, parts
from chainrule.compiler.numpy_executor.binding import Bound
from chainrule.compiler.numpy_executor.calls import copy_where
from chainrule.compiler.passes import improved
from chainrule.compiler.planning.plan import plan

OPTIMIZERS = {"sgd": lambda p: optim.SGD(p, lr=0.05), "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9),
              "adam": lambda p: optim.Adam(p, lr=0.01)}


def training(make, *, norm=False, dtype=np.float32, **options):
    cr.random.seed(0)
    extra = [nn.BatchNorm1d(16, dtype=dtype), nn.Dropout(0.25)] if norm else []
    model = nn.Sequential(nn.Linear(8, 16, dtype=dtype), *extra, nn.ReLU(), nn.Linear(16, 4, dtype=dtype))
    optimizer, loss = make(model.parameters()), nn.CrossEntropyLoss()
    return model, optimizer, cr.compile(training_step(model, loss, optimizer), **options)


def batch(seed=0, dtype=np.float32, rows=32):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 8)).astype(dtype), rng.integers(0, 4, rows)


def state(model, optimizer):
    found = {name: value.copy() for name, value in model.state_dict().items()}
    return found | {f"{i} {name}": value for i, each in optimizer.state_dict()["state"].items()
                    for name, value in each.items()}


def same(ours, theirs):
    return all(np.array_equal(ours[name], theirs[name]) for name in ours | theirs)


# ------------------------------------------------------------------ each call, against NumPy
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.bool_])
@pytest.mark.parametrize("name", ["sum", "max", "min", "prod", "mean"])
def test_reductions(name, dtype):
    for shape, axis, keepdims in [
            ((5, 3), None, False), ((5, 3), 0, True), ((5, 3), 1, False), ((5, 3), -1, True), ((5, 70), 1, False),
            ((2, 3, 4), (0, 2), False), ((2, 3, 4), (0, -1), True), ((4,), 0, False), ((), None, False),
            ((70, 2), -2, False), ((1, 3), 0, False), ((3, 1), 1, True)]:
        x = (np.random.default_rng(0).normal(size=shape) * 3).astype(dtype)
        options = {"axis": axis, "keepdims": keepdims}
        run = flat(recorded(lambda x, options=options: getattr(cr, name)(x, **options), x))
        expected = getattr(np, name)(x, **options)
        for given in (x, np.array(x, order="F")):
            found = run([given])
            assert found.dtype == expected.dtype
            rtol = 1e-6 if dtype is np.float32 else 1e-14
            np.testing.assert_allclose(found.numpy(), expected, rtol=rtol, err_msg=str(shape))


@pytest.mark.parametrize(("shape", "target"), [
    ((5, 3), (3,)), ((5, 3), (1, 3)), ((5, 3), (5, 1)), ((5, 3), (1,)), ((5, 3), ()), ((2, 5, 3), (3,)),
    ((2, 5, 3), (5, 1)), ((2, 1, 3), (2, 1, 1)), ((4,), (4,))])
def test_sums_to_a_shape(shape, target):
    x = np.random.default_rng(0).normal(size=shape)
    broad = np.broadcast_to(np.zeros(target), shape)
    axes = tuple(i for i in range(len(shape)) if i < len(shape) - len(target) or (
        broad.strides[i] == 0 and shape[i] > 1))
    expected = x.sum(axes, keepdims=True).reshape(target)
    np.testing.assert_allclose(flat(recorded(lambda x: cr.sum_to(x, target), x))([x]).numpy(), expected, rtol=1e-13)


@pytest.mark.parametrize(("a", "b"), [
    ((4, 3), (3, 5)), ((3,), (3,)), ((4, 3), (3,)), ((3,), (3, 5)), ((2, 4, 3), (3, 5)), ((2, 4, 3), (2, 3, 5)),
    ((300, 2), (2, 4)), ((4, 0), (0, 5)), ((2, 4, 1), (1, 1))])
@pytest.mark.parametrize("dtypes", [("f8", "f8"), ("f4", "f4"), ("f4", "f8"), ("i8", "i8"), ("i8", "f4"), ("?", "?")])
def test_products(a, b, dtypes):
    rng = np.random.default_rng(0)
    x, y = ((rng.normal(size=shape) * 3).astype(dtype) for shape, dtype in zip((a, b), dtypes, strict=True))
    run = flat(recorded(lambda x, y: cr.matmul(x, y), x, y))
    for given in ((x, y), (np.asfortranarray(x), y), (x, np.asfortranarray(y)[::1])):
        found = run(given)
        assert found.dtype == (x @ y).dtype
        np.testing.assert_allclose(found.numpy(), x @ y, rtol=1e-5 if found.dtype == np.float32 else 1e-13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.complex64, np.bool_])
@pytest.mark.parametrize("function", [
    lambda x: x * 2.5, lambda x: x + 1, lambda x: 2 - x * 1, lambda x: x * True, lambda x: cr.equal(x, 1.0),
    lambda x: cr.where(x == 1, x, 0.1), lambda x: cr.where(x, 3, x), lambda x: cr.cast(x, dtype=np.complex128),
    lambda x: cr.multiply(x, np.float64(0.1)), lambda x: x ** 2, lambda x: cr.divide(1, x + 2)])
def test_numbers_are_as_weak_as_in_eager_code(function, dtype):
    x = np.array([0, 1, 3, 2], dtype)
    expected = np.asarray(function(cr.Tensor(x)).array)
    found = flat(recorded(function, x))([x])
    assert found.dtype == expected.dtype
    assert found.numpy().tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [cr.maximum, cr.minimum])
def test_extremes_with_a_number(function, dtype):
    x = np.array([[-0.0, np.nan, 1.0], [-1.0, np.inf, 0.25]], dtype)
    for number in (0, 0.25, -np.inf, np.nan):
        found = flat(recorded(lambda x, number=number: cr.exp(function(x, number)), x))([x]).numpy()
        np.testing.assert_array_equal(found, np.exp(getattr(np, function.name)(x, number)))


# ------------------------------------------------------------------ numbers
def test_numbers_are_computed_with_pythons_operators():
    group = {"n": 3, "x": 0.1, "np": np.float64(0.7)}

    @cr.compile
    def step(a):
        n, x, y = (cr.state.read(group, name) for name in ("n", "x", "np"))
        cr.state.write(group, "n", n + 1)
        cr.state.write(group, "x", -(x ** n) / 3 + (y > x) * 1.0)
        return a * x * y

    a, mine = np.ones(2, np.float32), dict(group)
    for _ in range(6):
        expected = a * mine["x"] * float(mine["np"])
        mine["n"], mine["x"] = mine["n"] + 1, -(mine["x"] ** mine["n"]) / 3 + float(mine["np"] > mine["x"])
        found = step(a)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found.numpy(), expected)
        assert (group["n"], group["x"]) == (mine["n"], mine["x"])
        assert [type(group[name]) for name in ("n", "x")] == [int, float]


def test_a_number_that_cannot_be_computed_changes_nothing():
    group = {"x": 2.0}
    w = cr.Tensor(np.ones(2))

    @cr.compile
    def step():
        with cr.no_grad():
            w.assign(w * (1.0 / cr.state.read(group, "x")))

    for _ in range(3):
        step()
    group["x"] = 0.0
    with pytest.raises(ZeroDivisionError):
        step()
    assert w.tolist() == [0.125] * 2
    group["x"] = 0.5
    step()
    assert w.tolist() == [0.25] * 2


# ------------------------------------------------------------------ arguments
def test_arguments_may_lie_anywhere_and_change_in_place():
    """A reshape of one needs its elements in a row; it must not go on with a copy of an earlier call."""
    step = cr.compile(lambda x: cr.sum(cr.reshape(x, (-1,)) * np.arange(6.0)) + cr.sum(cr.transpose(x)[1] * x[:, 1]))
    base = np.random.default_rng(0).normal(size=(3, 2))
    for x in [base, np.asfortranarray(base), base[::-1], np.asfortranarray(base * 2)] * 2:
        for _ in range(2):
            expected = (x.reshape(-1) * np.arange(6.0)).sum() + (x.T[1] * x[:, 1]).sum()
            assert step(x).item() == pytest.approx(expected, rel=1e-13)
            x *= 1.5


def test_what_has_to_be_put_in_order_is_copied_at_each_run():
    step = cr.compile(lambda x: cr.reshape(cr.transpose(x * 2), (-1,)) + 1)
    for t in range(4):
        x = np.arange(6.0).reshape(2, 3) + t
        assert step(x).tolist() == ((x * 2).T.reshape(-1) + 1).tolist()


# ------------------------------------------------------------------ cells
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_arrays_stay_in_their_place(make):
    model, optimizer, step = training(make)
    for _ in range(3):
        step(*batch())
    held = [p.array for p in model.parameters()] + [
        x for s in optimizer.state.values() for x in s.values() if isinstance(x, np.ndarray)]
    before = [a.copy() for a in held]
    step(*batch(1))
    now = [p.array for p in model.parameters()] + [
        x for s in optimizer.state.values() for x in s.values() if isinstance(x, np.ndarray)]
    assert all(a is b for a, b in zip(held, now, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(before, now, strict=True))


@pytest.mark.parametrize("between", [
    lambda model, optimizer: model.load_state_dict({k: v * 0.5 for k, v in model.state_dict().items()}),
    lambda model, optimizer: optimizer.load_state_dict(optimizer.state_dict()),
    lambda model, optimizer: [p.numpy() for p in model.parameters()],
    lambda model, optimizer: [p.assign(p.numpy() + 0.25) for p in model.parameters()],
    lambda model, optimizer: [setattr(p, "array", np.asfortranarray(p.array)) for p in model.parameters()],
    lambda model, optimizer: [s.update({k: np.asfortranarray(v) for k, v in s.items() if np.ndim(v)})
                              for s in optimizer.state.values()],
    lambda model, optimizer: [p.array.flags.__setattr__("writeable", False) for p in model.parameters()],
    lambda model, optimizer: optimizer.step()], ids=range(8))
def test_what_others_do_to_cells_between_runs_is_seen(between):
    def run(wrapped):
        model, optimizer, step = training(OPTIMIZERS["adam"], dtype=np.float64, keep_grads=True)
        step = step if wrapped else step.step
        held, copies = [], []
        for t in range(7):
            step(*batch(t, np.float64))
            between(model, optimizer)
            held += [p.numpy() for p in model.parameters()]
            copies += [a.copy() for a in held[len(copies):]]
        assert all(np.array_equal(a, b) for a, b in zip(held, copies, strict=True))
        return state(model, optimizer)

    ours, theirs = run(True), run(False)
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_gradients_are_new_each_time():
    model, _, step = training(OPTIMIZERS["sgd"], keep_grads=True)
    held = []
    for t in range(4):
        step(*batch(t))
        held.append([p.grad for p in model.parameters()])
        if t == 2:
            with cr.no_grad():
                held[-1][0] *= 0.0
    assert len({id(g.array) for grads in held for g in grads}) == 16
    assert not held[2][0].numpy().any()
    assert held[3][0].numpy().any()


# ------------------------------------------------------------------ all or nothing
def bound(step):
    return Bound(step.program, plan(step.program))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_no_python_code_runs_while_cells_are_written(make):
    _, _, step = training(make, norm=True, keep_grads=True)
    for _ in range(2):
        step(*batch())
    late = bound(step).late
    assert any(isinstance(call[0], np.ufunc) for call in late)
    for function, *rest in late:
        function = function.func if isinstance(function, functools.partial) else function
        assert isinstance(function, np.ufunc) or function in (operator.setitem, setattr, np.ndarray.dot, copy_where)
        if function is setattr:
            assert type(rest[0]).__setattr__ is object.__setattr__ or late[-1][0] is setattr


def test_an_error_leaves_everything_as_it_was_and_says_where():
    model, optimizer, step = training(OPTIMIZERS["adam"], norm=True)
    table = cr.Tensor(np.arange(3.0))

    @cr.compile
    def picking(x, t, i):
        step.step(x, t)
        return table[i]

    for k in range(3):
        picking(*batch(), np.array([2 - k]))
    before, position = state(model, optimizer), cr.random.dropout.position
    with pytest.raises(IndexError, match=r"index 3 is out of bounds") as error:
        picking(*batch(), np.array([3]))
    assert error.value.__notes__ == [note for note in error.value.__notes__ if "test_numpy_executor.py" in note]
    assert same(state(model, optimizer), before)
    assert cr.random.dropout.position == position
    picking(*batch(), np.array([1]))
    assert not same(state(model, optimizer), before)


def test_an_overflow_is_no_interruption():
    """Where warnings are errors, one in an update must not stop it halfway."""
    w = cr.Tensor(np.array([1e30, 1.0], np.float32), requires_grad=True)
    optimizer = optim.SGD([w], lr=1e30, momentum=0.5)

    @cr.compile
    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        step(np.zeros(2, np.float32)), step(np.zeros(2, np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(np.array([1e10, 1.0], np.float32))
    assert w.numpy().tolist() == [-np.inf, pytest.approx(-1e30)]
    assert optimizer.state[w]["momentum_buffer"].tolist() == pytest.approx([1e10, 1.0])


def test_an_interrupt_leaves_a_state_between_steps():
    """A signal at a random moment: afterwards all cells together are those of some step of a run without signals."""
    program = textwrap.dedent("""
        import os, signal, threading, time
        import numpy as np, chainrule as cr
        from chainrule import nn, optim

        def training():
            cr.random.seed(0)
            model = nn.Sequential(nn.Linear(30, 40), nn.BatchNorm1d(40), nn.Tanh(), nn.Dropout(0.1), nn.Linear(40, 2))
            optimizer, loss = optim.Adam(model.parameters(), lr=1e-3), nn.MSELoss()
            x, y = np.ones((16, 30), np.float32), np.zeros((16, 2), np.float32)
            x *= np.arange(16, dtype=np.float32)[:, None]
            @cr.compile
            def step(x, y):
                optimizer.zero_grad()
                value = loss(model(x), y)
                value.backward()
                optimizer.step()
                return value
            def state():
                found = [cr.random.dropout.position.to_bytes(8, "little")]
                found += [value.tobytes() for value in model.state_dict().values()]
                for each in optimizer.state.values():
                    found += [np.asarray(value).tobytes() for value in each.values()]
                return hash(tuple(found))
            def clean():
                for p in model.parameters():
                    p.grad = None
            return lambda: step(x, y), state, clean

        step, state, clean = training()
        known = []
        for _ in range(3000):
            step()
            known.append(state())
        place = {s: t for t, s in enumerate(known)}

        step, state, clean = training()
        step(), step()
        inside, done, interrupts, now = False, False, 0, 1

        def stop(*_):
            global inside, interrupts
            if inside:
                inside, interrupts = False, interrupts + 1
                raise KeyboardInterrupt

        def send():
            rng = np.random.default_rng(0)
            while not done:
                time.sleep(float(rng.uniform(0.0001, 0.0008)))
                os.kill(os.getpid(), signal.SIGINT)

        signal.signal(signal.SIGINT, stop)
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        try:
            while interrupts < 300 and now < 2990:
                try:
                    inside = True
                    step()
                    inside = False
                except KeyboardInterrupt:
                    pass
                found = state()
                assert found in place, f"torn in step {now + 1}"
                assert now <= place[found] <= now + 1, (now, place[found])
                now = place[found]
        finally:
            done = True
            thread.join()
        print(interrupts)
    """)
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) >= 100


# ------------------------------------------------------------------ threads
def test_threads_that_write_the_same_cells_take_turns():
    w, v = cr.Tensor(np.zeros(200_000)), cr.Tensor(np.zeros(200_000))

    @cr.compile
    def first(x):
        with cr.no_grad():
            w.assign(w + x)

    @cr.compile
    def second(x):
        with cr.no_grad():
            v.assign(v + x)
            w.assign(w + x)

    x = np.ones(200_000)
    for _ in range(3):
        first(x), second(x)
    with ThreadPoolExecutor(4) as pool:
        for result in [pool.submit(step, x) for _ in range(30) for step in (first, second, first)]:
            result.result()
    assert set(w.numpy()) == {6.0 + 90.0}
    assert set(v.numpy()) == {3.0 + 30.0}


def test_threads_have_memory_of_their_own():
    step = cr.compile(lambda x: cr.sum(cr.exp(cr.tanh(x) * 2) + cr.sin(x), axis=1))
    inputs = [np.random.default_rng(i).normal(size=(200, 200)) for i in range(8)]
    for _ in range(3):
        step(inputs[0])
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for x, z in zip(inputs, pool.map(step, inputs), strict=True):
                np.testing.assert_allclose(z.numpy(), (np.exp(np.tanh(x) * 2) + np.sin(x)).sum(1), rtol=1e-13)


def test_a_step_that_only_reads_waits_for_nobody():
    w = cr.Tensor(np.ones(3))
    inside, go = threading.Event(), threading.Event()

    class Waiting(nn.Layer):
        waits = False

        def forward(self, x):
            if self.waits:
                inside.set()
                assert go.wait(10)
            return x * 1

        def backward(self, dout):
            return dout

    layer = Waiting()

    @cr.compile
    def writing(x):
        y = layer(x)
        with cr.no_grad():
            w.assign(w + y)

    reading = cr.compile(lambda x: x * w)
    for _ in range(3):
        writing(np.ones(3)), reading(np.ones(3))
    layer.waits = True
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(writing, np.ones(3))
        assert inside.wait(10)
        assert reading(np.full(3, 2.0)).tolist() == [8.0] * 3
        go.set()
        result.result()
    assert w.tolist() == [5.0] * 3


# ------------------------------------------------------------------ memory
@pytest.mark.parametrize("norm", [False, True], ids=["", "norm and dropout"])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_step_allocates_nothing_but_its_result(make, norm):
    _, _, step = training(make, norm=norm)
    x, t = batch(rows=512)
    for _ in range(5):
        step(x, t)
    gc.collect()
    tracemalloc.start()
    step(x, t)                                           # Python and NumPy keep small pieces of memory for later
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    step(x, t)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 4096


def test_nothing_of_a_step_is_held_afterwards_but_its_arguments():
    _, _, step = training(OPTIMIZERS["sgd"], keep_grads=True)
    for t in range(4):
        step(*batch(t))
    gc.collect()
    before = sum(type(x) is cr.Tensor for x in gc.get_objects())
    for t in range(4):
        step(*batch(t))
    gc.collect()
    assert sum(type(x) is cr.Tensor for x in gc.get_objects()) <= before


# ------------------------------------------------------------------ what it says of itself
def test_every_part_is_told_how_it_is_run():
    _, _, step = training(OPTIMIZERS["adam"], norm=True)
    for _ in range(3):
        step(*batch())
    told = parts(step.program)
    assert {what.split()[1].rstrip(",") for what, _, _ in told} == {a.gate.name for a in step.program.applications}
    how = {what.split()[1]: (how, why) for what, how, why in told}
    assert how["transpose"][0] == "a view"
    assert how["power"][0] == "a Python operator"
    assert how["matmul"] == ("NumPy's functions", "its memory is planned")
    assert any("memory of its cell" in why for _, _, why in told)


def test_blocks_and_a_users_own_code_are_told():
    class Own(nn.Layer):
        def forward(self, x):
            return x

        def backward(self, dout):
            return dout

    layer = Own()
    program = improved(recorded(lambda x: layer(cr.exp(x * 2)), np.zeros(300_000)))
    (blocks, own) = parts(program)
    assert blocks[0].count(",") == 1
    assert "on 10 blocks of 32,768 elements" in blocks[1]
    assert own[1] == "the user's own code"
