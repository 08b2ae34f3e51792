"""State cells: plain access when eager, the observer's when a step is being recorded."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.mode import Observer, mode, setting
from chainrule.state import ask, get, given, put, read, write


class Log(Observer):
    """Answers for every cell, and writes down what was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def read(self, owner: Any, name: str) -> Any:
        self.seen.append(("read", name))
        return "symbol"

    def given(self, owner: Any, name: str) -> bool:
        self.seen.append(("given", name))
        return True

    def write(self, owner: Any, name: str, value: Any) -> None:
        self.seen.append(("write", name, value))


@pytest.mark.parametrize("make", [dict, SimpleNamespace])
def test_a_cell_is_a_key_or_an_attribute(make: Any) -> None:
    owner = make(lr=0.1)
    assert read(owner, "lr") == get(owner, "lr") == 0.1
    write(owner, "lr", 0.2)
    assert read(owner, "lr") == 0.2
    put(owner, "step", 3)
    assert read(owner, "step") == 3


def test_a_missing_key_is_none() -> None:
    assert read({}, "momentum") is None
    with pytest.raises(AttributeError):
        read(SimpleNamespace(), "momentum")


@pytest.mark.parametrize("value", [np.float64(0.1), np.float32(0.1), np.int64(3)])
def test_a_numpy_scalar_comes_as_a_python_number_that_widens_nothing(value: Any) -> None:
    found = read({"lr": value}, "lr")
    assert type(found) in (int, float)
    assert (np.ones(1, np.float32) * found).dtype == np.float32


def test_a_tensors_own_array_keeps_its_dtype() -> None:
    t = cr.Tensor(np.float32(0.5)).sum()               # NumPy makes this a scalar
    assert read(t, "array").dtype == np.float32


@pytest.mark.parametrize(("value", "something"), [
    (None, False), (0, False), (0.0, False), (False, False), (True, True), (0.9, True), (np.zeros(2), True),
    ("", True)])
def test_whether_a_cell_holds_something(value: Any, something: bool) -> None:
    assert given({"x": value}, "x") is something


def test_a_setting_that_is_switched_off_is_none() -> None:
    assert ask({"momentum": 0.0}, "momentum") is None
    assert ask({"momentum": 0.9}, "momentum") == 0.9


def test_a_recorder_sees_every_access_and_the_owner_is_left_alone() -> None:
    owner, log = {"lr": 0.1}, Log()
    with setting(observer=log, symbolic=True):
        assert read(owner, "lr") == "symbol"
        assert given(owner, "lr") is True
        assert ask(owner, "lr") == "symbol"
        write(owner, "lr", 5)
    assert log.seen == [("read", "lr"), ("given", "lr"), ("given", "lr"), ("read", "lr"), ("write", "lr", 5)]
    assert owner == {"lr": 0.1}
    assert read(owner, "lr") == 0.1


def test_an_observer_that_only_looks_on_is_not_asked() -> None:
    owner = {"lr": 0.1}
    with cr.observe(Log()):
        assert read(owner, "lr") == 0.1
        write(owner, "lr", 0.2)
    assert owner == {"lr": 0.2}


def test_an_observer_that_does_not_follow_cells_says_so() -> None:
    with setting(observer=Observer(), symbolic=True):
        for call in (lambda: read({}, "x"), lambda: write({}, "x", 1), lambda: given({}, "x")):
            with pytest.raises(NotImplementedError, match="Observer does not follow state cells"):
                call()
    assert not mode.symbolic


def test_the_position_of_a_random_stream_is_a_cell() -> None:
    stream = cr.random.Generator(1)
    stream.uniform(size=8)
    assert read(stream, "position") == 1
    write(stream, "position", 0)
    first = stream.uniform(size=8)
    write(stream, "position", 0)
    assert (first == stream.uniform(size=8)).all()
