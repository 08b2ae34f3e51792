"""Compiled steps equal eager ones, for all that the registries have: gates, layers, losses, optimizers, schedules.

Whatever is added to the library is tested here by being added: a table that lacks it fails.
"""
from __future__ import annotations

import re

import numpy as np
import pytest
from tests.compiler.distance import far, numbers_in
from tests.compiler.specimens import BY_LAYERS, FUNCTIONS, LAYERS, NO_MATHEMATICS, SAMPLES, Model, nothing
from tests.gates.cases import CASES
from tests.gates.checks import named, seed, value
from tests.optim.references import OPTIMIZERS, VARIANTS
from tests.optim.test_lr_scheduler import MAKERS
from tests.optim.test_schedule import ALL as CURVES

import chainrule as cr
from chainrule import functional as F
from chainrule import nn, optim
from chainrule.compiler import RecordingError
from chainrule.optim import lr_scheduler as lrs

STEPS = 50
CALLS = 4
TOLERANCE = {np.float64: 1e-9, np.float32: 1e-5}


def assert_equal(ours, theirs, dtype, least=0.0):
    """Each quantity lies within the tolerance, measured by its norm, and has the same shape and dtype."""
    assert ours.keys() == theirs.keys()
    for name, x in ours.items():
        gap = far(x, theirs[name], least)
        assert gap <= TOLERANCE[dtype], f"{name} is off by {gap:.1g} of its norm: compiled {x}, eager {theirs[name]}"


def assert_same_bits(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, x in ours.items():
        np.testing.assert_array_equal(x, theirs[name], err_msg=name)


# ------------------------------------------------------------------ training
class Training:
    """A model and its optimizer, from one seed, and the step of one with the other, compiled or not."""

    def __init__(self, model, optimizer, compiled):
        self.model, self.optimizer = model, optimizer

        def step(*data):
            optimizer.zero_grad()
            loss = model(*data)
            loss.backward()
            optimizer.step()
            return loss

        self.step = cr.compile(step, keep_grads=True) if compiled else step

    def state(self):
        """Everything that a step leaves behind."""
        found = dict(self.model.state_dict())
        found |= {f"gradient of {name}": p.grad.numpy() for name, p in self.model.named_parameters()
                  if p.grad is not None}
        found |= {f"{name} of {i}": x for i, state in self.optimizer.state_dict()["state"].items()
                  for name, x in state.items()}
        return found | {"position": cr.random.dropout.position}


def lived(make, compiled, data, count, between):
    """What is left of one life after its first steps, after each tenth and after the last."""
    cr.random.seed(5)
    training, left = make(compiled), []
    for t in range(count):
        between(training, t)
        loss = training.step(*data(t))
        if t < CALLS or t % 10 == 9 or t == count - 1:
            left.append(training.state() | {"loss": loss.item()})
    if compiled:
        assert training.step.recordings == 1
    return left


def assert_lives_equal(make, data, count, dtype, between=lambda training, t: None, twice=True):
    """A compiled life is as the eager one; and, if that is asked for, bit for bit as another compiled one."""
    eager, compiled = (lived(make, is_compiled, data, count, between) for is_compiled in (False, True))
    for a, b in zip(compiled, eager, strict=True):
        assert_equal(a, b, dtype)
    if twice:
        for a, b in zip(compiled, lived(make, True, data, count, between), strict=True):
            assert_same_bits(a, b)


def assert_steps_equal(make, data, between=lambda training: None):
    """One step in float32, from 20 random states: here what it changes is compared, gradients and all."""
    cr.random.seed(5)
    eager, compiled = make(False), make(True)
    for i in range(20):
        rng = np.random.default_rng(i)
        state = {name: scrambled(name, x, rng) for name, x in eager.model.state_dict().items()}
        eager.model.load_state_dict(state)
        cr.random.seed(i)
        for t in range(i % 4):                         # the moments are those of some steps
            eager.step(*data(100 + t))
        compiled.model.load_state_dict(eager.model.state_dict())
        compiled.optimizer.load_state_dict(eager.optimizer.state_dict())
        left = []
        for training in (eager, compiled):
            cr.random.seed(i)
            loss = training.step(*data(i)).item()
            left.append(training.state() | {"loss": loss})
        assert_equal(left[1], left[0], np.float32)
    assert compiled.step.recordings == 1


def scrambled(name, x, rng):
    """Other numbers, as a parameter or a buffer of this name may have them."""
    if x.dtype.kind != "f" or (name in ("layer.weight", "layer.pos_weight") and x.shape == (3,)):
        return x                                       # counts, and the weights that losses are given
    return rng.uniform(0.5, 2.0, size=x.shape) if "var" in name else rng.normal(size=x.shape)


# ------------------------------------------------------------------ layers and losses
KINDS = [getattr(nn, name) for name in nn.__all__]
NAMED = {**{kind.__name__: found for kind, found in LAYERS.items()}, **FUNCTIONS}
SPECIMENS = [pytest.param(s, id=f"{name}{i}") for name, found in NAMED.items() for i, s in enumerate(found)]
every_specimen = pytest.mark.parametrize("specimen", SPECIMENS)
#: What behaves otherwise in training, and the rest in one of the modes.
every_mode = pytest.mark.parametrize(("specimen", "training"), [
    pytest.param(s, training, id=f"{name}{i}-{'train' if training else 'eval'}") for name, found in NAMED.items()
    for i, s in enumerate(found) for training in ((True, False) if s.target is nothing else (i % 2 == 0,))])


def test_every_layer_has_a_specimen():
    layers = {kind for kind in KINDS if isinstance(kind, type) and issubclass(kind, nn.Layer)} - {nn.Layer}
    assert layers <= set(LAYERS), f"tests/compiler/specimens.py lacks {layers - set(LAYERS)}"
    for kind, found in LAYERS.items():
        assert found
        assert all(type(s.make()) is kind for s in found)


def test_every_function_has_a_specimen():
    assert set(F.__all__) == FUNCTIONS.keys() | BY_LAYERS


def training_of(specimen, dtype, training):
    def make(compiled):
        model = Model(specimen, dtype).train(training)
        return Training(model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9, dampening=0.2), compiled)
    return make


def batches(specimen, n, dtype):
    def data(t):
        rng = np.random.default_rng(t)
        return rng.normal(size=(n, *specimen.shape)).astype(dtype), *specimen.target(rng, n)
    return data


@every_mode
def test_layers(specimen, training):
    """50 steps in float64 with a batch of odd size, and some with a single example and with many."""
    for n, count in ((7, STEPS), (1, 5), *[(32, 5)] * (specimen.target is nothing)):
        n = max(n, specimen.least if training else 1)
        assert_lives_equal(training_of(specimen, np.float64, training), batches(specimen, n, np.float64), count,
                           np.float64, twice=n == 7)


@every_mode
def test_layers_in_float32(specimen, training):
    assert_steps_equal(training_of(specimen, np.float32, training), batches(specimen, 7, np.float32))


@every_specimen
def test_inference(specimen):
    """`compile(model)`: the results of a layer, in both modes; a batch that it refuses is refused."""
    for training in (True, False):
        model = Model(specimen, np.float32).train(training)
        compiled = cr.compile(model)
        for n in (7, 1):
            for t in range(CALLS):
                data = batches(specimen, n, np.float32)(t)
                cr.random.seed(t)
                try:
                    with cr.no_grad():
                        expected = model(*data)
                except ValueError as error:
                    assert training
                    assert n < specimen.least
                    with pytest.raises(type(error)):
                        compiled(*data)
                    continue
                cr.random.seed(t)
                found = compiled(*data)
                assert not found.requires_grad
                assert far(found.numpy(), expected.numpy()) <= 1e-5


# ------------------------------------------------------------------ optimizers and schedules
def network(dtype):
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).astype(dtype)


class Fitted(nn.Layer):
    """A network with its loss."""

    def __init__(self, dtype):
        self.net = network(dtype)

    def forward(self, x, y):
        return F.mse_loss(self.net(x), y)


def fitting(make, dtype):
    def made(compiled):
        model = Fitted(dtype)
        return Training(model, make(model.parameters()), compiled)
    return made


def points(dtype):
    def data(t):
        rng = np.random.default_rng(t)
        x = rng.normal(size=(7, 3)).astype(dtype)
        return x, np.sin(x[:, :1] * x[:, 1:2]) + x[:, 2:]
    return data


every_variant = pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=lambda x: str(x).replace(" ", ""))


def cooling(training, t):
    for group in training.optimizer.param_groups:
        group["lr"] = 0.02 / (1 + t / 20)


@every_variant
def test_optimizers(name, settings):
    """50 steps of each with each of its settings, the very first of which is recorded."""
    make = fitting(lambda params: OPTIMIZERS[name](params, lr=0.02, **settings), np.float64)
    assert_lives_equal(make, points(np.float64), STEPS, np.float64, between=cooling)


@every_variant
def test_optimizers_in_float32(name, settings):
    assert_steps_equal(fitting(lambda params: OPTIMIZERS[name](params, lr=0.02, **settings), np.float32),
                       points(np.float32))


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_schedulers(kind, name):
    schedulers = {}

    def between(training, t):
        if t == 0:
            schedulers[training] = MAKERS[name](training.optimizer)
        else:
            schedulers[training].step(*[1.0] * (name == "ReduceLROnPlateau"))

    def make(params):
        w, *rest = params
        settings = {"momentum": 0.9} if kind is optim.SGD else {}
        return kind([{"params": [w]}, {"params": rest, "lr": 0.002}], lr=0.02, **settings)

    assert_lives_equal(fitting(make, np.float64), points(np.float64), STEPS, np.float64, between=between, twice=False)


@pytest.mark.parametrize("curve", CURVES, ids=lambda x: re.sub(r" at 0x\w+| ", "", repr(x)))
def test_schedules(curve):
    """Each by which the learning rate may go: numbers that are read at each call."""
    schedulers = {}

    def between(training, t):
        if t == 0:
            schedulers[training] = lrs.LRScheduler(training.optimizer, schedule=curve, steps=STEPS)
        else:
            schedulers[training].step()

    make = fitting(lambda params: optim.SGD(params, lr=0.02, momentum=0.9), np.float64)
    assert_lives_equal(make, points(np.float64), STEPS, np.float64, between=between, twice=False)


# ------------------------------------------------------------------ gates
#: A case for each, of the gates with and without a derivative.
BY_GATE = {name: [case for case in [*CASES, *SAMPLES] if case.gate == name] for name in cr.GATES}
OURS = sorted(name for name, gate in cr.GATES.items() if gate.module.startswith("chainrule.")
              and name not in NO_MATHEMATICS)


def test_every_gate_has_a_case():
    assert [name for name in OURS if not BY_GATE[name]] == []


def is_mask(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "b" and x.ndim > 0


def varied(x, t):
    """Other numbers within the range of these, the same at the first call."""
    if isinstance(x, np.ndarray) and x.ndim:
        x = (np.flip(x) if t % 2 else x).copy()
    return x * (1.0, 1.03, 0.97, 1.01)[t] if getattr(x, "dtype", None) == np.float64 else x


class Applying:
    """A gate in a step, forward and, if it has a derivative, back; its floating-point inputs are the parameters."""

    def __init__(self, case, dtype, compiled):
        self.case, self.dtype = case, dtype
        floats = case.floats if hasattr(case, "floats") else {}
        self.leaves = {i: cr.Tensor(np.asarray(x, dtype), requires_grad=True) for i, x in floats.items()}
        self.data = [i for i, x in enumerate(case.inputs) if i not in floats and isinstance(x, np.ndarray)]

        def step(dz, *data):
            given = dict(zip(self.data, data, strict=True)) | self.leaves
            inputs = [given.get(i, x.value if isinstance(x, cr.state.Box) else x) for i, x in enumerate(case.inputs)]
            for leaf in self.leaves.values():
                leaf.grad = None
            z = cr.GATES[case.gate](*inputs, **case.options)
            if not self.leaves:
                return [z]
            z.backward(dz)
            return [z, *[leaf.grad for leaf in self.leaves.values()]]

        self.step = cr.compile(step) if compiled else step

    def call(self, t):
        for i, leaf in self.leaves.items():
            leaf.assign(varied(self.case.inputs[i], t))
        for x in self.case.inputs:
            if isinstance(x, cr.state.Box):
                x.value = 7 + t
        data = [varied(self.case.inputs[i], t) for i in self.data]
        data = [x.astype(self.dtype) if x.dtype.kind == "f" else x for x in data]
        dz = seed(self.case, value(self.case), t) if self.leaves else np.zeros(())
        return numbers_in(self.step(np.asarray(dz, self.dtype), *data))


def applied(gate, dtype, cases):
    """Forward and backward of each case, at the first four calls: two are recorded, two replayed."""
    for case in cases:
        with named(case), np.errstate(all="ignore"):
            eager, compiled = Applying(case, dtype, False), Applying(case, dtype, True)
            if gate in ("getitem", "scatter_add") and any(map(is_mask, case.inputs)):
                with pytest.raises(RecordingError, match="a boolean mask picks"):
                    compiled.call(0)
                continue
            for t in range(CALLS):
                assert_equal(compiled.call(t), eager.call(t), dtype, least=1e-3)    # sums that cancel
            assert compiled.step.recordings == 1


@pytest.mark.parametrize("gate", OURS)
def test_gates(gate):
    """All cases in float64, and some in float32."""
    applied(gate, np.float64, BY_GATE[gate])
    applied(gate, np.float32, BY_GATE[gate][::4])


@pytest.mark.slow
@pytest.mark.parametrize("gate", OURS)
def test_gates_in_float32(gate):
    applied(gate, np.float32, BY_GATE[gate])
