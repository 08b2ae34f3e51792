"""What a run shows: lines in a file, one live line on a terminal, a panel in a notebook."""
from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from chainrule import data, nn, optim
from chainrule.training import Callback, Checkpoints, Display, EarlyStopping, Run, Trainer, display
from chainrule.training.display import _duration


def run(shown, epochs=12, **options):
    x = np.linspace(0, 1, 10, dtype=np.float32)[:, None]
    model = nn.Linear(1, 2)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), **options)
    part = data.ArrayDataset(x, np.arange(10) % 2)
    return trainer.fit(part, validation=part, epochs=epochs, batch_size=5, callbacks=shown and [shown])


def test_a_line_for_each_epoch_with_its_figures_and_the_time_left():
    file = io.StringIO()
    history = run(Display(file, validation="test"))
    lines = file.getvalue().splitlines()
    assert len(lines) == 12
    pattern = re.compile(r"epoch ( ?\d+)/12  loss (\d\.\d{3})  accuracy train (\d+\.\d) % test (\d+\.\d) %  "
                         r"(\d+ s left|took \d+ s)")
    for line, row in zip(lines, history, strict=True):
        epoch, loss, train, test, time = pattern.fullmatch(line).groups()
        assert int(epoch) == row["epoch"]
        assert loss == f"{row['train_loss']:.3f}"
        assert train == f"{100 * row['train_accuracy']:.1f}"
        assert test == f"{100 * row['validation_accuracy']:.1f}"
        assert time.startswith("took") == (row["epoch"] == 12)


def test_the_time_left_is_what_the_steps_so_far_took_for_those_to_come(monkeypatch):
    now, file = 100.0, io.StringIO()
    monkeypatch.setattr(display.time, "perf_counter", lambda: now)
    shown = Display(file)
    shown.begin(Run(first=1, epochs=4, steps=5))
    for epoch in (1, 2, 3, 4):
        for _ in range(5):
            now += 2.0
            shown.step(0.5)
        shown.epoch({"epoch": epoch, "train_loss": 0.5})
    shown.end()
    assert [line.split("  ")[-1] for line in file.getvalue().splitlines()] == [
        "30 s left", "20 s left", "10 s left", "took 40 s"]


def test_other_metrics_have_their_names():
    file = io.StringIO()
    run(Display(file), epochs=1, metrics={"spread": lambda outputs, targets: 0.25})
    assert "loss 0.696  spread train 0.250 validation 0.250  took 0 s" in file.getvalue()


def test_by_default_it_goes_to_standard_error(capsys):
    run(None, epochs=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("epoch 1/1  loss ")
    run((), epochs=1)
    assert capsys.readouterr() == ("", "")


def figures(*names, value=0.9125, validation=True):
    """A row with figures of so many names."""
    row = {"epoch": 1, "lr": 0.1, "seconds": 1.0}
    for kind in ("train", "validation") if validation else ("train",):
        row |= {f"{kind}_{name}": value for name in names}
    return row


def shown(row, **options):
    """The line of a row."""
    file = io.StringIO()
    screen = Display(file, **options)
    screen.begin(Run(first=1, epochs=1, steps=1))
    screen.step(0.5)
    screen.epoch(row)
    screen.end()
    return file.getvalue()


def test_without_metrics_the_loss_is_that_of_both_parts():
    assert shown(figures("loss"), validation="test") == "epoch 1/1  loss train 0.912 test 0.912  took 0 s\n"
    assert shown(figures("loss", validation=False)) == "epoch 1/1  loss 0.912  took 0 s\n"


def test_many_metrics_are_those_of_the_validation_data():
    assert shown(figures("loss", "accuracy", "f1")) == (
        "epoch 1/1  loss 0.912  validation accuracy 91.2 %  f1 91.2 %  took 0 s\n")
    assert shown(figures("loss", "accuracy", "f1"), validation="test") == (
        "epoch 1/1  loss 0.912  test loss 0.912  accuracy 91.2 %  f1 91.2 %  took 0 s\n")
    assert shown(figures("loss", "mae", "rmse", "r2", value=12.345, validation=False)) == (
        "epoch 1/1  loss 12.35  mae 12.35  rmse 12.35  r2 12.35  took 0 s\n")


def test_a_long_run_of_many_epochs_keeps_to_a_line(monkeypatch):
    now = 100.0
    monkeypatch.setattr(display.time, "perf_counter", lambda: now)
    file = io.StringIO()
    screen = Display(file)
    screen.begin(Run(first=1, epochs=100_000, steps=1))
    for epoch in (1, 2):
        now += 1.0
        screen.step(0.5)
        screen.epoch(figures("loss", "accuracy") | {"epoch": epoch})
    assert file.getvalue() == (
        "epoch      1/100000  loss 0.912  validation accuracy 91.2 %  27:46:39 h left\n"
        "epoch      2/100000  loss 0.912  validation accuracy 91.2 %  27:46:38 h left\n")


NAMES = ["accuracy", "top_5_accuracy", "precision", "recall", "macro_f1", "mae", "rmse", "r2", "another [bold] one"]


@pytest.mark.parametrize("count", range(len(NAMES) + 1))
@pytest.mark.parametrize("validation", [True, False])
def test_any_number_of_metrics_fits_80_columns_and_none_is_lost(count, validation):
    row = figures("loss", *NAMES[:count], validation=validation)
    text = shown(row)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line.startswith(" " * 11) for line in lines[1:])
    for name in NAMES[:count]:
        assert f"{name} " in text
    assert text.count("91.2 %") >= min(count, 5)


def test_shares_are_in_percent_and_other_numbers_are_not():
    text = shown(figures("loss", "accuracy", value=0.5) | {"train_mae": 0.0123, "validation_mae": 0.0456})
    assert "accuracy 50.0 %" in text
    assert "mae 0.0456" in text
    assert "accuracy train 97.5" in shown({"epoch": 1, "train_loss": 1.0, "train_accuracy": 97.5})     # one in percent
    assert "loss –" in shown({"epoch": 1, "train_loss": None})
    assert "accuracy train nan" in shown({"epoch": 1, "train_loss": 1.0, "train_accuracy": float("nan")})


def test_a_run_that_is_stopped_says_why():
    file = io.StringIO()
    x = np.ones((10, 1), np.float32)
    model = nn.Linear(1, 1)
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.0))      # it never gets better
    part = data.ArrayDataset(x, x)
    trainer.fit(part, part, epochs=50, callbacks=[Display(file), EarlyStopping(patience=3)])
    *lines, last = file.getvalue().splitlines()
    assert len(lines) == 4
    assert re.fullmatch(r"stopped after epoch 4 of 50: validation_loss has not got better for 3 epochs; the best was "
                        r"\d\.\d+, in epoch 1", last)


class Kill(Callback):
    """Ends a run in the middle."""

    def __init__(self, step):
        self.left = step

    def step(self, loss):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_a_resumed_run_shows_what_is_left(tmp_path):
    part = data.ArrayDataset(np.linspace(0, 1, 20, dtype=np.float32)[:, None], np.arange(20) % 2)

    def go(*callbacks, resume=False):
        model = nn.Linear(1, 2)
        trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters()))
        trainer.fit(part, epochs=4, batch_size=4, callbacks=callbacks, resume=resume,
                    checkpoints=Checkpoints(tmp_path / "states", every=1))

    before, after = io.StringIO(), io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        go(Display(before), Kill(13))
    go(Display(after), resume=True)
    lines = before.getvalue().splitlines() + after.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"epoch {i}/4" for i in (1, 2, 3, 4)]
    assert len(before.getvalue().splitlines()) == 2      # and nothing about an end that it did not come to


# ---------------------------------------------------------------------- on a terminal
class Terminal(io.StringIO):
    def isatty(self):
        return True

    def screen(self):
        """The states of its last line, one after the other."""
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())
        return [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]


@pytest.fixture
def terminal(monkeypatch):
    def make(columns=80):
        for name, value in (("TERM", "xterm-256color"), ("COLUMNS", str(columns)), ("LINES", "24")):
            monkeypatch.setenv(name, value)
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        return Terminal()
    return make


@pytest.mark.parametrize("columns", [50, 80, 120, 200])
@pytest.mark.parametrize("names", [(), ("accuracy",), NAMES])
def test_a_live_line_stays_one_line_however_many_figures_there_are(terminal, columns, names):
    file = terminal(columns)
    screen = Display(file)
    screen.begin(Run(first=1, epochs=1, steps=1))
    screen.step(0.5)
    screen.epoch(figures("loss", *names))
    screen.end()
    assert file.getvalue().count("\n") == 1
    last = file.screen()[-1]
    assert len(last) <= columns
    assert last.startswith("epoch 1/1 ")
    assert last.endswith("took 0 s")
    assert "loss" in last
    missing = last.count("0.912") + last.count("91.2 %") < 2 or any(f"{name} " not in last for name in names)
    assert missing == ("…" in last)                      # if some are left out, that is said
    assert not missing or columns == 50 or names == NAMES
    assert ("━" in last) == (columns >= 80)


def test_with_room_for_it_the_live_line_has_both_parts(terminal):
    file = terminal(100)
    run(Display(file), epochs=2)
    assert re.match(r"epoch 2/2 ━+ loss 0\.\d{3}  accuracy train \d+\.\d % validation \d+\.\d %  took 0 s",
                    file.screen()[-1])


def test_before_the_first_epoch_ends_the_means_so_far_are_shown(terminal, monkeypatch):
    now = 100.0
    monkeypatch.setattr(display.time, "perf_counter", lambda: now)
    going = Run(first=1, epochs=2, steps=4)
    screen = Display(terminal())
    screen.begin(going)
    going.sums, going.samples = {"loss": 3.0, "accuracy": 1.5}, 2
    now += 10
    screen.step(0.5)
    task, = screen.screen.progress.tasks
    assert task.description == "loss 1.500  accuracy 75.0 %  1:10 min left"
    assert task.completed == 1
    screen.end()


def test_a_resumed_run_starts_its_bar_where_it_stands(terminal, monkeypatch):
    now = 100.0
    monkeypatch.setattr(display.time, "perf_counter", lambda: now)
    model = nn.Linear(1, 1)
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters()))
    trainer.history.rows = [{"epoch": 1, "train_loss": 0.75}, {"epoch": 2, "train_loss": 0.5}]
    screen = Display(terminal())
    screen.begin(Run(first=1, epochs=4, steps=5, trainer=trainer, epoch=3, step=2))
    task, = screen.screen.progress.tasks
    assert (task.completed, task.total, task.fields["label"]) == (12, 20, "epoch 3/4")
    assert task.description.startswith("loss 0.500  ")
    now += 30.0
    screen.step(0.1)
    assert (task.completed, task.fields["label"]) == (13, "epoch 3/4")
    assert task.description == "loss 0.500  3:30 min left"               # by the steps of this process: 30 s each
    for _ in range(3):
        now += 30.0
        screen.step(0.1)
    assert (task.completed, task.fields["label"]) == (16, "epoch 4/4")
    screen.end()


def test_why_a_run_stops_stands_below_the_live_line(terminal):
    file = terminal()
    going = Run(first=1, epochs=9, steps=1)
    screen = Display(file)
    screen.begin(going)
    screen.step(0.5)
    screen.epoch(figures("loss"))
    going.stop("it is [bold] enough")
    screen.end()
    assert file.screen()[-1] == "stopped after epoch 1 of 9: it is [bold] enough"
    assert file.screen()[-2].startswith("epoch 1/9 ")


def test_the_bar_moves_some_times_a_second_and_not_at_each_step(terminal, monkeypatch):
    now, changes = 100.0, []
    monkeypatch.setattr(display.time, "perf_counter", lambda: now)
    screen = Display(terminal())
    screen.begin(Run(first=1, epochs=1, steps=1000))
    monkeypatch.setattr(screen.screen, "change", lambda label, parts, done: changes.append(done))
    for _ in range(1000):
        now += 0.001
        screen.step(0.5)
    assert 15 <= len(changes) <= 20
    screen.end()


# ---------------------------------------------------------------------- in a notebook
FAKE = """
import json

class Shell:
    kernel = {kernel}

def get_ipython():
    return Shell()
"""
FAKE_DISPLAY = """
import json, os

def log(kind, shown, identity):
    with open(os.environ["SHOWN"], "a") as file:
        print(json.dumps([kind, identity, repr(shown), shown._repr_html_()]), file=file)

class DisplayHandle:
    def __init__(self, identity):
        self.display_id = identity

    def update(self, shown, **options):
        log("update", shown, self.display_id)

def display(*shown, display_id=None, **options):
    log("display", shown[0], "one")
    return DisplayHandle("one") if display_id else None
"""
REAL = """
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.kernel, shell.display_pub = object(), CapturingDisplayPublisher()
"""
REAL_END = """
import json, os
with open(os.environ["SHOWN"], "w") as file:
    for each in shell.display_pub.outputs:
        print(json.dumps(["update" if each["update"] else "display", each["transient"]["display_id"],
                          each["data"]["text/plain"], each["data"]["text/html"]]), file=file)
"""
PROGRAM = """
import {first}
import numpy as np
from chainrule import data, nn, optim, Trainer
from chainrule.training import EarlyStopping
x = np.linspace(0, 1, 12, dtype=np.float32)[:, None]
part = data.ArrayDataset(x, np.arange(12) % 2)
model = nn.Linear(1, 2)
trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr={lr}))
trainer.fit(part, part, epochs=5, batch_size=4{options})
"""


def in_a_notebook(tmp_path, *, kernel="object()", real=False, first="IPython", lr=0.1, options="", absent=False):
    """Train in a process that has an IPython; return what it showed in order, and its standard streams."""
    package = tmp_path / "IPython"
    shown = tmp_path / "shown.jsonl"
    shown.touch()
    program = PROGRAM.format(first=first, lr=lr, options=options)
    if real:
        program = REAL + program + REAL_END
    elif not absent:
        package.mkdir()
        (package / "__init__.py").write_text(FAKE.format(kernel=kernel))
        (package / "display.py").write_text(FAKE_DISPLAY)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": path, "SHOWN": str(shown)})
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in shown.read_text().splitlines()], done.stdout, done.stderr


class Whole(HTMLParser):
    """Checks that every tag is closed, and keeps the cells of the table."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells, self.bar = [], [], None
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "progress":
            self.bar = {name: value for name, value in attributes if name in ("value", "max")}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open[-1] in ("td", "th"):
            self.cells.append(text)


@pytest.mark.parametrize("real", [False, *([True] if importlib.util.find_spec("IPython") else [])])
def test_a_notebook_gets_one_panel_that_changes_in_place(tmp_path, real):
    shown, out, err = in_a_notebook(tmp_path, real=real)
    assert (out, err) == ("", "")                        # not a line for each epoch
    assert [kind for kind, *_ in shown] == ["display"] + ["update"] * (len(shown) - 1)
    assert len({identity for _, identity, *_ in shown}) == 1
    assert len(shown) >= 6                               # at its beginning, and after each epoch
    _, _, text, html = shown[-1]
    assert re.fullmatch(r"epoch 5/5  loss \d\.\d{3}  accuracy train \d+\.\d % validation \d+\.\d %  took \d+ s", text)
    page = Whole(html)
    assert page.bar == {"value": "15", "max": "15"}
    assert text in html
    assert [cell for cell in page.cells if cell in "12345"] == list("12345")
    assert Whole(shown[0][3]).bar == {"value": "0", "max": "15"}


def test_a_notebook_says_why_a_run_stops(tmp_path):
    shown, _, err = in_a_notebook(tmp_path, lr="0.0", options=", callbacks=[Display(), EarlyStopping(patience=2)]",
                                  first="IPython; from chainrule.training import Display")
    assert err == ""
    text, html = shown[-1][2:]
    assert text.splitlines()[-1].startswith("stopped after epoch 3 of 5: validation_loss has not got better")
    assert "stopped after epoch 3 of 5" in html


def test_quiet_in_a_notebook(tmp_path):
    assert in_a_notebook(tmp_path, options=", callbacks=()") == ([], "", "")


@pytest.mark.parametrize("options", [
    {"kernel": "None"},                                  # IPython in a terminal
    {"absent": True, "first": "sys"},                    # no IPython at all
    {"first": "sys"}])                                   # it is installed, and nobody uses it
def test_elsewhere_there_are_lines(tmp_path, options):
    shown, out, err = in_a_notebook(tmp_path, **options)
    assert shown == []
    assert out == ""
    assert [line[:9] for line in err.splitlines()] == [f"epoch {i}/5" for i in range(1, 6)]


def test_a_file_is_written_to_in_a_notebook_too(tmp_path):
    shown, out, _ = in_a_notebook(tmp_path, first="IPython, sys; from chainrule.training import Display",
                                  options=", callbacks=[Display(sys.stdout)]")
    assert shown == []
    assert len(out.splitlines()) == 5


class Dumb(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    file = Dumb()
    run(Display(file), epochs=2)
    assert file.getvalue().count("\n") == 2
    assert "\x1b" not in file.getvalue()


@pytest.mark.parametrize(("seconds", "said"), [
    (0.2, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (125, "2:05 min"), (3599.7, "1:00:00 h"), (36_065, "10:01:05 h")])
def test_times_as_they_are_said(seconds, said):
    assert _duration(seconds) == said
