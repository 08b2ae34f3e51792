"""The page on compiling: all of it runs, and what it says cannot be recorded is refused, with its word and its line."""
from __future__ import annotations

import doctest
import linecache
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler import RecordingError, executors

ROOT = Path(__file__).parents[2]
PAGES = ["docs/compile.md", "docs/compile.zh-CN.md"]
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
CODE = re.compile(r"`([^`]+)`")
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def text(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page):
    return FENCE.findall(text(page))


def rows(page):
    """The table of what cannot be recorded: cells by row."""
    lines = [line for line in text(page).splitlines() if line.startswith("| ")]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [cells for cells in lines if len(cells) == 4 and CODE.fullmatch(cells[1]) and CODE.fullmatch(cells[2])]


# ------------------------------------------------------------------ the page
def test_both_languages_have_the_same_code():
    first, second = map(blocks, PAGES)
    assert len(first) > 20
    assert first == second


def test_both_languages_have_the_same_rows():
    first, second = ([[CODE.findall(cell) for cell in row] for row in rows(page)] for page in PAGES)
    assert len(first) > 30
    assert first == second


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", text(page)):
        assert (ROOT / "docs" / target).exists(), target


class Checker(doctest.OutputChecker):
    """Knows the name that the page has for a file of the reader's."""

    def check_output(self, want, got, optionflags):
        return super().check_output(want, re.sub(r"<doctest [^>]+>", "step.py", got), optionflags)


def test_all_of_it_runs_from_top_to_bottom(tmp_path, monkeypatch):
    """Blocks that show a session print what they show; all share their names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(executors, "EXECUTORS", dict(executors.EXECUTORS))       # it registers one
    names = {"__name__": "page"}
    failures, said = 0, []
    runner = doctest.DocTestRunner(Checker(), optionflags=OPTIONS)
    for kind, code in blocks(PAGES[0]):
        if kind == "python" and code.startswith(">>> "):
            test = doctest.DocTest(doctest.DocTestParser().get_examples(code), names, "compile.md", PAGES[0], 0, code)
            failures += runner.run(test, out=said.append, clear_globs=False).failed
            names = test.globs
        elif kind == "python":
            exec(compile(code, "compile.md", "exec"), names)
        else:
            assert kind in ("sh", "text", "mermaid"), kind
    assert not failures, "".join(said)


def test_the_commands_run(tmp_path):
    commands = [line for kind, code in blocks(PAGES[0]) if kind == "sh" for line in code.splitlines()]
    assert commands == ["chainrule train --compile"]
    there = os.environ | {"PYTHONPATH": str(Path(cr.__file__).parents[1]), "MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, "-m", *commands[0].split(), "--epochs", "1"], cwd=tmp_path, env=there,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the step compiled" in done.stdout
    shown = subprocess.run([sys.executable, "-m", "chainrule", "train", "--help"], env=there, capture_output=True,
                           text=True, check=True).stdout
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text(PAGES[0])))
    assert {"--compile", "--no-compile"} <= named <= set(re.findall(r"--[a-z][a-z-]+", shown))


# ------------------------------------------------------------------ what cannot be recorded
PROGRAM = """\
import time

import numpy as np

import chainrule as cr
from chainrule import functional as F, nn, optim
from chainrule.optim import lr_scheduler


class Meter:
    def __init__(self):
        self.total = 0


def make(wrap):
    cr.random.seed(1)
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = lr_scheduler.StepLR(optimizer, 2)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer)
    meter, losses, found, count, hits, calls = Meter(), [], {{}}, 0, np.zeros(3, int), cr.cell(0)
    tools = scheduler, plateau, meter, losses, found, count, hits, calls

    @wrap
    def step(x, t):
        nonlocal count
        loss = F.cross_entropy(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        {inside}
        return loss

    def before(x, t):
        {before}

    def call(x, t):
        {call}

    def after(x, t):
        {after}

    return model, optimizer, calls, before, call, after
"""
#: What a comment behind an example says, and where it stands then.
WHERE = {"before the call": "before", "the call": "call", "after the call": "after"}


def made(example, wrap, path):
    """Put an example where it belongs; give the model, its optimizer, a cell, and what to call in order."""
    code, _, comment = example.partition("  # ")
    parts = {"inside": "pass", "before": "pass", "call": "return step(x, t)", "after": "pass"}
    parts[WHERE[comment] if comment else "inside"] = code.removeprefix("nonlocal count; ")
    path.write_text(PROGRAM.format(**parts))
    linecache.checkcache(str(path))
    names = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names["make"](wrap)


def batches(count=4):
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(3, 2)).astype(np.float32), np.array([0, 1, 2])) for _ in range(count)]


def state(model, optimizer, calls):
    """Everything that a step may have changed."""
    held = {f"model {name}": np.array(x) for name, x in model.state_dict().items()}
    held |= {f"optimizer {i} {name}": np.array(x) for i, moments in optimizer.state_dict()["state"].items()
             for name, x in moments.items()}
    held |= {f"gradient {i}": p.gradient for i, p in enumerate(model.parameters())}
    streams = {name: getattr(cr.random, name) for name in ("init", "shuffle", "dropout", "user")}
    return held | {name: (s.seed, s.position) for name, s in streams.items()} | {"calls": calls.value}


def assert_same(now, before):
    for name in now.keys() - before.keys():                # a moment that was made, but nothing has moved
        assert not np.any(now[name]), name
    for name, x in before.items():
        if isinstance(x, np.ndarray):
            np.testing.assert_array_equal(now[name], x, err_msg=name)
        else:
            assert now[name] is x or now[name] == x, name


@pytest.mark.parametrize(("what", "message", "example"), [
    pytest.param(row[0], row[1].strip("`"), row[2].strip("`"), id=row[2].strip("`")) for row in rows(PAGES[0])])
def test_what_cannot_be_recorded_is_refused(what, message, example, tmp_path):
    path = tmp_path / "step.py"
    model, optimizer, calls, *run = made(example, cr.compile, path)
    for number, (x, t) in enumerate(batches(), 1):
        run[0](x, t)
        before, given = state(model, optimizer, calls), (x.copy(), t.copy())
        try:
            run[1](x, t)
        except TypeError as error:
            raised, calls_made = error, number
            break
    else:
        pytest.fail("it was recorded")
    assert calls_made == (2 if "second call" in what else 1)
    assert message in str(raised)
    if "# the call" not in example:                    # there it is the line of the call, which the traceback has
        assert isinstance(raised, RecordingError)
        code = example.partition("  # ")[0].removeprefix("nonlocal count; ")
        line = [line.strip() for line in path.read_text().splitlines()].index(code) + 1
        assert str(raised).startswith(f"{path}:{line} in ")
    assert_same(state(model, optimizer, calls), before)
    np.testing.assert_array_equal(x, given[0])
    np.testing.assert_array_equal(t, given[1])


@pytest.mark.parametrize("instead", [code for row in rows(PAGES[0]) for code in CODE.findall(row[3])])
def test_what_to_do_instead_does_the_same_as_without_compiling(instead, tmp_path):
    found = []
    for wrap in (lambda step: step, cr.compile):
        model, optimizer, calls, *run = made(instead, wrap, tmp_path / "step.py")
        returned = [[f(x.copy(), t.copy()) for f in run][1] for x, t in batches()]
        found.append(({name: x for name, x in state(model, optimizer, calls).items() if "gradient" not in name},
                      [x.item() for x in returned if isinstance(x, cr.Tensor)]))
    (eager, expected), (compiled, values) = found
    assert values == pytest.approx(expected, rel=1e-5)
    for name, x in eager.items():
        np.testing.assert_allclose(compiled[name], x, rtol=1e-4, atol=1e-6, err_msg=name)
