"""Executors: chosen by name, replaced by the one that is always there, and open to others."""
from __future__ import annotations

import logging

import numpy as np
import pytest
from tests.compiler.programs import training_step

import chainrule as cr
from chainrule import nn, optim
from chainrule.compiler import executors
from chainrule.compiler.executors import Executor, executor, register
from chainrule.compiler.program import Value, each
from chainrule.tensor import Tensor


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    """Whatever a test registers or misses, the next one knows nothing of it."""
    monkeypatch.setattr(executors, "EXECUTORS", dict(executors.EXECUTORS))
    monkeypatch.setattr(executors, "missed", set())


class OneByOne:
    """Interprets the gates of a program in order, on arrays."""

    name = "one by one"

    def available(self):
        return ""

    def build(self, program):
        def run(arguments):
            values = dict(zip(program.arguments, arguments, strict=True)) | dict(program.constants)
            values |= {v: cell.get() for cell, v in program.reads}

            def known(x):
                return values[x] if isinstance(x, Value) else x

            for a in program.applications:
                z = a.gate.value(*map(known, a.inputs), **a.options)
                values[a.result] = np.array(z) if isinstance(a.result.kind, tuple) else z.item() if hasattr(
                    z, "item") else z
            for cell, x in program.writes:
                cell.put(known(x))
            return each(lambda x: Tensor.of(known(x)) if isinstance(x, Value) else x, program.result)

        return run

    def parts(self, program):
        return [(str(a), "as it stands", "it is the simplest way") for a in program.applications]


class Absent(OneByOne):
    """Never there."""

    name = "absent"

    def available(self):
        return "its machine is not plugged in; plug it in"

    def build(self, program):
        raise AssertionError("what is not available builds nothing")


# ------------------------------------------------------------------ choosing
def test_the_known_ones():
    assert {"native", "numpy"} <= executors.EXECUTORS.keys()
    assert executor() is executor("numpy")
    assert executor("numpy").available() == ""
    for known in executors.EXECUTORS.values():
        assert isinstance(known, Executor)


def test_an_unknown_name():
    with pytest.raises(ValueError, match=r"no executor 'cuda'; known are 'native', 'numpy'"):
        executor("cuda")


def test_native_is_known_but_not_there_yet(caplog):
    native = executors.EXECUTORS["native"]
    assert "native" in native.available()
    with pytest.raises(RuntimeError, match="not available"):
        native.build(None)
    assert executor("native") is executor("numpy")
    assert "the extra `native`" in caplog.text


def test_what_is_not_available_is_replaced_and_said_once(caplog):
    register(Absent())
    with caplog.at_level(logging.WARNING, logger="chainrule"):
        for _ in range(3):
            assert executor("absent").name == "numpy"
    assert [(r.name, r.levelname, r.getMessage()) for r in caplog.records] == [
        ("chainrule", "WARNING", "the executor 'absent' is not available: its machine is not plugged in; plug it in. "
                                 "'numpy' runs in its place")]


# ------------------------------------------------------------------ one's own
@pytest.mark.parametrize("wrong", [object(), type("NoParts", (), {"name": "x", "available": 0, "build": 0})(),
                                   type("Unnamed", (OneByOne,), {"name": 7})()])
def test_what_is_no_executor(wrong):
    with pytest.raises(TypeError, match="available, build and parts"):
        register(wrong)


def trained(name):
    """A model after some compiled steps, and the losses."""
    cr.random.seed(3)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.25), nn.Linear(8, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    loss = nn.CrossEntropyLoss()
    step = cr.compile(training_step(model, loss, optimizer), executor=name)
    rng = np.random.default_rng(0)
    losses = [step(rng.normal(size=(6, 4)).astype(np.float32), rng.integers(0, 3, 6)).item() for _ in range(10)]
    return losses, model.state_dict()


def test_an_executor_of_ones_own_gives_the_same():
    register(OneByOne())
    ours, theirs = trained("one by one"), trained("numpy")
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    for name, value in ours[1].items():
        np.testing.assert_allclose(value, theirs[1][name], rtol=1e-4, atol=1e-6)


def test_it_is_asked_for_a_runner_and_run(monkeypatch):
    """Or the test before would compare one executor with itself."""
    built = []

    class Counting(OneByOne):
        name = "counting"

        def build(self, program):
            run = super().build(program)
            return lambda arguments: (built.append(program), run(arguments))[1]

    register(Counting())
    step = cr.compile(lambda x: x * 2, executor="counting")
    assert [step(np.array([1.0])).item() for _ in range(5)] == [2.0] * 5
    assert len(built) == 3                               # it was recorded at the first two


def test_a_later_one_of_the_same_name_takes_its_place():
    first, second = register(OneByOne()), register(OneByOne())
    assert executor("one by one") is second is not first
