"""What users of such libraries ask for, point by point, from end to end; and the usual faults of layers by hand.

Each test is the shortest program in which a user would meet the point. The details have tests of their own, in the
files that each section names.
"""
from __future__ import annotations

import gc
import inspect
import re
import subprocess
import sys
import tomllib
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import Tensor, nn, no_grad, optim, training
from chainrule import gates as g
from chainrule.mode import Observer

Array = NDArray[Any]


def leaf(value: Any, **options: Any) -> Any:
    return Tensor(value, requires_grad=True, **options)


def line_of(function: Any, text: str) -> str:
    """`file:line` of the line of a function that contains a text."""
    lines, start = inspect.getsourcelines(function)
    return f"{Path(__file__).name}:{start + next(i for i, line in enumerate(lines) if text in line)}"


# ------------------------------------------------------------------ 1: why a topological sort? (test_reverse.py)
def test_point_1_a_value_used_twice_is_gone_through_once() -> None:
    a = leaf(3.0)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad.item() == 4.0


def test_point_1_by_the_graph_and_by_a_learners_own_loops() -> None:
    def build() -> Any:
        graph = cr.Graph()
        a = graph.inputs("a")
        b = a + a
        graph.output(b + b)
        return graph

    graph = build()
    assert graph.forward(a=3.0) == 12.0
    assert graph.backward() == {"a": 4.0}
    graph = build()
    graph.forward(a=3.0)
    for gate in graph.nodes:
        gate.forward()
    for gate in reversed(graph.nodes):
        gate.backward()
    assert next(node for node in graph.nodes if node.name == "a").gradient == 4.0


# ------------------------------------------------------------------ 2: gradients pile up (test_reverse.py)
def test_point_2_only_leaves_accumulate() -> None:
    x = leaf(2.0)
    y = x * 3
    z = y * y
    for passes in (1, 2, 3):
        z.backward(retain_graph=True)
        assert x.grad.item() == 36.0 * passes
        assert y.grad is None


def test_point_2_zero_grad_begins_anew() -> None:
    model: Any = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    seen = []
    for _ in range(2):
        optimizer.zero_grad()
        model(np.ones((3, 2))).sum().backward()
        seen.append(model.weight.grad.tolist())
    assert seen == [[[3.0, 3.0]]] * 2


# ------------------------------------------------------------------ 3: RecursionError (test_reverse.py)
def test_point_3_a_hundred_thousand_gates_in_a_chain() -> None:
    assert sys.getrecursionlimit() < 100_000
    gc.disable()
    try:
        x = leaf(1.0)
        y = x
        for _ in range(100_000):
            y = y * 1.0
        middle = weakref.ref(y.inputs[0])
        y.backward()
        assert x.grad.item() == 1.0
        del y
        assert middle() is None                        # deallocated, without recursion, without the collector
    finally:
        gc.enable()


# ------------------------------------------------------------------ 4: gradcheck says nothing (test_check.py)
def test_point_4_a_wrong_derivative_is_named_with_its_index_and_both_values() -> None:
    wrong = cr.Gate("half_right", lambda x: x * x, (lambda dz, z, x: dz * x * np.array([2.0, 2.0, 1.0]),))
    try:
        with pytest.raises(cr.GradientError) as caught:
            cr.check_gradients(lambda x: wrong(x) * 1.0, np.array([1.0, 2.0, 3.0], np.float32))
        message = str(caught.value)
    finally:
        del cr.GATES["half_right"]
    (row,) = re.findall(r"^x +\(2,\) +(\S+) +(\S+) +(\S+) +wrong formula$", message, re.M)
    analytic, numeric, error = map(float, row)
    assert analytic == pytest.approx(numeric / 2, rel=1e-4)
    assert error == pytest.approx(0.5, rel=1e-3)
    assert re.search(r"the wrong derivative is that of half_right, argument x, index \(2,\)", message)
    assert Path(__file__).name in message


def test_point_4_a_kink_is_called_a_kink() -> None:
    with pytest.raises(cr.GradientError, match="kink"):
        cr.check_gradients(lambda x: x.relu(), np.array([0.0, 1.0]))


def test_point_4_float32_layers_are_checked_in_float64_and_put_back() -> None:
    layer = nn.Linear(3, 2)
    weight = layer.weight.numpy()
    assert cr.check_gradients(layer, np.ones((4, 3), np.float32)) < 1e-7
    assert layer.weight.dtype == np.float32
    assert np.array_equal(layer.weight.numpy(), weight)
    assert layer.weight.grad is None


# ------------------------------------------------------------------ 5: where did the NaN start? (test_anomaly.py)
def test_point_5_the_first_gate_and_the_users_line_are_named_forward() -> None:
    def loss() -> Any:
        x = leaf([1.0, 0.0])
        safe = x * 2
        started_here = np.log(safe)
        return (started_here * 0 + 1).sum()

    with pytest.raises(FloatingPointError) as caught, cr.detect_anomaly():
        loss()
    message = str(caught.value)
    assert message.startswith("log gave 1 of 2 elements that are not finite")
    assert line_of(loss, "np.log(safe)") in message
    assert "from 0 to 2" in message


def test_point_5_and_backward() -> None:
    def loss() -> Any:
        x = leaf([4.0, 0.0])
        root = x.sqrt()
        return root.sum()

    result = None
    with pytest.raises(FloatingPointError) as caught, cr.detect_anomaly():
        result = loss()
        result.backward()
    message = str(caught.value)
    assert result is not None, "the value itself is finite"
    assert "backward: the derivative of sqrt" in message
    assert line_of(loss, "x.sqrt()") in message


# ------------------------------------------------------------------ 6: where hides NaN forward only
def test_point_6_the_documented_pattern_is_safe_and_the_trap_is_documented() -> None:
    x = leaf([-1.0, 0.0, 2.0])
    g.where(x > 0, g.log(g.where(x > 0, x, 1.0)), 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.5]
    assert "where(x > 0, log(where(x > 0, x, 1)), 0)" in (inspect.getdoc(g.where) or "")


def test_point_6_gates_are_stable_where_formulas_are_not() -> None:
    for value in (-1000.0, 0.0, 1000.0):
        for gate in (g.sigmoid, g.softplus, g.tanh, g.softmax, g.log_softmax, g.logsumexp):
            x = leaf([value, value])
            z = gate(x)
            z.sum().backward()
            assert np.isfinite(z.array).all(), gate
            assert np.isfinite(x.grad.array).all(), gate
    x = leaf([0.0, 0.0])
    (x.std() + cr.linalg.norm(x)).backward()           # both have a kink there, and no 0/0
    assert np.isfinite(x.grad.array).all()


def test_point_6_losses_are_finite_for_scores_of_any_size() -> None:
    for loss, target in ((nn.CrossEntropyLoss(), np.array([1, 0])), (nn.BCEWithLogitsLoss(), np.ones((2, 2)))):
        scores = leaf(np.array([[1e4, -1e4], [0.0, 0.0]]))
        value = loss(scores, target)
        value.backward()
        assert np.isfinite(value.item())
        assert np.isfinite(scores.grad.array).all()


# ------------------------------------------------------------------ 7: losses misused in silence (test_functional.py)
@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.BCELoss(), nn.BCEWithLogitsLoss()])
@pytest.mark.parametrize(("shape", "target"), [((5, 1), (5,)), ((5,), (5, 1)), ((5, 2), (2,)), ((5, 2), ())])
def test_point_7_losses_never_broadcast(loss: Any, shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(str(shape))) as caught:
        loss(leaf(np.full(shape, 0.5)), np.full(target, 0.5))
    assert str(target) in str(caught.value)


@pytest.mark.parametrize("target", [np.zeros((4, 1), int), np.array([0, 1, 2, 3]), np.zeros(3, int), np.zeros((4, 2))])
def test_point_7_nor_do_classes(target: Array) -> None:
    with pytest.raises((ValueError, IndexError)) as caught:
        nn.CrossEntropyLoss()(leaf(np.zeros((4, 3))), target)
    assert len(str(caught.value)) > 30


# ------------------------------------------------------------------ 8: shape errors without context (nn/test_layer.py)
def test_point_8_the_layer_its_path_and_both_shapes_are_named() -> None:
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(100, 10))
    with pytest.raises(ValueError, match=r"model\.2 Linear\(100 → 10\): got \(32, 128\), the last axis must be 100"):
        model(np.zeros((32, 64)))


def test_point_8_gates_name_what_they_met() -> None:
    with pytest.raises(ValueError, match=r"matmul\(float64 \(2, 3\), float64 \(4, 5\)\)"):
        Tensor(np.ones((2, 3))) @ np.ones((4, 5))


# ------------------------------------------------------------------ 9: in-place writes (test_tensor.py)
def test_point_9_a_write_that_would_spoil_a_gradient_is_caught_by_name() -> None:
    w = leaf([1.0, 2.0], name="w")
    loss = (w * w).sum()
    with no_grad():
        w -= 0.1
    with pytest.raises(RuntimeError, match=r"w of shape \(2,\) was written in place after multiply used it"):
        loss.backward()


def test_point_9_a_write_into_the_callers_array_is_harmless() -> None:
    w, batch = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    loss = (w * batch).sum()
    batch[:] = 0                                       # the loader fills its buffer with the next batch
    loss.backward()
    assert w.grad.tolist() == [3.0, 4.0]


def test_point_9_a_write_past_the_tensor_is_found_by_detect_anomaly() -> None:
    def step() -> None:
        loss = (w * w).sum()
        w.array[0] = 100.0
        loss.backward()

    w = leaf([1.0, 2.0], name="w")
    with pytest.raises(RuntimeError, match=r"w of shape \(2,\) was written past its tensor") as caught, (
            cr.detect_anomaly()):
        step()
    assert line_of(step, "(w * w)") in str(caught.value)


# ------------------------------------------------------------------ 10: float32 turns into float64 (compiler, gates)
class Dtypes(Observer):
    """Collects the dtypes of all results and gradients."""

    def __init__(self) -> None:
        self.seen: dict[str, set[str]] = {}

    def applied(self, gate: Any, inputs: Any, options: Any, result: Tensor) -> None:
        self.seen.setdefault(gate.name, set()).add(str(result.dtype))

    def pulled(self, result: Tensor, source: Tensor, gradient: Any) -> None:
        self.seen.setdefault("gradients", set()).add(str(gradient.dtype))


@pytest.mark.parametrize("make", [
    lambda p: optim.SGD(p, lr=np.float64(0.1), momentum=0.9, weight_decay=0.01, nesterov=True),
    lambda p: optim.Adam(p, lr=0.01, weight_decay=0.1), lambda p: optim.AdamW(p, lr=0.01)])
def test_point_10_no_gate_of_a_training_step_has_a_float64_result(make: Any) -> None:
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
    optimizer, loss = make(model.parameters()), nn.CrossEntropyLoss(label_smoothing=0.1)
    dtypes = Dtypes()
    with cr.observe(dtypes):
        for _ in range(2):
            optimizer.zero_grad()
            loss(model(rng.normal(size=(16, 4))), rng.integers(0, 3, 16)).backward()       # float64 from NumPy
            optimizer.step()
    assert not {name: found for name, found in dtypes.seen.items() if "float64" in found}
    assert "gradients" in dtypes.seen
    for t in (*model.parameters(), *(p.grad for p in model.parameters())):
        assert t is not None
        assert t.dtype == np.float32


def test_point_10_a_float64_tensor_into_a_float32_layer_is_an_error_with_the_remedy() -> None:
    with pytest.raises(TypeError, match=r"float64.*float32.*\.astype"):
        nn.Linear(2, 1)(Tensor(np.ones((3, 2))))


# ------------------------------------------------------------------ 11: install size (test_package.py)
def test_point_11_numpy_and_a_few_small_packages() -> None:
    file = Path(__file__).parents[1] / "pyproject.toml"
    if not file.exists():
        pytest.skip("not run from a checkout")
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    core = {re.split(r"[<>=~!\[ ]", requirement)[0] for requirement in project["dependencies"]}
    assert core == {"numpy", "safetensors", "rich", "click", "pooch", "tomli-w", "threadpoolctl"}


def test_point_11_a_step_loads_numpy_alone() -> None:
    code = ("import sys, numpy as np; before = set(sys.modules)\n"
            "from chainrule import nn, optim\n"
            "model = nn.Linear(2, 1); optimizer = optim.Adam(model.parameters())\n"
            "model(np.ones((3, 2))).sum().backward(); optimizer.step()\n"
            "new = [m for name, m in sys.modules.items() if name not in before and getattr(m, '__file__', None)]\n"
            "print(*{m.__name__.partition('.')[0] for m in new})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - set(sys.stdlib_module_names) - {"numpy"} == {"chainrule"}


# ------------------------------------------------------------------ 14: rot (data/test_download.py, data/test_mnist.py)
def test_point_14_an_embedded_data_set_needs_no_network_and_no_disk() -> None:
    code = ("import socket, chainrule as cr\n"
            "socket.socket = None\n"
            "train, test = cr.data.digits()\n"
            "print(len(train), len(test))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1437 360\n"


def test_point_14_every_data_set_that_is_fetched_has_mirrors_and_checksums() -> None:
    """Its files are really fetched, from mirrors that fail and mirrors that lie, in data/test_download.py."""
    from chainrule.data.catalog import CATALOG
    fetched = [source for source in CATALOG.values() if source.files]
    assert {source.name for source in fetched} == {"mnist", "fashion-mnist"}
    for source in fetched:
        assert len({address.split("/")[2] for address in source.mirrors}) >= 2       # hosts, not addresses of one host
        assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in source.files)


@pytest.mark.data
def test_point_14_the_checksums_are_those_of_the_real_files(data_dir: Path) -> None:
    import gzip
    import hashlib

    from chainrule.data.catalog import CATALOG
    for source in CATALOG.values():
        for file in source.files:
            content = gzip.decompress((data_dir / source.name / f"{file.name}.gz").read_bytes())
            assert hashlib.sha256(content).hexdigest() == file.sha256


# ------------------------------------------------------------------ 15: irreproducible training (training/, cli/)
def trained(folder: Path, stop_at: int | None = None, resume: bool = False) -> tuple[bytes, list[Any]]:
    """Train with noise of every kind the library has; return the weights and the history, times apart."""
    cr.random.seed(1)
    model = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 10))
    train, test = cr.data.digits()

    class Stop(training.Callback):
        steps = 0

        def step(self, loss: float) -> None:
            self.steps += 1
            if self.steps == stop_at:
                raise KeyboardInterrupt

    trainer = cr.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.01), seed=2,
                         schedule=optim.schedule.one_cycle(), augment=cr.data.Shift(1, image=(8, 8)))
    states = training.Checkpoints(folder, every=13)
    history = trainer.fit(train, test, epochs=3, checkpoints=states, resume=resume, callbacks=[Stop()])
    weights = b"".join(array.tobytes() for array in model.state_dict().values())
    return weights, [{name: x for name, x in row.items() if name != "seconds"} for row in history]


def test_point_15_one_owned_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else draws, or is seeded, in the same process changes nothing; nor is anything else drawn from."""
    import random
    first = trained(tmp_path / "a")
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    cr.random.seed(77)
    cr.random.normal(size=100)
    before = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    assert trained(tmp_path / "b") == first
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert random.getstate() == before[1]


def test_point_15_a_checkpoint_holds_random_state_optimizer_and_position(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, stop_at=70)
    state = training.Checkpoints(tmp_path).load()
    assert state is not None
    assert set(state["streams"]) == {"order", "dropout", "noise", "init", "shuffle", "user"}
    assert all(len(place) == 2 for place in state["streams"].values())
    assert state["optimizer"]["state"][0]["step"] == 65
    assert state["optimizer"]["state"][0]["exp_avg"].shape == (16, 64)
    assert (state["run"]["epoch"], state["run"]["step"]) == (2, 65 - 45)
    assert [row["epoch"] for row in state["history"]] == [1]


@pytest.mark.parametrize("stop_at", [1, 44, 45, 46, 100])
def test_point_15_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path, stop_at: int) -> None:
    """Processes that are really killed: cli/test_killed_runs.py."""
    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped", stop_at=stop_at)
    assert trained(tmp_path / "stopped", resume=True) == whole


# ------------------------------------------------------------------ the usual faults of layers by hand
class TestByHandFaults:
    def test_relus_backward_does_not_write_into_its_callers_dout(self) -> None:
        relu: Any = nn.ReLU()
        x, dout = np.array([-1.0, 2.0]), np.array([5.0, 5.0])
        relu.forward(x)
        dx = relu.backward(dout)
        assert dx.tolist() == [0.0, 5.0]
        assert dout.tolist() == [5.0, 5.0]
        dx[:] = 9                                      # nor does its caller write into the layer's
        assert x.tolist() == [-1.0, 2.0]

    def test_so_residual_gradients_are_right_also_if_a_users_layer_has_the_fault(self) -> None:
        class Relu(nn.Layer):
            def forward(self, x: Any) -> Any:
                self.mask = x <= 0
                out = x.copy()
                out[self.mask] = 0
                return out

            def backward(self, dout: Any = None) -> Any:
                dout[self.mask] = 0                    # the fault
                return dout

        x = leaf([-1.0, 2.0])
        (x + Relu()(x)).backward([5.0, 5.0])
        assert x.grad.tolist() == [5.0, 10.0]

    def test_a_users_layer_that_writes_into_its_input_changes_no_tensor(self) -> None:
        class Relu(nn.Layer):
            def forward(self, x: Any) -> Any:
                x[x <= 0] = 0                          # the fault
                self.x = x
                return x

            def backward(self, dout: Any = None) -> Any:
                return dout * (self.x > 0)

        x = leaf([-1.0, 2.0])
        (x * x + Relu()(x)).sum().backward()
        assert x.tolist() == [-1.0, 2.0]
        assert x.grad.tolist() == [-2.0, 5.0]

    def test_a_users_layer_that_fills_one_buffer_again_and_again(self) -> None:
        class Twice(nn.Layer):
            def __init__(self) -> None:
                self.buffer = np.zeros(2)

            def forward(self, x: Any) -> Any:
                np.multiply(x, 2, out=self.buffer)
                return self.buffer

            def backward(self, dout: Any = None) -> Any:
                np.multiply(dout, 2, out=self.buffer)
                return self.buffer

        layer, x, y = Twice(), leaf([1.0, 2.0]), leaf([3.0, 4.0])
        a, b = layer(x), layer(y)
        assert (a.tolist(), b.tolist()) == ([2.0, 4.0], [6.0, 8.0])
        (a + b * 10).sum().backward()
        assert (x.grad.tolist(), y.grad.tolist()) == ([2.0, 2.0], [20.0, 20.0])

    def test_softmax_with_loss_uses_its_dout(self) -> None:
        loss: Any = nn.CrossEntropyLoss()
        scores, target = np.array([[1.0, 2.0, 3.0]]), np.array([0])
        loss.forward(scores, target)
        once = first(loss.backward())
        loss.forward(scores, target)
        thrice = first(loss.backward(3.0))
        p = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(once, p - np.eye(3)[target], rtol=1e-12)
        np.testing.assert_allclose(thrice, 3 * once, rtol=1e-12)

    def test_a_layer_used_twice_keeps_both_caches(self) -> None:
        tanh: Any = nn.Tanh()
        u, v = np.array([0.1, 0.2]), np.array([1.0, 2.0])
        tanh.forward(u)
        tanh.forward(v)
        dv, du = tanh.backward(np.ones(2)), tanh.backward(np.ones(2))      # last in, first out
        np.testing.assert_allclose(dv, 1 - np.tanh(v) ** 2)
        np.testing.assert_allclose(du, 1 - np.tanh(u) ** 2)
        linear: Any = nn.Linear(2, 1, dtype=np.float64)
        for x in (u, v):
            linear.forward(x[None])
        for _ in range(2):
            linear.backward(np.ones((1, 1)))
        np.testing.assert_allclose(linear.weight.grad.numpy(), (u + v)[None])

    def test_batch_normalisation_is_over_each_channel(self) -> None:
        x = np.random.default_rng(0).normal(size=(8, 3, 5)) * np.array([1.0, 10.0, 100.0])[:, None] + 7
        z = nn.BatchNorm1d(3, dtype=np.float64)(x).numpy()
        np.testing.assert_allclose(z.mean(axis=(0, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(z.std(axis=(0, 2)), 1, atol=1e-4)

    def test_numerical_gradients_are_taken_in_float64(self) -> None:
        x32 = np.array([1.0, 2.0, 3.0], np.float32)
        for x in (x32, [1, 2, 3], np.array([1.0, 9.0, 2.0, 9.0, 3.0])[::2]):
            kept = np.array(x)
            found = cr.numerical_gradient(lambda x: (x**2).sum(), x)
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, [2.0, 4.0, 6.0], rtol=1e-7)
            assert np.array_equal(x, kept), "it must not write into its argument"

    def test_and_on_arrays_of_integers_they_are_refused(self) -> None:
        """In place, x[i] += 1e-6 would add 0."""
        with pytest.raises(TypeError, match=r"int64.*\.astype\(float\)"):
            cr.numerical_gradient(lambda x: (x**2).sum(), np.array([1, 2, 3]))


def first(gradients: Any) -> Any:
    """The gradient of the scores; there is none of the target."""
    return gradients[0] if isinstance(gradients, tuple) else gradients


def test_a_derivative_never_writes_into_what_it_is_given() -> None:
    """The contract that follows. Every gate is tried with read-only arrays in gates/test_derivatives.py."""
    seed = np.ones((2, 2))
    seed.flags.writeable = False
    x = cr.as_tensor(seed).requires_grad_()
    loss = (x.relu() @ x.tanh() + x.softmax(axis=1) + x[::-1] + x.sort(axis=0) + x.cumsum(axis=1)).clip(-9, 9)
    loss.backward(seed)
    assert (seed == 1).all()
