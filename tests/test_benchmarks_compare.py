"""`python -m benchmarks compare`: everybody trains alike, and the tables say what was found."""
from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import __main__ as command
from benchmarks import child, report, runner
from benchmarks.contenders import CONTENDERS, Contender, flat
from benchmarks.rows import Row
from benchmarks.targets import TARGETS, verdicts
from benchmarks.workloads import WORKLOADS


def trained(contender, workload, steps=20):
    """Return the losses of the first steps, and the parameters after them."""
    made = CONTENDERS[contender].build(WORKLOADS[workload])
    return [float(made.step(made.x, made.y)) for _ in range(steps)], made.parameters()


# ------------------------------------------------------------------ who trains
@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("contender", ["chainrule", "chainrule compiled", "flat NumPy plan"])
def test_everybody_trains_as_numpy_by_hand_does(contender, workload):
    losses, parameters = trained(contender, workload)
    expected, by_hand = trained("NumPy by hand", workload)
    assert losses[:12] == pytest.approx(expected[:12], rel=1e-5)
    rounding = 1e-3 if WORKLOADS[workload].optimizer == "Adam" else 1e-5       # it divides by gradients that are noise
    assert losses == pytest.approx(expected, rel=rounding)
    assert losses[-1] < losses[0]                        # and it is training
    first = [p for pair in WORKLOADS[workload].weights() for p in pair if p is not None]
    for p, q, start in zip(parameters, by_hand, first, strict=True):
        assert p.shape == q.shape == start.shape
        moved = np.linalg.norm(q - start)
        assert moved > 0
        assert np.linalg.norm(p - q) < 2e-3 * moved


@pytest.mark.parametrize("contender", ["chainrule", "chainrule compiled", "flat NumPy plan", "NumPy by hand"])
def test_the_batch_is_an_argument(contender):
    """Twice the targets, another loss: nobody has put the first batch into the step."""
    made = CONTENDERS[contender].build(WORKLOADS["W2"])
    for _ in range(5):
        before = float(made.step(made.x, made.y))
    other = float(made.step(made.x, made.y * 2))
    assert other > 1.5 * before
    assert float(made.step(made.x * 0, made.y * 0)) != pytest.approx(other)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_flat_plan_allocates_nothing_in_a_step(workload):
    made = CONTENDERS["flat NumPy plan"].build(WORKLOADS[workload])
    size = np.setbufsize(16)                             # that of the buffer of a loop with a broadcast operand
    made.step(made.x, made.y)
    tracemalloc.start()
    try:
        made.step(made.x, made.y)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(3):
            made.step(made.x, made.y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        np.setbufsize(size)
    assert peak - before < 2400                          # such a loop; the least matrix of a hidden layer takes 4800


def test_short_rows_lie_down_the_columns():
    assert flat.matrix(400, 4).T.flags.c_contiguous
    assert flat.matrix(100, 50).flags.c_contiguous
    for shape in ((400, 4), (100, 50)):
        x = flat.matrix(*shape)
        assert x.shape == shape
        assert np.shares_memory(flat.flattened(x), x)


# ------------------------------------------------------------------ processes
def test_who_compiles_starts_with_an_empty_folder_which_goes_with_it(monkeypatch):
    given = {}

    def start(self, module, *arguments, environment):
        given.update(environment)

    monkeypatch.setattr(runner.Child, "__init__", start)
    monkeypatch.setattr(runner.Child, "end", lambda self: None)
    process = runner.Process("torch.compile", "W3")
    folder = Path(given["TORCHINDUCTOR_CACHE_DIR"])
    assert list(folder.iterdir()) == []
    (folder / "kernel.so").write_bytes(b"")
    process.end()
    assert not folder.exists()


@pytest.mark.parametrize("name", CONTENDERS)
def test_one_thread_is_one_thread_for_every_library(name, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    environment = CONTENDERS[name].environment()
    expected = "1" if name.endswith("one thread") else None
    assert [environment.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")] == [expected] * 3


def test_what_went_wrong_comes_last(monkeypatch, capsys):
    def build(workload):
        raise RuntimeError("no compiler was found\n\nAdvice: set another variable")

    monkeypatch.setitem(CONTENDERS, "nobody", Contender("nobody", build, "none"))
    monkeypatch.setattr(sys, "argv", ["child", "W3", "nobody"])
    with pytest.raises(SystemExit) as stopped:
        child.main()
    assert stopped.value.code == "RuntimeError: no compiler was found"
    assert "Advice" in capsys.readouterr().err           # and the whole of it before


def test_peak_is_the_processs_own_and_grows_with_what_it_touches():
    held = np.ones(20_000_000)                           # not the child's
    program = ("import numpy as np; from benchmarks.machine import peak; a = peak(); x = np.ones(10_000_000); "
               "del x; print(a, peak() - a)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[1])
    imported, more = map(int, done.stdout.split())
    assert 79e6 < more < 90e6                             # the system counts in batches
    assert imported < held.nbytes


# ------------------------------------------------------------------ tables
def row(contender, median, **more):
    return Row(contender, CONTENDERS[contender].family, median, more.pop("low", median * 0.9), median * 1.1,
               first=1.25, peak=300.0, more=80.0, loss=0.5, **more)


@pytest.fixture
def rows():
    found = [row("torch", 500.0), row("torch, fused, one thread", 400.0), row("chainrule", 300.0),
             row("chainrule compiled", 50.0, low=44.0), row("chainrule compiled, one thread", 66.0),
             row("flat NumPy plan", 40.0, low=40.0), row("flat NumPy plan, one thread", 48.0),
             Row("jax.jit", "jax", refused="it cannot start: No module named 'jax'")]
    runner.compare(found)
    return found


def test_ratios_are_to_the_best_of_torch_and_to_the_plan_with_as_many_threads(rows):
    found = {row.contender: (row.torch, row.flat) for row in rows}
    assert found["torch"] == (1.25, 12.5)
    assert found["chainrule compiled"] == (0.125, 1.25)
    assert found["chainrule compiled, one thread"] == (0.165, 1.375)
    assert found["jax.jit"] == (None, None)


def test_targets_are_met_or_missed(rows):
    found = {verdict.target: (verdict.met, verdict.ratio) for verdict in verdicts("W3", rows)}
    assert found == {
        "chainrule at most 1 × the best of PyTorch, eager": (True, 0.75),
        "chainrule compiled at most 1.3 × the flat NumPy plan": (True, 1.25),
        "chainrule compiled, one thread at most 1.3 × the flat NumPy plan, one thread": (False, 1.375),
        "chainrule compiled at most 0.3 × the best of PyTorch, eager": (True, 0.125)}
    assert str(verdicts("W3", rows)[1]).endswith("met, 1.25 (10th percentiles 1.10)")
    assert "chainrule at most 1.5 × the best of PyTorch, eager" in [v.target for v in verdicts("W4", rows)]
    assert not any("0.3 ×" in verdict.target for verdict in verdicts("W1", rows))


def test_the_targets_of_the_compiler_are_on_every_workload():
    limits = [target.limits for target in TARGETS if target.contender == "chainrule compiled"]
    assert limits == [{"W1": 1.3, "W2": 1.3, "W3": 1.3, "W4": 1.3}, {"W3": 0.3}]


def test_who_has_no_figures_meets_nothing(rows):
    for row in rows:
        if row.contender == "chainrule compiled":
            row.refused = "its loss is 2 at step 4, the reference's 1"
    assert not any(verdict.target.startswith("chainrule compiled at") for verdict in verdicts("W3", rows))
    rows = [row for row in rows if not row.contender.startswith("torch")]
    assert [verdict.target for verdict in verdicts("W3", rows)] == [
        "chainrule compiled, one thread at most 1.3 × the flat NumPy plan, one thread"]


def test_the_table_for_people(rows):
    rows[0].peak = rows[0].more = None                   # a system that does not tell
    lines = report.table(WORKLOADS["W3"], rows).splitlines()
    assert lines[0].startswith("W3  2-4-3-1")
    assert lines[1].split() == ["µs", "per", "step", "10", "%", "–", "90", "%", "×", "torch", "×", "flat", "first,",
                                "s", "MB", "more", "loss"]
    assert lines[2].split() == ["torch", "500.0", "450.0", "–", "550.0", "1.25", "12.50", "1.25", "0.50000"]
    assert lines[5].split() == ["chainrule", "compiled", "50.0", "44.0", "–", "55.0", "0.12", "1.25", "1.25", "300",
                                "80", "0.50000"]
    assert lines[9].strip().split("   ")[0] == "jax.jit"
    assert "no row: it cannot start: No module named 'jax'" in lines[9]
    assert len({line.index("0.50000") for line in lines[2:9]}) == 1      # in one column
    assert sum("target:" in line for line in lines) == 4
    assert "nan" not in "".join(lines)
    assert max(map(len, lines[:10])) <= 120


def test_the_tables_in_markdown(rows):
    text = report.markdown({"W3": rows, "W4": rows[:3]})
    tables = [part for part in text.split("\n\n") if part.startswith("|")]
    assert len(tables) == 5
    for table in tables:
        lines = table.splitlines()
        assert {line.count("|") for line in lines} == {4}
        assert lines[0] == "| | W3 | W4 |"
        assert len(lines) == 2 + len(rows)
    times, _, spreads, first, memory = (table.splitlines() for table in tables)
    assert times[2] == "| torch | 500 (1.25) | 500 (1.25) |"
    assert times[5] == "| **chainrule compiled** | **50.0 (0.12)** |  |"
    assert times[9] == "| jax.jit | – |  |"
    assert spreads[5] == "| **chainrule compiled** | **44.0 – 55.0** |  |"
    assert first[2] == "| torch | 1.25 | 1.25 |"
    assert memory[2] == "| torch | 300 (80) | 300 (80) |"
    assert "- W3: chainrule compiled at most 1.3 × the flat NumPy plan: met, 1.25" in text
    assert "- W3, jax.jit: it cannot start: No module named 'jax'" in text
    assert "nan" not in text


def test_as_data_holds_everything_that_was_measured(rows):
    found = json.loads(json.dumps(report.as_data(WORKLOADS["W3"], rows)))
    assert found["workload"]["sizes"] == [2, 4, 3, 1]
    assert found["rows"][3] == asdict(rows[3]) | {"built": None}
    assert found["rows"][-1]["median"] is None           # and not NaN, which is no JSON
    assert [target["met"] for target in found["targets"]] == [True, True, False, True]


# ------------------------------------------------------------------ the command
@pytest.fixture
def measured(monkeypatch, rows):
    """Nothing is timed; return what was asked for."""
    asked = []

    def measure(workload, contenders, *, rounds, block, patience, report):
        asked.append((workload.name, contenders, rounds))
        assert patience < 100
        return rows

    monkeypatch.setattr(runner, "measure", measure)
    return asked


def test_markdown_is_all_that_is_printed(measured, capsys):
    assert command.main(["--markdown", "--only", "W3"]) == 1             # for there is no row of one
    text = capsys.readouterr().out
    assert "| **chainrule compiled** |" in text
    assert "µs per step " not in text
    assert "NumPy" in text.splitlines()[1]               # on which machine


def test_a_run_with_every_row_ends_with_zero(measured, rows, capsys):
    del rows[-1]
    assert command.main(["--only", "W3"]) == 0
    assert "target: chainrule compiled at most 0.3 × the best of PyTorch, eager: met" in capsys.readouterr().out


def test_quick_leaves_some_out_unless_asked(measured, capsys):
    command.main(["--quick", "--only", "W1"])
    command.main(["--quick", "--only", "W1", "--contenders", "torch.compile"])
    command.main(["--only", "W1,W2"])
    first, second, *others = measured
    left_out = {"torch, one thread", "torch.compile"}
    assert first == ("W1", [name for name in CONTENDERS if name not in left_out], 4)
    assert second == ("W1", ["torch.compile"], 4)
    assert others == [("W1", list(CONTENDERS), 20), ("W2", list(CONTENDERS), 20)]


@pytest.mark.parametrize("given", [["gates", "--markdown"], ["--markdown", "--json"]])
def test_markdown_is_for_compare_alone(given, capsys):
    with pytest.raises(SystemExit):
        command.main(given)
    assert "--markdown is for compare" in capsys.readouterr().err
