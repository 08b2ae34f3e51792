"""The benchmarks time the same training: equal losses, rows that differ are refused, and nothing else is timed."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import __main__ as command
from benchmarks import gates, runner, startup
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.workloads import WORKLOADS


def losses(contender: str, workload: str, steps: int) -> list[float]:
    step = CONTENDERS[contender].build(WORKLOADS[workload])
    return [float(step()) for _ in range(steps)]


@pytest.mark.parametrize("name", WORKLOADS)
def test_chainrule_trains_as_numpy_by_hand_does(name):
    ours, by_hand = losses("chainrule", name, 8), losses("NumPy by hand", name, 8)
    assert ours == pytest.approx(by_hand, rel=1e-5)
    assert ours[-1] < ours[0]                            # and it is training


@pytest.mark.parametrize("name", WORKLOADS)
def test_data_and_weights_are_the_same_each_time_and_float32(name):
    workload = WORKLOADS[name]
    first, second = [*workload.data(), *workload.weights()[0]], [*workload.data(), *workload.weights()[0]]
    for a, b in zip(first, second, strict=True):
        assert (a is None and b is None) or (a == b).all()
    assert workload.data()[0].dtype == "float32"
    assert [w.shape for w, _ in workload.weights()] == list(zip(workload.sizes[1:], workload.sizes[:-1], strict=True))


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
        class Fake:
            """Instead of a process: the second contender trains with another learning rate."""

            def __init__(self, contender, workload):
                self.contender, self.ended = contender, False

            def answer(self):
                return [1.0, 0.5 if self.contender == "torch" else 0.6]

            def time(self, steps):
                assert self.contender == "torch", "somebody who was refused is timed"
                return steps * 1e-3

            def end(self):
                self.ended = True

        monkeypatch.setattr(runner, "Process", Fake)
        monkeypatch.setattr(runner, "REST", 0)
        rows = runner.measure(WORKLOADS["W3"], ["torch", "chainrule"], rounds=3, block=0.01)
        assert [bool(row.refused) for row in rows] == [False, True]
        assert rows[0].median == pytest.approx(1000)
        assert rows[1].blocks == []
        text = runner.table(WORKLOADS["W3"], rows)
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

    class Fake:
        def __init__(self, contender, workload):
            self.contender = contender

        def answer(self):
            return [1.0]

        def time(self, steps):
            timed.append(self.contender)
            return steps * 1e-3

        def end(self):
            pass

    monkeypatch.setattr(runner, "Process", Fake)
    monkeypatch.setattr(runner, "REST", 0)
    names = ["torch", "chainrule", "NumPy by hand"]
    runner.measure(WORKLOADS["W1"], names, rounds=3, block=0.004)
    rounds = [name for i, name in enumerate(timed[-18:]) if i % 2]       # each block follows a warm-up of its own
    assert rounds == [*names, *names[1:], names[0], names[2], *names[:2]]


def test_spread_is_the_median_and_the_outer_tenths():
    assert runner.spread([float(i) for i in range(11)]) == (5.0, 1.0, 9.0)
    assert runner.spread([3.0]) == (3.0, 3.0, 3.0)


def test_a_real_run_prints_every_row(capsys):
    given = ["--only", "W3", "--contenders", "NumPy by hand;chainrule", "--rounds", "2", "--block", "0.002", "--json"]
    assert command.main(given) == 0
    found = json.loads(capsys.readouterr().out)
    rows = found["steps"]["W3"]["rows"]
    assert [row["contender"] for row in rows] == ["NumPy by hand", "chainrule"]
    assert all(row["median"] > 0 and len(row["blocks"]) == 2 and not row["refused"] for row in rows)
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
