"""Which executor runs each part, how and why."""
from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler import executors
from chainrule.compiler.program import Program
from chainrule.compiler.views.report import report


class Talking:
    """Says what it is told to."""

    name = "talking"
    missing = ""

    def __init__(self, *parts):
        self.said = list(parts)

    def available(self):
        return self.missing

    def build(self, program):
        raise NotImplementedError

    def parts(self, program):
        return self.said


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    monkeypatch.setattr(executors, "EXECUTORS", dict(executors.EXECUTORS))
    monkeypatch.setattr("chainrule.compiler.views.report.EXECUTORS", executors.EXECUTORS)
    monkeypatch.setattr(executors, "missed", set())


def test_a_table_of_parts():
    executors.register(Talking(
        ("%3 matmul", "np.matmul", "BLAS is fastest"), ("%4 add", "into planned memory", "it takes out="),
        ("%5 exp", "into planned memory", "it takes out="), ("%7 sum", "into planned memory", "it takes out="),
        ("%9 roll", "a new array", "it does not")))
    assert report(Program(), "talking") == Program().report("talking") == """\
executor talking
part                 runs as              because
%3 matmul            np.matmul            BLAS is fastest
%4 add … %7 sum (3)  into planned memory  it takes out=
%9 roll              a new array          it does not"""


def test_an_executor_that_is_not_there():
    class Missing(Talking):
        name, missing = "missing", "it is not installed"

    executors.register(Missing())
    plain = Talking(("%1 exp", "once", "once is enough"))
    plain.name = "numpy"
    executors.register(plain)
    assert report(Program(), "missing").splitlines() == [
        "executor numpy, since missing is not available: it is not installed",
        "part    runs as  because", "%1 exp  once     once is enough"]


def test_long_names_are_cut():
    executors.register(Talking(("x" * 100, "once", "once is enough")))
    assert report(Program(), "talking").splitlines()[2] == f"{'x' * 39}…  once     once is enough"


def test_nothing_to_run():
    executors.register(Talking())
    assert report(Program(), "talking") == "executor talking\nnothing to run"


def test_an_unknown_name():
    with pytest.raises(ValueError, match="no executor 'cuda'"):
        Program().report("cuda")


def test_the_reference_tells_of_every_gate():
    step = cr.compile(lambda x: (cr.exp(x) @ x).sum())
    for _ in range(3):
        step(np.ones((3, 3)))
    text = step.program.report()
    assert text.startswith("executor numpy\npart")
    assert len(text.splitlines()) > 2
