"""The benchmarks time the same training: equal losses, rows that differ are refused, and nothing else is timed."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import __main__ as command
from benchmarks import gates, report, rows, runner, startup
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.workloads import WORKLOADS


@pytest.mark.parametrize("name", WORKLOADS)
def test_data_and_weights_are_the_same_each_time_and_float32(name):
    workload = WORKLOADS[name]
    first, second = [*workload.data(), *workload.weights()[0]], [*workload.data(), *workload.weights()[0]]
    for a, b in zip(first, second, strict=True):
        assert (a is None and b is None) or (a == b).all()
    assert workload.data()[0].dtype == "float32"
    assert [w.shape for w, _ in workload.weights()] == list(zip(workload.sizes[1:], workload.sizes[:-1], strict=True))


class Fake:
    """Instead of a process: a millisecond a step."""

    peak = None

    def __init__(self, contender, workload):
        self.contender = contender

    def answer(self):
        return {"losses": [1.0, 0.5], "built": 0.25, "seconds": [0.5, 0.125], "imported": 3_000_000}

    def time(self, steps):
        return steps * 1e-3

    def end(self):
        pass


def replaced(monkeypatch, process):
    monkeypatch.setattr(runner, "Process", process)
    monkeypatch.setattr(runner, "REST", 0)


class TestRefusal:
    @pytest.mark.parametrize("other", [1.0, 1.0005, 0.9995])
    def test_losses_within_a_thousandth_agree(self, other):
        assert runner.disagreement([3.0, other], [3.0, 1.0]) == ""

    @pytest.mark.parametrize("other", [1.002, 0.998, -1.0, float("nan"), float("inf")])
    def test_losses_further_apart_do_not(self, other):
        assert "step 2" in runner.disagreement([3.0, other], [3.0, 1.0])

    def test_the_difference_is_relative(self):
        assert runner.disagreement([1000.5], [1000.0]) == ""
        assert runner.disagreement([1e-5], [2e-5]) != ""

    def test_a_row_that_differs_has_no_figures(self, monkeypatch):
        class Other(Fake):
            """The second contender trains with another learning rate."""

            def answer(self):
                return super().answer() | ({"losses": [1.0, 0.6]} if self.contender == "chainrule" else {})

            def time(self, steps):
                assert self.contender == "torch", "somebody who was refused is timed"
                return super().time(steps)

        replaced(monkeypatch, Other)
        found = runner.measure(WORKLOADS["W3"], ["torch", "chainrule"], rounds=3, block=0.01)
        assert [bool(row.refused) for row in found] == [False, True]
        assert found[0].median == pytest.approx(1000)
        assert found[0].first == 0.875
        assert found[1].blocks == []
        text = report.table(WORKLOADS["W3"], found)
        assert "no row" in text
        assert "nan" not in text


def test_a_contender_that_cannot_start_is_refused_with_its_error(monkeypatch):
    process = runner.Process.__new__(runner.Process)
    monkeypatch.setitem(CONTENDERS, "nobody", Contender("nobody", lambda w: None, "none"))
    process.__init__("nobody", "W3")                     # the child does not know it either
    with pytest.raises(RuntimeError, match="nobody"):
        process.answer()
    process.end()


def test_blocks_alternate_and_the_order_changes(monkeypatch):
    timed = []

    class Noted(Fake):
        peak = 5_000_000

        def time(self, steps):
            timed.append(self.contender)
            return super().time(steps)

    replaced(monkeypatch, Noted)
    names = ["torch", "chainrule", "NumPy by hand"]
    found = runner.measure(WORKLOADS["W1"], names, rounds=3, block=0.004)
    rounds = [name for i, name in enumerate(timed[-18:]) if i % 2]       # each block follows a warm-up of its own
    assert rounds == [*names, *names[1:], names[0], names[2], *names[:2]]
    assert [(row.peak, row.more) for row in found] == [(5, 2)] * 3


def test_blocks_have_fewer_steps_when_the_machine_is_busy(monkeypatch):
    asked, speeds = [], iter([1e-3] * 2 + [1e-1] * 2 + [1e-2] * 4)        # of the trial, and of each warm-up and block

    class Slower(Fake):
        def time(self, steps):
            asked.append(steps)
            return steps * next(speeds)

    replaced(monkeypatch, Slower)
    runner.measure(WORKLOADS["W1"], ["torch"], rounds=3, block=0.016)
    assert asked == [2, 4, 4, 16, 1, 2, 1, 2]
    assert next(speeds, None) is None


@pytest.mark.parametrize(("patience", "rounds"), [(0, 3), (1e9, 8)])
def test_on_a_busy_machine_there_are_fewer_rounds(monkeypatch, patience, rounds):
    replaced(monkeypatch, Fake)
    row, = runner.measure(WORKLOADS["W1"], ["torch"], rounds=8, block=0.004, patience=patience)
    assert len(row.blocks) == rounds


def test_spread_is_the_median_and_the_outer_tenths():
    assert rows.spread([float(i) for i in range(11)]) == (5.0, 1.0, 9.0)
    assert rows.spread([3.0]) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize("name", ["compare", "steps"])
def test_a_real_run_prints_every_row(capsys, name):
    given = [name, "--only", "W3", "--contenders", "NumPy by hand;chainrule", "--rounds", "2", "--block", "0.002",
             "--json"]
    assert command.main(given) == 0
    found = json.loads(capsys.readouterr().out)
    measured = found["compare"]["W3"]["rows"]
    assert [row["contender"] for row in measured] == ["NumPy by hand", "chainrule"]
    assert all(row["median"] > 0 and len(row["blocks"]) == 2 and not row["refused"] for row in measured)
    assert all(row["first"] > 0 and len(row["trained"]) == 20 for row in measured)
    assert all(row["peak"] > row["more"] > 0 for row in measured)
    assert found["machine"]["numpy"]


def test_an_unknown_workload_is_named(capsys):
    with pytest.raises(SystemExit):
        command.main(["--only", "W9"])
    assert "'W9'" in capsys.readouterr().err


def test_gates_are_timed_without_torch_too(monkeypatch, capsys):
    def absent():
        raise ImportError("No module named 'torch'")

    monkeypatch.setattr(gates, "torch", absent)
    rows = gates.measure(1)
    assert [row["contender"] for row in rows] == ["chainrule", "NumPy alone"]
    assert all(row["forward"][0] > 0 and row["backward"][0] > 0 for row in rows)
    assert "No module named 'torch'" in capsys.readouterr().err
    assert "µs per gate" in gates.table(rows)


def test_import_loads_nothing_but_numpy():
    assert startup.measure(1)["other packages"] == []
